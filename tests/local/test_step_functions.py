"""State machines: what they call, in whose name, and what they make of results and errors."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.conftest import LocalAws, allow, eventually, unique
from tests.local.jobs import Workbench

ECHO = """
import os
class QualityGateFailed(Exception): pass
class Flaky(Exception): pass
calls = 0
def handler(event, context):
    global calls
    if event.get("fail"):
        raise QualityGateFailed("RowCount > 100: observed 7")
    return {"event": event, "function": context.function_name}
"""
SLEEPS = "import time; print('sleeping', flush=True); time.sleep(3600)"


@pytest.fixture(scope="module")
def echo(local_aws: LocalAws) -> str:
    return local_aws.function(ECHO, local_aws.role("lambda", allow("logs:*")))


@pytest.fixture(scope="module")
def role(local_aws: LocalAws) -> str:
    """A role for machines that may do what these tests do."""
    return local_aws.role(
        "states",
        allow(
            "lambda:InvokeFunction", "sns:Publish", "sqs:SendMessage", "s3:*", "sagemaker:*", "iam:PassRole"
        ),
    )


def task(resource: str, arguments: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": f"arn:aws:states:::{resource}",
        "Arguments": arguments,
        "End": True,
    } | more


def invoke(function: str, payload: Any = "{% $states.input %}", **more: Any) -> dict[str, Any]:
    return task("lambda:invoke", {"FunctionName": function, "Payload": payload}, **more)


def test_a_function_is_invoked_and_its_payload_is_the_result(
    local_aws: LocalAws, role: str, echo: str
) -> None:
    machine = local_aws.machine(role, {"Call": invoke(echo)}, "Call")
    output = local_aws.execute(machine, {"n": 1})["output"]
    assert output["StatusCode"] == 200
    assert output["ExecutedVersion"] == "$LATEST"
    assert output["Payload"] == {"event": {"n": 1}, "function": echo}


def test_jsonata_as_cdk_writes_it(local_aws: LocalAws, role: str, echo: str) -> None:
    states = {
        "Call": invoke(
            echo,
            {
                "doubled": "{% $states.input.n * 2 %}",
                "run": "{% $states.context.Execution.Name %}",
                "text": "as is",
            },
            Assign={"seen": "{% $states.result.Payload.event.doubled %}", "list": ["{% 1 %}", 2]},
            Output="{% $merge([$states.input, {'payload': $states.result.Payload.event}]) %}",
            End=False,
            Next="Pause",
        ),
        "Pause": {"Type": "Wait", "Seconds": "{% $seen > 3 ? 0 : 1 %}", "Next": "Choose"},
        "Choose": {
            "Type": "Choice",
            "Choices": [
                {"Condition": "{% $seen > 100 %}", "Next": "Large"},
                {"Condition": "{% $states.input.payload.text = 'as is' and $seen = 8 %}", "Next": "Small"},
            ],
            "Default": "Large",
        },
        "Large": {"Type": "Fail", "Error": "Wrong"},
        "Small": {
            "Type": "Pass",
            "Output": {
                "seen": "{% $seen %}",
                "list": "{% $list %}",
                "run": "{% $states.input.payload.run %}",
            },
            "Next": "Done",
        },
        "Done": {"Type": "Succeed", "Output": {"seen": "{% $seen + 1 %}", "was": "{% $states.input %}"}},
    }
    name = unique("run")
    done = local_aws.execute(local_aws.machine(role, states, "Call"), {"n": 4}, name=name)
    assert done["status"] == "SUCCEEDED", done.get("cause")
    assert done["output"] == {"seen": 9, "was": {"seen": 8, "list": [1, 2], "run": name}}


def test_an_exception_of_a_function_is_caught_by_its_class_name(
    local_aws: LocalAws, role: str, echo: str
) -> None:
    states = {
        "Gate": invoke(
            echo,
            Catch=[
                {
                    "ErrorEquals": ["QualityGateFailed"],
                    "Assign": {"error": "{% $states.errorOutput %}"},
                    "Output": "{% $parse($states.errorOutput.Cause) %}",
                    "Next": "Caught",
                }
            ],
        ),
        "Caught": {
            "Type": "Pass",
            "Output": {"name": "{% $error.Error %}", "message": "{% $states.input.errorMessage %}"},
            "End": True,
        },
    }
    output = local_aws.execute(local_aws.machine(role, states, "Gate"), {"fail": True})["output"]
    assert output == {"name": "QualityGateFailed", "message": "RowCount > 100: observed 7"}


def test_an_uncaught_error_fails_the_execution_with_its_name_and_cause(
    local_aws: LocalAws, role: str, echo: str
) -> None:
    done = local_aws.execute(local_aws.machine(role, {"Gate": invoke(echo)}, "Gate"), {"fail": True})
    assert done["status"] == "FAILED"
    assert done["error"] == "QualityGateFailed"
    cause = json.loads(done["cause"])
    assert cause["errorMessage"] == "RowCount > 100: observed 7"
    assert "in handler" in cause["stackTrace"][0]


def test_a_retry_calls_again_as_often_as_it_says(local_aws: LocalAws, role: str) -> None:
    bucket = local_aws.bucket()
    source = f"""
import boto3
class Throttled(Exception): pass
def handler(event, context):
    s3 = boto3.client("s3")
    calls = s3.list_objects_v2(Bucket="{bucket}").get("KeyCount", 0)
    s3.put_object(Bucket="{bucket}", Key=str(calls), Body=b"")
    if calls < 2:
        raise Throttled("again")
    return calls
"""
    flaky = local_aws.function(source, local_aws.role("lambda", allow("s3:*")))
    retry = {"ErrorEquals": ["Throttled"], "IntervalSeconds": 1, "MaxAttempts": 1, "BackoffRate": 1}
    once = local_aws.machine(role, {"Call": invoke(flaky, Retry=[retry])}, "Call")
    assert local_aws.execute(once)["error"] == "Throttled"
    assert local_aws.execute(once)["output"]["Payload"] == 2


def test_a_machine_may_call_only_what_its_role_allows(local_aws: LocalAws, echo: str) -> None:
    powerless = local_aws.role("states")
    done = local_aws.execute(local_aws.machine(powerless, {"Call": invoke(echo)}, "Call"))
    assert done["error"] == "Lambda.AWSLambdaException"
    assert "is not authorized to perform: lambda:InvokeFunction" in done["cause"]
    assert powerless.rsplit("/", 1)[-1] in done["cause"]


def test_a_role_for_one_function_does_not_reach_another(local_aws: LocalAws, echo: str) -> None:
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:{echo}"
    narrow = local_aws.role("states", allow("lambda:InvokeFunction", resource=[arn, f"{arn}:*"]))
    other = local_aws.function(ECHO, local_aws.role("lambda"))
    assert local_aws.execute(local_aws.machine(narrow, {"C": invoke(arn)}, "C"))["status"] == "SUCCEEDED"
    assert local_aws.execute(local_aws.machine(narrow, {"C": invoke(other)}, "C"))["status"] == "FAILED"


def test_a_function_that_is_not_there_is_named_as_in_aws(local_aws: LocalAws, role: str) -> None:
    done = local_aws.execute(local_aws.machine(role, {"Call": invoke(unique("absent"))}, "Call"))
    assert done["error"] == "Lambda.ResourceNotFoundException"


def test_messages_are_published_and_sent(local_aws: LocalAws, role: str) -> None:
    url, arn = local_aws.queue()
    topic = local_aws.client("sns").create_topic(Name=unique("topic"))["TopicArn"]
    local_aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    send = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = {"Version": "2012-10-17", "Statement": [send | {"Resource": arn}]}
    local_aws.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    states = {
        "Publish": task(
            "sns:publish",
            {"TopicArn": topic, "Subject": "failed", "Message": {"step": "{% $states.input.step %}"}},
            End=False,
            Next="Send",
        ),
        "Send": task("sqs:sendMessage", {"QueueUrl": url, "MessageBody": {"sent": True}}),
    }
    done = local_aws.execute(local_aws.machine(role, states, "Publish"), {"step": "Train"})
    assert done["status"] == "SUCCEEDED", done.get("cause")
    assert done["output"]["MessageId"]
    bodies = [json.loads(message["Body"]) for message in local_aws.messages(url, 2)]
    published = next(body for body in bodies if "Message" in body)
    assert json.loads(published["Message"]) == {"step": "Train"}
    assert {"sent": True} in bodies


def test_any_sdk_call_is_made_with_the_names_of_the_java_sdk(local_aws: LocalAws, role: str) -> None:
    bucket = local_aws.bucket()
    states = {
        "Put": task(
            "aws-sdk:s3:putObject",
            {"Bucket": bucket, "Key": "report.json", "Body": {"passed": True}},
            End=False,
            Next="List",
        ),
        "List": task("aws-sdk:s3:listObjectsV2", {"Bucket": bucket}, End=False, Next="Get"),
        "Get": task(
            "aws-sdk:s3:getObject",
            {"Bucket": bucket, "Key": "{% $states.input.Contents[0].Key %}"},
            Output="{% $parse($states.result.Body) %}",
        ),
    }
    done = local_aws.execute(local_aws.machine(role, states, "Put"))
    assert done["output"] == {"passed": True}, done


@pytest.mark.parametrize(
    ("action", "arguments", "error"),
    [
        ("s3:getObject", {"Bucket": "BUCKET", "Key": "absent"}, "S3.NoSuchKeyException"),
        ("s3:headObject", {"Bucket": "BUCKET", "Key": "absent"}, "S3.NoSuchKeyException"),
        ("sqs:getQueueUrl", {"QueueName": "absent"}, "Sqs.SqsException"),
        ("sagemaker:describeTrainingJob", {"TrainingJobName": "absent"}, "SageMaker.SageMakerException"),
        ("s3:noSuchAction", {}, "States.Runtime"),
        ("nosuchservice:call", {}, "States.Runtime"),
    ],
)
def test_sdk_errors_have_the_names_of_the_java_sdk(
    local_aws: LocalAws, role: str, action: str, arguments: dict[str, str], error: str
) -> None:
    bucket = local_aws.bucket()
    given = {name: bucket if value == "BUCKET" else value for name, value in arguments.items()}
    done = local_aws.execute(local_aws.machine(role, {"Call": task(f"aws-sdk:{action}", given)}, "Call"))
    assert done["error"] == error, done["cause"]


def test_an_unknown_integration_fails_and_says_so(local_aws: LocalAws, role: str) -> None:
    done = local_aws.execute(local_aws.machine(role, {"Call": task("glue:startJobRun.sync", {})}, "Call"))
    assert done["error"] == "States.Runtime"
    assert "does not run on the local AWS" in done["cause"]


@pytest.fixture(scope="module")
def bench(local_aws: LocalAws) -> Workbench:
    return Workbench.of(local_aws)


def train(request: dict[str, Any], **more: Any) -> dict[str, Any]:
    return task("sagemaker:createTrainingJob.sync", request, **more)


def test_training_waits_for_the_job_and_results_in_its_description(bench: Workbench, role: str) -> None:
    request = bench.request("print('trained')") | {"TrainingJobName": "{% $states.context.Execution.Name %}"}
    machine = bench.aws.machine(role, {"Train": train(request)}, "Train")
    name = unique("run")
    done = bench.aws.execute(machine, name=name)
    assert done["status"] == "SUCCEEDED", done.get("cause")
    described = done["output"]
    assert described["TrainingJobStatus"] == "Completed"
    assert described["ModelArtifacts"]["S3ModelArtifacts"].endswith(f"{name}/output/model.tar.gz")
    assert described["TrainingEndTime"] > 10**12, "milliseconds"


def test_a_failed_job_is_a_failed_task_whose_cause_is_the_description(bench: Workbench, role: str) -> None:
    request = bench.request("raise RuntimeError('no convergence')")
    done = bench.aws.execute(bench.aws.machine(role, {"Train": train(request)}, "Train"))
    assert done["error"] == "States.TaskFailed"
    cause = json.loads(done["cause"])
    assert cause["TrainingJobStatus"] == "Failed"
    assert "no convergence" in cause["FailureReason"]


def test_a_job_name_in_use_and_a_wrong_request_have_sagemakers_errors(bench: Workbench, role: str) -> None:
    request = bench.request("")
    machine = bench.aws.machine(role, {"Train": train(request)}, "Train")
    assert bench.aws.execute(machine)["status"] == "SUCCEEDED"
    assert bench.aws.execute(machine)["error"] == "SageMaker.ResourceInUseException"
    wrong = bench.aws.machine(role, {"Train": train(request | {"TrainingJobName": "a_b"})}, "Train")
    done = bench.aws.execute(wrong)
    assert done["error"] == "SageMaker.AmazonSageMakerException"
    assert "trainingJobName" in done["cause"]


def test_a_machine_trains_only_with_the_rights_to_create_pass_and_describe(bench: Workbench) -> None:
    request = bench.request("")

    def outcome(*statements: dict[str, Any]) -> tuple[str, str]:
        machine = bench.aws.machine(
            bench.aws.role("states", *statements),
            {"Train": train(request | {"TrainingJobName": "{% $states.context.Execution.Name %}"})},
            "Train",
        )
        done = bench.aws.execute(machine, name=unique("run"))
        return done["status"], done.get("cause") or ""

    create, pass_role = allow("sagemaker:CreateTrainingJob"), allow("iam:PassRole", resource=bench.role)
    assert "sagemaker:CreateTrainingJob" in outcome()[1]
    assert "iam:PassRole" in outcome(create)[1]
    assert "sagemaker:DescribeTrainingJob" in outcome(create, pass_role)[1]
    assert outcome(create, pass_role, allow("sagemaker:DescribeTrainingJob"))[0] == "SUCCEEDED"


def test_stopping_an_execution_stops_its_job_and_it_stays_stopped(bench: Workbench, role: str) -> None:
    request = bench.request(SLEEPS)
    states = bench.aws.client("stepfunctions")
    machine = bench.aws.machine(role, {"Train": train(request)}, "Train")
    arn = states.start_execution(stateMachineArn=machine)["executionArn"]
    bench.wait_for_log(request["TrainingJobName"], "sleeping")
    states.stop_execution(executionArn=arn, error="Enough", cause="by a test")
    assert bench.end_of(request["TrainingJobName"])["TrainingJobStatus"] == "Stopped"
    described = states.describe_execution(executionArn=arn)
    assert (described["status"], described["error"]) == ("ABORTED", "Enough")


def test_a_tasks_timeout_stops_its_job_and_can_be_caught(bench: Workbench, role: str) -> None:
    request = bench.request(SLEEPS)
    states = {
        "Train": train(
            request,
            TimeoutSeconds="{% 1 + 1 %}",
            Catch=[
                {
                    "ErrorEquals": ["States.Timeout"],
                    "Output": "{% $states.errorOutput.Error %}",
                    "Next": "Late",
                }
            ],
        ),
        "Late": {"Type": "Pass", "End": True},
    }
    done = bench.aws.execute(bench.aws.machine(role, states, "Train"))
    assert done["output"] == "States.Timeout"
    # On a busy machine the time is over before the job is made, which is stopped then.
    eventually(lambda: bench.is_there(request["TrainingJobName"]), 30, "the job")
    assert bench.end_of(request["TrainingJobName"])["TrainingJobStatus"] == "Stopped"


def test_a_machines_timeout_ends_the_execution_as_timed_out(local_aws: LocalAws, role: str) -> None:
    machine = local_aws.machine(
        role, {"Wait": {"Type": "Wait", "Seconds": 3600, "End": True}}, "Wait", TimeoutSeconds=1
    )
    done = local_aws.execute(machine)
    assert done["status"] == "TIMED_OUT"


def test_the_same_name_and_input_is_the_same_execution_while_it_runs(local_aws: LocalAws, role: str) -> None:
    states = local_aws.client("stepfunctions")
    machine = local_aws.machine(role, {"Wait": {"Type": "Wait", "Seconds": 3600, "End": True}}, "Wait")
    given = {"stateMachineArn": machine, "name": unique("run"), "input": '{"key": "a.csv"}'}
    first = states.start_execution(**given)
    again = states.start_execution(**given)
    assert again["executionArn"] == first["executionArn"]
    assert again["startDate"] == first["startDate"]
    with pytest.raises(states.exceptions.ExecutionAlreadyExists):
        states.start_execution(**given | {"input": '{"key": "b.csv"}'})
    states.stop_execution(executionArn=first["executionArn"])
    with pytest.raises(states.exceptions.ExecutionAlreadyExists):
        states.start_execution(**given)
    assert len(states.list_executions(stateMachineArn=machine)["executions"]) == 1


def test_stopping_ends_a_wait_at_once(local_aws: LocalAws, role: str) -> None:
    states = local_aws.client("stepfunctions")
    machine = local_aws.machine(role, {"Wait": {"Type": "Wait", "Seconds": 3600, "End": True}}, "Wait")
    arn = states.start_execution(stateMachineArn=machine)["executionArn"]

    def events() -> list[str]:
        found = states.get_execution_history(executionArn=arn)["events"]
        return [event["type"] for event in found]

    eventually(lambda: "WaitStateEntered" in events(), 20, "the wait")
    states.stop_execution(executionArn=arn)
    assert states.describe_execution(executionArn=arn)["status"] == "ABORTED"
    assert events() == ["ExecutionStarted", "WaitStateEntered", "ExecutionAborted"]


def test_a_task_token_ends_a_waiting_task(local_aws: LocalAws, role: str) -> None:
    url, _ = local_aws.queue()
    states = {
        "Ask": task(
            "sqs:sendMessage.waitForTaskToken",
            {"QueueUrl": url, "MessageBody": {"token": "{% $states.context.Task.Token %}"}},
        )
    }
    client = local_aws.client("stepfunctions")
    arn = client.start_execution(stateMachineArn=local_aws.machine(role, states, "Ask"))["executionArn"]
    (message,) = local_aws.messages(url)
    client.send_task_success(taskToken=json.loads(message["Body"])["token"], output='{"approved": true}')
    assert local_aws.execution_end(arn)["output"] == {"approved": True}


def test_a_map_and_a_parallel_call_in_the_machines_role(local_aws: LocalAws, role: str, echo: str) -> None:
    inner = {
        "StartAt": "Call",
        "States": {"Call": invoke(echo, Output="{% $states.result.Payload.event.n %}")},
    }
    states = {
        "Each": {
            "Type": "Map",
            "Items": "{% $states.input.rows %}",
            "ItemProcessor": {"ProcessorConfig": {"Mode": "INLINE"}} | inner,
            "Next": "Both",
        },
        "Both": {
            "Type": "Parallel",
            "Arguments": {"n": "{% $sum($states.input) %}"},
            "Branches": [inner, inner],
            "End": True,
        },
    }
    done = local_aws.execute(local_aws.machine(role, states, "Each"), {"rows": [{"n": 1}, {"n": 2}]})
    assert done["output"] == [3, 3], done.get("cause")


def test_an_execution_with_a_wrong_machine_is_an_error(local_aws: LocalAws) -> None:
    arn = "arn:aws:states:us-east-1:000000000000:stateMachine:absent"
    with pytest.raises(ClientError, match="StateMachineDoesNotExist"):
        local_aws.client("stepfunctions").start_execution(stateMachineArn=arn)
