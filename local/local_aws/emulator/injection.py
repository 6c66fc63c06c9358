"""Where faults meet calls: every service's requests, running functions, and deliveries of events."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import threading
import time
import weakref
from typing import Any

from local_aws import faults

_LOOK_SECONDS = 0.05
_killed: weakref.WeakSet[Any] = weakref.WeakSet()
_kills = threading.Lock()
_KILL_AFTER = 0.2
"""Seconds into an invocation at which it is killed, unless the fault says otherwise."""


def install_kills() -> None:
    """Before what else wraps the calls of functions, which must see how a killed call ended."""
    from ministack.core import lambda_runtime

    _kill_functions(lambda_runtime)


def install() -> None:
    from ministack import app
    from ministack.services import eventbridge

    for service in list(app.SERVICE_HANDLERS):
        app.SERVICE_HANDLERS[service] = _failing(service, app.SERVICE_HANDLERS[service])
    _duplicate_events(eventbridge)


def _failing(service: str, handle: Any) -> Any:
    async def handle_or_fail(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any], **options: Any
    ) -> Any:
        if not faults.active():
            return await handle(method, path, headers, body, query, **options)
        fault = _met(service, method, path, headers, body, query)
        if fault is None:
            return await handle(method, path, headers, body, query, **options)
        await _delay(fault)
        if not fault.code or fault.after:
            answer = await handle(method, path, headers, body, query, **options)
            if not fault.code:
                return answer
        return _error(service, fault, headers)

    return handle_or_fail


async def _delay(fault: faults.Fault) -> None:
    """Wait for the fault's delay, or until the fault is forgotten."""
    until = time.monotonic() + fault.delay
    while not fault.forgotten and (left := until - time.monotonic()) > 0:
        await asyncio.sleep(min(left, _LOOK_SECONDS))


def _met(
    service: str, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
) -> faults.Fault | None:
    from ministack.core import iam_actions, iam_evaluator
    from ministack.core.responses import get_account_id, get_region
    from ministack.core.router import extract_access_key_id
    from ministack.services import sts

    action = iam_actions.extract_iam_action(service, method, path, headers, body, query)
    if action is None:
        return None
    resource = iam_actions.extract_resource_arn(
        service, method, path, headers, body, query, get_region(), get_account_id()
    )
    session = sts._sessions.get(extract_access_key_id(headers, query)) or {}
    role = iam_evaluator._role_name_from_assumed_arn(session.get("Arn", ""))
    return faults.take(faults.FAIL, api=action, resource=str(resource), role=role)


def _error(service: str, fault: faults.Fault, headers: dict[str, str]) -> Any:
    """The error in the service's own protocol."""
    from ministack.core import iam_actions

    message = f"A fault that was asked for (fault {fault.number})"
    _, answer_headers, body = iam_actions.access_denied_response(
        service, "", "", f"fault-{fault.number}", error_code=fault.code, message=message, headers=headers
    )
    return fault.status, answer_headers, body


def _kill_functions(lambda_runtime: Any) -> None:
    invoke = lambda_runtime.Worker.invoke

    def invoke_or_die(worker: Any, event: Any, request_id: str, **values: Any) -> dict[str, Any]:
        fault = faults.take(faults.KILL, resource=worker.func_name)
        with _kills:
            _killed.discard(worker)
        dies = _Death(worker, fault.delay or _KILL_AFTER) if fault is not None else contextlib.nullcontext()
        answer: dict[str, Any]
        try:
            with dies:
                answer = invoke(worker, event, request_id, **values)
        except (RuntimeError, OSError):  # no first answer, or a pipe that broke before the first word
            if worker not in _killed:
                raise
            answer = {"status": "error", "log": ""}  # killed while it started
        if fault is not None and answer.get("status") == "ok":
            # It was quicker than the kill, or the machine too busy: it dies with its answer in its hands.
            answer = {"status": "error", "log": ""}
            _end(worker)
        told = "type" in answer or str(answer.get("error", "")).startswith("Task timed out")
        if answer.get("status") == "error" and not told and _is_dead(worker):
            reason = f"RequestId: {request_id} Error: Runtime exited with error: signal: killed"
            answer |= {"error": reason, "type": "Runtime.ExitError"}
        return answer

    lambda_runtime.Worker.invoke = invoke_or_die


class _Death:
    """Kills a call after some time, and never the call that comes after it."""

    def __init__(self, worker: Any, seconds: float) -> None:
        self._worker, self._over = worker, False
        self._timer = threading.Timer(seconds, self._kill)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        with _kills:
            self._over = True
        self._timer.cancel()

    def _kill(self) -> None:
        with _kills:
            if not self._over:
                _kill(self._worker)


def _kill(worker: Any) -> bool:
    """Kill the call that a worker works for; False where its process is not there yet."""
    process = worker._proc
    if process is None or process.poll() is not None:
        return False
    _killed.add(worker)
    process.kill()
    return True


def _end(worker: Any) -> None:
    process, worker._proc = worker._proc, None
    if process is not None:
        process.kill()
        process.wait()


def _is_dead(worker: Any) -> bool:
    """Whether the process of a call that failed without a word of its handler has ended by itself."""
    process = worker._proc
    if process is None:
        return True
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(1)  # its pipe may break a moment before it has ended
    return process.poll() is not None


def kill_running(name: str) -> int:
    """Kill the invocations of a function that are in flight now; how many were killed."""
    from ministack.core import lambda_runtime

    workers = [w for pool in list(lambda_runtime._workers.values()) for w in list(pool)]
    with _kills:
        return sum(_kill(w) for w in workers if w.func_name == name and w.in_use)


def _duplicate_events(eventbridge: Any) -> None:
    invoke = eventbridge._invoke_target

    def invoke_twice(
        target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None
    ) -> Any:
        result = invoke(target, event, rule, view)
        if faults.take(faults.DUPLICATE, resource=rule.get("Name", "")) is not None:
            invoke(target, event, rule, view)
        return result

    eventbridge._invoke_target = invoke_twice
