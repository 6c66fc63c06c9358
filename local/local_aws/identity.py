"""Temporary credentials of a role, for what AWS does in a role's name: jobs, state machines, deliveries.

Every call made with them is checked by the emulator against the role's policies; who takes a role by
``assume`` must be trusted by it.
"""

from __future__ import annotations

import secrets
import threading
import time

from local_aws import context

_LIFETIME = 12 * 3600.0
_RENEW_BEFORE = 3600.0
_lock = threading.Lock()
_sessions: dict[tuple[str, str], tuple[float, dict[str, str]]] = {}


def assume(role_arn: str, service: str, session_name: str, source_arn: str | None = None) -> dict[str, str]:
    """The role's credentials, if its trust policy lets the service take it; else NotTrusted."""
    from local_aws.emulator import trust

    trust.require(role_arn, service, source_arn)
    return role_credentials(role_arn, session_name)


def role_credentials(
    role_arn: str, session_name: str, studio_keys: dict[str, str] | None = None
) -> dict[str, str]:
    """The credentials of this role and session name, as the environment variables that SDKs read.

    ``studio_keys``: the condition keys that Studio adds to the sessions of a user.
    """
    with _lock:
        expires, credentials = _sessions.get((role_arn, session_name), (0.0, {}))
        if expires - time.time() < _RENEW_BEFORE:
            expires, credentials = time.time() + _LIFETIME, _mint(role_arn, session_name, studio_keys or {})
            _sessions[role_arn, session_name] = (expires, credentials)
        return credentials


def caller(access_key: str) -> dict[str, str]:
    """Who has these credentials, as SageMaker shows it of who made or changed something."""
    from ministack.services import sts

    session = sts._sessions.get(access_key) or {}
    root = f"arn:aws:iam::{context.settings().account}:root"
    return {"Arn": session.get("Arn", root), "PrincipalId": session.get("UserId", context.settings().account)}


def _mint(role_arn: str, session_name: str, studio_keys: dict[str, str]) -> dict[str, str]:
    from ministack.services import sts

    access_key = "ASIA" + secrets.token_hex(8).upper()
    secret, token = secrets.token_hex(20), secrets.token_hex(32)
    role_name = role_arn.rsplit("/", 1)[-1]
    parts = role_arn.split(":")
    account = parts[4] if len(parts) > 4 else context.settings().account
    sts.register_session(
        access_key,
        {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{role_name}/{session_name}",
            "AccountId": account,
            "UserId": f"AROA{role_name}:{session_name}",
            "SecretAccessKey": secret,
            "SessionToken": token,
            "Expiration": time.time() + _LIFETIME,
            "StudioKeys": studio_keys,
        },
    )
    return {
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_SESSION_TOKEN": token,
    }
