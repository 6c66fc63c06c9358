"""State machines: tasks that end, retry and are caught; roles that fit their tasks; logs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from cdk_data_science.security.checks import iam
from cdk_data_science.security.checks.expectations import arn, enabled, expect, resource
from cdk_data_science.security.checks.rule import (
    Example,
    Problem,
    Rule,
    Severity,
    control,
    guide,
)
from cdk_data_science.security.checks.state_machines import (
    MACHINE,
    Machine,
    State,
    errors,
    machine,
    reach,
)
from cdk_data_science.security.checks.templates import Resource

_RETRIED_TOO_MUCH = {"States.ALL", "States.TaskFailed", "States.Runtime", "Exception"}
# What Step Functions does with its role beside the calls of the tasks.
_OWN_SERVICES = {"logs", "xray", "kms", "states"}
# IAM's name for a service where the integration has another one.
_PREFIXES = {
    "sfn": "states", "stepfunctions": "states", "eventbridge": "events", "emr": "elasticmapreduce",
    "cloudwatchlogs": "logs", "efs": "elasticfilesystem", "sagemakerruntime": "sagemaker",
    "sagemakerfeaturestoreruntime": "sagemaker", "bedrockruntime": "bedrock", "rdsdata": "rds-data",
    "costexplorer": "ce", "http": "states", "apigateway": "execute-api",
}  # fmt: skip
# What calls of a service need of others: passing a role, waiting by an event rule, reading data.
_COMPANIONS = {
    "sagemaker": {"iam", "events", "s3"},
    "glue": {"iam", "events"},
    "athena": {"glue", "s3", "lakeformation"},
    "ecs": {"iam", "events"},
    "batch": {"events"},
    "codebuild": {"events"},
    "elasticmapreduce": {"iam", "events"},
    "states": {"events", "iam", "secretsmanager"},
    "databrew": {"events"},
    "execute-api": set(),
    "bedrock": {"iam", "s3", "events"},
    "lambda": {"iam"},
}
_LATER = (
    "createTrainingJob", "createTransformJob", "createProcessingJob", "createHyperParameterTuningJob",
    "startJobRun", "startQueryExecution", "submitJob", "runTask",
)  # fmt: skip
_ROLE = "arn:aws:iam::111122223333:role/pipeline"
_TASK: dict[str, Any] = {
    "Type": "Task",
    "Resource": "arn:aws:states:::lambda:invoke",
    "Arguments": {"FunctionName": "prepare"},
    "TimeoutSeconds": 60,
    "Retry": [{"ErrorEquals": ["Lambda.TooManyRequestsException"]}],
    "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Tell"}],
    "End": True,
}
_TELL: dict[str, Any] = {
    "Type": "Task",
    "Resource": "arn:aws:states:::sns:publish",
    "Arguments": {"TopicArn": "arn:aws:sns:::failed", "Message": "failed"},
    "TimeoutSeconds": 60,
    "Retry": [{"ErrorEquals": ["SNS.InternalErrorException"]}],
    "Next": "Failed",
}


def _example(states: dict[str, Any] | None = None, **changes: Any) -> Example:
    """A state machine whose task ``Work`` is changed, or with other states."""
    work = {key: value for key, value in (_TASK | changes).items() if value is not None}
    all_states = states or {"Work": work, "Tell": _TELL, "Failed": {"Type": "Fail"}}
    definition = {"StartAt": next(iter(all_states)), "QueryLanguage": "JSONata", "States": all_states}
    return {"Machine": _machine(definition)}


def _then(state: dict[str, Any], following: str | None) -> dict[str, Any]:
    """The state with another one after it, or as the last one."""
    rest = {key: value for key, value in state.items() if key not in ("Next", "End")}
    return rest | ({"End": True} if following is None else {"Next": following})


def _machine(definition: Any, role: Any = _ROLE, **properties: Any) -> dict[str, Any]:
    good = {
        "LoggingConfiguration": {
            "Level": "ERROR",
            "Destinations": [
                {
                    "CloudWatchLogsLogGroup": {
                        "LogGroupArn": "arn:aws:logs:eu-west-1:111122223333:log-group:p:*"
                    }
                }
            ],
        },
        "TracingConfiguration": {"Enabled": True},
    }
    return resource(MACHINE, RoleArn=role, DefinitionString=json.dumps(definition), **(good | properties))


def _with_role(*statements: dict[str, Any], managed: tuple[str, ...] = ()) -> Example:
    """A state machine that invokes a function and publishes to a topic, with a role of these permissions."""
    role = resource(
        "AWS::IAM::Role",
        AssumeRolePolicyDocument={
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": "sts:AssumeRole",
                    "Principal": {"Service": "states.amazonaws.com"},
                }
            ],
        },
        ManagedPolicyArns=list(managed),
    )
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    policy = resource("AWS::IAM::Policy", PolicyName="work", Roles=[{"Ref": "Role"}], PolicyDocument=document)
    states = {"Work": _TASK, "Tell": _TELL, "Failed": {"Type": "Fail"}}
    definition = {"StartAt": "Work", "QueryLanguage": "JSONata", "States": states}
    return {"Role": role, "Policy": policy, "Machine": _machine(definition, arn("Role"))}


def _allow(
    *actions: str, on: str = "arn:aws:lambda:eu-west-1:111122223333:function:prepare"
) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": on}


_MAY = (_allow("lambda:InvokeFunction"), _allow("sns:Publish", on="arn:aws:sns:::failed"))


def _task(task: State, what: str) -> Problem:
    return Problem(at="DefinitionString", detail=task.name, said=f"The task {task.name!r} {what}")


def _no_timeout(resource: Resource) -> Iterator[Problem]:
    if (found := machine(resource)) is not None:
        whole = "TimeoutSeconds" in found.definition
        for task in found.tasks():
            if not whole and not {"TimeoutSeconds", "TimeoutSecondsPath"} & set(task.document):
                yield _task(task, "has no timeout")


def _no_retry(resource: Resource) -> Iterator[Problem]:
    if (found := machine(resource)) is not None:
        for task in found.tasks():
            if not task.document.get("Retry"):
                yield _task(task, "has no Retry")


def _no_catch(resource: Resource) -> Iterator[Problem]:
    if (found := machine(resource)) is not None:
        failing = found.error_path()
        caught = {
            name
            for state in found.states()
            if state.document.get("Type") in ("Parallel", "Map") and _catches_all(state.document)
            for inner in _inside(state.document)
            for name in inner
        }
        for task in found.tasks():
            after = reach(task.siblings, task.name) - {task.name}
            last = task.name in failing and not any(
                task.siblings[name].get("Type") == "Task" for name in after
            )
            if not last and task.name not in caught and not _catches_all(task.document):
                yield _task(task, "has no Catch for all errors")


def _catches_all(state: dict[str, Any]) -> bool:
    return "States.ALL" in errors(state.get("Catch"))


def _inside(state: dict[str, Any]) -> Iterator[set[str]]:
    """The names of all states inside a parallel or a map state: its Catch takes their errors."""
    parts = [*state.get("Branches", ()), state.get("ItemProcessor"), state.get("Iterator")]
    for part in parts:
        states = part.get("States") if isinstance(part, dict) else None
        if isinstance(states, dict):
            yield set(states)
            for inner in states.values():
                yield from _inside(inner)


def _retries_everything(resource: Resource) -> Iterator[Problem]:
    if (found := machine(resource)) is not None:
        for task in found.tasks():
            for error in sorted(errors(task.document.get("Retry")) & _RETRIED_TOO_MUCH):
                yield _task(task, f"retries {error}")


def _does_not_wait(resource: Resource) -> Iterator[Problem]:
    if (found := machine(resource)) is not None:
        for task in found.tasks():
            optimized = ":aws-sdk:" not in str(task.document.get("Resource"))
            if optimized and task.call in _LATER and not task.pattern:
                yield _task(task, "starts a job and does not wait for it")


def _same_topic(resource: Resource) -> Iterator[Problem]:
    if (found := machine(resource)) is None:
        return
    failing = found.error_path()
    topics: dict[bool, set[str]] = {True: set(), False: set()}
    for task in found.tasks():
        topic = task.argument("TopicArn")
        if task.service == "sns" and isinstance(topic, str):
            topics[task.name in failing].add(topic)
    if topics[True] & topics[False]:
        yield Problem(at="DefinitionString")


def _role(resource: Resource) -> Resource | None:
    found = resource.templates.target(resource.get("RoleArn"))
    return found if found is not None and found.type == "AWS::IAM::Role" else None


def _wildcards(resource: Resource) -> Iterator[Problem]:
    role = _role(resource)
    if role is None:
        return
    for name in iam.full_access(role):
        yield Problem(at="RoleArn", detail=name, said=f"Its role {role.path} has {name}")
    for statement in iam.statements_of(role):
        for action in statement.actions if statement.allows else ():
            if action == "*" or action.endswith(":*"):
                yield Problem(at="RoleArn", detail=action, said=f"Its role {role.path} may {action}")


def _wider(resource: Resource) -> Iterator[Problem]:
    role, found = _role(resource), machine(resource)
    if role is None or found is None:
        return
    called = _called_services(found)
    granted = [s for s in iam.statements_of(role) if s.allows]
    services = {
        _service(action) for statement in granted for action in statement.actions if iam.known(action)
    }
    # A service that is called and not granted has a name in IAM that is not known here.
    if not called - {"states"} <= services | {"*"}:
        return
    needed = _OWN_SERVICES | called | {more for name in called for more in _COMPANIONS.get(name, ())}
    for service in sorted(services - needed - {"*"}):
        actions = sorted({a for s in granted for a in s.actions if _service(a) == service})
        said = f"Its role {role.path} may {', '.join(actions)}, and no task calls {service}"
        yield Problem(at="RoleArn", detail=service, said=said)


def _service(action: str) -> str:
    return action.partition(":")[0].lower()


def _called_services(found: Machine) -> set[str]:
    """The services that states call, by the names that IAM has for them."""
    called: set[str] = set()
    for state in found.states():
        if state.document.get("Type") == "Map" and {"ItemReader", "ResultWriter"} & set(state.document):
            called.add("s3")
        if state.is_task and state.service:
            called.add(_PREFIXES.get(state.service, state.service))
    return called


def _pass_role(resource: Resource) -> Iterator[Problem]:
    role = _role(resource)
    for statement in iam.statements_of(role) if role is not None else ():
        passes = any(action.lower() == "iam:passrole" for action in statement.actions)
        bound = statement.may_look_at("iam:passedtoservice")
        if statement.allows and passes and "*" in statement.resources and not bound:
            yield Problem(at="RoleArn")
            return


RULES = (
    Rule(
        id="DataScience-SFN1",
        title="Every task ends in time",
        fails="A task has no timeout",
        why="A call that never answers leaves the execution running for up to a year, and tells nobody.",
        fix="Set TimeoutSeconds on the task, or on the whole state machine",
        severity=Severity.ERROR,
        follows=(guide("step-functions/latest/dg/amazon-states-language-task-state"),),
        types=(MACHINE,),
        check=_no_timeout,
        compliant=_example(),
        noncompliant=_example(TimeoutSeconds=None),
    ),
    Rule(
        id="DataScience-SFN2",
        title="Every task retries what passes by itself",
        fails="A task has no Retry",
        why="Throttling and short service faults then fail the whole execution, hours of training included.",
        fix="Retry throttling and service errors; for calls that are not idempotent those alone that are "
        "refused before anything happens",
        severity=Severity.WARNING,
        follows=(
            guide("step-functions/latest/dg/bp-lambda-serviceexception"),
            guide("step-functions/latest/dg/amazon-states-language-task-state"),
        ),
        types=(MACHINE,),
        check=_no_retry,
        compliant=_example(),
        noncompliant=_example(Retry=None),
    ),
    Rule(
        id="DataScience-SFN3",
        title="Every task's errors are caught",
        fails="A task has no Catch for all errors",
        why="The execution ends where it failed: nothing is cleaned up, recorded or told.",
        fix="Catch States.ALL on the task, or on the parallel or map state around it, and end in a state "
        "that tells somebody and fails",
        severity=Severity.WARNING,
        follows=(guide("step-functions/latest/dg/amazon-states-language-task-state"),),
        types=(MACHINE,),
        check=_no_catch,
        compliant=_example(),
        noncompliant=_example(Catch=None),
    ),
    Rule(
        id="DataScience-SFN4",
        title="No task retries what no retry can mend",
        fails="A task retries every error",
        why="Bad data and missing permissions are tried again as well: it costs, and hides the message.",
        fix="Name the errors that pass by themselves",
        severity=Severity.INFO,
        follows=(guide("step-functions/latest/dg/bp-lambda-serviceexception"),),
        types=(MACHINE,),
        check=_retries_everything,
        compliant=_example(),
        noncompliant=_example(Retry=[{"ErrorEquals": ["States.ALL"]}]),
    ),
    Rule(
        id="DataScience-SFN5",
        title="A task waits for the job that it starts",
        fails="A task starts a job and does not wait for it",
        why="The execution succeeds while the job fails.",
        fix="Append .sync to the task's resource",
        severity=Severity.WARNING,
        follows=(guide("step-functions/latest/dg/connect-to-resource"),),
        types=(MACHINE,),
        check=_does_not_wait,
        compliant=_example(Resource="arn:aws:states:::glue:startJobRun.sync", Arguments={"JobName": "j"}),
        noncompliant=_example(Resource="arn:aws:states:::glue:startJobRun", Arguments={"JobName": "j"}),
    ),
    Rule(
        id="DataScience-SFN6",
        title="Successes and failures are told to different topics",
        fails="Successes and failures are told to the same topic",
        why="Whoever watches for failures is told of every success, or the topic was copied by mistake.",
        fix="Give failures a topic of their own",
        severity=Severity.WARNING,
        follows=(guide("step-functions/latest/dg/connect-sns"),),
        types=(MACHINE,),
        check=_same_topic,
        compliant=_example(),
        noncompliant=_example(
            {
                "Work": _then(_TASK, "Done"),
                "Done": _then(_TELL, None),
                "Tell": _TELL,
                "Failed": {"Type": "Fail"},
            }
        ),
    ),
    Rule(
        id="DataScience-SFN7",
        title="A state machine's role has no wildcard actions",
        fails="The role may do everything in a service",
        why="Whoever can change the definition can do all of it.",
        fix="Name the actions that the tasks call",
        severity=Severity.ERROR,
        follows=(control("IAM.21"),),
        types=(MACHINE,),
        check=_wildcards,
        compliant=_with_role(*_MAY),
        noncompliant=_with_role(*_MAY, _allow("sagemaker:*", on="*")),
    ),
    Rule(
        id="DataScience-SFN8",
        title="A state machine's role is no wider than its tasks",
        fails="The role may call a service that no task calls",
        why="Permissions that nothing uses are there for an attacker alone.",
        fix="Take the statement away, or let a role of its own do that work",
        severity=Severity.WARNING,
        follows=(guide("IAM/latest/UserGuide/IAMBestPractices"),),
        types=(MACHINE,),
        check=_wider,
        compliant=_with_role(*_MAY),
        noncompliant=_with_role(*_MAY, _allow("dynamodb:GetItem", on="*")),
    ),
    Rule(
        id="DataScience-SFN9",
        title="A state machine passes roles to the services it means",
        fails="The role may pass any role to any service",
        why="Whoever can change the definition can start a job with an administrator's role.",
        fix="Name the roles, and add a condition on iam:PassedToService",
        severity=Severity.ERROR,
        follows=(guide("IAM/latest/UserGuide/id_roles_use_passrole"),),
        types=(MACHINE,),
        check=_pass_role,
        compliant=_with_role(
            *_MAY,
            _allow("iam:PassRole", on="*")
            | {"Condition": {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}},
        ),
        noncompliant=_with_role(*_MAY, _allow("iam:PassRole", on="*")),
    ),
    Rule(
        id="DataScience-SFN10",
        title="A state machine writes a log",
        fails="The state machine writes no log",
        why="What an express execution did is told in its log alone, and a standard one is forgotten after "
        "90 days.",
        fix='Set LoggingConfiguration with Level "ERROR" or "ALL"',
        severity=Severity.WARNING,
        follows=(control("StepFunctions.1"), guide("step-functions/latest/dg/cw-logs")),
        types=(MACHINE,),
        check=expect("LoggingConfiguration.Level", lambda level: level != "OFF"),
        compliant=_example(),
        noncompliant={
            "Machine": _machine(
                {"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}, LoggingConfiguration={"Level": "OFF"}
            )
        },
    ),
    Rule(
        id="DataScience-SFN11",
        title="A state machine is traced",
        fails="The state machine is not traced",
        why="Where the time goes, across functions and services, is seen in a trace.",
        fix="Set TracingConfiguration.Enabled to true",
        severity=Severity.INFO,
        follows=(guide("step-functions/latest/dg/concepts-xray-tracing"),),
        types=(MACHINE,),
        check=enabled("TracingConfiguration.Enabled"),
        compliant=_example(),
        noncompliant={
            "Machine": _machine(
                {"StartAt": "A", "States": {"A": {"Type": "Succeed"}}},
                TracingConfiguration={"Enabled": False},
            )
        },
    ),
)
