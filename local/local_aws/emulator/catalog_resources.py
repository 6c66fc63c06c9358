"""What calls of Glue's catalog and of Athena are authorized on: tables, and the workgroups of queries."""

from __future__ import annotations

import json
from typing import Any

_PREFIX = "AWSGlue."


def resource(arn: str, service: str, headers: dict[str, str], body: bytes) -> str:
    """The ARN, more exactly than ministack tells it.

    Args:
        arn: What ministack found: the database of a table; nothing for a query that is named by its number.
    """
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return arn
    if not isinstance(request, dict):
        return arn
    return _table(arn, headers, request) if service == "glue" else _workgroup(arn, request)


def _table(arn: str, headers: dict[str, str], request: dict[str, Any]) -> str:
    """Operations on one table or on its partitions: of all that AWS asks for, the most exact."""
    database = request.get("DatabaseName")
    operation = headers.get("x-amz-target", "").removeprefix(_PREFIX)
    name = request.get("TableName") or request.get("TableInput", {}).get("Name")
    if operation in ("GetTable", "DeleteTable"):
        name = request.get("Name")
    if not database or not name:
        return arn
    return f"{arn.partition(':database/')[0]}:table/{database}/{name}"


def _workgroup(arn: str, request: dict[str, Any]) -> str:
    """Queries and saved queries belong to a workgroup."""
    from ministack.services import athena

    if arn != "*":
        return arn
    found = athena._executions.get(request.get("QueryExecutionId", "")) or athena._named_queries.get(
        request.get("NamedQueryId", "")
    )
    return arn if found is None else str(athena._arn_workgroup(found["WorkGroup"]))
