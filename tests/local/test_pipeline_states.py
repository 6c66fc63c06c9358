"""What a pipeline's state machine does around its steps: runs take turns, and every failure is told."""

from __future__ import annotations

import json
import time
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_data_science import DataLake, Pipeline, PipelineOptions
from cdk_data_science.pipelines import States, Step, StepContext
from tests.constructs import machines, support
from tests.local.conftest import ACCOUNT, REGION, LocalAws, allow, unique

DATA = {"bucket": "lake", "key": "reviews/new.csv"}


class Work(Step):
    """Takes as long as the input says, and fails as it says."""

    @property
    def name(self) -> str:
        return "Work"

    def states(self, scope: Construct, context: StepContext) -> States:
        given = "$states.context.Execution.Input"
        work = sfn.Wait.jsonata(scope, self.name, time=sfn.WaitTime.seconds(f"{{% {given}.seconds %}}"))
        fail = sfn.Pass.jsonata(scope, "Break", assign={"failure": f"{{% {given}.failure %}}"})
        done = sfn.Pass.jsonata(scope, "Done")
        fail.next(context.failure)
        good = sfn.Condition.jsonata(f"{{% $exists({given}.failure) = false %}}")
        work.next(sfn.Choice.jsonata(scope, "Broken?").when(good, done).otherwise(fail))
        return States(work, [done])


@pytest.fixture(scope="module")
def written() -> str:
    """The definition of a pipeline whose runs wait for their turn for a minute at most."""
    stack = support.stack(env=cdk.Environment(account=ACCOUNT, region=REGION))
    lake = DataLake(stack, "Lake")
    Pipeline(
        stack,
        "Pipeline",
        data=lake.raw,
        prefix="reviews/",
        work=lake.features,
        steps=[Work()],
        options=PipelineOptions(queue_timeout=cdk.Duration.minutes(1)),
    )
    return json.dumps(machines.definition(stack))


class Deployed:
    """A machine of that definition, with a bucket and a topic to tell its failures to."""

    def __init__(self, aws: LocalAws, definition: str, *, wait: int, listed: str = "RUNNING") -> None:
        self.aws = aws
        self._bucket = aws.bucket()
        topic = aws.client("sns").create_topic(Name=unique("topic"))["TopicArn"]
        self._queue, queue_arn = aws.queue("sns")
        aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn)
        role = aws.role("states", allow("states:ListExecutions", "s3:PutObject", "sns:Publish"))
        parsed = json.loads(definition)
        states = parsed["States"]
        states["RecordFailure"]["Arguments"]["Bucket"] = self._bucket
        for name in ("NotifyFailure", "NotifyFailure: as it is"):
            states[name]["Arguments"]["TopicArn"] = topic
        states["Wait for turn: wait"]["Seconds"] = wait
        for name in ("Wait for turn", "Wait for turn: more runs"):
            # The list comes in pages, however few there are in a test.
            states[name]["Arguments"]["MaxResults"] = 1
            states[name]["Arguments"]["StatusFilter"] = listed
        self.machine = aws.machine(role, states, parsed["StartAt"], TimeoutSeconds=3600)

    def start(self, name: str, **given: Any) -> str:
        time.sleep(0.002)  # the service tells runs apart by the millisecond of their start
        started = self.aws.client("stepfunctions").start_execution(
            stateMachineArn=self.machine,
            name=name,
            input=json.dumps({"data": DATA, "seconds": 0, **given}),
        )
        return str(started["executionArn"])

    def began_to_work(self, arn: str) -> Any:
        """When the run's turn had come."""
        (moment,) = self.entered(arn, "Work")
        return moment

    def entered(self, arn: str, state: str) -> list[Any]:
        """When a run entered a state, each time."""
        pages = self.aws.client("stepfunctions").get_paginator("get_execution_history")
        return [
            event["timestamp"]
            for page in pages.paginate(executionArn=arn)
            for event in page["events"]
            if event.get("stateEnteredEventDetails", {}).get("name") == state
        ]

    def record(self, run: str) -> dict[str, Any]:
        body = self.aws.client("s3").get_object(Bucket=self._bucket, Key=f"failures/{run}.json")["Body"]
        record: dict[str, Any] = json.loads(body.read())
        return record

    def message(self) -> dict[str, str]:
        """The one message that was sent since the last one was read."""
        (message,) = self.aws.messages(self._queue)
        body: dict[str, str] = json.loads(message["Body"])
        return body


@pytest.fixture(scope="module")
def deployed(local_aws: LocalAws, written: str) -> Deployed:
    return Deployed(local_aws, written, wait=1)


def test_runs_take_turns_the_oldest_first(deployed: Deployed) -> None:
    # GIVEN runs that are started one after the other, whatever their names
    arns = [deployed.start(name, seconds=1) for name in ("charlie", "alpha", "bravo")]
    ends = [deployed.aws.execution_end(arn) for arn in arns]
    assert [end["status"] for end in ends] == ["SUCCEEDED"] * 3
    # THEN each begins after the one before has ended
    for earlier, later in zip(ends, arns[1:], strict=False):
        assert deployed.began_to_work(later) >= earlier["stopDate"]


def test_a_run_that_was_stopped_gives_its_turn_back(deployed: Deployed) -> None:
    stuck = deployed.start("stuck", seconds=3000)
    waiting = deployed.start("waiting")
    deployed.aws.client("stepfunctions").stop_execution(executionArn=stuck)
    assert deployed.aws.execution_end(waiting)["status"] == "SUCCEEDED"


def test_a_run_that_the_list_does_not_know_asks_a_few_times_more_and_goes_on(
    local_aws: LocalAws, written: str
) -> None:
    # GIVEN a list without the runs that are under way, as it may be for a moment after their start
    deployed = Deployed(local_aws, written, wait=0, listed="TIMED_OUT")
    end = local_aws.execution_end(deployed.start("unlisted"))
    assert end["status"] == "SUCCEEDED"
    assert len(deployed.entered(end["executionArn"], "Wait for turn")) == 5


def test_a_run_that_waits_too_long_fails_under_a_name_of_its_own(local_aws: LocalAws, written: str) -> None:
    deployed = Deployed(local_aws, written, wait=0)
    stuck = deployed.start("stuck", seconds=3000)
    try:
        end = local_aws.execution_end(deployed.start("impatient"))
    finally:
        local_aws.client("stepfunctions").stop_execution(executionArn=stuck)
    assert (end["status"], end["error"]) == ("FAILED", "QueueTimeout")
    assert "After 1 minute of waiting there are still 1 older runs under way" in end["cause"]
    record = deployed.record("impatient")
    assert (record["state"], record["data"]) == ("Wait for turn", DATA)
    assert deployed.message()["Subject"] == "Pipeline failed: QueueTimeout in Wait for turn"


@pytest.mark.parametrize(
    ("cause", "told"),
    [
        ('{"errorMessage": "the label is missing", "errorType": "InvalidData"}', "the label is missing"),
        ('{"TrainingJobName": "a", "FailureReason": "AlgorithmError"}', "AlgorithmError"),
        ("{the cause is no JSON}", "{the cause is no JSON}"),
        ('{"errorMessage": "cut off here}', '{"errorMessage": "cut off here}'),
        ('{"errorMessage": {"code": 7}}', '{"errorMessage": {"code": 7}}'),
        ("plain words", "plain words"),
        ("", ""),
    ],
)
def test_every_cause_is_told(deployed: Deployed, cause: str, told: str) -> None:
    name = unique("run")
    failure = {"error": "Größe", "cause": cause, "state": "Work"}
    end = deployed.aws.execution_end(deployed.start(name, failure=failure))
    assert (end["status"], end["error"], end.get("cause", "")) == ("FAILED", "Größe", cause)
    assert deployed.record(name)["cause"] == cause
    message = deployed.message()
    assert f"Error: Größe\nCause: {told}\nState: Work\nRun: {name}\n" in message["Message"]
    # SNS takes a subject of printable ASCII alone.
    assert message["Subject"] in ("Pipeline failed: Gr??e in Work", "Pipeline failed")
