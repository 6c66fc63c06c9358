"""State machines: tasks that end, retry and are caught; failures that are told; roles that fit."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from tests.compliance import iam, sdk, state_machines
from tests.compliance.templates import Platform, Resource, walk


def careless_tasks(platform: Platform, refusals: Iterable[str]) -> Iterator[str]:
    """Every task ends in time, retries what may pass, never what a person has to mend, and is caught.

    What runs last on the way to a failure (the notification) has nowhere left to be caught.
    """
    never_retried = {"States.ALL", "States.TaskFailed", "States.Runtime", "Exception", *refusals}
    for machine in state_machines.machines(platform):
        failing = machine.error_path()
        for task in machine.tasks():
            where = f"{machine.resource}: task {task.name!r}"
            if not {"TimeoutSeconds", "TimeoutSecondsPath"} & set(task.document):
                yield f"{where} has no timeout"
            if not task.document.get("Retry"):
                yield f"{where} has no Retry"
            for error in sorted(state_machines.errors(task.document.get("Retry")) & never_retried):
                yield f"{where} retries {error}, which no retry can mend"
            after = state_machines.onward(task.siblings, task.name) - {task.name}
            last = task.name in failing and not any(task.siblings[name]["Type"] == "Task" for name in after)
            if not last and "States.ALL" not in state_machines.errors(task.document.get("Catch")):
                yield f"{where} has no Catch for States.ALL"


def silent_failures(platform: Platform) -> Iterator[str]:
    """What is caught is told to somebody and ends the execution as failed."""
    for machine in state_machines.machines(platform):
        tells = {
            state.name
            for state in machine.tasks()
            if state.integration.startswith(("sns:publish", "events:putEvents"))
        }
        # Where telling itself fails, there is nobody left to tell.
        for task in (task for task in machine.tasks() if task.name not in tells & machine.error_path()):
            for rule in task.document.get("Catch", ()):
                after = state_machines.onward(task.siblings, rule["Next"])
                where = f"{machine.resource}: what task {task.name!r} catches"
                if not after & tells:
                    yield f"{where} is told to nobody"
                if not any(task.siblings[name]["Type"] == "Fail" for name in after):
                    yield f"{where} does not end in a failed execution"


def swapped_topics(platform: Platform) -> Iterator[str]:
    """The topic of successes is not the topic of failures."""
    for machine in state_machines.machines(platform):
        failing = machine.error_path()
        topics: dict[bool, set[str]] = {True: set(), False: set()}
        for task in machine.tasks():
            if task.integration.startswith("sns:publish"):
                topics[task.name in failing].add(task.text("TopicArn"))
        for topic in sorted(topics[True] & topics[False]):
            yield f"{machine.resource}: tells successes and failures to the same topic {topic}"


def missing_permissions(platform: Platform) -> Iterator[str]:
    """A state machine's role is sufficient for its tasks."""
    for machine in state_machines.machines(platform):
        granted = iam.statements_of(platform, _role(platform, machine.resource))
        for need in state_machines.needs(platform, machine):
            if need.required and not iam.allowed(granted, need.action, need.resource):
                yield f"{machine.resource}: {need.why} needs {need.action} on {need.resource}"


def unused_permissions(platform: Platform) -> Iterator[str]:
    """A state machine's role holds nothing that its tasks do not need."""
    for machine in state_machines.machines(platform):
        needs = state_machines.needs(platform, machine)
        for statement in iam.statements_of(platform, _role(platform, machine.resource)):
            for action, resource in itertools.product(statement.actions, statement.resources):
                used = any(
                    iam.overlap(action.lower(), need.action.lower()) and _covers(resource, need.resource)
                    for need in needs
                )
                if statement.allows and not used:
                    yield f"{statement.holder}: no task of {machine.resource} needs {action} on {resource}"


def _covers(pattern: str, resource: str) -> bool:
    # A grant to invoke a function names its versions too: `<stack/Function.Arn>:*`.
    return iam.overlap(pattern, resource) or iam.overlap(pattern.removesuffix(":*"), resource)


def _role(platform: Platform, machine: Resource) -> Resource:
    role = platform.target(machine.stack, machine.properties["RoleArn"])
    assert role is not None, f"{machine}: its role is not in the templates"
    return role


def encrypted_local_disks(platform: Platform, instances_with_nvme: Iterable[str]) -> Iterator[str]:
    """Jobs on instances with local NVMe name no key for their volume: the API refuses it."""
    local = set(instances_with_nvme)
    for machine in state_machines.machines(platform):
        clusters = [(task.name, part) for task in machine.tasks() for part in walk(task.arguments)]
        for name, cluster in clusters:
            if isinstance(cluster, dict) and "VolumeKmsKeyId" in cluster:
                instance = str(cluster.get("InstanceType", ""))
                if instance.removeprefix("ml.") in local:
                    yield f"{machine.resource}: {name!r} sets VolumeKmsKeyId on {instance}"


def unknown_calls(platform: Platform) -> Iterator[str]:
    """Tasks that call an API which botocore does not know."""
    for machine in state_machines.machines(platform):
        try:
            state_machines.needs(platform, machine)
        except sdk.UnknownCall as error:
            yield f"{machine.resource}: {error}"
