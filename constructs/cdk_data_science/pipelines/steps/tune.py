"""Search for good hyperparameters, and go on with the best model."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge_wildcards
from cdk_data_science.pipelines.outputs import ARTIFACT, TRAIN, TRAINING_JOB, TUNING, Output
from cdk_data_science.pipelines.step import Location, States, Step, StepContext
from cdk_data_science.pipelines.steps.train import checked, train_rows
from cdk_data_science.training import (
    REPORT,
    TUNING_REPORT,
    Channel,
    Objective,
    RunName,
    Search,
    SpotTraining,
    TuningDefinition,
    TuningStep,
)
from cdk_data_science.training.jobs.tuning_values import Range
from cdk_data_science.training.kinds import TRAINING
from cdk_data_science.training.kinds import TUNING as TUNING_JOB


class Tune(Step):
    """Runs trials on the training rows with other hyperparameters each, in place of :class:`Train`: the best
    one's archive is what later steps get.

    Trials run as the training says: its role, image, program, Spot capacity and checkpoints, a folder for
    each run. The program has to tell checkpoints of other trials from its own, by their hyperparameters or
    by the job's name. Where SageMaker has no capacity, a trial waits for as long as ``max_wait``, and goes on
    on ``fallback_types``; the rounds of :class:`CapacityRetry` are those of single jobs.

    ```python
    import aws_cdk as cdk
    from cdk_data_science import DataLake, Pipeline, SourceCode, Split, SpotTraining
    from cdk_data_science.pipelines import PackageModel, Prepare, Tune
    from cdk_data_science.training import ContinuousRange, Objective, Search

    lake = DataLake(self, "Lake")
    training = SpotTraining(
        self,
        "Training",
        image="683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
        source=SourceCode(zone=lake.models, key="source/sourcedir.tar.gz", entry_point="train.py"),
        checkpoints=lake.models,
        output=lake.models,
        max_runtime=cdk.Duration.hours(1),
        max_wait=cdk.Duration.hours(2),
        metrics={"auroc": r"cv_auroc=([0-9.]+)"},
    )
    Pipeline(
        self,
        "Pipeline",
        data=lake.raw,
        prefix="reviews/",
        work=lake.features,
        steps=[
            Prepare(
                Split(
                    id_column="sentence_id",
                    group_column="review_id",
                    label_column="rating",
                    feature_columns=["text"],
                    positive_above=0,
                )
            ),
            Tune(
                training,
                objective=Objective("auroc"),
                ranges=[ContinuousRange("regularization", 0.1, 100, "Logarithmic")],
                search=Search(trials=8, parallel=2, max_runtime=cdk.Duration.hours(8)),
            ),
            PackageModel(lake.models),
        ],
    )
    ```

    Args:
        training: How each trial is trained.
        objective: The metric, one of the training's, that tells which is better.
        ranges: What is searched.
        search: Strategy, limits and end of the search.
        channel: Name of the channel in which the container finds the rows.
        further_channels: Inputs beside the rows, the same in every run, as for :class:`Train`.
        fallback_types: Up to five types that trials take when SageMaker has no capacity.
    """

    name = "Tune"

    def __init__(
        self,
        training: SpotTraining,
        *,
        objective: Objective,
        ranges: Sequence[Range],
        search: Search,
        channel: str = "train",
        further_channels: Sequence[Channel] = (),
        fallback_types: Sequence[str] = (),
    ) -> None:
        self._training = checked(self.name, training)
        self._objective, self._ranges, self._search = objective, ranges, search
        self._channel, self._further_channels = channel, further_channels
        self._fallback_types = fallback_types

    @property
    def needs(self) -> Sequence[Output]:
        """The training rows."""
        return (TRAIN,)

    @property
    def gives(self) -> Sequence[Output]:
        """The best trial's archive and job, and what the search found."""
        return (ARTIFACT, TRAINING_JOB, TUNING)

    @property
    def longest(self) -> Duration:
        """The search's own limit, and half an hour to be provided and to end."""
        return self._search.max_runtime.plus(Duration.minutes(30))

    @property
    def events(self) -> int:
        """Those of a job that is looked at."""
        return TuningStep.most_events()

    def acknowledge(self, role: iam.IRole) -> None:
        """Jobs are named at run time."""
        stack, pattern = Stack.of(role), self._training.job_names
        acknowledge_wildcards(
            role,
            role,
            [TUNING_JOB.arn(stack, pattern), TRAINING.arn(stack, pattern)],
            "Searches and their trials are named when they are created; the patterns hold those of one "
            "SpotTraining alone.",
        )

    def states(self, scope: Construct, context: StepContext) -> States:
        """Make the search's states."""
        training = self._training
        context.grant_read(training.role, TRAIN)
        context.place(ARTIFACT, Location(training.output, training.output_prefix))
        step = TuningStep(
            scope,
            self.name,
            definitions=[
                TuningDefinition(
                    job=training.job,
                    objective=self._objective,
                    ranges=self._ranges,
                    channels=[train_rows(self._channel), *self._further_channels],
                    output_uri=training.output_uri,
                    output_key=training.output.key,
                    checkpoint_uri=f"{{% '{training.checkpoints_uri}' & $run & '/' %}}",
                    fallback_types=self._fallback_types,
                )
            ],
            search=self._search,
            job_name=RunName(training.job_name_prefix),
            tags=training.job.tags,
            tags_of=training.role.node.default_child,
            on_failure=context.failure,
            assign={TUNING.name: TUNING_REPORT},
            assign_best={
                ARTIFACT.name: {"uri": "{% $states.result.ModelArtifacts.S3ModelArtifacts %}"},
                TRAINING_JOB.name: REPORT,
            },
        )
        return States(step.start_state, step.end_states)
