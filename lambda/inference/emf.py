"""What this function writes to its log: metrics as CloudWatch's Embedded Metric Format, and log entries.

Each is one JSON line on standard output.
"""

import os
import sys
import time

import msgspec

_UNITS = {
    "Invocations": "Count",
    "Rows": "Count",
    "Latency": "Milliseconds",
    "ModelLatency": "Milliseconds",
    "ValidationErrors": "Count",
    "ServerErrors": "Count",
    "ModelLoad": "Milliseconds",
    "ModelLoadFailures": "Count",
    "Confidence": "None",
    "Records": "Count",
    "RejectedRecords": "Count",
    "FailedRecords": "Count",
}
_encode = msgspec.json.Encoder().encode


def log(level: str, kind: str, message: str, **details: object) -> None:
    """Write one log entry."""
    _put({"level": level, "type": kind, "message": message, **details})


def _put(line: dict[str, object]) -> None:
    sys.stdout.write(_encode(line).decode() + "\n")
    sys.stdout.flush()


class Metrics:
    """Writes metric lines with the dimensions of this function: the service, and its version."""

    def __init__(self, environment: "os._Environ[str] | dict[str, str]" = os.environ) -> None:
        self._namespace = environment.get("METRICS_NAMESPACE") or "Inference"
        self._dimensions = {
            "Service": environment.get("SERVICE")
            or environment.get("AWS_LAMBDA_FUNCTION_NAME")
            or "inference",
            "FunctionVersion": environment.get("AWS_LAMBDA_FUNCTION_VERSION") or "$LATEST",
        }
        self._heads: dict[tuple[str, ...], list[dict[str, object]]] = {}

    def write(self, values: dict[str, float], **properties: object) -> None:
        """Write one line. Properties can be searched in the log; they are no metrics and cost nothing."""
        names = tuple(values)
        head = self._heads.get(names)
        if head is None:
            head = self._heads[names] = self._head(names)
        line = {
            "_aws": {"Timestamp": time.time_ns() // 1_000_000, "CloudWatchMetrics": head},
            **self._dimensions,
            **values,
            **properties,
        }
        _put(line)

    def _head(self, names: tuple[str, ...]) -> list[dict[str, object]]:
        return [
            {
                "Namespace": self._namespace,
                "Dimensions": [["Service"], ["Service", "FunctionVersion"]],
                "Metrics": [{"Name": name, "Unit": _UNITS[name]} for name in names],
            }
        ]
