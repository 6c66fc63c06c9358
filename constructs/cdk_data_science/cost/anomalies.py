"""Cost Anomaly Detection: a monitor, and who hears of what it finds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import Names
from aws_cdk import aws_ce as ce
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk_data_science._validation import Problems
from cdk_data_science.cost import _checks


@dataclass(frozen=True, kw_only=True, slots=True)
class AnomalyDetection:
    """Alerts on spending that is unusual for the account, whatever the budget says."""

    minimum_impact_usd: float = 10
    """Alert from this total impact in USD on, 0 or more. Default: 10."""

    def check(self, problems: Problems) -> None:
        """Record what cannot work in these options."""
        problems.check(
            self.minimum_impact_usd == 0 or _checks.is_number(self.minimum_impact_usd, most=_checks.MOST_USD),
            given=f"minimum_impact_usd={self.minimum_impact_usd!r}",
            allowed="a number of USD, 0 or more",
            write="minimum_impact_usd=10",
        )


class AnomalyMonitor(Construct):
    """A monitor of all services or of the values of one tag, with its subscriptions.

    **Costs at rest**: nothing.
    """

    monitor: ce.CfnAnomalyMonitor
    """The monitor."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        detection: AnomalyDetection,
        tags: Mapping[str, Sequence[str]],
        topic: sns.ITopic,
        emails: Sequence[str],
    ) -> None:
        super().__init__(scope, id)
        self.monitor = self._make_monitor(tags)
        # The topic at once; people once a day, the most often that Cost Anomaly Detection writes mail.
        subscribers = {"IMMEDIATE": [("SNS", topic.topic_arn)]}
        if emails:
            subscribers["DAILY"] = [("EMAIL", mail) for mail in emails]
        threshold = {
            "Dimensions": {
                "Key": "ANOMALY_TOTAL_IMPACT_ABSOLUTE",
                "MatchOptions": ["GREATER_THAN_OR_EQUAL"],
                "Values": [f"{detection.minimum_impact_usd:g}"],
            }
        }
        name = Names.unique_resource_name(self, max_length=90, separator="-")
        for frequency, addresses in subscribers.items():
            ce.CfnAnomalySubscription(
                self,
                frequency.title(),
                subscription_name=f"{name}-{frequency.lower()}",
                frequency=frequency,
                monitor_arn_list=[self.monitor.attr_monitor_arn],
                threshold_expression=json.dumps(threshold),
                subscribers=[
                    ce.CfnAnomalySubscription.SubscriberProperty(type=kind, address=address)
                    for kind, address in addresses
                ],
            )

    def _make_monitor(self, tags: Mapping[str, Sequence[str]]) -> ce.CfnAnomalyMonitor:
        name = Names.unique_resource_name(self, max_length=100, separator="-")
        if not tags:
            return ce.CfnAnomalyMonitor(
                self, "Monitor", monitor_name=name, monitor_type="DIMENSIONAL", monitor_dimension="SERVICE"
            )
        ((key, values),) = tags.items()
        return ce.CfnAnomalyMonitor(
            self,
            "Monitor",
            monitor_name=name,
            monitor_type="CUSTOM",
            monitor_specification=json.dumps({"Tags": {"Key": key, "Values": list(values)}}),
        )
