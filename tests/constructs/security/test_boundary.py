"""The boundary: what a deploying part may have beside it, and whom it bounds."""

from __future__ import annotations

import pytest
from aws_cdk import aws_iam as iam

from cdk_data_science import ConfigurationError
from cdk_data_science.security import PermissionBoundary
from tests.constructs import nag, support
from tests.constructs.security.simulator import Simulator

HERE = {"aws:RequestedRegion": support.REGION, "aws:ResourceAccount": support.ACCOUNT}


def test_it_bounds_every_role_below_a_construct_and_holds_what_it_is_given_beside() -> None:
    app = support.app()
    stack = support.stack(app, env=support.environment())
    for name in ("One", "Two"):
        iam.Role(stack, name, assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    PermissionBoundary(stack, "Boundary", also=["lambda:UpdateAlias"]).apply_to(stack)
    assert nag.unacknowledged(app) == []
    resources = support.resources(stack)
    for name in ("One", "Two"):
        administrator = Simulator(resources, name, administrator=True)
        assert administrator.allows("lambda:UpdateAlias", when=HERE)
        assert not administrator.allows("lambda:UpdateFunctionCode", when=HERE)
        assert not administrator.allows(
            "lambda:UpdateAlias", when=HERE | {"aws:RequestedRegion": "us-east-2"}
        )
        assert not administrator.allows(
            "lambda:UpdateAlias", when=HERE | {"aws:ResourceAccount": "999999999999"}
        )


def test_it_admits_reading_from_other_accounts_by_their_numbers_and_nothing_else_there() -> None:
    app = support.app()
    stack = support.stack(app, env=support.environment())
    iam.Role(stack, "Reader", assumed_by=iam.ServicePrincipal("datasync.amazonaws.com"))
    PermissionBoundary(stack, "Boundary", read_from=["444455556666"]).apply_to(stack)
    assert nag.unacknowledged(app) == []
    administrator = Simulator(support.resources(stack), "Reader", administrator=True)
    there = HERE | {"aws:ResourceAccount": "444455556666"}
    assert administrator.allows("s3:GetObject", when=there)
    assert administrator.allows("kms:Decrypt", when=there)
    for action in ("s3:PutObject", "kms:GenerateDataKey", "glue:GetTable"):
        assert administrator.allows(action, when=HERE)
        assert not administrator.allows(action, when=there)
    assert not administrator.allows("s3:GetObject", when=HERE | {"aws:ResourceAccount": "999999999999"})


def test_what_is_no_account_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="12 digits"):
        PermissionBoundary(support.stack(), "Boundary", read_from=["*"])


COPIES = "arn:aws:s3:::copies/*"
COPY_KEY = "arn:aws:kms:us-west-2:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def test_it_admits_copies_to_the_objects_and_keys_that_it_names_and_nothing_else_there() -> None:
    app = support.app()
    stack = support.stack(app, env=support.environment())
    iam.Role(stack, "Copier", assumed_by=iam.ServicePrincipal("s3.amazonaws.com"))
    PermissionBoundary(stack, "Boundary", copy_to=[COPIES, COPY_KEY]).apply_to(stack)
    assert nag.unacknowledged(app) == []
    administrator = Simulator(support.resources(stack), "Copier", administrator=True)
    there = {"aws:RequestedRegion": "us-west-2", "aws:ResourceAccount": "444455556666"}
    assert administrator.allows("s3:ReplicateObject", "arn:aws:s3:::copies/1", when=there)
    assert administrator.allows("kms:Encrypt", COPY_KEY, when=there)
    assert not administrator.allows("s3:ReplicateObject", "arn:aws:s3:::others/1", when=there)
    assert not administrator.allows("s3:PutObject", "arn:aws:s3:::copies/1", when=there)
    assert not administrator.allows("kms:Decrypt", COPY_KEY, when=there)


@pytest.mark.parametrize("everything", ["*", "arn:aws:s3:::*/*", "arn:aws:s3:::copies", f"{COPY_KEY[:40]}*"])
def test_copies_go_to_one_bucket_or_key_each(everything: str) -> None:
    with pytest.raises(ConfigurationError, match="the objects of one bucket, or of one key"):
        PermissionBoundary(support.stack(), "Boundary", copy_to=[everything])


@pytest.mark.parametrize("option", ["also", "read_from", "copy_to"])
def test_a_text_where_a_list_is_meant_is_told_once(option: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"1 problem\n.*write: {option}=\[\"444455556666\"\]"):
        PermissionBoundary(support.stack(), "Boundary", **{option: "444455556666"})


def test_an_object_can_be_given_to_the_owner_of_its_bucket_and_to_nobody_else() -> None:
    stack = support.stack(env=support.environment())
    iam.Role(stack, "One", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    PermissionBoundary(stack, "Boundary").apply_to(stack)
    administrator = Simulator(support.resources(stack), "One", administrator=True)
    own, acl = "arn:aws:s3:::features/1", "s3:x-amz-acl"
    owner = HERE | {acl: "bucket-owner-full-control"}
    assert administrator.allows("s3:PutObjectAcl", own, when=owner)
    assert not administrator.allows(
        "s3:PutObjectAcl", own, when=owner | {"aws:ResourceAccount": "999999999999"}
    )
    # Somebody else by a canned ACL, by a grant in a header, or by one in the request's body.
    assert not administrator.allows("s3:PutObjectAcl", own, when=HERE | {acl: "public-read"})
    assert not administrator.allows(
        "s3:PutObjectAcl",
        own,
        when=HERE | {"s3:x-amz-grant-read": "uri=http://acs.amazonaws.com/groups/global/AllUsers"},
    )
    assert not administrator.allows("s3:PutObjectAcl", own, when=HERE)


def test_nothing_that_it_denies_and_no_wildcard_is_held_beside() -> None:
    also = ["cloudtrail:StopLogging", "iam:PutRolePolicy", "lambda:*", "lambda:UpdateAlias"]
    with pytest.raises(ConfigurationError, match="3 problems") as failure:
        PermissionBoundary(support.stack(), "Boundary", also=also)
    assert "UpdateAlias'" not in str(failure.value)
