"""The rules about tags and names let the right template pass and name what is wrong in the wrong one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.compliance import rules
from tests.compliance.examples import (
    INVOKE_CONFIG,
    Example,
    both_kinds,
    function,
    holds,
    ids,
    platform,
    policy,
    resource,
)
from tests.compliance.templates import Platform


def tagged(p: Platform) -> Iterator[str]:
    return rules.missing_tags(p, {"owner": "me"})


def unnamed(p: Platform) -> Iterator[str]:
    return rules.fixed_names(p, {"AWS::Glue::Database.DatabaseName": "queries name it"})


EXAMPLES: list[Example] = [
    (tagged, "list", platform(B=resource("AWS::S3::Bucket", Tags=[{"Key": "owner", "Value": "me"}])), None),
    (tagged, "map", platform(P=resource("AWS::SSM::Parameter", Tags={"owner": "me"})), None),
    (tagged, "under another name", platform(B=resource("AWS::Budgets::Budget")), "owner is None"),
    (
        tagged,
        "wrong value",
        platform(B=resource("AWS::S3::Bucket", Tags=[{"Key": "owner", "Value": "you"}])),
        "'you'",
    ),
    (tagged, "cannot carry tags", platform(P=policy()), None),
    (tagged, "custom resource", platform(C=resource("Custom::Thing")), None),
    (unnamed, "no name", platform(B=resource("AWS::S3::Bucket")), None),
    (unnamed, "tolerated", platform(D=resource("AWS::Glue::Database", DatabaseName="d")), None),
    (unnamed, "named after another", platform(F=function(), C=INVOKE_CONFIG), None),
    (unnamed, "no choice", platform(A=resource("AWS::Lambda::Alias", FunctionName="f", Name="live")), None),
    (unnamed, "bucket", platform(B=resource("AWS::S3::Bucket", BucketName="b")), "BucketName is fixed"),
    (
        unnamed,
        "endpoint config",
        platform(E=resource("AWS::SageMaker::EndpointConfig", EndpointConfigName="e")),
        "fixed",
    ),
    (unnamed, "model", platform(M=resource("AWS::SageMaker::Model", ModelName="m")), "ModelName is fixed"),
    (rules.changing_names, "plain", platform(B=resource("AWS::S3::Bucket")), None),
    (
        rules.changing_names,
        "uuid",
        platform(B=resource("AWS::S3::Bucket", BucketName="b-0b6e2a5e-6a3f-4c3b-9f4e-3f2f8a3f1c11")),
        "looks like a uuid",
    ),
    (
        rules.changing_names,
        "time",
        platform(B=resource("AWS::S3::Bucket", BucketName="b-20261123-2322")),
        "a time",
    ),
    (rules.strong_references, "weak", platform(), None),
    (
        rules.strong_references,
        "exported",
        Platform({"Test": {"Outputs": {"O": {"Value": "v", "Export": {"Name": "n"}}}}}),
        "O is exported",
    ),
    (
        rules.strong_references,
        "imported",
        platform(B=resource("AWS::S3::Bucket", BucketName={"Fn::ImportValue": "n"})),
        "imports a value",
    ),
]


@pytest.mark.parametrize("example", EXAMPLES, ids=ids(EXAMPLES))
def test_a_rule_names_what_is_wrong_and_nothing_else(example: Example) -> None:
    holds(example)


def test_every_rule_has_an_example_that_passes_and_one_that_does_not() -> None:
    both_kinds(EXAMPLES)
