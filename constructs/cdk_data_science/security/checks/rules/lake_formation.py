"""Lake Formation: what governs the catalog, and grants that mean what they say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cdk_data_science.security.checks.expectations import but, disabled, example
from cdk_data_science.security.checks.intrinsics import UNKNOWN
from cdk_data_science.security.checks.rule import Problem, Rule, Severity, cloudformation, guide
from cdk_data_science.security.checks.templates import Resource, as_list, walk

_SETTINGS = "AWS::LakeFormation::DataLakeSettings"
_GRANTS = ("AWS::LakeFormation::PrincipalPermissions", "AWS::LakeFormation::Permissions")
_LOCATION = "AWS::LakeFormation::Resource"
EVERYBODY = "IAM_ALLOWED_PRINCIPALS"
_TABLE_RIGHTS = {"SELECT", "INSERT", "DELETE"}

_settings = example(
    _SETTINGS,
    Admins=[{"DataLakePrincipalIdentifier": "arn:aws:iam::111122223333:role/admin"}],
    CreateDatabaseDefaultPermissions=[],
    CreateTableDefaultPermissions=[],
)
_grant = example(
    _GRANTS[0],
    Principal={"DataLakePrincipalIdentifier": "arn:aws:iam::111122223333:role/scientist"},
    Resource={"Table": {"CatalogId": "111122223333", "DatabaseName": "curated", "TableWildcard": {}}},
    Permissions=["SELECT"],
    PermissionsWithGrantOption=[],
)
_location = example(
    _LOCATION,
    ResourceArn="arn:aws:s3:::lake",
    UseServiceLinkedRole=False,
    RoleArn="arn:aws:iam::111122223333:role/lake",
)


def _defaults(settings: Resource) -> Iterator[Problem]:
    for name in ("CreateDatabaseDefaultPermissions", "CreateTableDefaultPermissions"):
        value = settings.get(name)
        if value is UNKNOWN:
            yield Problem(at=name, uncertain=True)
        elif EVERYBODY in walk(value):
            yield Problem(at=name)


def _principal(grant: Resource) -> Any:
    return grant.get("Principal.DataLakePrincipalIdentifier") or grant.get(
        "DataLakePrincipal.DataLakePrincipalIdentifier"
    )


def _to_everybody(grant: Resource) -> Iterator[Problem]:
    name = "Principal" if grant.type == _GRANTS[0] else "DataLakePrincipal"
    principal = _principal(grant)
    if principal is UNKNOWN:
        yield Problem(at=name, uncertain=True)
    elif principal == EVERYBODY:
        yield Problem(at=name)


def _odd_table(grant: Resource) -> Iterator[Problem]:
    for kind in ("Table", "TableResource", "TableWithColumns", "TableWithColumnsResource"):
        if grant.get(f"Resource.{kind}.Name") == "*":
            yield Problem(at=f"Resource.{kind}.Name")


_DATABASES = ("Database", "DatabaseResource")


def _table_right_on_database(grant: Resource) -> Iterator[Problem]:
    database = any(grant.get(f"Resource.{kind}") not in (None, UNKNOWN) for kind in _DATABASES)
    rights = sorted({str(right) for right in as_list(grant.get("Permissions"))} & _TABLE_RIGHTS)
    if database and rights:
        yield Problem(
            at="Permissions",
            said=f"It gives {', '.join(rights)} on a database, which has no such right",
        )


def _everything(grant: Resource) -> Iterator[Problem]:
    for name in ("Permissions", "PermissionsWithGrantOption"):
        value = grant.get(name)
        if value is UNKNOWN:
            yield Problem(at=name, uncertain=True)
        elif {"ALL", "SUPER_USER"} & {str(right) for right in as_list(value)}:
            yield Problem(at=name)


def _handed_on(grant: Resource) -> Iterator[Problem]:
    value = grant.get("PermissionsWithGrantOption")
    if value is UNKNOWN:
        yield Problem(at="PermissionsWithGrantOption", uncertain=True)
    elif value:
        yield Problem(at="PermissionsWithGrantOption")


def _outside_engines(settings: Resource) -> Iterator[Problem]:
    for name in ("AllowExternalDataFiltering", "AllowFullTableExternalDataAccess"):
        yield from disabled(name)(settings)


RULES = (
    Rule(
        id="DataScience-LF1",
        title="New databases and tables are governed by Lake Formation",
        fails="Everybody whom IAM allows gets all permissions on new databases or tables",
        why="Grants, column filters and row filters then have no effect on them.",
        fix="Set the default permissions to empty lists",
        severity=Severity.ERROR,
        follows=(guide("lake-formation/latest/dg/change-settings"),),
        types=(_SETTINGS,),
        check=_defaults,
        compliant=_settings,
        noncompliant=but(
            _settings,
            CreateTableDefaultPermissions=[
                {"Permissions": ["ALL"], "Principal": {"DataLakePrincipalIdentifier": EVERYBODY}}
            ],
        ),
    ),
    Rule(
        id="DataScience-LF2",
        title="No grant to everybody whom IAM allows",
        fails="The grant is to IAMAllowedPrincipals",
        why="It switches Lake Formation off for what it grants on: IAM policies alone decide there.",
        fix="Grant to roles",
        severity=Severity.ERROR,
        follows=(guide("lake-formation/latest/dg/change-settings"),),
        types=_GRANTS,
        check=_to_everybody,
        compliant=_grant,
        noncompliant=but(_grant, Principal__DataLakePrincipalIdentifier=EVERYBODY),
    ),
    Rule(
        id="DataScience-LF3",
        title="A grant on all tables says so",
        fails="The grant is on a table that is named '*'",
        why="There is no such table: the grant fails, or gives nothing.",
        fix="Write TableWildcard: {} in place of the name",
        severity=Severity.ERROR,
        follows=(cloudformation("aws-properties-lakeformation-principalpermissions-tableresource"),),
        types=_GRANTS,
        check=_odd_table,
        compliant=_grant,
        noncompliant=but(
            _grant,
            Resource={"Table": {"CatalogId": "111122223333", "DatabaseName": "curated", "Name": "*"}},
        ),
    ),
    Rule(
        id="DataScience-LF4",
        title="Rights on tables are granted on tables",
        fails="The grant gives a right of tables on a database",
        why="A database has no such right: the grant is refused, and readers read nothing.",
        fix="Grant DESCRIBE on the database and the rest on its tables, by TableWildcard if all are meant",
        severity=Severity.ERROR,
        follows=(guide("lake-formation/latest/dg/lake-formation-permissions"),),
        types=_GRANTS,
        check=_table_right_on_database,
        compliant=_grant,
        noncompliant=but(_grant, Resource={"Database": {"CatalogId": "111122223333", "Name": "curated"}}),
    ),
    Rule(
        id="DataScience-LF5",
        title="A grant names its rights",
        fails="The grant gives all rights",
        why="Whoever has it may drop the data, and what is added to the service later is granted too.",
        fix="Name the rights that are needed: SELECT, DESCRIBE, INSERT …",
        severity=Severity.WARNING,
        follows=(guide("lake-formation/latest/dg/lake-formation-permissions"),),
        types=_GRANTS,
        check=_everything,
        compliant=_grant,
        noncompliant=but(_grant, Permissions=["ALL"]),
    ),
    Rule(
        id="DataScience-LF6",
        title="Rights cannot be handed on",
        fails="Whoever has the grant may grant it to others",
        why="Who can read the data is then no longer told by the templates.",
        fix="Leave PermissionsWithGrantOption empty, and grant here what others need",
        severity=Severity.WARNING,
        follows=(guide("lake-formation/latest/dg/lake-formation-permissions"),),
        types=_GRANTS,
        check=_handed_on,
        compliant=_grant,
        noncompliant=but(_grant, PermissionsWithGrantOption=["SELECT"]),
    ),
    Rule(
        id="DataScience-LF7",
        title="No query engine is trusted to filter the data itself",
        fails="EMR clusters and engines of others may read data that they then have to filter",
        why="Column and row filters hold only as well as such an engine applies them.",
        fix="Leave AllowExternalDataFiltering and AllowFullTableExternalDataAccess off",
        severity=Severity.WARNING,
        follows=(
            guide("lake-formation/latest/dg/full-table-credential-vending"),
            guide("lake-formation/latest/dg/using-cred-vending"),
        ),
        types=(_SETTINGS,),
        check=_outside_engines,
        compliant=_settings,
        noncompliant=but(_settings, AllowFullTableExternalDataAccess=True),
    ),
    Rule(
        id="DataScience-LF8",
        title="A registered location is governed by Lake Formation alone",
        fails="The location is registered in hybrid access mode",
        why="Principals who have not been opted in still read it by their IAM policies, past every filter.",
        fix="Set HybridAccessEnabled to false once the readers have their grants",
        severity=Severity.WARNING,
        follows=(cloudformation("aws-resource-lakeformation-resource"),),
        types=(_LOCATION,),
        check=disabled("HybridAccessEnabled"),
        compliant=_location,
        noncompliant=but(_location, HybridAccessEnabled=True),
    ),
)
