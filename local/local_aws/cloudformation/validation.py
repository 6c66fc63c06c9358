"""Every resource of a template is checked against its schema before anything of the stack is created.

A violation fails the operation as AWS does: an event of the resource that names the property and what is
allowed, then the rollback of the stack, which has nothing to roll back. Values that only another resource
will tell (``Ref``, ``Fn::GetAtt``) fit everywhere.
"""

from __future__ import annotations

import contextvars
from typing import Any

from local_aws.cloudformation import schemas
from local_aws.cloudformation.properties import UNKNOWN, problems

_WAITING = {"Fn::GetStackOutput", "Fn::ImportValue", "Fn::Transform"}
_found: contextvars.ContextVar[tuple[tuple[str, ...], ...]] = contextvars.ContextVar(
    "local_aws_violations", default=()
)


def install() -> None:
    from ministack.services.cloudformation import stacks

    fail, errors, event = stacks._fail_property_validation, stacks._validation_errors, stacks._add_event

    def errors_with_ours(*args: Any, **kwargs: Any) -> Any:
        return [*errors(*args, **kwargs), *_found.get()]

    def fail_where_violated(
        stack: dict[str, Any],
        stack_id: str,
        stack_name: str,
        resources_defs: dict[str, Any],
        ordered: list[str],
        param_values: dict[str, Any],
        conditions: dict[str, Any],
        mappings: dict[str, Any],
        disable_rollback: bool,
        previous_stack: Any = None,
    ) -> Any:
        template = _Template(stacks, resources_defs, param_values, conditions, mappings, stack_name, stack_id)
        violations = [
            (logical_id, kind, found)
            for logical_id in ordered
            if (kind := template.type_of(logical_id)) and (found := template.violations(logical_id))
        ]
        status = "CREATE_FAILED" if previous_stack is None else "UPDATE_FAILED"
        for logical_id, kind, found in violations:
            event(stack_id, stack_name, logical_id, kind, status, _reason(logical_id, found))
        token = _found.set(
            tuple(
                (logical_id, kind, "PROPERTY_VALIDATION", f"/Resources/{logical_id}/Properties", text)
                for logical_id, kind, found in violations
                for text in found
            )
        )
        try:
            return fail(
                stack, stack_id, stack_name, resources_defs, ordered, param_values, conditions, mappings,
                disable_rollback, previous_stack=previous_stack,
            )  # fmt: skip
        finally:
            _found.reset(token)

    stacks._validation_errors = errors_with_ours
    stacks._fail_property_validation = fail_where_violated


def _reason(logical_id: str, found: list[str]) -> str:
    return f"Properties validation failed for resource {logical_id} with message: [{', '.join(found)}]"


class _Template:
    """The resources of one operation, with what is known of their values before it begins."""

    def __init__(
        self,
        stacks: Any,
        resources: dict[str, Any],
        parameters: dict[str, Any],
        conditions: dict[str, Any],
        mappings: dict[str, Any],
        stack_name: str,
        stack_id: str,
    ) -> None:
        self._stacks = stacks
        self._resources = resources
        self._conditions = conditions
        self._arguments = (parameters, conditions, mappings, stack_name, stack_id)

    def type_of(self, logical_id: str) -> str | None:
        """The type of a resource that will be created; None where its condition is false."""
        resource = self._resources[logical_id]
        condition = resource.get("Condition")
        if condition and not self._conditions.get(condition, True):
            return None
        return str(resource.get("Type", ""))

    def violations(self, logical_id: str) -> list[str]:
        resource = self._resources[logical_id]
        schema = schemas.of(resource.get("Type", ""))
        if schema is None:
            return []
        properties = self._known(resource.get("Properties") or {})
        return problems(properties, schema) if isinstance(properties, dict) else []

    def _known(self, value: Any) -> Any:
        """The value with everything resolved that does not wait for a resource; UNKNOWN for what does."""
        if isinstance(value, str):
            return UNKNOWN if "{{resolve:" in value else value
        if isinstance(value, list):
            items = [self._known(item) for item in value]
            return [item for item in items if item is not self._stacks._NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1 and _is_function(next(iter(value))):
            return self._function(value)
        members = {name: self._known(item) for name, item in value.items()}
        return {name: item for name, item in members.items() if item is not self._stacks._NO_VALUE}

    def _function(self, value: dict[str, Any]) -> Any:
        ((name, argument),) = value.items()
        if name == "Fn::If" and isinstance(argument, list) and len(argument) == 3:
            return self._known(argument[1 if self._conditions.get(argument[0]) else 2])
        if self._waits(value):
            return UNKNOWN
        try:
            resolved = self._stacks._resolve_refs(value, {}, *self._arguments)
        except Exception:  # noqa: BLE001 - what cannot be resolved fails where it is used, with its own reason
            return UNKNOWN
        return self._known(resolved) if resolved is not self._stacks._NO_VALUE else resolved

    def _waits(self, value: Any) -> bool:
        """Whether a value refers to a resource, or to what only the deployment knows."""
        if isinstance(value, dict) and _WAITING & value.keys():
            return True
        names = {name for name, _ in self._stacks._intrinsic_references(value)}
        if any(name in self._resources for name in names):
            return True
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return any(self._waits(item) for item in inner)


def _is_function(name: str) -> bool:
    return name == "Ref" or name.startswith("Fn::")
