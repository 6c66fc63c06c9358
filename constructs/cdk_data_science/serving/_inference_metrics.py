"""What an inference function tells of itself, and the alarms on it."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from cdk_data_science.monitoring import alarm


class InferenceMetrics(Construct):
    """Metrics of an alias, and those that the function writes itself."""

    alias: lambda_.Alias
    metrics_namespace: str
    metrics_service: str

    def metric_invocations(self) -> cloudwatch.Metric:
        """Invocations of the alias."""
        return self.alias.metric_invocations(statistic="Sum", period=Duration.minutes(1))

    def metric_errors(self) -> cloudwatch.Metric:
        """Invocations of the alias that ended in an error of the function."""
        return self.alias.metric_errors(statistic="Sum", period=Duration.minutes(1))

    def metric_throttles(self) -> cloudwatch.Metric:
        """Invocations of the alias that Lambda refused."""
        return self.alias.metric_throttles(statistic="Sum", period=Duration.minutes(1))

    def metric_duration(self, statistic: str = "p99") -> cloudwatch.Metric:
        """Duration of the alias' invocations in milliseconds."""
        return self.alias.metric_duration(statistic=statistic, period=Duration.minutes(1))

    def metric_server_errors(self) -> cloudwatch.Metric:
        """Requests that were answered 500 or 503: the model is missing, has the wrong hash, or failed."""
        return self._own_metric("ServerErrors", statistic="Sum")

    def metric_validation_errors(self) -> cloudwatch.Metric:
        """Requests that were refused as wrong: no JSON, too large, wrong fields."""
        return self._own_metric("ValidationErrors", statistic="Sum")

    def metric_model_load(self) -> cloudwatch.Metric:
        """Time that loading the model took, in milliseconds."""
        return self._own_metric("ModelLoad", statistic="p99")

    def metric_rows(self) -> cloudwatch.Metric:
        """Rows that were predicted."""
        return self._own_metric("Rows", statistic="Sum")

    def _own_metric(self, name: str, *, statistic: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=self.metrics_namespace,
            metric_name=name,
            dimensions_map={"Service": self.metrics_service},
            statistic=statistic,
            period=Duration.minutes(1),
        )

    def metric_confidence(self) -> cloudwatch.Metric:
        """Probability of the likeliest class, on the average of all rows: it falls when data change."""
        return self._own_metric("Confidence", statistic="Average")

    def metric_rejected_records(self) -> cloudwatch.Metric:
        """Records of queues and streams that can never be predicted."""
        return self._own_metric("RejectedRecords", statistic="Sum")

    def _make_alarms(self, slow: Duration) -> list[cloudwatch.Alarm]:
        return [
            alarm(self, "Errors", self.metric_errors(), description="The inference function failed"),
            alarm(
                self,
                "Throttles",
                self.metric_throttles(),
                description="Lambda refused requests: raise the concurrency",
            ),
            alarm(
                self,
                "Slow",
                self.metric_duration(),
                description="The slowest hundredth of the predictions takes too long",
                threshold=float(slow.to_milliseconds()),
                periods=3,
            ),
            alarm(
                self,
                "ServerErrors",
                self.metric_server_errors(),
                description="Requests were answered 500 or 503: the model is missing or fails",
            ),
        ]
