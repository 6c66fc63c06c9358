"""The state machines of an app: their states, what each task calls, and where errors go."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cdk_data_science.security.checks.intrinsics import UNKNOWN
from cdk_data_science.security.checks.templates import Resource, as_list, walk

MACHINE = "AWS::StepFunctions::StateMachine"
_INTEGRATION = re.compile(
    r"arn:.+?:states:::(?P<sdk>aws-sdk:)?(?P<service>[^:]+):(?P<call>[^.]+)(?P<pattern>\..+)?"
)


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
    def service(self) -> str:
        """The service that a task calls: ``lambda``, ``sagemaker``, …; empty if it is not known."""
        return self._parsed("service").lower()

    @property
    def call(self) -> str:
        """The call of the service: ``createTrainingJob``. A function's ARN stands for ``invoke``."""
        return self._parsed("call")

    @property
    def pattern(self) -> str:
        """How it waits: nothing, ``.sync``, ``.sync:2`` or ``.waitForTaskToken``."""
        return self._parsed("pattern")

    @property
    def arguments(self) -> dict[str, Any]:
        found = self.document.get("Arguments", self.document.get("Parameters", {}))
        return found if isinstance(found, dict) else {}

    def argument(self, name: str) -> Any:
        """An argument, whether it is written in JSONata or in JSONPath; None if there is none."""
        found = self.arguments.get(name)
        if found is None:
            return UNKNOWN if f"{name}.$" in self.arguments else None
        return UNKNOWN if isinstance(found, str) and found.startswith("{%") else found

    def _parsed(self, group: str) -> str:
        resource = str(self.document.get("Resource", ""))
        found = _INTEGRATION.fullmatch(resource)
        if found is None:
            is_function = self.is_task and ":activity:" not in resource
            return {"service": "lambda", "call": "invoke"}.get(group, "") if is_function else ""
        return found[group] or ""


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
                state.siblings[name].get("End") or state.siblings[name].get("Type") == "Succeed"
                for name in reach(state.siblings, state.name, follow_catch=False)
            )
        }


def machine(resource: Resource) -> Machine | None:
    """A state machine's definition, or None if it is not in the template or cannot be read."""
    definition = resource.get("Definition")
    if not isinstance(definition, dict):
        text = resource.get("DefinitionString")
        substitutions = resource.get("DefinitionSubstitutions")
        if not isinstance(text, str):
            return None
        for name, value in substitutions.items() if isinstance(substitutions, dict) else ():
            text = text.replace(f"${{{name}}}", str(value))
        try:
            definition = json.loads(text)
        except json.JSONDecodeError:
            return None
    return Machine(resource, definition) if isinstance(definition, dict) else None


def errors(rules: Any) -> set[str]:
    """The error names of a `Retry` or a `Catch`."""
    return {
        str(name)
        for rule in as_list(rules)
        if isinstance(rule, dict)
        for name in as_list(rule.get("ErrorEquals"))
    }


def reach(siblings: dict[str, dict[str, Any]], start: str, *, follow_catch: bool = True) -> set[str]:
    """Every state that can come after ``start``, itself included."""
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in reached and name in siblings:
            reached.add(name)
            waiting += _successors(siblings[name], follow_catch=follow_catch)
    return reached


def _states(definition: dict[str, Any]) -> Iterator[State]:
    for part in walk(definition):
        if isinstance(part, dict) and isinstance(part.get("States"), dict) and "StartAt" in part:
            for name, state in part["States"].items():
                if isinstance(state, dict):
                    yield State(str(name), state, part["States"])


def _successors(state: dict[str, Any], *, follow_catch: bool) -> list[str]:
    found = [state["Next"]] if "Next" in state else []
    found += [choice["Next"] for choice in as_list(state.get("Choices")) if "Next" in choice]
    found += [state["Default"]] if "Default" in state else []
    if follow_catch:
        found += [rule["Next"] for rule in as_list(state.get("Catch")) if "Next" in rule]
    return found
