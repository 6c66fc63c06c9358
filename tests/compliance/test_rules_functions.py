"""The rules about functions let the right template pass and name what is wrong in the wrong one."""

from __future__ import annotations

import pytest

from tests.compliance import rules
from tests.compliance.examples import (
    LOGS,
    Example,
    arn,
    both_kinds,
    function,
    holds,
    ids,
    platform,
    resource,
)

EXAMPLES: list[Example] = [
    (rules.careless_functions, "careful", platform(F=function(), Logs=LOGS), None),
    (
        rules.careless_functions,
        "log group by name",
        platform(
            F=function(LoggingConfig={}),
            Logs=resource(
                "AWS::Logs::LogGroup",
                LogGroupName={"Fn::Join": ["", ["/aws/lambda/", {"Ref": "F"}]]},
                RetentionInDays=1,
            ),
        ),
        None,
    ),
    (rules.careless_functions, "no timeout", platform(F=resource("AWS::Lambda::Function")), "no timeout"),
    (rules.careless_functions, "no log group", platform(F=function(LoggingConfig={})), "no log group"),
    (
        rules.careless_functions,
        "kept for ever",
        platform(F=function(), Logs=resource("AWS::Logs::LogGroup")),
        "for ever",
    ),
    (
        rules.careless_functions,
        "wildcard",
        platform(F=function(Environment={"Variables": {"ALLOWED": "*"}}), Logs=LOGS),
        "ALLOWED holds a wildcard",
    ),
    (
        rules.lost_invocations,
        "lost",
        platform(F=function(), R=resource("AWS::Events::Rule", Targets=[{"Id": "a", "Arn": arn("F")}])),
        "what fails there is lost",
    ),
    (
        rules.lost_invocations,
        "lost behind an alias",
        platform(
            F=function(),
            A=resource("AWS::Lambda::Alias", FunctionName={"Ref": "F"}),
            S=resource("AWS::SNS::Subscription", Protocol="lambda", Endpoint={"Ref": "A"}),
        ),
        "what fails there is lost",
    ),
    (
        rules.lost_invocations,
        "dead letters",
        platform(
            F=function(DeadLetterConfig={"TargetArn": "q"}),
            R=resource("AWS::Events::Rule", Targets=[{"Id": "a", "Arn": arn("F")}]),
        ),
        None,
    ),
    (
        rules.lost_invocations,
        "failure destination",
        platform(
            F=function(),
            R=resource("AWS::Events::Rule", Targets=[{"Id": "a", "Arn": arn("F")}]),
            C=resource(
                "AWS::Lambda::EventInvokeConfig",
                FunctionName={"Ref": "F"},
                DestinationConfig={"OnFailure": {"Destination": "q"}},
            ),
        ),
        None,
    ),
    (
        rules.lost_events,
        "no dead letters",
        platform(R=resource("AWS::Events::Rule", Targets=[{"Id": "a"}])),
        "a has no dead",
    ),
    (
        rules.lost_events,
        "dead letters",
        platform(R=resource("AWS::Events::Rule", Targets=[{"Id": "a", "DeadLetterConfig": {"Arn": "q"}}])),
        None,
    ),
]


@pytest.mark.parametrize("example", EXAMPLES, ids=ids(EXAMPLES))
def test_a_rule_names_what_is_wrong_and_nothing_else(example: Example) -> None:
    holds(example)


def test_every_rule_has_an_example_that_passes_and_one_that_does_not() -> None:
    both_kinds(EXAMPLES)
