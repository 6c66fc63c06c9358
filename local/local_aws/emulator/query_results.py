"""Results of Athena's queries in S3, where clients such as awswrangler and PyAthena read them.

ministack tells the address of a result and writes it to another one. It is written as Athena does: values in
quotes, and nothing at all for NULL.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlparse


def install() -> None:
    from ministack.services import athena

    athena._save_query_results = _save


async def _save(query_id: str) -> None:
    """Write the result of a query that has succeeded; the query fails where it cannot be written."""
    from ministack.services import athena, s3

    execution = athena._executions[query_id]
    results = execution["_results"]
    place = urlparse(execution["ResultConfiguration"]["OutputLocation"])
    key, columns = place.path.lstrip("/"), results["columns"]
    types = execution.get("_column_types") or ["varchar"] * len(columns)
    content = "".join(f"{line}\n" for line in (_line(row) for row in (columns, *results["rows"])))
    metadata = f"{','.join(columns)}\n{','.join(types)}"
    for name, text, kind in (
        (key, content, "text/csv"),
        (f"{key}.metadata", metadata, "application/octet-stream"),
    ):
        body = text.encode()
        answer = s3._put_object(
            place.netloc, name, body, {"content-type": kind, "content-length": str(len(body))}
        )
        if answer[0] >= 300:
            raise RuntimeError(f"the result cannot be written to s3://{place.netloc}/{name}: {answer[2]!r}")


def _line(row: Any) -> str:
    return ",".join(_value(value) for value in row)


def _value(value: Any) -> str:
    from ministack.services import athena

    if value is None:
        return ""
    text = str(athena._datum_text(value)).replace('"', '""')
    return f'"{text}"'
