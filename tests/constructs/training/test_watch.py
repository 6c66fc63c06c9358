"""TrainingWatch and QuotaAlarm: what is watched, and who is told."""

from __future__ import annotations

import json
from typing import Any

import aws_cdk as cdk
import pytest

from cdk_data_science import AlertTopic, ConfigurationError, DataLake
from cdk_data_science.training import QuotaAlarm, TrainingWatch
from tests.constructs import machines, nag, support
from tests.constructs.training.stacks import run, training


@pytest.fixture(scope="module")
def app() -> cdk.App:
    app = support.app()
    stack = support.stack(app)
    alerts = AlertTopic(stack, "Alerts")
    lake = DataLake(stack, "Lake")
    spot = training(
        stack,
        lake,
        job_name_prefix="reviews",
    )
    TrainingWatch(stack, "Watch", jobs=spot, alerts=alerts, most_lost=2)
    QuotaAlarm(stack, "Quota", instance_type="ml.p4d.24xlarge", alerts=alerts)
    run(stack, spot)
    return app


@pytest.fixture(scope="module")
def watched(app: cdk.App) -> cdk.Stack:
    stack = app.node.find_child("Test")
    assert isinstance(stack, cdk.Stack)
    return stack


def alarm_of(stack: cdk.Stack, prefix: str) -> dict[str, Any]:
    alarms = support.resources(stack, "AWS::CloudWatch::Alarm")
    (found,) = (each["Properties"] for key, each in alarms.items() if key.startswith(prefix))
    return dict(found)


def test_rules_hear_of_this_training_alone(watched: cdk.Stack) -> None:
    details = [
        each["Properties"]["EventPattern"]["detail"]
        for key, each in support.resources(watched, "AWS::Events::Rule").items()
        if key.startswith("Watch")
    ]
    names = [{"prefix": "reviews--"}]
    assert {"TrainingJobName": names, "SecondaryStatus": ["Interrupted"]} in details
    assert {"TrainingJobName": names, "TrainingJobStatus": ["Completed", "Failed", "Stopped"]} in details


def test_events_that_cannot_be_delivered_are_kept(watched: cdk.Stack) -> None:
    for key, rule in support.resources(watched, "AWS::Events::Rule").items():
        if key.startswith("Watch"):
            (target,) = rule["Properties"]["Targets"]
            assert "DeadLetters" in json.dumps(target["DeadLetterConfig"])


def test_the_function_may_look_at_these_jobs_and_call_nothing_else(watched: cdk.Stack) -> None:
    found = machines.statements(watched, "WatchCountRole")
    (describe,) = (s for s in found if "sagemaker:DescribeTrainingJob" in machines.actions([s]))
    assert json.dumps(describe["Resource"]).endswith(':training-job/reviews--*"]]}')
    services = {action.partition(":")[0] for action in machines.actions(found)}
    assert services == {"kms", "logs", "sagemaker", "sqs"}


def test_alarms_look_at_the_metrics_that_the_function_writes(watched: cdk.Stack) -> None:
    failed = alarm_of(watched, "WatchFailedAlarm")
    dimensions = [{"Name": "Jobs", "Value": "reviews"}]
    assert (failed["Namespace"], failed["MetricName"]) == ("DataScience/Training", "Failed")
    assert failed["Dimensions"] == dimensions
    capacity = alarm_of(watched, "WatchCapacityAlarm")
    metrics = [q["MetricStat"]["Metric"] for q in capacity["Metrics"] if "MetricStat" in q]
    assert {metric["MetricName"] for metric in metrics} == {"LostCapacity", "Interrupted"}
    assert all(metric["Dimensions"] == dimensions for metric in metrics)
    assert capacity["Threshold"] == 3
    variables = next(
        each["Properties"]["Environment"]["Variables"]
        for key, each in support.resources(watched, "AWS::Lambda::Function").items()
        if key.startswith("Watch")
    )
    assert variables == {"METRICS_NAMESPACE": "DataScience/Training", "JOBS": "reviews"}


def test_the_alerts_hear_of_every_alarm(watched: cdk.Stack) -> None:
    for each in support.resources(watched, "AWS::CloudWatch::Alarm").values():
        assert each["Properties"]["AlarmActions"], each


def test_the_quota_is_the_accounts_own(watched: cdk.Stack) -> None:
    found = alarm_of(watched, "QuotaAlarm")
    (expression,) = (q["Expression"] for q in found["Metrics"] if "Expression" in q)
    (used,) = (q["MetricStat"] for q in found["Metrics"] if "MetricStat" in q)
    assert expression == "used / SERVICE_QUOTA(used) * 100"
    assert (used["Metric"]["Namespace"], used["Metric"]["MetricName"]) == ("AWS/Usage", "ResourceCount")
    assert {each["Name"]: each["Value"] for each in used["Metric"]["Dimensions"]} == {
        "Service": "SageMaker",
        "Type": "Resource",
        "Resource": "training-job/ml.p4d.24xlarge",
        "Class": "None",
    }
    assert found["Threshold"] == 80


def test_no_rule_pack_finds_anything_that_is_not_acknowledged() -> None:
    app = support.app()
    stack = support.stack(app)
    alerts = AlertTopic(stack, "Alerts")
    TrainingWatch(stack, "Watch", jobs=training(stack), alerts=alerts)
    QuotaAlarm(stack, "Quota", instance_type="ml.g5.xlarge", use="endpoint", alerts=alerts)
    found = [each for each in nag.unacknowledged(app) if "/Watch" in each or "/Quota" in each]
    assert found == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"instance_type": "ml.p4d.24xlarg"}, 'instance_type="ml.p4d.24xlarge"'),
        ({"instance_type": "ml.t3.medium", "use": "endpoint"}, "an instance type of endpoint"),
        ({"percent": 0}, "more than 0 and at most 100"),
        ({"percent": 101}, "more than 0 and at most 100"),
        ({"use": "cluster"}, "training, processing, transform, endpoint"),
    ],
)
def test_what_has_no_quota_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        QuotaAlarm(support.stack(), "Quota", **{"instance_type": "ml.p4d.24xlarge", **options})


def test_a_negative_number_of_losses_is_refused() -> None:
    stack = support.stack()
    with pytest.raises(ConfigurationError, match="0 or more"):
        TrainingWatch(stack, "Watch", jobs=training(stack), most_lost=-1)
