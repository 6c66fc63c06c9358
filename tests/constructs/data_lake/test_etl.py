"""Jobs of Glue: what they may do, how they run, who hears of their failures, and what Glue would refuse."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_stepfunctions as sfn
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from cdk_data_science import AlertTopic, ConfigurationError, Pipeline
from cdk_data_science.data_lake import (
    Column,
    DatabaseConnection,
    DataLake,
    Iceberg,
    JobConnection,
    LakeFormation,
    ScriptFile,
    ScriptObject,
    SparkJob,
    SparkJobTask,
    StreamingJob,
    Workers,
    ZoneAttributes,
    ZoneFolder,
)
from cdk_data_science.pipelines import DATA, Output, SparkStep
from tests.compliance import task_parameters
from tests.constructs import machines, support
from tests.constructs.security.simulator import Simulator

JOB = "AWS::Glue::Job"
CODE = Path(__file__)
ROWS = Output("rows", "how many rows the job wrote")
TLS = {"aws:SecureTransport": "true"}


@dataclass(frozen=True)
class Etl:
    stack: cdk.Stack
    jobs: dict[str, SparkJob | StreamingJob]

    def job(self, name: str) -> dict[str, Any]:
        found = support.resources(self.stack, JOB)
        (key,) = [key for key in found if key[:-8] == name]
        properties: dict[str, Any] = found[key]["Properties"]
        return properties

    def role(self, name: str) -> Simulator:
        return Simulator(support.resources(self.stack), f"{name}AccessRole")


def lake_of(stack: cdk.Stack) -> DataLake:
    return DataLake(stack, "Lake", zones=["raw", "curated"], lake_formation=LakeFormation(hybrid=False))


def spark(stack: cdk.Stack, lake: DataLake | None = None, **options: Any) -> SparkJob:
    lake = lake_of(stack) if lake is None else lake
    given = {"script": ScriptObject(zone=lake.raw, key="jobs/clean.py"), **options}
    return SparkJob(stack, "Clean", **given)


@pytest.fixture(scope="module")
def etl() -> Etl:
    """A job of each kind, in one app."""
    stack = support.stack()
    lake = lake_of(stack)
    alerts = AlertTopic(stack, "Alerts")
    reviews = lake.curated.add_table("reviews", schema={"id": "string", "stars": "int"})
    lake.curated.add_table("people", schema={"id": "string"})
    history = lake.curated.add_table(
        "history", schema=[Column(name="id", type="string", field_id=1)], format=Iceberg()
    )
    vpc = ec2.Vpc(stack, "Vpc", max_azs=2)
    database = DatabaseConnection(
        stack,
        "Shop",
        url="jdbc:postgresql://shop.internal:5432/shop",
        secret=secretsmanager.Secret(stack, "Secret"),
        vpc=vpc,
    )
    secretsmanager.Secret(stack, "Other")
    shared: dict[str, Any] = {"alerts": alerts, "log_key": alerts.key}
    clean = spark(
        stack,
        lake,
        reads=[ZoneFolder(zone=lake.raw, prefix="in/")],
        writes=[reviews],
        arguments={"--table": "reviews"},
        workers=Workers(type="G.2X", count=5),
        bookmarks=True,
        flex=True,
        timeout=cdk.Duration.minutes(90),
        retries=2,
        table_formats=["iceberg"],
        spark_conf={"spark.a": "1", "spark.b": "2"},
        modules=["pandera==0.26.1"],
        libraries=[ScriptObject(zone=lake.raw, key="jobs/rules.zip")],
        schedule="cron(15 4 * * ? *)",
        timezone="Europe/Berlin",
        metrics=True,
        **shared,
    )
    load = SparkJob(
        stack,
        "Load",
        script=ScriptFile(path=CODE),
        connections=[database],
        writes=[ZoneFolder(zone=lake.raw, prefix="shop/"), history],
        scratch=ZoneFolder(zone=lake.raw, prefix="scratch/"),
        **shared,
    )
    stream = StreamingJob(
        stack,
        "Collect",
        script=ScriptFile(path=CODE),
        stream=kinesis.Stream(stack, "Clicks"),
        checkpoints=ZoneFolder(zone=lake.raw, prefix="checkpoints/"),
        writes=[ZoneFolder(zone=lake.raw, prefix="clicks/")],
        keep_running=True,
        longest_lag=cdk.Duration.minutes(2),
        **shared,
    )
    task = SparkJobTask(stack, "Run", job=clean, arguments={"--day": "{% $states.input.day %}"})
    sfn.StateMachine(
        stack,
        "Machine",
        definition_body=sfn.DefinitionBody.from_chainable(task),
        query_language=sfn.QueryLanguage.JSONATA,
    )
    return Etl(stack, {"Clean": clean, "Load": load, "Collect": stream})


def test_a_job_runs_as_its_options_say(etl: Etl) -> None:
    job = etl.job("Clean")
    assert "Name" not in job
    assert (job["GlueVersion"], job["WorkerType"], job["NumberOfWorkers"]) == ("5.0", "G.2X", 5)
    assert (job["ExecutionClass"], job["Timeout"], job["MaxRetries"]) == ("FLEX", 90, 2)
    assert job["ExecutionProperty"] == {"MaxConcurrentRuns": 1}
    assert (job["Command"]["Name"], job["Command"]["PythonVersion"]) == ("glueetl", "3")
    arguments = dict(job["DefaultArguments"])
    assert arguments.pop("--extra-py-files")["Fn::Join"][1][-1] == "/jobs/rules.zip"
    assert arguments == {
        "--job-language": "python",
        "--job-bookmark-option": "job-bookmark-enable",
        "--enable-auto-scaling": "true",
        "--enable-metrics": "true",
        "--enable-observability-metrics": "true",
        "--additional-python-modules": "pandera==0.26.1",
        "--datalake-formats": "iceberg",
        "--conf": "spark.a=1 --conf spark.b=2",
        "--table": "reviews",
    }


def test_what_a_job_writes_and_says_is_encrypted_with_the_lakes_key_and_the_logs_key(etl: Etl) -> None:
    found = support.resources(etl.stack, "AWS::Glue::SecurityConfiguration")
    (security,) = [each["Properties"] for key, each in found.items() if key.startswith("Clean")]
    encryption = security["EncryptionConfiguration"]
    lake_key = encryption["S3Encryptions"][0]["KmsKeyArn"]
    assert encryption["S3Encryptions"][0]["S3EncryptionMode"] == "SSE-KMS"
    assert lake_key["Fn::GetAtt"][0].startswith("LakeKey")
    assert encryption["JobBookmarksEncryption"] == {
        "JobBookmarksEncryptionMode": "CSE-KMS",
        "KmsKeyArn": lake_key,
    }
    log_key = encryption["CloudWatchEncryption"]["KmsKeyArn"]
    assert log_key["Fn::GetAtt"][0].startswith("AlertsKey")
    assert str(etl.job("Clean")["SecurityConfiguration"]).count("CleanAccessSecurity") == 1
    # AND Glue finds the log groups that it names by configuration and role already there
    groups = support.resources(etl.stack, "AWS::Logs::LogGroup")
    names = {
        key: each["Properties"]["LogGroupName"] for key, each in groups.items() if key.startswith("Clean")
    }
    assert sorted(name["Fn::Join"][1][-1] for name in names.values()) == ["/error", "/output"]
    for key, name in names.items():
        assert name["Fn::Join"][1][0] == f"/aws-glue/jobs/{security['Name']}-role/"
        assert name["Fn::Join"][1][1]["Ref"].startswith("CleanAccessRole")
        assert groups[key]["Properties"]["RetentionInDays"] == 365
        assert groups[key]["Properties"]["KmsKeyId"] == log_key


@pytest.mark.parametrize(
    ("job", "action", "resource", "allowed"),
    [
        ("Clean", "s3:GetObject", "{raw}/in/a.csv", True),
        ("Clean", "s3:PutObject", "{raw}/in/a.csv", False),  # what it reads it does not write
        ("Clean", "s3:GetObject", "{raw}/shop/a.csv", False),  # another folder
        ("Clean", "s3:GetObject", "{raw}/jobs/clean.py", True),
        ("Clean", "s3:GetObject", "{raw}/jobs/other.py", False),
        ("Clean", "s3:PutObject", "{curated}/reviews/a.parquet", True),
        ("Clean", "s3:DeleteObject", "{curated}/reviews/a.parquet", True),  # an overwrite
        ("Clean", "s3:DeleteObjectVersion", "{curated}/reviews/a.parquet", False),  # can be had back
        ("Clean", "s3:PutObject", "{curated}/people/a.parquet", False),  # another table
        ("Clean", "kms:GenerateDataKey", "{lake_key}", True),
        ("Clean", "kms:GenerateDataKey", "{secret_key}", False),
        ("Load", "s3:PutObject", "{raw}/shop/a.parquet", True),
        ("Load", "s3:PutObject", "{raw}/scratch/a", True),
        ("Load", "s3:PutObject", "{raw}/in/a", False),
        ("Collect", "s3:PutObject", "{raw}/checkpoints/0", True),
        ("Collect", "s3:PutObject", "{raw}/clicks/a", True),
        ("Collect", "s3:PutObject", "{raw}/shop/a", False),
    ],
)
def test_a_job_reaches_its_own_places_and_not_their_neighbours(
    etl: Etl, job: str, action: str, resource: str, allowed: bool
) -> None:
    role = etl.role(job)
    places = {
        "raw": role.arn("LakeRawBucket"),
        "curated": role.arn("LakeCuratedBucket"),
        "lake_key": role.arn("LakeKey"),
        "secret_key": "arn:aws:kms:eu-west-1:111122223333:key/another",
    }
    assert role.allows(action, resource.format(**places), when=TLS) is allowed


def test_a_job_lists_its_own_folders_alone(etl: Etl) -> None:
    role = etl.role("Clean")
    raw = role.arn("LakeRawBucket")
    assert role.allows("s3:ListBucket", raw, when={"s3:prefix": "in/2026/"})
    assert not role.allows("s3:ListBucket", raw, when={"s3:prefix": "shop/"})


def test_a_job_reads_one_secret_and_one_connection_alone(etl: Etl) -> None:
    found = machines.statements(etl.stack, "LoadAccessRole")
    (secrets,) = [each for each in found if "secretsmanager:GetSecretValue" in each["Action"]]
    assert secrets["Resource"]["Ref"].startswith("Secret")
    (connections,) = [each for each in found if each["Action"] == "glue:GetConnection"]
    assert [str(arn).rpartition(":")[2] for arn in connections["Resource"]] != []
    assert "ShopResource" in str(connections["Resource"]) or "Shop" in str(connections["Resource"])
    assert "secretsmanager:GetSecretValue" not in machines.actions(
        machines.statements(etl.stack, "CleanAccessRole")
    )


def test_only_a_job_with_a_connection_makes_network_interfaces(etl: Etl) -> None:
    assert "ec2:CreateNetworkInterface" in machines.actions(machines.statements(etl.stack, "LoadAccessRole"))
    clean = machines.actions(machines.statements(etl.stack, "CleanAccessRole"))
    assert not [action for action in clean if action.startswith("ec2:")]


def test_a_table_that_is_written_has_the_permissions_of_lake_formation_for_it(etl: Etl) -> None:
    permitted: dict[str, set[str]] = {}
    for each in support.resources(etl.stack, "AWS::LakeFormation::PrincipalPermissions").values():
        on = each["Properties"]["Resource"].get("Table")
        if on is not None:
            permitted.setdefault(str(on.get("Name")), set()).update(each["Properties"]["Permissions"])
    # an Iceberg table's commits change its definition
    assert permitted == {
        "reviews": {"SELECT", "INSERT", "DELETE"},
        "history": {"SELECT", "INSERT", "DELETE", "ALTER"},
    }


def test_only_iceberg_tables_have_their_definition_changed_by_writers(etl: Etl) -> None:
    assert "glue:UpdateTable" not in machines.actions(machines.statements(etl.stack, "CleanAccessRole"))
    load = machines.statements(etl.stack, "LoadAccessRole")
    (update,) = [each for each in load if "glue:UpdateTable" in each["Action"]]
    assert "/history" in str(update["Resource"])
    assert "/reviews" not in str(update["Resource"])


def test_nobody_else_and_no_other_account_takes_a_jobs_role(etl: Etl) -> None:
    roles = support.resources(etl.stack, "AWS::IAM::Role")
    (role,) = [each for key, each in roles.items() if key.startswith("CleanAccessRole")]
    (trust,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "glue.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_a_run_that_fails_is_told_of(etl: Etl) -> None:
    rules = support.resources(etl.stack, "AWS::Events::Rule")
    (rule,) = [each["Properties"] for key, each in rules.items() if key.startswith("CleanFailures")]
    (job,) = [key for key in support.resources(etl.stack, JOB) if key[:-8] == "Clean"]
    assert rule["EventPattern"] == {
        "source": ["aws.glue"],
        "detail-type": ["Glue Job State Change"],
        "detail": {"jobName": [{"Ref": job}], "state": ["FAILED", "TIMEOUT"]},
    }
    (target,) = rule["Targets"]
    assert target["Arn"]["Ref"].startswith("AlertsTopic")
    assert "CleanUndelivered" in str(target["DeadLetterConfig"])


def test_a_schedule_starts_this_job_and_no_other(etl: Etl) -> None:
    found = support.resources(etl.stack, "AWS::Scheduler::Schedule")
    (schedule,) = [each["Properties"] for key, each in found.items() if key.startswith("Clean")]
    assert schedule["ScheduleExpression"] == "cron(15 4 * * ? *)"
    assert schedule["ScheduleExpressionTimezone"] == "Europe/Berlin"
    (statement,) = machines.statements(etl.stack, "CleanStarter")
    assert statement["Action"] == "glue:StartJobRun"
    assert "Clean" in str(statement["Resource"])
    # AND a stream is started again only where nothing runs: one refused call, and no more tries
    (again,) = [each["Properties"] for key, each in found.items() if key.startswith("Collect")]
    assert again["Target"]["RetryPolicy"]["MaximumRetryAttempts"] == 0


def test_a_task_waits_for_the_job_and_tries_again_only_what_never_began(etl: Etl) -> None:
    definition = machines.definition(etl.stack)
    task = definition["States"]["Run"]
    assert task["Resource"].endswith(":states:::glue:startJobRun.sync")
    assert task["Arguments"]["Arguments"] == {"--day": "{% $states.input.day %}"}
    assert task["TimeoutSeconds"] == 90 * 60 * 3 + 1800
    retried = {error for rule in task["Retry"] for error in rule["ErrorEquals"]}
    assert "Glue.ConcurrentRunsExceededException" in retried
    assert not {"States.ALL", "States.TaskFailed", "States.Timeout"} & retried
    assert task_parameters.faults(definition) == []
    allowed = machines.statements(etl.stack, "MachineRole")
    (statement,) = [each for each in allowed if "glue:StartJobRun" in each["Action"]]
    assert set(statement["Action"]) == {
        "glue:StartJobRun",
        "glue:GetJobRun",
        "glue:GetJobRuns",
        "glue:BatchStopJobRun",
    }
    assert "Clean" in str(statement["Resource"])
    assert "iam:PassRole" not in machines.actions(allowed)


def test_a_stream_never_ends_but_in_its_window(etl: Etl) -> None:
    job = etl.job("Collect")
    assert job["Command"]["Name"] == "gluestreaming"
    assert (job["MaintenanceWindow"], job["WorkerType"]) == ("Sun:3", "G.025X")
    assert "Timeout" not in job
    assert "ExecutionClass" not in job
    assert job["DefaultArguments"]["--checkpoints"]["Fn::Join"][1][-1] == "/checkpoints/"
    assert job["DefaultArguments"]["--stream"]["Fn::GetAtt"][0].startswith("Clicks")
    read = machines.statements(etl.stack, "CollectAccessRole")
    (stream,) = [each for each in read if "kinesis:GetRecords" in each["Action"]]
    assert stream["Resource"]["Fn::GetAtt"][0].startswith("Clicks")
    assert "kinesis:PutRecord" not in machines.actions(read)


def test_lag_is_watched_on_the_metric_and_the_dimensions_that_glue_publishes(etl: Etl) -> None:
    alarm = support.only(support.resources(etl.stack, "AWS::CloudWatch::Alarm"))["Properties"]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("Glue", "glue.driver.streaming.maxConsumerLagInMs")
    assert {each["Name"]: each["Value"] for each in alarm["Dimensions"]}["Type"] == "gauge"
    assert [each["Value"] for each in alarm["Dimensions"] if each["Name"] == "JobRunId"] == ["ALL"]
    assert (alarm["Threshold"], alarm["Period"], alarm["Statistic"]) == (120_000, 60, "Maximum")
    errors = etl.jobs["Clean"].metric_errors()
    assert errors.metric_name == "glue.error.ALL"
    assert set(errors.dimensions or ()) == {"JobName", "JobRunId", "Type", "ObservabilityGroup"}


def test_a_database_is_reached_over_tls_with_its_password_in_the_secret(etl: Etl) -> None:
    connection = support.only(support.resources(etl.stack, "AWS::Glue::Connection"))["Properties"]
    given = connection["ConnectionInput"]
    assert given["ConnectionType"] == "JDBC"
    assert given["ConnectionProperties"]["JDBC_ENFORCE_SSL"] == "true"
    assert given["ConnectionProperties"]["SECRET_ID"]["Ref"].startswith("Secret")
    assert "PASSWORD" not in given["ConnectionProperties"]
    where = given["PhysicalConnectionRequirements"]
    assert "PrivateSubnet1" in str(where["SubnetId"])
    assert "ShopSecurityGroup" in str(where["SecurityGroupIdList"])
    groups = support.resources(etl.stack, "AWS::EC2::SecurityGroup")
    (group,) = [each["Properties"] for key, each in groups.items() if key.startswith("ShopSecurity")]
    assert "SecurityGroupIngress" not in group  # but from itself
    ingress = support.only(support.resources(etl.stack, "AWS::EC2::SecurityGroupIngress"))["Properties"]
    assert ingress["SourceSecurityGroupId"] == ingress["GroupId"]


def test_every_option_that_may_change_changes_the_job_in_place() -> None:
    def made(**options: Any) -> dict[str, Any]:
        stack = support.stack()
        lake = lake_of(stack)
        spark(stack, lake, reads=[ZoneFolder(zone=lake.raw, prefix="in/")], **options)
        return support.resources(stack)

    before = made()
    after = made(
        arguments={"--table": "reviews"},
        workers=Workers(type="R.2X", count=9, auto_scaling=False),
        glue_version="5.1",
        bookmarks=True,
        flex=True,
        timeout=cdk.Duration.hours(5),
        retries=3,
        spark_conf={"spark.a": "1"},
        modules=["pandera==0.26.1"],
        table_formats=["hudi"],
        metrics=True,
        description="Another one",
        schedule="cron(0 4 * * ? *)",
    )
    # THEN what was there is there under its own id
    assert before.keys() <= after.keys()
    assert {after[key]["Type"] for key in after.keys() - before.keys()} == {
        "AWS::IAM::Policy",
        "AWS::IAM::Role",
        "AWS::Scheduler::Schedule",
    }
    # AND what changed of it is nothing for which CloudFormation would replace it
    changed = {key: each for key, each in after.items() if key in before and each != before[key]}
    assert {each["Type"] for each in changed.values()} == {JOB}
    for key, each in changed.items():
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(support.REGION, each["Type"]).schema
        fixed = {path.split("/")[2] for path in schema["createOnlyProperties"]}
        old, new = before[key]["Properties"], each["Properties"]
        assert not {name for name in {*old, *new} if old.get(name) != new.get(name)} & fixed


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"glue_version": "3.0"}, "4.0 or newer: the versions before it run Spark 3.1 and older"),
        ({"glue_version": "five"}, "4.0 or newer"),
        ({"workers": Workers(type="G.025X")}, "G.025X is for streams alone"),
        ({"workers": Workers(type="G1X")}, "G.1X, G.2X"),
        ({"workers": Workers(count=1)}, "a driver and one that works"),
        ({"timeout": cdk.Duration.days(8)}, "1 to 10080 (7 days)"),
        ({"timeout": cdk.Duration.seconds(90)}, "whole minutes"),
        ({"retries": 11}, "0 to 10"),
        ({"parallel_runs": 0}, "1 or more"),
        ({"bookmarks": True, "parallel_runs": 2}, "one run at a time"),
        ({"arguments": {"table": "reviews"}}, 'write: "--table"'),
        ({"arguments": {"--conf": "spark.a=1"}}, "write: spark_conf="),
        ({"arguments": {"--JOB_NAME": "x"}}, "names that Glue does not use itself"),
        ({"table_formats": ["avro"]}, "iceberg, delta, hudi"),
        ({"schedule": "rate(1 day)"}, "cron(Minutes Hours"),
        ({"schedule": "cron(0 4 * * * *)"}, "a ? for the day of the month or for the day of the week"),
        ({"script": ScriptFile(path="no/such.py")}, "a file that is there"),
        ({"script": ScriptFile(path=CODE.parents[3] / "README.md")}, "a file .py"),
        ({"tell_of_failures": False, "alerts": "given"}, "one of them"),
    ],
)
def test_what_glue_would_refuse_is_told(options: dict[str, Any], said: str) -> None:
    stack = support.stack()
    if "alerts" in options:
        options = {**options, "alerts": AlertTopic(stack, "Alerts")}
    with pytest.raises(ConfigurationError) as refused:
        spark(stack, **options)
    assert said in str(refused.value)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError, match="SparkJob at Test/Clean: 3 problems"):
        spark(support.stack(), glue_version="2.0", retries=-1, workers=Workers(count=0))


def test_outputs_of_two_keys_are_refused() -> None:
    stack = support.stack()
    lake = lake_of(stack)
    key = "arn:aws:kms:eu-west-1:111122223333:key/1a2b3c4d-5e6f-7a8b-9c0d-1e2f3a4b5c6d"
    other = DataLake.from_zones(
        stack,
        "Other",
        zones=[
            ZoneAttributes(name="raw", bucket_arn="arn:aws:s3:::other-lake", database_name="o", key_arn=key),
        ],
    )
    with pytest.raises(ConfigurationError, match="outputs in zones of different keys: raw, raw"):
        spark(stack, lake, writes=[lake.raw, other.raw])


def test_a_zone_without_a_key_of_its_own_is_written_with_s3s_encryption() -> None:
    stack = support.stack()
    lake = DataLake.from_zones(
        stack,
        "Lake",
        zones=[ZoneAttributes(name="raw", bucket_arn="arn:aws:s3:::other-lake", database_name="o")],
    )
    SparkJob(stack, "Clean", script=ScriptObject(zone=lake.raw, key="clean.py"), writes=[lake.raw])
    security = support.only(support.resources(stack, "AWS::Glue::SecurityConfiguration"))["Properties"]
    assert security["EncryptionConfiguration"]["S3Encryptions"] == [{"S3EncryptionMode": "SSE-S3"}]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"maintenance_window": "Sunday 3"}, "a day and an hour in UTC"),
        ({"workers": Workers(type="G.4X")}, "larger ones run batch jobs alone"),
        ({"arguments": {"--stream": "x"}}, "the job sets this one"),
        ({"checkpoints": "clicks/checkpoints/"}, "readers would take checkpoints for data"),
        ({"longest_lag": cdk.Duration.minutes(1), "tell_of_failures": False}, "somebody hears of"),
    ],
)
def test_what_a_stream_cannot_be_is_told(options: dict[str, Any], said: str) -> None:
    stack = support.stack()
    lake = lake_of(stack)
    prefix = options.get("checkpoints", "checkpoints/")
    given = {
        "script": ScriptObject(zone=lake.raw, key="jobs/collect.py"),
        "stream": kinesis.Stream(stack, "Clicks"),
        "writes": [ZoneFolder(zone=lake.raw, prefix="clicks/")],
        **options,
        "checkpoints": ZoneFolder(zone=lake.raw, prefix=prefix),
    }
    with pytest.raises(ConfigurationError) as refused:
        StreamingJob(stack, "Collect", **given)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://shop:5432/shop", "a JDBC address of postgresql"),
        ("jdbc:sqlite:/tmp/a", "a JDBC address of postgresql"),
        ("jdbc:mysql://shop/shop?user=a&password=hunter2", "it can be read in the template"),
        ("jdbc:oracle:thin:scott/tiger@shop:1521", "it can be read in the template"),
    ],
)
def test_an_address_with_credentials_or_of_no_database_is_refused(url: str, said: str) -> None:
    stack = support.stack()
    with pytest.raises(ConfigurationError) as refused:
        DatabaseConnection(
            stack, "Shop", url=url, secret=secretsmanager.Secret(stack, "S"), vpc=ec2.Vpc(stack, "V")
        )
    assert said in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert "tiger" not in str(refused.value)


def test_what_a_job_is_to_reach_lets_it_in() -> None:
    stack = support.stack()
    vpc = ec2.Vpc(stack, "Vpc", max_azs=1)
    database = ec2.SecurityGroup(stack, "Database", vpc=vpc)
    database.connections.allow_from(JobConnection(stack, "Inside", vpc=vpc), ec2.Port.tcp(5432))
    rules = support.resources(stack, "AWS::EC2::SecurityGroupIngress").values()
    (rule,) = [each["Properties"] for each in rules if each["Properties"]["FromPort"] == 5432]
    assert "InsideSecurityGroup" in str(rule["SourceSecurityGroupId"])
    out = support.resources(stack, "AWS::EC2::SecurityGroupEgress").values()
    assert 5432 in [each["Properties"]["FromPort"] for each in out]


def test_a_metric_of_a_job_without_metrics_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="write: metrics=True"):
        spark(support.stack()).metric_errors()


def test_a_folder_that_is_none_is_refused() -> None:
    lake = lake_of(support.stack())
    with pytest.raises(ConfigurationError, match=r'write: prefix="in/"'):
        ZoneFolder(zone=lake.raw, prefix="/in")


def test_a_step_runs_the_job_and_hands_on_what_it_gives() -> None:
    # GIVEN a pipeline whose first step is a job that is told what started the run
    stack = support.stack()
    lake = DataLake(stack, "Lake")
    key = kms.Key(stack, "Key")
    job = spark(stack, lake, tell_of_failures=False, log_key=key)
    again = SparkStep(job, name="Again", needs=[ROWS], arguments={"--rows": ROWS.expression})
    Pipeline(
        stack,
        "Pipeline",
        data=lake.raw,
        prefix="reviews/",
        work=lake.features,
        steps=[
            SparkStep(
                job,
                needs=[DATA],
                arguments={"--key": "{% $data.key %}"},
                gives={ROWS: "{% $states.result.JobRun.Id %}"},
            ),
            again,
        ],
    )
    # THEN its task has the run's name, ends in the failure path, and gives what it says
    definition = machines.definition(stack)
    first, second = definition["States"]["Spark"], definition["States"]["Again"]
    assert first["Arguments"]["Arguments"] == {"--run": "{% $run %}", "--key": "{% $data.key %}"}
    assert first["Assign"] == {"rows": "{% $states.result.JobRun.Id %}"}
    assert first["Next"] == "Again"
    assert second["Arguments"]["Arguments"]["--rows"] == "{% $rows %}"
    assert first["Catch"][0]["ErrorEquals"] == ["States.ALL"]
    assert task_parameters.faults(definition) == []
    # AND nobody is told twice
    assert not [key for key in support.resources(stack, "AWS::Events::Rule") if key.startswith("Clean")]


def test_a_step_whose_needs_nobody_gives_is_refused() -> None:
    stack = support.stack()
    lake = DataLake(stack, "Lake")
    step = SparkStep(spark(stack, lake), needs=[ROWS])
    with pytest.raises(ConfigurationError, match="step 'Spark' without rows"):
        Pipeline(stack, "Pipeline", data=lake.raw, prefix="in/", work=lake.features, steps=[step])
