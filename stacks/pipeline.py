"""From new data to a deployed model, without a hand on it."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from constructs import Construct

from cdk_data_science import (
    AlertTopic,
    Canary,
    DataLake,
    ModelRegistry,
    PipelineOptions,
    QualityResults,
    QualityRules,
    ServerlessInference,
    Split,
    SpotTraining,
    TrainingPipeline,
)
from cdk_data_science.pipelines import IModelRegistry, ManualApproval, Train, Tune
from cdk_data_science.serving import CanaryGuard
from cdk_data_science.training import (
    CategoricalRange,
    Channel,
    ContinuousRange,
    IntegerRange,
    Objective,
    Search,
)
from settings.inference import Guard
from settings.model import Pipeline, Settings
from settings.tuning import Tuning, TuningRange
from stacks import checks
from stacks.files import FilesStack
from stacks.network import NetworkStack
from stacks.serving import architecture, python_runtime


class PipelineStack(cdk.Stack):
    """The training pipeline, started by new objects in the raw zone, and the model's registry group."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        pipeline: Pipeline,
        lake: DataLake,
        training: SpotTraining,
        files: FilesStack | None,
        inference: ServerlessInference,
        results: QualityResults | None,
        alerts: AlertTopic,
        network: NetworkStack | None,
        env: cdk.Environment,
    ) -> None:
        super().__init__(scope, id, env=env, description="Pipeline: gate, train, evaluate, register, deploy")
        channels = [] if files is None else files.channels(self, training.role)
        step = _training_step(training, pipeline.tuning, channels)
        group = f"{settings.platform.name}-{pipeline.model}"
        # The group outlives its stack, with its name: a stack that is deployed anew finds it there.
        self.registry: IModelRegistry = (
            ModelRegistry.from_group_name(self, "ImportedRegistry", group)
            if pipeline.import_registry
            else ModelRegistry(self, "Registry", group_name=group)
        )
        self.pipeline = TrainingPipeline(
            self,
            "Pipeline",
            data=lake.raw,
            prefix=pipeline.prefix,
            work=lake.features,
            models=lake.models,
            training=step,
            rules=QualityRules(pipeline.rules),
            split=Split(
                id_column=pipeline.id_column,
                group_column=pipeline.group_column,
                label_column=pipeline.label_column,
                feature_columns=pipeline.feature_columns,
                holdout=pipeline.holdout,
                label_names=pipeline.label_names,
                positive_above=pipeline.positive_above,
            ),
            minimum=dict(pipeline.minimum.items()),
            maximum=dict(pipeline.maximum.items()),
            deploy_to=inference,
            rollout=Canary(
                percent=pipeline.canary_percent, bake=cdk.Duration.seconds(round(pipeline.bake_minutes * 60))
            ),
            guard=_guard(pipeline.guard),
            registry=self.registry,
            results=results,
            approval=None
            if pipeline.approval_minutes is None
            else ManualApproval(timeout=cdk.Duration.minutes(pipeline.approval_minutes)),
            options=PipelineOptions(
                max_parallel_runs=pipeline.max_parallel_runs,
                queue_timeout=cdk.Duration.minutes(pipeline.queue_timeout_minutes),
                alerts=alerts,
                runtime=python_runtime(settings),
                architecture=architecture(settings),
                network=None if network is None else network.functions,
            ),
        )
        machine = self.pipeline.state_machine
        checks.accept(
            machine,
            f"JOB1[{step.name}]",
            "The framework's container fetches the training program from S3 itself when it starts, which it "
            "cannot do without a network.",
        )
        if training.job.network is None:
            checks.accept(
                machine,
                f"JOB3[{step.name}]",
                "The settings leave training out of the network, and its containers reach the internet, from "
                "which they may install packages. What they read in the lake is bound by their role: the "
                "training rows, the program, checkpoints. Whoever must keep these from leaving puts "
                '"training" into the network\'s `inside`.',
            )
        outputs = {
            "StateMachineArn": (
                machine.state_machine_arn,
                "The pipeline's state machine",
            ),
            "ModelPackageGroup": (self.registry.group_name, "Registry group of the model's versions"),
            "DataPrefix": (lake.raw.uri(pipeline.prefix), "Upload CSV files here to start the pipeline"),
        }
        for name, (value, description) in outputs.items():
            cdk.CfnOutput(self, name, value=value, description=description)


def _guard(guard: Guard) -> CanaryGuard:
    return CanaryGuard(
        failed_percent=guard.failed_percent,
        slower_percent=guard.slower_percent or None,
        refused_points=guard.refused_points or None,
        confidence_shift=guard.confidence_shift or None,
        minimum_calls=guard.minimum_calls,
    )


def _training_step(
    training: SpotTraining, tuning: Tuning | None, channels: Sequence[Channel]
) -> Train | Tune:
    if tuning is None:
        return Train(training, further_channels=channels)
    grid = tuning.strategy == "Grid"
    return Tune(
        training,
        objective=Objective(tuning.objective, tuning.direction),
        ranges=[_range(name, each) for name, each in tuning.ranges.items()],
        search=Search(
            strategy=tuning.strategy,
            trials=None if grid else tuning.most_trials,
            parallel=tuning.parallel,
            max_runtime=cdk.Duration.minutes(tuning.max_runtime_minutes),
            early_stopping=tuning.early_stopping,
        ),
        further_channels=channels,
        fallback_types=training.capacity_retry.fallback_types,
    )


def _range(name: str, given: TuningRange) -> CategoricalRange | ContinuousRange | IntegerRange:
    if given.least is None or given.most is None:
        return CategoricalRange(name, given.values)
    if given.whole:
        return IntegerRange(name, int(given.least), int(given.most), given.scaling)
    return ContinuousRange(name, given.least, given.most, given.scaling)
