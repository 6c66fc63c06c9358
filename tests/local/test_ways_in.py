"""What comes into the lake and works on it: the roles of these constructs, calling S3, KMS and Kinesis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_s3 as s3
from botocore.exceptions import ClientError

from cdk_data_science import (
    AlertTopic,
    BucketCopy,
    DataLake,
    DataProfile,
    PartnerUpload,
    ScriptObject,
    SparkJob,
    StreamingJob,
    ZoneFolder,
)
from tests.local import assembly
from tests.local.conftest import ACCOUNT, LocalAws

EXTERNAL_ID = "2f9c1d4e-8b7a-4c55-9d3e-61c0a7f0b821"
DENIED = {"AccessDenied", "AccessDeniedException", "AccessDeniedFault"}


class Ways:
    """What was deployed, and what its roles may do."""

    def __init__(self, aws: LocalAws, outputs: dict[str, str], source: str) -> None:
        self.aws, self.outputs, self.source = aws, outputs, source

    def client(self, role: str, service: str = "s3") -> Any:
        return self.aws.session_for_role(self.outputs[f"{role}Arn"]).client(service)

    @property
    def raw(self) -> str:
        return self.outputs["Raw"]

    def put(self, client: Any, key: str, **options: Any) -> None:
        client.put_object(Bucket=self.raw, Key=key, Body=b"a,b\n", **options)


@pytest.fixture(scope="module")
def ways(local_aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ways]:
    source = local_aws.bucket()
    for key in ("orders/a.csv", "people/a.csv"):
        local_aws.client("s3").put_object(Bucket=source, Key=key, Body=b"a\n")
    stack = assembly.new_stack(tmp_path_factory.mktemp("ways"), "ways")
    lake = DataLake(stack, "Lake", zones=["raw", "curated"])
    alerts = AlertTopic(stack, "Alerts")
    reviews = lake.curated.add_table("reviews", schema={"id": "string"})
    partner = PartnerUpload(
        stack,
        "Vendor",
        folder=ZoneFolder(zone=lake.raw, prefix="vendor/"),
        account=ACCOUNT,
        external_id=EXTERNAL_ID,
    )
    copy = BucketCopy(
        stack,
        "Copy",
        source=s3.Bucket.from_bucket_name(stack, "Source", source),
        source_prefix="orders/",
        to=ZoneFolder(zone=lake.raw, prefix="shop/"),
        alerts=alerts,
    )
    clicks, others = (kinesis.Stream(stack, name) for name in ("Clicks", "Others"))
    shared: dict[str, Any] = {
        "script": ScriptObject(zone=lake.raw, key="jobs/job.py"),
        "alerts": alerts,
        "log_key": alerts.key,
    }
    job = SparkJob(stack, "Job", reads=[ZoneFolder(zone=lake.raw, prefix="in/")], writes=[reviews], **shared)
    stream = StreamingJob(
        stack,
        "Stream",
        stream=clicks,
        checkpoints=ZoneFolder(zone=lake.raw, prefix="checkpoints/"),
        writes=[ZoneFolder(zone=lake.raw, prefix="clicks/")],
        **shared,
    )
    profile = DataProfile(
        stack,
        "Profile",
        table=reviews,
        output=ZoneFolder(zone=lake.curated, prefix="profiles/"),
        alerts=alerts,
    )
    assert partner.role is not None
    for name, value in {
        "Raw": lake.raw.bucket.bucket_name,
        "Curated": lake.curated.bucket.bucket_name,
        "ClicksStream": clicks.stream_arn,
        "OthersStream": others.stream_arn,
        "VendorArn": partner.role.role_arn,
        "ReaderArn": copy.reader.role_arn,
        "WriterArn": copy.writer.role_arn,
        "JobArn": job.role.role_arn,
        "StreamArn": stream.role.role_arn,
        "ProfileArn": profile.role.role_arn,
    }.items():
        cdk.CfnOutput(stack, name, value=value)
    outputs = assembly.deploy(local_aws, stack)
    for bucket, key in ((outputs["Raw"], "in/a.csv"), (outputs["Curated"], "reviews/a.parquet")):
        local_aws.client("s3").put_object(Bucket=bucket, Key=key, Body=b"a\n")
    yield Ways(local_aws, outputs, source)
    assembly.destroy(local_aws, stack)


def denied(call: Callable[[], object]) -> None:
    with pytest.raises(ClientError) as refused:
        call()
    assert refused.value.response["Error"]["Code"] in DENIED, refused.value


def test_a_vendor_takes_its_role_with_the_external_id_puts_objects_and_reads_none(ways: Ways) -> None:
    sts = ways.aws.client("sts")
    taken = {"RoleArn": ways.outputs["VendorArn"], "RoleSessionName": "vendor"}
    denied(lambda: sts.assume_role(**taken))
    denied(lambda: sts.assume_role(**taken, ExternalId="of-another-customer"))
    keys = sts.assume_role(**taken, ExternalId=EXTERNAL_ID)["Credentials"]
    client = ways.aws.client(
        "s3",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    ways.put(client, "vendor/a.csv")
    denied(lambda: ways.put(client, "shop/a.csv"))
    denied(lambda: client.get_object(Bucket=ways.raw, Key="vendor/a.csv"))
    denied(lambda: client.delete_object(Bucket=ways.raw, Key="vendor/a.csv"))


def test_a_copy_reads_one_folder_and_writes_another_one(ways: Ways) -> None:
    reader, writer = ways.client("Reader"), ways.client("Writer")
    assert reader.get_object(Bucket=ways.source, Key="orders/a.csv")["Body"].read() == b"a\n"
    denied(lambda: reader.get_object(Bucket=ways.source, Key="people/a.csv"))
    denied(lambda: ways.put(reader, "shop/a.csv"))
    ways.put(writer, "shop/a.csv")
    denied(lambda: ways.put(writer, "in/b.csv"))
    denied(lambda: writer.delete_object(Bucket=ways.raw, Key="shop/a.csv"))
    denied(lambda: writer.get_object(Bucket=ways.source, Key="orders/a.csv"))


def test_nobody_writes_under_another_key(ways: Ways) -> None:
    other = ways.aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    writer = ways.client("Writer")
    denied(lambda: ways.put(writer, "shop/b.csv", ServerSideEncryption="aws:kms", SSEKMSKeyId=other))


def test_a_job_reads_its_folder_and_writes_its_table(ways: Ways) -> None:
    job = ways.client("Job")
    curated = ways.outputs["Curated"]
    assert job.get_object(Bucket=ways.raw, Key="in/a.csv")["Body"].read() == b"a\n"
    job.put_object(Bucket=curated, Key="reviews/b.parquet", Body=b"b")
    denied(lambda: ways.put(job, "in/b.csv"))
    denied(lambda: job.put_object(Bucket=curated, Key="people/b.parquet", Body=b"b"))
    denied(lambda: job.get_object(Bucket=ways.raw, Key="shop/a.csv"))


def test_a_stream_is_read_and_its_folders_are_written(ways: Ways) -> None:
    reader = ways.client("Stream", "kinesis")
    clicks, others = ways.outputs["ClicksStream"], ways.outputs["OthersStream"]
    assert reader.describe_stream_summary(StreamARN=clicks)["StreamDescriptionSummary"]["StreamARN"] == clicks
    denied(lambda: reader.describe_stream_summary(StreamARN=others))
    denied(lambda: reader.put_record(StreamARN=clicks, Data=b"a", PartitionKey="a"))
    client = ways.client("Stream")
    ways.put(client, "checkpoints/0")
    ways.put(client, "clicks/a")
    denied(lambda: ways.put(client, "shop/a.csv"))


def test_a_profile_reads_its_table_and_writes_beside_it(ways: Ways) -> None:
    client, curated = ways.client("Profile"), ways.outputs["Curated"]
    assert client.get_object(Bucket=curated, Key="reviews/a.parquet")["Body"].read() == b"a\n"
    client.put_object(Bucket=curated, Key="profiles/a.json", Body=b"{}")
    denied(lambda: client.put_object(Bucket=curated, Key="reviews/a.parquet", Body=b"b"))
    denied(lambda: client.get_object(Bucket=ways.raw, Key="in/a.csv"))
