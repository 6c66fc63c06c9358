"""The model card of a version: what it was made of and how good it is, in the form that SageMaker shows.

The shape is that of model cards (`AWS::SageMaker::ModelCard`) in lower case, of which a version's card has no
details of the package and of the overview the creator and the artifact alone. What only people know, such as
intended uses and risks, they add.

See https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-details.html
"""

from __future__ import annotations

from typing import Any

import objects
from events import RegisterEvent

_EVALUATED_ON = "held-out rows"
# Longest texts of a card, by what they are.
_TEXT, _NAME, _VALUE = 1024, 255, 255
_MOST_PARAMETERS = 100


def content(event: RegisterEvent) -> dict[str, Any]:
    """The card of the version that this event registers."""
    data = event["data"]
    trained_by = event.get("trained_by", {})
    job: dict[str, Any] = {"training_datasets": [_cut(objects.uri(data))]}
    if "arn" in trained_by:
        job["training_arn"] = trained_by["arn"]
    if "image" in trained_by:
        job["training_environment"] = {"container_image": [trained_by["image"]]}
    parameters = sorted(trained_by.get("parameters", {}).items())[:_MOST_PARAMETERS]
    if parameters:
        job["user_provided_hyper_parameters"] = [
            {"name": name[:_NAME], "value": str(value)[:_VALUE]} for name, value in parameters if value
        ]
    details = {
        "run": event["run"],
        "model_sha256": event["sha256"],
        "data_version": data.get("versionId") or "",
        "data_checksum": data.get("checksum") or "",
        "code": trained_by.get("source", ""),
        "trained_at": trained_by.get("started", ""),
    }
    return {
        "model_overview": {
            "model_creator": _cut(f"run {event['run']}"),
            "model_artifact": [_cut(objects.uri(event["model"]))],
        },
        "training_details": {"training_job_details": job},
        "evaluation_details": [_evaluation(event)],
        "additional_information": {
            "custom_details": {name: _cut(value) for name, value in details.items() if value}
        },
    }


def _evaluation(event: RegisterEvent) -> dict[str, Any]:
    numbers = {
        name: value
        for name, value in sorted(event["metrics"].items())
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    evaluation: dict[str, Any] = {
        "name": _EVALUATED_ON,
        "metric_groups": [
            {
                "name": _EVALUATED_ON,
                "metric_data": [
                    {"name": name, "type": "number", "value": value} for name, value in numbers.items()
                ],
            }
        ],
    }
    report = event.get("report")
    if report:
        evaluation["metadata"] = {"report": _cut(objects.uri(report))}
    return evaluation


def _cut(text: str) -> str:
    return text[:_TEXT]
