"""Take the model out of the training job's archive into the lake."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration
from constructs import Construct

from cdk_data_science._validation import FOLDER, Problems, is_token
from cdk_data_science.data_lake import IZone
from cdk_data_science.pipelines.outputs import ARTIFACT, MANIFEST, MODEL, SHA256, Output
from cdk_data_science.pipelines.step import RUN, Location, States, Step, StepContext, allow_existence_checks


class PackageModel(Step):
    """Checks the archive that training left and stores the model under the hash of its bytes.

    Args:
        models: Zone of the models.
        prefix: Folder in the zone, ending in a slash; that of the function which will serve them.
    """

    name = "Package"

    def __init__(self, models: IZone, *, prefix: str = "models/") -> None:
        self._models = models
        self._prefix = prefix

    @property
    def needs(self) -> Sequence[Output]:
        """The training job's archive."""
        return (ARTIFACT,)

    @property
    def gives(self) -> Sequence[Output]:
        """The model, its hash and its description."""
        return (MODEL, SHA256, MANIFEST)

    def check(self, problems: Problems) -> None:
        """Check the prefix."""
        problems.check(
            is_token(self._prefix) or FOLDER.fullmatch(self._prefix) is not None,
            given=f"PackageModel(prefix={self._prefix!r})",
            allowed="a folder of the zone: no slash at the start, one at the end",
            write='prefix="models/"',
        )

    def states(self, scope: Construct, context: StepContext) -> States:
        """Make the function and its task."""
        function = context.function(
            scope,
            "Function",
            handler="package.handler",
            description="Takes the model out of the training job's archive",
            memory_size=1024,
            timeout=Duration.minutes(10),
            ephemeral_storage_mib=1024,
        )
        context.grant_read(function.role, ARTIFACT)
        self._models.grant_read_write(function.role, self._prefix)
        allow_existence_checks(function.role, self._models)
        for output in (MODEL, MANIFEST):
            context.place(output, Location(self._models, self._prefix))
        task = context.invoke(
            scope,
            self.name,
            function=function,
            payload={
                "run": RUN,
                "artifact": ARTIFACT.expression,
                "output": {"bucket": self._models.bucket.bucket_name, "key": self._prefix},
            },
            assign={output.name: f"{{% $states.result.Payload.{output.name} %}}" for output in self.gives},
        )
        return States(task, [task])
