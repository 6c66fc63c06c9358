"""Who may select what of the lake, by the settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cdk_data_science import ConfigurationError
from settings.model import SettingsError
from stacks.platform import compose
from tests.compliance import test_cfn_lint as cfn_lint
from tests.compliance.assembly import Assembly
from tests.constructs import support
from tests.stacks.small import judged, settings

STACK = "ds-dev-access"
ANALYST = "arn:aws:iam::111122223333:role/analyst"
GROUP = "a4b5c6d7-1111-2222-3333-444455556666"
SMALL = """
[platform]
name = "ds-dev"
account = "111122223333"
region = "us-east-1"
[tags]
business-unit = "r"
application = "a"
environment = "dev"
owner = "o"
[lake.tables.reviews]
zone = "curated"
columns = { review_id = "string", email = "string", stars = "int" }
"""
GRANT = f"""
[access.grants.analysts]
role = "{ANALYST}"
tables = ["curated.reviews"]
"""
FULL = f"""
[lake]
governed = true
{GRANT}
excluded_columns = ["email"]
rows = "stars > 3"
[access.grants.people]
identity_group = "{GROUP}"
tags = {{ sensitivity = ["public"], domain = ["sales"] }}
zones = ["curated"]
[access.tags.sensitivity]
values = ["public", "personal"]
zones = {{ curated = "public" }}
columns = {{ "curated.reviews.email" = "personal" }}
[access.tags.domain]
values = ["sales"]
tables = {{ "curated.reviews" = "sales" }}
"""


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    # GIVEN the lake and who may select, judged by the packs and by our rules: a finding fails it
    return judged(tmp_path_factory.mktemp("access"), FULL, text=SMALL)


def of_type(assembly: Assembly, type: str) -> list[dict[str, Any]]:
    found = assembly.templates[STACK]["Resources"].values()
    return [each["Properties"] for each in found if each["Type"] == type]


def test_a_role_selects_the_cells_that_the_settings_name(assembly: Assembly) -> None:
    (cells,) = of_type(assembly, "AWS::LakeFormation::DataCellsFilter")
    assert cells["RowFilter"] == {"FilterExpression": "stars > 3"}
    assert cells["ColumnWildcard"] == {"ExcludedColumnNames": ["email"]}
    permissions = of_type(assembly, "AWS::LakeFormation::PrincipalPermissions")
    granted = {
        (each["Principal"]["DataLakePrincipalIdentifier"], *each["Permissions"])
        for each in permissions
        if "DataCellsFilter" in each["Resource"]
    }
    assert granted == {(ANALYST, "SELECT")}
    # AND nothing of S3, by which the filter could be gone around
    policies = json.dumps(of_type(assembly, "AWS::IAM::Policy"))
    assert "glue:GetTable" in policies
    assert "s3:GetObject" not in policies


def test_a_group_selects_by_tags_and_is_in_no_policy(assembly: Assembly) -> None:
    permissions = of_type(assembly, "AWS::LakeFormation::PrincipalPermissions")
    (by_tag,) = [each for each in permissions if "LFTagPolicy" in each["Resource"]]
    assert GROUP in json.dumps(by_tag["Principal"])
    expression = by_tag["Resource"]["LFTagPolicy"]["Expression"]
    assert {(each["TagKey"], *each["TagValues"]) for each in expression} == {
        ("sensitivity", "public"),
        ("domain", "sales"),
    }
    assert GROUP not in json.dumps(of_type(assembly, "AWS::IAM::Policy"))


def test_databases_tables_and_columns_have_their_values(assembly: Assembly) -> None:
    found = of_type(assembly, "AWS::LakeFormation::TagAssociation")
    assert sorted(
        (next(iter(each["Resource"])), each["LFTags"][0]["TagKey"], *each["LFTags"][0]["TagValues"])
        for each in found
    ) == [
        ("Database", "sensitivity", "public"),
        ("Table", "domain", "sales"),
        ("TableWithColumns", "sensitivity", "personal"),
    ]


def test_the_lake_has_no_implicit_permission_and_no_resource_of_this(assembly: Assembly) -> None:
    lake = assembly.templates["ds-dev-lake"]["Resources"].values()
    (location, *_) = [each for each in lake if each["Type"] == "AWS::LakeFormation::Resource"]
    assert location["Properties"].get("HybridAccessEnabled", False) is False
    for grantee in (ANALYST, GROUP):
        assert grantee not in json.dumps(assembly.templates["ds-dev-lake"])
    assert cfn_lint.problems(assembly.templates[STACK]) == []


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("[access]\n", "the table is empty"),
        (GRANT.replace("role =", "roles ="), "access.grants.analysts.roles: unknown key"),
        (GRANT.replace("curated.reviews", "reviews"), "access.grants.analysts.tables"),
        (GRANT + 'identity_group = "g"\n', "name one of role, identity_group and saml_group"),
        (GRANT.replace("role =", "saml_group ="), "saml_group and saml_provider belong together"),
        (GRANT.replace('["curated.reviews"]', "[]"), "name either tables or tags"),
        (GRANT.replace("]\nrole", "]\nrows = 'a = 1'\nrole").replace('s"]', 's", "raw.a"]'), "of one table"),
        (GRANT.replace('tables = ["curated.reviews"]', 'tags = { a = ["b"] }'), "belong together"),
        (
            GRANT.replace('tables = ["curated.reviews"]', 'tags = { a = ["b"] }\nzones = ["raw"]'),
            "has tags ['a'], but [access.tags] has []",
        ),
        ('[access.tags.a]\nvalues = ["Public"]\n', "access.tags.a.values.0"),
        ("[lake]\ngoverned = true\nlake_formation = false\n", "leave one of the two out"),
        (GRANT + "excluded_columns = ['email']\n", "access.grants.analysts (a filter)"),
        (GRANT.replace(f'role = "{ANALYST}"', f'identity_group = "{GROUP}"'), "analysts (a group)"),
        ("[access.tags.a]\nvalues = ['b']\n", "access.tags.a (a tag), and here IAM decides"),
        (GRANT.replace("::111122223333", "::444455556666"), "platform.account is 111122223333"),
        (GRANT + GRANT.replace("analysts", "Analysts"), "'analysts' and 'Analysts' differ by"),
        (
            "[containers.repositories.a-1]\n[containers.repositories.a1]\n",
            "containers.repositories: 'a-1' and 'a1' differ by",
        ),
        ('[lake.zones.raw]\narchive_depth = "deep"\n', "archive_depth is given, but archive_days is not"),
        ('[lake.zones.raw]\nlock_mode = "compliance"\n', "lock_mode is given, but lock_days is not"),
        # an entry that is called as a key of its table
        (
            "[etl.crawlers.folders]\nfolder = 1\n",
            "etl.crawlers.folders.folder: unknown key; allowed here: folders",
        ),
    ],
)
def test_settings_that_cannot_be_are_told(tmp_path: Path, table: str, expected: str) -> None:
    with pytest.raises(SettingsError) as failure:
        settings(tmp_path, table, text=SMALL)
    assert expected in str(failure.value)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (f"[lake]\ngoverned = true\n{GRANT}columns = ['mail']\n", "columns with 'mail'"),
        (GRANT.replace("curated.reviews", "raw.reviews"), "access.grants.analysts.tables: given table"),
        (
            "[lake]\ngoverned = true\n[access.tags.a]\nvalues = ['b']\nzones = { raw = 'c' }\n",
            "a with 'c'; allowed: b",
        ),
    ],
)
def test_what_only_the_constructs_know_is_told(tmp_path: Path, table: str, expected: str) -> None:
    app = support.app(outdir=tmp_path / "cdk.out")
    with pytest.raises(ConfigurationError) as failure:
        compose(app, settings(tmp_path, table, text=SMALL))
    assert expected in str(failure.value)
