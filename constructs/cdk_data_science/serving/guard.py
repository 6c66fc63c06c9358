"""How much worse than the live version a new one may be while it is a canary."""

from __future__ import annotations

from dataclasses import dataclass

from cdk_data_science._validation import Problems, is_token


@dataclass(frozen=True, kw_only=True, slots=True)
class CanaryGuard:
    """Error budget, latency and data quality of a canary. Breaking one of them brings the old version back.

    The last three compare the two versions in the same time, once both have enough calls. A model that was
    trained anew may well be surer or less sure of its answers: the bound is for one that is so by far, as
    when an input has changed its unit.
    """

    failed_percent: float = 0
    """Share of its calls that it may fail, in per cent, 0 to less than 100. Default: none."""
    slower_percent: float | None = 100
    """How much longer its slowest hundredth may take, in per cent; less than 5 ms are never too much. None:
    not compared. The alarm on the function's duration counts all the same."""
    refused_points: float | None = 5
    """How many percentage points more of its requests it may refuse as wrong. None: not compared."""
    confidence_shift: float | None = 0.2
    """How far the mean probability of its likeliest classes may lie from the live version's, 0 to 1. None:
    not compared."""
    minimum_calls: int = 100
    """Calls of each version below which they are not compared, 1 or more."""

    def check(self, problems: Problems) -> None:
        """Report bounds that would stop nothing, or everything."""
        problems.check(
            is_token(self.failed_percent) or 0 <= self.failed_percent < 100,
            given=f"failed_percent={self.failed_percent}",
            allowed="0 to less than 100",
            write="failed_percent=0",
        )
        for name, value, most in (
            ("slower_percent", self.slower_percent, 10_000),
            ("refused_points", self.refused_points, 100),
            ("confidence_shift", self.confidence_shift, 1),
        ):
            problems.check(
                value is None or is_token(value) or 0 < value <= most,
                given=f"{name}={value}",
                allowed=f"more than 0, at most {most}, or None to leave it out",
            )
        problems.check(
            is_token(self.minimum_calls) or self.minimum_calls >= 1,
            given=f"minimum_calls={self.minimum_calls}",
            allowed="1 or more",
            write="minimum_calls=100",
        )

    def as_event(self) -> dict[str, float | int | None]:
        """What the deploy handlers are told."""
        bounds = {
            "slower_percent": self.slower_percent,
            "refused_points": self.refused_points,
            "confidence_shift": self.confidence_shift,
        }
        return {
            "failed_percent": self.failed_percent,
            **{name: value for name, value in bounds.items() if value is not None},
            "minimum_calls": self.minimum_calls,
        }
