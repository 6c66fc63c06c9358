"""The most that people and jobs can ever have, whatever else is attached to their roles."""

from __future__ import annotations

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge

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
    "s3:PutObjectAcl",
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


class PermissionBoundary(Construct):
    """A policy that bounds roles and gives nothing: what it does not name, no role under it can ever do.

    It holds work with data and models in one region and account, and denies by name what nobody who works
    with data may do: open something to the internet, touch the trail and the logs, or widen anybody's
    access, their own included.

    Costs nothing.

    ```python
    from aws_cdk import aws_iam as iam
    from cdk_data_science.security import PermissionBoundary

    boundary = PermissionBoundary(self, "Boundary")
    boundary.apply_to(
        iam.Role(self, "Notebook", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    )
    ```

    Follows https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html.
    """

    policy: iam.ManagedPolicy
    """The policy, for ``permissions_boundary`` of roles."""

    def __init__(self, scope: Construct, id: str) -> None:
        super().__init__(scope, id)
        stack = Stack.of(self)
        here = {"aws:ResourceAccount": stack.account}
        self.policy = iam.ManagedPolicy(
            self,
            "Policy",
            description="Bounds the roles of people and jobs; gives nothing",
            statements=[
                iam.PolicyStatement(
                    sid="WorkInThisRegion",
                    actions=[*_REGIONAL, *_PARTS],
                    resources=["*"],
                    conditions={
                        "StringEquals": {"aws:RequestedRegion": stack.region},
                        # Images, layers and models of AWS are read, and belong to accounts of AWS.
                        "StringEqualsIfExists": here,
                    },
                ),
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
                _deny("NobodyTouchesTheAudit", _AUDIT),
                _deny("NobodyWidensAccess", _ACCESS),
            ],
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

    def apply_to(self, role: iam.Role) -> None:
        """Bound a role."""
        iam.PermissionsBoundary.of(role).apply(self.policy)


def _deny(sid: str, actions: tuple[str, ...]) -> iam.PolicyStatement:
    return iam.PolicyStatement(sid=sid, effect=iam.Effect.DENY, actions=list(actions), resources=["*"])
