"""Batch predictions and requests from S3 run; components, experiments and models for devices deploy."""

from __future__ import annotations

import datetime
import json
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from botocore.exceptions import ClientError

from cdk_data_science import Artifact, InstanceVariant, Model, ModelEndpoint, ZoneAttributes
from cdk_data_science.data_lake import Zone, ZoneBase
from cdk_data_science.serving import (
    AsyncEndpoint,
    BatchTransform,
    ComponentEndpoint,
    Compute,
    CopyScaling,
    EdgeFile,
    EdgeModel,
    EdgeRollout,
    ManagedInstances,
    ShadowExperiment,
    TrackConcurrency,
)
from cdk_data_science.training import TransformJob
from tests.constructs import support
from tests.local.conftest import ACCOUNT, REGION, LocalAws, eventually, unique
from tests.local.test_hosting import IMAGE, Host
from tests.local.test_resource_types import Stack


@pytest.fixture(scope="module")
def host(local_aws: LocalAws) -> Host:
    return Host(local_aws)


def new_stack(name: str) -> cdk.Stack:
    return cdk.Stack(
        support.app(),
        name,
        env=cdk.Environment(account=ACCOUNT, region=REGION),
        synthesizer=cdk.DefaultStackSynthesizer(generate_bootstrap_version_rule=False),
    )


def zone_of(stack: cdk.Stack, host: Host) -> ZoneBase:
    bucket = f"arn:aws:s3:::{host.bench.bucket}"
    return Zone.from_attributes(
        stack,
        "Zone",
        ZoneAttributes(name="models", bucket_arn=bucket, database_name="models", lake_formation=False),
    )


def model_of(stack: cdk.Stack, host: Host, zone: ZoneBase, id: str, factor: int) -> Model:
    key = host.archive(factor).removeprefix(f"s3://{host.bench.bucket}/")
    return Model(stack, id, image=IMAGE, artifact=Artifact(zone=zone, key=key))


def deploy(stack: cdk.Stack, host: Host) -> tuple[Stack, dict[str, str]]:
    document = support.document(stack)
    deployed = Stack(host.aws)
    outputs = {name: each["Value"] for name, each in document.get("Outputs", {}).items()}
    return deployed, deployed.deploy(document["Resources"], outputs)


def test_each_days_rows_are_predicted_into_a_folder_of_the_day(host: Host) -> None:
    # GIVEN rows of today (and of tomorrow: midnight may come between), and a machine that predicts them in
    # the model's own role
    stack = new_stack("Batch")
    zone = zone_of(stack, host)
    batch = BatchTransform(
        stack,
        "Doubles",
        model=model_of(stack, host, zone, "Model", 2),
        job=TransformJob(
            max_runtime=cdk.Duration.minutes(10),
            content_type="text/csv",
            accept="text/csv",
            split="Line",
            assemble_lines=True,
        ),
        job_name_prefix="doubles",
        data=zone,
        data_prefix="batch/rows/day={day}/",
        predictions=zone,
        predictions_prefix="batch/predicted/day={day}/",
        schedule=scheduler.ScheduleExpression.cron(hour="4", minute="15"),
    )
    cdk.CfnOutput(stack, "Machine", value=batch.state_machine.state_machine_arn)
    deployed, outputs = deploy(stack, host)
    states = host.aws.client("stepfunctions")
    today = datetime.datetime.now(datetime.UTC).date()
    for day in (today, today + datetime.timedelta(1)):
        host.bench.put(f"batch/rows/day={day.isoformat()}/a.csv", "1\n2\n3\n")
    # WHEN it is started
    arn = states.start_execution(stateMachineArn=outputs["Machine"], input="{}")["executionArn"]
    described: dict[str, Any] = {}

    def over() -> bool:
        described.update(states.describe_execution(executionArn=arn))
        return described["status"] != "RUNNING"

    eventually(over, 60, "the end of the run")
    # THEN the predictions are in the folder of the day
    assert described["status"] == "SUCCEEDED", described
    (predicted,) = host.bench.keys("batch/predicted/")
    began = described["startDate"].astimezone(datetime.UTC).date()
    assert predicted == f"batch/predicted/day={began.isoformat()}/a.csv.out"
    assert host.bench.get(predicted) == b"2.0\n4.0\n6.0\n"
    # AND a run without data fails with the reason
    for key in host.bench.keys("batch/rows/"):
        host.aws.client("s3").delete_object(Bucket=host.bench.bucket, Key=key)
    arn = states.start_execution(stateMachineArn=outputs["Machine"], input="{}")["executionArn"]
    eventually(over, 60, "the end of the run")
    assert described["status"] == "FAILED"
    assert "No S3 objects found" in described["cause"]
    deployed.delete()


def test_requests_from_the_lake_are_answered_into_it_and_failures_are_told(host: Host) -> None:
    # GIVEN an asynchronous endpoint, two topics with a queue each, and who may ask it
    stack = new_stack("Later")
    zone = zone_of(stack, host)
    topics, queues = {}, {}
    for name in ("Successes", "Failures"):
        topics[name] = sns.Topic(stack, name)
        queues[name] = sqs.Queue(stack, f"{name}Queue")
        topics[name].add_subscription(subscriptions.SqsSubscription(queues[name], raw_message_delivery=True))
        cdk.CfnOutput(stack, f"{name}Url", value=queues[name].queue_url)
    endpoint = AsyncEndpoint(
        stack,
        "Documents",
        variant=InstanceVariant(
            name="main",
            model=model_of(stack, host, zone, "Model", 2),
            instance_type="ml.m5.large",
            instance_count=1,
        ),
        requests=zone,
        requests_prefix="later/requests/",
        answers=zone,
        answers_prefix="later/answers/",
        failures_prefix="later/failures/",
        successes=topics["Successes"],
        failures=topics["Failures"],
    )
    caller = iam.Role(stack, "Caller", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    endpoint.grant_invoke(caller)
    cdk.CfnOutput(stack, "Name", value=endpoint.endpoint_name)
    cdk.CfnOutput(stack, "CallerArn", value=caller.role_arn)
    deployed, outputs = deploy(stack, host)
    session = host.aws.session_for_role(outputs["CallerArn"])
    runtime, bucket = session.client("sagemaker-runtime"), host.bench.bucket

    def ask(body: str) -> dict[str, Any]:
        key = f"later/requests/{unique('r')}.json"
        session.client("s3").put_object(Bucket=bucket, Key=key, Body=body.encode())
        answer: dict[str, Any] = runtime.invoke_endpoint_async(
            EndpointName=outputs["Name"],
            InputLocation=f"s3://{bucket}/{key}",
            ContentType="application/json",
            InferenceId="7",
        )
        return answer

    def told(name: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = []

        def heard() -> bool:
            messages = host.aws.client("sqs").receive_message(
                QueueUrl=outputs[f"{name}Url"], WaitTimeSeconds=1
            )
            found.extend(json.loads(each["Body"]) for each in messages.get("Messages", []))
            return bool(found)

        eventually(heard, 30, f"a message of {name}")
        return found[0]

    # WHEN it is asked in the role that it was granted to, THEN the answer lies where it was said
    location = ask("[21]")["OutputLocation"]
    success = told("Successes")
    assert (success["invocationStatus"], success["inferenceId"]) == ("Completed", "7")
    assert success["responseParameters"]["outputLocation"] == location
    prefix = f"s3://{bucket}/"
    assert location.startswith(f"{prefix}later/answers/")
    assert json.loads(host.bench.get(location.removeprefix(prefix))) == [42]
    # AND what the model refuses is told to the other topic, and lies in the other folder
    failure = ask("no json")["FailureLocation"]
    message = told("Failures")
    assert message["invocationStatus"] == "Failed" and "JSONDecodeError" in message["failureReason"]
    assert b"JSONDecodeError" in host.bench.get(failure.removeprefix(prefix))
    # AND who may ask later may not ask at once, and such an endpoint answers nobody at once
    with pytest.raises(ClientError, match="AccessDenied"):
        runtime.invoke_endpoint(EndpointName=outputs["Name"], Body=b"[1]")
    with pytest.raises(ClientError, match="use InvokeEndpointAsync"):
        host.invoke(outputs["Name"], [1])
    deployed.delete()


def test_components_an_experiment_and_an_edge_model_deploy_and_go(host: Host) -> None:
    # GIVEN shared instances with a component, an endpoint under test, and a model for devices
    stack = new_stack("Family")
    zone = zone_of(stack, host)
    first, second = (model_of(stack, host, zone, f"Model{factor}", factor) for factor in (2, 3))
    shared = ComponentEndpoint(
        stack, "Shared", instance_type="ml.m6i.large", instances=ManagedInstances(minimum=0)
    )
    shared.add_component(
        "Chat",
        model=first,
        compute=Compute(memory_mb=1024),
        scaling=CopyScaling(minimum=0, maximum=2, policies=[TrackConcurrency(per_model=2)]),
    )
    now = InstanceVariant(name="now", model=first, instance_type="ml.m5.large")
    then = InstanceVariant(name="then", model=second, instance_type="ml.m5.large")
    endpoint = ModelEndpoint(stack, "Numbers", variants=[now])
    ShadowExperiment(stack, "Trial", endpoint=endpoint, production=now, candidate=then)
    EdgeModel(
        stack,
        "Edge",
        component_name="com.example.Numbers",
        version="1.0.0",
        model=EdgeFile(zone=zone, key="edge/model.onnx", sha256="0" * 64),
        rollout=EdgeRollout(target=f"arn:aws:iot:{REGION}:{ACCOUNT}:thinggroup/cameras"),
    )
    for name, value in (("SharedName", shared.endpoint_name), ("NumbersName", endpoint.endpoint_name)):
        cdk.CfnOutput(stack, name, value=value)
    deployed, outputs = deploy(stack, host)
    # THEN both endpoints are in service, and the types without effect are told
    for name in outputs.values():
        assert host.settled(name)["EndpointStatus"] == "InService"
    assert host.invoke(outputs["NumbersName"], [4])[0] == [8]
    status = host.aws.run("status").stdout
    for kind in (
        "SageMaker::InferenceComponent",
        "SageMaker::InferenceExperiment",
        "GreengrassV2::Deployment",
    ):
        assert f"AWS::{kind} (1)" in status
    # AND instances without a model answer nothing, and say why
    with pytest.raises(ClientError, match="components of endpoints do not run here"):
        host.invoke(outputs["SharedName"], [1])
    deployed.delete()
