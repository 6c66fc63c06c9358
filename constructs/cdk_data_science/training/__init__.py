"""Training: jobs on managed Spot capacity, and the task that runs them in any state machine."""

from cdk_data_science._images import PrivateRegistry
from cdk_data_science.training.capacity import CapacityRetry
from cdk_data_science.training.job import TrainingJob
from cdk_data_science.training.lustre import LustreScratch
from cdk_data_science.training.lustre_run import LustreForRuns
from cdk_data_science.training.lustre_step import LustreStep
from cdk_data_science.training.lustre_values import LustreLink
from cdk_data_science.training.network import TrainingNetwork
from cdk_data_science.training.quota import QuotaAlarm
from cdk_data_science.training.report import REPORT
from cdk_data_science.training.shared_file_system import SharedFileSystem
from cdk_data_science.training.shared_folders import SharedFolder
from cdk_data_science.training.spot import SpotTraining
from cdk_data_science.training.step import TrainingStep
from cdk_data_science.training.task import TrainingJobTask
from cdk_data_science.training.tracking import MlflowTracking
from cdk_data_science.training.values import Channel, FileSystem, SourceCode
from cdk_data_science.training.watch import TrainingWatch

__all__ = [
    "REPORT",
    "CapacityRetry",
    "Channel",
    "FileSystem",
    "LustreForRuns",
    "LustreLink",
    "LustreScratch",
    "LustreStep",
    "MlflowTracking",
    "PrivateRegistry",
    "QuotaAlarm",
    "SharedFileSystem",
    "SharedFolder",
    "SourceCode",
    "SpotTraining",
    "TrainingJob",
    "TrainingJobTask",
    "TrainingNetwork",
    "TrainingStep",
    "TrainingWatch",
]
