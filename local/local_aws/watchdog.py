"""Runs a deploy command, shows each resource as it is deployed, and turns a hang into an error.

The command gets the environment that points the AWS CDK and SDKs at the instance. Its own output goes to
``deploy.log`` in the state folder and is shown when it fails. When a stack works on something and sends no
event for a while, the command is ended with what was in progress and what the emulator's log says.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from local_aws import environment, processes

_POLL = 0.25
_END_GRACE = 10.0
_SETTLE = 15.0
"""Seconds that a command gets to end by itself after a resource has failed."""
_CANCELLED = re.compile(r"cancelled|Rollback requested|The following resource\(s\) failed", re.IGNORECASE)
_LOG_NOISE = re.compile(r" (INFO|DEBUG) ")


def watch(
    command: list[str],
    status: dict[str, Any],
    timeout: float,
    out: TextIO = sys.stdout,
    *,
    each_resource: bool = True,
) -> int:
    """Run the command to its end. Returns its exit code, or 1 when the deployment failed or hung.

    Without ``each_resource`` only the stacks' own events are shown, and what fails.
    """
    log = Path(status["state_dir"]) / "deploy.log"
    stacks = _Stacks(status)
    process: subprocess.Popen[bytes] | None = None
    try:
        with log.open("wb") as output, processes.interruptions_later():
            process = subprocess.Popen(
                command,
                env=environment.pointed_at(status),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        problem = _follow(process, stacks, timeout, out, each_resource=each_resource)
    except OSError as error:
        if process is not None:
            raise
        print(f"{command[0]} cannot be run: {error.strerror}", file=out)
        return 127
    finally:
        if process is not None:
            _end(process)
    code = process.returncode
    if problem is None and code == 0:
        _summary(stacks, out)
        return 0
    _explain(problem, stacks, command, code, log, Path(status["state_dir"]) / "emulator.log", out)
    return code if problem is None and code > 0 else 1


def _follow(
    process: subprocess.Popen[bytes], stacks: _Stacks, timeout: float, out: TextIO, *, each_resource: bool
) -> str | None:
    """Show events until the command ends. Returns what is wrong when it must be ended."""
    last_event = failed_at = time.monotonic()
    while True:
        ended = process.poll() is not None
        for event in stacks.new_events():
            last_event = time.monotonic()
            failed_at = last_event if not stacks.failures else failed_at
            if each_resource or event.is_stack or event.is_cause:
                print(event.line(stacks.began), file=out, flush=True)
            if event.is_cause:
                stacks.failures.append(event)
        if ended:
            return None
        now = time.monotonic()
        if stacks.failures and now - failed_at > _SETTLE:
            return "A resource failed."
        busy = stacks.in_progress
        if busy and now - last_event > timeout:
            return f"No event for {timeout:.0f} s. In progress: {', '.join(busy)}."
        time.sleep(_POLL)


@dataclass(frozen=True, slots=True)
class _Event:
    stack: str
    resource: str
    type: str
    status: str
    reason: str
    physical_id: str

    @property
    def is_stack(self) -> bool:
        return self.type == "AWS::CloudFormation::Stack" and self.resource == self.stack

    @property
    def is_cause(self) -> bool:
        return self.status.endswith("_FAILED") and not self.is_stack and not _CANCELLED.search(self.reason)

    def line(self, began: float) -> str:
        seconds = time.monotonic() - began
        what = f"{self.stack}" if self.is_stack else f"{self.stack} | {self.resource} | {self.type}"
        reason = f" | {self.reason.splitlines()[0]}" if self.reason and "FAILED" in self.status else ""
        return f"{seconds:6.1f} s  {self.status:28} {what}{reason}"


@dataclass
class _Stacks:
    """The stack events of the instance since the watch began."""

    status: dict[str, Any]
    began: float = field(default_factory=time.monotonic)
    failures: list[_Event] = field(default_factory=list)
    _open: dict[str, list[str]] = field(default_factory=dict)
    _known: dict[str, str] = field(default_factory=dict)
    """Names of stacks by their ids, by which a deleted stack's events can still be read."""

    def __post_init__(self) -> None:
        import botocore.session

        self._client = botocore.session.Session().create_client(
            "cloudformation",
            endpoint_url=self.status["endpoint"],
            region_name=self.status["region"],
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - the emulator's fixed root key
        )
        self._seen = {event["EventId"] for _, event in self._all_events()}

    @property
    def in_progress(self) -> list[str]:
        return [f"{stack}/{name}" for stack, names in self._open.items() for name in names]

    def new_events(self) -> list[_Event]:
        """Events not seen before, oldest first; starts are kept as what is in progress, not shown."""
        shown = []
        for stack, raw in self._all_events():
            if raw["EventId"] in self._seen:
                continue
            self._seen.add(raw["EventId"])
            event = _Event(
                stack,
                raw["LogicalResourceId"],
                raw.get("ResourceType", ""),
                raw["ResourceStatus"],
                raw.get("ResourceStatusReason", ""),
                raw.get("PhysicalResourceId", ""),
            )
            self._track(event)
            if event.is_stack or not event.status.endswith("_IN_PROGRESS"):
                shown.append(event)
        return shown

    def recorded_without_effect(self) -> dict[str, int]:
        from local_aws import launcher

        status = launcher.status_at(self.status["port"])
        return status["recorded_without_effect"] if status else {}

    def _track(self, event: _Event) -> None:
        names = self._open.setdefault(event.stack, [])
        if event.status.endswith("_IN_PROGRESS") and event.status != "REVIEW_IN_PROGRESS":
            if event.resource not in names:
                names.append(event.resource)
        elif event.resource in names:
            names.remove(event.resource)

    def _all_events(self) -> list[tuple[str, dict[str, Any]]]:
        """All events of all stacks seen so far, each stack's oldest first."""
        found = []
        self._known |= {s["StackId"]: s["StackName"] for s in self._client.describe_stacks()["Stacks"]}
        for stack_id, name in self._known.items():
            pages = self._client.get_paginator("describe_stack_events").paginate(StackName=stack_id)
            events = [event for page in pages for event in page["StackEvents"]]
            found += [(name, event) for event in reversed(events)]
        return found


def _summary(stacks: _Stacks, out: TextIO) -> None:
    recorded = stacks.recorded_without_effect()
    if recorded:
        names = ", ".join(f"{name} ({count})" for name, count in recorded.items())
        print(f"Recorded without effect: {names}", file=out)


def _explain(
    problem: str | None,
    stacks: _Stacks,
    command: list[str],
    code: int,
    log: Path,
    emulator_log: Path,
    out: TextIO,
) -> None:
    print(f"\nThe deployment failed. {problem or f'{command[0]} ended with code {code}.'}", file=out)
    for event in stacks.failures:
        print(f"\n{event.stack}/{event.resource} ({event.type}): {event.status}\n{event.reason}", file=out)
    if not stacks.failures:
        print(f"\nThe end of what {command[0]} said ({log}):\n{_tail(log, 25)}", file=out)
    if problem is not None:
        print(
            f"\nThe end of the emulator's log ({emulator_log}):\n{_tail(emulator_log, 25, _LOG_NOISE)}",
            file=out,
        )


def _tail(path: Path, count: int, noise: re.Pattern[str] | None = None) -> str:
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    return "\n".join([line for line in lines if noise is None or not noise.search(line)][-count:])


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the command and what it started, whether it hangs or the watch was interrupted."""
    if process.poll() is None:
        processes.end_group(process.pid, signal.SIGTERM)
        try:
            process.wait(_END_GRACE)
        except subprocess.TimeoutExpired:
            processes.end_group(process.pid, signal.SIGKILL)
            process.wait()
