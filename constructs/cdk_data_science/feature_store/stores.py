"""What an online and an offline store are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from aws_cdk import Duration
from aws_cdk import aws_kms as kms

from cdk_data_science._validation import FOLDER, Problems, is_token
from cdk_data_science.data_lake import ZoneBase

_MOST_UNITS = 10_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class ProvisionedThroughput:
    """Capacity that is billed by the hour, used or not."""

    read_units: int
    """Strongly consistent reads of 4 KB a second, 0 to 10,000,000."""
    write_units: int
    """Writes of 1 KB a second, 0 to 10,000,000."""

    def check(self, problems: Problems) -> None:
        """Report numbers that Feature Store would refuse."""
        for name, units in (("read_units", self.read_units), ("write_units", self.write_units)):
            problems.check(
                is_token(units) or 0 <= units <= _MOST_UNITS,
                given=f"{name}={units}",
                allowed=f"0 to {_MOST_UNITS}",
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class OnlineStore:
    """The newest record of each identifier, read in milliseconds."""

    key: kms.IKey | None = None
    """Encrypts it. Default: the key of the offline store's zone; without one, AWS's own."""
    ttl: Duration | None = None
    """A record goes so long after its event time, one second or more. Default: never."""
    storage: Literal["Standard", "InMemory"] = "Standard"
    """``InMemory`` answers in less than a millisecond and is billed by the hour for what it holds."""
    throughput: ProvisionedThroughput | None = None
    """Default: on demand, billed by the request. Not for ``InMemory``."""

    def check(self, problems: Problems) -> None:
        """Report what Feature Store would refuse."""
        problems.check(
            self.storage in ("Standard", "InMemory"),
            given=f"storage={self.storage!r}",
            allowed="Standard, InMemory",
            write='storage="Standard"',
        )
        problems.check(
            self.throughput is None or self.storage == "Standard",
            given=f"throughput with storage={self.storage!r}",
            allowed="provisioned throughput for the standard store",
            write="throughput=None",
        )
        if self.throughput is not None:
            self.throughput.check(problems)
        if self.ttl is not None and not self.ttl.is_unresolved():
            seconds = self.ttl.to_seconds(integral=False)
            problems.check(
                seconds >= 1 and seconds == int(seconds),
                given=f"ttl={seconds:g} s",
                allowed="whole seconds, one or more",
                write="ttl=Duration.days(90)",
            )

    def render_ttl(self) -> dict[str, Any] | None:
        """The time to live as CloudFormation has it, in the largest unit that holds it whole."""
        if self.ttl is None:
            return None
        seconds = int(self.ttl.to_seconds())
        units = (("Weeks", 604_800), ("Days", 86_400), ("Hours", 3600), ("Minutes", 60), ("Seconds", 1))
        unit, size = next((unit, size) for unit, size in units if seconds % size == 0)
        return {"Unit": unit, "Value": seconds // size}


@dataclass(frozen=True, kw_only=True, slots=True)
class OfflineStore:
    """Every record that was ever written, as a table of a zone."""

    zone: ZoneBase
    """The zone that holds the objects and whose database lists the table."""
    prefix: str | None = None
    """Folder of the objects, ending in ``/``, apart from those of the zone's other tables. Default:
    ``feature-store/<table>/``."""
    table_name: str | None = None
    """Name of the table. Default: that of the group, in lower case with underscores."""
    format: Literal["Iceberg", "Glue"] = "Iceberg"
    """``Iceberg`` keeps its files few and can be deleted from; ``Glue`` has a folder for each hour."""

    def check(self, problems: Problems) -> None:
        """Report what cannot be a folder of the zone or a format."""
        problems.check(
            self.prefix is None or is_token(self.prefix) or FOLDER.fullmatch(self.prefix) is not None,
            given=f"prefix={self.prefix!r}",
            allowed="a folder of the zone, ending in a slash",
            write='prefix="feature-store/reviews/"',
        )
        problems.check(
            self.format in ("Iceberg", "Glue"),
            given=f"format={self.format!r}",
            allowed="Iceberg, Glue",
            write='format="Iceberg"',
        )
