"""The table ``[access]``: who may select what of the lake, by tables, columns, rows and tags."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from settings.places import Entries, LakeTable
from settings.section import Section

_PROVIDER = r"^arn:aws[a-z-]*:iam::\d{12}:saml-provider/.+$"

ZoneName = Literal["raw", "curated", "features", "models"]
Value = Annotated[str, Field(pattern=r"^[a-z0-9 _.:*/=+@%-]{1,256}$")]
Key = Annotated[str, Field(pattern=r"^[a-z0-9 _.:/=+@%-]{1,128}$")]
TableColumn = Annotated[str, Field(pattern=r"^(raw|curated|features|models)(\.[a-z][a-z0-9_]*){2}$")]
"""A column of a table: ``curated.reviews.email``."""


class Tag(Section):
    """An LF-tag, ``[access.tags.<key>]``: what it may be, and what has it."""

    values: Annotated[tuple[Value, ...], Field(min_length=1)]
    zones: dict[ZoneName, Value] = Field({})
    """Values of databases, which all their tables have from them."""
    tables: dict[LakeTable, Value] = Field({})
    """Values of tables of ``[lake.tables]``, in place of that of their database."""
    columns: dict[TableColumn, Value] = Field({})
    """Values of columns, in place of that of their table."""


class Grant(Section):
    """Who may select what, ``[access.grants.<name>]``. Each grantee is one of the first three."""

    role: Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/.+$")] | None = None
    """The ARN of a role of this account. It gets S3, KMS, Glue and Lake Formation."""
    identity_group: str | None = None
    """The id of a group in IAM Identity Center. It gets Lake Formation."""
    saml_group: str | None = None
    """A group of the SAML provider ``saml_provider``. It gets Lake Formation."""
    saml_provider: Annotated[str, Field(pattern=_PROVIDER)] | None = None
    tables: tuple[LakeTable, ...] = ()
    """Tables of ``[lake.tables]``."""
    columns: tuple[str, ...] = ()
    """Of one table: these columns alone."""
    excluded_columns: tuple[str, ...] = ()
    """Of one table: all columns but these."""
    rows: Annotated[str, Field(min_length=1, max_length=2047)] | None = None
    """Of one table: the rows for which this holds, such as ``country = 'DE'``."""
    tags: dict[Key, Annotated[tuple[Value, ...], Field(min_length=1)]] = Field({})
    """In place of tables: whatever has one of these values for each of these tags."""
    zones: tuple[ZoneName, ...] = ()
    """With ``tags``: the databases where the grantee may look."""

    @model_validator(mode="after")
    def _it_has_one_grantee(self) -> Grant:
        given = [self.role, self.identity_group, self.saml_group]
        if sum(each is not None for each in given) != 1:
            raise ValueError("name one of role, identity_group and saml_group")
        if (self.saml_group is None) != (self.saml_provider is None):
            raise ValueError("saml_group and saml_provider belong together")
        return self

    @model_validator(mode="after")
    def _it_grants_something(self) -> Grant:
        if bool(self.tables) == bool(self.tags):
            raise ValueError("name either tables or tags")
        if bool(self.tags) != bool(self.zones):
            raise ValueError("tags and zones belong together: zones are the databases to look in")
        if (self.columns or self.excluded_columns or self.rows) and len(self.tables) != 1:
            raise ValueError("columns, excluded_columns and rows are of one table: name one")
        return self


class Access(Section):
    """Permissions on the lake. They cost nothing. Filters, groups and tags need ``lake.governed``."""

    tags: dict[Key, Tag] = Field({})
    grants: Entries[Grant] = Field({})

    @model_validator(mode="after")
    def _tags_are_known(self) -> Access:
        for name, grant in self.grants.items():
            unknown = sorted(set(grant.tags) - set(self.tags))
            if unknown:
                raise ValueError(
                    f"grants.{name} has tags {unknown}, but [access.tags] has {sorted(self.tags)}"
                )
        if not self.tags and not self.grants:
            raise ValueError("the table is empty: name tags or grants")
        return self

    def check_lake(self, *, governed: bool, account: str | None) -> None:
        """Refuse what nothing would apply, and roles that no policy of this account reaches."""
        for name, grant in self.grants.items():
            if grant.role is not None and account is not None and grant.role.split(":")[4] != account:
                raise ValueError(
                    f"access.grants.{name}.role is {grant.role}, but platform.account is {account}: a "
                    "role of another account gets nothing by policies of this one"
                )
        if governed:
            return
        alone = {f"access.tags.{key}": "a tag" for key in self.tags}
        for name, grant in self.grants.items():
            if grant.role is None:
                alone[f"access.grants.{name}"] = "a group"
            elif grant.columns or grant.excluded_columns or grant.rows:
                alone[f"access.grants.{name}"] = "a filter"
        if alone:
            told = ", ".join(f"{where} ({what})" for where, what in alone.items())
            raise ValueError(
                f"Lake Formation alone knows {told}, and here IAM decides, so that nothing would apply: "
                "write governed = true in [lake]"
            )
