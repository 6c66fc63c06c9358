"""What AWS Budgets would refuse, told at construction."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from cdk_data_science._validation import Problems, is_token
from cdk_data_science.cost._tag_rules import check_key

BUDGETS = "budgets.amazonaws.com"
COST_ALERTS = "costalerts.amazonaws.com"

_EMAIL = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>.]+")
_NAME = re.compile(r"[A-Za-z0-9-]{1,40}")
_MOST_EMAILS = 10
_MOST_NOTIFICATIONS = 10
_HIGHEST_THRESHOLD = 1000
MOST_USD = 1e12


def is_number(value: object, *, most: float = _HIGHEST_THRESHOLD) -> bool:
    """Whether it is a number, more than 0, or known only at deployment."""
    if isinstance(value, float) and not math.isfinite(value):  # jsii cannot be asked whether it is a token
        return False
    if is_token(value):
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= most


def limit(problems: Problems, usd: object) -> None:
    problems.check(
        is_number(usd, most=MOST_USD),
        given=f"monthly_limit_usd={usd!r}",
        allowed="a number of USD, more than 0: AWS bills these accounts, and their budgets count, in USD",
        write="monthly_limit_usd=500",
    )


def name(problems: Problems, text: str) -> None:
    problems.check(
        _NAME.fullmatch(text) is not None,
        given=f"budget name {text!r}",
        allowed="1 to 40 letters, digits and hyphens",
        write='name="team-search"',
    )


def services(problems: Problems, names: Sequence[str]) -> None:
    problems.check(
        not isinstance(names, str),
        given=f"services={names!r}",
        allowed="a list of names as in Cost Explorer",
        write=f"services=[{names!r}]",
    )
    problems.check(
        isinstance(names, str) or all(names),
        given=f"services={names!r}",
        allowed="names as in Cost Explorer, none of them empty",
        write='services=["Amazon SageMaker"]',
    )


def emails(problems: Problems, addresses: Sequence[object]) -> None:
    problems.check(
        not isinstance(addresses, str),
        given=f"alert_emails={addresses!r}",
        allowed="a list of addresses",
        write=f"alert_emails=[{addresses!r}]",
    )
    problems.check(
        isinstance(addresses, str) or len(addresses) <= _MOST_EMAILS,
        given=f"{len(addresses)} addresses",
        allowed=f"at most {_MOST_EMAILS}",
        write="a mailing list's address, or subscriptions to the topic",
    )
    once = [] if isinstance(addresses, str) else list(dict.fromkeys(addresses))
    problems.check(
        isinstance(addresses, str) or len(once) == len(addresses),
        given=f"alert_emails={addresses!r}",
        allowed="each address once",
        write=f"{once!r}",
    )
    for mail in once:
        problems.check(
            is_token(mail) or (isinstance(mail, str) and bool(_EMAIL.fullmatch(mail))),
            given=f"alert_emails: {mail!r}",
            allowed="one address each",
            write='"ml-platform@example.com"',
        )


def thresholds(problems: Problems, actual: object, forecast: object) -> None:
    count = []
    for name, percents in (("thresholds", actual), ("forecast_thresholds", forecast)):
        if isinstance(percents, str) or not isinstance(percents, Sequence):
            problems.check(
                False, given=f"{name}={percents!r}", allowed="a list", write=f"{name}=({percents},)"
            )
            continue
        count.append(len(percents))
        for percent in percents:
            problems.check(
                is_number(percent),
                given=f"{name}: {percent!r}",
                allowed=f"percent of the limit, more than 0 and at most {_HIGHEST_THRESHOLD}",
                write="80",
            )
        problems.check(
            len(set(percents)) == len(percents),
            given=f"{name}={tuple(percents)}",
            allowed="each threshold once",
            write=f"{tuple(dict.fromkeys(percents))}",
        )
    problems.check(
        len(count) < 2 or 0 < sum(count) <= _MOST_NOTIFICATIONS,
        given=" thresholds and ".join(map(str, count)) + " forecast thresholds",
        allowed=f"1 to {_MOST_NOTIFICATIONS} of both",
        write="thresholds=(80, 100)",
    )


def tags(problems: Problems, by: Mapping[str, Sequence[str]]) -> None:
    for key, values in by.items():
        problems.check(
            not isinstance(values, str) and len(values) > 0 and all(values),
            given=f"tags: {key}={values!r}",
            allowed="a list of one value or more, none of them empty",
            write=f'tags={{"{key}": ["dev"]}}',
        )
        check_key(problems, key)


def monitored_tags(problems: Problems, by: Mapping[str, Sequence[str]]) -> None:
    problems.check(
        len(by) <= 1,
        given=f"anomalies and {len(by)} tag keys",
        allowed="anomaly detection by one tag key, because a monitor takes no more",
        write="a CostGuardrails of its own for each, or anomalies=None",
    )


def region(problems: Problems, name: str) -> None:
    if is_token(name):
        return
    problems.check(
        not name.startswith("us-gov-"),
        given=f"region {name}",
        allowed="regions where CloudFormation has budgets; AWS GovCloud (US) accounts are billed through, "
        "and budgeted in, their standard account",
        write="CostGuardrails in a stack of the standard account",
    )
    problems.check(
        not name.startswith("cn-"),
        given=f"region {name}",
        allowed="regions whose accounts are billed in USD; in China budgets count in CNY",
        write="budgets.CfnBudget with the unit CNY",
    )
