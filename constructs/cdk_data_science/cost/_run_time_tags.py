"""Tags of what a state machine makes at run time, read from its definition."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_MACHINE = "AWS::StepFunctions::StateMachine"
_UNKNOWN = "<token>"
# Tasks that make what costs money and takes tags. A version in a model group takes none.
_MAKING = re.compile(
    r"(?:aws-sdk:)?(?:sagemaker:create(?:AutoMLJobV2|Endpoint|EndpointConfig|HyperParameterTuningJob|Model|"
    r"NotebookInstance|ProcessingJob|TrainingJob|TransformJob)|"
    r"batch:submitJob|fsx:createFileSystem)(?:\.sync(?::\d)?)?$"
)


def tags_of_tasks(resource: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and tags of each task of a state machine that makes something taggable.

    Tags that an expression gives at run time are not known, and such a task is left out.
    """
    if resource["Type"] != _MACHINE:
        return
    properties = resource.get("Properties", {})
    definition = properties.get("Definition") or _parsed(properties.get("DefinitionString"))
    for name, state in _states(definition):
        if _MAKING.search(str(state.get("Resource", ""))) is None:
            continue
        arguments = state.get("Arguments", state.get("Parameters", {}))
        tags = arguments.get("Tags", {}) if isinstance(arguments, dict) else None
        if isinstance(tags, list) and "Tags.$" not in arguments:
            tags = {str(tag.get("Key")): tag.get("Value") for tag in tags if isinstance(tag, dict)}
        if isinstance(tags, dict) and "Tags.$" not in arguments:
            yield name, tags


def _parsed(definition: Any) -> Any:
    """A definition as CDK writes it: text, or text joined with what only the deployment knows."""
    if isinstance(definition, dict):
        parts = definition.get("Fn::Join", ["", []])[1]
        definition = "".join(part if isinstance(part, str) else _UNKNOWN for part in parts)
    try:
        return json.loads(definition or "{}")
    except ValueError:
        return {}


def _states(definition: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """All states, those of branches and maps too."""
    if not isinstance(definition, dict):
        return
    for name, state in definition.get("States", {}).items():
        yield name, state
        for inner in (*state.get("Branches", ()), state.get("ItemProcessor"), state.get("Iterator")):
            yield from _states(inner)
