"""Who asks: for what SageMaker keeps of who made and who changed something."""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import Any

from local_aws import identity

_key: ContextVar[str] = ContextVar("access key of the call", default="")


def remember(headers: dict[str, str]) -> Token[str]:
    """Keep whose credentials a call has, until it is answered."""
    from ministack.core.router import extract_access_key_id

    return _key.set(extract_access_key_id(headers, {}) or "")


def forget(token: Token[str]) -> None:
    _key.reset(token)


def context_of_user() -> dict[str, Any]:
    """The caller, as ``CreatedBy`` and ``LastModifiedBy`` show it."""
    return {"IamIdentity": identity.caller(_key.get())}
