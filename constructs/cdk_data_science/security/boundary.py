"""The most that people and jobs can ever have, whatever else is attached to their roles."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from constructs import Construct, IConstruct

from cdk_data_science._acknowledgements import acknowledge, acknowledge_wildcards
from cdk_data_science._validation import Problems, is_token

_ACCOUNT = re.compile(r"[0-9]{12}")
_ACTION = re.compile(r"[a-z0-9-]+:[A-Za-z0-9]+")
_COPY = re.compile(r"arn:[a-z-]+:(s3:::[a-z0-9.-]+/.*|kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+)")
_SERVICES = (
    "athena",
    "cloudwatch",
    "ecr",
    "elasticfilesystem",
    "glue",
    "kinesis",
    "lakeformation",
    "logs",
    "s3",
    "sagemaker",
    "sagemaker-mlflow",
    "states",
    "xray",
)
_REGIONAL = tuple(f"{service}:*" for service in _SERVICES)
_PARTS = (
    "access-analyzer:Get*",
    "access-analyzer:List*",
    "cloudtrail:Describe*",
    "cloudtrail:Get*",
    "cloudtrail:List*",
    "cloudtrail:LookupEvents",
    "config:Describe*",
    "config:Get*",
    "ec2:CreateNetworkInterface",
    "ec2:CreateNetworkInterfacePermission",
    "ec2:DeleteNetworkInterface",
    "ec2:DeleteNetworkInterfacePermission",
    "ec2:Describe*",
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey*",
    "kms:Get*",
    "kms:List*",
    "lambda:GetAlias",
    "lambda:GetFunction",
    "lambda:InvokeFunction",
    "sts:GetCallerIdentity",
)
_READING = (
    "kms:Decrypt",
    "kms:DescribeKey",
    "s3:GetBucketLocation",
    "s3:GetObject",
    "s3:GetObjectTagging",
    "s3:GetObjectVersion",
    "s3:GetObjectVersionTagging",
    "s3:ListBucket",
    "s3:ListBucketMultipartUploads",
    "s3:ListMultipartUploadParts",
)
_COPYING = (
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "s3:ReplicateDelete",
    "s3:ReplicateObject",
    "s3:ReplicateTags",
)
_GLOBAL = ("iam:Get*", "iam:List*", "iam:PassRole")

_INTERNET = (
    "ec2:AttachInternetGateway",
    "ec2:AuthorizeSecurityGroupIngress",
    "ec2:CreateInternetGateway",
    "ec2:CreateNatGateway",
    "ec2:CreateRoute",
    "ec2:CreateVpcPeeringConnection",
    "ec2:ModifySubnetAttribute",
    "ec2:ModifyVpcEndpoint",
    "elasticloadbalancing:CreateLoadBalancer",
    "lambda:AddPermission",
    "lambda:CreateFunctionUrlConfig",
    "lambda:UpdateFunctionUrlConfig",
    "s3:DeleteBucketPolicy",
    "s3:PutAccountPublicAccessBlock",
    "s3:PutBucketAcl",
    "s3:PutBucketPolicy",
    "s3:PutBucketPublicAccessBlock",
    "sagemaker:CreateDomain",
    "sagemaker:UpdateDomain",
)
_AUDIT = (
    "access-analyzer:DeleteAnalyzer",
    "cloudtrail:DeleteTrail",
    "cloudtrail:PutEventSelectors",
    "cloudtrail:StopLogging",
    "cloudtrail:UpdateTrail",
    "config:DeleteConfigRule",
    "config:DeleteConfigurationRecorder",
    "config:StopConfigurationRecorder",
    "ec2:DeleteFlowLogs",
    "logs:DeleteLogGroup",
    "logs:DeleteLogStream",
    "logs:PutRetentionPolicy",
    "s3:BypassGovernanceRetention",
    "s3:PutBucketObjectLockConfiguration",
)
_ACCESS = (
    "glue:PutResourcePolicy",
    "iam:AddUserToGroup",
    "iam:Attach*",
    "iam:Create*",
    "iam:Delete*",
    "iam:Detach*",
    "iam:Put*",
    "iam:Set*",
    "iam:Tag*",
    "iam:Untag*",
    "iam:Update*",
    "kms:DisableKey",
    "kms:PutKeyPolicy",
    "kms:ScheduleKeyDeletion",
    "lakeformation:BatchGrantPermissions",
    "lakeformation:GrantPermissions",
    "lakeformation:PutDataLakeSettings",
    "sagemaker:DeleteModelPackageGroupPolicy",
    "sagemaker:PutModelPackageGroupPolicy",
    "sts:AssumeRole",
)
_OWNER_ACL = "bucket-owner-full-control"
"""The ACL that gives an object to the owner of its bucket and to nobody else."""


class PermissionBoundary(Construct):
    """A policy that bounds roles and gives nothing: what it does not name, no role under it can ever do.

    It holds work with data and models in one region and account, and denies by name what nobody who works
    with data may do: open something to the internet, touch the trail and the logs, or widen anybody's
    access, their own included.

    What deploys and reports, such as the functions of a pipeline, needs a little more than people and jobs:
    its boundary names these actions in ``also``. What is denied by name stays denied.

    Costs nothing.

    ```python
    from aws_cdk import aws_iam as iam
    from cdk_data_science.security import PermissionBoundary

    boundary = PermissionBoundary(self, "Boundary")
    boundary.apply_to(
        iam.Role(self, "Notebook", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    )
    ```

    Args:
        also: Actions that roles under it may have beside, in this region and account, without wildcards.
            Default: none.
        read_from: Other accounts whose buckets roles under it may read, and whose keys they may decrypt with,
            in this region, as far as these accounts admit them. Default: none.
        copy_to: ARNs of the objects of buckets, and of keys, in any account and region, to which S3 may copy
            objects in the name of roles under it. Each names one bucket or one key. Default: none.

    Raises:
        ConfigurationError: For actions with wildcards, or that the boundary denies, for accounts that are
            none, and for copies to anything but one bucket or one key, all of them at once.

    Follows https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html.
    """

    policy: iam.ManagedPolicy
    """The policy, for ``permissions_boundary`` of roles."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        also: Sequence[str] = (),
        read_from: Sequence[str] = (),
        copy_to: Sequence[str] = (),
    ) -> None:
        super().__init__(scope, id)
        _check(self, also, read_from, copy_to)
        stack = Stack.of(self)
        here = {"aws:ResourceAccount": stack.account}
        self.policy = iam.ManagedPolicy(
            self,
            "Policy",
            description="Bounds the roles of people and jobs; gives nothing",
            statements=[
                iam.PolicyStatement(
                    sid="WorkInThisRegion",
                    actions=[*_REGIONAL, *_PARTS, *also],
                    resources=["*"],
                    conditions={
                        "StringEquals": {"aws:RequestedRegion": stack.region},
                        # Lists and look-ups have no resource, and so no account that it belongs to.
                        "StringEqualsIfExists": here,
                    },
                ),
                *_reading(read_from, stack.region),
                *_copying(copy_to),
                iam.PolicyStatement(
                    sid="PullImagesOfOthers",
                    actions=[
                        "ecr:BatchCheckLayerAvailability",
                        "ecr:BatchGetImage",
                        "ecr:GetDownloadUrlForLayer",
                    ],
                    resources=["*"],
                ),
                iam.PolicyStatement(sid="SeeAndPassRoles", actions=list(_GLOBAL), resources=["*"]),
                _deny("NobodyOpensToTheInternet", _INTERNET),
                iam.PolicyStatement(
                    sid="NobodyMakesNotebooksWithInternet",
                    effect=iam.Effect.DENY,
                    actions=["sagemaker:CreateNotebookInstance"],
                    resources=["*"],
                    conditions={"StringNotEqualsIfExists": {"sagemaker:DirectInternetAccess": "Disabled"}},
                ),
                # The one ACL that a bucket takes whose owner owns its objects. A request without this header
                # says who gets access in another way.
                iam.PolicyStatement(
                    sid="NobodyGivesObjectsAway",
                    effect=iam.Effect.DENY,
                    actions=["s3:PutObjectAcl"],
                    resources=["*"],
                    conditions={"StringNotEquals": {"s3:x-amz-acl": _OWNER_ACL}},
                ),
                _deny("NobodyTouchesTheAudit", _AUDIT),
                _deny("NobodyWidensAccess", _ACCESS),
            ],
        )
        acknowledge_wildcards(
            self.policy, self, copy_to, "The objects of one bucket each, for S3 to copy objects to."
        )
        acknowledge(
            self.policy,
            [
                "AwsSolutions-IAM5[Resource::*]",
                "HIPAA.Security-IAMPolicyNoStatementsWithFullAccess",
                "NIST.800.53.R5-IAMPolicyNoStatementsWithFullAccess",
                "PCI.DSS.321-IAMPolicyNoStatementsWithFullAccess",
                *(
                    f"AwsSolutions-IAM5[Action::{action}]"
                    for action in (*_REGIONAL, *_PARTS, *_GLOBAL)
                    if action.endswith("*")
                ),
            ],
            "A boundary gives nothing: a role may do what both it and the role's own policies allow. Those "
            "name actions and resources.",
        )

    def apply_to(self, scope: IConstruct) -> None:
        """Bound a role, or every role below a construct, such as a stack."""
        iam.PermissionsBoundary.of(scope).apply(self.policy)


def _check(scope: Construct, also: Sequence[str], accounts: Sequence[str], copies: Sequence[str]) -> None:
    problems = Problems("PermissionBoundary", scope)
    for option, values in (("also", also), ("read_from", accounts), ("copy_to", copies)):
        problems.check_list(option, values)
    problems.raise_if_any()
    for copy in copies:
        problems.check(
            is_token(copy) or bool(_COPY.fullmatch(copy)),
            given=f"copy_to={copy!r}",
            allowed="the ARN of the objects of one bucket, or of one key",
            write='copy_to=["arn:aws:s3:::copies/*"]',
        )
    for account in accounts:
        problems.check(
            is_token(account) or bool(_ACCOUNT.fullmatch(account)),
            given=f"read_from={account!r}",
            allowed="12 digits",
            write='read_from=["444455556666"]',
        )
    denied = {action.lower() for action in (*_INTERNET, *_AUDIT, *_ACCESS)}
    for action in also:
        problems.check(
            bool(_ACTION.fullmatch(action)),
            given=f"also={action!r}",
            allowed="an action without a wildcard",
            write='also=["lambda:UpdateAlias"]',
        )
        problems.check(
            not any(fnmatchcase(action.lower(), pattern) for pattern in denied),
            given=f"also={action!r}",
            allowed="what the boundary does not deny by name",
        )
    problems.raise_if_any()


def _reading(accounts: Sequence[str], region: str) -> list[iam.PolicyStatement]:
    if not accounts:
        return []
    return [
        iam.PolicyStatement(
            sid="ReadFromOtherAccounts",
            actions=list(_READING),
            resources=["*"],
            conditions={
                "StringEquals": {"aws:RequestedRegion": region, "aws:ResourceAccount": sorted(set(accounts))}
            },
        )
    ]


def _copying(resources: Sequence[str]) -> list[iam.PolicyStatement]:
    if not resources:
        return []
    return [
        iam.PolicyStatement(sid="CopyElsewhere", actions=list(_COPYING), resources=sorted(set(resources)))
    ]


def _deny(sid: str, actions: tuple[str, ...]) -> iam.PolicyStatement:
    return iam.PolicyStatement(sid=sid, effect=iam.Effect.DENY, actions=list(actions), resources=["*"])
