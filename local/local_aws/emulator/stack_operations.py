"""CloudFormation answers to what starts a stack operation once the operation is over, if that is soon.

The CDK CLI looks at a stack when its call returns and then every five seconds. A stack takes a fraction of a
second here, so answering a little later saves those five seconds for each stack. The API stays asynchronous:
an operation that takes longer is answered while it still goes on, and is not waited for by others any more.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qs

_STARTS = {"CreateStack", "UpdateStack", "DeleteStack", "ExecuteChangeSet"}
_WAIT_SECONDS = 8.0
_POLL = 0.02

# When each stack that is in progress was first seen so, on the loop's clock.
_since: dict[str, float] = {}


def install() -> None:
    from ministack import app

    handle = app.SERVICE_HANDLERS["cloudformation"]

    async def handle_and_wait(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Any:
        answer = await handle(method, path, headers, body, query)
        if answer[0] == 200 and _parameter("Action", headers, body, query) in _STARTS:
            _since.pop(_name(_parameter("StackName", headers, body, query)), None)
            await _until_quiet()
        return answer

    app.SERVICE_HANDLERS["cloudformation"] = handle_and_wait


async def _until_quiet() -> None:
    """Wait until no stack is in progress: operations of several stacks at once are answered together."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _WAIT_SECONDS
    while loop.time() < deadline:
        await asyncio.sleep(_POLL)
        if not _in_progress(loop.time()):
            return


def _in_progress(now: float) -> list[str]:
    """The stacks that are in progress and have not been for too long: one that hangs holds no other back."""
    from ministack.services.cloudformation import _stacks

    active = {
        str(name)
        for name, stack in _stacks.items()
        if stack["StackStatus"].endswith("_IN_PROGRESS") and stack["StackStatus"] != "REVIEW_IN_PROGRESS"
    }
    for ended in _since.keys() - active:
        del _since[ended]
    return [name for name in sorted(active) if now - _since.setdefault(name, now) < _WAIT_SECONDS]


def _name(stack: str) -> str:
    """The name in a stack's name or ARN."""
    return stack.split("/")[1] if stack.startswith("arn:") else stack


def _parameter(name: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> str:
    target = headers.get("x-amz-target", "")
    if target and name == "Action":
        return target.rpartition(".")[2]
    form = parse_qs(body.decode("utf-8", errors="replace")) | query
    value: Any = form.get(name, "")
    return str(value[0] if isinstance(value, list) else value)
