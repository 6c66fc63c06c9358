"""Who may take and pass a role, and what each role did: trust policies, iam:PassRole, log and report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.assembly import settled
from tests.local.conftest import ACCOUNT, LocalAws, allow, eventually, unique, zipped
from tests.local.jobs import Workbench
from tests.local.test_resource_types import Stack, resource

PASS = {"Pass": {"Type": "Pass", "End": True}}


def trusting(aws: LocalAws, role: str, **statement: Any) -> None:
    """Give the role a trust policy of one statement."""
    base = {"Effect": "Allow", "Action": "sts:AssumeRole"} | statement
    document = json.dumps({"Version": "2012-10-17", "Statement": [base]})
    aws.client("iam").update_assume_role_policy(RoleName=role.rsplit("/", 1)[-1], PolicyDocument=document)


def service(name: str) -> dict[str, str]:
    return {"Service": f"{name}.amazonaws.com"}


def test_a_function_is_not_made_with_a_role_that_does_not_trust_lambda(local_aws: LocalAws) -> None:
    with pytest.raises(ClientError, match="The role defined for the function cannot be assumed by Lambda"):
        local_aws.function("def handler(event, context): return 1", local_aws.role("states"))


def test_a_function_stops_working_when_its_role_no_longer_trusts_lambda(local_aws: LocalAws) -> None:
    role = local_aws.role("lambda")
    name = local_aws.function("def handler(event, context): return 1", role)
    trusting(local_aws, role, Principal=service("ec2"))
    answer = local_aws.client("lambda").invoke(FunctionName=name)
    assert answer["FunctionError"] == "Unhandled"
    assert b"does not let lambda.amazonaws.com take it" in answer["Payload"].read()


def test_a_state_machine_needs_a_role_that_trusts_it(local_aws: LocalAws) -> None:
    with pytest.raises(ClientError, match=r"Neither the global service principal states\.amazonaws\.com"):
        local_aws.machine(local_aws.role("lambda"), PASS, "Pass")


def test_a_job_needs_a_role_that_trusts_sagemaker(local_aws: LocalAws) -> None:
    bench = Workbench.of(local_aws)
    request = bench.request("") | {"RoleArn": local_aws.role("lambda")}
    with pytest.raises(ClientError, match="Could not assume role"):
        bench.start(request)


def test_a_stack_with_a_role_that_is_not_trusted_fails_with_the_reason(local_aws: LocalAws) -> None:
    stack = Stack(local_aws)
    machine = resource(
        "StepFunctions::StateMachine",
        RoleArn=local_aws.role("events"),
        DefinitionString=json.dumps({"StartAt": "Pass", "States": PASS}),
    )
    assert stack.attempt({"Machine": machine}) == "ROLLBACK_COMPLETE"
    assert "nor the regional one is authorized to assume the provided role" in stack.reasons()


def test_a_deny_and_a_condition_in_a_trust_policy_count(local_aws: LocalAws) -> None:
    role = local_aws.role("lambda")
    for wrong in (
        {"Principal": service("lambda"), "Effect": "Deny"},
        {"Principal": service("lambda"), "Condition": {"StringEquals": {"aws:SourceAccount": "1" * 12}}},
        {"Principal": service("lambda"), "Action": "sts:TagSession"},
    ):
        trusting(local_aws, role, **wrong)
        with pytest.raises(ClientError, match="cannot be assumed by Lambda"):
            local_aws.function("def handler(event, context): return 1", role)
    own = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    trusting(local_aws, role, Principal=service("lambda"), Condition=own)
    local_aws.function("def handler(event, context): return 1", role)


def test_creating_a_function_needs_the_permission_to_pass_its_role(local_aws: LocalAws) -> None:
    role = local_aws.role("lambda")
    without = local_aws.session_for_role(local_aws.role("lambda", allow("lambda:*"))).client("lambda")
    function: dict[str, Any] = {
        "Runtime": "python3.11",
        "Handler": "app.handler",
        "Role": role,
        "Code": {"ZipFile": zipped({"app.py": ""})},
    }
    with pytest.raises(ClientError, match="not authorized to perform: iam:PassRole on resource: " + role):
        without.create_function(FunctionName=unique("function"), **function)
    only_states = {"StringEquals": {"iam:PassedToService": "states.amazonaws.com"}}
    for condition, passes in ((only_states, False), ({}, True)):
        statement = allow("iam:PassRole", resource=role) | ({"Condition": condition} if condition else {})
        caller = local_aws.role("lambda", allow("lambda:*"), statement)
        client = local_aws.session_for_role(caller).client("lambda")
        if passes:
            client.create_function(FunctionName=unique("function"), **function)
        else:
            with pytest.raises(ClientError, match="iam:PassRole"):
                client.create_function(FunctionName=unique("function"), **function)


def test_creating_a_state_machine_needs_the_permission_to_pass_its_role(local_aws: LocalAws) -> None:
    caller = local_aws.session_for_role(local_aws.role("lambda", allow("states:*"))).client("stepfunctions")
    with pytest.raises(ClientError, match="iam:PassRole"):
        caller.create_state_machine(
            name=unique("machine"),
            roleArn=local_aws.role("states"),
            definition=json.dumps({"StartAt": "Pass", "States": PASS}),
        )


def test_a_stacks_role_must_be_allowed_to_pass_what_the_stack_creates(local_aws: LocalAws) -> None:
    stack, role = Stack(local_aws), local_aws.role("states")
    definition = json.dumps({"StartAt": "Pass", "States": PASS})
    machine = resource("StepFunctions::StateMachine", RoleArn=role, DefinitionString=definition)
    template = json.dumps({"Resources": {"Machine": machine}})
    cloudformation = local_aws.client("cloudformation")
    deployer = local_aws.role("cloudformation", allow("states:*"))
    cloudformation.create_stack(StackName=stack.name, TemplateBody=template, RoleARN=deployer)
    settled(cloudformation, stack.name)
    assert "iam:PassRole on resource: " + role in stack.reasons()
    second = Stack(local_aws)
    able = local_aws.role("cloudformation", allow("states:*", "iam:PassRole"))
    cloudformation.create_stack(StackName=second.name, TemplateBody=template, RoleARN=able)
    assert settled(cloudformation, second.name) == "CREATE_COMPLETE"


def test_a_role_for_a_log_group_needs_its_streams_in_the_policy(local_aws: LocalAws) -> None:
    group, actions = unique("/group"), ("logs:CreateLogStream", "logs:DescribeLogStreams")
    local_aws.client("logs").create_log_group(logGroupName=group)
    arn = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:{group}"

    def outcomes(*resources: str) -> list[str]:
        role = local_aws.role("lambda", allow(*actions, resource=list(resources)))
        logs = local_aws.session_for_role(role).client("logs")
        found = []
        for call, values in (
            (logs.create_log_stream, {"logStreamName": unique("mine")}),
            (logs.create_log_stream, {"logStreamName": unique("other")}),
            (logs.describe_log_streams, {}),
        ):
            try:
                call(logGroupName=group, **values)
                found.append("allowed")
            except ClientError as error:
                found.append(error.response["Error"]["Code"])
        return found

    denied = "AccessDeniedException"
    assert outcomes(arn) == [denied, denied, denied]
    assert outcomes(f"{arn}:*") == ["allowed", "allowed", "allowed"]
    assert outcomes(f"{arn}:log-stream:mine-*") == ["allowed", denied, denied]


def test_firehose_writes_in_its_role(local_aws: LocalAws) -> None:
    s3, firehose = local_aws.client("s3"), local_aws.client("firehose")
    bucket = local_aws.bucket()
    may = local_aws.role("firehose", allow("s3:PutObject", resource=f"arn:aws:s3:::{bucket}/yes/*"))
    for prefix in ("yes/", "no/"):
        name = unique("stream")
        destination = {"RoleARN": may, "BucketARN": f"arn:aws:s3:::{bucket}", "Prefix": prefix}
        firehose.create_delivery_stream(
            DeliveryStreamName=name, ExtendedS3DestinationConfiguration=destination
        )
        firehose.put_record(DeliveryStreamName=name, Record={"Data": b"one\n"})
    eventually(lambda: s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1, 10, "one delivery")
    report = json.loads(local_aws.run("report", "--role", may, "--json").stdout)["roles"][0]
    eventually(lambda: bool(report_of(local_aws, may)["denied"]), 10, "the denied delivery")
    assert report["role"] == may.rsplit("/", 1)[-1]
    (found,) = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert found["Key"].startswith("yes/")


def report_of(aws: LocalAws, role: str) -> dict[str, Any]:
    done = aws.run("report", "--role", role, "--json")
    assert done.returncode == 0, done.stderr
    (report,) = json.loads(done.stdout)["roles"]
    assert isinstance(report, dict)
    return report


def test_the_report_tells_what_a_role_used_did_not_use_and_was_denied(local_aws: LocalAws) -> None:
    bucket = local_aws.bucket()
    objects = f"arn:aws:s3:::{bucket}/*"
    role = local_aws.role(
        "lambda", allow("s3:GetObject", "s3:PutObject", resource=objects), allow("sqs:*"), allow("xray:Put*")
    )
    s3 = local_aws.session_for_role(role).client("s3")
    for key in ("a", "b"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"1")
    with pytest.raises(ClientError):
        s3.delete_object(Bucket=bucket, Key="a")
    report = report_of(local_aws, role)
    assert [(call["action"], call["calls"]) for call in report["used"]] == [("s3:PutObject", 2)]
    assert report["used"][0]["resources"] == [f"arn:aws:s3:::{bucket}/{key}" for key in ("a", "b")]
    assert [permission["action"] for permission in report["unused"]] == ["s3:GetObject", "sqs:*"]
    assert [permission["action"] for permission in report["unseen"]] == ["xray:Put*"]
    (denied,) = report["denied"]
    assert (denied["action"], denied["calls"]) == ("s3:DeleteObject", 1)
    shown = local_aws.run("report", "--role", role).stdout
    for text in ("denied", "s3:DeleteObject", "unused", "s3:GetObject", f"arn:aws:s3:::{bucket}/a"):
        assert text in shown


def test_the_log_of_calls_is_in_the_state_folder(local_aws: LocalAws) -> None:
    role = local_aws.role("lambda")
    with pytest.raises(ClientError):
        local_aws.session_for_role(role).client("sqs").list_queues()
    lines = (Path(local_aws.state_dir) / "calls.jsonl").read_text().splitlines()
    call = [json.loads(line) for line in lines if role.rsplit("/", 1)[-1] in line][-1]
    assert (call["action"], call["allowed"]) == ("sqs:ListQueues", False)


def test_a_report_where_nothing_is_up_says_so(tmp_path: Path, local_aws: LocalAws) -> None:
    nowhere = LocalAws(local_aws.endpoint, tmp_path)
    assert "no local AWS is up" in nowhere.run("report").stderr
