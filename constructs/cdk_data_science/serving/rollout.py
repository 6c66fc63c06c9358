"""How a new model takes over from the old one."""

from __future__ import annotations

import math
from dataclasses import dataclass

from aws_cdk import Duration

from cdk_data_science._validation import Problems, is_token

LONGEST_BAKE_SECONDS = 24 * 60 * 60
_CHECK_SECONDS = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Canary:
    """With a few per cent of the traffic first, watched for a while, then with all of it.

    A function's alias takes any share and bakes for up to a day. An endpoint's fleet takes 1 to 50 per cent,
    as a whole number, in instances, and bakes for up to an hour.
    """

    percent: float = 10
    """Share of the traffic, in per cent: more than 0, less than 100."""
    bake: Duration | None = None
    """Time with that share, up to one day; ten minutes if not given. A pipeline checks it every minute."""

    @property
    def bake_seconds(self) -> float:
        """The time with the canary's share, in seconds."""
        return 600.0 if self.bake is None else float(self.bake.to_seconds(integral=False))

    @property
    def checks(self) -> int:
        """How often the canary is checked before it is promoted."""
        return max(1, math.ceil(self.bake_seconds / _CHECK_SECONDS))

    @property
    def interval(self) -> Duration:
        """Time before each check; Step Functions waits whole seconds."""
        return Duration.seconds(math.ceil(self.bake_seconds / self.checks))

    def check(self, problems: Problems) -> None:
        """Report what a pipeline cannot roll a function out by."""
        problems.check(
            is_token(self.percent) or 0 < self.percent < 100,
            given=f"percent={self.percent}",
            allowed="more than 0, less than 100",
            write="percent=10",
        )
        problems.check(
            0 <= self.bake_seconds <= LONGEST_BAKE_SECONDS,
            given=f"bake={self.bake_seconds:g} s",
            allowed="0 s to one day",
            write="bake=Duration.minutes(10)",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class AllAtOnce:
    """With all of the traffic as soon as the new fleet answers; the old fleet waits beside it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Linear:
    """In equal steps, each watched for a while. Endpoints only."""

    percent: int = 25
    """Share of each step, in per cent of the instances: 10 to 50."""
    bake: Duration | None = None
    """Time after each step, up to an hour; five minutes if not given."""

    @property
    def bake_seconds(self) -> float:
        """The time after each step, in seconds."""
        return 300.0 if self.bake is None else float(self.bake.to_seconds(integral=False))


@dataclass(frozen=True, kw_only=True, slots=True)
class Rolling:
    """A few instances at a time, without a second fleet: the cheapest for large instances. Endpoints only."""

    percent: int = 25
    """Share of the instances that is replaced at a time, in per cent: 5 to 50."""
    bake: Duration | None = None
    """Time after each batch, up to an hour; five minutes if not given."""
    rollback_percent: int | None = None
    """Share that is replaced at a time when it is rolled back: 5 to 100. Default: all at once."""

    @property
    def bake_seconds(self) -> float:
        """The time after each batch, in seconds."""
        return 300.0 if self.bake is None else float(self.bake.to_seconds(integral=False))


Rollout = AllAtOnce | Canary | Linear | Rolling
