"""Where models are trained: the job's role, its limits, its source code."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

from cdk_data_science import DataLake, SourceCode, SpotTraining
from settings.model import Settings, Training

SOURCE_PREFIX = "source/"


class TrainingStack(cdk.Stack):
    """Managed Spot training with checkpoints in the lake's models zone."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        training: Training,
        lake: DataLake,
        env: cdk.Environment,
    ) -> None:
        super().__init__(scope, id, env=env, description="Training: Spot jobs, their role and checkpoints")
        source = SourceCode(zone=lake.models, key=f"{SOURCE_PREFIX}sourcedir.tar.gz", entry_point="train.py")
        self.training = SpotTraining(
            self,
            "Training",
            image=training.image,
            source=source,
            instance_type=training.instance_type,
            checkpoints=lake.models,
            output=lake.models,
            job_name_prefix=settings.platform.name,
            max_runtime=cdk.Duration.minutes(training.max_runtime_minutes),
            max_wait=cdk.Duration.minutes(training.max_wait_minutes),
            hyperparameters={key: str(value) for key, value in training.hyperparameters.items()},
            metrics={"cv:auroc": r"cv_auroc=([0-9.]+)"},
        )
        cdk.CfnOutput(
            self,
            "TrainingSourcePrefix",
            value=lake.models.uri(SOURCE_PREFIX),
            description="Where the training script is expected, as sourcedir.tar.gz",
        )
        cdk.CfnOutput(
            self,
            "TrainingRoleArn",
            value=self.training.role.role_arn,
            description="Role of the training jobs, to give it access to further data",
        )
