"""Train a model on Spot capacity."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science._validation import Problems
from cdk_data_science.pipelines.outputs import ARTIFACT, TRAIN, TRAINING_JOB, Output
from cdk_data_science.pipelines.step import Location, States, Step, StepContext
from cdk_data_science.training import REPORT, Channel, SpotTraining


class Train(Step):
    """Runs a training job on the training rows, and again from its checkpoint when there was no capacity.

    Args:
        training: How the model is trained.
        channel: Name of the channel in which the container finds the rows.
        further_channels: Inputs beside the rows, the same in every run: a pretrained model, a folder of a
            file system. Grant the training's role to read them.
    """

    name = "Train"

    def __init__(
        self, training: SpotTraining, *, channel: str = "train", further_channels: Sequence[Channel] = ()
    ) -> None:
        self._training = checked(self.name, training)
        self._channel, self._further_channels = channel, further_channels

    @property
    def needs(self) -> Sequence[Output]:
        """The training rows."""
        return (TRAIN,)

    @property
    def gives(self) -> Sequence[Output]:
        """The archive and the job."""
        return (ARTIFACT, TRAINING_JOB)

    @property
    def longest(self) -> Duration:
        """The limits of all tries, and the waits between."""
        return self._training.longest

    @property
    def events(self) -> int:
        """The events of all tries, and what is around them."""
        return self._training.history_events + super().events

    def acknowledge(self, role: iam.IRole) -> None:
        """Jobs are named at run time."""
        self._training.acknowledge_job_names(role)

    def states(self, scope: Construct, context: StepContext) -> States:
        """Make the training states."""
        training = self._training
        context.grant_read(training.role, TRAIN)
        context.place(ARTIFACT, Location(training.output, training.output_prefix))
        step = context.train(
            scope,
            self.name,
            training=training,
            channels=[train_rows(self._channel), *self._further_channels],
            assign={
                ARTIFACT.name: {"uri": "{% $states.result.ModelArtifacts.S3ModelArtifacts %}"},
                TRAINING_JOB.name: REPORT,
            },
        )
        return States(step.start_state, step.end_states)


def checked(step: str, training: SpotTraining) -> SpotTraining:
    """The training of a step; a job or a task in its place is refused."""
    problems = Problems(step)
    problems.check_kind("training", training, SpotTraining, write='SpotTraining(self, "Training", ...)')
    problems.raise_if_any()
    return training


def train_rows(channel: str) -> Channel:
    """The training rows of a run as an input of jobs."""
    return Channel(
        name=channel,
        uri=f"{{% 's3://' & {TRAIN.variable}.bucket & '/' & {TRAIN.variable}.key %}}",
        content_type="text/csv",
    )
