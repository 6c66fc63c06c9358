"""Bounds of a variant's or a component's capacity, and how they change by the clock."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import TimeZone
from aws_cdk import aws_applicationautoscaling as appscaling

from cdk_data_science._validation import Problems, is_token

_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_DAY = "(MON|TUE|WED|THU|FRI|SAT|SUN)"
_DAYS = re.compile(f"{_DAY}(-{_DAY}|(,{_DAY})*)")


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduledCapacity:
    """Other bounds from a time on."""

    schedule: appscaling.Schedule
    minimum: int | None = None
    maximum: int | None = None
    time_zone: TimeZone | None = None
    """Default: UTC."""

    @staticmethod
    def working_hours(
        *,
        minimum: int,
        maximum: int,
        start: str = "08:00",
        end: str = "19:00",
        days: str = "MON-FRI",
        time_zone: TimeZone | None = None,
        off_minimum: int = 0,
        off_maximum: int = 0,
    ) -> tuple[ScheduledCapacity, ScheduledCapacity]:
        """Bounds of the day, and bounds of nights and weekends, by default none at all.

        For what scales to zero: the copies of an :class:`InferenceComponent`. Variants keep one instance at
        least; :class:`WorkingHours` deletes and makes again the endpoints of those.

        ```python
        from aws_cdk import TimeZone
        from cdk_data_science.serving import ScheduledCapacity

        day, night = ScheduledCapacity.working_hours(
            minimum=1, maximum=4, time_zone=TimeZone.EUROPE_BERLIN
        )
        assert (day.minimum, day.maximum, night.maximum) == (1, 4, 0)
        ```

        Args:
            minimum: The fewest in working hours.
            maximum: The most in working hours.
            start: HH:MM, on each of the days.
            end: HH:MM, every day.
            days: As cron has them: ``MON-FRI``, ``MON,WED``.
            time_zone: Of start and end. Default: UTC.
            off_minimum: The fewest outside of them.
            off_maximum: The most outside of them.

        Raises:
            ConfigurationError: what is no time of the day, or ends before it starts.
        """
        problems = Problems("ScheduledCapacity.working_hours")
        for name, time in (("start", start), ("end", end)):
            problems.check(
                _TIME.fullmatch(time) is not None,
                given=f"{name}={time!r}",
                allowed="HH:MM from 00:00 to 23:59",
                write=f'{name}="{"08:00" if name == "start" else "19:00"}"',
            )
        problems.check(
            start < end, given=f"start={start!r} and end={end!r}", allowed="an end after the start"
        )
        problems.check(
            _DAYS.fullmatch(days) is not None,
            given=f"days={days!r}",
            allowed="MON to SUN, with commas or a hyphen between them",
            write='days="MON-FRI"',
        )
        problems.raise_if_any()

        def at(time: str, week_day: str | None) -> appscaling.Schedule:
            hour, minute = time.split(":")
            return appscaling.Schedule.cron(hour=str(int(hour)), minute=str(int(minute)), week_day=week_day)

        return (
            ScheduledCapacity(
                schedule=at(start, days), minimum=minimum, maximum=maximum, time_zone=time_zone
            ),
            ScheduledCapacity(
                schedule=at(end, None), minimum=off_minimum, maximum=off_maximum, time_zone=time_zone
            ),
        )


def check_bounds(
    problems: Problems,
    where: str,
    minimum: int,
    maximum: int,
    schedule: Sequence[ScheduledCapacity],
    *,
    least: int,
) -> None:
    """Report bounds that Application Auto Scaling would refuse."""
    problems.check(
        is_token(minimum) or minimum >= least,
        given=f"minimum={minimum} {where}",
        allowed=f"{least} or more" + ("; 0 is for AsyncEndpoint" if least else ""),
        write=f"minimum={least}",
    )
    problems.check(
        any(map(is_token, (minimum, maximum))) or minimum <= maximum,
        given=f"minimum={minimum} and maximum={maximum} {where}",
        allowed="a maximum that is not below the minimum",
    )
    for each in schedule:
        low, high = each.minimum, each.maximum
        problems.check(
            low is not None or high is not None,
            given=f"a schedule {where} without bounds",
            allowed="a minimum, a maximum, or both",
        )
        problems.check(
            low is None or is_token(low) or low >= least,
            given=f"a schedule {where} with minimum={low}",
            allowed=f"{least} or more",
        )
        problems.check(
            low is None or high is None or any(map(is_token, (low, high))) or low <= high,
            given=f"a schedule {where} from {low} to {high}",
            allowed="a maximum that is not below the minimum",
        )
