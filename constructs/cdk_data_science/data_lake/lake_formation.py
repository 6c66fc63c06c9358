"""Lake Formation for a lake: registered locations and, on request, the account's administrators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import DefaultStackSynthesizer, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lakeformation as lakeformation
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge_inline_policy
from cdk_data_science._validation import ConfigurationError, Problems


@dataclass(frozen=True, kw_only=True, slots=True)
class LakeFormation:
    """How Lake Formation governs a lake.

    The defaults touch nothing but the lake itself: its locations are registered, and grants add Lake
    Formation permissions beside the IAM ones. Lake Formation takes permissions only from one of its
    administrators, and who that is belongs to the account, not to one lake: see ``administer``.
    """

    hybrid: bool = True
    """True: IAM decides, and Lake Formation for the principals that opted in. False: tables made in the
    lake's databases carry no implicit ``IAMAllowedPrincipals`` permission, and Lake Formation alone
    decides."""

    administer: bool = False
    """Append the role with which CloudFormation deploys, and ``administrators``, to the account's Lake
    Formation administrators in this region. Administrators who are there stay, and these stay when the stack
    is deleted.
    Choose it in one stack of an account, usually the platform's. Default: the account is left as it is."""

    administrators: Sequence[iam.IRole | iam.IUser] = ()
    """More administrators to append. Needs ``administer``."""

    def check(self, problems: Problems) -> None:
        """Record what cannot work in these options."""
        problems.check(
            self.administer or not self.administrators,
            given=f"{len(self.administrators)} administrators, administer=False",
            allowed="administrators only where the lake administers the account's Lake Formation",
            write="LakeFormation(administer=True, administrators=[…])",
        )


class Registration(Construct):
    """Registers a bucket with Lake Formation under a role that can reach this bucket and nothing else.

    Follows https://docs.aws.amazon.com/lake-formation/latest/dg/registration-role.html.
    """

    role: iam.Role
    """What Lake Formation assumes to hand out temporary credentials for the location."""

    location: lakeformation.CfnResource
    """The registered location."""

    def __init__(self, scope: Construct, id: str, *, bucket: s3.IBucket, hybrid: bool) -> None:
        super().__init__(scope, id)
        # The service needs both principals; the condition keeps other accounts' catalogs from using the role.
        same_account = {"StringEquals": {"aws:SourceAccount": Stack.of(self).account}}
        self.role = iam.Role(
            self,
            "Role",
            description="Lake Formation reads and writes one zone of the lake with this role",
            assumed_by=iam.CompositePrincipal(
                iam.ServicePrincipal("lakeformation.amazonaws.com", conditions=same_account),
                iam.ServicePrincipal("glue.amazonaws.com", conditions=same_account),
            ),
        )
        acknowledge_inline_policy(self.role)
        self.location = lakeformation.CfnResource(
            self,
            "Location",
            resource_arn=bucket.bucket_arn,
            role_arn=self.role.role_arn,
            use_service_linked_role=False,
            hybrid_access_enabled=hybrid,
        )


def append_administrators(
    scope: Construct, id: str, administrators: Sequence[iam.IRole | iam.IUser]
) -> lakeformation.CfnDataLakeSettings:
    """Append CloudFormation's deploying role and ``administrators`` to the account's data lake
    administrators.

    The settings are one per account and region and are shared with everybody else there: they are appended
    to, never replaced, and retained when the stack goes, because other stacks' permissions are revoked with
    them.
    """
    named = [_principal_arn(administrator) for administrator in administrators]
    arns = [*_deploying_role(scope, named), *named]
    settings = lakeformation.CfnDataLakeSettings(
        scope,
        id,
        mutation_type="APPEND",
        admins=[
            lakeformation.CfnDataLakeSettings.DataLakePrincipalProperty(data_lake_principal_identifier=arn)
            for arn in arns
        ],
    )
    settings.apply_removal_policy(RemovalPolicy.RETAIN)
    return settings


def _deploying_role(scope: Construct, named: Sequence[str]) -> list[str]:
    """The role that CloudFormation assumes, where the stack's synthesizer has one.

    A synthesizer that was made in Python comes back from jsii without its stack, and does not tell the role:
    it has to be among those that are named.
    """
    stack = Stack.of(scope)
    synthesizer = stack.synthesizer
    if not isinstance(synthesizer, DefaultStackSynthesizer):
        return []
    # The synthesizer writes placeholders that only the CLI fills in; a template needs CloudFormation's own.
    try:
        role = synthesizer.cloud_formation_execution_role_arn
    except RuntimeError as unknown:
        if named:
            return []
        raise ConfigurationError(
            f"{scope.node.path}: given administer=True in a stack with a synthesizer of its own, which does "
            "not tell the role that deploys; allowed: that role by name; write: "
            "LakeFormation(administer=True, administrators=[iam.Role.from_role_arn(…)])"
        ) from unknown
    for placeholder, value in (
        ("${AWS::Partition}", stack.partition),
        ("${AWS::AccountId}", stack.account),
        ("${AWS::Region}", stack.region),
    ):
        role = role.replace(placeholder, value)
    return [role]


def _principal_arn(principal: iam.IRole | iam.IUser) -> str:
    arn: str = principal.role_arn if hasattr(principal, "role_arn") else principal.user_arn
    return arn
