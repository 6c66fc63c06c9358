"""Templates in a few words, and a test of rules by their examples."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from tests.compliance.templates import Platform

Document = dict[str, Any]
Rule = Callable[[Platform], Iterator[str]]
Example = tuple[Rule, str, Platform, str | None]
"""A rule, what the example shows, the templates, and a part of what is found, or None for nothing."""
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


def states(**named: Document) -> Document:
    return {"Work": task(), "Notify": notify(), "Failed": {"Type": "Fail"}} | named


def ids(examples: list[Example]) -> list[str]:
    """Names of the tests of some examples."""
    return [f"{rule.__name__}-{name}" for rule, name, *_ in examples]


def holds(example: Example) -> None:
    """A rule names what is wrong and nothing else."""
    rule, _, given, expected = example
    found = list(rule(given))
    if expected is None:
        assert found == []
    else:
        assert found
        assert any(expected in finding for finding in found), found


def both_kinds(examples: list[Example]) -> None:
    """Every rule has an example that passes and one that does not."""
    seen: dict[str, set[bool]] = {}
    for rule, _, _, expected in examples:
        seen.setdefault(rule.__name__, set()).add(expected is None)
    assert {name: kinds for name, kinds in seen.items() if kinds != {True, False}} == {}
