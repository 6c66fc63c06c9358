"""Monthly budgets with alerts, an action that stops accelerators, and anomaly detection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import Stack, aws_budgets
from aws_cdk import aws_ce as ce
from aws_cdk import aws_cloudwatch_actions as cloudwatch_actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct, IConstruct

from cdk_data_science._encryption import allow_alarms, allow_log_groups
from cdk_data_science._validation import Problems
from cdk_data_science.cost import _checks
from cdk_data_science.cost.accelerator_stop import AcceleratorStop, BudgetStop, subscribers_of
from cdk_data_science.cost.anomalies import AnomalyDetection, AnomalyMonitor
from cdk_data_science.cost.budgets import CommitmentBudget, CostBudget
from cdk_data_science.cost.chat import ChatNotifications, SlackChannel, TeamsChannel


class CostGuardrails(Construct):
    """Monthly budgets that tell people before the money is gone, and stop the most expensive instances after.

    A budget for the whole account, or for what carries some tags, with alerts at shares of the limit, for
    what was spent and for what the month is forecast to cost; more budgets for parts, by tag and service;
    budgets for how well Savings Plans and reservations are used. Alerts go by mail, to a chat channel and to
    an encrypted topic that only AWS Budgets and Cost Anomaly Detection, acting for this account, can publish
    to. An action of the first budget can deny starting accelerators to some roles.

    Budgets and anomaly detection belong to the account and see all of its regions; the stack can be in any
    region of the ``aws`` partition. A filter by tags counts only once its keys are active cost allocation
    tags, from then on.

    **Costs at rest**: 1 USD a month for the topic's key; budgets and the anomaly monitor are free. With
    ``stop_accelerators`` 0.10 USD a month for an alarm, and 0.10 USD a day for a budget with an action beyond
    the account's first two.

    ```python
    from aws_cdk import aws_iam as iam
    from cdk_data_science.cost import AcceleratorStop, CostBudget, CostGuardrails

    scientist = iam.Role.from_role_name(self, "Scientist", "DataScientist")
    guardrails = CostGuardrails(
        self,
        "Cost",
        monthly_limit_usd=500,
        alert_emails=["ml-platform@example.com"],
        tags={"application": ["reviews"], "environment": ["dev"]},
        budgets=[CostBudget(name="search-team", monthly_limit_usd=100, tags={"team": ["search"]})],
        stop_accelerators=AcceleratorStop(roles=[scientist], allowed_accelerators=1),
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
        budgets: More budgets, of parts of the costs. Default: none.
        commitments: Budgets of how much Savings Plans and reservations cover and are used. Default: none.
        stop_accelerators: What the first budget does beside telling. A given topic has to have a key.
            Default: nothing.
        chat: A channel that shows the alerts. Default: none.
        anomalies: Detect unusual spending too. With ``tags`` the monitor watches the same costs, for one key,
            and can be made in the management account only; without, it watches all services of the account,
            and AWS allows one such monitor in an account. Default: None, no monitor.

    Raises:
        ConfigurationError: For values that AWS would refuse, and for regions without budgets in USD; all
            mistakes at once.

    Follows https://docs.aws.amazon.com/cost-management/latest/userguide/budgets-sns-policy.html and
    https://docs.aws.amazon.com/cost-management/latest/userguide/budgets-controls.html.
    """

    topic: sns.ITopic
    """Where the alerts arrive."""

    budget: aws_budgets.CfnBudget
    """The first budget."""

    parts: dict[str, aws_budgets.CfnBudget]
    """The budgets of parts of the costs, by their names."""

    stop: BudgetStop | None
    """The action on the first budget, if there is one."""

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
        budgets: Sequence[CostBudget] = (),
        commitments: Sequence[CommitmentBudget] = (),
        stop_accelerators: AcceleratorStop | None = None,
        chat: SlackChannel | TeamsChannel | None = None,
        anomalies: AnomalyDetection | None = None,
    ) -> None:
        super().__init__(scope, id)
        total = CostBudget(
            name="total",
            monthly_limit_usd=monthly_limit_usd,
            tags=tags if tags is not None else {},
            thresholds=thresholds,
            forecast_thresholds=forecast_thresholds,
        )
        problems = Problems("CostGuardrails", self)
        _check_kinds(problems, tags, budgets, commitments, stop_accelerators, chat, anomalies)
        if topic is not None:
            problems.check_constructs("topic", topic, write='sns.Topic.from_topic_arn(self, "Topic", …)')
        problems.raise_if_any()
        _check_total(problems, total, alert_emails, anomalies)
        _check_parts(problems, budgets, commitments)
        _checks.region(problems, Stack.of(self).region)
        problems.check(
            topic is None or key is None,
            given="topic and key",
            allowed="a key only for the topic that is made here",
            write="CostGuardrails(…, topic=topic)",
        )
        if stop_accelerators is not None:
            stop_accelerators.check(problems, Stack.of(self).account)
            problems.check(
                topic is None or topic.master_key is not None,
                given="stop_accelerators and a topic without a key of the app",
                allowed="a topic with a key, which encrypts the log and the dead letters of what lifts, too",
                write="CostGuardrails(…, key=key), or neither",
            )
        if chat is not None:
            chat.check(problems)
        problems.raise_if_any()

        self._emails = list(alert_emails)
        self.topic = topic if topic is not None else self._make_topic(key)
        self._let_publish([_checks.BUDGETS] if anomalies is None else [_checks.BUDGETS, _checks.COST_ALERTS])
        self.budget = self._make_budget("Budget", total)
        self.parts = {part.name: self._make_budget(f"Budget-{part.name}", part) for part in budgets}
        for commitment in commitments:
            self._make_budget(commitment.id, commitment)
        self.stop = None if stop_accelerators is None else self._make_stop(stop_accelerators)
        if chat is not None:
            ChatNotifications(self, "Chat", channel=chat, topic=self.topic)
        self.monitor = None
        if anomalies is not None:
            detector = AnomalyMonitor(
                self, "Anomalies", detection=anomalies, tags=total.tags, topic=self.topic, emails=self._emails
            )
            self._after_topic_policy(detector)
            self.monitor = detector.monitor

    def _make_topic(self, key: kms.IKey | None) -> sns.Topic:
        if key is None:
            key = kms.Key(
                self, "Key", description=f"Cost alerts of {self.node.path}", enable_key_rotation=True
            )
        return sns.Topic(self, "Topic", display_name="Cost alerts", master_key=key, enforce_ssl=True)

    def _let_publish(self, services: Sequence[str], *, encrypt: bool = True) -> None:
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
            if key is not None and encrypt:
                key.add_to_resource_policy(
                    iam.PolicyStatement(
                        sid=f"Encrypt{service.split('.')[0].title()}",
                        principals=[principal],
                        actions=["kms:GenerateDataKey", "kms:Decrypt"],
                        resources=["*"],  # in a key's policy: this key
                        conditions=conditions,
                    )
                )

    def _make_budget(self, id: str, definition: CostBudget | CommitmentBudget) -> aws_budgets.CfnBudget:
        addresses = [("SNS", self.topic.topic_arn), *(("EMAIL", mail) for mail in self._emails)]
        subscribers = [
            aws_budgets.CfnBudget.SubscriberProperty(subscription_type=kind, address=address)
            for kind, address in addresses
        ]
        budget = aws_budgets.CfnBudget(
            self,
            id,
            budget=definition.data(),
            notifications_with_subscribers=definition.notifications(subscribers),
        )
        self._after_topic_policy(budget)
        return budget

    def _make_stop(self, stop: AcceleratorStop) -> BudgetStop:
        key = self.topic.master_key
        assert key is not None  # checked above
        allow_log_groups(key)
        allow_alarms(key)  # the alarm on what did not lift
        self._let_publish(["cloudwatch.amazonaws.com"], encrypt=False)
        made = BudgetStop(
            self,
            "Stop",
            stop=stop,
            budget=self.budget,
            subscribers=subscribers_of(self.topic.topic_arn, self._emails),
            key=key,
        )
        self._after_topic_policy(made.action)
        made.lifting.alarm.add_alarm_action(cloudwatch_actions.SnsAction(self.topic))
        return made

    def _after_topic_policy(self, publisher: IConstruct) -> None:
        """The topic admits a publisher before there is anything to publish. An imported topic has no policy
        here."""
        policy = self.topic.node.try_find_child("Policy")
        if policy is not None:
            publisher.node.add_dependency(policy)


def _check_kinds(
    problems: Problems,
    tags: Mapping[str, Sequence[str]] | None,
    budgets: Sequence[CostBudget],
    commitments: Sequence[CommitmentBudget],
    stop: AcceleratorStop | None,
    chat: SlackChannel | TeamsChannel | None,
    anomalies: AnomalyDetection | None,
) -> None:
    problems.check_kind("tags", tags or {}, Mapping, write='{"team": ["search"]}')
    problems.check_each("budgets", budgets, CostBudget, write="CostBudget(…)")
    problems.check_each("commitments", commitments, CommitmentBudget, write="CommitmentBudget(…)")
    if stop is not None:
        problems.check_kind("stop_accelerators", stop, AcceleratorStop, write="AcceleratorStop(roles=[…])")
        if isinstance(stop, AcceleratorStop):
            stop.check_kinds(problems)
    if chat is not None:
        problems.check_kind("chat", chat, (SlackChannel, TeamsChannel), write="SlackChannel(…)")
    if anomalies is not None:
        problems.check_kind("anomalies", anomalies, AnomalyDetection, write="AnomalyDetection()")


def _check_total(
    problems: Problems, total: CostBudget, emails: Sequence[str], anomalies: AnomalyDetection | None
) -> None:
    _checks.limit(problems, total.monthly_limit_usd)
    _checks.emails(problems, emails)
    _checks.thresholds(problems, total.thresholds, total.forecast_thresholds)
    _checks.tags(problems, total.tags)
    if anomalies is not None:
        anomalies.check(problems)
        _checks.monitored_tags(problems, total.tags)


def _check_parts(
    problems: Problems, parts: Sequence[CostBudget], commitments: Sequence[CommitmentBudget]
) -> None:
    for part in parts:
        part.check(problems)
    for commitment in commitments:
        commitment.check(problems)
    names = [part.name for part in parts]
    problems.check(len(set(names)) == len(names), given=f"budgets named {names}", allowed="each name once")
    ids = [commitment.id for commitment in commitments if commitment.is_known]
    problems.check(
        len(set(ids)) == len(ids),
        given=f"commitments {ids}",
        allowed="each of a service once",
        write="the higher minimum_percent",
    )
