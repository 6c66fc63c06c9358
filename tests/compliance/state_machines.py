"""Reads the state machines of the templates: their tasks, and the permissions that these need."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.compliance import sdk
from tests.compliance.templates import UNKNOWN, Platform, Resource, as_list, walk

_JSONATA = re.compile(r"\{%.*?%\}", re.DOTALL)
# A service integration of Step Functions: `sagemaker:createTrainingJob.sync`, `aws-sdk:sqs:getQueueUrl`.
_INTEGRATION = re.compile(
    r"arn:.+?:states:::(?P<sdk>aws-sdk:)?(?P<service>[^:]+):(?P<call>[^.]+)(?P<pattern>\..+)?"
)
# Where the name of a service in an integration is not botocore's.
_SERVICES = {
    "states": "stepfunctions",
    "sfn": "stepfunctions",
    "eventbridge": "events",
    "elasticmapreduce": "emr",
}

_LOG_DELIVERY = (
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
)
_TRACING = (
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
)
# The jobs that Step Functions waits for: as ARNs have them, and in the name of the rule that it manages.
_JOBS = {
    "TrainingJob": ("training-job", "TrainingJobs"),
    "ProcessingJob": ("processing-job", "ProcessingJobs"),
    "TransformJob": ("transform-job", "TransformJobs"),
    "HyperParameterTuningJob": ("hyper-parameter-tuning-job", "TuningJobs"),
}
_RULE_ACTIONS = ("events:PutTargets", "events:PutRule", "events:DescribeRule")


@dataclass(frozen=True)
class Need:
    """A permission: an action on a resource, which may hold `*` where it is known only at run time."""

    action: str
    resource: str
    why: str
    required: bool = True
    """Whether the state machine fails without it, or only may make use of it."""


@dataclass(frozen=True)
class State:
    """A state of a machine, with the states on its level, among which its `Next` is."""

    name: str
    document: dict[str, Any]
    siblings: dict[str, dict[str, Any]]

    @property
    def is_task(self) -> bool:
        return self.document.get("Type") == "Task"

    @property
    def integration(self) -> str:
        """`lambda:invoke`, `sagemaker:createTrainingJob.sync`, …"""
        return str(self.document.get("Resource", "")).partition(":states:::")[2]

    @property
    def arguments(self) -> dict[str, Any]:
        found = self.document.get("Arguments", self.document.get("Parameters", {}))
        return found if isinstance(found, dict) else {}

    def text(self, argument: str) -> str:
        """An argument's value, with a star for what is computed at run time."""
        value = self.arguments.get(argument)
        if not isinstance(value, str):
            return "*"
        return _JSONATA.sub(lambda found: _known_start(found.group()) + "*", value)


def _known_start(expression: str) -> str:
    """The text that an expression such as `{% 'failures/' & $run %}` begins with, whatever comes after it."""
    found = re.match(r"\{%\s*(['\"])(?P<text>[^'\"]*)\1\s*&", expression)
    return found["text"] if found else ""


@dataclass(frozen=True)
class Machine:
    """A state machine of the templates."""

    resource: Resource
    definition: dict[str, Any]

    def states(self) -> list[State]:
        return list(_states(self.definition))

    def tasks(self) -> list[State]:
        return [state for state in self.states() if state.is_task]

    def error_path(self) -> set[str]:
        """The states after which the execution can only fail."""
        return {
            state.name
            for state in self.states()
            if not any(
                state.siblings[name].get("End") or state.siblings[name]["Type"] == "Succeed"
                for name in _reach(state.siblings, state.name, follow_catch=False)
            )
        }


def machines(platform: Platform) -> list[Machine]:
    """Every state machine of the templates."""
    return [
        Machine(resource, _definition(platform, resource))
        for resource in platform.resources("AWS::StepFunctions::StateMachine")
    ]


def onward(siblings: dict[str, dict[str, Any]], start: str) -> set[str]:
    """Every state that can come after ``start``, itself included, whatever happens."""
    return _reach(siblings, start, follow_catch=True)


def errors(rules: list[dict[str, Any]] | None) -> set[str]:
    """The error names of a `Retry` or a `Catch`."""
    return {str(name) for rule in rules or () for name in as_list(rule.get("ErrorEquals"))}


def needs(platform: Platform, machine: Machine) -> list[Need]:
    """The permissions that a state machine's role needs to run its tasks, write its logs and its traces."""
    found: list[Need] = []
    for state in machine.states():
        if state.is_task:
            found += _task_needs(platform, machine, state)
        elif state.document.get("Type") == "Map" and "ItemReader" in state.document:
            found.append(Need("s3:GetObject", "*", f"{state.name} reads its items"))
    properties = machine.resource.properties
    logging = properties.get("LoggingConfiguration", {})
    if logging.get("Level", "OFF") != "OFF":
        found += [Need(action, "*", "logging") for action in _LOG_DELIVERY]
    if properties.get("TracingConfiguration", {}).get("Enabled"):
        found += [Need(action, "*", "tracing") for action in _TRACING]
    key = properties.get("EncryptionConfiguration", {}).get("KmsKeyId")
    if key is not None:
        text = platform.text(machine.resource.stack, key)
        found += [Need(action, text, "encryption") for action in ("kms:Decrypt", "kms:GenerateDataKey")]
    return found


def _task_needs(platform: Platform, machine: Machine, state: State) -> list[Need]:
    resource = str(state.document.get("Resource", ""))
    parsed = _INTEGRATION.fullmatch(resource)
    if parsed is None:
        if "activity" in resource:
            return []
        return [Need("lambda:InvokeFunction", resource, state.name)]
    service = _SERVICES.get(parsed["service"], parsed["service"])
    operation = parsed["call"][0].upper() + parsed["call"][1:]
    special = _SPECIAL.get((service, operation))
    if special is not None:
        return special(platform, machine, state, parsed["pattern"] or "")
    if parsed["pattern"] not in (None, ".waitForTaskToken"):
        raise sdk.UnknownCall(
            f"{state.name}: which permissions {state.integration} needs is not written down in "
            f"{__name__}; add it from the Step Functions developer guide"
        )
    passed = [Need("iam:PassRole", role, state.name) for role in _roles(state)] if parsed["sdk"] else []
    if service == "sagemaker" and operation.startswith("Create") and state.arguments.get("Tags"):
        passed.append(Need("sagemaker:AddTags", "*", f"{state.name} tags what it makes"))
    return [*(Need(action, "*", state.name) for action in sorted(sdk.actions(service, operation))), *passed]


def _invoke(platform: Platform, machine: Machine, state: State, pattern: str) -> list[Need]:
    return [Need("lambda:InvokeFunction", state.text("FunctionName"), state.name)]


def _publish(platform: Platform, machine: Machine, state: State, pattern: str) -> list[Need]:
    topic = state.text("TopicArn")
    return [Need("sns:Publish", topic, state.name), *_key_needs(platform, topic, "KmsMasterKeyId", state)]


def _send(platform: Platform, machine: Machine, state: State, pattern: str) -> list[Need]:
    queue = state.text("QueueUrl")
    target = platform.by_placeholder(queue)
    arn = f"<{target.resource.stack}/{target.resource.logical_id}.Arn>" if target else "*"
    return [Need("sqs:SendMessage", arn, state.name), *_key_needs(platform, arn, "KmsMasterKeyId", state)]


def _object(platform: Platform, machine: Machine, state: State, pattern: str) -> list[Need]:
    """One object of a bucket, and what reading and writing it needs of the bucket's key."""
    [action] = sdk.actions("s3", "PutObject" if state.integration.endswith("putObject") else "GetObject")
    found = platform.by_placeholder(state.text("Bucket"))
    if found is None:
        return [Need(action, "*", state.name)]
    bucket = found.resource
    arn = f"<{bucket.stack}/{bucket.logical_id}.Arn>"
    needs = [Need(action, f"{arn}/{state.text('Key')}", state.name)]
    for rule in walk(bucket.properties.get("BucketEncryption", {})):
        if isinstance(rule, dict) and "KMSMasterKeyID" in rule:
            key = platform.text(bucket.stack, rule["KMSMasterKeyID"])
            writes = action == "s3:PutObject"
            # An upload in parts is read again when the parts are joined.
            needs.append(Need("kms:Decrypt", key, state.name, required=not writes))
            needs += [Need("kms:GenerateDataKey", key, state.name)] if writes else []
    return needs


def _key_needs(platform: Platform, holder: str, property: str, state: State) -> list[Need]:
    """What a publisher needs of the key that encrypts the topic or the queue."""
    target = platform.by_placeholder(holder)
    if target is None or property not in target.resource.properties:
        return []
    key = platform.target(target.resource.stack, target.resource.properties[property])
    if key is None:
        return []
    text = f"<{key.stack}/{key.logical_id}.Arn>"
    return [Need(action, text, state.name) for action in ("kms:Decrypt", "kms:GenerateDataKey")]


def _job(platform: Platform, machine: Machine, state: State, pattern: str) -> list[Need]:
    """A job of SageMaker: https://docs.aws.amazon.com/step-functions/latest/dg/sagemaker-iam.html"""
    noun = state.integration.removeprefix("sagemaker:create").partition(".")[0]
    resource, rule = _JOBS[noun]
    job = f"arn:*:sagemaker:*:*:{resource}/{state.text(f'{noun}Name')}"
    found = [
        Need(f"sagemaker:Create{noun}", job, state.name),
        *(Need("iam:PassRole", each, state.name) for each in _roles(state)),
        # Step Functions' own policy for this integration has it.
        Need("sagemaker:ListTags", job, state.name, required=False),
    ]
    # Step Functions tags the jobs that it waits for, where it may.
    tagged = bool(state.arguments.get("Tags"))
    found.append(Need("sagemaker:AddTags", job, f"{state.name} tags its job", required=tagged))
    if pattern == ".sync":
        found += [
            Need(f"sagemaker:Describe{noun}", job, state.name),
            Need(f"sagemaker:Stop{noun}", job, state.name),
            *_managed_rule(f"StepFunctionsGetEventsForSageMaker{rule}Rule", state),
        ]
    return found


def _roles(state: State) -> list[str]:
    """The roles that a request gives to SageMaker; a transform job's is the model's own."""
    parts = [part for part in walk(state.arguments) if isinstance(part, dict) and "RoleArn" in part]
    return sorted({_JSONATA.sub("*", part["RoleArn"]) for part in parts})


def _execution(platform: Platform, machine: Machine, state: State, pattern: str) -> list[Need]:
    found = [Need("states:StartExecution", state.text("StateMachineArn"), state.name)]
    if pattern.startswith(".sync"):
        found += [
            Need("states:DescribeExecution", "*", state.name),
            Need("states:StopExecution", "*", state.name),
            *_managed_rule("StepFunctionsGetEventsForStepFunctionsExecutionRule", state),
        ]
    return found


def _executions(platform: Platform, machine: Machine, state: State, pattern: str) -> list[Need]:
    own = state.arguments.get("StateMachineArn") == "{% $states.context.StateMachine.Id %}"
    resource = machine.resource
    listed = platform.text(resource.stack, {"Ref": resource.logical_id}) if own else "*"
    return [Need("states:ListExecutions", listed, state.name)]


def _glue_job(platform: Platform, machine: Machine, state: State, pattern: str) -> list[Need]:
    more = ("glue:GetJobRun", "glue:GetJobRuns", "glue:BatchStopJobRun") if pattern == ".sync" else ()
    return [Need(action, "*", state.name) for action in ("glue:StartJobRun", *more)]


def _managed_rule(name: str, state: State) -> list[Need]:
    return [Need(action, f"arn:*:events:*:*:rule/{name}", state.name) for action in _RULE_ACTIONS]


_Rule = Callable[[Platform, Machine, State, str], list[Need]]
_SPECIAL: dict[tuple[str, str], _Rule] = {
    ("lambda", "Invoke"): _invoke,
    ("sns", "Publish"): _publish,
    ("sqs", "SendMessage"): _send,
    ("s3", "PutObject"): _object,
    ("s3", "GetObject"): _object,
    **{("sagemaker", f"Create{noun}"): _job for noun in _JOBS},
    ("stepfunctions", "StartExecution"): _execution,
    ("stepfunctions", "ListExecutions"): _executions,
    ("glue", "StartJobRun"): _glue_job,
}


def _definition(platform: Platform, resource: Resource) -> dict[str, Any]:
    properties = resource.properties
    if isinstance(properties.get("Definition"), dict):
        found: dict[str, Any] = properties["Definition"]
        return found
    text = platform.text(resource.stack, properties["DefinitionString"])
    for name, value in properties.get("DefinitionSubstitutions", {}).items():
        text = text.replace(f"${{{name}}}", platform.text(resource.stack, value))
    parsed: dict[str, Any] = json.loads(text.replace(UNKNOWN, "*"))
    return parsed


def _states(definition: dict[str, Any]) -> Iterator[State]:
    for part in walk(definition):
        if isinstance(part, dict) and isinstance(part.get("States"), dict) and "StartAt" in part:
            for name, state in part["States"].items():
                yield State(name, state, part["States"])


def _reach(states: dict[str, dict[str, Any]], start: str, *, follow_catch: bool) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += _successors(states[name], follow_catch=follow_catch)
    return reached


def _successors(state: dict[str, Any], *, follow_catch: bool) -> list[str]:
    found = [state["Next"]] if "Next" in state else []
    found += [choice["Next"] for choice in state.get("Choices", ())]
    found += [state["Default"]] if "Default" in state else []
    if follow_catch:
        found += [rule["Next"] for rule in state.get("Catch", ())]
    return found
