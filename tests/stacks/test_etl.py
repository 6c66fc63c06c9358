"""What the optional table [etl] and the partners of the lake make of the platform, judged by every check."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from cdk_data_science import ConfigurationError
from cdk_data_science.cost import at_rest, prices
from settings.model import FOLDER, SettingsError, load
from stacks.platform import compose
from tests.compliance import test_boundaries as boundaries
from tests.compliance import test_cfn_lint as cfn_lint
from tests.compliance.assembly import Assembly
from tests.constructs import support
from tests.constructs.security.simulator import Simulator
from tests.stacks.small import SMALL, judged, settings

STACK = "ds-dev-etl"
DEV = (FOLDER / "dev.toml").read_text(encoding="utf-8")
JOB = '[etl.jobs.clean]\nscript = "app.py"\n'
NETWORK = """
[network]
zones = ["us-east-1a", "us-east-1b"]
features = ["logging", "query", "secrets"]
"""
CONNECTION = """
[etl.connections.orders]
url = "jdbc:postgresql://orders.internal:5432/shop"
secret_arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:orders-reader-a1B2c3"
key_arn = "arn:aws:kms:us-east-1:111122223333:key/of-the-secret"
reach = "sg-0123456789abcdef0"
"""
STREAM = """
[etl.streams.clicks]
script = "app.py"
stream_arn = "arn:aws:kinesis:us-east-1:111122223333:stream/clicks"
checkpoints = "raw/checkpoints/clicks/"
writes = ["raw/clicks/"]
"""
PROFILE = """
[etl.profiles.reviews]
table = "curated.reviews"
output = "features/profiles/reviews/"
"""
RECIPE = """
[etl.recipes.tidy]
table = "curated.reviews"
output = "features/tidy/"
steps = [{ operation = "TRIM", parameters = { sourceColumn = "review_id" } }]
"""
COPY = '[etl.copies.a]\nbucket = "shop-exports"\nto = "raw/a/"\n'
TABLE = """
[lake.tables.reviews]
zone = "curated"
columns = { review_id = "string", stars = "int" }
"""
FULL = f"""
[security]
[cost]
monthly_limit_usd = 100
{NETWORK}{TABLE}
[lake]
encrypt_catalog = true
[lake.tables.history]
zone = "curated"
format = "iceberg"
columns = {{ id = "string", at = "timestamp" }}
field_ids = {{ id = 1, at = 2 }}
snapshot_days = 730
[lake.zones.raw]
intelligent_tiering_days = "never"
infrequent_access_days = 30
archive_days = 90
expire_days = 400
expire_folders = {{ "tmp/" = 1 }}
noncurrent_expire_days = 30
inventory = "weekly"
[lake.zones.models]
lock_days = 30
copy_bucket = "copies-of-models"
copy_key_arn = "arn:aws:kms:us-west-2:111122223333:key/of-the-copies"

[lake.partners.acme]
folder = "raw/partners/acme/"
roles = ["arn:aws:iam::444455556666:role/exporter"]
[lake.partners.vendor]
folder = "raw/partners/vendor/"
account = "777788889999"
external_id = "2f9c1d4e-8b7a-4c55-9d3e-61c0a7f0b821"

{JOB}connections = ["orders"]
reads = ["raw/reviews/"]
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

[etl.copies.afar]
bucket = "partner-exports"
account = "444455556666"
key_arn = "arn:aws:kms:us-east-1:444455556666:key/of-the-bucket"
prefix = "daily/"
to = "raw/afar/"

[etl.notebooks.explore]
results = "features/notebooks/"
reads = ["curated.reviews"]

[etl.exports.history]
table = "curated.history"
columns = ["id", "at"]
order_by = ["id"]
to = "raw/history/"

[etl.workgroup]
query_limit_gb = 10
{CONNECTION}{STREAM}key_arn = "arn:aws:kms:us-east-1:111122223333:key/of-the-stream"
connections = ["orders"]
keep_running = true
longest_lag_minutes = 10
{PROFILE}rows = "all"
columns = ["stars"]
personal_data = ["EMAIL"]
schedule = "cron(0 5 ? * MON *)"
{RECIPE}format = "csv"
nodes = 2
"""


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    # GIVEN a small platform with all of it, judged by the packs and by our rules
    return judged(tmp_path_factory.mktemp("etl"), FULL)


def resources(assembly: Assembly, type: str) -> list[dict[str, Any]]:
    found = assembly.templates[STACK]["Resources"].values()
    return [each["Properties"] for each in found if each["Type"] == type]


def test_without_the_table_there_is_nothing_of_it(tmp_path: Path) -> None:
    assert "[etl" not in DEV
    names = [stack.stack_name for stack in compose(support.app(outdir=tmp_path), settings(tmp_path, ""))]
    assert names == ["ds-dev-lake"]


def test_it_is_what_the_settings_say(assembly: Assembly) -> None:
    job, _ = sorted(resources(assembly, "AWS::Glue::Job"), key=lambda job: str(job["Command"]["Name"]))
    assert (job["NumberOfWorkers"], job["WorkerType"], job["Timeout"]) == (4, "G.1X", 120)
    assert job["DefaultArguments"]["--table"] == "reviews"
    assert job["DefaultArguments"]["--job-bookmark-option"] == "job-bookmark-enable"
    (crawler,) = resources(assembly, "AWS::Glue::Crawler")
    assert len(crawler["Targets"]["S3Targets"]) == 2
    assert [task["TaskMode"] for task in resources(assembly, "AWS::DataSync::Task")] == ["ENHANCED"] * 2
    (workgroup,) = [
        each for each in resources(assembly, "AWS::Athena::WorkGroup") if each["Name"] == "ds-dev"
    ]
    assert workgroup["WorkGroupConfiguration"]["BytesScannedCutoffPerQuery"] == 10_000_000_000
    schedules = {
        (each["ScheduleExpression"], each["ScheduleExpressionTimezone"])
        for each in resources(assembly, "AWS::Scheduler::Schedule")
    }
    assert schedules == {
        ("cron(15 4 * * ? *)", "Europe/Berlin"),
        ("cron(30 4 * * ? *)", "UTC"),
        ("cron(0/5 * * * ? *)", "UTC"),  # what keeps the stream running
        ("cron(0 5 ? * MON *)", "UTC"),
    }


HERE = {"aws:RequestedRegion": "AWS::Region", "aws:ResourceAccount": "AWS::AccountId"}
TLS = {"aws:SecureTransport": "true"}


def role(assembly: Assembly, name: str) -> Simulator:
    return Simulator(assembly.templates[STACK]["Resources"], name)


def test_a_job_with_a_connection_reaches_the_database_and_nothing_else_of_its_network(
    assembly: Assembly,
) -> None:
    (connection,) = resources(assembly, "AWS::Glue::Connection")
    properties = connection["ConnectionInput"]["ConnectionProperties"]
    assert properties["JDBC_CONNECTION_URL"] == "jdbc:postgresql://orders.internal:5432/shop"
    assert properties["JDBC_ENFORCE_SSL"] == "true"
    jobs = resources(assembly, "AWS::Glue::Job")
    assert [len(job["Connections"]["Connections"]) for job in jobs] == [1, 1]
    # THEN the group of its workers is let out to the database's port, and no rule is made in its group
    rules = resources(assembly, "AWS::EC2::SecurityGroupEgress")
    (out,) = [rule for rule in rules if rule.get("DestinationSecurityGroupId") == "sg-0123456789abcdef0"]
    assert (out["FromPort"], out["ToPort"]) == (5432, 5432)
    groups = [str(rule["GroupId"]) for rule in resources(assembly, "AWS::EC2::SecurityGroupIngress")]
    assert not [group for group in groups if "sg-" in group]
    # AND its role may read this secret, decrypt it through Secrets Manager, and read no other one
    job = role(assembly, "JobCleanAccessRole")
    secret = "arn:aws:secretsmanager:us-east-1:111122223333:secret:orders-reader-a1B2c3"
    assert job.allows("secretsmanager:GetSecretValue", secret, when=HERE)
    assert not job.allows("secretsmanager:GetSecretValue", secret.replace("orders", "people"), when=HERE)


def test_a_stream_is_read_with_its_key_and_no_other_stream_is(assembly: Assembly) -> None:
    job = role(assembly, "StreamClicksAccessRole")
    stream = "arn:aws:kinesis:us-east-1:111122223333:stream/clicks"
    assert job.allows("kinesis:GetRecords", stream, when=HERE)
    assert not job.allows("kinesis:GetRecords", f"{stream}-of-others", when=HERE)
    assert not job.allows("kinesis:PutRecord", stream, when=HERE)
    assert job.allows("kms:Decrypt", "arn:aws:kms:us-east-1:111122223333:key/of-the-stream", when=HERE)
    assert not job.allows("kms:Decrypt", "arn:aws:kms:us-east-1:444455556666:key/of-the-bucket", when=HERE)
    alarms = [each for each in resources(assembly, "AWS::CloudWatch::Alarm") if each["Threshold"] == 600_000]
    assert [each["MetricName"] for each in alarms] == ["glue.driver.streaming.maxConsumerLagInMs"]


def test_tables_are_profiled_and_cleaned_as_the_settings_say(assembly: Assembly) -> None:
    jobs = {each["Type"]: each for each in resources(assembly, "AWS::DataBrew::Job")}
    assert jobs["PROFILE"]["JobSample"] == {"Mode": "FULL_DATASET"}
    assert jobs["PROFILE"]["ProfileConfiguration"] == {
        "ProfileColumns": [{"Name": "stars"}],
        "EntityDetectorConfiguration": {"EntityTypes": ["EMAIL"]},
    }
    assert (jobs["RECIPE"]["MaxCapacity"], jobs["RECIPE"]["Outputs"][0]["Format"]) == (2, "CSV")
    (recipe,) = resources(assembly, "AWS::DataBrew::Recipe")
    assert recipe["Steps"] == [{"Action": {"Operation": "TRIM", "Parameters": {"sourceColumn": "review_id"}}}]


def test_a_bucket_of_another_account_is_read_while_it_is_theirs_by_a_role_that_they_can_name(
    assembly: Assembly,
) -> None:
    template = assembly.templates[STACK]
    (reader,) = [each for each in resources(assembly, "AWS::IAM::Role") if "RoleName" in each]
    assert reader["RoleName"] == "ds-dev-copy-afar"
    found = role(assembly, "CopyAfarReader")
    theirs, stolen = (
        {**HERE, "aws:ResourceAccount": account} for account in ("444455556666", "999999999999")
    )
    assert found.allows("s3:GetObject", "arn:aws:s3:::partner-exports/daily/a.csv", when=theirs)
    assert not found.allows("s3:GetObject", "arn:aws:s3:::partner-exports/daily/a.csv", when=stolen)
    assert not found.allows("s3:GetObject", "arn:aws:s3:::partner-exports/other/a.csv", when=theirs)
    # AND the outputs say what the other account has to admit
    text = json.dumps(template["Outputs"]["CopyAfarBucketPolicy"]["Value"])
    for part in ("role/ds-dev-copy-afar", "partner-exports/daily/*", "aws:PrincipalArn", "s3:GetObject"):
        assert part in text
    assert "kms:Decrypt" in json.dumps(template["Outputs"]["CopyAfarKeyPolicy"]["Value"])
    assert not [name for name in template["Outputs"] if name.startswith("CopyShop")]


def test_a_snapshot_of_an_iceberg_table_is_exported_by_the_workgroup(assembly: Assembly) -> None:
    machine = role(assembly, "ExportHistoryStateMachineRole")
    workgroup = "arn:aws:athena:AWS::Region:AWS::AccountId:workgroup/ds-dev"
    assert machine.allows("athena:StartQueryExecution", workgroup, when=HERE)
    assert not machine.allows("athena:StartQueryExecution", workgroup.replace("ds-dev", "other"), when=HERE)
    assert "ExportHistoryArn" in assembly.templates[STACK]["Outputs"]
    # AND the table keeps its snapshots so long
    lake = assembly.templates["ds-dev-lake"]["Resources"].values()
    kept = [
        each["Properties"]["TableOptimizerConfiguration"]["RetentionConfiguration"]["IcebergConfiguration"]
        for each in lake
        if each["Type"] == "AWS::Glue::TableOptimizer" and each["Properties"]["Type"] == "retention"
    ]
    assert [each["SnapshotRetentionPeriodInDays"] for each in kept] == [730]
    (table,) = [each for each in lake if "OpenTableFormatInput" in each.get("Properties", {})]
    given = table["Properties"]["OpenTableFormatInput"]["IcebergInput"]["IcebergTableInput"]
    assert [(each["Id"], each["Name"]) for each in given["Schema"]["Fields"]] == [(1, "id"), (2, "at")]


def test_notebooks_read_what_is_named_and_write_their_results(assembly: Assembly) -> None:
    notebooks = role(assembly, "NotebooksExploreRole")
    statements = json.dumps(notebooks.statements())
    assert "/reviews/*" in statements
    assert "/notebooks/*" in statements
    assert "/history/*" not in statements
    names = {each["Name"] for each in resources(assembly, "AWS::Athena::WorkGroup")}
    assert names == {"ds-dev", "ds-dev-explore"}


def test_the_catalog_is_encrypted_once_it_is_asked_for(assembly: Assembly) -> None:
    lake = assembly.templates["ds-dev-lake"]["Resources"].values()
    kinds = [each for each in lake if each["Type"] == "AWS::Glue::DataCatalogEncryptionSettings"]
    assert len(kinds) == 1
    # AND its role, which stays with it, keeps its boundary: IAM deletes none that is in use
    (boundary,) = [each for each in lake if each["Type"] == "AWS::IAM::ManagedPolicy"]
    assert boundary["DeletionPolicy"] == "RetainExceptOnCreate"


def test_zones_keep_what_the_settings_say(assembly: Assembly) -> None:
    resources = assembly.templates["ds-dev-lake"]["Resources"]
    buckets = {
        key: each["Properties"] for key, each in resources.items() if each["Type"] == "AWS::S3::Bucket"
    }
    raw, models, features = (
        next(each for key, each in buckets.items() if key.startswith(f"Lake{name}Bucket"))
        for name in ("Raw", "Models", "Features")
    )
    rules = raw["LifecycleConfiguration"]["Rules"]
    moves = [move for rule in rules for move in rule.get("Transitions", ())]
    assert [(move["StorageClass"], move["TransitionInDays"]) for move in moves] == [
        ("STANDARD_IA", 30),
        ("GLACIER_IR", 90),
    ]
    assert {
        (rule.get("Prefix"), rule["ExpirationInDays"]) for rule in rules if "ExpirationInDays" in rule
    } == {
        (None, 400),
        ("tmp/", 1),
    }
    assert raw["InventoryConfigurations"][0]["ScheduleFrequency"] == "Weekly"
    assert models["ObjectLockConfiguration"]["Rule"]["DefaultRetention"] == {"Days": 30, "Mode": "GOVERNANCE"}
    # AND copies may be written where they go, in another region too, and nowhere else
    copier = Simulator(resources, "LakeModelsBucketReplicationRole")
    there = {"aws:RequestedRegion": "us-west-2", "aws:ResourceAccount": "999999999999"}
    assert copier.allows("s3:ReplicateObject", "arn:aws:s3:::copies-of-models/a", when=there)
    assert copier.allows("kms:Encrypt", "arn:aws:kms:us-west-2:111122223333:key/of-the-copies", when=there)
    assert not copier.allows("s3:ReplicateObject", "arn:aws:s3:::copies-of-others/a", when=there)
    assert "copies-of-models" in json.dumps(models["ReplicationConfiguration"])
    # AND a zone without a table is as it was
    moves = [
        move for rule in features["LifecycleConfiguration"]["Rules"] for move in rule.get("Transitions", ())
    ]
    assert [move["StorageClass"] for move in moves] == ["INTELLIGENT_TIERING"]


def test_partners_put_objects_into_their_folders_and_read_none(assembly: Assembly) -> None:
    lake = assembly.templates["ds-dev-lake"]
    vendor = Simulator(lake["Resources"], "PartnerVendorRole")
    bucket = vendor.arn("LakeRawBucket")
    assert vendor.allows("s3:PutObject", f"{bucket}/partners/vendor/a.csv", when=HERE | TLS)
    assert not vendor.allows("s3:PutObject", f"{bucket}/partners/acme/a.csv", when=HERE | TLS)
    assert not vendor.allows("s3:GetObject", f"{bucket}/partners/vendor/a.csv", when=HERE | TLS)
    assert "PartnerVendorRoleArn" in lake["Outputs"]
    policies = [each for each in lake["Resources"].values() if each["Type"] == "AWS::S3::BucketPolicy"]
    assert len([each for each in policies if "444455556666:role/exporter" in json.dumps(each)]) == 1


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
    assert sorted(each["EventPattern"]["source"][0] for each in rules) == [
        *["aws.databrew"] * 2,
        *["aws.datasync"] * 2,
        *["aws.glue"] * 2,
    ]


def test_no_check_finds_anything(assembly: Assembly) -> None:
    # the zone of a connection's subnet, which the settings name
    problems = [each for each in cfn_lint.problems(assembly.templates[STACK]) if "W3010" not in each]
    assert problems == []
    assert assembly.found_in(STACK) == []


def test_every_boundary_holds_what_its_role_may_do(assembly: Assembly) -> None:
    for stack, least in ((STACK, 12), ("ds-dev-lake", 4)):
        template = assembly.templates[stack]
        roles = boundaries.roles(template)
        assert len(roles) >= least
        # CDK gives replication kms:ReEncrypt*, which S3 does not use
        missing = {key: boundaries.missing(template, key) - {"kms:ReEncrypt*"} for key in roles}
        assert missing == {key: set() for key in roles}


def test_what_it_costs_at_rest_is_known(assembly: Assembly) -> None:
    lines = [line for line in at_rest.assembly_lines(assembly.folder, prices.load()) if line.stack == STACK]
    assert [line for line in lines if line.monthly_usd is None] == []
    # the key of the workgroup's results, the alarms of the workgroup and of the stream
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
        (COPY + 'account = "Acme"\n', "etl.copies.a.account"),
        (
            COPY.replace("copies.a", f"copies.{'a' * 39}") + 'account = "444455556666"\n',
            "38 are the most, since its role is named by it",
        ),
        (CONNECTION, "etl.connections needs a table [network]"),
        (
            CONNECTION + NETWORK.replace('"logging", ', "").replace('"query", ', ""),
            "add 'logging', 'query' to network.features",
        ),
        (
            CONNECTION
            + NETWORK.replace('["logging", "query", "secrets"]', "[]")
            + 'nat_gateways = 1\nallowed_domains = ["pypi.org"]\n',
            'nat_gateways = 1, with ".amazonaws.com" among allowed_domains',
        ),
        (
            CONNECTION
            + NETWORK.replace('["logging", "query", "secrets"]', "[]")
            + 'nat_gateways = 1\nallowed_domains = ["amazonaws.com"]\n',  # one host, and no service
            'with ".amazonaws.com"',
        ),
        (NETWORK + CONNECTION.replace(":5432", ""), "url has no port"),
        (
            COPY + COPY.replace("copies.a", "copies.A"),
            "etl.copies: 'a' and 'A' differ by hyphens and capitals alone",
        ),
        (
            COPY + 'time_zone = "Europe/Berlin"\n',
            "etl.copies.a: time_zone is given, but there is no schedule",
        ),
        (NETWORK + CONNECTION.replace("-reader-a1B2c3", ""), "etl.connections.orders.secret_arn"),
        (NETWORK + CONNECTION.replace("sg-0123456789abcdef0", "orders"), "etl.connections.orders.reach"),
        (JOB + 'connections = ["order"]\n' + CONNECTION + NETWORK, "has only ['orders']"),
        (STREAM + 'connections = ["order"]\n', "streams.clicks has connections ['order']"),
        (STREAM.replace('["raw/clicks/"]', "[]"), "etl.streams.clicks.writes"),
        (STREAM + "stream = 1\n", "etl.streams.clicks.stream: unknown key"),
        (PROFILE + 'rows = "some"\n', "etl.profiles.reviews.rows"),
        (PROFILE.replace("curated.reviews", "reviews"), "etl.profiles.reviews.table"),
        (RECIPE.replace("TRIM", "trim"), "etl.recipes.tidy.steps.0.operation"),
        (RECIPE.replace("parameters", "params"), "etl.recipes.tidy.steps.0.params: unknown key"),
        (
            '[etl.exports.a]\ntable = "raw.a"\ncolumns = ["a"]\norder_by = ["a"]\nto = "raw/b/"\n',
            "exports ['a'] are queries of Athena: add [etl.workgroup]",
        ),
        ('[etl.notebooks.a]\nresults = "raw.a"\n', "etl.notebooks.a.results"),
        ('[lake.zones.bronze]\ninventory = "daily"\n', "lake.zones.bronze"),
        ("[lake.zones.raw]\nexpire_days = 0\n", "lake.zones.raw.expire_days"),
        ('[lake.zones.raw]\ncopy_bucket = "copies"\n', "copy_bucket and copy_key_arn belong together"),
        (TABLE + "snapshot_days = 3\n", "are of Iceberg tables, and format is 'parquet'"),
        (TABLE + 'format = "iceberg"\nfield_ids = { stars = 1 }\n', "needs a number for each"),
        ('[lake.partners.a]\nfolder = "raw/a/"\n', "give either roles, or account with external_id"),
        (
            '[lake.partners.a]\nfolder = "raw/a/"\naccount = "444455556666"\n',
            "account and external_id belong together",
        ),
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
        ("[lake.zones.raw]\narchive_days = 10\nexpire_days = 20\n", "zone 'raw'"),
        (
            TABLE + 'format = "iceberg"\nfield_ids = { review_id = 1, stars = 1 }\n',
            "each number for one column",
        ),
        (PROFILE, r"etl.profiles.reviews.table: given table 'curated.reviews'"),
        (PROFILE + 'columns = ["star"]\n' + TABLE, "columns of 'reviews': review_id, stars"),
        (RECIPE, r"etl.recipes.tidy.table: given table 'curated.reviews'"),
        (STREAM + 'maintenance_window = "Sunday"\n', "a day and an hour in UTC"),
        (STREAM.replace("raw/clicks/", "raw/checkpoints/"), "checkpoints in"),
        (
            NETWORK + CONNECTION.replace("/shop", "/shop?user=a&password=b"),
            "a url with credentials in it",
        ),
    ],
)
def test_what_only_the_constructs_know_is_told(tmp_path: Path, table: str, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        compose(cdk.App(outdir=str(tmp_path / "cdk.out")), settings(tmp_path, table))


def test_names_that_continue_one_another_are_told_apart(tmp_path: Path) -> None:
    # GIVEN names that go on like those of parts: an output, a key
    more = (
        COPY
        + 'key_arn = "arn:aws:kms:us-east-1:444455556666:key/a"\n'
        + COPY.replace("copies.a", "copies.a-key")
    )
    notes = [f'[etl.notebooks.{name}]\nresults = "raw/{name}/"\n' for name in ("a", "a-name")]
    iceberg = 'zone = "raw"\nformat = "iceberg"\ncolumns = { id = "string" }\nfield_ids = { id = 1 }\n'
    tables = [f"[lake.tables.{name}]\n{iceberg}snapshot_days = 9\n" for name in ("a1b", "a1_b")]
    # WHEN they are composed, THEN each is there
    app = cdk.App(outdir=str(tmp_path / "cdk.out"))
    stacks = {
        stack.stack_name: stack for stack in compose(app, settings(tmp_path, more + "".join(notes + tables)))
    }
    parts = {each.node.id for each in stacks[STACK].node.children}
    assert parts >= {"CopyA", "CopyA-Key", "CopyAKey", "NotebooksA", "NotebooksA-Name", "NotebooksAName"}
    assert {each.node.id for each in stacks["ds-dev-lake"].node.children} >= {
        "Maintenance-a1b",
        "Maintenance-a1_b",
    }
