"""What a change of a training job counts as."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from handlers.training.asset import FOLDER, job_metrics

from tests.compliance.handlers import Asset

JOB = {
    "TrainingJobName": "reviews--run-1",
    "TrainingJobStatus": "Completed",
    "SecondaryStatus": "Completed",
    "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 2},
    "TrainingTimeInSeconds": 500,
    "BillableTimeInSeconds": 100,
}


class FakeSageMaker:
    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job

    def describe_training_job(self, *, TrainingJobName: str) -> dict[str, Any]:  # noqa: N803
        assert TrainingJobName == self.job["TrainingJobName"]
        return self.job


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("METRICS_NAMESPACE", "DataScience/Training")
    monkeypatch.setenv("JOBS", "reviews")
    job_metrics._seen.clear()
    job_metrics._sagemaker.cache_clear()
    yield
    job_metrics._sagemaker.cache_clear()


def event(number: str = "1", **detail: Any) -> dict[str, Any]:
    known = {"TrainingJobName": JOB["TrainingJobName"], "LastModifiedTime": 1583831889050}
    return {"id": number, "detail": {**known, **detail}}


def count(monkeypatch: pytest.MonkeyPatch, job: dict[str, Any], number: str = "1") -> dict[str, float]:
    monkeypatch.setattr(job_metrics.boto3, "client", lambda *_, **__: FakeSageMaker(job))
    found: dict[str, float] = job_metrics.handler(
        event(number, TrainingJobStatus=job["TrainingJobStatus"]), None
    )
    return found


def test_an_ended_job_tells_what_its_instances_ran_and_what_spot_saved(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    values = count(monkeypatch, JOB)
    assert (values["Completed"], values["Failed"], values["LostCapacity"]) == (1, 0, 0)
    assert (values["Seconds"], values["BilledSeconds"], values["SavedSeconds"]) == (1000, 200, 800)
    written = json.loads(capsys.readouterr().out)
    (directive,) = written["_aws"]["CloudWatchMetrics"]
    assert (directive["Namespace"], directive["Dimensions"]) == ("DataScience/Training", [["Jobs"]])
    assert written["Jobs"] == "reviews"
    assert written["_aws"]["Timestamp"] == 1583831889050
    units = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
    assert units["SavedSeconds"] == "Seconds"
    assert units["Failed"] == "Count"
    assert {name: written[name] for name in units} == values


@pytest.mark.parametrize(
    ("changes", "counted"),
    [
        ({"TrainingJobStatus": "Failed", "FailureReason": "AlgorithmError: no rows"}, "Failed"),
        ({"TrainingJobStatus": "Failed", "FailureReason": "CapacityError: no p4d"}, "LostCapacity"),
        ({"TrainingJobStatus": "Failed", "FailureReason": "AlgorithmError: CapacityError"}, "Failed"),
        ({"TrainingJobStatus": "Stopped", "SecondaryStatus": "MaxWaitTimeExceeded"}, "LostCapacity"),
        ({"TrainingJobStatus": "Stopped", "SecondaryStatus": "MaxRuntimeExceeded"}, "Stopped"),
        ({"TrainingJobStatus": "Stopped", "SecondaryStatus": "Stopped"}, "Stopped"),
    ],
)
def test_a_job_ends_in_one_way(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], counted: str
) -> None:
    values = count(monkeypatch, {**JOB, **changes})
    ways = {name: values[name] for name in ("Completed", "Failed", "Stopped", "LostCapacity")}
    assert {name for name, value in ways.items() if value} == {counted}


def test_a_job_that_never_ran_has_no_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    never = {name: value for name, value in JOB.items() if "Seconds" not in name}
    assert "Seconds" not in count(monkeypatch, never)


def test_groups_of_instances_are_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = [{"InstanceCount": 1}, {"InstanceCount": 3}]
    assert count(monkeypatch, {**JOB, "ResourceConfig": {"InstanceGroups": groups}})["Seconds"] == 2000


def test_an_interruption_is_counted_and_nothing_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    values = job_metrics.handler(event(TrainingJobStatus="InProgress", SecondaryStatus="Interrupted"), None)
    assert values == {"Interrupted": 1}
    assert json.loads(capsys.readouterr().out)["Interrupted"] == 1


def test_an_event_that_comes_again_counts_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert count(monkeypatch, JOB)
    assert count(monkeypatch, JOB) == {}
    assert count(monkeypatch, JOB, number="2")
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_call_that_failed_can_be_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyError):
        count(
            monkeypatch,
            {"TrainingJobName": JOB["TrainingJobName"], "TrainingJobStatus": "Failed"}
            | {"ResourceConfig": {"InstanceGroups": [{}]}, "TrainingTimeInSeconds": 1},
        )
    job_metrics._sagemaker.cache_clear()
    assert count(monkeypatch, JOB)["Completed"] == 1


@pytest.mark.parametrize("wrong", [{}, {"detail": None}, {"detail": {"EndpointName": "reviews"}}])
def test_other_events_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(job_metrics.UnknownEventError, match="no training job"):
        job_metrics.handler(wrong, None)


def test_the_calls_can_be_followed() -> None:
    asset = Asset.in_folder(FOLDER)
    assert asset.unclear() == []
    assert {action for call in asset.calls("job_metrics.handler") for action in call.actions()} == {
        "sagemaker:DescribeTrainingJob"
    }
