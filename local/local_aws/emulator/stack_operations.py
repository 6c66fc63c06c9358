"""CloudFormation answers to what starts a stack operation once the operation is over, if that is soon.

The CDK CLI looks at a stack when its call returns and then every five seconds. A stack takes a fraction of a
second here, so answering a little later saves those five seconds for each stack. The API stays asynchronous:
an operation that takes longer is answered while it still goes on.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qs

_STARTS = {"CreateStack", "UpdateStack", "DeleteStack", "ExecuteChangeSet"}
_WAIT_SECONDS = 8.0
_POLL = 0.02


def install() -> None:
    from ministack import app

    handle = app.SERVICE_HANDLERS["cloudformation"]

    async def handle_and_wait(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Any:
        answer = await handle(method, path, headers, body, query)
        if answer[0] == 200 and _action(headers, body, query) in _STARTS:
            await _until_quiet()
        return answer

    app.SERVICE_HANDLERS["cloudformation"] = handle_and_wait


async def _until_quiet() -> None:
    """Wait until no stack is in progress: operations of several stacks at once are answered together."""
    from ministack.services.cloudformation import _stacks

    loop = asyncio.get_running_loop()
    deadline = loop.time() + _WAIT_SECONDS
    while loop.time() < deadline:
        await asyncio.sleep(_POLL)
        states = [stack["StackStatus"] for stack in _stacks.values()]
        if not any(s.endswith("_IN_PROGRESS") and s != "REVIEW_IN_PROGRESS" for s in states):
            return


def _action(headers: dict[str, str], body: bytes, query: dict[str, Any]) -> str:
    target = headers.get("x-amz-target", "")
    if target:
        return target.rpartition(".")[2]
    form = parse_qs(body.decode("utf-8", errors="replace")) | query
    action: Any = form.get("Action", "")
    return str(action[0] if isinstance(action, list) else action)
