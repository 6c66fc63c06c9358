"""BatchTransform: when it runs, on which folders, what each role may, who is told, what is refused."""

from __future__ import annotations

import functools
import json
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_scheduler as scheduler

from cdk_data_science import ConfigurationError, Model
from cdk_data_science.security.checks import DataScienceChecks
from cdk_data_science.serving import BatchTransform
from cdk_data_science.training import TransformJob
from tests.compliance import task_parameters
from tests.compliance.test_cfn_lint import problems
from tests.constructs import machines, nag, support
from tests.constructs.serving import endpoints

DAILY = scheduler.ScheduleExpression.cron(hour="4", minute="15", time_zone=cdk.TimeZone.EUROPE_BERLIN)


def batch(stack: cdk.Stack, id: str = "Churn", **changes: Any) -> BatchTransform:
    lake = endpoints.lake(stack)
    given = {
        "model": None,
        "job": TransformJob(
            max_runtime=cdk.Duration.hours(2), content_type="text/csv", split="Line", join_input=True
        ),
        "job_name_prefix": "churn",
        "data": lake.raw,
        "data_prefix": "customers/day={day}/",
        "predictions": lake.curated,
        "schedule": DAILY,
    } | changes
    if given["model"] is None:
        given["model"] = endpoints.model(stack)
    return BatchTransform(stack, id, **given)


@pytest.fixture(scope="module")
def stack() -> cdk.Stack:
    # GIVEN predictions of each day's customers
    stack = support.stack()
    batch(stack)
    cdk.Tags.of(stack).add("owner", "ml@example.com")
    return stack


def request(stack: cdk.Stack) -> dict[str, Any]:
    found: dict[str, Any] = machines.definition(stack)["States"]["Predict"]["Arguments"]
    return found


def test_every_parameter_is_one_that_sagemaker_knows(stack: cdk.Stack) -> None:
    assert task_parameters.faults(machines.definition(stack)) == []


def test_each_day_reads_and_writes_its_own_folder(stack: cdk.Stack) -> None:
    day = "$substring($states.context.Execution.StartTime, 0, 10)"
    source = request(stack)["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"]
    assert source.startswith("{% 's3://") and source.endswith(f"/customers/day=' & {day} & '/' %}}")
    output = request(stack)["TransformOutput"]
    assert output["S3OutputPath"].endswith(f"/predictions/day=' & {day} & '/' %}}")
    assert "KmsKeyId" in output
    assert request(stack)["TransformJobName"].startswith("{% 'churn--'")


def test_the_models_role_reads_the_data_and_writes_the_predictions(stack: cdk.Stack) -> None:
    said = json.dumps(machines.statements(stack, "ModelRole"))
    assert "/customers/*" in said and "/predictions/*" in said
    raw = [
        each
        for each in machines.statements(stack, "ModelRole")
        if "/customers/*" in json.dumps(each["Resource"])
    ]
    assert "s3:PutObject" not in machines.actions(raw)


def test_volumes_have_the_key_where_there_are_some(stack: cdk.Stack) -> None:
    assert "VolumeKmsKeyId" in request(stack)["TransformResources"]
    grant = [each for each in machines.statements(stack, "ModelRole") if "kms:CreateGrant" in each["Action"]]
    assert "ChurnKey" in json.dumps(grant[0]["Resource"])
    assert grant[0]["Condition"] == {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    # AND none where the disks are the instances' own
    other = support.stack(id="Disks")
    batch(other, job=TransformJob(max_runtime=cdk.Duration.hours(1), instance_type="ml.g4dn.xlarge"))
    assert "VolumeKmsKeyId" not in request(other)["TransformResources"]


def test_the_machine_starts_jobs_of_its_names_and_passes_no_role(stack: cdk.Stack) -> None:
    found = machines.statements(stack, "ChurnStateMachineRole")
    assert "transform-job/churn--*" in json.dumps(found)
    assert "iam:PassRole" not in machines.actions(found)
    assert not any(action.startswith("s3:") for action in machines.actions(found))


def test_the_jobs_have_the_tags_of_the_app(stack: cdk.Stack) -> None:
    assert request(stack)["Tags"] == [{"Key": "owner", "Value": "ml@example.com"}]


def test_scheduler_starts_it_in_local_time_and_keeps_what_it_could_not(stack: cdk.Stack) -> None:
    (made,) = support.resources(stack, "AWS::Scheduler::Schedule").values()
    properties = made["Properties"]
    assert properties["ScheduleExpression"] == "cron(15 4 * * ? *)"
    assert properties["ScheduleExpressionTimezone"] == "Europe/Berlin"
    assert properties["State"] == "ENABLED"
    assert "ChurnDeadLetters" in json.dumps(properties["Target"]["DeadLetterConfig"])
    starter = machines.statements(stack, "ChurnStarter")
    assert machines.actions(starter) == {
        "states:StartExecution",
        "sqs:SendMessage",
        "kms:Decrypt",
        "kms:GenerateDataKey",
    }
    roles = support.resources(stack, "AWS::IAM::Role")
    (trust,) = [each for key, each in roles.items() if key.startswith("ChurnStarter")]
    assert "schedule-group" in json.dumps(trust["Properties"]["AssumeRolePolicyDocument"])


def test_every_bad_end_is_told(stack: cdk.Stack) -> None:
    alarms = support.resources(stack, "AWS::CloudWatch::Alarm")
    watched = {
        each["Properties"]["MetricName"]: each["Properties"]["AlarmActions"]
        for key, each in alarms.items()
        if key.startswith("Churn")
    }
    assert sorted(watched) == [
        "ApproximateNumberOfMessagesVisible",
        "ExecutionsAborted",
        "ExecutionsFailed",
        "ExecutionsTimedOut",
    ]
    assert all("ChurnAlertsTopic" in json.dumps(actions) for actions in watched.values())


def test_cfn_lint_accepts_it(stack: cdk.Stack) -> None:
    assert problems(support.document(stack)) == []


def test_without_a_schedule_somebody_starts_it_and_a_disabled_one_waits() -> None:
    stack = support.stack()
    batch(stack, schedule=None, data_prefix="customers/")
    assert support.resources(stack, "AWS::Scheduler::Schedule") == {}
    assert request(stack)["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"].endswith("/customers/")
    off = support.stack(id="Off")
    batch(off, enabled=False)
    (made,) = support.resources(off, "AWS::Scheduler::Schedule").values()
    assert made["Properties"]["State"] == "DISABLED"


@functools.cache
def workshop() -> cdk.Stack:
    """Where transforms are tried that are refused: nobody synthesizes it."""
    return support.stack()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"data_prefix": "customers"}, "data_prefix='customers'"),
        ({"data_prefix": "day={day}/"}, "{day} once, below a folder"),
        ({"predictions_prefix": "p/{day}/{day}/"}, "{day} once, below a folder"),
        ({"job_name_prefix": "Churn"}, "RunName('Churn')"),
        (
            {"job": TransformJob(max_runtime=cdk.Duration.hours(1), instance_type="ml.p5.48xlarge")},
            "instance_type='ml.p5.48xlarge'",
        ),
        (
            {"model": lambda stack: Model.from_model_name(stack, f"M{len(stack.node.children)}", "churn-1")},
            "a model whose role is not known",
        ),
    ],
)
def test_what_sagemaker_refuses_is_refused(changes: dict[str, Any], expected: str) -> None:
    stack = workshop()
    given = {name: value(stack) if name == "model" else value for name, value in changes.items()}
    with pytest.raises(ConfigurationError) as failure:
        batch(stack, f"Try{len(stack.node.children)}", **given)
    assert expected in str(failure.value)


def test_the_packs_and_our_rules_find_nothing_that_is_not_acknowledged() -> None:
    app = support.app()
    stack = support.stack(app)
    batch(stack)
    cdk.Tags.of(stack).add("owner", "ml@example.com")
    cdk.Validations.of(app).add_plugins(DataScienceChecks(app, leave_out=["DataScience-COST3"]))
    assert [each for each in nag.unacknowledged(app) if "/Churn" in each] == []
