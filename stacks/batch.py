"""What predicts whole folders of the lake."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from cdk_data_science import AlertTopic, DataLake
from cdk_data_science.serving import BatchTransform
from cdk_data_science.training import TransformJob
from settings.batch_transform import BatchPrediction
from stacks.hosting import hosted_model, id_of
from stacks.network import NetworkStack


class BatchStack(cdk.Stack):
    """State machines that run transform jobs, by the clock or when somebody starts them."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        batch: Mapping[str, BatchPrediction],
        lake: DataLake,
        alerts: AlertTopic,
        network: NetworkStack | None,
        env: cdk.Environment,
    ) -> None:
        super().__init__(scope, id, env=env, description="Batch: folders of the lake that models predict")
        self._lake, self._alerts, self._network = lake, alerts, network
        self.transforms = {name: self._transform(name, asked) for name, asked in batch.items()}

    def _transform(self, name: str, asked: BatchPrediction) -> BatchTransform:
        data, _, data_prefix = asked.data.partition("/")
        predictions, _, predictions_prefix = asked.predictions.partition("/")
        made = BatchTransform(
            self,
            id_of(name),
            model=hosted_model(self, f"{id_of(name)}-Model", asked, lake=self._lake, network=self._network),
            job=TransformJob(
                instance_type=asked.instance_type,
                instance_count=asked.instance_count,
                max_runtime=cdk.Duration.minutes(asked.max_runtime_minutes),
                content_type=asked.content_type,
                split=asked.split,
                assemble_lines=asked.split == "Line",
                join_input=asked.join_input,
            ),
            job_name_prefix=name,
            data=self._lake.zone(data),
            data_prefix=data_prefix,
            predictions=self._lake.zone(predictions),
            predictions_prefix=predictions_prefix,
            schedule=None
            if asked.schedule is None
            else scheduler.ScheduleExpression.expression(asked.schedule, cdk.TimeZone.of(asked.time_zone)),
            alerts=self._alerts,
        )
        cdk.CfnOutput(
            self,
            f"{id_of(name)}-StateMachineArn",
            value=made.state_machine.state_machine_arn,
            description=f"Start it to predict {asked.data}",
        )
        return made
