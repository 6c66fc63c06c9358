"""The rules about data let the right template pass and name what is wrong in the wrong one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.compliance import rules
from tests.compliance.examples import (
    TLS_ONLY,
    Example,
    both_kinds,
    bucket,
    holds,
    ids,
    platform,
    resource,
)
from tests.compliance.templates import Platform


def all_logged(p: Platform) -> Iterator[str]:
    return rules.careless_buckets(p, {"/Log": "the log of the logs would never end"})


EXAMPLES: list[Example] = [
    (all_logged, "careful", platform(Bucket=bucket(), P=TLS_ONLY), None),
    (
        all_logged,
        "not encrypted",
        platform(Bucket=bucket(BucketEncryption=None), P=TLS_ONLY),
        "not encrypted",
    ),
    (
        all_logged,
        "public",
        platform(Bucket=bucket(PublicAccessBlockConfiguration={"BlockPublicAcls": True}), P=TLS_ONLY),
        "public access",
    ),
    (all_logged, "plain HTTP", platform(Bucket=bucket()), "without TLS"),
    (all_logged, "not logged", platform(Bucket=bucket(LoggingConfiguration=None), P=TLS_ONLY), "not logged"),
    (rules.still_keys, "rotates", platform(K=resource("AWS::KMS::Key", EnableKeyRotation=True)), None),
    (rules.still_keys, "does not", platform(K=resource("AWS::KMS::Key")), "does not rotate"),
    (rules.still_keys, "asymmetric", platform(K=resource("AWS::KMS::Key", KeySpec="RSA_2048")), None),
    (
        rules.plain_messages,
        "encrypted",
        platform(
            T=resource("AWS::SNS::Topic", KmsMasterKeyId="k"),
            Q=resource("AWS::SQS::Queue", SqsManagedSseEnabled=True),
        ),
        None,
    ),
    (rules.plain_messages, "topic", platform(T=resource("AWS::SNS::Topic")), "not encrypted"),
    (rules.plain_messages, "queue", platform(Q=resource("AWS::SQS::Queue")), "not encrypted"),
    (
        rules.odd_lake_permissions,
        "a table named *",
        platform(G=resource("AWS::LakeFormation::PrincipalPermissions", Resource={"Table": {"Name": "*"}})),
        "TableWildcard",
    ),
    (
        rules.odd_lake_permissions,
        "SELECT on a database",
        platform(
            G=resource(
                "AWS::LakeFormation::PrincipalPermissions", Resource={"Database": {}}, Permissions=["SELECT"]
            )
        ),
        "on a database",
    ),
    (
        rules.odd_lake_permissions,
        "all tables",
        platform(
            G=resource(
                "AWS::LakeFormation::PrincipalPermissions",
                Resource={"Table": {"TableWildcard": {}}},
                Permissions=["SELECT"],
            )
        ),
        None,
    ),
]


@pytest.mark.parametrize("example", EXAMPLES, ids=ids(EXAMPLES))
def test_a_rule_names_what_is_wrong_and_nothing_else(example: Example) -> None:
    holds(example)


def test_every_rule_has_an_example_that_passes_and_one_that_does_not() -> None:
    both_kinds(EXAMPLES)
