"""The other side of least privilege: a function's role allows nothing that its code does not call.

What stays although no call of the code needs it stands here with its reason. A reason that nothing needs any
more is found too.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

import pytest

from tests.compliance import iam
from tests.compliance.assembly import ROOT, Assembly
from tests.compliance.examples import Document, allow, platform, policy, role
from tests.compliance.handlers import Asset
from tests.compliance.templates import Platform, Resource
from tests.compliance.test_handler_permissions import our_functions, role_of

# Actions that AWS calls in the name of the function, or that a call of the code needs beside its own.
BESIDE = {
    "logs:CreateLogStream": "Lambda writes the function's log in its name",
    "logs:PutLogEvents": "Lambda writes the function's log in its name",
    "sqs:SendMessage": "Lambda sends what failed to the dead-letter queue in the function's name",
    "kms:Decrypt": "S3 and SQS decrypt what is encrypted in the caller's name",
    "kms:GenerateDataKey": "S3 and SQS encrypt what the caller writes in the caller's name",
    "kms:DescribeKey": "a part of reading a zone: clients that encrypt ask which kind of key it is",
}
# Lambda attaches a function to its VPC in the function's name.
NETWORK = {
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
}
# Parts of reading and writing a zone, which is granted as one. A zone keeps earlier versions and no function
# may delete one, so that what a function deletes or overwrites can be had back.
ZONE = {
    "s3:GetObjectTagging": "reading a zone: whoever copies an object reads its tags",
    "s3:GetObjectVersion": "reading a zone: runs name the version of what they read",
    "s3:ListBucket": "reading a zone: without it, S3 says that access is denied where an object is missing",
    "s3:PutObjectTagging": "writing a zone: whoever copies an object writes its tags",
    "s3:DeleteObject": "writing a zone: it leaves the earlier versions where they are",
    "s3:AbortMultipartUpload": "writing a zone: a large upload that failed is cleaned up",
    "s3:ListMultipartUploadParts": "writing a zone: a large upload is taken up again",
}
# By a part of the function's path: calls that cannot be read from the source.
NOT_IN_SOURCE = {
    ("/Inference/", "s3:GetObject"): "the model server signs its requests to S3 itself, without an SDK",
    (
        "/Score/",
        "s3:GetObject",
    ): "what scores is the model server, which signs its requests itself",
    (
        "/Score/",
        "s3:PutObject",
    ): "what scores is the model server, which signs its requests itself",
}
# The same, where the settings give the function a queue or requests in S3.
OF_OPTIONS = {
    ("/Inference/", "s3:PutObject"): "the model server signs what it writes to S3 itself, without an SDK",
} | {
    ("/Inference/", f"sqs:{action}"): "Lambda reads the queue in the name of the function that it feeds"
    for action in (
        "ChangeMessageVisibility",
        "DeleteMessage",
        "GetQueueAttributes",
        "GetQueueUrl",
        "ReceiveMessage",
    )
}
# By a part of the function's path: what a grant of another construct brings.
BROUGHT = {
    ("/Register/", "sagemaker:DescribeModelPackageGroup"): "using a group of the registry is granted as one",
} | {
    ("/Deploy/", action): "Lambda asks it of whoever configures a function in a VPC"
    for action in ("ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs")
}


def unused(platform: Platform, function: Resource, called: set[str]) -> Iterator[str]:
    """The actions that a function's role allows and that none of the called ones is."""
    attached = NETWORK if "VpcConfig" in function.properties else set()
    for statement in iam.statements_of(platform, role_of(platform, function)):
        for action in statement.actions if statement.allows else ():
            if not any(fnmatchcase(call.lower(), action.lower()) for call in {*called, *attached}):
                yield action


def found(synthesized: Assembly) -> set[tuple[str, str]]:
    """Path and action of all that is allowed and not called."""
    return {
        (function.path, action)
        for function, name in our_functions(synthesized)
        for action in unused(
            synthesized.platform,
            function,
            {
                action
                for call in Asset.in_folder(ROOT / "lambda" / name).calls(function.properties["Handler"])
                for action in call.actions()
            },
        )
    }


def reasons(path: str, action: str) -> list[str]:
    by_path = {**NOT_IN_SOURCE, **OF_OPTIONS, **BROUGHT}
    everywhere = [texts[action] for texts in (BESIDE, ZONE) if action in texts]
    return everywhere + [text for (part, name), text in by_path.items() if part in path and name == action]


def test_a_function_may_do_nothing_that_its_code_does_not_call(synthesized: Assembly) -> None:
    without = sorted(f"{path}: {action}" for path, action in found(synthesized) if not reasons(path, action))
    assert not without, "\n".join(["allowed, and no call of the code needs it:", *without])


def test_every_reason_is_needed(synthesized: Assembly) -> None:
    there = found(synthesized)
    actions = {action for _, action in there}
    assert {*BESIDE, *ZONE} - actions == set()
    queues = synthesized.platform.resources("AWS::Lambda::EventSourceMapping")
    by_path = {**NOT_IN_SOURCE, **BROUGHT, **(OF_OPTIONS if list(queues) else {})}
    assert [key for key in by_path if not any(key[0] in path and key[1] == a for path, a in there)] == []


def test_no_function_may_delete_a_version_of_an_object(synthesized: Assembly) -> None:
    """What the reason of deleting says."""
    able = [
        f"{function}: {action}"
        for function, _ in our_functions(synthesized)
        for statement in iam.statements_of(synthesized.platform, role_of(synthesized.platform, function))
        for action in statement.actions
        if statement.allows and fnmatchcase("s3:deleteobjectversion", action.lower())
    ]
    assert able == []


@pytest.mark.parametrize(
    ("allowed", "called", "expected"),
    [
        (["s3:GetObject"], {"s3:GetObject"}, []),
        (["s3:Get*"], {"s3:GetObject"}, []),
        (["s3:GetObject", "s3:PutObject"], {"s3:GetObject"}, ["s3:PutObject"]),
        (["lambda:*"], {"s3:GetObject"}, ["lambda:*"]),
    ],
)
def test_what_is_allowed_and_not_called_is_seen(
    allowed: list[str], called: set[str], expected: list[str]
) -> None:
    function: Document = {"Type": "AWS::Lambda::Function", "Properties": {"Role": {"Ref": "Role"}}}
    given = platform(F=function, Role=role("lambda"), P=policy(allow(allowed)))
    [target] = given.resources("AWS::Lambda::Function")
    assert list(unused(given, target, called)) == expected
