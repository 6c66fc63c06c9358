"""The budgets that CostGuardrails makes: of costs, and of how well commitments are used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from aws_cdk import aws_budgets as budgets

from cdk_data_science._validation import Problems
from cdk_data_science.cost import _checks

_Notification = budgets.CfnBudget.NotificationWithSubscribersProperty


@dataclass(frozen=True, kw_only=True, slots=True)
class CostBudget:
    """A monthly budget for a part of the costs: what has the tags **and** is of the services.

    By team, application or environment: their tags. By person: the tag ``owner``, which a Studio domain that
    propagates tags puts from a user profile on what that person starts.
    """

    name: str
    """What the budget is for: 1 to 40 letters, digits and hyphens. Part of its name in AWS."""
    monthly_limit_usd: float
    """USD a month, more than 0."""
    tags: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Count only what has one of these values for each of these keys, which have to be active cost
    allocation tags."""
    services: Sequence[str] = ()
    """Count only these services, named as in Cost Explorer: ``Amazon SageMaker``."""
    thresholds: Sequence[float] = (50, 80, 100)
    """Percent of the limit actually spent that alert, each more than 0 and at most 1000."""
    forecast_thresholds: Sequence[float] = (100,)
    """Percent of the limit forecast for the month that alert; at most 10 of both kinds."""

    def check(self, problems: Problems) -> None:
        """Record what AWS Budgets would refuse."""
        _checks.name(problems, self.name)
        _checks.limit(problems, self.monthly_limit_usd)
        _checks.thresholds(problems, self.thresholds, self.forecast_thresholds)
        _checks.tags(problems, self.tags)
        _checks.services(problems, self.services)
        problems.check(
            bool(self.tags) or bool(self.services),
            given=f"budget {self.name!r} without tags and services",
            allowed="a part of the costs; the whole is monthly_limit_usd of CostGuardrails",
            write='tags={"team": ["search"]}',
        )

    def data(self) -> budgets.CfnBudget.BudgetDataProperty:
        """The budget as CloudFormation takes it."""
        expression = _expression(self.tags, self.services)
        return budgets.CfnBudget.BudgetDataProperty(
            budget_type="COST",
            time_unit="MONTHLY",
            budget_limit=budgets.CfnBudget.SpendProperty(amount=self.monthly_limit_usd, unit="USD"),
            filter_expression=expression,
            # A budget with a filter expression names the cost it adds up.
            metrics=None if expression is None else ["UnblendedCost"],
        )

    def notifications(
        self, subscribers: Sequence[budgets.CfnBudget.SubscriberProperty]
    ) -> list[_Notification]:
        """The alerts at shares of the limit."""
        kinds = {"ACTUAL": self.thresholds, "FORECASTED": self.forecast_thresholds}
        return [
            _notification(kind, "GREATER_THAN", percent, subscribers)
            for kind, percents in kinds.items()
            for percent in percents
        ]


class Commitment(StrEnum):
    """What was promised to AWS for a discount, and what is asked of it."""

    SAVINGS_PLANS_COVERAGE = "SAVINGS_PLANS_COVERAGE"
    """The share of eligible spending that Savings Plans cover: low, and more could be committed."""
    SAVINGS_PLANS_UTILIZATION = "SAVINGS_PLANS_UTILIZATION"
    """The share of the commitment that is used: low, and the rest is paid for nothing."""
    RESERVATION_COVERAGE = "RI_COVERAGE"
    """The share of instance hours that reservations cover, of one service."""
    RESERVATION_UTILIZATION = "RI_UTILIZATION"
    """The share of reserved hours that are used, of one service."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CommitmentBudget:
    """An alert when Savings Plans or reservations cover too little, or lie unused.

    SageMaker has Savings Plans and no reservations; Redshift and OpenSearch have reservations. Reports zero
    until something was bought, and then alerts: make it with the purchase.
    """

    commitment: Commitment
    minimum_percent: float
    """Alert below this, more than 0 and at most 100."""
    service: str | None = None
    """The service, named as in Cost Explorer (``Amazon Redshift``); required for reservations, and impossible
    for the utilization of Savings Plans."""

    @property
    def is_known(self) -> bool:
        """Whether the commitment is one; a text with its value is not."""
        given: object = self.commitment
        return isinstance(given, Commitment)

    @property
    def id(self) -> str:
        """The id of the budget's construct."""
        return self.commitment.name.title().replace("_", "") + (self.service or "").replace(" ", "")

    def check(self, problems: Problems) -> None:
        """Record what AWS Budgets would refuse."""
        problems.check(
            _checks.is_number(self.minimum_percent, most=100),
            given=f"minimum_percent={self.minimum_percent!r}",
            allowed="more than 0 and at most 100",
            write="minimum_percent=80",
        )
        problems.check(
            self.is_known,
            given=f"commitment={self.commitment!r}",
            allowed="a Commitment",
            write="commitment=Commitment.SAVINGS_PLANS_COVERAGE",
        )
        if not self.is_known:
            return
        reserved = self.commitment in (Commitment.RESERVATION_COVERAGE, Commitment.RESERVATION_UTILIZATION)
        problems.check(
            not reserved or bool(self.service),
            given=f"{self.commitment.name} without a service",
            allowed="reservations of one service",
            write='service="Amazon Redshift"',
        )
        problems.check(
            self.commitment is not Commitment.SAVINGS_PLANS_UTILIZATION or self.service is None,
            given=f"{self.commitment.name} of {self.service!r}",
            allowed="Savings Plans as a whole: what is used of them is not told by service",
            write="service=None",
        )

    def data(self) -> budgets.CfnBudget.BudgetDataProperty:
        """The budget as CloudFormation takes it. Its limit can only be 100 %; the alert says how much."""
        return budgets.CfnBudget.BudgetDataProperty(
            budget_type=self.commitment.value,
            time_unit="MONTHLY",
            budget_limit=budgets.CfnBudget.SpendProperty(amount=100, unit="PERCENTAGE"),
            cost_filters=None if self.service is None else {"Service": [self.service]},
        )

    def notifications(
        self, subscribers: Sequence[budgets.CfnBudget.SubscriberProperty]
    ) -> list[_Notification]:
        """The alert when less is covered or used."""
        return [_notification("ACTUAL", "LESS_THAN", self.minimum_percent, subscribers)]


def _notification(
    kind: str, comparison: str, percent: float, subscribers: Sequence[budgets.CfnBudget.SubscriberProperty]
) -> _Notification:
    return _Notification(
        notification=budgets.CfnBudget.NotificationProperty(
            comparison_operator=comparison,
            notification_type=kind,
            threshold=percent,
            threshold_type="PERCENTAGE",
        ),
        subscribers=list(subscribers),
    )


def _expression(
    tags: Mapping[str, Sequence[str]], services: Sequence[str]
) -> budgets.CfnBudget.ExpressionProperty | None:
    """Everything has to match: each key by one of its values, and one of the services."""
    matches = [
        budgets.CfnBudget.ExpressionProperty(
            tags=budgets.CfnBudget.TagValuesProperty(key=key, values=list(values), match_options=["EQUALS"])
        )
        for key, values in tags.items()
    ]
    if services:
        matches.append(
            budgets.CfnBudget.ExpressionProperty(
                dimensions=budgets.CfnBudget.ExpressionDimensionValuesProperty(
                    key="SERVICE", values=list(services), match_options=["EQUALS"]
                )
            )
        )
    if len(matches) > 1:
        return budgets.CfnBudget.ExpressionProperty(and_=matches)
    return matches[0] if matches else None
