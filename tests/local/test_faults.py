"""Faults on request, and a small app that survives each of them with nothing lost."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.local.conftest import LocalAws, allow, eventually, unique
from tests.local.jobs import Workbench, channel

COPIES = """
import boto3, os
s3, table = boto3.client("s3"), boto3.client("dynamodb")
def handler(event, context):
    bucket, key = event["bucket"], event["key"]
    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    s3.put_object(Bucket=bucket, Key="out/" + key, Body=body.upper())
    number = {"N": "1"}
    table.update_item(TableName=os.environ["TABLE"], Key={"key": {"S": key}},
                      UpdateExpression="ADD deliveries :n", ExpressionAttributeValues={":n": number})
    return {"key": key}
"""
RETRY = {
    "ErrorEquals": ["Lambda.TooManyRequestsException", "Lambda.AWSLambdaException", "Runtime.ExitError"],
    "IntervalSeconds": 1,
    "MaxAttempts": 3,
}


@dataclass(frozen=True)
class App:
    """An upload is copied in capitals, by a state machine and a function: at least once, never not."""

    aws: LocalAws
    bucket: str
    table: str
    rule: str
    function: str
    function_role: str

    @classmethod
    def on(cls, aws: LocalAws) -> App:
        bucket, table, rule = aws.bucket(), unique("table"), unique("rule")
        configuration: dict[str, Any] = {"EventBridgeConfiguration": {}}
        aws.client("s3").put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration=configuration
        )
        aws.client("dynamodb").create_table(
            TableName=table,
            KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "key", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        role = aws.role(
            "lambda",
            allow("s3:GetObject", "s3:PutObject", resource=f"arn:aws:s3:::{bucket}/*"),
            allow("dynamodb:UpdateItem"),
        )
        function = aws.function(COPIES, role, Environment={"Variables": {"TABLE": table}})
        detail = "$states.input.detail"
        copy = {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Arguments": {
                "FunctionName": function,
                "Payload": {
                    "bucket": f"{{% {detail}.bucket.name %}}",
                    "key": f"{{% {detail}.object.key %}}",
                },
            },
            "Retry": [RETRY],
            "End": True,
        }
        machine = aws.machine(aws.role("states", allow("lambda:InvokeFunction")), {"Copy": copy}, "Copy")
        events = aws.client("events")
        uploaded = {"bucket": {"name": [bucket]}, "object": {"key": [{"prefix": "in-"}]}}
        pattern = {"source": ["aws.s3"], "detail": uploaded}
        events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
        starts = aws.role("events", allow("states:StartExecution"))
        events.put_targets(Rule=rule, Targets=[{"Id": "1", "Arn": machine, "RoleArn": starts}])
        return cls(aws, bucket, table, rule, function, role)

    def upload(self) -> str:
        key = unique("in")
        self.aws.client("s3").put_object(Bucket=self.bucket, Key=key, Body=b"text")
        return key

    def deliveries(self, key: str) -> int:
        item = self.aws.client("dynamodb").get_item(TableName=self.table, Key={"key": {"S": key}})
        return int(item["Item"]["deliveries"]["N"]) if "Item" in item else 0

    def copy(self, key: str) -> bytes:
        body: bytes = self.aws.client("s3").get_object(Bucket=self.bucket, Key=f"out/{key}")["Body"].read()
        return body


@pytest.fixture(scope="module")
def app(local_aws: LocalAws) -> App:
    return App.on(local_aws)


@pytest.fixture(autouse=True)
def no_faults_left(local_aws: LocalAws) -> Iterator[None]:
    yield
    local_aws.admin("faults/clear")


def add(app: App, api: str, **values: Any) -> int:
    return app.aws.fault(api, **values)


SURVIVED = {
    "throttled start": {"api": "states:StartExecution", "throttle": True, "times": 2},
    "throttled function": {"api": "lambda:InvokeFunction", "throttle": True},
    "slow read": {"api": "s3:GetObject", "delay": 0.5},
    "throttled read": {"api": "s3:GetObject", "code": "SlowDown", "times": 2, "role": "*"},
    "failing write": {"api": "s3:PutObject", "code": "InternalError", "resource": "*/out/*"},
    "lost answer": {"api": "dynamodb:UpdateItem", "code": "InternalServerError", "after": True},
}


@pytest.mark.parametrize("name", SURVIVED)
def test_an_upload_survives_a_failing_api(app: App, name: str) -> None:
    values = dict(SURVIVED[name])
    number = add(app, str(values.pop("api")), **values)
    key = app.upload()
    eventually(lambda: app.deliveries(key) >= 1, 20, "the delivery")
    assert app.copy(key) == b"TEXT"
    assert app.aws.fault_hits(number) == values.get("times", 1)


def test_an_upload_survives_a_function_that_is_killed_in_flight(app: App) -> None:
    # GIVEN a call that is in the middle of its work until it is killed
    held = add(app, "s3:GetObject", delay=3600)
    key = app.upload()
    eventually(lambda: app.aws.fault_hits(held) == 1, 20, "the call")
    # WHEN
    assert app.aws.admin("faults/kill", function=app.function)["killed"] == 1
    # THEN it is made again
    eventually(lambda: app.deliveries(key) == 1, 20, "the delivery")
    assert app.copy(key) == b"TEXT"


def test_a_call_that_is_quicker_than_its_kill_is_killed_all_the_same(local_aws: LocalAws) -> None:
    name = local_aws.function("def handler(event, context): return 1", local_aws.role("lambda"))
    local_aws.admin("faults/add", kind="kill", resource=name, delay=3600)
    answer = local_aws.client("lambda").invoke(FunctionName=name)
    assert json.loads(answer["Payload"].read())["errorType"] == "Runtime.ExitError"
    assert json.loads(local_aws.client("lambda").invoke(FunctionName=name)["Payload"].read()) == 1


def test_an_event_that_is_delivered_twice_is_seen_twice_and_copied_once(app: App) -> None:
    done = app.aws.run("faults", "duplicate", "--rule", app.rule)
    assert done.returncode == 0, done.stderr
    key = app.upload()
    eventually(lambda: app.deliveries(key) == 2, 20, "both deliveries")
    assert app.copy(key) == b"TEXT"
    next_key = app.upload()
    eventually(lambda: app.deliveries(next_key) == 1, 20, "the delivery")


def test_a_job_survives_that_s3_throttles_its_channel_and_its_model(local_aws: LocalAws) -> None:
    bench = Workbench.of(local_aws)
    bench.put("data/a", "1")
    script = """
        import os, shutil
        shutil.copy(os.path.join(os.environ["SM_CHANNEL_TRAIN"], "a"), os.environ["SM_MODEL_DIR"])
    """
    request = bench.request(script, InputDataConfig=[channel("train", f"s3://{bench.bucket}/data/")])
    here = f"arn:aws:s3:::{bench.bucket}/*"
    reads = local_aws.fault("s3:GetObject", code="SlowDown", times=2, resource=here)
    writes = local_aws.fault("s3:PutObject", code="SlowDown", times=1, resource=here)
    assert bench.run(request)["TrainingJobStatus"] == "Completed"
    assert bench.model(request["TrainingJobName"]) == {"a": b"1"}
    assert (local_aws.fault_hits(reads), local_aws.fault_hits(writes)) == (2, 1)


def test_a_running_call_is_killed_at_once(local_aws: LocalAws) -> None:
    source = "import time\ndef handler(event, context): time.sleep(899)"
    name = local_aws.function(source, local_aws.role("lambda"), Timeout=900)
    answers: list[dict[str, Any]] = []
    client = local_aws.client("lambda")
    call = threading.Thread(target=lambda: answers.append(client.invoke(FunctionName=name)))
    call.start()

    def killed() -> bool:
        local_aws.admin("faults/kill", function=name)  # its process may not be there yet
        call.join(0.1)
        return not call.is_alive()

    eventually(killed, 20, "the end of a running call")
    assert answers[0]["FunctionError"] == "Unhandled"
    assert json.loads(answers[0]["Payload"].read())["errorType"] == "Runtime.ExitError"


CALLS = {
    "s3": ("s3:ListAllMyBuckets", "list_buckets", {}, "SlowDown"),
    "sqs": ("sqs:ListQueues", "list_queues", {}, "RequestThrottled"),
    "sns": ("sns:ListTopics", "list_topics", {}, "Throttled"),
    "lambda": ("lambda:ListFunctions", "list_functions", {}, "TooManyRequestsException"),
    "stepfunctions": ("states:ListStateMachines", "list_state_machines", {}, "ThrottlingException"),
    "cloudwatch": ("cloudwatch:DescribeAlarms", "describe_alarms", {}, "Throttling"),
    "sagemaker": ("sagemaker:ListTrainingJobs", "list_training_jobs", {}, "ThrottlingException"),
    "iam": ("iam:ListRoles", "list_roles", {}, "Throttling"),
    "events": ("events:ListRules", "list_rules", {}, "ThrottlingException"),
    "dynamodb": ("dynamodb:ListTables", "list_tables", {}, "ProvisionedThroughputExceededException"),
}


@pytest.mark.parametrize("service", CALLS)
def test_each_service_throttles_with_its_own_code_in_its_own_protocol(
    local_aws: LocalAws, service: str
) -> None:
    action, method, parameters, code = CALLS[service]
    local_aws.fault(action, throttle=True)
    call = getattr(local_aws.client(service), method)
    with pytest.raises(ClientError) as failed:
        call(**parameters)
    assert failed.value.response["Error"]["Code"] == code
    assert "A fault that was asked for" in failed.value.response["Error"]["Message"]
    call(**parameters)


def test_a_fault_meets_only_the_role_and_the_resource_that_it_names(local_aws: LocalAws) -> None:
    first, second = local_aws.bucket(), local_aws.bucket()
    role = local_aws.role("lambda", allow("s3:*"))
    local_aws.fault("s3:Put*", code="SlowDown", times=9, role=role, resource=f"arn:aws:s3:::{first}/*")
    root, caller = local_aws.client("s3"), local_aws.session_for_role(role).client("s3")
    root.put_object(Bucket=first, Key="a", Body=b"")
    caller.put_object(Bucket=second, Key="a", Body=b"")
    with pytest.raises(ClientError, match="SlowDown"):
        caller.put_object(Bucket=first, Key="a", Body=b"")


def test_an_answer_that_is_lost_is_no_effect_that_is_lost(local_aws: LocalAws) -> None:
    bucket = local_aws.bucket()
    number = local_aws.fault("s3:PutObject", code="InternalError", after=True)
    patient = local_aws.client("s3", config=Config(retries={"total_max_attempts": 1}))
    with pytest.raises(ClientError, match="InternalError"):
        patient.put_object(Bucket=bucket, Key="a", Body=b"there")
    assert patient.get_object(Bucket=bucket, Key="a")["Body"].read() == b"there"
    assert local_aws.fault_hits(number) == 1


def test_a_call_that_is_delayed_goes_on_once_the_faults_are_cleared(local_aws: LocalAws) -> None:
    bucket, ended = local_aws.bucket(), threading.Event()
    number = local_aws.fault("s3:PutObject", delay=3600)

    def put() -> None:
        local_aws.client("s3").put_object(Bucket=bucket, Key="a", Body=b"late")
        ended.set()

    threading.Thread(target=put, daemon=True).start()
    eventually(lambda: local_aws.fault_hits(number) == 1, 20, "the call")
    assert not ended.wait(0.3)
    local_aws.admin("faults/clear")
    assert ended.wait(300)
    assert local_aws.client("s3").get_object(Bucket=bucket, Key="a")["Body"].read() == b"late"


def test_faults_are_added_listed_and_cleared_from_the_command_line(local_aws: LocalAws) -> None:
    local_aws.admin("faults/clear")  # those of other tests that are used up are listed, too
    nobodys = ("--role", "nobody")
    arguments = ("--api", "s3:PutObject", "--code", "SlowDown", "--times", "2", *nobodys)
    added = local_aws.run("faults", "add", *arguments)
    assert "s3:PutObject fails with SlowDown (503), 2 times." in added.stdout
    slow = local_aws.run("faults", "add", "--api", "sqs:*", "--delay", "0.1", *nobodys)
    assert "sqs:* answers after 0.1 s, once." in slow.stdout
    listed = local_aws.run("faults", "list")
    assert "s3:PutObject fails with SlowDown (503)" in listed.stdout
    assert "sqs:* answers after 0.1 s" in listed.stdout
    faults = json.loads(local_aws.run("faults", "list", "--json").stdout)["faults"]
    assert [(fault["api"], fault["left"]) for fault in faults] == [("s3:PutObject", 2), ("sqs:*", 1)]
    killed = json.loads(local_aws.run("faults", "kill", "nobody", "--json").stdout)
    assert (killed["kind"], killed["resource"], killed["left"]) == ("kill", "nobody", 1)
    assert "3 had not been used up" in local_aws.run("faults", "clear").stdout
    assert "There are no faults." in local_aws.run("faults", "list").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("add", "--api", "PutObject", "--code", "X"), "is not an API: give service:Operation"),
        (("add", "--api", "s3:PutObject"), "say what goes wrong: a code, throttle or a delay"),
        (("add", "--api", "s3:PutObject", "--code", "X", "--times", "0"), "times must be 1 or more"),
    ],
)
def test_a_fault_that_cannot_be_is_told(
    local_aws: LocalAws, arguments: tuple[str, ...], message: str
) -> None:
    done = local_aws.run("faults", *arguments)
    assert done.returncode == 1
    assert message in done.stderr
