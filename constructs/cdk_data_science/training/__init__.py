"""Training: jobs on managed Spot capacity, and tasks for every kind of job in any state machine."""

from cdk_data_science._images import PrivateRegistry
from cdk_data_science.training.automl_problems import (
    CandidateLimits,
    ForecastProblem,
    ImageClassificationProblem,
    TabularProblem,
    TextClassificationProblem,
    TextGenerationProblem,
)
from cdk_data_science.training.capacity import CapacityRetry
from cdk_data_science.training.container_repository import ContainerRepository
from cdk_data_science.training.images import Image
from cdk_data_science.training.job import TrainingJob
from cdk_data_science.training.job_parts import InstanceGroup, Profiler
from cdk_data_science.training.kinds import RunName
from cdk_data_science.training.lustre import LustreScratch
from cdk_data_science.training.lustre_run import LustreForRuns
from cdk_data_science.training.lustre_step import LustreStep
from cdk_data_science.training.lustre_values import LustreLink
from cdk_data_science.training.network import TrainingNetwork
from cdk_data_science.training.processing_job import ProcessingJob
from cdk_data_science.training.processing_values import (
    AthenaQuery,
    ProcessingCode,
    ProcessingInput,
    ProcessingOutput,
    SparkSubmit,
)
from cdk_data_science.training.quota import QuotaAlarm
from cdk_data_science.training.report import REPORT
from cdk_data_science.training.shared_file_system import SharedFileSystem
from cdk_data_science.training.shared_folders import SharedFolder
from cdk_data_science.training.spot import SpotTraining
from cdk_data_science.training.step import TrainingStep
from cdk_data_science.training.tasks.automl import AutoMLChannel, AutoMLJobTask
from cdk_data_science.training.tasks.compilation import CompilationJobTask, TargetPlatform
from cdk_data_science.training.tasks.processing import ProcessingJobTask, ProcessingStep
from cdk_data_science.training.tasks.start_pipeline import StartPipelineTask
from cdk_data_science.training.tasks.training import TrainingJobTask
from cdk_data_science.training.tasks.transform import TransformJob, TransformJobTask, TransformStep
from cdk_data_science.training.tasks.tuning import TUNING_REPORT, TuningJobTask, TuningStep
from cdk_data_science.training.tuning_definition import TuningDefinition
from cdk_data_science.training.tuning_values import (
    AutomaticRange,
    CategoricalRange,
    Completion,
    ContinuousRange,
    IntegerRange,
    Objective,
    Search,
    WarmStart,
)
from cdk_data_science.training.values import Channel, FileSystem, SourceCode
from cdk_data_science.training.watch import TrainingWatch

__all__ = [
    "REPORT",
    "TUNING_REPORT",
    "AthenaQuery",
    "AutoMLChannel",
    "AutoMLJobTask",
    "AutomaticRange",
    "CandidateLimits",
    "CapacityRetry",
    "CategoricalRange",
    "Channel",
    "CompilationJobTask",
    "Completion",
    "ContainerRepository",
    "ContinuousRange",
    "FileSystem",
    "ForecastProblem",
    "Image",
    "ImageClassificationProblem",
    "InstanceGroup",
    "IntegerRange",
    "LustreForRuns",
    "LustreLink",
    "LustreScratch",
    "LustreStep",
    "Objective",
    "PrivateRegistry",
    "ProcessingCode",
    "ProcessingInput",
    "ProcessingJob",
    "ProcessingJobTask",
    "ProcessingOutput",
    "ProcessingStep",
    "Profiler",
    "QuotaAlarm",
    "RunName",
    "Search",
    "SharedFileSystem",
    "SharedFolder",
    "SourceCode",
    "SparkSubmit",
    "SpotTraining",
    "StartPipelineTask",
    "TabularProblem",
    "TargetPlatform",
    "TextClassificationProblem",
    "TextGenerationProblem",
    "TrainingJob",
    "TrainingJobTask",
    "TrainingNetwork",
    "TrainingStep",
    "TrainingWatch",
    "TransformJob",
    "TransformJobTask",
    "TransformStep",
    "TuningDefinition",
    "TuningJobTask",
    "TuningStep",
    "WarmStart",
]
