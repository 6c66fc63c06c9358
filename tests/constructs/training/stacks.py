"""A training in a stack, and what its template says."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_stepfunctions as sfn

from cdk_data_science import DataLake, SpotTraining
from cdk_data_science.training import Channel
from tests.constructs import machines

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"


def training(stack: cdk.Stack, lake: DataLake | None = None, **options: Any) -> SpotTraining:
    """A training with only what it must be told, and these options."""
    lake = lake if lake is not None else DataLake(stack, "Lake", zones=["models"])
    defaults: dict[str, Any] = {
        "image": IMAGE,
        "checkpoints": lake.models,
        "output": lake.models,
        "max_runtime": cdk.Duration.hours(1),
        "max_wait": cdk.Duration.hours(2),
    }
    return SpotTraining(stack, "Training", **{**defaults, **options})


def run(stack: cdk.Stack, spot: SpotTraining, **options: Any) -> None:
    """A state machine that runs its job."""
    step = spot.step(stack, "Train", channels=[Channel(name="train", uri="s3://lake/train/")], **options)
    sfn.StateMachine(
        stack,
        "Machine",
        definition_body=sfn.DefinitionBody.from_chainable(step),
        query_language=sfn.QueryLanguage.JSONATA,
    )


def states(stack: cdk.Stack) -> dict[str, Any]:
    """The states of that machine."""
    found: dict[str, Any] = machines.definition(stack)["States"]
    return found


def job(stack: cdk.Stack) -> dict[str, Any]:
    """What its machine sends to `CreateTrainingJob`."""
    arguments: dict[str, Any] = states(stack)["Train"]["Arguments"]
    return arguments
