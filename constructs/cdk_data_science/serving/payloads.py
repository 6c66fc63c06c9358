"""Requests and answers that are too large for an invocation, as objects of the lake."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge_wildcards
from cdk_data_science._validation import FOLDER, Problems, is_token
from cdk_data_science.data_lake import IZone

_MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class PayloadsInS3:
    """Where objects with requests may lie, and where their answers go.

    A caller names an object instead of rows: ``{"instances_from": "s3://…/requests/march.json"}``. The object
    holds what a body would hold. The function reads it with its own role: whoever may ask for predictions
    learns what the model says of any object below ``requests_prefix``, and no more.
    """

    zone: IZone
    """Zone of the requests, and of the answers unless ``answers`` is given."""
    requests_prefix: str = "requests/"
    answers: IZone | None = None
    """Zone of the answers. Default: ``zone``."""
    answers_prefix: str = "answers/"
    max_rows: int = 100_000
    """Rows of an object, 1 to 1,000,000."""
    max_mib: int = 32
    """Size of an object, 1 to 256; in memory its rows take about eight times as much."""

    def check(self, problems: Problems, *, memory_size: int) -> None:
        """Report folders that are none, and objects that the function could not hold."""
        for name, prefix in (
            ("requests_prefix", self.requests_prefix),
            ("answers_prefix", self.answers_prefix),
        ):
            problems.check(
                is_token(prefix) or FOLDER.fullmatch(prefix) is not None,
                given=f"payloads with {name}={prefix!r}",
                allowed="a folder of the zone: no slash at the start, one at the end",
                write=f'{name}="{name.partition("_")[0]}/"',
            )
        problems.check(
            1 <= self.max_rows <= 1_000_000,
            given=f"payloads with max_rows={self.max_rows}",
            allowed="1 to 1000000",
            write="max_rows=100000",
        )
        problems.check(
            1 <= self.max_mib <= 256 and (is_token(memory_size) or self.max_mib * 8 <= memory_size),
            given=f"payloads with max_mib={self.max_mib} for memory_size={memory_size}",
            allowed="1 to 256, and at most an eighth of memory_size, which is what its rows need",
            write=f"max_mib={max(1, min(32, memory_size // 8))}" if not is_token(memory_size) else None,
        )

    def environment(self) -> dict[str, str]:
        """What the function is told."""
        answers = self.answers if self.answers is not None else self.zone
        return {
            "REQUESTS_AT": self.zone.uri(self.requests_prefix),
            "ANSWERS_AT": answers.uri(self.answers_prefix),
            "MAX_REFERENCED_ROWS": str(self.max_rows),
            "MAX_REFERENCED_BYTES": str(self.max_mib * _MIB),
        }

    def grant(self, role: iam.Role) -> None:
        """Let the function read requests and write answers."""
        self.zone.grant_read(role, self.requests_prefix)
        allow_put(role, self.answers if self.answers is not None else self.zone, self.answers_prefix)


def allow_put(role: iam.Role, zone: IZone, prefix: str) -> None:
    """Let a role add objects below a prefix: less than a zone's writers, who may delete there as well."""
    objects = zone.bucket.arn_for_objects(f"{prefix}*")
    iam.Grant.add_to_principal(grantee=role, actions=["s3:PutObject"], resource_arns=[objects])
    if zone.key is not None:
        zone.key.grant(role, "kms:GenerateDataKey")
    bucket: Construct = zone.bucket.node.scope or role  # type: ignore[assignment]
    acknowledge_wildcards(
        role,
        bucket,
        [objects],
        "The names of the objects follow from what is predicted; the wildcard stands for those below this "
        "prefix of this one bucket.",
    )
