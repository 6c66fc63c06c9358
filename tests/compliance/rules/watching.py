"""Alarms that can go off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.compliance.templates import Platform

# For the namespaces of AWS services: metrics that are published, and the sets of dimensions they come with.
_METRICS: dict[str, tuple[set[str], list[set[str]]]] = {
    "AWS/Lambda": (
        {
            "Invocations", "Errors", "Throttles", "Duration", "ConcurrentExecutions", "DeadLetterErrors",
            "DestinationDeliveryFailures", "ProvisionedConcurrencySpilloverInvocations", "AsyncEventsDropped",
            "AsyncEventAge", "AsyncEventsReceived", "IteratorAge", "UrlRequestCount", "Url4xxCount",
            "Url5xxCount", "UrlRequestLatency",
        },
        [{"FunctionName"}, {"FunctionName", "Resource"}, {"FunctionName", "Resource", "ExecutedVersion"}],
    ),
    "AWS/States": (
        {
            "ExecutionsStarted", "ExecutionsSucceeded", "ExecutionsFailed", "ExecutionsTimedOut",
            "ExecutionsAborted", "ExecutionThrottled", "ExecutionTime",
        },
        [{"StateMachineArn"}],
    ),
    "AWS/SQS": (
        {
            "ApproximateNumberOfMessagesVisible", "ApproximateNumberOfMessagesNotVisible",
            "ApproximateAgeOfOldestMessage", "NumberOfMessagesSent", "NumberOfMessagesReceived",
            "NumberOfMessagesDeleted",
        },
        [{"QueueName"}],
    ),
    "AWS/SNS": (
        {"NumberOfMessagesPublished", "NumberOfNotificationsDelivered", "NumberOfNotificationsFailed"},
        [{"TopicName"}],
    ),
    "AWS/Events": (
        {"Invocations", "FailedInvocations", "TriggeredRules", "MatchedEvents", "ThrottledRules",
         "InvocationsSentToDlq", "InvocationsFailedToBeSentToDlq"},
        [{"RuleName"}, {"EventBusName"}, {"EventBusName", "RuleName"}],
    ),
}  # fmt: skip


def blind_alarms(platform: Platform) -> Iterator[str]:
    """Every alarm watches a metric that is published, with the dimensions that it is published with."""
    for alarm in platform.resources("AWS::CloudWatch::Alarm"):
        for metric in _metrics(alarm.properties):
            namespace, name = str(metric.get("Namespace")), str(metric.get("MetricName"))
            dimensions = {entry["Name"] for entry in metric.get("Dimensions", ())}
            if not dimensions:
                yield f"{alarm}: {namespace} {name} without dimensions never sees data"
            if namespace not in _METRICS:
                if namespace.startswith("AWS/"):
                    yield f"{alarm}: the metrics of {namespace} are not written down in {__name__}; add them"
                continue
            published, combinations = _METRICS[namespace]
            if name not in published:
                yield f"{alarm}: {namespace} publishes no metric {name}"
            if dimensions and dimensions not in combinations:
                yield f"{alarm}: {namespace} {name} is not published by {sorted(dimensions)}"


def _metrics(alarm: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "MetricName" in alarm:
        yield alarm
    for query in alarm.get("Metrics", ()):
        if "MetricStat" in query:
            yield query["MetricStat"]["Metric"]
