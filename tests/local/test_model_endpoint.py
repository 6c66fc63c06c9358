"""An endpoint of the library, deployed by CloudFormation: traffic by weight, captured data, and its grant."""

from __future__ import annotations

import collections
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from botocore.exceptions import ClientError

from cdk_data_science import Artifact, DataCapture, InstanceVariant, Model, ModelEndpoint, ZoneAttributes
from cdk_data_science.data_lake import Zone
from cdk_data_science.serving import CapturedTable
from tests.constructs import support
from tests.local.conftest import ACCOUNT, REGION, LocalAws, eventually
from tests.local.test_hosting import IMAGE, Host
from tests.local.test_resource_types import Stack

CALLS = 300
# 90 per cent of the calls are 270, and neither half of them nor all: once in 10^13 runs chance is outside.
LEAST, MOST = 220, 299


def template(host: Host) -> dict[str, Any]:
    """Two models at 90 and 10, all of whose calls are captured, and a role that may ask them."""
    bucket = host.bench.bucket
    stack = cdk.Stack(
        support.app(),
        "Endpoints",
        env=cdk.Environment(account=ACCOUNT, region=REGION),
        synthesizer=cdk.DefaultStackSynthesizer(generate_bootstrap_version_rule=False),
    )
    zone = Zone.from_attributes(
        stack,
        "Zone",
        ZoneAttributes(
            name="models", bucket_arn=f"arn:aws:s3:::{bucket}", database_name="models", lake_formation=False
        ),
    )
    variants = []
    for name, factor, weight in (("doubles", 2, 90), ("triples", 3, 10)):
        key = host.archive(factor).removeprefix(f"s3://{bucket}/")
        model = Model(stack, name.title(), image=IMAGE, artifact=Artifact(zone=zone, key=key))
        variants.append(InstanceVariant(name=name, model=model, instance_type="ml.m5.large", weight=weight))
    capture = DataCapture(zone=zone, prefix="library/captured/")
    endpoint = ModelEndpoint(stack, "Numbers", variants=variants, data_capture=capture)
    database = glue.CfnDatabase(
        stack,
        "Database",
        catalog_id=ACCOUNT,
        database_input=glue.CfnDatabase.DatabaseInputProperty(name="models"),
    )
    table = CapturedTable(
        stack, "Captured", endpoint=endpoint, capture=capture, name="captured", since="2026-01-01"
    )
    table.node.add_dependency(database)
    caller = iam.Role(stack, "Caller", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    endpoint.grant_invoke(caller)
    for name, value in (("Name", endpoint.endpoint_name), ("Role", caller.role_arn)):
        cdk.CfnOutput(stack, name, value=value)
    document = support.document(stack)
    return {part: document[part] for part in ("Resources", "Outputs")}


def deploy(stack: Stack, host: Host) -> dict[str, str]:
    document = template(host)
    return stack.deploy(
        document["Resources"], {name: each["Value"] for name, each in document["Outputs"].items()}
    )


def role_of(host: Host, stack: Stack) -> str:
    """The logical id of a model's role."""
    listed = host.aws.client("cloudformation").list_stack_resources(StackName=stack.name)
    (found,) = [
        each["LogicalResourceId"]
        for each in listed["StackResourceSummaries"]
        if each["ResourceType"] == "AWS::IAM::Role" and each["LogicalResourceId"].startswith("Doubles")
    ]
    return str(found)


def query(host: Host, text: str) -> list[list[str]]:
    """All rows of a query, without their heading."""
    athena = host.aws.client("athena")
    started = athena.start_query_execution(
        QueryString=text,
        QueryExecutionContext={"Database": "models"},
        ResultConfiguration={"OutputLocation": f"s3://{host.bench.bucket}/library/results/"},
    )["QueryExecutionId"]
    status: dict[str, Any] = {}

    def over() -> bool:
        status.update(athena.get_query_execution(QueryExecutionId=started)["QueryExecution"]["Status"])
        return status["State"] not in ("QUEUED", "RUNNING")

    eventually(over, 60, "the end of the query")
    assert status["State"] == "SUCCEEDED", status
    pages = athena.get_paginator("get_query_results").paginate(QueryExecutionId=started)
    rows = [row for page in pages for row in page["ResultSet"]["Rows"]]
    return [[value.get("VarCharValue", "") for value in row["Data"]] for row in rows[1:]]


@pytest.fixture(scope="module")
def host(local_aws: LocalAws) -> Host:
    return Host(local_aws)


def test_traffic_is_split_by_weight_and_each_call_is_captured(host: Host) -> None:
    # GIVEN the endpoint, and a client of the role that it was granted to
    stack = Stack(host.aws)
    outputs = deploy(stack, host)
    name = outputs["Name"]
    runtime = host.aws.session_for_role(outputs["Role"]).client("sagemaker-runtime")

    # WHEN it is asked with numbers of their own
    def ask(number: int) -> tuple[int, str, int]:
        answer = runtime.invoke_endpoint(
            EndpointName=name,
            ContentType="application/json",
            Body=json.dumps([number]),
            InferenceId=str(number),
        )
        (result,) = json.loads(answer["Body"].read())
        return number, answer["InvokedProductionVariant"], result

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(1, CALLS + 1)))

    # THEN each variant answers its share, with its own model
    share = collections.Counter(variant for _, variant, _ in answers)
    assert LEAST <= share["doubles"] <= MOST, share
    assert [(n, v) for n, v, result in answers if result != n * {"doubles": 2, "triples": 3}[v]] == []

    # AND each call is in the zone once, below its variant, with request and answer
    def captured() -> list[tuple[int, str, int]]:
        found = []
        for variant in ("doubles", "triples"):
            for key in host.bench.keys(f"library/captured/{name}/{variant}/"):
                for line in host.bench.get(key).decode().splitlines():
                    record = json.loads(line)
                    data = record["captureData"]
                    assert data["endpointInput"]["encoding"] == "JSON"
                    (asked,) = json.loads(data["endpointInput"]["data"])
                    (result,) = json.loads(data["endpointOutput"]["data"])
                    assert record["eventMetadata"]["inferenceId"] == str(asked)
                    found.append((asked, variant, result))
        return sorted(found)

    eventually(lambda: len(captured()) >= CALLS, 30, "all calls in the zone")
    assert captured() == sorted(answers)

    # AND Athena reads them as a table: what was asked, and what was answered
    rows = query(
        host,
        "SELECT capturedata.endpointinput.data, capturedata.endpointoutput.data, eventmetadata.inferenceid "
        "FROM captured",
    )
    assert sorted((json.loads(a)[0], json.loads(b)[0], int(c)) for a, b, c in rows) == sorted(
        (number, result, number) for number, _, result in answers
    )

    # AND other artifacts, with roles of their own, take over under the same name
    before = stack.physical_id(role_of(host, stack))
    assert deploy(stack, host)["Name"] == name
    assert stack.physical_id(role_of(host, stack)) != before
    assert ask(7)[2] in (14, 21)

    # AND when the stack is gone, so is the endpoint
    stack.delete()
    with pytest.raises(ClientError, match="Could not find endpoint"):
        host.invoke(name, [1])
