"""Five rule packs and the built-in validator judge every environment; what stays says why, and is needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from stacks import checks
from tests.compliance import assembly
from tests.compliance.assembly import ROOT, Acknowledgement, Assembly, Finding
from tests.constructs import support

PACKS = {"AwsSolutions", "NIST.800.53.R5", "HIPAA.Security", "PCI.DSS.321", "DataScience"}
LEAST_WORDS = 8

# The built-in validator finds a zone that is named only in apps without CDK's own metadata resource. The
# command line adds that resource, other tools do not.
FOUND_ELSEWHERE = {"W3010"}

ROLE = "arn:aws:iam::111122223333:role/notebook"

APP = """
import aws_cdk as cdk
from aws_cdk import aws_s3 as s3
from stacks import checks

app = cdk.App()
checks.attach(app)
s3.Bucket(cdk.Stack(app, "Test"), "Planted")
app.synth()
"""


def test_nothing_is_found_that_is_not_acknowledged(synthesized: Assembly) -> None:
    assert synthesized.findings() == []


def test_every_pack_had_its_say(twin: Assembly) -> None:
    plugins = {plugin["pluginName"] for plugin in twin.report["pluginReports"]}
    assert plugins >= PACKS


def test_every_acknowledgement_gives_a_reason_of_substance(synthesized: Assembly) -> None:
    thin = [a for a in synthesized.acknowledgements() if len(a.reason.split()) < LEAST_WORDS]
    assert thin == [], "a reason has to tell a security reviewer why the finding may stay"


def test_every_acknowledgement_is_needed(synthesized: Assembly, twin: Assembly) -> None:
    found = twin.findings()
    stale = [
        f"{acknowledged.path}: {acknowledged.rule}"
        for acknowledged in synthesized.acknowledgements()
        if acknowledged.rule not in FOUND_ELSEWHERE
        and not any(acknowledged.covers(finding) for finding in found)
    ]
    assert not stale, "\n  - ".join(["these acknowledge what is not found (any more); remove them:", *stale])


def test_nothing_is_acknowledged_for_a_whole_stack(synthesized: Assembly) -> None:
    wide = [a for a in synthesized.acknowledgements() if a.path.count("/") == 0]
    assert wide == [], "one reason for a whole stack hides the next real finding"


def test_acknowledgements_are_read_from_the_metadata_of_constructs(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(
        json.dumps(
            {
                "artifacts": {
                    "Test": {
                        "type": "aws:cloudformation:stack",
                        "metadata": {
                            "/Test/Bucket": [
                                {
                                    "type": "aws:cdk:acknowledged-rules",
                                    "data": {
                                        "Annotation::AwsSolutions-S1": "one",
                                        "AwsSolutions::AwsSolutions-IAM5[Resource::*]": "two",
                                        "AwsSolutions-IAM5[Action::s3:*]": "three",
                                    },
                                }
                            ]
                        },
                    }
                }
            }
        ),
        encoding="utf-8",
    )
    assert Assembly(tmp_path).acknowledgements() == [
        Acknowledgement("AwsSolutions-IAM5[Action::s3:*]", "Test/Bucket", "three"),
        Acknowledgement("AwsSolutions-IAM5[Resource::*]", "Test/Bucket", "two"),
        Acknowledgement("AwsSolutions-S1", "Test/Bucket", "one"),
    ]


@pytest.mark.parametrize(
    ("rule", "path", "covered"),
    [
        ("AwsSolutions-S1", "Test/Bucket", True),
        ("AwsSolutions-S1", "Test/Bucket/Resource", True),
        ("AwsSolutions-S1", "Test/Bucket2/Resource", False),
        ("AwsSolutions-S10", "Test/Bucket/Resource", False),
    ],
)
def test_an_acknowledgement_covers_its_construct_and_what_is_inside(
    rule: str, path: str, covered: bool
) -> None:
    assert Acknowledgement("AwsSolutions-S1", "Test/Bucket", "why").covers(Finding(rule, path)) is covered


def test_a_planted_finding_makes_the_app_exit_with_an_error(tmp_path: Path) -> None:
    program = tmp_path / "planted.py"
    program.write_text(APP, encoding="utf-8")
    done = assembly.run([str(program)], tmp_path / "out", assembly.context("dev"))
    assert done.returncode != 0
    assert "AwsSolutions-S1" in done.stderr


@pytest.mark.parametrize(
    ("type", "properties", "expected"),
    [
        ("AWS::SQS::Queue", {"Nope": 1}, "F3002"),
        ("AWS::SageMaker::NotebookInstance", {"InstanceType": "ml.nope.large", "RoleArn": ROLE}, "W3030"),
    ],
    ids=["unknown property", "value outside of an enum"],
)
def test_a_finding_fails_the_synthesis(
    tmp_path: Path, type: str, properties: dict[str, Any], expected: str
) -> None:
    app = checked_app(tmp_path)
    cdk.CfnResource(cdk.Stack(app, "Test"), "Planted", type=type, properties=properties)
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()
    assert expected in {finding.rule for finding in Assembly(tmp_path).findings()}


def test_an_error_that_a_construct_notes_fails_the_synthesis(tmp_path: Path) -> None:
    app = checked_app(tmp_path)
    stack = cdk.Stack(app, "Test")
    cdk.CfnWaitConditionHandle(stack, "Nothing")
    cdk.Annotations.of(stack).add_error("noted by hand")
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()


def test_a_synthesis_without_findings_succeeds(tmp_path: Path) -> None:
    app = checked_app(tmp_path)
    cdk.CfnWaitConditionHandle(cdk.Stack(app, "Test"), "Nothing")
    app.synth()
    assert Assembly(tmp_path).findings() == []


def checked_app(outdir: Path) -> cdk.App:
    app = support.app(outdir=outdir)
    checks.attach(app)
    return app


def test_the_checks_are_strict_by_the_project_s_own_context() -> None:
    context = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
    for flag in ("validateAgainstDefaultRules", "strictCfnValidateErrors", "annotationsInValidationReport"):
        assert context[f"@aws-cdk/core:{flag}"] is True
