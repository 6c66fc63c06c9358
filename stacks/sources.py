"""Ways into the lake by the settings: copies of other buckets, databases, streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from cdk_data_science import (
    AlertTopic,
    BucketCopy,
    DatabaseConnection,
    DataLake,
    ScriptFile,
    StreamingJob,
    Workers,
)
from settings.model import FOLDER
from settings.sources import Connection, Copy, Stream
from stacks import places
from stacks.network import NetworkStack


def copy(
    scope: Construct, name: str, copy: Copy, *, platform: str, lake: DataLake, alerts: AlertTopic
) -> None:
    """Copies of another bucket; the owner of one in another account finds what to admit in an output."""
    part = places.id_of("Copy", name)
    key = _key(scope, f"{part}-Key", copy.key_arn)
    source = s3.Bucket.from_bucket_attributes(
        scope, f"{part}-Source", bucket_name=copy.bucket, encryption_key=key, account=copy.account
    )
    made = BucketCopy(
        scope,
        part,
        source=source,
        source_account=copy.account,
        reader_name=None if copy.account is None else f"{platform}-copy-{name}",
        source_prefix=copy.prefix,
        to=places.folder(lake, copy.to),
        schedule=copy.schedule,
        timezone=copy.time_zone,
        alerts=alerts,
    )
    if copy.account is None:
        return
    admissions = {"bucket": made.bucket_admission()}
    if key is not None:
        admissions["key"] = [made.key_admission()]
    for what, statements in admissions.items():
        cdk.CfnOutput(
            scope,
            f"{part}-{what.title()}Policy",
            value=cdk.Stack.of(scope).to_json_string([each.to_json() for each in statements]),
            description=f"Statements for the policy of the {what} in account {copy.account}",
        )


def connection(
    scope: Construct, name: str, connection: Connection, *, network: NetworkStack
) -> DatabaseConnection:
    """A database, and a way out to it: who owns the database lets the group of the output in."""
    part = places.id_of("Connection", name)
    vpc, subnets = network.network.vpc, network.network.jobs
    made = DatabaseConnection(
        scope,
        part,
        url=connection.url,
        secret=secretsmanager.Secret.from_secret_attributes(
            scope,
            f"{part}-Secret",
            secret_complete_arn=connection.secret_arn,
            encryption_key=_key(scope, f"{part}-Key", connection.key_arn),
        ),
        vpc=vpc,
        subnet=vpc.select_subnets(subnet_group_name=subnets.subnet_group_name).subnets[0],
    )
    made.connections.allow_to(
        _peer(scope, f"{part}-Database", connection.reach),
        ec2.Port.tcp(connection.port or 0),
        "to the database",
    )
    cdk.CfnOutput(
        scope,
        f"{part}-Group",
        value=made.security_group.security_group_id,
        description=f"Security group that the database of {name!r} has to let in",
    )
    return made


def stream(
    scope: Construct,
    name: str,
    stream: Stream,
    *,
    lake: DataLake,
    connections: Mapping[str, DatabaseConnection],
    alerts: AlertTopic,
) -> StreamingJob:
    """A job that writes a Kinesis stream to the lake."""
    part = places.id_of("Stream", name)
    lag = stream.longest_lag_minutes
    return StreamingJob(
        scope,
        part,
        script=ScriptFile(path=FOLDER.parent / stream.script),
        stream=kinesis.Stream.from_stream_attributes(
            scope,
            f"{part}-Source",
            stream_arn=stream.stream_arn,
            encryption_key=_key(scope, f"{part}-Key", stream.key_arn),
        ),
        checkpoints=places.folder(lake, stream.checkpoints),
        reads=places.all_of(lake, stream.reads, f"etl.streams.{name}.reads"),
        writes=places.all_of(lake, stream.writes, f"etl.streams.{name}.writes"),
        arguments={f"--{argument}": value for argument, value in stream.arguments.items()},
        workers=Workers(type=stream.worker_type, count=stream.workers),
        keep_running=stream.keep_running,
        longest_lag=None if lag is None else cdk.Duration.minutes(lag),
        maintenance_window=stream.maintenance_window,
        table_formats=stream.table_formats,
        connections=chosen(connections, stream.connections),
        alerts=alerts,
        log_key=alerts.key,
        description=f"Stream {name} of the settings",
    )


def chosen(connections: Mapping[str, DatabaseConnection], names: Sequence[str]) -> list[DatabaseConnection]:
    """The connections of a job; the settings have checked that they are there."""
    return [connections[name] for name in names]


def _key(scope: Construct, id: str, arn: str | None) -> kms.IKey | None:
    return None if arn is None else kms.Key.from_key_arn(scope, id, arn)


def _peer(scope: Construct, id: str, reach: str) -> ec2.IConnectable | ec2.IPeer:
    if reach.startswith("sg-"):
        # Somebody else's: its rules are left alone.
        return ec2.SecurityGroup.from_security_group_id(scope, id, reach, mutable=False)
    return ec2.Peer.ipv4(reach)
