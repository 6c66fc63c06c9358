"""Enter the model into the registry, with what it was made of."""

from __future__ import annotations

from collections.abc import Sequence

from cdk_data_science._validation import Problems, is_token
from cdk_data_science.pipelines.outputs import (
    DATA,
    EVALUATION,
    METRICS,
    MODEL,
    MODEL_PACKAGE,
    SHA256,
    TRAINING_JOB,
    Output,
)
from cdk_data_science.pipelines.registry import ModelRegistry
from cdk_data_science.pipelines.step import RUN, States, Step, StepContext
from constructs import Construct


class Register(Step):
    """Creates a version in a model package group, with its data, job and metrics; the same model only once.

    Args:
        registry: The group.
        image: Image that serves the model on SageMaker; none if it is served by a function only.
    """

    name = "Register"

    def __init__(self, registry: ModelRegistry, *, image: str | None = None) -> None:
        self._registry = registry
        self._image = image

    @property
    def needs(self) -> Sequence[Output]:
        """The model and what is known of it."""
        return (DATA, MODEL, SHA256, METRICS, EVALUATION, TRAINING_JOB)

    @property
    def gives(self) -> Sequence[Output]:
        """The version in the registry."""
        return (MODEL_PACKAGE,)

    def check(self, problems: Problems) -> None:
        """Check the image."""
        if self._image is not None and not is_token(self._image):
            problems.check(
                0 < len(self._image) <= 255,
                given=f"image of {len(self._image)} characters",
                allowed="the URI of an image, 1 to 255 characters, or None",
            )

    def states(self, scope: Construct, context: StepContext) -> States:
        """Make the function and its task."""
        function = context.function(
            scope,
            "Function",
            handler="register.handler",
            description="Enters the model into the registry",
        )
        self._registry.grant_register(function.role)
        payload = {
            "run": RUN,
            "group": self._registry.group_name,
            "model": MODEL.expression,
            "sha256": SHA256.expression,
            "metrics": METRICS.expression,
            "data": DATA.expression,
            "training_job": f"{{% {TRAINING_JOB.variable}.name %}}",
            "report": EVALUATION.expression,
        }
        if self._image is not None:
            payload["image"] = self._image
        task = context.invoke(
            scope,
            self.name,
            function=function,
            payload=payload,
            assign={MODEL_PACKAGE.name: "{% $states.result.Payload %}"},
        )
        return States(task, [task])
