"""Lambda: what ministack's functions do differently from AWS's, mended.

- An exception's class name is the error type, with a stack trace, as Step Functions and people need it.
- The weights of an alias are honoured, wherever the alias is invoked from.
- PublishVersion keeps its guards: RevisionId and CodeSha256.
- An asynchronous invocation keeps to the retries of the function or alias that was invoked, and a dead-letter
  queue gets the event itself with the error as attributes, in the function's role.
- What a function prints is whole in its log, and no call waits for output that does not come; metrics in it
  (Embedded Metric Format) are metrics.
- A burst waits for an execution environment instead of starting a process for each call.
"""

from __future__ import annotations

import contextvars
import json
import logging
import os
import queue
import random
import re
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from local_aws import context, identity
from local_aws.emulator import embedded_metrics, trust

_log = logging.getLogger("local_aws")
_ENVIRONMENTS = max(4, 2 * (os.cpu_count() or 2))
"""Processes of one function version at a time."""
_WAIT_SECONDS = 120.0

_last = threading.local()
_invoked_arn: contextvars.ContextVar[str | None] = contextvars.ContextVar(
    "local_aws_invoked_arn", default=None
)
_slots: dict[str, threading.BoundedSemaphore] = {}
_slots_lock = threading.Lock()

_REPORTED = '"error": str(e), "trace": traceback.format_exc()'
_REPORTED_WITH_TYPE = '"type": type(e).__name__, ' + _REPORTED

_CALLED = "            result = handler_fn(event, context)"
_END_OF_OUTPUT = "\x1elocal-aws: end of this call's output"
_CALLED_WITH_END = f"""            try:
                result = handler_fn(event, context)
            finally:
                sys.stderr.write({_END_OF_OUTPUT!r} + chr(10))
                sys.stderr.flush()"""
_PENDING_SECONDS = 0.2
"""How long a function is Pending or being updated: long enough to notice who does not wait for it."""
_LOOK_SECONDS = 0.05
_OUTPUT_SECONDS = 30.0
"""How long the end of a call's output is waited for, where neither that comes nor the end of the pipe."""


def install() -> None:
    from ministack.core import lambda_runtime
    from ministack.services import lambda_svc

    lambda_svc._LAMBDA_STATE_TRANSITION_DELAY = _PENDING_SECONDS
    _report_the_type(lambda_runtime)
    _wrap_execution(lambda_svc, lambda_runtime)
    _wrap_aliases(lambda_svc)
    _wrap_publish(lambda_svc)
    _wrap_async(lambda_svc)


def script_problem() -> str | None:
    """What is wrong with the worker's script, into which the error's type is put; None when nothing is."""
    from ministack.core import lambda_runtime

    script = lambda_runtime._PYTHON_WORKER_SCRIPT
    counts = {text: script.count(text) for text in (_REPORTED, _CALLED)}
    wrong = [f"expected one {text.strip()!r}, found {count}" for text, count in counts.items() if count != 1]
    return "; ".join(wrong) or None


def _report_the_type(lambda_runtime: Any) -> None:
    script = lambda_runtime._PYTHON_WORKER_SCRIPT.replace(_REPORTED, _REPORTED_WITH_TYPE)
    lambda_runtime._PYTHON_WORKER_SCRIPT = script.replace(_CALLED, _CALLED_WITH_END)
    drain = lambda_runtime.Worker._drain_stderr_bounded

    def drain_to_the_end(worker: Any) -> str:
        if not str(worker.config.get("Runtime", "")).startswith("python"):
            return str(drain(worker))
        return _output(worker._stderr_queue, worker._stderr_thread.is_alive)

    lambda_runtime.Worker._drain_stderr_bounded = drain_to_the_end


def _output(lines: queue.Queue[str], is_read: Callable[[], bool]) -> str:
    """What a function printed in this call: up to the line that says so, or to its death."""
    found: list[str] = []
    deadline = time.monotonic() + _OUTPUT_SECONDS
    while time.monotonic() < deadline:
        more = is_read()  # asked before the look: what was read by then is there
        try:
            line = lines.get(timeout=_LOOK_SECONDS if more else 0)
        except queue.Empty:
            if more:
                continue
            break
        before, end, _ = line.partition(_END_OF_OUTPUT)
        if before or not end:
            found.append(before)
        if end:
            break
    return "\n".join(found)


def _wrap_execution(lambda_svc: Any, lambda_runtime: Any) -> None:
    execute, invoke = lambda_svc._execute_function_warm, lambda_runtime.Worker.invoke

    def invoke_and_remember(worker: Any, event: Any, request_id: str, **values: Any) -> dict[str, Any]:
        if _invoked_arn.get() is not None:
            values["invoked_function_arn"] = _invoked_arn.get()
        _last.answer = invoke(worker, event, request_id, **values)
        answer: dict[str, Any] = _last.answer
        return answer

    def execute_with_error_type(func: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
        _last.answer = {}
        config = func.get("config") or func
        try:
            trust.require(config.get("Role", ""), "lambda", config.get("FunctionArn"))
        except trust.NotTrusted as error:
            body = {"errorType": "AccessDeniedException", "errorMessage": str(error)}
            return {"error": True, "body": body, "log": str(error)}
        with _slot(config):
            result: dict[str, Any] = execute(func, event, request_id)
        embedded_metrics.record(str(result.get("log") or ""))
        kind = _last.answer.get("type")
        if result.get("error") and kind and isinstance(result.get("body"), dict):
            trace = _last.answer.get("trace", "").splitlines(keepends=True)
            result["body"] |= {"errorType": kind, "requestId": request_id, "stackTrace": _frames(trace)}
        return result

    lambda_runtime.Worker.invoke = invoke_and_remember
    lambda_svc._execute_function_warm = execute_with_error_type


class _slot:  # noqa: N801 - used as a statement
    """One of the execution environments of a function version."""

    def __init__(self, config: dict[str, Any]) -> None:
        key = f"{config.get('FunctionName')}:{config.get('Version')}"
        with _slots_lock:
            self._semaphore = _slots.setdefault(key, threading.BoundedSemaphore(_ENVIRONMENTS))
        self._taken = False

    def __enter__(self) -> None:
        # A function that waits for itself could wait forever: after a while it gets one more.
        self._taken = self._semaphore.acquire(timeout=_WAIT_SECONDS)

    def __exit__(self, *_: object) -> None:
        if self._taken:
            self._semaphore.release()


def _frames(trace: list[str]) -> list[str]:
    """The frames of a traceback that are the function's own, as Lambda lists them."""
    frames: list[str] = []
    for line in trace:
        if re.match(r'  File "', line):
            frames.append(line)
        elif frames and line.startswith("    "):
            frames[-1] += line
    return [frame for frame in frames if "in run\n" not in frame]


def _wrap_aliases(lambda_svc: Any) -> None:
    invoke, by_reference = lambda_svc._invoke, lambda_svc._get_func_record_for_ref

    async def invoke_weighted(
        name: str,
        event: Any,
        headers: dict[str, str],
        path_qualifier: str | None = None,
        query_params: dict[str, list[str]] | None = None,
    ) -> Any:
        given = (query_params or {}).get("Qualifier")
        qualifier = path_qualifier or (given[0] if isinstance(given, list) else given)
        version = _weighted_version(lambda_svc, name, qualifier)
        if version is None:
            return await invoke(name, event, headers, path_qualifier, query_params)
        token = _invoked_arn.set(f"{lambda_svc._func_arn(name)}:{qualifier}")
        try:
            return await invoke(name, event, headers, version, query_params)
        finally:
            _invoked_arn.reset(token)

    def weighted_record(function_ref: str) -> Any:
        record, config, name = by_reference(function_ref)
        alias = function_ref.rsplit(":", 1)[-1] if isinstance(function_ref, str) else None
        version = _weighted_version(lambda_svc, name, alias) if record is not None else None
        if version is None:
            return record, config, name
        chosen = lambda_svc._functions[name]["versions"][version]
        return chosen, chosen["config"], name

    lambda_svc._invoke = invoke_weighted
    lambda_svc._get_func_record_for_ref = weighted_record


def _weighted_version(lambda_svc: Any, name: str, qualifier: str | None) -> str | None:
    """The version that this invocation of a weighted alias goes to; None where nothing is weighted."""
    func = lambda_svc._functions.get(name)
    alias = (func or {}).get("aliases", {}).get(qualifier)
    weights = ((alias or {}).get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    if not weights:
        return None
    drawn = random.random()  # noqa: S311 - traffic shares, not secrets
    for version, weight in weights.items():
        drawn -= float(weight)
        if drawn < 0:
            return str(version)
    return str(alias["FunctionVersion"])


def _wrap_publish(lambda_svc: Any) -> None:
    publish = lambda_svc._publish_version

    def publish_guarded(name: str, data: dict[str, Any]) -> Any:
        config = (lambda_svc._functions.get(name) or {}).get("config", {})
        revision, digest = data.get("RevisionId"), data.get("CodeSha256")
        if config and revision and revision != config.get("RevisionId"):
            message = (
                "The Revision Id provided does not match the latest Revision Id. Call the "
                "GetFunction/GetAlias API to retrieve the latest Revision Id"
            )
            return lambda_svc.error_response_json("PreconditionFailedException", message, 412)
        if config and digest and digest != config.get("CodeSha256"):
            message = (
                f"CodeSHA256 ({digest}) is different from current CodeSHA256 in $LATEST "
                f"({config.get('CodeSha256')}). Please try again with the CodeSHA256 in $LATEST."
            )
            return lambda_svc.error_response_json("InvalidParameterValueException", message, 400)
        return publish(name, data)

    lambda_svc._publish_version = publish_guarded


def _wrap_async(lambda_svc: Any) -> None:
    retry, route = lambda_svc.invoke_async_with_retry, lambda_svc._route_async_failure

    def invoke_async(func: dict[str, Any], event: Any) -> None:
        config = func.get("config") or func
        base = lambda_svc._functions.get(config.get("FunctionName", "")) or {}
        _, _, qualifier = config.get("FunctionArn", "").partition(":function:")[2].partition(":")
        settings = lambda_svc._event_invoke_config(base, qualifier or None)
        retry(func | {"event_invoke_config": settings, "event_invoke_configs": {}}, event)

    def route_failure(target_arn: str, func_name: str, event: Any, result: dict[str, Any]) -> None:
        config = (lambda_svc._functions.get(func_name) or {}).get("config", {})
        if target_arn == (config.get("DeadLetterConfig") or {}).get("TargetArn"):
            _send_to_dead_letters(target_arn, config, event, result)
        else:
            route(target_arn, func_name, event, result)

    lambda_svc.invoke_async_with_retry = invoke_async
    lambda_svc._route_async_failure = route_failure


def _send_to_dead_letters(target: str, config: dict[str, Any], event: Any, result: dict[str, Any]) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    body = result.get("body") if isinstance(result.get("body"), dict) else {}
    values = {
        "RequestID": str((body or {}).get("requestId") or uuid.uuid4()),
        "ErrorCode": "200",
        "ErrorMessage": str((body or {}).get("errorMessage", ""))[:1024] or "Unknown",
    }
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in values.items()}
    attributes["ErrorCode"]["DataType"] = "Number"
    credentials = identity.assume(config["Role"], "lambda", config["FunctionName"])
    try:
        if ":sns:" in target:
            sns = context.client("sns", credentials)
            sns.publish(TopicArn=target, Message=json.dumps(event), MessageAttributes=attributes)
        else:
            url = context.client("sqs").get_queue_url(QueueName=target.rsplit(":", 1)[-1])["QueueUrl"]
            sqs = context.client("sqs", credentials)
            sqs.send_message(QueueUrl=url, MessageBody=json.dumps(event), MessageAttributes=attributes)
    except (ClientError, BotoCoreError, trust.NotTrusted) as error:
        # As in AWS: the event is lost, and only a metric tells (DeadLetterErrors).
        _log.warning(
            "The dead letter of %s was not delivered to %s: %s", config["FunctionName"], target, error
        )
