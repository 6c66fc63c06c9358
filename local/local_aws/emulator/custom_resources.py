"""A custom resource whose handler crashes fails at once, with the handler's traceback as the reason.

In AWS the stack waits for an answer that never comes, an hour by default. Here the crash is seen.
"""

from __future__ import annotations

import json
from typing import Any


def install() -> None:
    from ministack.services import lambda_svc
    from ministack.services.cloudformation import custom_resource

    execute = lambda_svc._execute_function_with_config_scope

    def answering_for_the_crashed(func: Any, event: Any, *args: Any, **kwargs: Any) -> Any:
        result = execute(func, event, *args, **kwargs)
        if _is_custom_resource(event) and result.get("error"):
            token = event["ResponseURL"].rsplit("/", 1)[-1]
            custom_resource.deliver_response(token, {"Status": "FAILED", "Reason": _reason(result)})
        return result

    lambda_svc._execute_function_with_config_scope = answering_for_the_crashed


def _is_custom_resource(event: Any) -> bool:
    return isinstance(event, dict) and {"RequestType", "ResponseURL", "LogicalResourceId"} <= event.keys()


def _reason(result: dict[str, Any]) -> str:
    body = result.get("body")
    if isinstance(body, (str, bytes)):
        try:
            body = json.loads(body)
        except ValueError:
            return f"The custom resource's handler failed: {body!r}"
    if not isinstance(body, dict):
        return "The custom resource's handler failed"
    trace = body.get("stackTrace") or body.get("trace") or []
    lines = "".join(line if line.endswith("\n") else f"{line}\n" for line in trace)
    error = f"{body.get('errorType', 'Error')}: {body.get('errorMessage', '')}"
    return f"The custom resource's handler failed: {error}\n{lines}".strip()
