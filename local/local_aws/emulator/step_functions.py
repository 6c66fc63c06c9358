"""Step Functions: every task is called over HTTP in the state machine's role, so that IAM applies.

Runs: lambda:invoke, sns:publish, sqs:sendMessage, events:putEvents, SageMaker's training, processing,
transform and tuning jobs and Athena's queries with and without .sync, SageMaker's models and endpoints, every
``aws-sdk:*`` call by botocore's model, task tokens, timeouts of tasks (numbers and JSONata) and of the whole
machine, and StopExecution, which also stops the job or query that a task waits for.
ministack runs the states themselves: JSONata, JSONPath, Retry, Catch, Map and Parallel.
Not there: .sync of other services than SageMaker, Athena and nested executions; execution logs.
"""

from __future__ import annotations

import contextlib
import contextvars
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from typing import Any

from local_aws.emulator import role_calls

_POLL = 0.1
_WHOLE_SECONDS = 30.0
"""How long an execution that ends may take from its status to its output; it takes microseconds."""
_JOBS = {
    f"sagemaker:create{noun}.sync"
    for noun in ("TrainingJob", "ProcessingJob", "TransformJob", "HyperParameterTuningJob")
}

_LAST_EVENTS = {"ExecutionSucceeded", "ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted"}


@dataclass(frozen=True, slots=True)
class Running:
    """The execution, and the task of it, that the current thread works for."""

    execution: dict[str, Any]
    role_arn: str
    timed_out: threading.Event = field(default_factory=threading.Event)
    """The task's own timeout has passed."""

    @property
    def over(self) -> bool:
        return self.timed_out.is_set() or self.execution["status"] != "RUNNING"


_current: contextvars.ContextVar[Running | None] = contextvars.ContextVar("local_aws_execution", default=None)


def install() -> None:
    from ministack.services import stepfunctions as states

    run, start, fail, execute_task, apply_output_path = (
        states._run_execution,
        states._start_execution,
        states._fail_execution,
        states._execute_task,
        states._apply_output_path,
    )

    def start_execution(data: dict[str, Any]) -> Any:
        return _already_running(states, data) or start(data)

    def run_execution(exec_arn: str) -> None:
        execution = states._executions.get(exec_arn)
        machine = states._state_machines.get(execution["stateMachineArn"]) if execution else None
        if execution is None or machine is None:
            run(exec_arn)
            return
        token = _current.set(Running(execution, machine["roleArn"]))
        try:
            with _machine_timeout(states, execution, machine):
                run(exec_arn)
        finally:
            _current.reset(token)

    def fail_execution(execution: dict[str, Any], error: str, cause: str) -> None:
        # A task that ends after its execution was stopped changes nothing any more.
        if execution["status"] == "RUNNING":
            fail(execution, error, cause)

    def output_path(state_def: dict[str, Any], data: Any, ctx: Any = None) -> Any:
        # ministack knows the JSONata Output of every state but Succeed.
        if state_def.get("Type") == "Succeed" and states._state_query_language(state_def, ctx) == "JSONata":
            return states._apply_jsonata_output(state_def, data, ctx, default=data)
        return apply_output_path(state_def, data, ctx)

    def execute(state_def: dict[str, Any], raw_input: Any, execution: dict[str, Any], ctx: Any) -> Any:
        if isinstance(state_def.get("TimeoutSeconds"), str):
            seconds = states._jsonata_state_field(state_def, "TimeoutSeconds", "number", raw_input, ctx)
            state_def = state_def | {"TimeoutSeconds": seconds}
        return execute_task(state_def, raw_input, execution, ctx)

    add_event, describe = states._add_event, states._describe_execution

    def add_event_until_the_end(execution: dict[str, Any], kind: str, details: Any = None) -> Any:
        """A state that a stop has interrupted says nothing after the stop."""
        events = execution["events"]
        if events and events[-1]["type"] in _LAST_EVENTS and not kind.startswith("Execution"):
            return events[-1]
        return add_event(execution, kind, details)

    def describe_whole(data: dict[str, Any]) -> Any:
        """ministack says that an execution is over before it has said with which output."""
        execution = states._executions.get(data.get("executionArn", "")) or {"status": "RUNNING"}
        until = time.monotonic() + _WHOLE_SECONDS
        while (
            execution["status"] != "RUNNING"
            and execution.get("stopDate") is None
            and time.monotonic() < until
        ):
            time.sleep(0.001)
        return describe(data)

    invoke = states._invoke_resource

    def invoke_resource(resource: str, input_data: Any) -> Any:
        if resource.startswith("arn:aws:states:::states:startExecution.sync") or ":activity:" in resource:
            return invoke(resource, input_data)
        return _invoke(resource, input_data)

    def invoke_with_timeout(resource: str, input_data: Any, timeout: float) -> Any:
        return _within(states, timeout, invoke_resource, resource, input_data)

    states._add_event = add_event_until_the_end
    states._describe_execution = describe_whole
    states._start_execution = start_execution
    states._run_execution = run_execution
    states._fail_execution = fail_execution
    states._apply_output_path = output_path
    states._execute_task = execute
    states._invoke_resource = invoke_resource
    states._invoke_resource_with_timeout = invoke_with_timeout
    states._scaled_sleep = _sleep
    _install_branches(states)
    # Task tokens: the call that carries the token is made in the machine's role too.
    states._call_lambda = _call_lambda
    states._invoke_aws_sdk_integration = _invoke
    states._SERVICE_DISPATCH.clear()
    states._SERVICE_DISPATCH["arn:aws:states:::"] = _invoke


def _install_branches(states: Any) -> None:
    """Parallel in JSONata, and branches that do not see each other's variables."""
    run_branches, run_sub_machine = states._run_parallel_branches, states._run_sub_machine

    def parallel(state_def: dict[str, Any], raw_input: Any, execution: dict[str, Any], ctx: Any) -> Any:
        if states._state_query_language(state_def, ctx) != "JSONata":
            return run_branches(state_def, raw_input, execution, ctx)
        given = states._apply_jsonata_arguments(state_def, raw_input, ctx)
        results, _ = run_branches({"Branches": state_def["Branches"], "End": True}, given, execution, ctx)
        output = states._apply_jsonata_output(state_def, raw_input, ctx, result=results, default=results)
        states._apply_state_assign(state_def, raw_input, ctx, result=results)
        return output, states._next_or_end(state_def)

    def sub_machine(inner: Any, start_at: str, input_data: Any, execution: dict[str, Any], ctx: Any) -> Any:
        own = ctx | {"variables": dict(ctx.get("variables", {}))}
        return run_sub_machine(inner, start_at, input_data, execution, own)

    states._run_parallel_branches = parallel
    states._run_sub_machine = sub_machine


def _already_running(states: Any, data: dict[str, Any]) -> Any:
    """The same name and input while the execution runs is the same execution, as in AWS."""
    from ministack.core.responses import get_account_id, get_region, json_response

    machine = states._state_machines.get(data.get("stateMachineArn", ""))
    if machine is None or not data.get("name"):
        return None
    arn = f"arn:aws:states:{get_region()}:{get_account_id()}:execution:{machine['name']}:{data['name']}"
    known = states._executions.get(arn)
    if known is None or known["status"] != "RUNNING" or known["input"] != data.get("input", "{}"):
        return None
    return json_response({"executionArn": arn, "startDate": known["startDate"]})


@contextlib.contextmanager
def _machine_timeout(states: Any, execution: dict[str, Any], machine: dict[str, Any]) -> Any:
    try:
        seconds = json.loads(machine["definition"]).get("TimeoutSeconds")
    except ValueError:
        seconds = None  # the run fails with the error of the definition
    if not isinstance(seconds, (int, float)):
        yield
        return

    def expire() -> None:
        if execution["status"] == "RUNNING":
            from ministack.core.responses import now_iso

            execution.update(status="TIMED_OUT", error="States.Timeout", stopDate=now_iso())
            states._add_event(execution, "ExecutionTimedOut", {"executionTimedOutEventDetails": {}})
            states._emit_execution_status_event(execution)

    timer = threading.Timer(seconds, contextvars.copy_context().run, args=(expire,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _within(states: Any, timeout: float, call: Any, *args: Any) -> Any:
    """Run a task; when its time is over it fails with States.Timeout, and what it started is stopped."""
    here = _current.get()
    inner = Running(here.execution, here.role_arn) if here is not None else None
    ctx = contextvars.copy_context()
    ctx.run(_current.set, inner)
    pool = ThreadPoolExecutor(max_workers=1)
    future = pool.submit(ctx.run, call, *args)
    pool.shutdown(wait=False)
    try:
        return future.result(timeout=timeout)
    except FutureTimeout:
        if inner is not None:
            inner.timed_out.set()
        raise states._ExecutionError("States.Timeout", f"Task timed out after {timeout} seconds") from None


def _sleep(seconds: float) -> None:
    here = _current.get()
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and not (here is not None and here.over):
        time.sleep(min(left, _POLL))


def _invoke(resource: str, data: Any) -> Any:
    """One task, by its resource."""
    from ministack.services import stepfunctions as states

    here = _current.get()
    role = here.role_arn if here is not None else ""
    name = resource.removesuffix(".waitForTaskToken")
    try:
        if ":function:" in name:
            return role_calls.invoke_function(role, {"FunctionName": name, "Payload": data})["Payload"]
        integration = name.removeprefix("arn:aws:states:::")
        if integration == "lambda:invoke":
            return role_calls.invoke_function(role, data)
        if integration == "athena:startQueryExecution.sync":
            return _run_query(role, data, here)
        if integration in _JOBS:
            return _run_job(role, integration.removesuffix(".sync"), data, here)
        if integration.startswith("aws-sdk:") and integration.count(":") == 2:
            _, service, action = integration.split(":")
            return role_calls.sdk_call(role, service, action, data)
        if integration in role_calls.OPTIMISED:
            return role_calls.optimised_call(role, integration, data)
    except role_calls.CallError as error:
        raise states._ExecutionError(error.name, error.cause) from error
    message = f"The resource {resource} does not run on the local AWS."
    raise states._ExecutionError("States.Runtime", message)


def _call_lambda(func_ref: str, event: Any) -> Any:
    from ministack.services import stepfunctions as states

    here = _current.get()
    role = here.role_arn if here is not None else ""
    try:
        return role_calls.invoke_function(role, {"FunctionName": func_ref, "Payload": event})["Payload"]
    except role_calls.CallError as error:
        raise states._ExecutionError(error.name, error.cause) from error


def _run_job(role: str, integration: str, data: Any, here: Running | None) -> Any:
    """The ``.sync`` of a job: create, wait, describe; stop the job when nobody waits any more."""
    from local_aws.sagemaker import waiting

    role_calls.optimised_call(role, integration, data)
    noun = integration.removeprefix("sagemaker:create")
    name = str(data[f"{noun}Name"])
    job = waiting.find(noun, name)
    while not job.done.wait(_POLL):
        if here is not None and here.over:
            with contextlib.suppress(role_calls.CallError):  # it ended meanwhile
                role_calls.call(role, "sagemaker", f"Stop{noun}", {f"{noun}Name": name})
            raise role_calls.CallError("States.Timeout", "The task is not waited for any more")
    described = role_calls.described_job(role, noun, name)
    if described[f"{noun}Status"] != "Completed":
        raise role_calls.CallError("States.TaskFailed", json.dumps(described))
    return described


def _run_query(role: str, data: Any, here: Running | None) -> Any:
    """The ``.sync`` of a query of Athena: start, wait for the end; stop it when nobody waits any more."""
    started = role_calls.optimised_call(role, "athena:startQueryExecution", data)
    query = {"QueryExecutionId": started["QueryExecutionId"]}
    while True:
        found = role_calls.optimised_call(role, "athena:getQueryExecution", query)
        state = found["QueryExecution"]["Status"]["State"]
        if state == "SUCCEEDED":
            return found
        if state in ("FAILED", "CANCELLED"):
            raise role_calls.CallError("States.TaskFailed", json.dumps(found))
        if here is not None and here.over:
            role_calls.optimised_call(role, "athena:stopQueryExecution", query)
            raise role_calls.CallError("States.Timeout", "The task is not waited for any more")
        time.sleep(_POLL)
