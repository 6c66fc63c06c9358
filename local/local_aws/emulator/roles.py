"""Who gives a role to a service must be allowed to pass it, and the role must trust that service.

Checked at the API (Lambda, Step Functions, EventBridge, Firehose; SageMaker checks its own requests) and for
what CloudFormation creates in its caller's name or in the role that the operation was given.
"""

from __future__ import annotations

import contextvars
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from local_aws import identity
from local_aws.emulator import trust


@dataclass(frozen=True, slots=True)
class Given:
    """A role in a request, and the service that will take it."""

    role: str
    service: str


class PassRoleDenied(Exception):
    """The caller may not pass the role."""


# Requests that give a role: by the service of the emulator, its operations and the service that takes it.
_TARGETS = {
    "states": {"CreateStateMachine": "states", "UpdateStateMachine": "states"},
    "events": {"PutTargets": "events", "PutRule": "events"},
    "firehose": {"CreateDeliveryStream": "firehose", "UpdateDestination": "firehose"},
}
_TYPES = {
    "AWS::Lambda::Function": "lambda",
    "AWS::StepFunctions::StateMachine": "states",
    "AWS::Events::Rule": "events",
    "AWS::KinesisFirehose::DeliveryStream": "firehose",
    "AWS::SageMaker::Model": "sagemaker",
}
_ROLE_MEMBERS = {"role", "rolearn", "executionrolearn"}
_REFUSALS = {
    "lambda": (
        "InvalidParameterValueException",
        "The role defined for the function cannot be assumed by Lambda.",
    ),
    "states": (
        "AccessDeniedException",
        (
            "Neither the global service principal states.amazonaws.com, nor the regional one is authorized "
            "to assume the provided role."
        ),
    ),
    "events": (
        "ValidationException",
        "Provided role '{role}' cannot be assumed by principal 'events.amazonaws.com'.",
    ),
    "firehose": (
        "InvalidArgumentException",
        "Firehose is unable to assume role {role}. Please check the role provided.",
    ),
    "sagemaker": (
        "ValidationException",
        (
            "Could not assume role {role}. Please ensure that the role exists and allows principal "
            "'sagemaker.amazonaws.com' to assume the role."
        ),
    ),
}
_stack_caller: contextvars.ContextVar[str | None] = contextvars.ContextVar(
    "local_aws_stack_caller", default=None
)
_stack_roles: dict[str, str] = {}


def install() -> None:
    from ministack import app

    for service in ("lambda", *_TARGETS):
        app.SERVICE_HANDLERS[service] = _checked(service, app.SERVICE_HANDLERS[service])
    app.SERVICE_HANDLERS["cloudformation"] = _remembering_the_caller(app.SERVICE_HANDLERS["cloudformation"])
    _check_stacks()


def check_pass(access_key: str, given: Given, region: str) -> None:
    """Raise PassRoleDenied where the owner of the key may not pass the role to the service."""
    from ministack.core.iam_evaluator import enforce

    denied = enforce(
        access_key,
        "iam:PassRole",
        given.service,
        region,
        resource_arn=given.role,
        service_context={"iam:PassedToService": f"{given.service}.amazonaws.com"},
    )
    if denied:
        who = getattr(denied, "principal_arn", "") or "The caller"
        message = f"User: {who} is not authorized to perform: iam:PassRole on resource: {given.role}"
        raise PassRoleDenied(message)


def refusal(error: trust.NotTrusted) -> tuple[str, str]:
    """The code and message with which the service refuses a role that does not trust it."""
    code, message = _REFUSALS[error.service]
    return code, message.format(role=error.role)


def _checked(service: str, handle: Any) -> Any:
    from ministack.core.responses import error_response_json
    from ministack.core.router import extract_access_key_id, extract_region

    async def handle_checked(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Any:
        for given in _in_request(service, method, path, headers, body):
            try:
                check_pass(extract_access_key_id(headers, query), given, extract_region(headers, query))
                trust.require(given.role, given.service)
            except PassRoleDenied as error:
                return error_response_json("AccessDeniedException", str(error), 403)
            except trust.NotTrusted as error:
                return error_response_json(*refusal(error), 400)
        return await handle(method, path, headers, body, query)

    return handle_checked


def _in_request(
    service: str, method: str, path: str, headers: dict[str, str], body: bytes
) -> Iterator[Given]:
    if service == "lambda":
        wanted = method in ("POST", "PUT") and path.rstrip("/").endswith(("/functions", "/configuration"))
        taker: str | None = "lambda" if wanted else None
    else:
        taker = _TARGETS[service].get(headers.get("x-amz-target", "").rpartition(".")[2])
    if taker is None:
        return
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return
    yield from (Given(role, taker) for role in sorted(set(_roles(request))))


def _roles(value: Any) -> Iterator[str]:
    """The roles in a request or in the properties of a resource; not those inside texts."""
    if isinstance(value, list):
        for item in value:
            yield from _roles(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name.lower() in _ROLE_MEMBERS and isinstance(item, str) and ":role/" in item:
                yield item
            elif isinstance(item, (dict, list)):
                yield from _roles(item)


def _remembering_the_caller(handle: Any) -> Any:
    """A stack's resources are created in the name of who started the operation, or in the role given."""
    from ministack.core.router import extract_access_key_id

    async def handle_remembering(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Any:
        form = {name: values[0] for name, values in parse_qs(body.decode(errors="replace")).items()}
        key: str = extract_access_key_id(headers, query)
        role = _role_of_operation(form)
        if role is not None:
            key = identity.role_credentials(role, "AWSCloudFormation")["AWS_ACCESS_KEY_ID"]
        token = _stack_caller.set(key)
        try:
            return await handle(method, path, headers, body, query)
        finally:
            _stack_caller.reset(token)

    return handle_remembering


def _role_of_operation(form: dict[str, str]) -> str | None:
    """The role that the operation was given, or an earlier one of the same stack: CloudFormation keeps it."""
    stack = form.get("StackName", "")
    names = [stack.split("/")[1] if stack.startswith("arn:") else stack, form.get("ChangeSetName", "")]
    given = form.get("RoleARN", "")
    if ":role/" in given:
        _stack_roles.update({name: given for name in names if name})
        return given
    return next((_stack_roles[name] for name in names if name in _stack_roles), None)


def _check_stacks() -> None:
    from ministack.services.cloudformation import stacks

    provision, update = stacks._provision_resource, stacks._update_resource

    def provision_checked(kind: str, logical_id: str, props: Any, stack_name: str) -> Any:
        _require_for_type(kind, props)
        return provision(kind, logical_id, props, stack_name)

    def update_checked(kind: str, physical_id: str, old: Any, new: Any, *more: Any) -> Any:
        if set(_roles(old)) != set(_roles(new)):
            _require_for_type(kind, new)
        return update(kind, physical_id, old, new, *more)

    stacks._provision_resource, stacks._update_resource = provision_checked, update_checked


def _require_for_type(kind: str, props: Any) -> None:
    from ministack.core.responses import get_region

    service, caller = _TYPES.get(kind), _stack_caller.get()
    if service is None:
        return
    for role in sorted(set(_roles(props))):
        if caller:
            check_pass(caller, Given(role, service), get_region())
        try:
            trust.require(role, service)
        except trust.NotTrusted as error:
            code, message = refusal(error)
            reason = f"{message} (Service: {service}, Status Code: 400, Error Code: {code})"
            raise ValueError(reason) from error
