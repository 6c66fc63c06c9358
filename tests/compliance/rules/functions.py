"""Lambda functions: time limits, logs, and where failed invocations go."""

from __future__ import annotations

from collections.abc import Iterator

from tests.compliance.templates import Platform, Resource, walk

_ASYNCHRONOUS = ("AWS::Events::Rule", "AWS::SNS::Subscription", "AWS::Scheduler::Schedule", "AWS::S3::Bucket")


def careless_functions(platform: Platform) -> Iterator[str]:
    """Every function has a timeout, a log group with retention, and no wildcard in its variables."""
    for function in platform.resources("AWS::Lambda::Function"):
        if "Timeout" not in function.properties:
            yield f"{function}: has no timeout"
        variables = function.properties.get("Environment", {}).get("Variables", {})
        for name, value in variables.items():
            if "*" in platform.text(function.stack, value):
                yield f"{function}: the variable {name} holds a wildcard"
        group = _log_group(platform, function)
        if group is None:
            yield f"{function}: has no log group in the templates, so its logs are kept for ever"
        elif "RetentionInDays" not in group.properties:
            yield f"{function}: its log group {group} keeps logs for ever"


def lost_invocations(platform: Platform) -> Iterator[str]:
    """Asynchronous invocations that fail go to a dead-letter queue or an on-failure destination."""
    for caller in platform.resources(*_ASYNCHRONOUS):
        for function in _invoked_by(platform, caller):
            if "DeadLetterConfig" not in function.properties and not _has_failure_destination(
                platform, function
            ):
                yield f"{function}: is invoked by {caller} and what fails there is lost"


def lost_events(platform: Platform) -> Iterator[str]:
    """An event rule's targets have a dead-letter queue for what cannot be delivered."""
    for rule in platform.resources("AWS::Events::Rule"):
        for target in rule.properties.get("Targets", ()):
            if "DeadLetterConfig" not in target:
                yield f"{rule}: the target {target.get('Id')} has no dead-letter queue"


def _log_group(platform: Platform, function: Resource) -> Resource | None:
    named = function.properties.get("LoggingConfig", {}).get("LogGroup")
    if named is not None:
        return platform.target(function.stack, named)
    wanted = f"/aws/lambda/<{function.stack}/{function.logical_id}.Ref>"
    for group in platform.resources("AWS::Logs::LogGroup"):
        if platform.text(group.stack, group.properties.get("LogGroupName", "")) == wanted:
            return group
    return None


def _invoked_by(platform: Platform, caller: Resource) -> Iterator[Resource]:
    # A bucket tells functions through its notifications alone; its other properties name none.
    holder = (
        caller.properties.get("NotificationConfiguration", {}) if caller.type == "AWS::S3::Bucket" else None
    )
    for value in walk(caller.properties if holder is None else holder):
        target = platform.target(caller.stack, value) if isinstance(value, dict) else None
        if target is None:
            continue
        if target.type in ("AWS::Lambda::Alias", "AWS::Lambda::Version"):
            target = platform.target(target.stack, target.properties["FunctionName"])
        if target is not None and target.type == "AWS::Lambda::Function":
            yield target


def _has_failure_destination(platform: Platform, function: Resource) -> bool:
    return any(
        platform.target(config.stack, config.properties["FunctionName"]) == function
        and "OnFailure" in config.properties.get("DestinationConfig", {})
        for config in platform.resources("AWS::Lambda::EventInvokeConfig")
    )
