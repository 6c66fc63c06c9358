"""cfn-lint over every template of every environment, with the checks of IAM actions raised to errors."""

from __future__ import annotations

import functools
import json
from typing import Any

import cfnlint.api
import pytest
from cfnlint.config import ManualArgs
from cfnlint.core import get_rules

from tests.compliance.assembly import Assembly

# Warnings that may stay, each for a reason. Everything else that cfn-lint says is an error here.
TOLERATED = {
    "W3005": "CDK makes dependencies explicit that a GetAtt implies already; they do no harm",
}


IGNORED = [*TOLERATED, "I"]


@functools.cache
def all_rules() -> Any:
    """The rules, read once: that takes longer than to judge a small template."""
    return get_rules([], IGNORED, ["W", "E"])


def problems(template: dict[str, Any]) -> list[str]:
    """What cfn-lint finds in a template that is not tolerated."""
    matches = cfnlint.api.lint(
        json.dumps(template),
        rules=all_rules(),
        config=ManualArgs(regions=["us-east-1"], ignore_checks=IGNORED, include_checks=["W", "E"]),
    )
    return sorted(
        {f"{match.rule.id} {'/'.join(map(str, match.path or []))}: {match.message}" for match in matches}
    )


def test_no_template_has_an_error(synthesized: Assembly) -> None:
    found = {name: problems(template) for name, template in synthesized.templates.items()}
    assert {name: those for name, those in found.items() if those} == {}


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"Nope": 1}, "E3002"),
        ({"Tags": {"Key": "a"}}, "E3012"),
    ],
)
def test_a_wrong_property_is_an_error(properties: dict[str, Any], expected: str) -> None:
    found = problems({"Resources": {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": properties}}})
    assert [problem for problem in found if problem.startswith(expected)]


def test_an_action_that_iam_does_not_know_is_an_error() -> None:
    statement = {"Effect": "Allow", "Action": "kms:ReEncrypt", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    policy = {"PolicyName": "p", "Roles": ["r"], "PolicyDocument": document}
    found = problems({"Resources": {"P": {"Type": "AWS::IAM::Policy", "Properties": policy}}})
    assert [problem for problem in found if problem.startswith("W3037")]


def test_a_template_without_mistakes_has_no_problem() -> None:
    assert problems({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}) == []
