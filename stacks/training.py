"""Where models are trained: the job's role, its limits, its source code."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

from cdk_data_science import AlertTopic, ConfigurationError, DataLake, Mlflow, SourceCode, SpotTraining
from cdk_data_science.training import CapacityRetry, TrainingWatch
from settings.model import Settings
from settings.training import Training
from stacks.network import NetworkStack
from stacks.serving import architecture, python_runtime

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
        mlflow: Mlflow | None,
        network: NetworkStack | None,
        alerts: AlertTopic | None,
        env: cdk.Environment,
    ) -> None:
        super().__init__(scope, id, env=env, description="Training: Spot jobs, their role and checkpoints")
        source = SourceCode(
            zone=lake.models, key=f"{SOURCE_PREFIX}{SOURCE_ARCHIVE}", entry_point=training.entry_point
        )
        on_demand = training.on_demand_after_minutes
        self.training = SpotTraining(
            self,
            "Training",
            image=training.image,
            source=source,
            instance_type=training.instance_type,
            instance_count=training.instance_count,
            volume_size_gb=training.volume_gb,
            checkpoints=lake.models,
            output=lake.models,
            job_name_prefix=settings.platform.name,
            max_runtime=cdk.Duration.minutes(training.max_runtime_minutes),
            max_wait=cdk.Duration.minutes(training.max_wait_minutes),
            capacity_retry=CapacityRetry(
                attempts=training.capacity_rounds,
                fallback_types=training.fallback_types,
                on_demand_after=None if on_demand is None else cdk.Duration.minutes(on_demand),
            ),
            environment=training.environment,
            tensorboard=training.tensorboard,
            hyperparameters={key: str(value) for key, value in training.hyperparameters.items()},
            metrics=training.metrics,
            tracking=mlflow,
            experiment=None if settings.mlflow is None else settings.mlflow.experiment,
            vpc=None if network is None else network.network.vpc,
            subnets=None if network is None else network.network.jobs,
            security_groups=None if network is None else network.network.security_groups.jobs,
        )
        _check_expiry(settings, self.training)
        self.watch = (
            None
            if alerts is None
            else TrainingWatch(
                self,
                "Watch",
                jobs=self.training,
                alerts=alerts,
                key=alerts.key,
                runtime=python_runtime(settings),
                architecture=architecture(settings),
            )
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


def _check_expiry(settings: Settings, training: SpotTraining) -> None:
    """All tries of a run share one folder of checkpoints, and the last may go on from what the first left."""
    days = settings.lake.checkpoints_expire_days
    longest = training.longest.to_days(integral=False)
    if days is not None and days <= longest:
        raise ConfigurationError(
            f"settings/{settings.environment}.toml: lake.checkpoints_expire_days is {days}, but all tries of "
            f"a training run may take {longest:.1f} days: write {int(longest) + 1} or more, or a shorter "
            "training.max_wait_minutes, or a try would lose what it goes on from"
        )
