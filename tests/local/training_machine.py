"""A state machine that trains, as SpotTraining makes it, with its own roles, on the local AWS."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_stepfunctions as sfn

from cdk_data_science import SourceCode, SpotTraining, Zone, ZoneAttributes
from cdk_data_science.training import REPORT
from tests.constructs import support
from tests.local.conftest import ACCOUNT, REGION, LocalAws, unique
from tests.local.jobs import archive, unpacked

IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/train:1"
RESULT = {
    "trained": {"model": "{% $states.result.ModelArtifacts.S3ModelArtifacts %}", "report": REPORT},
}


@dataclass(frozen=True)
class TrainingMachine:
    """What was made of a template, without CloudFormation: that is tested elsewhere."""

    aws: LocalAws
    bucket: str
    arn: str
    role: str
    prefix: str

    @classmethod
    def of(
        cls, aws: LocalAws, script: str, *, first_try_seconds: int | None = None, **options: Any
    ) -> TrainingMachine:
        """The machine for a script, with these options of SpotTraining.

        The first of several tries may be given less time than the options say: it is to run out of it, and
        the others are not, however busy the machine is.
        """
        bucket, prefix = aws.bucket(), unique("t")[:14]
        aws.client("s3").put_object(Bucket=bucket, Key="source.tar.gz", Body=archive({"train.py": script}))
        template = _template(bucket, prefix, options)
        roles = {key: _role(aws, role) for key, role in _of_type(template, "AWS::IAM::Role").items()}
        _attach(aws, template, roles)
        (machine,) = _of_type(template, "AWS::StepFunctions::StateMachine").values()
        definition = json.loads(_text(machine["Properties"]["DefinitionString"], roles))
        definition["States"]["Train: look again later"]["Seconds"] = 1
        if first_try_seconds is not None:
            arguments = definition["States"]["Train"]["Arguments"]
            given = arguments["StoppingCondition"]
            less = dict.fromkeys(given, first_try_seconds)
            arguments["StoppingCondition"] = (
                f"{{% $capacityTries > 0 ? {json.dumps(given)} : {json.dumps(less)} %}}"
            )
        role = _text(machine["Properties"]["RoleArn"], roles)
        made = aws.client("stepfunctions").create_state_machine(
            name=unique("machine"), roleArn=role, definition=json.dumps(definition)
        )
        return cls(aws, bucket, made["stateMachineArn"], role, prefix)

    def start(self) -> str:
        """Start a run; its ARN."""
        states = self.aws.client("stepfunctions")
        return str(states.start_execution(stateMachineArn=self.arn)["executionArn"])

    def jobs(self) -> list[dict[str, Any]]:
        """The jobs of its runs, the first one first."""
        sagemaker = self.aws.client("sagemaker")
        found = sagemaker.list_training_jobs(
            NameContains=f"{self.prefix}--", SortBy="CreationTime", SortOrder="Ascending"
        )["TrainingJobSummaries"]
        return [
            sagemaker.describe_training_job(TrainingJobName=summary["TrainingJobName"]) for summary in found
        ]

    def log(self) -> list[str]:
        """What its jobs have written so far."""
        logs, group = self.aws.client("logs"), {"logGroupName": "/aws/sagemaker/TrainingJobs"}
        try:
            streams = logs.describe_log_streams(**group, logStreamNamePrefix=f"{self.prefix}--")
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [
            event["message"]
            for stream in streams["logStreams"]
            for event in logs.get_log_events(
                **group, logStreamName=stream["logStreamName"], startFromHead=True
            )["events"]
        ]

    def model(self, uri: str) -> Any:
        """What a job left as `model.json`."""
        key = uri.removeprefix(f"s3://{self.bucket}/")
        archived = self.aws.client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return json.loads(unpacked(archived)["model.json"])

    def states_of(self, execution: str) -> list[str]:
        """The names of the states that a run entered, in order."""
        pages = self.aws.client("stepfunctions").get_paginator("get_execution_history")
        return [
            event["stateEnteredEventDetails"]["name"]
            for page in pages.paginate(executionArn=execution)
            for event in page["events"]
            if "stateEnteredEventDetails" in event
        ]


def _template(bucket: str, prefix: str, options: dict[str, Any]) -> dict[str, Any]:
    stack = support.stack(env=support.environment(ACCOUNT, REGION))
    zone = Zone.from_attributes(
        stack,
        "Zone",
        ZoneAttributes(
            name="models", bucket_arn=f"arn:aws:s3:::{bucket}", database_name="models", lake_formation=False
        ),
    )
    defaults: dict[str, Any] = {
        "image": IMAGE,
        "source": SourceCode(zone=zone, key="source.tar.gz", entry_point="train.py"),
        "checkpoints": zone,
        "output": zone,
        "max_runtime": cdk.Duration.hours(1),
        "max_wait": cdk.Duration.hours(1),
        "job_name_prefix": prefix,
    }
    training = SpotTraining(stack, "Training", **{**defaults, **options})
    step = training.step(stack, "Train", channels=[], assign=RESULT)
    done = sfn.Succeed.jsonata(stack, "Done", outputs="{% $trained %}")
    sfn.StateMachine(
        stack,
        "Machine",
        definition_body=sfn.DefinitionBody.from_chainable(sfn.Chain.start(step).next(done)),
        query_language=sfn.QueryLanguage.JSONATA,
    )
    document: dict[str, Any] = support.document(stack)
    return document


def _of_type(template: dict[str, Any], kind: str) -> dict[str, Any]:
    return {key: each for key, each in template["Resources"].items() if each["Type"] == kind}


def _role(aws: LocalAws, role: dict[str, Any]) -> str:
    """A role that the same service may take, without permissions yet."""
    (trust,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    return aws.role(_text(trust["Principal"]["Service"], {}).partition(".")[0])


def _attach(aws: LocalAws, template: dict[str, Any], roles: dict[str, str]) -> None:
    """Give the roles the permissions that the template gives them, and no more."""
    for key, policy in _of_type(template, "AWS::IAM::Policy").items():
        document = _resolved(policy["Properties"]["PolicyDocument"], roles)
        for role in policy["Properties"]["Roles"]:
            aws.client("iam").put_role_policy(
                RoleName=roles[role["Ref"]].rpartition("/")[2],
                PolicyName=key,
                PolicyDocument=json.dumps(document),
            )


def _resolved(value: Any, roles: dict[str, str]) -> Any:
    if isinstance(value, list):
        return [_resolved(each, roles) for each in value]
    if isinstance(value, dict) and not any(name == "Ref" or name.startswith("Fn::") for name in value):
        return {name: _resolved(each, roles) for name, each in value.items()}
    return _text(value, roles)


def _text(value: Any, roles: dict[str, str]) -> str:
    """A value of a template as CloudFormation would resolve it."""
    if isinstance(value, str):
        return value
    ((function, argument),) = value.items()
    if function == "Fn::Join":
        return str(argument[0]).join(_text(part, roles) for part in argument[1])
    if function == "Ref":
        return {"AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com"}[argument]
    return roles[argument[0]]
