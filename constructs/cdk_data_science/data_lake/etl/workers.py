"""How large a job is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cdk_data_science._validation import Problems, is_token, is_whole

# Processing units (4 processors) of a worker, which is what is billed; the R types cost more for each.
# https://docs.aws.amazon.com/glue/latest/dg/worker-types.html
WORKER_TYPES = {
    "G.025X": 0.25,
    "G.1X": 1,
    "G.2X": 2,
    "G.4X": 4,
    "G.8X": 8,
    "G.12X": 12,
    "G.16X": 16,
    "R.1X": 1,
    "R.2X": 2,
    "R.4X": 4,
    "R.8X": 8,
}
STREAMING_TYPES = ("G.025X", "G.1X", "G.2X")
_VERSION = re.compile(r"([0-9]+)\.[0-9]+")
_OLDEST = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Workers:
    """The workers of a job. Each is billed by the second, one minute at least."""

    type: str = "G.1X"
    """``G.1X`` to ``G.16X``; ``R.1X`` to ``R.8X`` have twice the memory; ``G.025X`` for streams alone. The
    number is processing units of 4 processors and 16 GB each, 0.44 USD an hour, 0.29 with ``flex``
    (us-east-1, November 2026). Default: ``G.1X``."""

    count: int = 2
    """Workers, one of which is the driver; the most of them with ``auto_scaling``. 2 or more. Default: 2."""

    auto_scaling: bool = True
    """Take and bill workers only while there is work for them. Default: yes."""

    @property
    def units(self) -> float:
        """Processing units of all workers together."""
        return WORKER_TYPES.get(self.type, 0) * self.count

    def check(self, problems: Problems, *, streaming: bool) -> None:
        """Record what Glue would refuse."""
        allowed = STREAMING_TYPES if streaming else tuple(t for t in WORKER_TYPES if t != "G.025X")
        problems.check(
            self.type in allowed,
            given=f"workers of type {self.type!r}{' for a stream' if streaming else ''}",
            allowed=", ".join(allowed)
            + ("; larger ones run batch jobs alone" if streaming else "; G.025X is for streams alone"),
            write='Workers(type="G.1X")',
        )
        problems.check(
            is_whole(self.count, 2),
            given=f"workers count={self.count!r}",
            allowed="2 or more: a driver and one that works",
            write="Workers(count=2)",
        )


def check_version(problems: Problems, version: str) -> None:
    """Record a version of Glue that is too old to start something new on."""
    match = None if is_token(version) else _VERSION.fullmatch(version)
    problems.check(
        is_token(version) or (match is not None and int(match[1]) >= _OLDEST),
        given=f"glue_version={version!r}",
        allowed="4.0 or newer: the versions before it run Spark 3.1 and older, of which Glue mends no faults "
        "any more, and lack the observability metrics",
        write='glue_version="5.0"',
    )
