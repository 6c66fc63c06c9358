"""Who may select what of the lake. Nothing here holds data; taking it down takes permissions away."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science import DataLake, LakePrincipal, LakeTag
from settings.access import Access, Grant, Tag
from stacks import checks, places


class AccessStack(cdk.Stack):
    """LF-tags and grants, as far as the settings name them."""

    def __init__(
        self, scope: Construct, id: str, *, access: Access, lake: DataLake, env: cdk.Environment
    ) -> None:
        super().__init__(scope, id, env=env, description="Access: tags of the lake, and who may select what")
        self._lake = lake
        self._tags = {key: self._tag(key, tag) for key, tag in access.tags.items()}
        for name, grant in access.grants.items():
            self._grant(name, grant)

    def _tag(self, key: str, tag: Tag) -> LakeTag:
        made = LakeTag(self, f"Tag-{key}", key=key, values=tag.values)
        for zone, value in tag.zones.items():
            made.assign(value, self._lake.zone(zone))
        for name, value in tag.tables.items():
            made.assign(value, places.table(self._lake, name, f"access.tags.{key}.tables"))
        for name, value in tag.columns.items():
            table, _, column = name.rpartition(".")
            made.assign_columns(
                value, places.table(self._lake, table, f"access.tags.{key}.columns"), [column]
            )
        return made

    def _grant(self, name: str, grant: Grant) -> None:
        grantee = self._grantee(name, grant)
        for table in grant.tables:
            places.table(self._lake, table, f"access.grants.{name}.tables").grant_select(
                grantee,
                columns=grant.columns or None,
                excluded_columns=grant.excluded_columns or None,
                row_filter=grant.rows,
            )
        if grant.tags:
            (key, values), *more = grant.tags.items()
            self._tags[key].grant_select(
                grantee,
                values,
                also={self._tags[other]: wanted for other, wanted in more},
                zones=[self._lake.zone(zone) for zone in grant.zones],
            )

    def _grantee(self, name: str, grant: Grant) -> iam.IGrantable:
        if grant.identity_group is not None:
            return LakePrincipal.identity_group(grant.identity_group).within(self)
        if grant.saml_group is not None and grant.saml_provider is not None:
            return LakePrincipal.saml_group(grant.saml_provider, grant.saml_group).within(self)
        role = iam.Role.from_role_arn(self, places.id_of("Grantee", name), grant.role or "")
        checks.accept_inline_policy(
            role,
            "The role is somebody else's; its permission on the lake is a policy of its own here, which goes "
            "with the grant.",
        )
        return role
