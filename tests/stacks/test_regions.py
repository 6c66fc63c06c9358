"""Every region of three partitions: the platform is synthesized, or what is missing is said by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from cdk_data_science import ConfigurationError
from settings.model import Settings, load
from stacks import regions
from stacks.platform import compose
from tests.compliance.assembly import Assembly
from tests.constructs import support
from tests.stacks import regions as generator

# Nothing lists CloudFormation's types there, so nothing is said about it.
NOT_JUDGED = {"me-south-1"}


def moved(region: str, *left_out: str) -> Settings:
    """The production settings in another region, without some tables."""
    settings = load("prod")
    assert settings.network is not None
    assert settings.training is not None
    suffix = ".cn" if region.startswith("cn-") else ""
    image = f"111122223333.dkr.ecr.{region}.amazonaws.com{suffix}/scikit-learn:1"
    update: dict[str, Any] = {
        "platform": settings.platform.model_copy(update={"region": region}),
        "network": settings.network.model_copy(update={"zones": (f"{region}a", f"{region}b")}),
        "training": settings.training.model_copy(update={"image": image}),
        **dict.fromkeys(left_out),
    }
    return settings.model_copy(update=update)


def test_every_region_of_the_three_partitions_is_judged() -> None:
    session = botocore.session.get_session()
    known = {
        region
        for partition in ("aws", "aws-cn", "aws-us-gov")
        for region in session.get_available_regions("sagemaker", partition)
    }
    assert known - NOT_JUDGED == set(regions.regions())


def test_the_facts_are_those_of_cloudformation() -> None:
    assert regions.DATA.read_text(encoding="utf-8") == generator.render(), (
        "run `python -m tests.stacks.regions`"
    )


def test_a_region_has_what_the_platform_needs_or_lacks_it_by_name(synthesized: Assembly) -> None:
    resources = list(synthesized.platform.resources())
    needed = {r.type for r in resources if r.stack.endswith(("-lake", "-network", "-training"))}
    needed -= {"AWS::SageMaker::MlflowApp"}  # of a table that may be left out
    for region in regions.regions():
        assert list(regions.missing(needed, region)) == []
        for kind in {resource.type for resource in resources}:
            for said in regions.missing([kind], region):
                near = said.rpartition("nearest: ")[2]
                if near in regions.regions():
                    assert regions.partition(near) == regions.partition(region)
                    assert list(regions.missing([kind], near)) == []
                else:
                    assert said.endswith("no region of its partition")


@pytest.mark.parametrize(
    ("region", "left_out"),
    [
        ("eu-central-1", ()),
        ("cn-north-1", ("cost", "pipeline")),
        ("us-gov-west-1", ("cost", "pipeline", "inference")),
    ],
)
def test_the_platform_is_synthesized_in_each_partition(
    tmp_path: Path, region: str, left_out: tuple[str, ...]
) -> None:
    app = support.app(outdir=tmp_path)
    compose(app, moved(region, *left_out))
    app.synth()
    texts = [path.read_text(encoding="utf-8") for path in tmp_path.glob("*.template.json")]
    assert texts
    if regions.partition(region) != "aws":
        assert [text for text in texts if "arn:aws:" in text] == []


def test_what_a_region_lacks_is_refused_with_the_nearest_that_has_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as failure:
        compose(support.app(outdir=tmp_path), moved("eu-north-1"))
    told = str(failure.value)
    assert "ds-prod-cost: given region eu-north-1; CloudFormation has no AWS::Budgets::Budget there" in told
    assert "nearest: eu-central-1" in told
    assert "Leave the table of the stack out" in told


def test_nearest_stays_in_the_partition() -> None:
    assert regions.nearest("us-gov-east-1", []) == "us-gov-west-1"
    assert regions.nearest("cn-north-1", []) == "cn-northwest-1"
    assert regions.nearest("us-east-1", []) == "us-east-2"
    assert regions.nearest("cn-north-1", ["cn-northwest-1"]) is None


def test_the_file_names_types_once() -> None:
    content = json.loads(regions.DATA.read_text(encoding="utf-8"))
    kinds = [kind for those in content.values() for kind in those]
    assert len(kinds) == len(set(kinds))
