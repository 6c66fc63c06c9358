"""What a workgroup and its saved queries may be."""

from __future__ import annotations

import re

from constructs import Construct

from cdk_data_science._validation import FOLDER, Problems, is_token
from cdk_data_science.data_lake.zone_base import ZoneBase
from cdk_data_science.data_lake.zone_folder import ZoneFolder

_NAME = re.compile(r"[a-zA-Z0-9._-]{1,128}")
_STATEMENT_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_@:]{1,255}")
_SMALLEST_LIMIT = 10_000_000
_LONGEST_QUERY = 262_144


def check_workgroup(
    scope: Construct,
    *,
    name: str,
    description: str | None,
    prefix: str,
    zone: ZoneBase | None,
    days: int,
    query_limit: int,
    hourly_limit: int,
) -> None:
    """Refuse a workgroup that Athena would refuse, or that could not do its work."""
    problems = Problems("QueryWorkgroup", scope)
    _check_identity(problems, name, description)
    problems.check(
        is_token(prefix) or bool(FOLDER.fullmatch(prefix)),
        given=f"results_prefix={prefix!r}",
        allowed="a folder, of the characters that S3 recommends, ending in /",
        write='results_prefix="athena/"',
    )
    problems.check(
        zone is None or zone.key is not None,
        given=f"results in zone {zone and zone.name!r}, whose key is not known",
        allowed="a zone with a key, since results are encrypted",
        write="ZoneAttributes(…, key_arn=…)",
    )
    if zone is not None:
        for table in zone.tables.values():
            problems.check(
                is_token(prefix) or not (prefix.startswith(table.prefix) or table.prefix.startswith(prefix)),
                given=f"results_prefix={prefix!r} beside table {table.name!r} at {table.prefix!r}",
                allowed="a folder apart from tables: the table would read results as its rows",
            )
    problems.check(days >= 1, given=f"results_days={days!r}", allowed="whole days, 1 or more")
    problems.check(
        query_limit >= _SMALLEST_LIMIT,
        given=f"query_limit_bytes={query_limit}",
        allowed=f"{_SMALLEST_LIMIT} or more",
    )
    problems.check(
        hourly_limit >= query_limit,
        given=f"hourly_limit_bytes={hourly_limit}, query_limit_bytes={query_limit}",
        allowed="an hour for at least one query",
    )
    problems.raise_if_any()


def check_spark_workgroup(
    scope: Construct, *, name: str, description: str | None, results: ZoneFolder
) -> None:
    """Refuse a workgroup for Spark that Athena would refuse, or that could not do its work."""
    problems = Problems("SparkWorkgroup", scope)
    _check_identity(problems, name, description)
    problems.check(
        results.zone.key is not None,
        given=f"results in zone {results.zone.name!r}, whose key is not known",
        allowed="a zone with a key, since notebooks and results are encrypted",
        write="ZoneAttributes(…, key_arn=…)",
    )
    for table in results.zone.tables.values():
        problems.check(
            not (results.prefix.startswith(table.prefix) or table.prefix.startswith(results.prefix)),
            given=f"results in {results.prefix!r} beside table {table.name!r} at {table.prefix!r}",
            allowed="a folder apart from tables: the table would read results as its rows",
        )
    problems.raise_if_any()


def _check_identity(problems: Problems, name: str, description: str | None) -> None:
    problems.check(
        is_token(name) or bool(_NAME.fullmatch(name)),
        given=f"name={name!r}",
        allowed="1 to 128 letters, digits, dots, hyphens and underscores",
        write='name="science"',
    )
    problems.check(
        is_token(name) or name != "primary",
        given="name='primary'",
        allowed="a name of its own: every account has that workgroup already",
    )
    problems.check(
        description is None or is_token(description) or len(description) <= 1024,
        given=f"a description of {len(description or '')} characters",
        allowed="at most 1024",
    )


def check_query(
    scope: Construct, name: str, query: str, description: str | None, *, prepared: bool = False
) -> None:
    """Refuse a saved query that Athena would refuse."""
    problems = Problems("Prepared statement" if prepared else "Named query", scope)
    if prepared:
        problems.check(
            is_token(name) or bool(_STATEMENT_NAME.fullmatch(name)),
            given=f"name={name!r}",
            allowed="2 to 256 letters, digits and _ @ :, a letter or underscore first",
        )
    else:
        problems.check(
            is_token(name) or 0 < len(name) <= 128, given=f"name={name!r}", allowed="1 to 128 characters"
        )
    problems.check(
        is_token(query) or (bool(query.strip()) and len(query) <= _LONGEST_QUERY),
        given=f"a query of {len(query)} characters",
        allowed=f"1 to {_LONGEST_QUERY}",
    )
    problems.check(
        description is None or is_token(description) or 0 < len(description) <= 1024,
        given=f"a description of {len(description or '')} characters",
        allowed="1 to 1024",
    )
    problems.raise_if_any()
