"""The rules about policies let the right template pass and name what is wrong in the wrong one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.compliance import iam, rules
from tests.compliance.examples import (
    METRICS,
    TLS_ONLY,
    Example,
    allow,
    both_kinds,
    bucket,
    holds,
    ids,
    platform,
    policy,
    resource,
    role,
)
from tests.compliance.templates import Platform


def no_wildcards(p: Platform) -> Iterator[str]:
    return rules.wildcard_resources(p, {"s3:ListAllMyBuckets": "it is a list of everything"})


EXAMPLES: list[Example] = [
    (
        rules.unknown_actions,
        "known actions",
        platform(P=policy(allow(["kms:ReEncrypt*", "s3:GetObject"]))),
        None,
    ),
    (rules.unknown_actions, "kms:ReEncrypt", platform(P=policy(allow("kms:ReEncrypt"))), "kms:ReEncrypt"),
    (rules.unknown_actions, "no service", platform(P=policy(allow("sagemeker:CreateModel"))), "sagemeker"),
    (rules.wildcard_actions, "prefix", platform(P=policy(allow("s3:GetObject*"))), None),
    (rules.wildcard_actions, "service", platform(P=policy(allow("s3:*"))), "allows s3:*"),
    (rules.wildcard_actions, "everything", platform(P=policy(allow("*"))), "allows *"),
    (rules.wildcard_actions, "denied", platform(P=policy({**allow("s3:*"), "Effect": "Deny"})), None),
    (no_wildcards, "cannot be limited", platform(P=policy(allow("ec2:DescribeSubnets"))), None),
    (no_wildcards, "bound by a condition", platform(P=policy(METRICS)), None),
    (no_wildcards, "not bound", platform(P=policy(allow("cloudwatch:PutMetricData"))), "PutMetricData on *"),
    (no_wildcards, "tolerated", platform(P=policy(allow("s3:ListAllMyBuckets"))), None),
    (no_wildcards, "can be limited", platform(P=policy(allow("s3:GetObject"))), "allows s3:GetObject on *"),
    (no_wildcards, "limited", platform(P=policy(allow("s3:GetObject", "arn:aws:s3:::b/*"))), None),
    (
        rules.public_policies,
        "open topic",
        platform(
            P=resource(
                "AWS::SNS::TopicPolicy",
                PolicyDocument={"Statement": [{**allow("sns:Publish"), "Principal": "*"}]},
            )
        ),
        "open to every AWS account",
    ),
    (rules.public_policies, "closed bucket", platform(Bucket=bucket(), P=TLS_ONLY), None),
    (
        rules.full_access_policies,
        "full access",
        platform(
            R=resource(
                "AWS::IAM::Role", ManagedPolicyArns=["arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"]
            )
        ),
        "AmazonSageMakerFullAccess",
    ),
    (rules.full_access_policies, "none", platform(R=role()), None),
]


@pytest.mark.parametrize("example", EXAMPLES, ids=ids(EXAMPLES))
def test_a_rule_names_what_is_wrong_and_nothing_else(example: Example) -> None:
    holds(example)


def test_every_rule_has_an_example_that_passes_and_one_that_does_not() -> None:
    both_kinds(EXAMPLES)


def test_a_permission_of_another_stack_is_followed_to_its_resource() -> None:
    weak = {"Fn::GetStackOutput": {"StackName": "Lake", "OutputName": "O", "Region": {"Ref": "AWS::Region"}}}
    both = Platform(
        {
            "Lake": {
                "Resources": {"Bucket": bucket()},
                "Outputs": {"O": {"Value": {"Fn::GetAtt": ["Bucket", "Arn"]}}},
            },
            "Test": {
                "Resources": {
                    "Role": role(),
                    "P": policy(allow("s3:GetObject", {"Fn::Join": ["", [weak, "/*"]]})),
                }
            },
        }
    )
    [statement] = iam.statements_of(both, next(both.resources("AWS::IAM::Role")))
    assert statement.resources == ("<Lake/Bucket.Arn>/*",)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("*", "", True),
        ("a*c", "abc", True),
        ("a*c", "ab", False),
        ("arn:*:job/run-*", "arn:aws:job/*", True),
        ("arn:${AWS::Partition}:s3:::b", "arn:aws:s3:::b", True),
        ("a*", "b*", False),
        ("a?c", "abc", True),
        ("", "a", False),
    ],
)
def test_two_patterns_overlap_when_a_text_matches_both(one: str, other: str, expected: bool) -> None:
    assert iam.overlap(one, other) is expected
    assert iam.overlap(other, one) is expected
