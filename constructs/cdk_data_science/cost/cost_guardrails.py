"""A monthly budget with alerts, and anomaly detection."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import Names, Stack
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_ce as ce
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk_data_science._validation import Problems, is_token
from cdk_data_science.cost import _checks

BUDGETS = "budgets.amazonaws.com"
COST_ALERTS = "costalerts.amazonaws.com"


@dataclass(frozen=True, kw_only=True, slots=True)
class AnomalyDetection:
    """Alerts on spending that is unusual for the account, whatever the budget says."""

    minimum_impact_usd: float = 10
    """Alert from this total impact in USD on, 0 or more. Default: 10."""

    def check(self, problems: Problems) -> None:
        """Record what cannot work in these options."""
        problems.check(
            is_token(self.minimum_impact_usd) or self.minimum_impact_usd >= 0,
            given=f"minimum_impact_usd={self.minimum_impact_usd}",
            allowed="0 or more",
            write="minimum_impact_usd=10",
        )


class CostGuardrails(Construct):
    """A monthly cost budget that tells people before the money is gone.

    A budget for the whole account, or for what carries some tags, with alerts at shares of the limit, for
    what was spent and for what the month is forecast to cost. Alerts go by mail and to an encrypted topic
    that only AWS
    Budgets and Cost Anomaly Detection, acting for this account, can publish to.

    Budgets and anomaly detection belong to the account and see all of its regions; the stack can be in any
    region of the ``aws`` partition. A filter by tags counts only once its keys are active cost allocation
    tags, from then on.

    **Costs at rest**: 1 USD a month for the topic's key; the budget and the anomaly monitor are free.

    ```python
    from cdk_data_science.cost import CostGuardrails

    guardrails = CostGuardrails(
        self,
        "Cost",
        monthly_limit_usd=500,
        alert_emails=["ml-platform@example.com"],
        tags={"application": ["reviews"], "environment": ["dev"]},
    )
    guardrails.topic.topic_arn
    ```

    Args:
        monthly_limit_usd: The budget in USD a month, more than 0.
        alert_emails: Addresses to which AWS Budgets writes, at most 10. Default: none, the topic only.
        topic: Receives the alerts. A topic of the app is given the permissions that it needs; an imported one
            has to have them. Default: a new topic.
        key: Encrypts the new topic. Default: a new key.
        thresholds: Percent of the limit actually spent that alert, each more than 0 and at most 1000.
            Default: 50, 80, 100.
        forecast_thresholds: Percent of the limit forecast for the month that alert. Default: 100. A budget
            has at most 10 thresholds of both kinds.
        tags: Count only what has one of these values for each of these keys. Default: the whole account.
        anomalies: Detect unusual spending too. With ``tags`` the monitor watches the same costs, for one key;
            without, all services of the account, and AWS allows one such monitor in an account. Default:
            None, no monitor.

    Raises:
        ConfigurationError: For values that AWS would refuse, and for regions without budgets in USD; all
            mistakes at once.

    Follows https://docs.aws.amazon.com/cost-management/latest/userguide/budgets-sns-policy.html.
    """

    topic: sns.ITopic
    """Where the alerts arrive."""

    budget: budgets.CfnBudget
    """The budget."""

    monitor: ce.CfnAnomalyMonitor | None
    """The anomaly monitor, if there is one."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        monthly_limit_usd: float,
        alert_emails: Sequence[str] = (),
        topic: sns.ITopic | None = None,
        key: kms.IKey | None = None,
        thresholds: Sequence[float] = (50, 80, 100),
        forecast_thresholds: Sequence[float] = (100,),
        tags: Mapping[str, Sequence[str]] | None = None,
        anomalies: AnomalyDetection | None = None,
    ) -> None:
        super().__init__(scope, id)
        tags = tags if tags is not None else {}
        problems = Problems("CostGuardrails", self)
        _checks.limit(problems, monthly_limit_usd)
        _checks.emails(problems, alert_emails)
        _checks.thresholds(problems, thresholds, forecast_thresholds)
        _checks.tags(problems, tags, anomalies=anomalies is not None)
        _checks.region(problems, Stack.of(self).region)
        problems.check(
            topic is None or key is None,
            given="topic and key",
            allowed="a key only for the topic that is made here",
            write="CostGuardrails(…, topic=topic)",
        )
        if anomalies is not None:
            anomalies.check(problems)
        problems.raise_if_any()

        self.topic = topic if topic is not None else self._make_topic(key)
        publishers = [BUDGETS] if anomalies is None else [BUDGETS, COST_ALERTS]
        self._let_publish(publishers)
        self.budget = self._make_budget(
            monthly_limit_usd, alert_emails, {"ACTUAL": thresholds, "FORECASTED": forecast_thresholds}, tags
        )
        self.monitor = None
        if anomalies is not None:
            self.monitor = self._make_monitor(tags)
            self._subscribe(self.monitor, anomalies, alert_emails)

    def _make_topic(self, key: kms.IKey | None) -> sns.Topic:
        if key is None:
            key = kms.Key(
                self, "Key", description=f"Cost alerts of {self.node.path}", enable_key_rotation=True
            )
        return sns.Topic(self, "Topic", display_name="Cost alerts", master_key=key, enforce_ssl=True)

    def _let_publish(self, services: Sequence[str]) -> None:
        """Publishing to an encrypted topic takes a permission on the topic and one on its key."""
        conditions = {"StringEquals": {"aws:SourceAccount": Stack.of(self).account}}
        for service in services:
            principal = iam.ServicePrincipal(service)
            self.topic.add_to_resource_policy(
                iam.PolicyStatement(
                    sid=f"Publish{service.split('.')[0].title()}",
                    principals=[principal],
                    actions=["sns:Publish"],
                    resources=[self.topic.topic_arn],
                    conditions=conditions,
                )
            )
            key = self.topic.master_key
            if key is not None:
                key.add_to_resource_policy(
                    iam.PolicyStatement(
                        sid=f"Encrypt{service.split('.')[0].title()}",
                        principals=[principal],
                        actions=["kms:GenerateDataKey", "kms:Decrypt"],
                        resources=["*"],  # in a key's policy: this key
                        conditions=conditions,
                    )
                )

    def _make_budget(
        self,
        limit: float,
        emails: Sequence[str],
        thresholds: Mapping[str, Sequence[float]],
        tags: Mapping[str, Sequence[str]],
    ) -> budgets.CfnBudget:
        subscribers = [
            budgets.CfnBudget.SubscriberProperty(subscription_type="SNS", address=self.topic.topic_arn),
            *(
                budgets.CfnBudget.SubscriberProperty(subscription_type="EMAIL", address=mail)
                for mail in emails
            ),
        ]
        budget = budgets.CfnBudget(
            self,
            "Budget",
            budget=budgets.CfnBudget.BudgetDataProperty(
                budget_type="COST",
                time_unit="MONTHLY",
                budget_limit=budgets.CfnBudget.SpendProperty(amount=limit, unit="USD"),
                filter_expression=_filter(tags),
                # A budget with a filter expression names the cost it adds up.
                metrics=["UnblendedCost"] if tags else None,
            ),
            notifications_with_subscribers=[
                budgets.CfnBudget.NotificationWithSubscribersProperty(
                    notification=budgets.CfnBudget.NotificationProperty(
                        comparison_operator="GREATER_THAN",
                        notification_type=kind,
                        threshold=percent,
                        threshold_type="PERCENTAGE",
                    ),
                    subscribers=subscribers,
                )
                for kind, percents in thresholds.items()
                for percent in percents
            ],
        )
        self._after_topic_policy(budget)
        return budget

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

    def _subscribe(
        self, monitor: ce.CfnAnomalyMonitor, anomalies: AnomalyDetection, emails: Sequence[str]
    ) -> None:
        """The topic at once; people once a day, the most often that Cost Anomaly Detection writes mail."""
        subscribers = {"IMMEDIATE": [("SNS", self.topic.topic_arn)]}
        if emails:
            subscribers["DAILY"] = [("EMAIL", mail) for mail in emails]
        threshold = {
            "Dimensions": {
                "Key": "ANOMALY_TOTAL_IMPACT_ABSOLUTE",
                "MatchOptions": ["GREATER_THAN_OR_EQUAL"],
                "Values": [f"{anomalies.minimum_impact_usd:g}"],
            }
        }
        name = Names.unique_resource_name(self, max_length=100, separator="-")
        for frequency, addresses in subscribers.items():
            subscription = ce.CfnAnomalySubscription(
                self,
                f"{frequency.title()}Anomalies",
                subscription_name=f"{name}-{frequency.lower()}",
                frequency=frequency,
                monitor_arn_list=[monitor.attr_monitor_arn],
                threshold_expression=json.dumps(threshold),
                subscribers=[
                    ce.CfnAnomalySubscription.SubscriberProperty(type=kind, address=address)
                    for kind, address in addresses
                ],
            )
            self._after_topic_policy(subscription)

    def _after_topic_policy(self, publisher: Construct) -> None:
        """The topic admits a publisher before there is anything to publish. An imported topic has no policy
        here."""
        policy = self.topic.node.try_find_child("Policy")
        if policy is not None:
            publisher.node.add_dependency(policy)


def _filter(tags: Mapping[str, Sequence[str]]) -> budgets.CfnBudget.ExpressionProperty | None:
    """All keys have to match, each by one of its values."""
    matches = [
        budgets.CfnBudget.ExpressionProperty(
            tags=budgets.CfnBudget.TagValuesProperty(key=key, values=list(values), match_options=["EQUALS"])
        )
        for key, values in tags.items()
    ]
    if len(matches) > 1:
        return budgets.CfnBudget.ExpressionProperty(and_=matches)
    return matches[0] if matches else None
