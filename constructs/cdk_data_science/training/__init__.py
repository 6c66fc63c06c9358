"""Training: jobs on managed Spot capacity, and tasks for every kind of job in any state machine."""

from cdk_data_science._images import PrivateRegistry
from cdk_data_science.training.containers.container_repository import ContainerRepository
from cdk_data_science.training.containers.images import Image
from cdk_data_science.training.file_systems.lustre import LustreScratch
from cdk_data_science.training.file_systems.lustre_run import LustreForRuns
from cdk_data_science.training.file_systems.lustre_step import LustreStep
from cdk_data_science.training.file_systems.lustre_values import LustreLink
from cdk_data_science.training.file_systems.shared_file_system import SharedFileSystem
from cdk_data_science.training.file_systems.shared_folders import SharedFolder
from cdk_data_science.training.jobs.automl_problems import (
    CandidateLimits,
    ForecastProblem,
    ImageClassificationProblem,
    TabularProblem,
    TextClassificationProblem,
    TextGenerationProblem,
)
from cdk_data_science.training.jobs.processing_job import ProcessingJob
from cdk_data_science.training.jobs.processing_values import (
    AthenaQuery,
    ProcessingCode,
    ProcessingInput,
    ProcessingOutput,
    SparkSubmit,
)
from cdk_data_science.training.jobs.training_job import TrainingJob
from cdk_data_science.training.jobs.training_parts import InstanceGroup, Profiler
from cdk_data_science.training.jobs.tuning_definition import TuningDefinition
from cdk_data_science.training.jobs.tuning_values import (
    AutomaticRange,
    CategoricalRange,
    Completion,
    ContinuousRange,
    IntegerRange,
    Objective,
    Search,
    WarmStart,
)
from cdk_data_science.training.kinds import RunName
from cdk_data_science.training.network import TrainingNetwork
from cdk_data_science.training.quota import QuotaAlarm
from cdk_data_science.training.spot.spot_training import SpotTraining
from cdk_data_science.training.spot.step import TrainingStep
from cdk_data_science.training.tasks.automl import AutoMLChannel, AutoMLJobTask
from cdk_data_science.training.tasks.capacity import CapacityRetry
from cdk_data_science.training.tasks.compilation import CompilationJobTask, TargetPlatform
from cdk_data_science.training.tasks.processing import ProcessingJobTask, ProcessingStep
from cdk_data_science.training.tasks.report import REPORT
from cdk_data_science.training.tasks.start_pipeline import StartPipelineTask
from cdk_data_science.training.tasks.training import TrainingJobTask
from cdk_data_science.training.tasks.transform import TransformJob, TransformJobTask, TransformStep
from cdk_data_science.training.tasks.tuning import TUNING_REPORT, TuningJobTask, TuningStep
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
