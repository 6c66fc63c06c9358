"""The optional jobs, crawlers, copies and workgroup of the platform, judged by every check."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from cdk_data_science import ConfigurationError
from cdk_data_science.cost import at_rest, prices
from settings.model import FOLDER, Settings, SettingsError, load
from stacks import checks
from stacks.platform import compose
from tests.compliance import test_boundaries as boundaries
from tests.compliance import test_cfn_lint as cfn_lint
from tests.compliance.assembly import Assembly
from tests.constructs import support

STACK = "ds-dev-etl"
DEV = (FOLDER / "dev.toml").read_text(encoding="utf-8")
SMALL = "\n".join(
    [
        'alert_emails = ["data-platform@example.com"]',
        '[platform]\nname = "ds-dev"',
        '[tags]\nbusiness-unit = "r"\napplication = "a"\nenvironment = "dev"\nowner = "o"',
    ]
)
JOB = '[etl.jobs.clean]\nscript = "app.py"\n'
FULL = f"""
[security]
[cost]
monthly_limit_usd = 100
[lake.tables.reviews]
zone = "curated"
columns = {{ review_id = "string", stars = "int" }}

{JOB}reads = ["raw/reviews/"]
writes = ["curated.reviews"]
arguments = {{ table = "reviews" }}
workers = 4
bookmarks = true
schedule = "cron(15 4 * * ? *)"
time_zone = "Europe/Berlin"

[etl.crawlers.partner]
folders = ["raw/partner/", "raw/shop/"]
schedule = "cron(30 4 * * ? *)"

[etl.copies.shop]
bucket = "shop-exports"
prefix = "orders/"
to = "raw/shop/orders/"

[etl.workgroup]
query_limit_gb = 10
"""


def settings(folder: Path, table: str) -> Settings:
    (folder / "dev.toml").write_text(f"{SMALL}\n{table}", encoding="utf-8")
    return load("dev", folder=folder)


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    # GIVEN a small platform with all of it, judged by the packs and by our rules
    folder = tmp_path_factory.mktemp("etl")
    app = support.app(outdir=folder / "cdk.out")
    compose(app, settings(folder, FULL))
    checks.attach(app)
    app.synth()
    return Assembly(Path(app.outdir))


def resources(assembly: Assembly, type: str) -> list[dict[str, Any]]:
    found = assembly.templates[STACK]["Resources"].values()
    return [each["Properties"] for each in found if each["Type"] == type]


def test_without_the_table_there_is_nothing_of_it(tmp_path: Path) -> None:
    assert "[etl" not in DEV
    names = [stack.stack_name for stack in compose(support.app(outdir=tmp_path), settings(tmp_path, ""))]
    assert names == ["ds-dev-lake"]


def test_it_is_what_the_settings_say(assembly: Assembly) -> None:
    (job,) = resources(assembly, "AWS::Glue::Job")
    assert (job["NumberOfWorkers"], job["WorkerType"], job["Timeout"]) == (4, "G.1X", 120)
    assert job["DefaultArguments"]["--table"] == "reviews"
    assert job["DefaultArguments"]["--job-bookmark-option"] == "job-bookmark-enable"
    (crawler,) = resources(assembly, "AWS::Glue::Crawler")
    assert len(crawler["Targets"]["S3Targets"]) == 2
    (task,) = resources(assembly, "AWS::DataSync::Task")
    assert task["TaskMode"] == "ENHANCED"
    (workgroup,) = resources(assembly, "AWS::Athena::WorkGroup")
    assert workgroup["Name"] == "ds-dev"
    assert workgroup["WorkGroupConfiguration"]["BytesScannedCutoffPerQuery"] == 10_000_000_000
    schedules = {
        (each["ScheduleExpression"], each["ScheduleExpressionTimezone"])
        for each in resources(assembly, "AWS::Scheduler::Schedule")
    }
    assert schedules == {("cron(15 4 * * ? *)", "Europe/Berlin"), ("cron(30 4 * * ? *)", "UTC")}


def test_it_changes_nothing_in_the_stack_that_holds_the_data(assembly: Assembly, tmp_path: Path) -> None:
    app = support.app(outdir=tmp_path)
    lake = compose(app, settings(tmp_path, FULL.partition("[etl")[0]))[0]
    alone = support.resources(lake)
    # what other stacks refer to is published in outputs, and nothing else of the template changes
    assert assembly.templates["ds-dev-lake"]["Resources"] == alone


def test_failures_are_told_by_the_platforms_topic(assembly: Assembly) -> None:
    assert resources(assembly, "AWS::SNS::Topic") == []
    assert resources(assembly, "AWS::KMS::Key") != []  # of the workgroup's results alone
    rules = resources(assembly, "AWS::Events::Rule")
    assert sorted(each["EventPattern"]["source"][0] for each in rules) == ["aws.datasync", "aws.glue"]


def test_no_check_finds_anything(assembly: Assembly) -> None:
    assert cfn_lint.problems(assembly.templates[STACK]) == []
    left = [
        f"{violation['ruleName']} at {construct['constructPath']}"
        for plugin in assembly.report["pluginReports"]
        for violation in plugin["violations"]
        for construct in violation["violatingConstructs"]
        if construct["constructPath"].startswith(STACK)
    ]
    assert left == []


def test_every_boundary_holds_what_its_role_may_do(assembly: Assembly) -> None:
    template = assembly.templates[STACK]
    roles = boundaries.roles(template)
    assert len(roles) >= 6
    assert {role: boundaries.missing(template, role) for role in roles} == {role: set() for role in roles}


def test_what_it_costs_at_rest_is_known(assembly: Assembly) -> None:
    lines = [line for line in at_rest.assembly_lines(assembly.folder, prices.load()) if line.stack == STACK]
    assert [line for line in lines if line.monthly_usd is None] == []
    assert sum(line.monthly_usd or 0 for line in lines) < 3


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("[etl]\n", "the table is empty"),
        (JOB + "worker = 1\n", "etl.jobs.clean.worker: unknown key"),
        (JOB + 'reads = ["raw"]\n', "etl.jobs.clean.reads"),
        (JOB + 'reads = ["bronze/in/"]\n', "etl.jobs.clean.reads"),
        (JOB + 'schedule = "rate(1 day)"\n', "etl.jobs.clean.schedule"),
        ('[etl.crawlers.a]\nfolders = ["raw/a/", "curated/b/"]\n', "the database of one zone"),
        ('[etl.copies.a]\nbucket = "x"\nto = "raw/a/"\n', "etl.copies.a.bucket"),
        ('[etl.copies.a]\nbucket = "shop-exports"\nto = "raw.a"\n', "etl.copies.a.to"),
        ("[etl.workgroup]\nquery_limit_gb = 0\n", "etl.workgroup.query_limit_gb"),
    ],
)
def test_settings_that_cannot_be_are_told(tmp_path: Path, table: str, expected: str) -> None:
    with pytest.raises(SettingsError) as failure:
        settings(tmp_path, table)
    assert expected in str(failure.value)


def test_somebody_has_to_hear_of_failed_jobs(tmp_path: Path) -> None:
    (tmp_path / "dev.toml").write_text(f"{SMALL.partition(chr(10))[2]}\n{JOB}", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"alert_emails is missing.*'etl'"):
        load("dev", folder=tmp_path)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (JOB + 'writes = ["curated.orders"]\n', r"write: \[lake.tables.orders\]"),
        (JOB.replace("app.py", "no/such.py"), "a file that is there"),
        (JOB + 'schedule = "cron(* * * * ? *)"\n', "at least 5 minutes"),
        (JOB + 'glue_version = "3.0"\n', "4.0 or newer"),
    ],
)
def test_what_only_the_constructs_know_is_told(tmp_path: Path, table: str, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        compose(cdk.App(outdir=str(tmp_path / "cdk.out")), settings(tmp_path, table))
