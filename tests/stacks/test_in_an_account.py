"""The commands that an operator copies from the README and the docs."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from settings.model import environments, load
from stacks.training import SOURCE_ARCHIVE as EXPECTED_ARCHIVE
from tests.compliance.assembly import ROOT, Assembly
from tools.source_archive import ARCHIVE

PAGES = ("README.md", "docs/in-an-account.md")
READY = 'eval "$(make env)"'


def commands(page: str) -> list[str]:
    """What follows a prompt in the page's console blocks."""
    return re.findall(r"^\s*\$ (.+)$", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE)


def in_a_shell(script: str) -> str:
    """What a script prints in a shell that knows nothing of this project; nothing is installed anew."""
    outside = [part for part in os.environ["PATH"].split(os.pathsep) if not part.startswith(str(ROOT))]
    bare = {"PATH": os.pathsep.join(outside), "HOME": os.environ["HOME"]}
    script = f'make() {{ command make --old-file=setup "$@"; }}; {script}'
    done = subprocess.run(
        ["bash", "-ec", script], cwd=ROOT, env=bare, capture_output=True, text=True, timeout=1800, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("page", PAGES)
def test_every_command_is_one_that_a_bare_machine_has_or_the_page_brings(page: str) -> None:
    brought = False
    for command in commands(page):
        brought = brought or command == READY
        program = command.split()[0]
        assert program in {"aws", "make", "eval"} or (brought and program in {"cdk", "python"}), command


def test_a_shell_that_was_made_ready_has_the_cdk_and_lists_the_stacks(assemblies: Path) -> None:
    pinned = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["devDependencies"]["aws-cdk"]
    said = in_a_shell(f"{READY}; cdk --version; cdk ls --no-notices --app {assemblies / 'dev'}")
    assert said.startswith(pinned)
    assert "ds-dev-pipeline" in said.splitlines()


def test_a_shell_that_was_made_ready_runs_the_app_which_tells_which_environments_there_are(
    tmp_path: Path,
) -> None:
    # Not in cdk.out, which another command may be reading or writing.
    said = in_a_shell(f"{READY}; cdk ls --no-notices --output {tmp_path} -c environment=absent 2>&1 || true")
    assert "no settings file settings/absent.toml" in said
    assert all(name in said for name in environments())
    assert "Traceback" not in said


@pytest.mark.parametrize("target", ["bootstrap", "diff", "deploy", "source-archive"])
def test_the_targets_for_an_account_ask_for_an_environment_and_hand_it_on(target: str) -> None:
    assert re.search(r"environment[ =]dev\b", in_a_shell(f"make -n {target} ENVIRONMENT=dev"))
    assert "Say for which environment" in in_a_shell(f"make -n {target} 2>&1 || true")


@pytest.mark.parametrize("page", PAGES)
def test_the_training_code_is_packed_as_it_is_expected(page: str) -> None:
    assert "make source-archive ENVIRONMENT=dev" in commands(page)
    assert any(re.search(rf"s3 cp .*\b{EXPECTED_ARCHIVE} ", command) for command in commands(page))
    assert EXPECTED_ARCHIVE == ARCHIVE


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


TOLD = {
    "AWS::Glue::Database": ("databases",),
    "AWS::IAM::ManagedPolicy": ("its boundary",),
    "AWS::IAM::Policy": ("with its role",),
    "AWS::IAM::Role": ("with its role",),
    "AWS::KMS::Key": ("keys of logs", "the lake's key"),
    "AWS::LakeFormation::DataLakeSettings": ("Lake Formation administrators",),
    "AWS::Lambda::Version": ("published versions",),
    "AWS::Logs::LogGroup": ("log groups",),
    "AWS::S3::Bucket": ("zones with", "access logs"),
    "AWS::S3::BucketPolicy": ("their policies", "access logs"),
    "AWS::SageMaker::MlflowApp": ("MLflow",),
    "AWS::SageMaker::ModelPackageGroup": ("registry group",),
}
"""What the table calls each kind of resource."""


def test_what_stays_of_any_stack_is_listed(synthesized: Assembly, environment: str) -> None:
    """A stack that keeps something when it is deleted is in the table; a new kind has to be added to it."""
    page = (ROOT / "docs" / "in-an-account.md").read_text(encoding="utf-8")
    name = load(environment).platform.name
    untold = []
    for full_name, template in synthesized.templates.items():
        stack = full_name.removeprefix(f"{name}-")
        rows = [line for line in page.splitlines() if line.startswith("|") and f"ds-dev-{stack}`" in line]
        kept = {
            resource["Type"]
            for resource in template["Resources"].values()
            if resource.get("DeletionPolicy") in ("Retain", "RetainExceptOnCreate")
        }
        untold += [
            f"{kind} of {stack}"
            for kind in sorted(kept)
            if not any(words in row for words in TOLD.get(kind, ()) for row in rows)
        ]
    assert untold == []
