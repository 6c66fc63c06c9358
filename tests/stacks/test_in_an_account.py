"""The commands that an operator copies from the README and the docs."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from examples.review_sentiment.uploads import SOURCE_ARCHIVE, source_archive
from settings.model import load
from stacks.training import SOURCE_ARCHIVE as EXPECTED_ARCHIVE
from tests.compliance.assembly import ROOT, Assembly

PAGES = ("README.md", "docs/in-an-account.md")


def commands(page: str) -> list[str]:
    """What follows a prompt in the page's console blocks."""
    return re.findall(r"^\s*\$ (.+)$", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE)


def contents(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


@pytest.mark.parametrize("page", PAGES)
def test_the_archive_that_is_made_by_hand_is_the_one_that_the_example_uploads(
    tmp_path: Path, page: str
) -> None:
    [command] = [command for command in commands(page) if command.startswith("tar ")]
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    subprocess.run(["bash", "-ec", command], cwd=tmp_path, check=True, timeout=60)
    made = contents((tmp_path / EXPECTED_ARCHIVE).read_bytes())
    assert made == contents(source_archive())
    training = load("dev").training
    assert training is not None
    assert training.entry_point in made
    assert EXPECTED_ARCHIVE == SOURCE_ARCHIVE


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_name_stacks_and_outputs_that_exist(
    synthesized: Assembly, environment: str, page: str
) -> None:
    name = load(environment).platform.name
    text = (ROOT / page).read_text(encoding="utf-8")
    named = {f"{name}-{stack}" for stack in re.findall(r"\bds-dev-([a-z]+)", text)}
    assert named
    assert named <= synthesized.templates.keys()
    looked_up = [command for command in commands(page) if "describe-stacks" in command]
    assert looked_up
    for command in looked_up:
        [stack], [output] = (
            re.findall(r"--stack-name ds-dev-(\S+)", command),
            re.findall(r"OutputKey=='(\w+)'", command),
        )
        assert output in synthesized.templates[f"{name}-{stack}"]["Outputs"]


@pytest.mark.parametrize("stack", ["operations", "serving", "pipeline"])
def test_what_stays_is_listed(synthesized: Assembly, environment: str, stack: str) -> None:
    """A stack that keeps something when it is deleted is in the table; a new kind has to be added to it."""
    told = {
        "AWS::KMS::Key": "keys of logs, queues and alerts",
        "AWS::Logs::LogGroup": "log groups",
        "AWS::Lambda::Version": "published versions",
        "AWS::SageMaker::ModelPackageGroup": "registry group",
    }
    page = (ROOT / "docs" / "in-an-account.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("|") and f"ds-dev-{stack}`" in line]
    template = synthesized.templates[f"{load(environment).platform.name}-{stack}"]
    kept = {
        r["Type"]
        for r in template["Resources"].values()
        if r.get("DeletionPolicy") in ("Retain", "RetainExceptOnCreate")
    }
    assert kept
    untold = [kind for kind in kept if not any(told[kind] in row for row in rows)]
    assert untold == []
