"""Each rule lets the right template pass and names what is wrong in the wrong one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.compliance import iam, rules, sdk, state_machines
from tests.compliance.templates import Platform

Document = dict[str, Any]
TASK = "arn:${AWS::Partition}:states:::lambda:invoke"


def resource(type: str, **properties: Any) -> Document:
    return {"Type": type, "Properties": properties}


def platform(**resources: Document) -> Platform:
    return Platform({"Test": {"Resources": resources}})


def policy(*statements: Document, role: str = "Role") -> Document:
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    return resource("AWS::IAM::Policy", PolicyName="p", Roles=[{"Ref": role}], PolicyDocument=document)


def allow(action: Any, on: Any = "*", **more: Any) -> Document:
    return {"Effect": "Allow", "Action": action, "Resource": on, **more}


def arn(id: str) -> Document:
    return {"Fn::GetAtt": [id, "Arn"]}


def role(service: str = "states") -> Document:
    trust = {
        "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}]
    }
    return resource("AWS::IAM::Role", AssumeRolePolicyDocument=trust)


def task(**changes: Any) -> Document:
    good = {
        "Type": "Task",
        "Resource": TASK,
        "Arguments": {"FunctionName": "<Test/Function.Arn>"},
        "TimeoutSeconds": 60,
        "Retry": [{"ErrorEquals": ["Lambda.TooManyRequestsException"]}],
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Notify"}],
        "End": True,
    }
    return {key: value for key, value in (good | changes).items() if value is not None}


def notify(**changes: Any) -> Document:
    published = {
        "Resource": "arn:aws:states:::sns:publish",
        "Arguments": {"TopicArn": "<Test/Failures.Ref>", "Message": "{% $states.input %}"},
        "Retry": [{"ErrorEquals": ["SNS.InternalErrorException"]}],
        "Catch": None,
        "End": None,
        "Next": "Failed",
    }
    return task(**(published | changes))


def machine(states: Document | None = None, **properties: Any) -> Document:
    default = {"Work": task(), "Notify": notify(), "Failed": {"Type": "Fail"}}
    definition = json.dumps({"StartAt": "Work", "QueryLanguage": "JSONata", "States": states or default})
    # As CDK writes it: pieces of JSON joined around references.
    pieces: list[Any] = []
    for piece in definition.split("<Test/"):
        name, closed, rest = piece.partition(">")
        if pieces and closed:
            key, _, attribute = name.partition(".")
            pieces.append({"Ref": key} if attribute == "Ref" else {"Fn::GetAtt": [key, attribute]})
            pieces.append(rest)
        else:
            pieces.append(piece)
    return resource(
        "AWS::StepFunctions::StateMachine",
        RoleArn=arn("Role"),
        DefinitionString={"Fn::Join": ["", pieces]},
        **properties,
    )


def with_machine(*statements: Document, states: Document | None = None, **properties: Any) -> Platform:
    return platform(
        Function=function(),
        Topic=resource("AWS::SNS::Topic"),
        Failures=resource("AWS::SNS::Topic", KmsMasterKeyId=arn("Key")),
        Key=resource("AWS::KMS::Key"),
        Role=role(),
        Policy=policy(*statements),
        Machine=machine(states, **properties),
    )


SUFFICIENT = (
    allow("lambda:InvokeFunction", [arn("Function"), {"Fn::Join": ["", [arn("Function"), ":*"]]}]),
    allow("sns:Publish", {"Ref": "Failures"}),
    allow(["kms:Decrypt", "kms:GenerateDataKey*"], arn("Key")),
)


def function(**properties: Any) -> Document:
    good = {"Timeout": 3, "LoggingConfig": {"LogGroup": {"Ref": "Logs"}}}
    return resource("AWS::Lambda::Function", **(good | properties))


LOGS = resource("AWS::Logs::LogGroup", RetentionInDays=365)


INVOKE_CONFIG = resource("AWS::Lambda::EventInvokeConfig", FunctionName={"Ref": "F"}, Qualifier="$LATEST")


def bucket(**properties: Any) -> Document:
    four = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    good = {
        "BucketEncryption": {"ServerSideEncryptionConfiguration": []},
        "PublicAccessBlockConfiguration": dict.fromkeys(four, True),
        "LoggingConfiguration": {"DestinationBucketName": {"Ref": "Log"}},
    }
    return resource("AWS::S3::Bucket", **{k: v for k, v in (good | properties).items() if v is not None})


TLS_ONLY = resource(
    "AWS::S3::BucketPolicy",
    Bucket={"Ref": "Bucket"},
    PolicyDocument={
        "Statement": [
            {
                "Effect": "Deny",
                "Principal": {"AWS": "*"},
                "Action": "s3:*",
                "Resource": "*",
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ]
    },
)


def alarm(**properties: Any) -> Document:
    good = {
        "Namespace": "AWS/Lambda",
        "MetricName": "Errors",
        "Dimensions": [{"Name": "FunctionName", "Value": "f"}],
    }
    return resource("AWS::CloudWatch::Alarm", **(good | properties))


def training(**changes: Any) -> Document:
    arguments = {
        "TrainingJobName": "{% $states.context.Execution.Name %}",
        "RoleArn": "<Test/Job.Arn>",
        "ResourceConfig": {"InstanceType": "ml.m5.xlarge"},
    }
    return task(
        Resource="arn:aws:states:::sagemaker:createTrainingJob.sync",
        Arguments=arguments | changes,
    )


def with_training(*statements: Document, **changes: Any) -> Platform:
    return platform(
        Role=role(), Job=role(), Policy=policy(*statements), Machine=machine({"Work": training(**changes)})
    )


_JOB = {"Fn::Sub": "arn:${AWS::Partition}:sagemaker:${AWS::Region}:${AWS::AccountId}:training-job/run-*"}
_RULE = "arn:aws:events:us-east-1:1:rule/StepFunctionsGetEventsForSageMakerTrainingJobsRule"
MAY_TRAIN = (
    allow(
        ["sagemaker:CreateTrainingJob", "sagemaker:DescribeTrainingJob", "sagemaker:StopTrainingJob"], _JOB
    ),
    allow("iam:PassRole", arn("Job")),
    allow(["events:PutTargets", "events:PutRule", "events:DescribeRule"], _RULE),
)

MAY_RECORD = (
    allow("s3:PutObject", {"Fn::Join": ["", [arn("Bucket"), "/failures/*"]]}),
    allow(["kms:Decrypt", "kms:GenerateDataKey"], arn("Key")),
)


def with_record(*statements: Document) -> Platform:
    """A machine with one task that writes an object into an encrypted bucket."""
    default = {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": arn("Key")}}
    record = task(
        Resource="arn:aws:states:::aws-sdk:s3:putObject",
        Arguments={"Bucket": "<Test/Bucket.Ref>", "Key": "{% 'failures/' & $run %}"},
    )
    return platform(
        Bucket=bucket(BucketEncryption={"ServerSideEncryptionConfiguration": [default]}),
        Key=resource("AWS::KMS::Key"),
        Role=role(),
        Policy=policy(*statements),
        Machine=machine({"Work": record}),
    )


METRICS = allow("cloudwatch:PutMetricData", Condition={"StringEquals": {"cloudwatch:namespace": "Own"}})

Rule = Callable[[Platform], Iterator[str]]


def no_wildcards(p: Platform) -> Iterator[str]:
    return rules.wildcard_resources(p, {"s3:ListAllMyBuckets": "it is a list of everything"})


def no_retried_refusals(p: Platform) -> Iterator[str]:
    return rules.careless_tasks(p, {"InvalidData"})


def all_logged(p: Platform) -> Iterator[str]:
    return rules.careless_buckets(p, {"/Log": "the log of the logs would never end"})


def tagged(p: Platform) -> Iterator[str]:
    return rules.missing_tags(p, {"owner": "me"})


def unnamed(p: Platform) -> Iterator[str]:
    return rules.fixed_names(p, {"AWS::Glue::Database.DatabaseName": "queries name it"})


def no_key_on_nvme(p: Platform) -> Iterator[str]:
    return rules.encrypted_local_disks(p, {"g5.xlarge"})


def states(**named: Document) -> Document:
    return {"Work": task(), "Notify": notify(), "Failed": {"Type": "Fail"}} | named


EXAMPLES: list[tuple[Rule, str, Platform, str | None]] = [
    (
        rules.unknown_actions,
        "known actions",
        platform(P=policy(allow(["kms:ReEncrypt*", "s3:GetObject"]))),
        None,
    ),
    (rules.unknown_actions, "kms:ReEncrypt", platform(P=policy(allow("kms:ReEncrypt"))), "kms:ReEncrypt"),
    (rules.unknown_actions, "no service", platform(P=policy(allow("sagemeker:CreateModel"))), "sagemeker"),
    (rules.wildcard_actions, "prefix", platform(P=policy(allow("s3:GetObject*"))), None),
    (rules.wildcard_actions, "service", platform(P=policy(allow("s3:*"))), "allows s3:*"),
    (rules.wildcard_actions, "everything", platform(P=policy(allow("*"))), "allows *"),
    (rules.wildcard_actions, "denied", platform(P=policy({**allow("s3:*"), "Effect": "Deny"})), None),
    (no_wildcards, "cannot be limited", platform(P=policy(allow("ec2:DescribeSubnets"))), None),
    (no_wildcards, "bound by a condition", platform(P=policy(METRICS)), None),
    (no_wildcards, "not bound", platform(P=policy(allow("cloudwatch:PutMetricData"))), "PutMetricData on *"),
    (no_wildcards, "tolerated", platform(P=policy(allow("s3:ListAllMyBuckets"))), None),
    (no_wildcards, "can be limited", platform(P=policy(allow("s3:GetObject"))), "allows s3:GetObject on *"),
    (no_wildcards, "limited", platform(P=policy(allow("s3:GetObject", "arn:aws:s3:::b/*"))), None),
    (
        rules.public_policies,
        "open topic",
        platform(
            P=resource(
                "AWS::SNS::TopicPolicy",
                PolicyDocument={"Statement": [{**allow("sns:Publish"), "Principal": "*"}]},
            )
        ),
        "open to every AWS account",
    ),
    (rules.public_policies, "closed bucket", platform(Bucket=bucket(), P=TLS_ONLY), None),
    (
        rules.full_access_policies,
        "full access",
        platform(
            R=resource(
                "AWS::IAM::Role", ManagedPolicyArns=["arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"]
            )
        ),
        "AmazonSageMakerFullAccess",
    ),
    (rules.full_access_policies, "none", platform(R=role()), None),
    # State machines
    (no_retried_refusals, "careful", with_machine(), None),
    (
        no_retried_refusals,
        "no timeout",
        with_machine(states=states(Work=task(TimeoutSeconds=None))),
        "no timeout",
    ),
    (no_retried_refusals, "no retry", with_machine(states=states(Work=task(Retry=None))), "no Retry"),
    (no_retried_refusals, "no catch", with_machine(states=states(Work=task(Catch=None))), "no Catch"),
    (
        no_retried_refusals,
        "catches one error alone",
        with_machine(states=states(Work=task(Catch=[{"ErrorEquals": ["InvalidData"], "Next": "Notify"}]))),
        "no Catch for States.ALL",
    ),
    (
        no_retried_refusals,
        "retries bad data",
        with_machine(states=states(Work=task(Retry=[{"ErrorEquals": ["InvalidData"]}]))),
        "retries InvalidData",
    ),
    (
        no_retried_refusals,
        "retries everything",
        with_machine(states=states(Work=task(Retry=[{"ErrorEquals": ["States.ALL"]}]))),
        "retries States.ALL",
    ),
    (
        no_retried_refusals,
        "a rollback is caught too",
        with_machine(
            states=states(
                Work=task(Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Undo"}]),
                Undo=task(Catch=None, End=None, Next="Notify"),
            )
        ),
        "'Undo' has no Catch",
    ),
    (
        no_retried_refusals,
        "inside a parallel state",
        with_machine(
            states={
                "Work": {
                    "Type": "Parallel",
                    "Branches": [
                        {"StartAt": "Inner", "States": {"Inner": task(TimeoutSeconds=None, Catch=None)}}
                    ],
                    "End": True,
                }
            }
        ),
        "'Inner' has no timeout",
    ),
    (rules.silent_failures, "told", with_machine(), None),
    (
        rules.silent_failures,
        "telling itself fails",
        with_machine(states=states(Notify=notify(Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Failed"}]))),
        None,
    ),
    (
        rules.silent_failures,
        "told to nobody",
        with_machine(
            states={
                "Work": task(Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Failed"}]),
                "Failed": {"Type": "Fail"},
            }
        ),
        "told to nobody",
    ),
    (
        rules.silent_failures,
        "succeeds in the end",
        with_machine(states={"Work": task(), "Notify": notify(Next=None, End=True)}),
        "does not end in a failed execution",
    ),
    (rules.swapped_topics, "failures alone", with_machine(), None),
    (
        rules.swapped_topics,
        "the same topic",
        with_machine(states=states(Work=task(End=None, Next="Tell"), Tell=notify(Next=None, End=True))),
        "to the same topic",
    ),
    (rules.missing_permissions, "sufficient", with_machine(*SUFFICIENT), None),
    (
        rules.missing_permissions,
        "may not invoke",
        with_machine(*SUFFICIENT[1:]),
        "needs lambda:InvokeFunction",
    ),
    (rules.missing_permissions, "may not publish", with_machine(SUFFICIENT[0]), "needs sns:Publish"),
    (
        rules.missing_permissions,
        "may not use the topic's key",
        with_machine(*SUFFICIENT[:2]),
        "needs kms:Decrypt",
    ),
    (
        rules.missing_permissions,
        "denied",
        with_machine(*SUFFICIENT, {**allow("lambda:InvokeFunction"), "Effect": "Deny"}),
        "needs lambda:InvokeFunction",
    ),
    (
        rules.missing_permissions,
        "may not write its log",
        with_machine(*SUFFICIENT, LoggingConfiguration={"Level": "ERROR"}),
        "logging needs logs:CreateLogDelivery",
    ),
    (rules.missing_permissions, "may record", with_record(*MAY_RECORD), None),
    (
        rules.missing_permissions,
        "may not use the bucket's key",
        with_record(MAY_RECORD[0]),
        "kms:GenerateDataKey",
    ),
    (
        rules.missing_permissions,
        "may write elsewhere",
        with_record(allow("s3:PutObject", {"Fn::Join": ["", [arn("Bucket"), "/other/*"]]})),
        "needs s3:PutObject on <Test/Bucket.Arn>/failures/*",
    ),
    (rules.unused_permissions, "all used to record", with_record(*MAY_RECORD), None),
    (
        rules.unused_permissions,
        "deletes",
        with_record(*MAY_RECORD, allow("s3:DeleteObject", "*")),
        "s3:DeleteObject",
    ),
    (rules.missing_permissions, "may train", with_training(*MAY_TRAIN), None),
    (
        rules.missing_permissions,
        "may not pass the role",
        with_training(MAY_TRAIN[0], MAY_TRAIN[2]),
        "needs iam:PassRole",
    ),
    (
        rules.missing_permissions,
        "may not watch the job",
        with_training(*MAY_TRAIN[:2]),
        "needs events:PutTargets",
    ),
    (
        rules.missing_permissions,
        "may not tag the job",
        with_training(*MAY_TRAIN, Tags=[{"Key": "run", "Value": "1"}]),
        "needs sagemaker:AddTags",
    ),
    (
        rules.missing_permissions,
        "an API of the SDK",
        platform(
            Role=role(),
            Policy=policy(allow("sagemaker:ListModels")),
            Machine=machine({"Work": task(Resource="arn:aws:states:::aws-sdk:sagemaker:describeModel")}),
        ),
        "needs sagemaker:DescribeModel",
    ),
    (rules.unused_permissions, "all used", with_machine(*SUFFICIENT), None),
    (rules.unused_permissions, "all used to train", with_training(*MAY_TRAIN), None),
    (
        rules.unused_permissions,
        "another action",
        with_machine(*SUFFICIENT, allow("s3:GetObject", "arn:aws:s3:::b/*")),
        "needs s3:GetObject",
    ),
    (
        rules.unused_permissions,
        "another resource",
        with_machine(*SUFFICIENT, allow("sns:Publish", {"Ref": "Topic"})),
        "needs sns:Publish on <Test/Topic.Ref>",
    ),
    (
        rules.unknown_calls,
        "a wrong operation",
        with_machine(states={"Work": task(Resource="arn:aws:states:::aws-sdk:sagemaker:describeModell")}),
        "no operation DescribeModell",
    ),
    (
        rules.unknown_calls,
        "a pattern whose needs nobody wrote down",
        with_machine(states={"Work": task(Resource="arn:aws:states:::sagemaker:createTransformJob.sync")}),
        "not written down",
    ),
    (rules.unknown_calls, "known", with_machine(), None),
    (
        no_key_on_nvme,
        "key without NVMe",
        with_training(ResourceConfig={"InstanceType": "ml.m5.xlarge", "VolumeKmsKeyId": "k"}),
        None,
    ),
    (
        no_key_on_nvme,
        "key on NVMe",
        with_training(ResourceConfig={"InstanceType": "ml.g5.xlarge", "VolumeKmsKeyId": "k"}),
        "sets VolumeKmsKeyId on ml.g5.xlarge",
    ),
    # Functions
    (rules.careless_functions, "careful", platform(F=function(), Logs=LOGS), None),
    (
        rules.careless_functions,
        "log group by name",
        platform(
            F=function(LoggingConfig={}),
            Logs=resource(
                "AWS::Logs::LogGroup",
                LogGroupName={"Fn::Join": ["", ["/aws/lambda/", {"Ref": "F"}]]},
                RetentionInDays=1,
            ),
        ),
        None,
    ),
    (rules.careless_functions, "no timeout", platform(F=resource("AWS::Lambda::Function")), "no timeout"),
    (rules.careless_functions, "no log group", platform(F=function(LoggingConfig={})), "no log group"),
    (
        rules.careless_functions,
        "kept for ever",
        platform(F=function(), Logs=resource("AWS::Logs::LogGroup")),
        "for ever",
    ),
    (
        rules.careless_functions,
        "wildcard",
        platform(F=function(Environment={"Variables": {"ALLOWED": "*"}}), Logs=LOGS),
        "ALLOWED holds a wildcard",
    ),
    (
        rules.lost_invocations,
        "lost",
        platform(F=function(), R=resource("AWS::Events::Rule", Targets=[{"Id": "a", "Arn": arn("F")}])),
        "what fails there is lost",
    ),
    (
        rules.lost_invocations,
        "lost behind an alias",
        platform(
            F=function(),
            A=resource("AWS::Lambda::Alias", FunctionName={"Ref": "F"}),
            S=resource("AWS::SNS::Subscription", Protocol="lambda", Endpoint={"Ref": "A"}),
        ),
        "what fails there is lost",
    ),
    (
        rules.lost_invocations,
        "dead letters",
        platform(
            F=function(DeadLetterConfig={"TargetArn": "q"}),
            R=resource("AWS::Events::Rule", Targets=[{"Id": "a", "Arn": arn("F")}]),
        ),
        None,
    ),
    (
        rules.lost_invocations,
        "failure destination",
        platform(
            F=function(),
            R=resource("AWS::Events::Rule", Targets=[{"Id": "a", "Arn": arn("F")}]),
            C=resource(
                "AWS::Lambda::EventInvokeConfig",
                FunctionName={"Ref": "F"},
                DestinationConfig={"OnFailure": {"Destination": "q"}},
            ),
        ),
        None,
    ),
    (
        rules.lost_events,
        "no dead letters",
        platform(R=resource("AWS::Events::Rule", Targets=[{"Id": "a"}])),
        "a has no dead",
    ),
    (
        rules.lost_events,
        "dead letters",
        platform(R=resource("AWS::Events::Rule", Targets=[{"Id": "a", "DeadLetterConfig": {"Arn": "q"}}])),
        None,
    ),
    # Data
    (all_logged, "careful", platform(Bucket=bucket(), P=TLS_ONLY), None),
    (
        all_logged,
        "not encrypted",
        platform(Bucket=bucket(BucketEncryption=None), P=TLS_ONLY),
        "not encrypted",
    ),
    (
        all_logged,
        "public",
        platform(Bucket=bucket(PublicAccessBlockConfiguration={"BlockPublicAcls": True}), P=TLS_ONLY),
        "public access",
    ),
    (all_logged, "plain HTTP", platform(Bucket=bucket()), "without TLS"),
    (all_logged, "not logged", platform(Bucket=bucket(LoggingConfiguration=None), P=TLS_ONLY), "not logged"),
    (rules.still_keys, "rotates", platform(K=resource("AWS::KMS::Key", EnableKeyRotation=True)), None),
    (rules.still_keys, "does not", platform(K=resource("AWS::KMS::Key")), "does not rotate"),
    (rules.still_keys, "asymmetric", platform(K=resource("AWS::KMS::Key", KeySpec="RSA_2048")), None),
    (
        rules.plain_messages,
        "encrypted",
        platform(
            T=resource("AWS::SNS::Topic", KmsMasterKeyId="k"),
            Q=resource("AWS::SQS::Queue", SqsManagedSseEnabled=True),
        ),
        None,
    ),
    (rules.plain_messages, "topic", platform(T=resource("AWS::SNS::Topic")), "not encrypted"),
    (rules.plain_messages, "queue", platform(Q=resource("AWS::SQS::Queue")), "not encrypted"),
    # Tags and names
    (tagged, "list", platform(B=resource("AWS::S3::Bucket", Tags=[{"Key": "owner", "Value": "me"}])), None),
    (tagged, "map", platform(P=resource("AWS::SSM::Parameter", Tags={"owner": "me"})), None),
    (tagged, "under another name", platform(B=resource("AWS::Budgets::Budget")), "owner is None"),
    (
        tagged,
        "wrong value",
        platform(B=resource("AWS::S3::Bucket", Tags=[{"Key": "owner", "Value": "you"}])),
        "'you'",
    ),
    (tagged, "cannot carry tags", platform(P=policy()), None),
    (tagged, "custom resource", platform(C=resource("Custom::Thing")), None),
    (unnamed, "no name", platform(B=resource("AWS::S3::Bucket")), None),
    (unnamed, "tolerated", platform(D=resource("AWS::Glue::Database", DatabaseName="d")), None),
    (unnamed, "named after another", platform(F=function(), C=INVOKE_CONFIG), None),
    (unnamed, "no choice", platform(A=resource("AWS::Lambda::Alias", FunctionName="f", Name="live")), None),
    (unnamed, "bucket", platform(B=resource("AWS::S3::Bucket", BucketName="b")), "BucketName is fixed"),
    (
        unnamed,
        "endpoint config",
        platform(E=resource("AWS::SageMaker::EndpointConfig", EndpointConfigName="e")),
        "fixed",
    ),
    (unnamed, "model", platform(M=resource("AWS::SageMaker::Model", ModelName="m")), "ModelName is fixed"),
    (rules.changing_names, "plain", platform(B=resource("AWS::S3::Bucket")), None),
    (
        rules.changing_names,
        "uuid",
        platform(B=resource("AWS::S3::Bucket", BucketName="b-0b6e2a5e-6a3f-4c3b-9f4e-3f2f8a3f1c11")),
        "looks like a uuid",
    ),
    (
        rules.changing_names,
        "time",
        platform(B=resource("AWS::S3::Bucket", BucketName="b-20261123-2322")),
        "a time",
    ),
    # Watching and governing
    (rules.blind_alarms, "sees", platform(A=alarm()), None),
    (rules.blind_alarms, "no dimensions", platform(A=alarm(Dimensions=[])), "without dimensions"),
    (
        rules.blind_alarms,
        "no such metric",
        platform(A=alarm(MetricName="Failures")),
        "publishes no metric Failures",
    ),
    (
        rules.blind_alarms,
        "other dimensions",
        platform(A=alarm(Dimensions=[{"Name": "AliasName", "Value": "live"}])),
        "not published by ['AliasName']",
    ),
    (
        rules.blind_alarms,
        "in an expression",
        platform(
            A=resource(
                "AWS::CloudWatch::Alarm",
                Metrics=[
                    {
                        "Id": "m",
                        "MetricStat": {
                            "Metric": {"Namespace": "AWS/States", "MetricName": "ExecutionsFailed"}
                        },
                    }
                ],
            )
        ),
        "without dimensions",
    ),
    (
        rules.odd_lake_permissions,
        "a table named *",
        platform(G=resource("AWS::LakeFormation::PrincipalPermissions", Resource={"Table": {"Name": "*"}})),
        "TableWildcard",
    ),
    (
        rules.odd_lake_permissions,
        "SELECT on a database",
        platform(
            G=resource(
                "AWS::LakeFormation::PrincipalPermissions", Resource={"Database": {}}, Permissions=["SELECT"]
            )
        ),
        "on a database",
    ),
    (
        rules.odd_lake_permissions,
        "all tables",
        platform(
            G=resource(
                "AWS::LakeFormation::PrincipalPermissions",
                Resource={"Table": {"TableWildcard": {}}},
                Permissions=["SELECT"],
            )
        ),
        None,
    ),
    (rules.strong_references, "weak", platform(), None),
    (
        rules.strong_references,
        "exported",
        Platform({"Test": {"Outputs": {"O": {"Value": "v", "Export": {"Name": "n"}}}}}),
        "O is exported",
    ),
    (
        rules.strong_references,
        "imported",
        platform(B=resource("AWS::S3::Bucket", BucketName={"Fn::ImportValue": "n"})),
        "imports a value",
    ),
]


@pytest.mark.parametrize(
    ("rule", "example", "given", "expected"),
    EXAMPLES,
    ids=[f"{rule.__name__}-{name}" for rule, name, *_ in EXAMPLES],
)
def test_a_rule_names_what_is_wrong_and_nothing_else(
    rule: Rule, example: str, given: Platform, expected: str | None
) -> None:
    found = list(rule(given))
    if expected is None:
        assert found == []
    else:
        assert found
        assert any(expected in finding for finding in found), found


def test_every_rule_has_an_example_that_passes_and_one_that_does_not() -> None:
    seen: dict[str, set[bool]] = {}
    for rule, _, _, expected in EXAMPLES:
        seen.setdefault(rule.__name__, set()).add(expected is None)
    assert {name: kinds for name, kinds in seen.items() if kinds != {True, False}} == {}


def test_a_permission_of_another_stack_is_followed_to_its_resource() -> None:
    weak = {"Fn::GetStackOutput": {"StackName": "Lake", "OutputName": "O", "Region": {"Ref": "AWS::Region"}}}
    both = Platform(
        {
            "Lake": {
                "Resources": {"Bucket": bucket()},
                "Outputs": {"O": {"Value": {"Fn::GetAtt": ["Bucket", "Arn"]}}},
            },
            "Test": {
                "Resources": {
                    "Role": role(),
                    "P": policy(allow("s3:GetObject", {"Fn::Join": ["", [weak, "/*"]]})),
                }
            },
        }
    )
    [statement] = iam.statements_of(both, next(both.resources("AWS::IAM::Role")))
    assert statement.resources == ("<Lake/Bucket.Arn>/*",)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("*", "", True),
        ("a*c", "abc", True),
        ("a*c", "ab", False),
        ("arn:*:job/run-*", "arn:aws:job/*", True),
        ("arn:${AWS::Partition}:s3:::b", "arn:aws:s3:::b", True),
        ("a*", "b*", False),
        ("a?c", "abc", True),
        ("", "a", False),
    ],
)
def test_two_patterns_overlap_when_a_text_matches_both(one: str, other: str, expected: bool) -> None:
    assert iam.overlap(one, other) is expected
    assert iam.overlap(other, one) is expected


@pytest.mark.parametrize(
    ("service", "method", "expected"),
    [
        ("s3", "head_object", {"s3:GetObject"}),
        ("s3", "list_objects_v2", {"s3:ListBucket"}),
        ("s3", "upload_fileobj", {"s3:PutObject", "s3:AbortMultipartUpload"}),
        ("lambda", "invoke", {"lambda:InvokeFunction"}),
        ("lambda", "publish_version", {"lambda:PublishVersion"}),
        ("stepfunctions", "start_execution", {"states:StartExecution"}),
        ("cloudwatch", "describe_alarms", {"cloudwatch:DescribeAlarms"}),
        ("sagemaker-runtime", "invoke_endpoint", {"sagemaker:InvokeEndpoint"}),
    ],
)
def test_sdk_calls_map_to_actions_that_iam_knows(service: str, method: str, expected: set[str]) -> None:
    assert sdk.method_actions(service, method) == expected


def test_reading_a_version_needs_the_action_for_versions() -> None:
    assert sdk.method_actions("s3", "get_object", versioned=True) == {"s3:GetObject", "s3:GetObjectVersion"}


@pytest.mark.parametrize(("service", "method"), [("s3", "get_objekt"), ("s33", "get_object")])
def test_an_sdk_call_that_does_not_exist_is_refused(service: str, method: str) -> None:
    with pytest.raises(sdk.UnknownCall):
        sdk.method_actions(service, method)


def test_definitions_keep_their_references() -> None:
    [found] = state_machines.machines(with_machine())
    assert found.definition["States"]["Notify"]["Arguments"]["TopicArn"] == "<Test/Failures.Ref>"
