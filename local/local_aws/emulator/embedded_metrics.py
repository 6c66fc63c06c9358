"""Metrics that functions write into their log, in CloudWatch's Embedded Metric Format."""

from __future__ import annotations

import json
from collections.abc import Iterator

_MARK = '"_aws"'


def record(output: str) -> None:
    """Keep the metrics of what a function printed in one call; lines that are not in the format are text."""
    from ministack.services import cloudwatch

    for line in output.splitlines():
        if _MARK not in line:
            continue
        for namespace, name, value, unit, dimensions in _metrics(line):
            cloudwatch.record_metric(namespace, name, value, unit, dimensions)


def _metrics(line: str) -> Iterator[tuple[str, str, float, str, dict[str, str]]]:
    try:
        entry = json.loads(line[line.index("{") :])
        directives = entry["_aws"]["CloudWatchMetrics"]
        for directive in directives:
            for names in directive["Dimensions"]:
                dimensions = {name: str(entry[name]) for name in names}
                for metric in directive["Metrics"]:
                    given = entry[metric["Name"]]
                    for value in given if isinstance(given, list) else [given]:
                        unit = metric.get("Unit", "None")
                        yield directive["Namespace"], metric["Name"], float(value), unit, dimensions
    except (KeyError, TypeError, ValueError):
        return  # CloudWatch Logs keeps such a line, and makes no metrics of it
