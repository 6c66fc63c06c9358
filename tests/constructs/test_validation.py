"""What is a token is what CDK calls one, and which time zones there are is what the database says."""

from __future__ import annotations

import zoneinfo
from typing import Any

import aws_cdk as cdk
import pytest

from cdk_data_science._validation import is_token, known_time_zone

REFERENCE = {"Ref": "A"}
TOKENS: dict[str, Any] = {
    "text": cdk.Token.as_string(REFERENCE),
    "part of a text": f"arn:{cdk.Aws.PARTITION}:s3:::a",
    "number": cdk.Token.as_number(REFERENCE),
    "list": cdk.Token.as_list(REFERENCE),
    "object": cdk.Token.as_any(REFERENCE),
}
VALUES: dict[str, Any] = {
    "text": "a ${Ref} of #{something}",
    "text that looks like one": "Token[A.1]",
    "empty": "",
    "truth": True,
    "whole": 10**400,
    "negative": -(10**18),
    "small": -1.7e308,
    "list": ["a", "b"],
    "mapping": REFERENCE,
    "duration": cdk.Duration.days(1),
    "nothing": None,
}


@pytest.mark.parametrize("value", TOKENS.values(), ids=TOKENS)
def test_a_value_of_the_deployment_is_a_token(value: Any) -> None:
    assert cdk.Token.is_unresolved(value)
    assert is_token(value)


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_any_other_value_is_none(value: Any) -> None:
    assert not is_token(value)


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
def test_what_json_has_no_number_for_is_not_asked_of_cdk(number: float) -> None:
    assert not is_token(number)


def test_a_time_zone_is_one_of_the_database() -> None:
    assert known_time_zone("Europe/Berlin")
    assert known_time_zone("Etc/UTC")
    assert not known_time_zone("Europe/Atlantis")
    assert all(known_time_zone(name) for name in zoneinfo.available_timezones())
