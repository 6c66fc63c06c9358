"""When an app that nobody uses is shut down."""

from __future__ import annotations

from dataclasses import dataclass

from cdk_data_science._validation import Problems, in_order, is_token, is_whole

SHORTEST, LONGEST = 60, 525_600


@dataclass(frozen=True, kw_only=True, slots=True)
class IdleShutdown:
    """JupyterLab and Code Editor apps end when nothing runs in them and nobody touches them.

    Follows https://docs.aws.amazon.com/sagemaker/latest/dg/studio-updated-idle-shutdown.html.
    """

    minutes: int = 120
    """Idle minutes until the app ends, 60 to 525600. Default: 120."""
    longest_minutes: int | None = None
    """The most that a person may set in a space, 60 to 525600. Default: eight hours, or ``minutes`` if that
    is more."""

    @property
    def most(self) -> int:
        """The most that a person may set."""
        if self.longest_minutes is not None:
            return self.longest_minutes
        return max(self.minutes, 480) if is_whole(self.minutes, 0) else self.minutes

    def check(self, problems: Problems) -> None:
        """Record what cannot work in these times."""
        for name, value in (("minutes", self.minutes), ("longest_minutes", self.most)):
            whole = is_whole(value, 0)
            problems.check(
                is_token(value) or (whole and SHORTEST <= value <= LONGEST),
                given=f"IdleShutdown({name}={value!r})",
                allowed=f"{SHORTEST} to {LONGEST} minutes, a whole number",
                write=f"IdleShutdown({name}={min(max(value, SHORTEST), LONGEST) if whole else 120})",
            )
        problems.check(
            in_order(self.minutes, self.most),
            given=f"IdleShutdown(minutes={self.minutes}, longest_minutes={self.most})",
            allowed="minutes that are at most longest_minutes",
        )
