"""The roles that apps have, and what they may do in a domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge, acknowledge_inline_policy, acknowledge_wildcards
from cdk_data_science.security import PermissionBoundary
from cdk_data_science.studio._domain_base import IStudioDomain
from cdk_data_science.studio.instances import SYSTEM

_MAKE_SPACES = ("sagemaker:CreateSpace", "sagemaker:DeleteSpace", "sagemaker:UpdateSpace")
_RUN_APPS = ("sagemaker:CreateApp", "sagemaker:DeleteApp")
_OWNER, _SHARING = "sagemaker:OwnerUserProfileArn", "sagemaker:SpaceSharingType"
# Studio gives the sessions of a user's apps these keys, and the name as their source identity too.
_MYSELF, _SOURCE = "${sagemaker:UserProfileName}", "${aws:SourceIdentity}"


def execution_role(scope: Construct, id: str, *, description: str, boundary: PermissionBoundary) -> iam.Role:
    """A role that SageMaker takes for apps of this account, under the name of the app's user."""
    stack = Stack.of(scope)
    resources = stack.format_arn(service="sagemaker", resource="*", arn_format=ArnFormat.NO_RESOURCE_NAME)
    sagemaker = iam.ServicePrincipal(
        "sagemaker.amazonaws.com",
        conditions={
            "StringEquals": {"aws:SourceAccount": stack.account},
            "ArnLike": {"aws:SourceArn": resources},
        },
    )
    role = iam.Role(
        scope, id, description=description, assumed_by=sagemaker, permissions_boundary=boundary.policy
    )
    if role.assume_role_policy is not None:
        role.assume_role_policy.add_statements(
            iam.PolicyStatement(
                sid="UnderTheNameOfTheUser",
                actions=["sts:SetSourceIdentity"],
                principals=[sagemaker],
            )
        )
    acknowledge_inline_policy(role)
    return role


def use_volumes(role: iam.Role, key: kms.IKey) -> None:
    """Let the apps of a role have volumes that the domain's key encrypts."""
    key.grant(role, "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext")
    role.add_to_policy(
        iam.PolicyStatement(
            sid="LendTheKeyToVolumes",
            actions=["kms:CreateGrant"],
            resources=[key.key_arn],
            conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
        )
    )


class SpacePermissions(Construct):
    """What a persona's role may do in a domain: work in its user's own spaces, and in the team's shared ones.

    That a space is the user's own is decided twice: by the name that Studio gives to the sessions of its
    user interface, and by the source identity of the apps' sessions, which nobody in such a session can set.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        role: iam.Role,
        domain: IStudioDomain,
        team: str,
        allowed_types: Sequence[str],
        shared_spaces: Sequence[str],
    ) -> None:
        super().__init__(scope, id)
        self._domain_id = domain.domain_id
        spaces, apps = self._arn("space", "*"), self._arn("app", "*")
        mine = {"ArnLike": {_OWNER: self._profile(_MYSELF)}, "StringEquals": {_SHARING: "Private"}}
        others = {
            "ArnNotLike": {_OWNER: self._profile(_SOURCE)},
            "StringEquals": {_SHARING: "Private"},
            "Null": {_OWNER: "false", "aws:SourceIdentity": "false"},
        }
        statements = [
            self._allow("MakeOwnSpaces", _MAKE_SPACES, [spaces], mine),
            self._allow("RunAppsInOwnSpaces", _RUN_APPS, [apps], mine),
            self._allow("OpenOwnPlace", ["sagemaker:CreatePresignedDomainUrl"], [self._profile(_MYSELF)]),
            self._allow("SeeOwnProfile", ["sagemaker:DescribeUserProfile"], [self._profile(_MYSELF)]),
            self._allow("SeeTheDomain", ["sagemaker:DescribeDomain"], [self._arn("domain")]),
            self._allow(
                "SeeSpacesAndApps", ["sagemaker:DescribeApp", "sagemaker:DescribeSpace"], [spaces, apps]
            ),
            self._allow(
                "ListPlaces",
                [
                    "sagemaker:ListApps",
                    "sagemaker:ListDomains",
                    "sagemaker:ListSpaces",
                    "sagemaker:ListUserProfiles",
                ],
                ["*"],
            ),
            # Studio tags what it makes.
            self._allow(
                "TagWhatIsMade",
                ["sagemaker:AddTags"],
                [spaces, apps],
                {"Null": {"sagemaker:TaggingAction": "false"}},
            ),
            self._deny("NobodyElsesSpaces", [*_MAKE_SPACES, *_RUN_APPS], [spaces, apps], others),
        ]
        wildcards = [spaces, apps]
        if shared_spaces:
            # By their names: a pattern would hold those of a team whose name goes on where this one's ends.
            of_team = [self._arn("app", f"{name}/*") for name in shared_spaces]
            wildcards += of_team
            statements.append(
                self._allow(
                    "RunAppsInSharedSpaces", _RUN_APPS, of_team, {"StringEquals": {_SHARING: "Shared"}}
                )
            )
        if domain.profiles.canvas:
            own = self._arn("app", f"{_MYSELF}/canvas/*")
            wildcards.append(self._arn("app", "<sagemaker:UserProfileName>/canvas/*"))
            statements.append(self._allow("RunCanvas", _RUN_APPS, [own]))
        self.policy = iam.ManagedPolicy(
            self,
            "Policy",
            description=f"Places in Studio for team {team}",
            statements=statements,
            roles=[role],
        )
        # A managed policy has 6144 characters: the list of types would fill most of one.
        self.limit = iam.ManagedPolicy(
            self,
            "Limit",
            description=f"How large apps in Studio may be, for team {team}",
            statements=[
                self._deny(
                    "NothingTooLarge",
                    ["sagemaker:CreateApp", "sagemaker:CreateSpace", "sagemaker:UpdateSpace"],
                    [spaces, apps],
                    {"ForAnyValue:StringNotEquals": {"sagemaker:InstanceTypes": [*allowed_types, SYSTEM]}},
                )
            ],
            roles=[role],
        )
        acknowledge(
            self.policy,
            ["AwsSolutions-IAM5[Resource::*]"],
            "IAM has no resource for the lists of apps, spaces, profiles and domains; they hold names.",
        )
        acknowledge_wildcards(
            self,
            domain,
            wildcards,
            "Spaces and apps are named when people make them. The pattern holds those of one domain, and "
            "conditions those of one owner, or of one team's shared spaces.",
        )

    def _arn(self, kind: str, name: str | None = None) -> str:
        parts = self._domain_id if name is None else f"{self._domain_id}/{name}"
        return Stack.of(self).format_arn(service="sagemaker", resource=kind, resource_name=parts)

    def _profile(self, name: str) -> str:
        return self._arn("user-profile", name)

    @staticmethod
    def _allow(
        sid: str,
        actions: Sequence[str],
        resources: Sequence[str],
        conditions: dict[str, dict[str, str]] | None = None,
    ) -> iam.PolicyStatement:
        return iam.PolicyStatement(
            sid=sid, actions=list(actions), resources=list(resources), conditions=conditions
        )

    @staticmethod
    def _deny(
        sid: str,
        actions: Sequence[str],
        resources: Sequence[str],
        conditions: Mapping[str, object],
    ) -> iam.PolicyStatement:
        return iam.PolicyStatement(
            sid=sid,
            effect=iam.Effect.DENY,
            actions=list(actions),
            resources=list(resources),
            conditions=dict(conditions),
        )
