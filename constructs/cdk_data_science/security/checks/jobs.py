"""SageMaker jobs: what tasks of state machines and steps of SageMaker pipelines start."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cdk_data_science.security.checks.intrinsics import UNKNOWN, is_unknown
from cdk_data_science.security.checks.state_machines import MACHINE, machine
from cdk_data_science.security.checks.templates import Resource

PIPELINE = "AWS::SageMaker::Pipeline"
HOLDERS = (MACHINE, PIPELINE)

_CALLS = {
    "createtrainingjob": "training",
    "createprocessingjob": "processing",
    "createtransformjob": "transform",
    "createhyperparametertuningjob": "tuning",
}
_STEPS = {"Training": "training", "Processing": "processing", "Transform": "transform", "Tuning": "tuning"}
_CLUSTERS = {
    "training": "ResourceConfig",
    "tuning": "ResourceConfig",
    "processing": "ProcessingResources.ClusterConfig",
    "transform": "TransformResources",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A job as it is asked for; a tuning job is asked for by the training jobs that it starts."""

    name: str
    kind: str
    at: str
    request: dict[str, Any]

    def get(self, path: str) -> Any:
        """A value of the request; None if it is missing, unknown if it is computed at run time."""
        value: Any = self.request
        for name in path.split("."):
            if not isinstance(value, dict):
                return UNKNOWN if value is UNKNOWN or _computed(value) else None
            if name not in value:
                return UNKNOWN if f"{name}.$" in value else None
            value = value[name]
        return UNKNOWN if _computed(value) else value

    def cluster(self, name: str) -> Any:
        """A value of what the job runs on, such as ``InstanceType``."""
        return self.get(f"{_CLUSTERS[self.kind]}.{name}")

    def security(self, name: str) -> Any:
        """A value of its network: part of a group for processing jobs, on the top for others."""
        return self.get(f"NetworkConfig.{name}" if self.kind == "processing" else name)


def jobs(resource: Resource) -> Iterator[Job]:
    """The jobs that a state machine or a pipeline starts."""
    if resource.type == PIPELINE:
        yield from _pipeline(resource)
        return
    found = machine(resource)
    for task in found.tasks() if found is not None else ():
        kind = _CALLS.get(task.call.lower()) if task.service == "sagemaker" else None
        if kind is not None:
            yield from _job(task.name, kind, "DefinitionString", task.arguments)


def _pipeline(resource: Resource) -> Iterator[Job]:
    body = resource.get("PipelineDefinition.PipelineDefinitionBody")
    try:
        definition = json.loads(body) if isinstance(body, str) else {}
    except json.JSONDecodeError:
        return
    for step in definition.get("Steps", ()) if isinstance(definition, dict) else ():
        kind = _STEPS.get(step.get("Type"))
        if kind is not None and isinstance(step.get("Arguments"), dict):
            yield from _job(str(step.get("Name")), kind, "PipelineDefinition", step["Arguments"])


def _job(name: str, kind: str, at: str, request: dict[str, Any]) -> Iterator[Job]:
    if kind == "tuning":
        one = request.get("TrainingJobDefinition")
        many = request.get("TrainingJobDefinitions")
        for definition in (one, *(many if isinstance(many, list) else ())):
            if isinstance(definition, dict):
                yield Job(name=name, kind=kind, at=at, request=definition)
        return
    yield Job(name=name, kind=kind, at=at, request=request)


def _computed(value: Any) -> bool:
    """Whether a value is an expression of JSONata or of a pipeline, or only the deployment knows it."""
    if isinstance(value, dict):
        return set(value) in ({"Get"}, {"Std:Join"})
    return is_unknown(value) or (isinstance(value, str) and value.startswith("{%"))
