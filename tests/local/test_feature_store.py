"""A feature group and its ingestion, deployed: rows of a queue and of objects are read online."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from botocore.exceptions import ClientError

from cdk_data_science.data_lake import Zone, ZoneAttributes
from cdk_data_science.feature_store import (
    FeatureGroup,
    FeatureIngestion,
    IngestFeaturesTask,
    OfflineStore,
    OnlineStore,
)
from tests.local.assembly import deploy, destroy, new_stack
from tests.local.conftest import LocalAws, eventually, unique

NEW, OLD = "2026-11-28T12:00:00Z", "2026-11-01T12:00:00Z"


class Features:
    """A stack with a group, rows for it, and a role that reads it."""

    def __init__(self, aws: LocalAws, folder: Path) -> None:
        self.aws, self.bucket, self.name = aws, aws.bucket(), unique("products")
        aws.client("s3").put_bucket_notification_configuration(
            Bucket=self.bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )
        self.stack = stack = new_stack(folder, "features")
        zone = Zone.from_attributes(
            stack,
            "Zone",
            ZoneAttributes(
                name="features",
                bucket_arn=f"arn:aws:s3:::{self.bucket}",
                database_name="features",
                lake_formation=False,
            ),
        )
        group = FeatureGroup(
            stack,
            "Products",
            name=self.name,
            schema={"product_id": "string", "updated": "timestamp", "reviews": "bigint"},
            record_id="product_id",
            event_time="updated",
            online=OnlineStore(),
            offline=OfflineStore(zone=zone),
        )
        reader = iam.Role(stack, "Reader", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        group.grant_read_online(reader)
        ingestion = FeatureIngestion(stack, "Ingestion", group=group)
        ingestion.add_objects(zone, "rows/")
        zone.grant_read(ingestion.role, "steps/")
        ingest = IngestFeaturesTask(
            stack,
            "Ingest",
            ingestion=ingestion,
            bucket=self.bucket,
            key="{% $states.input.key %}",
            output="{% $states.result.Payload %}",
        )
        machine = sfn.StateMachine(
            stack,
            "Machine",
            definition_body=sfn.DefinitionBody.from_chainable(ingest),
            query_language=sfn.QueryLanguage.JSONATA,
        )
        queue = sqs.Queue(stack, "Queue", visibility_timeout=ingestion.visibility_timeout)
        ingestion.add_queue(queue)
        for name, value in {
            "Queue": queue.queue_url,
            "Rejected": ingestion.dead_letters.queue_url,
            "Function": ingestion.function.function_name,
            "Reader": reader.role_arn,
            "Machine": machine.state_machine_arn,
        }.items():
            cdk.CfnOutput(stack, f"{name}Out", value=value)
        self.outputs = deploy(aws, stack)

    def ingest(self, key: str, rows: str) -> dict[str, Any]:
        """Have the state machine write an object's rows; the execution when it has ended."""
        self.aws.client("s3").put_object(Bucket=self.bucket, Key=key, Body=rows.encode())
        return self.aws.execute(self.outputs["MachineOut"], {"key": key}, seconds=60)

    def online(self, identifier: str, client: Any = None) -> dict[str, str]:
        store = client or self.aws.client("sagemaker-featurestore-runtime")
        found = store.get_record(FeatureGroupName=self.name, RecordIdentifierValueAsString=identifier)
        return {each["FeatureName"]: each["ValueAsString"] for each in found.get("Record", [])}

    def row(self, identifier: str, reviews: Any, updated: str = NEW) -> str:
        return json.dumps({"product_id": identifier, "updated": updated, "reviews": reviews})


@pytest.fixture(scope="module")
def features(local_aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Features:
    return Features(local_aws, tmp_path_factory.mktemp("features"))


def test_messages_are_records_and_the_newest_one_stays(features: Features) -> None:
    client, queue = features.aws.client("sqs"), features.outputs["QueueOut"]
    newest = {"product_id": "p1", "updated": NEW, "reviews": "3"}
    client.send_message(QueueUrl=queue, MessageBody=features.row("p1", 3))
    eventually(lambda: features.online("p1") == newest, 30, "the first record")
    for body in (features.row("p1", 1, updated=OLD), features.row("p2", 5)):
        client.send_message(QueueUrl=queue, MessageBody=body)
    eventually(lambda: bool(features.online("p2")), 30, "the second record")
    eventually(lambda: _empty(client, queue), 30, "the queue without messages")
    assert features.online("p1") == newest


def _empty(client: Any, queue: str) -> bool:
    """Whether each message has been written: none waits, and none is in the function's hands."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    counts = client.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    return all(counts[name] == "0" for name in names)


def test_a_new_object_is_written_and_its_wrong_line_is_kept_apart(features: Features) -> None:
    body = f"product_id,updated,reviews\np3,{NEW},7\np4,{NEW},many\np5,{NEW},8\n"
    features.aws.client("s3").put_object(Bucket=features.bucket, Key="rows/new.csv", Body=body.encode())
    eventually(lambda: bool(features.online("p3")) and bool(features.online("p5")), 30, "its records")
    (message,) = features.aws.messages(features.outputs["RejectedOut"], 1, 20)
    told = json.loads(message["Body"])
    assert (told["line"], told["object"]) == (3, f"s3://{features.bucket}/rows/new.csv")
    assert "a whole number is wanted" in told["reason"]


def test_called_by_itself_it_answers_what_it_wrote(features: Features) -> None:
    lines = "\n".join(features.row(f"q{number}", number) for number in range(40))
    features.aws.client("s3").put_object(Bucket=features.bucket, Key="other/a.jsonl", Body=lines.encode())
    call = {"FunctionName": features.outputs["FunctionOut"]}
    denied = features.aws.client("lambda").invoke(
        **call, Payload=json.dumps({"bucket": features.bucket, "key": "other/a.jsonl"})
    )
    # A folder that it was not given is not read.
    assert "AccessDenied" in denied["Payload"].read().decode()
    features.aws.client("s3").put_object(Bucket=features.bucket, Key="rows/a.jsonl", Body=lines.encode())
    done = features.aws.client("lambda").invoke(
        **call, Payload=json.dumps({"bucket": features.bucket, "key": "rows/a.jsonl"})
    )
    assert json.loads(done["Payload"].read()) == {"written": 40, "rejected": 0}
    assert features.online("q39")["reviews"] == "39"


def test_a_state_machine_writes_the_rows_of_an_object_and_says_how_many(features: Features) -> None:
    # GIVEN an object whose event starts nothing, with a row that cannot be written
    rows = f"product_id,updated,reviews\ns1,{NEW},4\ns2,{NEW},many\ns3,{OLD},6\n"
    # WHEN the task has it ingested, twice
    done = [features.ingest("steps/some.csv", rows) for _ in range(2)]
    # THEN the execution has the counts, and the records are in the online store
    assert [each["status"] for each in done] == ["SUCCEEDED"] * 2
    assert [each["output"] for each in done] == [{"written": 2, "rejected": 1}] * 2
    assert features.online("s1") == {"product_id": "s1", "updated": NEW, "reviews": "4"}
    assert features.online("s2") == {}
    assert features.online("s3")["updated"] == OLD


def test_a_state_machine_fails_where_no_row_was_written_and_does_not_try_again(features: Features) -> None:
    done = features.ingest("steps/none.csv", f"product_id,updated,reviews\nt1,{NEW},many\n")
    assert (done["status"], done["error"]) == ("FAILED", "NoRowWritten")
    assert "a whole number is wanted" in done["cause"]
    history = features.aws.client("stepfunctions").get_execution_history(executionArn=done["executionArn"])
    kinds = [event["type"] for event in history["events"]]
    assert kinds.count("TaskScheduled") == 1


def test_a_state_machine_fails_where_the_function_may_not_read(features: Features) -> None:
    done = features.ingest("other/b.csv", f"product_id,updated,reviews\nu1,{NEW},1\n")
    assert done["status"] == "FAILED"
    assert "AccessDenied" in done["cause"]
    assert features.online("u1") == {}


def test_who_may_read_may_not_write(features: Features) -> None:
    client = features.aws.session_for_role(features.outputs["ReaderOut"]).client(
        "sagemaker-featurestore-runtime"
    )
    record = [
        {"FeatureName": "product_id", "ValueAsString": "p8"},
        {"FeatureName": "updated", "ValueAsString": NEW},
    ]
    owner = features.aws.client("sagemaker-featurestore-runtime")
    owner.put_record(FeatureGroupName=features.name, Record=record)
    assert features.online("p8", client) == {"product_id": "p8", "updated": NEW}
    record[0]["ValueAsString"] = "p9"
    with pytest.raises(ClientError, match="not authorized to perform: sagemaker:PutRecord"):
        client.put_record(FeatureGroupName=features.name, Record=record)
    assert features.online("p9") == {}


def test_the_group_goes_with_the_stack_only_where_it_may(features: Features) -> None:
    sagemaker = features.aws.client("sagemaker")
    described = sagemaker.describe_feature_group(FeatureGroupName=features.name)
    assert described["FeatureGroupStatus"] == "Created"
    assert described["OfflineStoreConfig"]["DataCatalogConfig"]["Database"] == "features"
    destroy(features.aws, features.stack)
    assert sagemaker.describe_feature_group(FeatureGroupName=features.name)["FeatureGroupName"]
