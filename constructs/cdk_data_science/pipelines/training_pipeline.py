"""From new data to a deployed model, without a hand on it."""

from __future__ import annotations

from collections.abc import Mapping

from constructs import Construct

from cdk_data_science.data_lake import IZone, QualityResults, QualityRules
from cdk_data_science.pipelines.options import Split
from cdk_data_science.pipelines.pipeline import Pipeline
from cdk_data_science.pipelines.pipeline_options import PipelineOptions
from cdk_data_science.pipelines.registry import IModelRegistry
from cdk_data_science.pipelines.step import Step
from cdk_data_science.pipelines.steps.approve import Approve, ManualApproval
from cdk_data_science.pipelines.steps.deploy import Deploy
from cdk_data_science.pipelines.steps.evaluate import Evaluate
from cdk_data_science.pipelines.steps.package import PackageModel
from cdk_data_science.pipelines.steps.prepare import Prepare
from cdk_data_science.pipelines.steps.quality_gate import QualityGate, SparkGate
from cdk_data_science.pipelines.steps.register import Register
from cdk_data_science.pipelines.steps.score import Score
from cdk_data_science.pipelines.steps.train import Train
from cdk_data_science.pipelines.steps.tune import Tune
from cdk_data_science.serving import Canary, CanaryGuard, ServerlessInference
from cdk_data_science.training import SpotTraining


class TrainingPipeline(Pipeline):
    """New data is checked, divided and trained on; the model is evaluated, registered and deployed.

    The steps are :class:`QualityGate`, :class:`Prepare`, :class:`Train`, :class:`PackageModel`,
    :class:`Score`, :class:`Evaluate`, :class:`Register` and :class:`Deploy`. To leave one out, replace one
    or add your own, give the steps to :class:`Pipeline`. A failure in any of them leaves what is deployed as
    it was.

    At rest it costs what a :class:`Pipeline` costs; a run costs its training job and some seconds of Lambda.

    Example:
        ```python
        import aws_cdk as cdk
        from cdk_data_science import (
            Canary,
            DataLake,
            QualityRules,
            ServerlessInference,
            SourceCode,
            Split,
            SpotTraining,
            TrainingPipeline,
        )

        stack = cdk.Stack(cdk.App(), "Reviews")
        lake = DataLake(stack, "Lake")
        training = SpotTraining(
            stack,
            "Training",
            image="683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
            source=SourceCode(zone=lake.models, key="source/sourcedir.tar.gz", entry_point="train.py"),
            checkpoints=lake.models,
            output=lake.models,
            max_runtime=cdk.Duration.hours(1),
            max_wait=cdk.Duration.hours(2),
        )
        TrainingPipeline(
            stack,
            "Pipeline",
            data=lake.raw,
            prefix="reviews/",
            work=lake.features,
            models=lake.models,
            training=training,
            rules=QualityRules('Rules = [ RowCount > 1000, IsUnique "sentence_id" ]'),
            split=Split(
                id_column="sentence_id",
                group_column="review_id",
                label_column="rating",
                feature_columns=["text"],
                positive_above=0,
            ),
            minimum={"auroc": 0.8},
            deploy_to=ServerlessInference(stack, "Inference", models=lake.models),
            rollout=Canary(percent=10, bake=cdk.Duration.minutes(10)),
        )
        ```

    Args:
        data: Zone of the data.
        prefix: Folder in that zone whose new objects start the pipeline, ending in a slash.
        work: Zone of what the runs leave, and of the records of failures.
        models: Zone of the models.
        training: How the model is trained; or the step that does it: a :class:`Tune` that searches for
            hyperparameters, a :class:`Train` with further channels.
        rules: What the data has to meet.
        split: What is in the data, and how it is divided.
        minimum: Least values of ``auroc`` and ``accuracy``, 0 to 1.
        maximum: Greatest values of ``log_loss``, 0 to 100, and ``brier``, 0 to 1.
        deploy_to: The function that serves; the model is only registered if not given.
        rollout: The canary's share and time.
        guard: How much worse than the live version the new one may be.
        registry: The model's group in the registry; a new one if not given.
        results: Table and metrics that keep the outcome of each quality rule; the run's report alone if not
            given.
        spark_gate: What judges objects that are too large for the gate's function; none if not given.
        inference_image: Image that serves the model on SageMaker, for the registry.
        approval: A person has to approve each model before it is deployed; the thresholds decide alone if not
            given. Without ``deploy_to``, the run ends with a version that waits for the decision.
        options: What every :class:`Pipeline` has.

    Raises:
        ConfigurationError: options that cannot work, all of them at once.

    See https://docs.aws.amazon.com/wellarchitected/latest/machine-learning-lens/mlops.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        data: IZone,
        prefix: str,
        work: IZone,
        models: IZone,
        training: SpotTraining | Train | Tune,
        rules: QualityRules,
        split: Split,
        minimum: Mapping[str, float],
        maximum: Mapping[str, float] | None = None,
        deploy_to: ServerlessInference | None = None,
        rollout: Canary | None = None,
        guard: CanaryGuard | None = None,
        registry: IModelRegistry | None = None,
        results: QualityResults | None = None,
        spark_gate: SparkGate | None = None,
        inference_image: str | None = None,
        approval: ManualApproval | None = None,
        options: PipelineOptions | None = None,
    ) -> None:
        register = Register(registry, image=inference_image, approved=approval is None)
        steps: list[Step] = [
            QualityGate(rules, results=results, spark=spark_gate),
            Prepare(split),
            Train(training) if isinstance(training, SpotTraining) else training,
            PackageModel(models, prefix=deploy_to.models_prefix if deploy_to is not None else "models/"),
            Score(),
            Evaluate(minimum=minimum, maximum=maximum),
            register,
        ]
        if approval is not None and deploy_to is not None:
            steps.append(Approve(register, approval=approval))
        if deploy_to is not None:
            steps.append(Deploy(deploy_to, rollout=rollout, guard=guard))
        super().__init__(scope, id, data=data, prefix=prefix, work=work, steps=steps, options=options)
        self.registry = register.registry
