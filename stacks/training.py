"""Where models are trained: the job's role, its limits, its source code."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

from cdk_data_science import DataLake, SourceCode, SpotTraining
from settings.model import Settings, Training
from stacks.network import NetworkStack

SOURCE_PREFIX = "source/"
SOURCE_ARCHIVE = "sourcedir.tar.gz"


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
        network: NetworkStack | None,
        env: cdk.Environment,
    ) -> None:
        super().__init__(scope, id, env=env, description="Training: Spot jobs, their role and checkpoints")
        source = SourceCode(
            zone=lake.models, key=f"{SOURCE_PREFIX}{SOURCE_ARCHIVE}", entry_point=training.entry_point
        )
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
            metrics=training.metrics,
            vpc=None if network is None else network.network.vpc,
            subnets=None if network is None else network.network.jobs,
            security_groups=None if network is None else network.network.security_groups.jobs,
        )
        packages = "" if settings.training_reaches_internet else " with its wheels: jobs have no internet"
        cdk.CfnOutput(
            self,
            "TrainingSourcePrefix",
            value=lake.models.uri(SOURCE_PREFIX),
            description=f"Where the training script is expected, as {SOURCE_ARCHIVE}{packages}",
        )
        cdk.CfnOutput(
            self,
            "TrainingRoleArn",
            value=self.training.role.role_arn,
            description="Role of the training jobs, to give it access to further data",
        )
