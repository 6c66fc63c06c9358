"""An alarm before an account runs into the quota of an instance type."""

from __future__ import annotations

from typing import Literal

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from cdk_data_science._validation import Problems, is_token
from cdk_data_science.hardware import InstanceUse, instance_types, similar_types
from cdk_data_science.monitoring import AlertTopic, alarm

_RESOURCES: dict[str, tuple[str, InstanceUse]] = {
    "training": ("training-job", InstanceUse.TRAINING),
    "processing": ("processing-job", InstanceUse.PROCESSING),
    "transform": ("transform-job", InstanceUse.TRANSFORM),
    "endpoint": ("endpoint", InstanceUse.ENDPOINT),
}
"""What Service Quotas calls the instances of each use, and where its types are listed."""


class QuotaAlarm(Construct):
    """Watches how much of an instance type's quota in SageMaker is used, and tells before nothing is left.

    SageMaker publishes the instances in use (``AWS/Usage``), and CloudWatch knows the quota that the account
    has when the alarm is evaluated: raising the quota changes nothing here. An account whose quota is 0, as
    it is at first for accelerators, has no percentage: ask for the quota in Service Quotas before.

    Managed Spot has quotas of its own, whose usage is not among those that SageMaker is known to publish.

    **Costs at rest**: the alarm, 0.10 USD a month.

    ```python
    from cdk_data_science import AlertTopic
    from cdk_data_science.training import QuotaAlarm

    alerts = AlertTopic(self, "Alerts", emails=["ml@example.com"])
    QuotaAlarm(self, "Quota", instance_type="ml.p4d.24xlarge", alerts=alerts)
    ```

    Args:
        instance_type: A type of the use's own list.
        use: Whose quota: that of training, processing or transform jobs, or of endpoints.
        percent: Share of the quota at which it goes off, more than 0 and at most 100.
        alerts: Hears of it. Default: nobody.

    Raises:
        ConfigurationError: a type that this use does not take, or a share that makes no sense.

    Follows https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-Quotas-Visualize-Alarms.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        instance_type: str,
        use: Literal["training", "processing", "transform", "endpoint"] = "training",
        percent: float = 80,
        alerts: AlertTopic | None = None,
    ) -> None:
        super().__init__(scope, id)
        problems = Problems("QuotaAlarm", self)
        problems.check(
            use in _RESOURCES, given=f"use={use!r}", allowed=", ".join(_RESOURCES), write='use="training"'
        )
        if use in _RESOURCES and not is_token(instance_type):
            listed = _RESOURCES[use][1]
            close = similar_types(instance_type, listed)
            problems.check(
                instance_type in instance_types(listed),
                given=f"instance_type={instance_type!r}",
                allowed=f"an instance type of {use}" + (f", such as {', '.join(close)}" if close else ""),
                write=f'instance_type="{close[0] if close else "ml.p4d.24xlarge"}"',
            )
        problems.check(
            is_token(percent) or 0 < percent <= 100,
            given=f"percent={percent:g}",
            allowed="more than 0 and at most 100",
            write="percent=80",
        )
        problems.raise_if_any()
        self._resource = f"{_RESOURCES[use][0]}/{instance_type}"
        self.alarm: cloudwatch.Alarm = alarm(
            self,
            "Alarm",
            self.metric_percent(),
            description=f"{percent:g} % of the quota of {self._resource} is in use: jobs will be refused",
            threshold=percent,
        )
        if alerts is not None:
            alerts.notify(self.alarm)
        self.node.default_child = self.alarm.node.default_child

    def metric_used(self) -> cloudwatch.Metric:
        """Instances in use."""
        return cloudwatch.Metric(
            namespace="AWS/Usage",
            metric_name="ResourceCount",
            dimensions_map={
                "Service": "SageMaker",
                "Type": "Resource",
                "Resource": self._resource,
                "Class": "None",
            },
            statistic="Maximum",
            period=Duration.minutes(5),
        )

    def metric_percent(self) -> cloudwatch.MathExpression:
        """Share of the quota that is in use."""
        return cloudwatch.MathExpression(
            expression="used / SERVICE_QUOTA(used) * 100",
            label="Quota in use, %",
            period=Duration.minutes(5),
            using_metrics={"used": self.metric_used()},
        )
