"""How training jobs end, how often their capacity is taken away, and what Spot saves, as metrics."""

from __future__ import annotations

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from cdk_data_science._encryption import operations_key
from cdk_data_science._functions import FunctionNetwork, PlatformFunction
from cdk_data_science._letters import letters, letters_alarm
from cdk_data_science._validation import Problems, is_token
from cdk_data_science.monitoring import AlertTopic, alarm
from cdk_data_science.training.kinds import TRAINING
from cdk_data_science.training.spot.named_jobs import NamedJobs

NAMESPACE = "DataScience/Training"
_HOUR = Duration.hours(1)


class TrainingWatch(Construct):
    """Metrics and alarms of all jobs of a training, whichever state machine runs them.

    SageMaker publishes a job's metrics under the job's own name, which no alarm can know before. This turns
    the state changes of the jobs into metrics of the training as a whole, in ``DataScience/Training`` with
    the dimension ``Jobs``: ``Completed``, ``Failed`` and ``Stopped``; ``LostCapacity`` (SageMaker had no
    instances for a job, or its ``max_wait`` passed) and ``Interrupted`` (Spot capacity was taken away, the
    job goes on); ``Seconds``, ``BilledSeconds`` and ``SavedSeconds`` of all its instances.

    Two alarms: a job failed, and capacity was lost more often in an hour than was said. A third one tells of
    events that could not be counted, which lie in a dead-letter queue for 14 days.

    **Costs at rest**: the alarms (0.10 USD a month for each metric they look at, four in all), and 1 USD a
    month for a key of its own, if none is given. CloudWatch bills each metric in the months in which it has
    data.

    ```python
    import aws_cdk as cdk
    from cdk_data_science import AlertTopic, DataLake, SpotTraining
    from cdk_data_science.training import TrainingWatch

    lake = DataLake(self, "Lake")
    training = SpotTraining(
        self,
        "Training",
        image="683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
        checkpoints=lake.models,
        output=lake.models,
        max_runtime=cdk.Duration.hours(4),
        max_wait=cdk.Duration.hours(8),
    )
    alerts = AlertTopic(self, "Alerts", emails=["ml@example.com"])
    watch = TrainingWatch(self, "Watch", jobs=training, alerts=alerts)
    watch.metric_saved_percent()
    ```

    Args:
        jobs: Whose jobs: a ``SpotTraining``.
        alerts: Hears of the alarms. Default: nobody.
        most_lost: How often capacity may be lost in an hour, interruptions included, 0 or more.
        key: Encrypts the function's log and the dead letters; it has to let CloudWatch Logs and EventBridge
            use it. Default: a new one.
        network: The VPC that the function is attached to; it calls SageMaker's API. Default: none.
        runtime: Python of the function. Default: 3.13.
        architecture: Processor of the function. Default: arm64.

    Raises:
        ConfigurationError: a number that makes no sense.

    Follows https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        jobs: NamedJobs,
        alerts: AlertTopic | None = None,
        most_lost: int = 3,
        key: kms.IKey | None = None,
        network: FunctionNetwork | None = None,
        runtime: lambda_.Runtime | None = None,
        architecture: lambda_.Architecture | None = None,
    ) -> None:
        super().__init__(scope, id)
        problems = Problems("TrainingWatch", self)
        problems.check_kind("jobs", jobs, NamedJobs, write="training")
        problems.raise_if_any()
        problems.check(
            is_token(most_lost) or most_lost >= 0,
            given=f"most_lost={most_lost}",
            allowed="0 or more",
            write="most_lost=3",
        )
        problems.raise_if_any()
        self._jobs = jobs.job_name_prefix
        self.key = key if key is not None else operations_key(self, "Key", description="Metrics of training")
        self.dead_letters = letters(self, "DeadLetters", self.key)
        made = PlatformFunction(
            self,
            "Count",
            asset="training",
            handler="job_metrics.handler",
            description="Turns the state changes of training jobs into metrics",
            log_key=self.key,
            runtime=runtime if runtime is not None else lambda_.Runtime.PYTHON_3_13,
            architecture=architecture if architecture is not None else lambda_.Architecture.ARM_64,
            memory_size=256,
            timeout=Duration.seconds(30),
            environment={"METRICS_NAMESPACE": NAMESPACE, "JOBS": self._jobs},
            network=network,
            dead_letter_queue=self.dead_letters,
        )
        self.function, self.role = made.function, made.role
        self.function.configure_async_invoke(max_event_age=_HOUR, retry_attempts=2)
        self.role.add_to_policy(
            iam.PolicyStatement(
                sid="WhatIsBilled",
                actions=["sagemaker:DescribeTrainingJob"],
                resources=[TRAINING.arn(Stack.of(self), jobs.job_names)],
            )
        )
        jobs.acknowledge_job_names(self.role)
        self.rules = self._listen()
        self.failed_alarm = alarm(
            self,
            "FailedAlarm",
            self._metric("Failed", period=Duration.minutes(5)),
            description=f"A training job of {self._jobs} failed",
        )
        self.capacity_alarm = alarm(
            self,
            "CapacityAlarm",
            self.metric_lost_capacity(),
            description=f"Jobs of {self._jobs} lost capacity more than {most_lost} times in an hour: other "
            "instance types or On-Demand would finish sooner",
            threshold=most_lost + 1,
        )
        self.lost_events_alarm = letters_alarm(
            self,
            self.dead_letters,
            "State changes of training jobs were not counted; they lie in the dead-letter queue",
            id="LostEvents",
        )
        self.alarms = [self.failed_alarm, self.capacity_alarm, self.lost_events_alarm]
        if alerts is not None:
            alerts.notify(*self.alarms)

    def metric_completed(self) -> cloudwatch.Metric:
        """Jobs that succeeded."""
        return self._metric("Completed")

    def metric_failed(self) -> cloudwatch.Metric:
        """Jobs that failed, but for want of capacity."""
        return self._metric("Failed")

    def metric_lost_capacity(self) -> cloudwatch.MathExpression:
        """How often a job had no capacity, or lost it."""
        return cloudwatch.MathExpression(
            expression="FILL(lost, 0) + FILL(interrupted, 0)",
            label="Capacity lost",
            period=_HOUR,
            using_metrics={"lost": self._metric("LostCapacity"), "interrupted": self._metric("Interrupted")},
        )

    def metric_saved_percent(self) -> cloudwatch.MathExpression:
        """The share of the instances' seconds that is not billed, as SageMaker says what Spot saves."""
        return cloudwatch.MathExpression(
            expression="100 * saved / ran",
            label="Saved by Spot, %",
            period=_HOUR,
            using_metrics={"saved": self._metric("SavedSeconds"), "ran": self._metric("Seconds")},
        )

    def metric_billed_seconds(self) -> cloudwatch.Metric:
        """Seconds of all instances that are billed."""
        return self._metric("BilledSeconds")

    def _metric(self, name: str, period: Duration = _HOUR) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=NAMESPACE,
            metric_name=name,
            dimensions_map={"Jobs": self._jobs},
            statistic="Sum",
            period=period,
        )

    def _listen(self) -> list[events.Rule]:
        names = [{"prefix": f"{self._jobs}--"}]
        rules = []
        for name, what, detail in (
            ("Ends", "ends", {"TrainingJobStatus": ["Completed", "Failed", "Stopped"]}),
            ("Interruptions", "interruptions", {"SecondaryStatus": ["Interrupted"]}),
        ):
            rule = events.Rule(
                self,
                name,
                description=f"Training jobs of {self._jobs}: {what}",
                event_pattern=events.EventPattern(
                    source=["aws.sagemaker"],
                    detail_type=["SageMaker Training Job State Change"],
                    detail={"TrainingJobName": names, **detail},
                ),
            )
            rule.add_target(
                targets.LambdaFunction(
                    self.function,
                    dead_letter_queue=self.dead_letters,
                    max_event_age=_HOUR,
                    retry_attempts=8,
                )
            )
            rules.append(rule)
        return rules
