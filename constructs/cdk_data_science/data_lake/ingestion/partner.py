"""A third party that may put objects into one folder of a zone."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge_inline_policy, acknowledge_wildcards
from cdk_data_science._validation import ConfigurationError, Problems, is_token
from cdk_data_science.data_lake.zone_folder import ZoneFolder

_PUT = ("s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:PutObject")
_KEY = ("kms:Decrypt", "kms:GenerateDataKey")  # uploads in parts decrypt them
_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::([0-9]{12}):role/[\w+=,.@/-]+")
_ACCOUNT = re.compile(r"[0-9]{12}")
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)
_SHORTEST_ID = 16


class PartnerUpload(Construct):
    """Lets a third party put objects into one folder of a zone, and nothing else: not read, list or delete
    any, its own included.

    Either the partner's own roles upload, whom the bucket and the key admit by name; or a role of this
    account is there for the partner to assume. The latter is what vendors do who work for many customers:
    the external id, which only this partner is told to use for this account, keeps another customer of the
    same vendor from having it write here (the confused deputy). Either way the objects belong to this
    account, are encrypted with the zone's key, and come over TLS, since the zone refuses the rest.

    An upload that goes over an older object leaves that as a version, and each one is an event on
    EventBridge.

    **Costs at rest**: nothing.

    ```python
    from cdk_data_science import DataLake, PartnerUpload, ZoneFolder

    lake = DataLake(self, "Lake")
    PartnerUpload(
        self,
        "Acme",
        folder=ZoneFolder(zone=lake.raw, prefix="partners/acme/"),
        roles=["arn:aws:iam::444455556666:role/exporter"],
    )
    PartnerUpload(
        self,
        "Vendor",
        folder=ZoneFolder(zone=lake.raw, prefix="partners/vendor/"),
        account="777788889999",
        external_id="2f9c1d4e-8b7a-4c55-9d3e-61c0a7f0b821",
    )
    ```

    Args:
        folder: Where.
        roles: ARNs of the partner's roles; whole accounts are refused.
        account: The partner's account, whose roles may assume the role that is made here. Needs
            ``external_id``.
        external_id: What the partner says when it assumes the role, 16 characters or more, unique to this
            account; a UUID is a good one. It is no secret.
        organization: The partner's roles have to be in this organization too (``o-…``). Default: not asked.

    Raises:
        ConfigurationError: For principals that are wider than a partner, and for zones whose policies are
            another app's; the message has the statements to add there.

    Follows https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies.html and
    https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html.
    """

    role: iam.Role | None
    """The role that the partner assumes; None where its own roles upload."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        folder: ZoneFolder,
        roles: Sequence[str] = (),
        account: str | None = None,
        external_id: str | None = None,
        organization: str | None = None,
    ) -> None:
        super().__init__(scope, id)
        problems = Problems("PartnerUpload", self)
        _check(problems, roles, account, external_id, organization)
        problems.raise_if_any()
        self._folder = folder
        self._objects = folder.zone.bucket.arn_for_objects(f"{folder.prefix}*")
        conditions = {} if organization is None else {"aws:PrincipalOrgID": organization}
        self.role = None
        if account is not None and external_id is not None:
            self.role = self._make_role(account, external_id, conditions)
        else:
            self._admit(roles, conditions)

    def _make_role(self, account: str, external_id: str, conditions: dict[str, str]) -> iam.Role:
        role = iam.Role(
            self,
            "Role",
            description="A third party puts objects into one folder of the lake with this role",
            assumed_by=iam.AccountPrincipal(account).with_conditions(
                {"StringEquals": {"sts:ExternalId": external_id, **conditions}}
            ),
            max_session_duration=Duration.hours(1),
        )
        acknowledge_inline_policy(role)
        role.add_to_policy(iam.PolicyStatement(actions=list(_PUT), resources=[self._objects]))
        zone = self._folder.zone
        if zone.key is not None:
            zone.key.grant(role, *_KEY)
        acknowledge_wildcards(
            role,
            zone,
            [self._objects],
            "Object keys are not known before they are written. The wildcard stands for the objects of one "
            "folder, which may be put and not read.",
        )
        return role

    def _admit(self, roles: Sequence[str], conditions: dict[str, str]) -> None:
        """In the policies of the bucket and its key: another account's roles have both to admit them."""
        zone = self._folder.zone
        principals = [iam.ArnPrincipal(arn) for arn in roles]
        bucket = iam.PolicyStatement(
            sid=f"Upload{self.node.addr[-8:]}",
            principals=list(principals),
            actions=list(_PUT),
            resources=[self._objects],
            conditions={"StringEquals": conditions} if conditions else None,
        )
        added = zone.bucket.add_to_resource_policy(bucket).statement_added
        if zone.key is not None:
            added = self._admit_to_key(zone.key, principals, conditions) and added
        if not added:
            raise ConfigurationError(
                f"{self.node.path}: given zone {zone.name!r}, whose bucket or key belongs to another app; "
                "allowed: a partner where both are made, since their policies have to admit it; write: "
                "PartnerUpload(…) in the app of the lake, or account=…, external_id=…"
            )

    def _admit_to_key(
        self, key: kms.IKey, principals: Sequence[iam.IPrincipal], conditions: dict[str, str]
    ) -> bool:
        through = {"kms:ViaService": f"s3.{Stack.of(self._folder.zone).region}.amazonaws.com"}
        return key.add_to_resource_policy(
            iam.PolicyStatement(
                sid=f"Upload{self.node.addr[-8:]}",
                principals=list(principals),
                actions=list(_KEY),
                resources=["*"],
                conditions={"StringEquals": {**through, **conditions}},
            ),
            allow_no_op=True,
        ).statement_added


def _check(
    problems: Problems,
    roles: Sequence[str],
    account: str | None,
    external_id: str | None,
    organization: str | None,
) -> None:
    problems.check_list("roles", roles)
    problems.raise_if_any()
    problems.check(
        bool(roles) != (account is not None),
        given=f"{len(roles)} roles, account={account!r}",
        allowed="the partner's own roles, or its account with an external id",
        write='roles=["arn:aws:iam::444455556666:role/exporter"]',
    )
    for arn in roles:
        problems.check(
            is_token(arn) or bool(_ROLE_ARN.fullmatch(arn)),
            given=f"role {arn!r}",
            allowed="the ARN of one role: with a whole account, anybody whom it admits could write",
            write='"arn:aws:iam::444455556666:role/exporter"',
        )
    problems.check(
        account is None or is_token(account) or bool(_ACCOUNT.fullmatch(account)),
        given=f"account={account!r}",
        allowed="12 digits",
    )
    problems.check(
        (account is None) == (external_id is None),
        given="account and external_id apart",
        allowed="both: without an external id, another customer of the same vendor could have it write here",
        write='external_id="…", a UUID of your own',
    )
    problems.check(
        external_id is None
        or is_token(external_id)
        or (len(external_id) >= _SHORTEST_ID and bool(_EXTERNAL_ID.fullmatch(external_id))),
        given=f"external_id of {len(external_id or '')} characters",
        allowed=f"{_SHORTEST_ID} to 1224 letters, digits and _ + = , . @ : / -",
        write="a UUID",
    )
    problems.check(
        organization is None or is_token(organization) or organization.startswith("o-"),
        given=f"organization={organization!r}",
        allowed="the id of an organization, o-…",
    )
