"""A job's output as it appears: into its log file, CloudWatch Logs, and its metric definitions."""

from __future__ import annotations

import logging
import re
import threading
import time
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

GROUP = "/aws/sagemaker/TrainingJobs"
_SHIP_EVERY = 0.5
_BATCH = 1000
_LINE = 200_000
_CREATE_MAY_FAIL = {"ResourceAlreadyExistsException", "AccessDeniedException"}
_log = logging.getLogger("local_aws.sagemaker")


class JobLog:
    """Takes lines from any thread; ships them in the background, in the role's name as SageMaker does."""

    def __init__(
        self, client: Any, stream: str, file: Path, metrics: list[dict[str, str]], group: str = GROUP
    ) -> None:
        self._client, self._group, self._stream = client, group, stream
        self._file = file.open("a", encoding="utf-8")
        self._patterns = [(m["Name"], re.compile(m["Regex"])) for m in metrics]
        self._lock = threading.Lock()
        self._pending: list[dict[str, Any]] = []
        self._refused = False
        self._created = False
        self._closed = threading.Event()
        self.metrics: dict[str, dict[str, Any]] = {}
        self._thread = threading.Thread(target=self._run, daemon=True, name="job-log")
        self._thread.start()

    def write(self, line: str) -> None:
        line = line.rstrip("\r\n")
        now = time.time()
        with self._lock:
            if self._file.closed:
                return  # the last words of a process that was killed
            self._file.write(line + "\n")
            self._file.flush()
            if line:
                self._pending.append({"timestamp": int(now * 1000), "message": line[:_LINE]})
        for name, pattern in self._patterns:
            value = _last_number(pattern, line)
            if value is not None:
                self.metrics[name] = {"MetricName": name, "Value": value, "Timestamp": now}

    def close(self) -> None:
        self._closed.set()
        self._thread.join(timeout=120)
        with self._lock:
            self._file.close()

    def _run(self) -> None:
        while not self._closed.wait(_SHIP_EVERY):
            self._ship()
        self._ship()

    def _ship(self) -> None:
        while not self._refused:
            with self._lock:
                batch, self._pending = self._pending[:_BATCH], self._pending[_BATCH:]
            if not batch:
                return
            try:
                self._create_once()
                self._client.put_log_events(
                    logGroupName=self._group, logStreamName=self._stream, logEvents=batch
                )
            except (ClientError, BotoCoreError) as error:
                # As in AWS: a role that may not write logs loses them, and the job goes on.
                self._refused = True
                _log.warning("The log of %s cannot be written to CloudWatch: %s", self._stream, error)

    def _create_once(self) -> None:
        if self._created:
            return
        for create, names in (
            (self._client.create_log_group, {"logGroupName": self._group}),
            (self._client.create_log_stream, {"logGroupName": self._group, "logStreamName": self._stream}),
        ):
            try:
                create(**names)
            except ClientError as error:
                # There already, or not the role's to create: writing to it decides.
                if error.response["Error"]["Code"] not in _CREATE_MAY_FAIL:
                    raise
        self._created = True


def _last_number(pattern: re.Pattern[str], line: str) -> float | None:
    value = None
    for match in pattern.finditer(line):
        try:
            value = float(match.group(1) if pattern.groups else match.group(0))
        except (ValueError, TypeError):
            continue
    return value
