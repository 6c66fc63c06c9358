"""Lambda, as far as deployments and handlers depend on it."""

from __future__ import annotations

import base64
import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.local.conftest import COMMAND, LocalAws, allow, eventually, unique, zipped

TELLS = """
import os
class NoModel(Exception): pass
def handler(event, context):
    if isinstance(event, dict) and event.get("fail"):
        raise NoModel("there is no model")
    return {
        "model": os.environ.get("MODEL"),
        "version": os.environ["AWS_LAMBDA_FUNCTION_VERSION"],
        "context": context.function_version,
        "arn": context.invoked_function_arn,
        "body": event.get("body") if isinstance(event, dict) else None,
    }
"""


def call(local_aws: LocalAws, name: str, payload: Any = None, **options: Any) -> Any:
    answer = local_aws.client("lambda").invoke(
        FunctionName=name, Payload=json.dumps(payload or {}).encode(), **options
    )
    return json.loads(answer["Payload"].read())


@pytest.fixture
def versions(local_aws: LocalAws) -> str:
    """A function with two versions, whose models differ by their environment alone."""
    aws_lambda = local_aws.client("lambda")
    name = local_aws.function(TELLS, local_aws.role("lambda"), Environment={"Variables": {"MODEL": "one"}})
    aws_lambda.publish_version(FunctionName=name)
    aws_lambda.update_function_configuration(FunctionName=name, Environment={"Variables": {"MODEL": "two"}})
    local_aws.wait_for_function(name)
    aws_lambda.publish_version(FunctionName=name)
    return name


def test_versions_keep_their_own_environment_and_number(local_aws: LocalAws, versions: str) -> None:
    one, two = (call(local_aws, versions, Qualifier=str(number)) for number in (1, 2))
    assert (one["model"], one["version"], one["context"]) == ("one", "1", "1")
    assert (two["model"], two["version"], two["context"]) == ("two", "2", "2")
    assert call(local_aws, versions)["version"] == "$LATEST"
    configuration = local_aws.client("lambda").get_function_configuration(
        FunctionName=versions, Qualifier="1"
    )
    assert configuration["Environment"]["Variables"] == {"MODEL": "one"}


def test_versions_keep_their_own_code(local_aws: LocalAws, versions: str) -> None:
    aws_lambda = local_aws.client("lambda")
    code = zipped({"app.py": "def handler(event, context): return 'new'"})
    aws_lambda.update_function_code(FunctionName=versions, ZipFile=code)
    local_aws.wait_for_function(versions)
    assert call(local_aws, versions) == "new"
    assert call(local_aws, versions, Qualifier="2")["model"] == "two"


def test_publishing_what_has_not_changed_makes_no_version(local_aws: LocalAws, versions: str) -> None:
    assert local_aws.client("lambda").publish_version(FunctionName=versions)["Version"] == "2"


def test_publishing_keeps_its_guards(local_aws: LocalAws, versions: str) -> None:
    aws_lambda = local_aws.client("lambda")
    configuration = aws_lambda.get_function_configuration(FunctionName=versions)
    with pytest.raises(aws_lambda.exceptions.PreconditionFailedException):
        aws_lambda.publish_version(FunctionName=versions, RevisionId="another")
    with pytest.raises(aws_lambda.exceptions.InvalidParameterValueException, match="CodeSHA256"):
        aws_lambda.publish_version(FunctionName=versions, CodeSha256="another")
    published = aws_lambda.publish_version(
        FunctionName=versions,
        RevisionId=configuration["RevisionId"],
        CodeSha256=configuration["CodeSha256"],
    )
    assert published["Version"] == "2"


@pytest.fixture
def alias(local_aws: LocalAws, versions: str) -> Iterator[str]:
    local_aws.client("lambda").create_alias(FunctionName=versions, Name="live", FunctionVersion="1")
    yield versions


def shift(local_aws: LocalAws, name: str, weights: dict[str, float]) -> None:
    local_aws.client("lambda").update_alias(
        FunctionName=name,
        Name="live",
        FunctionVersion="1",
        RoutingConfig={"AdditionalVersionWeights": weights},
    )


def test_the_weights_of_an_alias_share_its_traffic(local_aws: LocalAws, alias: str) -> None:
    shift(local_aws, alias, {"2": 0.5})
    answers: list[dict[str, Any]] = []

    def both_have_answered() -> bool:
        answers.append(call(local_aws, alias, Qualifier="live"))
        return {answer["model"] for answer in answers} == {"one", "two"}

    eventually(both_have_answered, 60, "answers of both versions")
    assert all(answer["version"] == {"one": "1", "two": "2"}[answer["model"]] for answer in answers)
    assert {answer["arn"].rsplit(":", 1)[-1] for answer in answers} == {"live"}
    shift(local_aws, alias, {"2": 1.0})
    answer = local_aws.client("lambda").invoke(FunctionName=alias, Qualifier="live")
    assert answer["ExecutedVersion"] == "2"
    shift(local_aws, alias, {})
    assert {call(local_aws, alias, Qualifier="live")["model"] for _ in range(8)} == {"one"}


def test_calls_are_authorized_by_their_own_action_on_the_version_or_alias_that_they_name(
    local_aws: LocalAws, alias: str
) -> None:
    arn = local_aws.client("lambda").get_function_configuration(FunctionName=alias)["FunctionArn"]
    reader = local_aws.role("lambda", allow("lambda:GetAlias", resource=arn))
    caller = local_aws.role("lambda", allow("lambda:InvokeFunction", resource=f"{arn}:live"))
    may_read, may_call = (local_aws.session_for_role(role).client("lambda") for role in (reader, caller))
    assert may_read.get_alias(FunctionName=alias, Name="live")["Name"] == "live"
    assert may_call.invoke(FunctionName=alias, Qualifier="live")["StatusCode"] == 200
    for denied in (
        lambda: may_read.list_aliases(FunctionName=alias),
        lambda: may_read.invoke(FunctionName=alias, Qualifier="live"),
        lambda: may_call.invoke(FunctionName=alias, Qualifier="2"),
        lambda: may_call.invoke(FunctionName=alias),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            denied()


def signed(local_aws: LocalAws, url: str, credentials: Credentials | None, body: bytes) -> tuple[int, Any]:
    """POST to a function's URL, by way of the emulator's port."""
    host = urlsplit(url).netloc
    request = AWSRequest("POST", url, data=body, headers={"content-type": "application/json", "host": host})
    if credentials is not None:
        SigV4Auth(credentials, "lambda", "us-east-1").add_auth(request)
    sent = urllib.request.Request(
        f"{local_aws.endpoint}/", data=body, headers=dict(request.headers), method="POST"
    )
    try:
        with urllib.request.urlopen(sent, timeout=300) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_a_function_url_on_an_alias_answers_who_is_allowed(local_aws: LocalAws, alias: str) -> None:
    aws_lambda = local_aws.client("lambda")
    url = aws_lambda.create_function_url_config(FunctionName=alias, Qualifier="live", AuthType="AWS_IAM")[
        "FunctionUrl"
    ]
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:{alias}:live"
    allowed = local_aws.role("ec2", allow("lambda:InvokeFunctionUrl", resource=arn))
    denied = local_aws.role("ec2", allow("lambda:InvokeFunctionUrl", resource=f"{arn}-other"))

    def as_role(role: str) -> Credentials:
        keys = local_aws.session_for_role(role).credentials
        return Credentials(
            keys["aws_access_key_id"], keys["aws_secret_access_key"], keys["aws_session_token"]
        )

    status, answer = signed(local_aws, url, as_role(allowed), b'{"instances": []}')
    assert status == 200
    assert (answer["model"], answer["body"]) == ("one", '{"instances": []}')
    assert signed(local_aws, url, as_role(denied), b"{}")[0] == 403
    assert signed(local_aws, url, None, b"{}")[0] == 403
    wrong = as_role(allowed)
    wrong.secret_key = "not the secret"
    assert signed(local_aws, url, wrong, b"{}")[0] == 403
    shift(local_aws, alias, {"2": 1.0})
    assert signed(local_aws, url, as_role(allowed), b"{}")[1]["model"] == "two"


def test_an_exception_is_reported_by_its_class_with_the_functions_frames(local_aws: LocalAws) -> None:
    name = local_aws.function(TELLS, local_aws.role("lambda"))
    answer = local_aws.client("lambda").invoke(FunctionName=name, Payload=b'{"fail": true}')
    assert answer["FunctionError"] == "Unhandled"
    error = json.loads(answer["Payload"].read())
    assert (error["errorType"], error["errorMessage"]) == ("NoModel", "there is no model")
    assert len(error["stackTrace"]) == 1
    assert "in handler" in error["stackTrace"][0]


def test_a_function_that_takes_too_long_is_ended(local_aws: LocalAws) -> None:
    name = local_aws.function(
        "import time\ndef handler(e, c): time.sleep(30)", local_aws.role("lambda"), Timeout=1
    )
    answer = local_aws.client("lambda").invoke(FunctionName=name)
    assert answer["FunctionError"] == "Unhandled"
    assert "Task timed out after 1" in json.loads(answer["Payload"].read())["errorMessage"]


def test_a_function_may_do_only_what_its_role_allows(local_aws: LocalAws) -> None:
    mine, other = local_aws.bucket(), local_aws.bucket()
    source = """
import boto3
def handler(event, context):
    return boto3.client("s3").list_objects_v2(Bucket=event["bucket"])["KeyCount"]
"""
    role = local_aws.role("lambda", allow("s3:ListBucket", resource=f"arn:aws:s3:::{mine}"))
    name = local_aws.function(source, role)
    assert call(local_aws, name, {"bucket": mine}) == 0
    error = call(local_aws, name, {"bucket": other})
    assert "(AccessDenied)" in error["errorMessage"]


# A call waits for the line that ends its output, and for nothing else.
OUTPUT = """
import json, queue
from local_aws.emulator import functions
class Pipe(queue.Queue):
    waits = 0
    def get(self, timeout):
        if self.empty():
            self.waits += 1
            self.put("late" + functions._END_OF_OUTPUT)
            raise queue.Empty
        return super().get(timeout=0)
told = []
whole = ["a", functions._END_OF_OUTPUT, "of the next call"]
for lines, lives in ((whole, True), (["a"], True), (["a"], False)):
    pipe = Pipe()
    for line in lines:
        pipe.put(line)
    told.append([functions._output(pipe, lambda: lives), pipe.waits])
print(json.dumps(told))
"""


def test_no_call_waits_for_output_that_does_not_come_and_every_call_for_what_does() -> None:
    python = COMMAND.with_name("python")
    done = subprocess.run([str(python), "-c", OUTPUT], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [["a", 0], ["a\nlate", 1], ["a", 1]]


def test_all_that_a_function_prints_is_in_its_log_call_by_call(local_aws: LocalAws) -> None:
    source = """
import sys
def handler(event, context):
    for number in range(200):
        print("call", event["n"], "line", number)
    sys.stdout.write("no newline")
"""
    name = local_aws.function(source, local_aws.role("lambda"))
    for number in range(2):
        answer = local_aws.client("lambda").invoke(
            FunctionName=name, Payload=json.dumps({"n": number}).encode(), LogType="Tail"
        )
        tail = base64.b64decode(answer["LogResult"]).decode().splitlines()
        assert tail[-2:] == [f"call {number} line 199", "no newline"]


def test_what_a_function_prints_is_in_its_log_group(local_aws: LocalAws) -> None:
    name = local_aws.function(
        "def handler(e, c): print('a line of mine')", local_aws.role("lambda", allow("logs:*"))
    )
    call(local_aws, name)
    events = local_aws.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
    assert any("a line of mine" in event["message"] for event in events)


def test_an_event_that_fails_for_good_goes_to_the_dead_letter_queue_as_it_came(local_aws: LocalAws) -> None:
    url, arn = local_aws.queue()
    role = local_aws.role("lambda", allow("sqs:SendMessage", resource=arn))
    name = local_aws.function(TELLS, role, DeadLetterConfig={"TargetArn": arn})
    aws_lambda = local_aws.client("lambda")
    aws_lambda.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
    aws_lambda.invoke(FunctionName=name, InvocationType="Event", Payload=b'{"fail": "for good"}')
    (message,) = local_aws.messages(url)
    assert json.loads(message["Body"]) == {"fail": "for good"}
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert attributes["ErrorMessage"] == "there is no model"
    assert attributes["RequestID"]


def test_a_dead_letter_queue_that_the_role_may_not_use_gets_nothing(local_aws: LocalAws) -> None:
    url, arn = local_aws.queue()
    name = local_aws.function(TELLS, local_aws.role("lambda"), DeadLetterConfig={"TargetArn": arn})
    aws_lambda = local_aws.client("lambda")
    aws_lambda.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
    aws_lambda.invoke(FunctionName=name, InvocationType="Event", Payload=b'{"fail": true}')
    log = local_aws.state_dir / "emulator.log"
    eventually(lambda: f"The dead letter of {name} was not delivered" in log.read_text(), 10, "the warning")
    assert local_aws.client("sqs").receive_message(QueueUrl=url).get("Messages", []) == []


def test_a_failure_destination_gets_the_event_and_the_error(local_aws: LocalAws) -> None:
    url, arn = local_aws.queue()
    name = local_aws.function(TELLS, local_aws.role("lambda"))
    aws_lambda = local_aws.client("lambda")
    aws_lambda.put_function_event_invoke_config(
        FunctionName=name, MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": arn}}
    )
    aws_lambda.invoke(FunctionName=name, InvocationType="Event", Payload=b'{"fail": 1}')
    (message,) = local_aws.messages(url)
    body = json.loads(message["Body"])
    assert body["requestPayload"] == {"fail": 1}
    assert body["responsePayload"]["errorType"] == "NoModel"


def test_many_concurrent_calls_are_all_answered(local_aws: LocalAws) -> None:
    name = local_aws.function("def handler(event, context): return event['n']", local_aws.role("lambda"))
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda n: call(local_aws, name, {"n": n}), range(100)))
    assert answers == list(range(100))


def test_invoking_is_allowed_by_policy_only(local_aws: LocalAws) -> None:
    name = local_aws.function(TELLS, local_aws.role("lambda"))
    powerless = local_aws.session_for_role(local_aws.role("lambda")).client("lambda")
    with pytest.raises(ClientError, match="AccessDenied"):
        powerless.invoke(FunctionName=name)


def test_an_unknown_function_is_not_found(local_aws: LocalAws) -> None:
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        call(local_aws, unique("absent"))


MEASURES = """
import json
def handler(event, context):
    print("a line of text with \\"_aws\\" in it")
    print(json.dumps({
        "_aws": {"Timestamp": 1, "CloudWatchMetrics": [{
            "Namespace": "Own",
            "Dimensions": [["Service"], ["Service", "FunctionVersion"]],
            "Metrics": [{"Name": "Latency", "Unit": "Milliseconds"}, {"Name": "Rows"}],
        }]},
        "Service": event["service"], "FunctionVersion": "1", "Latency": event["ms"], "Rows": [1, 2],
    }))
    if event["ms"] > 100:
        raise ValueError("too slow")
"""


def test_metrics_in_a_functions_log_are_metrics(local_aws: LocalAws) -> None:
    # GIVEN a function that writes them in the embedded format, also where it fails
    name, service = local_aws.function(MEASURES, local_aws.role("lambda")), unique("service")
    for ms in (10, 20, 200):
        call(local_aws, name, {"service": service, "ms": ms})
    # THEN CloudWatch has them with each set of dimensions
    cloudwatch = local_aws.client("cloudwatch")

    def statistics(metric: str, *dimensions: str, **wanted: Any) -> list[Any]:
        """One datapoint, or two where a period ends between the calls."""
        values = {"Service": service, "FunctionVersion": "1"}
        now = time.time()
        answer = cloudwatch.get_metric_statistics(
            Namespace="Own",
            MetricName=metric,
            Dimensions=[{"Name": each, "Value": values[each]} for each in dimensions],
            StartTime=now - 86_400,
            EndTime=now + 60,
            Period=172_800,
            **wanted,
        )
        return list(answer["Datapoints"])

    latency = statistics("Latency", "Service", Statistics=["Sum", "SampleCount"])
    assert sum(point["Sum"] for point in latency) == 230
    rows = statistics("Rows", "Service", "FunctionVersion", Statistics=["Sum"])
    assert sum(point["Sum"] for point in rows) == 9
    highest = statistics("Latency", "Service", "FunctionVersion", ExtendedStatistics=["p99"])
    assert max(point["ExtendedStatistics"]["p99"] for point in highest) > 100
