"""The outermost layer of HTTP: our admin routes, then the emulator.

Admin routes are for the command line and for tests. They are not AWS and need no credentials; the emulator
listens on the loopback only.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from local_aws.settings import Settings

PREFIX = "/_local_aws/"
_FAULT_ROUTES = ("faults/add", "faults/list", "faults/clear", "faults/kill")
_BUDGET_ROUTES = ("budgets/reached", "budgets/list")
_log = logging.getLogger("local_aws")

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class AdminError(Exception):
    """An admin request that cannot be answered; the message goes to the person at the command line."""


class Gateway:
    """An ASGI application around the emulator's own."""

    def __init__(self, application: Application, settings: Settings) -> None:
        self._application = application
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._application(scope, receive, send)
            return
        body = await _read(receive)
        try:
            route = scope["path"].removeprefix(PREFIX)
            if route in _BUDGET_ROUTES:  # an action calls this instance over HTTP: not on the event loop
                answer = await asyncio.to_thread(_budget, route, json.loads(body or b"{}"))
            else:
                answer = self._answer(scope["method"], route, body)
            status = 200
        except AdminError as error:
            answer, status = {"error": str(error)}, 400
        except LookupError:
            answer, status = {"error": f"no admin route {scope['method']} {scope['path']}"}, 404
        payload = json.dumps(answer).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(payload)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": payload})

    def _answer(self, method: str, route: str, body: bytes) -> dict[str, Any]:
        if (method, route) == ("GET", "status"):
            return self._status()
        if (method, route) == ("POST", "faults/interrupt"):
            return _interrupt(json.loads(body or b"{}"))
        if method == "POST" and route in _FAULT_ROUTES:
            return _fault(route, json.loads(body or b"{}"))
        if (method, route) == ("POST", "report"):
            return _report(json.loads(body or b"{}"))
        if (method, route) == ("POST", "credentials"):
            return _credentials(json.loads(body or b"{}"))
        raise LookupError(route)

    def _status(self) -> dict[str, Any]:
        from local_aws import moto_backend
        from local_aws.cloudformation import recorded
        from local_aws.sagemaker import endpoints, training, waiting

        return {
            "instance": self._settings.instance,
            "endpoint": self._settings.endpoint,
            "port": self._settings.port,
            "account": self._settings.account,
            "region": self._settings.region,
            "state_dir": str(self._settings.state_dir),
            "moto": moto_backend.port(),
            "mlflow": self._settings.mlflow_url,
            "training_jobs": training.counts(),
            "jobs": waiting.counts(),
            "endpoints": endpoints.count(),
            "recorded_without_effect": recorded.in_use(),
        }


def _interrupt(request: dict[str, Any]) -> dict[str, Any]:
    from local_aws.sagemaker import training
    from local_aws.sagemaker.errors import ApiError

    name = request.get("job", "")
    try:
        training.interrupt(name)
    except ApiError as error:
        raise AdminError(error.message) from error
    _log.info("Spot interruption of training job %s requested", name)
    return {"job": name, "interrupted": True}


def _fault(route: str, request: dict[str, Any]) -> dict[str, Any]:
    from local_aws import faults
    from local_aws.emulator import injection

    if route == "faults/list":
        return faults.listed()
    if route == "faults/clear":
        return faults.clear()
    if route == "faults/kill":
        return {"killed": injection.kill_running(request.get("function", ""))}
    try:
        return faults.add(request)
    except (faults.FaultError, ValueError, TypeError) as error:
        raise AdminError(str(error)) from error


def _budget(route: str, request: dict[str, Any]) -> dict[str, Any]:
    from local_aws import budget_actions

    if route == "budgets/list":
        return {"actions": budget_actions.listed()}
    try:
        actions = budget_actions.reached(
            request["budget"], float(request["percent"]), forecast=bool(request.get("forecast"))
        )
    except (budget_actions.ActionError, KeyError, ValueError) as error:
        raise AdminError(str(error)) from error
    return {"actions": actions}


def _report(request: dict[str, Any]) -> dict[str, Any]:
    from local_aws import access_report

    return access_report.report(request.get("role"))


def _credentials(request: dict[str, Any]) -> dict[str, Any]:
    """A role's credentials, whoever its trust policy names: tests call as what they test."""
    from local_aws import identity
    from local_aws.emulator import studio_access

    role = request.get("role", "")
    if not role.startswith("arn:"):
        message = f"{role!r} is not the ARN of a role"
        raise AdminError(message)
    user, domain = request.get("user"), request.get("domain")
    if user is None or domain is None:
        return dict(identity.role_credentials(role, request.get("session", "local-aws")))
    # As Studio takes it for a user's apps.
    keys = studio_access.session_keys(domain, user)
    return dict(identity.role_credentials(role, f"studio-{domain}-{user}", keys))


async def _read(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        part: bytes = message.get("body", b"")
        body += part
        if not message.get("more_body"):
            return body
