"""Names and times as SageMaker's endpoints and Lambda take them."""

from __future__ import annotations

import re

from aws_cdk import Duration, Token

from cdk_data_science._validation import Problems, is_token

NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
SHORTEST_TIMEOUT = 60
SHORTEST_PROVISION = 300
_LONGEST_TIMEOUT = 3600


def check_timeout(problems: Problems, name: str, value: Duration | None, least: int) -> None:
    """Report a time that SageMaker does not wait."""
    if value is None or value.is_unresolved():
        return
    given = value.to_seconds(integral=False)
    problems.check(
        least <= given <= _LONGEST_TIMEOUT and given == int(given),
        given=f"{name}={given:g} s",
        allowed=f"whole seconds, {least} s to one hour",
        write=f"{name}=Duration.minutes({max(10, least // 60)})",
    )


def check_seconds(
    problems: Problems,
    name: str,
    value: Duration | None,
    least: int,
    most: int,
    *,
    allowed: str,
    write: str | None = None,
) -> None:
    """Report a time that is not of whole seconds between two bounds; CDK itself would raise an error of its
    own at the first part of a second."""
    if value is None or value.is_unresolved():
        return
    given = value.to_seconds(integral=False)
    problems.check(
        least <= given <= most and given == int(given),
        given=f"{name}={given:g} s",
        allowed=f"whole seconds, {allowed}",
        write=write,
    )


def text(number: float) -> str:
    """A whole number as a variable of a function has it, also one that is known only at deployment."""
    return Token.as_string(number) if is_token(number) else f"{int(number)}"


def seconds(value: Duration | None) -> float | None:
    """A time as the API wants it."""
    return None if value is None else whole(value.to_seconds(integral=False))


def whole(number: float) -> float:
    """A number as the API wants it; one that is known only at deployment as it is."""
    return number if is_token(number) else int(number)
