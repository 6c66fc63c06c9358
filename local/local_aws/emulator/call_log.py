"""Every call that IAM allowed or denied to a role: counted in memory, and one line each in the state folder.

``calls.jsonl`` holds the newest calls and ``calls.1.jsonl`` those before; each is at most a few megabytes.
What the account's root calls is not of interest and is not kept.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from local_aws import context

_FILE_BYTES = 4_000_000
_MOST_CALLS = 20_000
"""Pairs of role and action that are counted; beyond that only the file tells."""
_MOST_RESOURCES = 50


@dataclass
class Count:
    """The calls of one action by one role."""

    allowed: int = 0
    denied: int = 0
    allowed_resources: set[str] = field(default_factory=set)
    denied_resources: set[str] = field(default_factory=set)


class CallLog:
    """Takes calls from any thread."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "calls.jsonl"
        self._previous = folder / "calls.1.jsonl"
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str], Count] = {}
        self._file: TextIO = self._path.open("w", encoding="utf-8")
        self._written = 0

    def add(self, role: str, action: str, resource: str, *, allowed: bool) -> None:
        line = json.dumps(
            {
                "time": round(time.time(), 3),
                "role": role,
                "action": action,
                "resource": resource,
                "allowed": allowed,
            }
        )
        with self._lock:
            self._write(line)
            if (role, action) not in self._counts and len(self._counts) >= _MOST_CALLS:
                return
            count = self._counts.setdefault((role, action), Count())
            if allowed:
                count.allowed += 1
            else:
                count.denied += 1
            resources = count.allowed_resources if allowed else count.denied_resources
            if len(resources) < _MOST_RESOURCES:
                resources.add(resource)

    def of(self, role: str) -> dict[str, Count]:
        """The counts of a role, by action."""
        with self._lock:
            return {action: count for (name, action), count in self._counts.items() if name == role}

    def _write(self, line: str) -> None:
        if self._written > _FILE_BYTES:
            self._file.close()
            self._path.replace(self._previous)
            self._file = self._path.open("w", encoding="utf-8")
            self._written = 0
        self._file.write(line + "\n")
        self._file.flush()
        self._written += len(line) + 1


_log: list[CallLog] = []


def of(role: str) -> dict[str, Count]:
    return _log[0].of(role) if _log else {}


def install() -> None:
    from ministack.core import iam_evaluator
    from ministack.services import sts

    log = CallLog(context.settings().state_dir)
    _log[:] = [log]
    enforce = iam_evaluator.enforce

    def enforce_and_log(
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        denied = enforce(access_key_id, iam_action, service, region, resource_arn, service_context)
        session = sts._sessions.get(access_key_id)
        if session is not None and not isinstance(denied, iam_evaluator.AuthError):
            role = iam_evaluator._role_name_from_assumed_arn(session.get("Arn", ""))
            if role:
                log.add(role, iam_action, resource_arn, allowed=denied is None)
        return denied

    iam_evaluator.enforce = enforce_and_log
