"""Pipelines: state machines that are put together from steps, and the usual one from data to a deployed
model."""

from cdk_data_science._functions import FunctionNetwork
from cdk_data_science.pipelines.leaderboard import RegisterCandidates
from cdk_data_science.pipelines.options import Split
from cdk_data_science.pipelines.outputs import (
    APPROVAL,
    ARTIFACT,
    COUNTS,
    DATA,
    DEPLOYMENT,
    EVALUATION,
    FEATURES,
    HOLDOUT,
    LABELS,
    MANIFEST,
    METRICS,
    MODEL,
    MODEL_PACKAGE,
    QUALITY,
    SCORES,
    SHA256,
    TRAIN,
    TRAINING_JOB,
    TUNING,
    Output,
)
from cdk_data_science.pipelines.pipeline import Pipeline
from cdk_data_science.pipelines.pipeline_options import PipelineOptions
from cdk_data_science.pipelines.registry import IModelRegistry, ModelRegistry
from cdk_data_science.pipelines.step import Location, States, Step, StepContext
from cdk_data_science.pipelines.steps.approve import Approve, ManualApproval
from cdk_data_science.pipelines.steps.deploy import Deploy
from cdk_data_science.pipelines.steps.evaluate import Evaluate
from cdk_data_science.pipelines.steps.ingest_features import IngestFeatures
from cdk_data_science.pipelines.steps.package import PackageModel
from cdk_data_science.pipelines.steps.prepare import Prepare
from cdk_data_science.pipelines.steps.process import Process
from cdk_data_science.pipelines.steps.quality_gate import FUNCTION_LIMIT_BYTES, QualityGate, SparkGate
from cdk_data_science.pipelines.steps.register import Register
from cdk_data_science.pipelines.steps.score import Score
from cdk_data_science.pipelines.steps.spark import SparkStep
from cdk_data_science.pipelines.steps.train import Train
from cdk_data_science.pipelines.steps.transform import Transform
from cdk_data_science.pipelines.steps.tune import Tune
from cdk_data_science.pipelines.training_pipeline import TrainingPipeline
from cdk_data_science.pipelines.trigger import DataTrigger

__all__ = [
    "APPROVAL",
    "ARTIFACT",
    "COUNTS",
    "DATA",
    "DEPLOYMENT",
    "EVALUATION",
    "FEATURES",
    "FUNCTION_LIMIT_BYTES",
    "HOLDOUT",
    "LABELS",
    "MANIFEST",
    "METRICS",
    "MODEL",
    "MODEL_PACKAGE",
    "QUALITY",
    "SCORES",
    "SHA256",
    "TRAIN",
    "TRAINING_JOB",
    "TUNING",
    "Approve",
    "DataTrigger",
    "Deploy",
    "Evaluate",
    "FunctionNetwork",
    "IModelRegistry",
    "IngestFeatures",
    "Location",
    "ManualApproval",
    "ModelRegistry",
    "Output",
    "PackageModel",
    "Pipeline",
    "PipelineOptions",
    "Prepare",
    "Process",
    "QualityGate",
    "Register",
    "RegisterCandidates",
    "Score",
    "SparkGate",
    "SparkStep",
    "Split",
    "States",
    "Step",
    "StepContext",
    "Train",
    "TrainingPipeline",
    "Transform",
    "Tune",
]
