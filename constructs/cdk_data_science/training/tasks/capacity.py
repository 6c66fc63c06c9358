"""What to do when SageMaker has no capacity: wait, take another instance type, take On-Demand.

The tries of a run are counted in one variable, 0 for the first. The first of them, as many as there are types
times rounds, are on Spot; with a fall back to On-Demand as many as there are types follow.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from aws_cdk import Duration, Tokenization
from aws_cdk import aws_kms as kms

from cdk_data_science._validation import Problems, is_token, is_whole
from cdk_data_science.hardware import InstanceUse
from cdk_data_science.training.checks import check_type, listed
from cdk_data_science.training.jobs.training_job import TrainingJob

TRIES_VARIABLE = "capacityTries"
REQUESTED_VARIABLE = "requested"
MOST_TRIES = 1000
_LONGEST_WAIT_SECONDS = 86_400

# SageMaker reports what it cannot provide as the failure reason of the job. The error's cause is the job's
# description, cut off where it is very long; a quote inside one of its texts has a backslash before it.
_ENDED = (
    "$lost := $contains($failure.cause,"
    r""" /(^|"FailureReason":\s*")(CapacityError|InsufficientCapacity|InsufficientInstanceCapacity)/);"""
    r""" $late := $contains($failure.cause, /"SecondaryStatus":\s*"MaxWaitTimeExceeded"/)"""
)


@dataclass(frozen=True, kw_only=True, slots=True)
class CapacityRetry:
    """What to do when SageMaker has no capacity for a job: every try goes on from the last checkpoint.

    A job that SageMaker refused for want of capacity is tried on the next type of ``fallback_types`` at once,
    and from the first type again after ``wait``. A job that used up its ``max_wait`` is not asked for on the
    same type again, since nobody wanted to wait longer than that; it goes on on the next type, or On-Demand.
    """

    attempts: int = 3
    """Further rounds through the types after the first, 0 to 100."""
    wait: Duration | None = None
    """Time between rounds, one second to one day; five minutes if not given."""
    fallback_types: Sequence[str] = ()
    """Instance types to take instead, the best first. Default: none."""
    on_demand_after: Duration | None = None
    """Take On-Demand capacity, type by type, once this time has passed since the run asked for its first
    job, or when the tries on Spot are used up, whichever comes first. It is looked at when a job has ended:
    SageMaker lets no Spot job wait for less than its ``max_runtime``. Default: never."""

    @property
    def wait_time(self) -> Duration:
        """The time between rounds."""
        return self.wait if self.wait is not None else Duration.minutes(5)

    def listed_types(self, problems: Problems) -> list[str]:
        """The fallback types; none, and a problem, if they are no list."""
        return listed(problems, "fallback_types", self.fallback_types, write='["ml.m5.2xlarge"]')

    def check(self, problems: Problems) -> None:
        """Report numbers and times that make no sense."""
        counted = is_whole(self.attempts, 0) and self.attempts <= 100
        problems.check(
            counted,
            given=f"CapacityRetry(attempts={self.attempts!r})",
            allowed="0 to 100",
            write="attempts=3",
        )
        seconds = self.wait_time.to_seconds()
        problems.check(
            1 <= seconds <= _LONGEST_WAIT_SECONDS,
            given=f"CapacityRetry(wait={seconds:g} s)",
            allowed="one second to one day",
            write="wait=Duration.minutes(5)",
        )
        types = len(self.fallback_types) + 1
        problems.check(
            not counted or types * (self.attempts + 2) <= MOST_TRIES,
            given=f"CapacityRetry with {types} types and {self.attempts} attempts",
            allowed=f"at most {MOST_TRIES} tries",
        )


class CapacityPlan:
    """A job's tries: their order, and what each of them changes in the parameters of ``CreateTrainingJob``.

    Args:
        volume_key: Key of the volumes of fallback types that may have one; the job's own if not given.
    """

    def __init__(self, job: TrainingJob, retry: CapacityRetry, *, volume_key: kms.IKey | None = None) -> None:
        self._retry = retry
        self._job = job
        key = volume_key if volume_key is not None else job.volume_key
        kinds = retry.fallback_types if not isinstance(retry.fallback_types, str) else ()
        others = (replace(job, instance_type=kind, volume_key=None) for kind in kinds)
        self._jobs = [
            job,
            *(replace(other, volume_key=key) if other.may_have_volume_key else other for other in others),
        ]

    @property
    def spot_tries(self) -> int:
        """Tries on Spot at most."""
        return len(self._jobs) * (self._retry.attempts + 1)

    @property
    def tries(self) -> int:
        """Tries at most."""
        return self.spot_tries + (len(self._jobs) if self._falls_back else 0)

    @property
    def wait(self) -> Duration:
        """The time between rounds."""
        return self._retry.wait_time

    @property
    def volume_keys(self) -> list[kms.IKey]:
        """The keys that any of the tries needs."""
        return list({id(job.volume_key): job.volume_key for job in self._jobs if job.volume_key}.values())

    @property
    def longest(self) -> Duration:
        """The longest time that all tries take, with half an hour for each to be provided and to end."""
        runtime = self._job.max_runtime.to_seconds()
        limit = runtime if self._job.max_wait is None else self._job.max_wait.to_seconds()
        return Duration.seconds(
            self.spot_tries * (limit + 1800)
            + (self.tries - self.spot_tries) * (runtime + 1800)
            + self._retry.attempts * self._retry.wait_time.to_seconds()
        )

    def check(self, problems: Problems) -> None:
        """Report types that training cannot use, and the retry's own faults."""
        self._retry.check(problems)
        for kind in self._retry.listed_types(problems):
            check_type(problems, kind, InstanceUse.TRAINING, name="fallback_types")
            problems.check(
                kind != self._job.instance_type,
                given=f"fallback_types with {kind!r}, which is tried first anyway",
                allowed="other types than instance_type",
            )
        problems.check(
            not self._retry.fallback_types or not self._job.instance_groups,
            given="CapacityRetry(fallback_types=…) with instance_groups",
            allowed="other types for jobs on one type",
            write="fallback_types=[]",
        )
        problems.check(
            self._retry.on_demand_after is None or self._job.is_spot,
            given="on_demand_after for a job without max_wait",
            allowed="a fall back to On-Demand for Spot jobs, which have a max_wait",
            write="on_demand_after=None",
        )

    def parameters(self) -> dict[str, Any]:
        """Return the parameters that differ from try to try; none if every try is the same."""
        different: dict[str, Any] = {}
        if len(self._jobs) > 1:
            choices = ", ".join(_jsonata(job.render()["ResourceConfig"]) for job in self._jobs)
            different["ResourceConfig"] = f"{{% [{choices}][${TRIES_VARIABLE} % {len(self._jobs)}] %}}"
        if self._falls_back:
            spot = f"${TRIES_VARIABLE} < {self.spot_tries}"
            stopping = self._job.render()["StoppingCondition"]
            on_demand = {name: value for name, value in stopping.items() if name != "MaxWaitTimeInSeconds"}
            different["EnableManagedSpotTraining"] = f"{{% {spot} %}}"
            different["StoppingCondition"] = f"{{% {spot} ? {_jsonata(stopping)} : {_jsonata(on_demand)} %}}"
        return different

    @property
    def waits_again(self) -> str:
        """Condition: there is a try left, and the time between rounds comes before it."""
        return self._expression(f"{self._goes_on} and {self._begins_round}")

    @property
    def goes_on_at_once(self) -> str | None:
        """Condition, looked at after :attr:`waits_again`: there is a try left. None if there never is one."""
        return self._expression(self._goes_on) if len(self._jobs) > 1 or self._falls_back else None

    @property
    def next_try(self) -> str:
        """Expression for the number of the next try."""
        return self._expression("$next")

    @property
    def _falls_back(self) -> bool:
        return self._retry.on_demand_after is not None

    @property
    def _goes_on(self) -> str:
        return f"($lost or $late) and $next < {self.tries}"

    @property
    def _begins_round(self) -> str:
        return f"$next < {self.spot_tries} and $next % {len(self._jobs)} = 0"

    def _expression(self, what: str) -> str:
        types, spot = len(self._jobs), self.spot_tries
        over = f"($late and $following % {types} = 0)"
        if self._retry.on_demand_after is not None:
            due = self._retry.on_demand_after.to_milliseconds()
            passed = f"$toMillis($states.context.State.EnteredTime) - $toMillis(${REQUESTED_VARIABLE})"
            over = f"({over} or {passed} >= {due})"
        following = (
            f"$following := ${TRIES_VARIABLE} + 1;"
            f" $next := $following < {spot} and {over} ? {spot} : $following"
        )
        return f"{{% ({_ENDED}; {following}; {what}) %}}"


def _jsonata(value: dict[str, Any]) -> str:
    """An object as JSONata has it, which is as JSON has it; with tokens in their places."""

    def text(part: Any) -> str:
        if isinstance(part, dict):
            return "{" + ", ".join(f"{json.dumps(name)}: {text(each)}" for name, each in part.items()) + "}"
        if isinstance(part, int | float) and is_token(part):
            return Tokenization.stringify_number(part)
        return json.dumps(part)

    return text(value)
