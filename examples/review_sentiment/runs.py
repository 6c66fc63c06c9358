"""The runs of the training pipeline: found by the data that they were started with, and followed."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from examples.review_sentiment.uploads import Upload

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.type_defs import HistoryEventTypeDef

FAILED = ("FAILED", "TIMED_OUT", "ABORTED")
# The names of a state machine's runs come a thousand a call; a run that is older than these is not found.
_MAX_RUNS_LISTED = 10_000
_STATES_OF_NO_WORK = ("Choice", "Pass", "Succeed", "Fail")


class RunNotFoundError(RuntimeError):
    """No run was started for the uploaded data."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One execution of the state machine."""

    arn: str
    name: str
    status: str


@dataclass(kw_only=True, slots=True)
class State:
    """What a run did in one state: all visits together, for a state in a loop has many."""

    name: str
    started: datetime
    ended: datetime | None = None
    visits: int = 1
    seconds_before: float = 0.0
    error: str | None = None
    cause: str | None = None
    input: Any = None
    arguments: Any = None
    output: Any = None

    def seconds(self, now: datetime) -> float:
        return self.seconds_before + ((self.ended or now) - self.started).total_seconds()


@dataclass(kw_only=True, slots=True)
class Progress:
    """A run as far as its history tells."""

    run: Run
    states: list[State] = field(default_factory=list)
    error: str | None = None
    cause: str | None = None
    output: Any = None

    @property
    def ended(self) -> bool:
        return self.run.status not in ("RUNNING", "PENDING_REDRIVE")


def run_names(data: Upload) -> tuple[str, ...]:
    """How the platform names the run of this data: by bucket, key and what S3 says of the content.

    S3 keeps the SHA-256 that came with the upload; where a store does not, the start function computes it.
    """
    checksums = (base64.b64encode(bytes.fromhex(data.sha256)).decode(), data.sha256)
    identities = [f"{data.bucket}\0{data.key}\0SHA256:{checksum}:{data.size}" for checksum in checksums]
    return tuple("run-" + hashlib.sha256(identity.encode()).hexdigest()[:24] for identity in identities)


def find_runs(stepfunctions: SFNClient, state_machine_arn: str, data: Upload) -> list[Run]:
    """All runs of this data, the newest first. A repeated one has the same name and a suffix."""
    names = run_names(data)
    pages = stepfunctions.get_paginator("list_executions").paginate(
        stateMachineArn=state_machine_arn, PaginationConfig={"MaxItems": _MAX_RUNS_LISTED, "PageSize": 1000}
    )
    found = [
        execution for page in pages for execution in page["executions"] if execution["name"].startswith(names)
    ]
    found.sort(key=lambda execution: execution["startDate"], reverse=True)
    return [Run(arn=e["executionArn"], name=e["name"], status=e["status"]) for e in found]


def wait_for_new_run(
    find: Callable[[], list[Run]], known: set[str], *, timeout: float, poll: float = 0.5
) -> Run:
    """The run that the upload's event starts.

    Raises:
        RunNotFoundError: none came in time.
    """
    deadline = time.monotonic() + timeout
    while True:
        for run in find():
            if run.arn not in known:
                return run
        if time.monotonic() > deadline:
            raise RunNotFoundError(
                f"The upload started no run within {timeout:.0f} s. Look at the pipeline's start function "
                f"(its logs and dead-letter queue) and at the rule for new objects in the raw zone."
            )
        time.sleep(poll)


def follow(stepfunctions: SFNClient, run: Run, *, poll: float) -> Iterator[Progress]:
    """The run's progress, again and again until it has ended."""
    while True:
        # The status first: when it says that the run has ended, the history read after it is complete.
        described = stepfunctions.describe_execution(executionArn=run.arn)
        progress = Progress(
            run=Run(arn=run.arn, name=run.name, status=described["status"]),
            states=_states(stepfunctions, run.arn),
            error=described.get("error"),
            cause=described.get("cause"),
            output=_parsed(described.get("output")),
        )
        yield progress
        if progress.ended:
            return
        time.sleep(poll)


def _states(stepfunctions: SFNClient, arn: str) -> list[State]:
    states: dict[str, State] = {}
    current: State | None = None
    for page in stepfunctions.get_paginator("get_execution_history").paginate(executionArn=arn):
        for event in page["events"]:
            current = _apply(states, current, event)
    return list(states.values())


def _apply(states: dict[str, State], current: State | None, event: HistoryEventTypeDef) -> State | None:
    """Take one event into account; returns the state that the run is in after it."""
    kind = str(event["type"])
    if kind.endswith("StateEntered"):
        entered = event["stateEnteredEventDetails"]
        if kind.startswith(_STATES_OF_NO_WORK):
            return None
        return _enter(states, entered["name"], event["timestamp"], _parsed(entered.get("input")))
    if kind.endswith("StateExited") and current:
        current.ended = event["timestamp"]
        current.output = _parsed(event["stateExitedEventDetails"].get("output"))
        return None
    if kind == "TaskScheduled" and current:
        current.arguments = _parsed(event["taskScheduledEventDetails"].get("parameters"))
    if kind.endswith("Succeeded") and current:  # a retry that went well
        current.error = current.cause = None
    if kind.endswith(("Failed", "TimedOut", "Aborted")):
        details: Any = next((v for k, v in event.items() if k.endswith("EventDetails")), {})
        if current:
            current.error, current.cause = details.get("error", kind), details.get("cause")
            if kind.startswith("Execution"):
                current.ended = event["timestamp"]
    return current


def _enter(states: dict[str, State], name: str, when: datetime, given: Any) -> State:
    previous = states.pop(name, None)
    state = State(name=name, started=when, input=given)
    if previous:
        state.visits = previous.visits + 1
        state.seconds_before = previous.seconds(when)
    states[name] = state
    return state


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a finished run made."""

    metrics: dict[str, Any]
    counts: dict[str, Any]
    model: str | None
    scores: str | None
    report: str | None
    model_package_arn: str | None


def outcome(progress: Progress) -> Outcome:
    """Read the run's output: the pipeline ends with the outputs of all its steps by name."""
    output: dict[str, Any] = progress.output or {}
    return Outcome(
        metrics=output.get("metrics", {}),
        counts=output.get("counts", {}),
        model=_uri(output.get("model")),
        scores=_uri(output.get("scores")),
        report=_uri(output.get("evaluation")),
        model_package_arn=output.get("modelPackage", {}).get("model_package_arn"),
    )


def failed_state(progress: Progress) -> State | None:
    """The state in which a failed run went wrong: the first one whose error was not mended by a retry."""
    return next((state for state in progress.states if state.error), None)


def report_of(state: State) -> str | None:
    """Where the state that failed was told to write its report."""
    return _uri(_first([state.output, state.arguments, state.input], "report", _is_location))


def explain(cause: str | None) -> str:
    """A cause as a person reads it: Lambda and SageMaker wrap the message in JSON."""
    parsed = _parsed(cause)
    if isinstance(parsed, dict):
        for key in ("errorMessage", "FailureReason", "Cause", "message"):
            if isinstance(parsed.get(key), str):
                return explain(parsed[key])
    return str(cause or "no cause was given")


def _parsed(text: str | None) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text


def _first(trees: list[Any], key: str, matches: Callable[[Any], bool]) -> Any:
    """The first value of this key that matches, breadth first in each tree."""
    for tree in trees:
        level = [tree]
        while level:
            below: list[Any] = []
            for node in level:
                if isinstance(node, dict):
                    if key in node and matches(node[key]):
                        return node[key]
                    below += node.values()
                elif isinstance(node, list):
                    below += node
            level = below
    return None


def _is_location(value: Any) -> bool:
    return isinstance(value, dict) and {"bucket", "key"} <= value.keys()


def _uri(location: Any) -> str | None:
    return f"s3://{location['bucket']}/{location['key']}" if location else None


def now() -> datetime:
    return datetime.now(UTC)
