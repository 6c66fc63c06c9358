"""The optional feature groups and the watch on training of the platform, judged by every check."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from settings.model import FOLDER, SettingsError
from tests.compliance import iam
from tests.compliance import test_boundaries as boundaries
from tests.compliance import test_cfn_lint as cfn_lint
from tests.compliance.assembly import ROOT, Assembly
from tests.compliance.handlers import Asset
from tests.stacks.small import judged, resources, settings

FEATURES, TRAINING = "ds-dev-features", "ds-dev-training"
FULL = """
[security]
[cost]
monthly_limit_usd = 100
[training]
image = "111122223333.dkr.ecr.us-east-1.amazonaws.com/train:1"
watch = true

[features.groups.products]
columns = { product_id = "string", updated = "timestamp", rating_mean = "double" }
record_id = "product_id"
event_time = "updated"
online = true
ttl_days = 90
ingest = "curated/products/"

[features.groups.people]
columns = { person_id = "bigint", updated = "double" }
record_id = "person_id"
event_time = "updated"
"""


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    # GIVEN a small platform with both, judged by the packs and by our rules
    return judged(tmp_path_factory.mktemp("features"), FULL)


def test_no_environment_has_them_unless_it_asks() -> None:
    for file in FOLDER.glob("*.toml"):
        text = file.read_text(encoding="utf-8")
        assert "[features" not in text
        assert "watch = true" not in text


def test_groups_are_what_the_settings_say(assembly: Assembly) -> None:
    groups = {
        each["FeatureGroupName"]: each
        for each in resources(assembly, FEATURES, "AWS::SageMaker::FeatureGroup")
    }
    assert set(groups) == {"ds-dev-products", "ds-dev-people"}
    products, people = groups["ds-dev-products"], groups["ds-dev-people"]
    assert products["OnlineStoreConfig"]["TtlDuration"] == {"Unit": "Days", "Value": 90}
    assert "OnlineStoreConfig" not in people
    (rule,) = resources(assembly, FEATURES, "AWS::Events::Rule")
    assert rule["EventPattern"]["detail"]["object"] == {"key": [{"wildcard": "products/*"}]}


def test_jobs_are_watched(assembly: Assembly) -> None:
    rules = resources(assembly, TRAINING, "AWS::Events::Rule")
    assert {json.dumps(each["EventPattern"]["detail"]["TrainingJobName"]) for each in rules} == {
        '[{"prefix": "ds-dev--"}]'
    }


@pytest.mark.parametrize("stack", [FEATURES, TRAINING])
def test_no_check_finds_anything(assembly: Assembly, stack: str) -> None:
    assert cfn_lint.problems(assembly.templates[stack]) == []
    assert assembly.found_in(stack) == []


@pytest.mark.parametrize("stack", [FEATURES, TRAINING])
def test_every_boundary_holds_what_its_role_may_do(assembly: Assembly, stack: str) -> None:
    template = assembly.templates[stack]
    bounded = {
        key for key, each in boundaries.roles(template).items() if "PermissionsBoundary" in each["Properties"]
    }
    assert {role: boundaries.missing(template, role) for role in bounded} == {role: set() for role in bounded}
    assert set(boundaries.roles(template)) == bounded


def test_the_boundary_is_kept_with_the_groups_and_their_roles(assembly: Assembly) -> None:
    """A policy that bounds a role which is kept could not be deleted."""
    template = assembly.templates[FEATURES]["Resources"].values()
    (boundary,) = (each for each in template if each["Type"] == "AWS::IAM::ManagedPolicy")
    groups = [each for each in template if each["Type"] == "AWS::SageMaker::FeatureGroup"]
    assert {each["DeletionPolicy"] for each in (boundary, *groups)} == {"Retain"}


@pytest.mark.parametrize(
    ("stack", "asset", "handler"),
    [(FEATURES, "features", "ingest.handler"), (TRAINING, "training", "job_metrics.handler")],
)
def test_every_call_of_a_function_is_allowed_to_it(
    assembly: Assembly, stack: str, asset: str, handler: str
) -> None:
    platform = assembly.platform
    (function,) = (
        each
        for each in platform.resources("AWS::Lambda::Function")
        if each.stack == stack and each.properties.get("Handler") == handler
    )
    role = platform.target(stack, function.properties["Role"])
    assert role is not None
    granted = iam.statements_of(platform, role)
    calls = Asset.in_folder(ROOT / "lambda" / asset).calls(handler)
    needed = {action for call in calls for action in call.actions()}
    assert needed
    assert {action for action in needed if not iam.allowed(granted, action, "*")} == set()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (FULL.replace("online = true", "online = false"), "ttl_days"),
        (FULL.replace('ingest = "curated/products/"', 'ingest = "curated/products"'), "ingest"),
        ("[features]\n[features.groups]", "groups"),
    ],
)
def test_wrong_settings_are_told(tmp_path: Path, table: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        settings(tmp_path, table)
