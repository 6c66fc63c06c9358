"""Where data come from beside uploads: other buckets, databases, streams and third parties."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from settings.places import Folder, KeyArn, Name, Place, Scheduled
from settings.section import FOLDER, Section

_ARGUMENT = r"^[A-Za-z_][A-Za-z0-9_-]*$"
_PORT = re.compile(r":(\d{2,5})(?=[/;:]|$)")
_WAYS = ("logging", "query", "secrets")

Arguments = dict[Annotated[str, Field(pattern=_ARGUMENT)], str]
Script = Annotated[str, Field(pattern=r"^[A-Za-z0-9_./-]+\.py$")]
"""A Python file, relative to the project's folder. It is deployed with the platform."""
Account = Annotated[str, Field(pattern=r"^\d{12}$")]


class Copy(Scheduled):
    """Copies of what is new in another bucket, at 0.55 USD each and 0.015 USD a GB."""

    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    """Its name."""
    account: Account | None = None
    """Whose it is, if not this account's. Its policy, and that of its key, have to admit the copy's role
    before it is deployed: docs/etl.md."""
    prefix: Annotated[str, Field(pattern=rf"^{FOLDER}$")] | None = None
    """A folder of it; without it, all of it."""
    key_arn: KeyArn | None = None
    """The key of that bucket, if it is encrypted with one that AWS does not manage."""
    to: Folder


class Connection(Section):
    """A database that jobs reach from the platform's network over TLS, ``[etl.connections.<name>]``. It costs
    nothing."""

    url: Annotated[str, Field(pattern=r"^jdbc:[a-z0-9]+:.+$")]
    """Its JDBC address, with a port and without credentials: ``jdbc:postgresql://orders.internal:5432/shop``."""
    secret_arn: Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:secretsmanager:.+:secret:.+-[A-Za-z0-9]{6}$")]
    """The secret with ``username`` and ``password``: its whole ARN."""
    key_arn: KeyArn | None = None
    """The key of the secret, if it has one of yours."""
    reach: Annotated[str, Field(pattern=r"^(sg-[0-9a-f]{8,17}|\d{1,3}(\.\d{1,3}){3}/\d{1,2})$")]
    """Its security group, or its range of addresses. Jobs are let out to it, and to port 443 for AWS: where
    a NAT gateway leads everywhere, that is any host. The database has to let the output ``Connection…Group``
    in."""

    @model_validator(mode="after")
    def _the_port_is_known(self) -> Connection:
        if self.port is None:
            raise ValueError(
                "url has no port, so nothing says what jobs are let out to: write it behind the host, as in "
                "jdbc:postgresql://orders.internal:5432/shop"
            )
        return self

    @property
    def port(self) -> int | None:
        """The port of the address."""
        found = _PORT.search(self.url)
        return int(found[1]) if found and 0 < int(found[1]) < 65_536 else None


class Stream(Section):
    """A Spark job that writes a Kinesis stream to the lake without end, ``[etl.streams.<name>]``. It costs
    0.22 USD an hour with the default workers while it runs (us-east-1, November 2026)."""

    script: Script
    """It gets ``--stream``, the stream's ARN, and ``--checkpoints``, a folder's address."""
    stream_arn: Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:kinesis:.+:stream/.+$")]
    """What it reads."""
    key_arn: KeyArn | None = None
    """The key of the stream, if it has one of yours."""
    checkpoints: Folder
    """Where it remembers how far it came; apart from its outputs."""
    reads: tuple[Place, ...] = ()
    writes: Annotated[tuple[Place, ...], Field(min_length=1)]
    arguments: Arguments = Field({})
    """Of the script, by names without the hyphens in front."""
    worker_type: str = "G.025X"
    workers: Annotated[int, Field(ge=2, le=1000)] = 2
    keep_running: bool = False
    """Start it, and start it again when it ended. Without it, nothing runs until somebody starts it."""
    longest_lag_minutes: Annotated[int, Field(ge=1, le=1440)] | None = None
    """An alarm when records wait longer. The script has to set emitConsumerLagMetrics on its source."""
    maintenance_window: str = "Sun:3"
    """Day and hour, in UTC, in which Glue may start it anew."""
    table_formats: tuple[Literal["iceberg", "delta", "hudi"], ...] = ()
    connections: tuple[Name, ...] = ()
    """Names of ``[etl.connections]``."""


class Partner(Section):
    """A third party that may put objects into one folder and read none, ``[lake.partners.<name>]``. It costs
    nothing."""

    folder: Folder
    roles: tuple[Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/.+$")], ...] = ()
    """ARNs of the partner's own roles. They have to be there when this is deployed."""
    account: Account | None = None
    """In place of roles: the account whose roles may take the one that is made here, output ``…RoleArn``."""
    external_id: Annotated[str, Field(min_length=16, max_length=1224)] | None = None
    """With ``account``: what the partner says then, unique to this account, such as a UUID. It is no
    secret."""
    organization: Annotated[str, Field(pattern=r"^o-[a-z0-9]{10,32}$")] | None = None
    """The partner has to be in this organization too."""

    @model_validator(mode="after")
    def _it_is_one_partner(self) -> Partner:
        if bool(self.roles) == (self.account is not None):
            raise ValueError("give either roles, or account with external_id")
        if (self.account is None) != (self.external_id is None):
            raise ValueError(
                "account and external_id belong together: without an external id, another customer of the "
                "same vendor could have it write here"
            )
        return self


def missing_ways(features: tuple[str, ...], *, nat: bool) -> str | None:
    """What a network lacks for jobs with connections, as a sentence; None if it lacks nothing."""
    lacking = sorted(set(_WAYS) - set(features))
    if nat or not lacking:
        return None
    return (
        "etl.connections needs ways to Glue, KMS, Secrets Manager and CloudWatch: add "
        f"{', '.join(map(repr, lacking))} to network.features (7.30 USD a month for each endpoint in each "
        'zone), or nat_gateways = 1, with ".amazonaws.com" among allowed_domains if it has any'
    )
