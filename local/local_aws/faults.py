"""Faults on request: what fails, is slow, dies or comes twice, and how often.

A fault takes effect on the next calls that match it and is used up after ``times`` of them. Without one,
calls pass through one look at an empty list.
"""

from __future__ import annotations

import fnmatch
import itertools
import threading
from dataclasses import asdict, dataclass, field
from typing import Any

FAIL, KILL, DUPLICATE = "fail", "kill", "duplicate"
_MOST_TIMES = 1_000_000
_THROTTLED = {
    "s3": "SlowDown",
    "lambda": "TooManyRequestsException",
    "dynamodb": "ProvisionedThroughputExceededException",
    "sqs": "RequestThrottled",
    "sns": "Throttled",
    "cloudwatch": "Throttling",
    "iam": "Throttling",
    "kinesis": "ProvisionedThroughputExceededException",
}
_STATUS = {
    "SlowDown": 503,
    "ServiceUnavailable": 503,
    "ServiceUnavailableException": 503,
    "InternalError": 500,
    "InternalFailure": 500,
    "InternalServerError": 500,
    "ServiceException": 500,
    "TooManyRequestsException": 429,
    "AccessDenied": 403,
    "AccessDeniedException": 403,
    "NoSuchKey": 404,
}


class FaultError(Exception):
    """A fault that cannot be; the message says what to give instead."""


@dataclass(slots=True)
class Fault:
    """What is to go wrong, for which calls, and how many times more."""

    number: int
    kind: str
    api: str = "*"
    """``service:Operation`` as in policies, with wildcards; for ``kill`` and ``duplicate`` it is unused."""
    resource: str = "*"
    """ARN of what is called, with wildcards; the name of a function (kill) or of a rule (duplicate)."""
    role: str = "*"
    code: str = ""
    """Empty for a call that is only delayed."""
    status: int = 400
    delay: float = 0.0
    after: bool = False
    """The call takes effect, and its answer is lost."""
    left: int = 1
    hits: int = 0
    forgotten: bool = False
    """No call waits for it any longer."""


@dataclass
class _Faults:
    lock: threading.Lock = field(default_factory=threading.Lock)
    known: list[Fault] = field(default_factory=list)
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))


_faults = _Faults()


def add(request: dict[str, Any]) -> dict[str, Any]:
    """A fault from the command line or a test."""
    kind = request.get("kind", FAIL)
    if kind not in (FAIL, KILL, DUPLICATE):
        raise FaultError(f"{kind!r} is not a fault: give {FAIL}, {KILL} or {DUPLICATE}")
    api, code, delay = request.get("api", "*"), request.get("code", ""), float(request.get("delay", 0))
    if kind == FAIL:
        if ":" not in api:
            raise FaultError(f"{api!r} is not an API: give service:Operation, for example s3:PutObject")
        if request.get("throttle"):
            code = _THROTTLED.get(api.partition(":")[0], "ThrottlingException")
        if not code and not delay:
            raise FaultError("say what goes wrong: a code, throttle or a delay")
    times = int(request.get("times", 1))
    if not 1 <= times <= _MOST_TIMES or delay < 0:
        raise FaultError("times must be 1 or more, and delay must not be negative")
    fault = Fault(
        number=next(_faults.numbers),
        kind=kind,
        api=api,
        resource=request.get("resource") or "*",
        role=(request.get("role") or "*").rsplit("/", 1)[-1],
        code=code,
        status=int(request.get("status") or _STATUS.get(code, 400)),
        delay=delay,
        after=bool(request.get("after")),
        left=times,
    )
    with _faults.lock:
        _faults.known.append(fault)
    return asdict(fault)


def listed() -> dict[str, Any]:
    with _faults.lock:
        return {"faults": [asdict(fault) for fault in _faults.known]}


def clear() -> dict[str, Any]:
    """Forget all faults, so that calls that are delayed go on; says how many were still to come."""
    with _faults.lock:
        left = sum(1 for fault in _faults.known if fault.left)
        for fault in _faults.known:
            fault.forgotten = True
        _faults.known.clear()
    return {"cleared": left}


def take(kind: str, *, api: str = "", resource: str = "", role: str = "") -> Fault | None:
    """The first fault that this call meets, one time of it used up."""
    if not _faults.known:
        return None
    with _faults.lock:
        for fault in _faults.known:
            if fault.left and fault.kind == kind and _meets(fault, api, resource, role):
                fault.left -= 1
                fault.hits += 1
                return fault
    return None


def active() -> bool:
    return bool(_faults.known)


def _meets(fault: Fault, api: str, resource: str, role: str) -> bool:
    return (
        fnmatch.fnmatchcase(api.lower(), fault.api.lower())
        and fnmatch.fnmatchcase(resource, fault.resource)
        and fnmatch.fnmatchcase(role, fault.role)
    )
