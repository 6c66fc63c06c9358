"""Enter the model into the registry, with what it was made of."""

from __future__ import annotations

from collections.abc import Sequence

from constructs import Construct

from cdk_data_science._validation import ConfigurationError, Problems, is_token
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
from cdk_data_science.pipelines.registry import IModelRegistry, ModelRegistry
from cdk_data_science.pipelines.step import RUN, States, Step, StepContext


class Register(Step):
    """Creates a version in a model package group, with its data, job and metrics; the same model only once.

    Args:
        registry: The group; a new one if not given.
        image: Image that serves the model on SageMaker; none if it is served by a function only.
        approved: Whether the pipeline's thresholds approve the model. If not, the version waits for a person
            (:class:`Approve`).
    """

    name = "Register"

    def __init__(
        self,
        registry: IModelRegistry | None = None,
        *,
        image: str | None = None,
        approved: bool = True,
    ) -> None:
        self._registry = registry
        self._image = image
        self._approved = approved

    @property
    def registry(self) -> IModelRegistry:
        """The group. A new one exists once the step is part of a pipeline."""
        if self._registry is None:
            raise ConfigurationError("Register: a new registry exists once the step is part of a pipeline")
        return self._registry

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
        if self._registry is None:
            self._registry = ModelRegistry(scope, "Registry")
        self._registry.grant_register(function.role)
        payload = {
            "run": RUN,
            "group": self._registry.group_name,
            "model": MODEL.expression,
            "sha256": SHA256.expression,
            "metrics": METRICS.expression,
            "data": DATA.expression,
            "training_job": f"{{% {TRAINING_JOB.variable}.name %}}",
            # What the job ran; without script mode there is no source.
            "trained_by": f"{{% $sift({TRAINING_JOB.variable}, function($v, $k) {{ "
            "$k in ['arn', 'image', 'parameters', 'source', 'started'] }) %}",
            "report": EVALUATION.expression,
            "approval": "Approved" if self._approved else "PendingManualApproval",
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
