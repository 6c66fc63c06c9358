"""Kinesis streams, Firehose streams, MSK clusters and connectors, and the functions that read them."""

from __future__ import annotations

from collections.abc import Iterator

from cdk_data_science.security.checks.expectations import (
    at_least,
    but,
    disabled,
    enabled,
    every,
    example,
    expect,
    is_true,
    one_of,
    present,
    resource,
)
from cdk_data_science.security.checks.intrinsics import is_unknown
from cdk_data_science.security.checks.rule import Check, Example, Problem, Rule, Severity, control, guide
from cdk_data_science.security.checks.templates import Resource

_STREAM = "AWS::Kinesis::Stream"
_FIREHOSE = "AWS::KinesisFirehose::DeliveryStream"
_CLUSTER = "AWS::MSK::Cluster"
_CONNECTOR = "AWS::KafkaConnect::Connector"
_MAPPING = "AWS::Lambda::EventSourceMapping"
_KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
_ROLE = "arn:aws:iam::111122223333:role/delivery"
_S3 = "ExtendedS3DestinationConfiguration"
_WEEK = 168

_stream = example(
    _STREAM,
    StreamModeDetails={"StreamMode": "ON_DEMAND"},
    RetentionPeriodHours=_WEEK,
    StreamEncryption={"EncryptionType": "KMS", "KeyId": _KEY},
)
_firehose = example(
    _FIREHOSE,
    DeliveryStreamType="DirectPut",
    DeliveryStreamEncryptionConfigurationInput={"KeyType": "CUSTOMER_MANAGED_CMK", "KeyARN": _KEY},
    ExtendedS3DestinationConfiguration={
        "BucketARN": "arn:aws:s3:::lake",
        "RoleARN": _ROLE,
        "EncryptionConfiguration": {"KMSEncryptionConfig": {"AWSKMSKeyARN": _KEY}},
        "CloudWatchLoggingOptions": {"Enabled": True, "LogGroupName": "f", "LogStreamName": "s3"},
        "Prefix": "raw/",
        "ErrorOutputPrefix": "failed/!{firehose:error-output-type}/",
    },
)
_cluster = example(
    _CLUSTER,
    ClusterName="events",
    KafkaVersion="3.6.0",
    NumberOfBrokerNodes=3,
    BrokerNodeGroupInfo={"InstanceType": "kafka.m5.large", "ClientSubnets": ["subnet-1", "subnet-2"]},
    EncryptionInfo={
        "EncryptionAtRest": {"DataVolumeKMSKeyId": _KEY},
        "EncryptionInTransit": {"ClientBroker": "TLS", "InCluster": True},
    },
    ClientAuthentication={"Sasl": {"Iam": {"Enabled": True}}, "Unauthenticated": {"Enabled": False}},
    EnhancedMonitoring="PER_BROKER",
    LoggingInfo={"BrokerLogs": {"CloudWatchLogs": {"Enabled": True, "LogGroup": "brokers"}}},
)
_connector = example(
    _CONNECTOR,
    ConnectorName="sink",
    Capacity={"ProvisionedCapacity": {"McuCount": 1, "WorkerCount": 1}},
    ConnectorConfiguration={"connector.class": "S3Sink"},
    KafkaCluster={
        "ApacheKafkaCluster": {
            "BootstrapServers": "b-1:9098",
            "Vpc": {"SecurityGroups": ["sg-1"], "Subnets": ["subnet-1"]},
        }
    },
    KafkaClusterClientAuthentication={"AuthenticationType": "IAM"},
    KafkaClusterEncryptionInTransit={"EncryptionType": "TLS"},
    KafkaConnectVersion="2.7.1",
    Plugins=[
        {
            "CustomPlugin": {
                "CustomPluginArn": "arn:aws:kafkaconnect:eu-west-1:111122223333:custom-plugin/p/1",
                "Revision": 1,
            }
        }
    ],
    ServiceExecutionRoleArn=_ROLE,
    LogDelivery={"WorkerLogDelivery": {"CloudWatchLogs": {"Enabled": True, "LogGroup": "workers"}}},
)


def _read(**changes: object) -> Example:
    good: dict[str, object] = {
        "FunctionName": "score",
        "EventSourceArn": {"Fn::GetAtt": ["Stream", "Arn"]},
        "StartingPosition": "TRIM_HORIZON",
        "DestinationConfig": {"OnFailure": {"Destination": "arn:aws:sqs:eu-west-1:111122223333:failed"}},
        "MaximumRetryAttempts": 5,
        "BisectBatchOnFunctionError": True,
    }
    properties = {key: value for key, value in (good | changes).items() if value is not None}
    return {"Stream": _stream["Resource"], "Mapping": resource(_MAPPING, **properties)}


def _of_stream(mapping: Resource) -> bool:
    """Whether a mapping reads a Kinesis or DynamoDB stream: one bad record there blocks its shard."""
    source = mapping.get("EventSourceArn")
    target = mapping.templates.target(source)
    if target is not None:
        return target.type in (_STREAM, "AWS::DynamoDB::Table")
    return isinstance(source, str) and (":kinesis:" in source or ":dynamodb:" in source)


def _failures_kept(mapping: Resource) -> Iterator[Problem]:
    if _of_stream(mapping) and mapping.get("DestinationConfig.OnFailure.Destination") is None:
        yield Problem(at="DestinationConfig.OnFailure")


def _gives_up(mapping: Resource) -> Iterator[Problem]:
    if not _of_stream(mapping):
        return
    limits = [mapping.get("MaximumRetryAttempts"), mapping.get("MaximumRecordAgeInSeconds")]
    if all(limit in (None, -1, "-1") for limit in limits):
        yield Problem(at="MaximumRetryAttempts")


def _smaller_batches(mapping: Resource) -> Iterator[Problem]:
    if not _of_stream(mapping) or mapping.get("FunctionResponseTypes"):
        return
    bisects = mapping.get("BisectBatchOnFunctionError")
    if bisects is not None and is_unknown(bisects):
        yield Problem(at="BisectBatchOnFunctionError", uncertain=True)
    elif not is_true(bisects):
        yield Problem(at="BisectBatchOnFunctionError")


def _direct(stream: Resource) -> bool:
    return stream.get("DeliveryStreamType") in (None, "DirectPut")


def _to_s3(stream: Resource) -> bool:
    return stream.get(_S3) is not None


def _may_fail(stream: Resource) -> bool:
    """Whether records can fail on the way: they are transformed, converted or partitioned."""
    parts = (
        "ProcessingConfiguration",
        "DataFormatConversionConfiguration",
        "DynamicPartitioningConfiguration",
    )
    return any(stream.get(f"{_S3}.{part}") is not None for part in parts)


def _logged(path: str) -> Check:
    kinds = ("CloudWatchLogs", "Firehose", "S3")

    def check(resource: Resource) -> Iterator[Problem]:
        switches = [resource.get(f"{path}.{kind}.Enabled") for kind in kinds]
        if any(is_true(switch) for switch in switches):
            return
        uncertain = any(switch is not None and is_unknown(switch) for switch in switches)
        yield Problem(at=path, uncertain=uncertain)

    return check


RULES = (
    Rule(
        id="DataScience-KIN1",
        title="A stream is encrypted",
        fails="The stream is not encrypted",
        why="Records lie there for days.",
        fix="Set StreamEncryption with a key",
        severity=Severity.ERROR,
        follows=(control("Kinesis.1"),),
        types=(_STREAM,),
        check=one_of("StreamEncryption.EncryptionType", "KMS"),
        compliant=_stream,
        noncompliant=but(_stream, StreamEncryption=None),
    ),
    Rule(
        id="DataScience-KIN2",
        title="A stream keeps its records for a week",
        fails="The stream forgets records before a consumer that broke on a Friday is mended",
        why="The default is one day.",
        fix="Set RetentionPeriodHours to 168 or more",
        severity=Severity.WARNING,
        follows=(control("Kinesis.3"),),
        types=(_STREAM,),
        check=at_least("RetentionPeriodHours", _WEEK),
        compliant=_stream,
        noncompliant=but(_stream, RetentionPeriodHours=24),
    ),
    Rule(
        id="DataScience-KIN3",
        title="What a function could not read from a stream is kept",
        fails="Records that the function fails on are lost once they are given up",
        why="Nobody can look at them or send them again.",
        fix="Set DestinationConfig.OnFailure to a queue or a bucket",
        severity=Severity.WARNING,
        follows=(guide("lambda/latest/dg/with-kinesis"),),
        types=(_MAPPING,),
        check=_failures_kept,
        compliant=_read(),
        noncompliant=_read(DestinationConfig=None),
    ),
    Rule(
        id="DataScience-KIN4",
        title="A function gives up on a record in time",
        fails="The function tries a bad record until it expires",
        why="One bad record blocks its shard for as long as the stream keeps records.",
        fix="Set MaximumRetryAttempts or MaximumRecordAgeInSeconds",
        severity=Severity.WARNING,
        follows=(guide("lambda/latest/dg/with-kinesis"),),
        types=(_MAPPING,),
        check=_gives_up,
        compliant=_read(),
        noncompliant=_read(MaximumRetryAttempts=None),
    ),
    Rule(
        id="DataScience-KIN5",
        title="One bad record does not fail its whole batch",
        fails="A whole batch is tried again because of one bad record",
        why="Good records are scored again and again, and given up with the bad one.",
        fix="Set BisectBatchOnFunctionError to true, or FunctionResponseTypes to ReportBatchItemFailures",
        severity=Severity.INFO,
        follows=(guide("lambda/latest/dg/with-kinesis"),),
        types=(_MAPPING,),
        check=_smaller_batches,
        compliant=_read(),
        noncompliant=_read(BisectBatchOnFunctionError=None),
    ),
    Rule(
        id="DataScience-FH1",
        title="Firehose encrypts what it buffers",
        fails="What the stream buffers is not encrypted",
        why="Records wait there for minutes, and for a day where the destination is down.",
        fix="Set DeliveryStreamEncryptionConfigurationInput",
        severity=Severity.ERROR,
        follows=(control("DataFirehose.1"), guide("firehose/latest/dev/encryption")),
        types=(_FIREHOSE,),
        check=present("DeliveryStreamEncryptionConfigurationInput.KeyType", when=_direct),
        compliant=_firehose,
        noncompliant=but(_firehose, DeliveryStreamEncryptionConfigurationInput=None),
    ),
    Rule(
        id="DataScience-FH2",
        title="Firehose writes with a key that it names",
        fails="The stream names no key for what it writes to S3",
        why="The objects are then encrypted as their bucket happens to be.",
        fix=f"Set {_S3}.EncryptionConfiguration.KMSEncryptionConfig",
        severity=Severity.WARNING,
        follows=(guide("firehose/latest/APIReference/API_EncryptionConfiguration"),),
        types=(_FIREHOSE,),
        check=present(f"{_S3}.EncryptionConfiguration.KMSEncryptionConfig.AWSKMSKeyARN", when=_to_s3),
        compliant=_firehose,
        noncompliant=but(_firehose, ExtendedS3DestinationConfiguration__EncryptionConfiguration=None),
    ),
    Rule(
        id="DataScience-FH3",
        title="Firehose logs failed deliveries",
        fails="Failed deliveries are not logged",
        why="That the data stopped is seen, but not why.",
        fix=f"Set {_S3}.CloudWatchLoggingOptions",
        severity=Severity.WARNING,
        follows=(guide("firehose/latest/dev/monitoring-with-cloudwatch-logs"),),
        types=(_FIREHOSE,),
        check=enabled(f"{_S3}.CloudWatchLoggingOptions.Enabled", when=_to_s3),
        compliant=_firehose,
        noncompliant=but(_firehose, ExtendedS3DestinationConfiguration__CloudWatchLoggingOptions=None),
    ),
    Rule(
        id="DataScience-FH4",
        title="Records that Firehose fails on go to a prefix of their own",
        fails="Records that could not be transformed or partitioned lie under the prefix of the good ones",
        why="Queries and crawlers read them as data.",
        fix=f"Set {_S3}.ErrorOutputPrefix",
        severity=Severity.WARNING,
        follows=(guide("firehose/latest/dev/s3-prefixes"),),
        types=(_FIREHOSE,),
        check=present(f"{_S3}.ErrorOutputPrefix", when=_may_fail),
        compliant=but(
            _firehose, ExtendedS3DestinationConfiguration__ProcessingConfiguration={"Enabled": True}
        ),
        noncompliant=but(
            but(_firehose, ExtendedS3DestinationConfiguration__ProcessingConfiguration={"Enabled": True}),
            ExtendedS3DestinationConfiguration__ErrorOutputPrefix=None,
        ),
    ),
    Rule(
        id="DataScience-MSK1",
        title="A cluster talks TLS alone",
        fails="The cluster takes, or uses, connections without TLS",
        why="Records cross the network readably.",
        fix='Set EncryptionInTransit.ClientBroker to "TLS" and InCluster to true',
        severity=Severity.ERROR,
        follows=(control("MSK.1"),),
        types=(_CLUSTER,),
        check=every(
            one_of("EncryptionInfo.EncryptionInTransit.ClientBroker", "TLS", absent=True),
            enabled("EncryptionInfo.EncryptionInTransit.InCluster", absent=True),
        ),
        compliant=_cluster,
        noncompliant=but(_cluster, EncryptionInfo__EncryptionInTransit__ClientBroker="TLS_PLAINTEXT"),
    ),
    Rule(
        id="DataScience-MSK2",
        title="A cluster is encrypted with your key",
        fails="The cluster's volumes are encrypted with a key of AWS",
        why="Only the policy of a key of yours can say who may read them.",
        fix="Set EncryptionInfo.EncryptionAtRest.DataVolumeKMSKeyId",
        severity=Severity.WARNING,
        follows=(guide("AWSCloudFormation/latest/UserGuide/aws-properties-msk-cluster-encryptionatrest"),),
        types=(_CLUSTER,),
        check=present("EncryptionInfo.EncryptionAtRest.DataVolumeKMSKeyId"),
        compliant=_cluster,
        noncompliant=but(_cluster, EncryptionInfo__EncryptionAtRest=None),
    ),
    Rule(
        id="DataScience-MSK3",
        title="A cluster has no public addresses",
        fails="The cluster can be reached from the internet",
        why="Its authentication is then all that protects the records.",
        fix='Set BrokerNodeGroupInfo.ConnectivityInfo.PublicAccess.Type to "DISABLED"',
        severity=Severity.ERROR,
        follows=(control("MSK.4"),),
        types=(_CLUSTER,),
        check=one_of("BrokerNodeGroupInfo.ConnectivityInfo.PublicAccess.Type", "DISABLED", absent=True),
        compliant=_cluster,
        noncompliant=but(
            _cluster,
            BrokerNodeGroupInfo__ConnectivityInfo={"PublicAccess": {"Type": "SERVICE_PROVIDED_EIPS"}},
        ),
    ),
    Rule(
        id="DataScience-MSK4",
        title="A cluster knows its clients",
        fails="The cluster takes clients that do not say who they are",
        why="Whoever reaches the brokers reads and writes everything.",
        fix="Disable ClientAuthentication.Unauthenticated, and enable IAM",
        severity=Severity.ERROR,
        follows=(control("MSK.6"),),
        types=(_CLUSTER,),
        check=every(
            present("ClientAuthentication"), disabled("ClientAuthentication.Unauthenticated.Enabled")
        ),
        compliant=_cluster,
        noncompliant=but(_cluster, ClientAuthentication={"Unauthenticated": {"Enabled": True}}),
    ),
    Rule(
        id="DataScience-MSK5",
        title="A cluster's brokers write a log",
        fails="The brokers write no log",
        why="Why clients were refused, or partitions moved, is told there alone.",
        fix="Enable one of LoggingInfo.BrokerLogs",
        severity=Severity.WARNING,
        follows=(guide("AWSCloudFormation/latest/UserGuide/aws-properties-msk-cluster-brokerlogs"),),
        types=(_CLUSTER,),
        check=_logged("LoggingInfo.BrokerLogs"),
        compliant=_cluster,
        noncompliant=but(_cluster, LoggingInfo=None),
    ),
    Rule(
        id="DataScience-MSK6",
        title="A cluster is watched broker by broker",
        fails="The cluster publishes its basic metrics alone",
        why="A single broker that runs full is not seen.",
        fix='Set EnhancedMonitoring to "PER_BROKER" or finer; it costs per metric',
        severity=Severity.INFO,
        follows=(control("MSK.2"), guide("msk/latest/developerguide/monitoring")),
        types=(_CLUSTER,),
        check=expect("EnhancedMonitoring", lambda level: level != "DEFAULT"),
        compliant=_cluster,
        noncompliant=but(_cluster, EnhancedMonitoring="DEFAULT"),
    ),
    Rule(
        id="DataScience-MSK7",
        title="A connector talks TLS to its cluster",
        fails="The connector talks to its cluster in plain text",
        why="Records cross the network readably.",
        fix='Set KafkaClusterEncryptionInTransit.EncryptionType to "TLS"',
        severity=Severity.ERROR,
        follows=(control("MSK.3"),),
        types=(_CONNECTOR,),
        check=one_of("KafkaClusterEncryptionInTransit.EncryptionType", "TLS"),
        compliant=_connector,
        noncompliant=but(_connector, KafkaClusterEncryptionInTransit__EncryptionType="PLAINTEXT"),
    ),
    Rule(
        id="DataScience-MSK8",
        title="A connector writes a log",
        fails="The connector writes no log",
        why="A task that failed, and with it part of the data, is told of in the log alone.",
        fix="Enable one of LogDelivery.WorkerLogDelivery",
        severity=Severity.WARNING,
        follows=(control("MSK.5"),),
        types=(_CONNECTOR,),
        check=_logged("LogDelivery.WorkerLogDelivery"),
        compliant=_connector,
        noncompliant=but(_connector, LogDelivery=None),
    ),
)
