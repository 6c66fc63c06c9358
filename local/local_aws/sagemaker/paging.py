"""List operations: filters, order and pages, which all of SageMaker's lists share."""

from __future__ import annotations

import base64
from typing import Any

from local_aws.sagemaker.errors import invalid


def page(
    items: list[dict[str, Any]],
    request: dict[str, Any],
    *,
    member: str,
    name: str,
    sort: dict[str, str],
    filters: dict[str, str] | None = None,
    default_order: str = "Descending",
) -> dict[str, Any]:
    """One page of the items that the request selects, newest first unless it says otherwise."""
    chosen = [item for item in items if _selected(item, request, name, filters or {})]
    key = sort[request.get("SortBy", "CreationTime")]
    order = request.get("SortOrder", default_order)
    chosen.sort(key=lambda item: item[key], reverse=order == "Descending")
    start = _decode(request.get("NextToken"))
    size = int(request.get("MaxResults", 10))
    answer: dict[str, Any] = {member: chosen[start : start + size]}
    if start + size < len(chosen):
        answer["NextToken"] = base64.urlsafe_b64encode(str(start + size).encode()).decode()
    return answer


def _selected(item: dict[str, Any], request: dict[str, Any], name: str, filters: dict[str, str]) -> bool:
    tests = [
        request.get("NameContains", "").lower() in item[name].lower(),
        item["CreationTime"] > request.get("CreationTimeAfter", float("-inf")),
        item["CreationTime"] < request.get("CreationTimeBefore", float("inf")),
    ]
    modified = item.get("LastModifiedTime", item["CreationTime"])
    tests += [
        modified > request.get("LastModifiedTimeAfter", float("-inf")),
        modified < request.get("LastModifiedTimeBefore", float("inf")),
    ]
    tests += [item.get(field) == request[key] for key, field in filters.items() if key in request]
    return all(tests)


def _decode(token: str | None) -> int:
    if token is None:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token))
    except ValueError as error:
        raise invalid("The NextToken is not valid.") from error
