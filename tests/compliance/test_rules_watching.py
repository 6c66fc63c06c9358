"""The rules about alarms let the right template pass and name what is wrong in the wrong one."""

from __future__ import annotations

import pytest

from tests.compliance import rules
from tests.compliance.examples import (
    Example,
    alarm,
    both_kinds,
    holds,
    ids,
    platform,
    resource,
)

EXAMPLES: list[Example] = [
    (rules.blind_alarms, "sees", platform(A=alarm()), None),
    (rules.blind_alarms, "no dimensions", platform(A=alarm(Dimensions=[])), "without dimensions"),
    (
        rules.blind_alarms,
        "no such metric",
        platform(A=alarm(MetricName="Failures")),
        "publishes no metric Failures",
    ),
    (
        rules.blind_alarms,
        "other dimensions",
        platform(A=alarm(Dimensions=[{"Name": "AliasName", "Value": "live"}])),
        "not published by ['AliasName']",
    ),
    (
        rules.blind_alarms,
        "in an expression",
        platform(
            A=resource(
                "AWS::CloudWatch::Alarm",
                Metrics=[
                    {
                        "Id": "m",
                        "MetricStat": {
                            "Metric": {"Namespace": "AWS/States", "MetricName": "ExecutionsFailed"}
                        },
                    }
                ],
            )
        ),
        "without dimensions",
    ),
]


@pytest.mark.parametrize("example", EXAMPLES, ids=ids(EXAMPLES))
def test_a_rule_names_what_is_wrong_and_nothing_else(example: Example) -> None:
    holds(example)


def test_every_rule_has_an_example_that_passes_and_one_that_does_not() -> None:
    both_kinds(EXAMPLES)
