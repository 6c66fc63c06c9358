"""A function's configuration and its published versions: which model each of them serves."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import objects
from aliases import code_of
from botocore.exceptions import ClientError
from clients import lambda_
from errors import DeploymentFailed
from events import Model

if TYPE_CHECKING:
    from mypy_boto3_lambda.type_defs import (
        FunctionConfigurationResponseTypeDef,
        PublishVersionRequestTypeDef,
        UpdateFunctionConfigurationRequestTypeDef,
    )

Result = TypeVar("Result")

LATEST = "$LATEST"
WAIT_SECONDS = 180.0
# Lambda takes minutes for the snapshot of a version.
SNAPSHOT_SECONDS = 420.0
_POLL_SECONDS = 0.25
# When all waits of the current invocation end, by `time.monotonic`.
_until = math.inf

BUCKET, KEY, DIGEST = "MODEL_BUCKET", "MODEL_KEY", "MODEL_SHA256"
_POINTER_BUCKET, _POINTER_KEY = "MODEL_POINTER_BUCKET", "MODEL_POINTER_KEY"
# Another update of the function is under way, or came between our reading and our writing.
_CONFLICTS = {"ResourceConflictException", "PreconditionFailedException"}


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Let all waits in this block end within `seconds` together: Lambda would end the function without a word
    and without undoing anything. The innermost block counts."""
    global _until
    outer, _until = _until, time.monotonic() + seconds
    try:
        yield
    finally:
        _until = outer


def wait_until_ready(
    function: str, version: str, *, seconds: float = WAIT_SECONDS
) -> FunctionConfigurationResponseTypeDef:
    """The configuration, once no update is under way.

    Raises:
        DeploymentFailed: the function failed, or is not there any more, or the time was not enough, or
            `patience` is at its end.
    """
    begun, deadline = _now_and_deadline(seconds)
    while True:
        try:
            known = lambda_().get_function_configuration(FunctionName=function, Qualifier=version)
        except ClientError as error:
            raise _lost(error, f"version {version} of {function}") from error
        state, update = known.get("State", "Active"), known.get("LastUpdateStatus", "Successful")
        # An inactive function is woken by its next call.
        if state in ("Active", "Inactive") and update == "Successful":
            return known
        if state == "Failed" or update == "Failed":
            reason = known.get("StateReason") or known.get("LastUpdateStatusReason") or "no reason given"
            raise DeploymentFailed(f"version {version} of {function} failed: {reason}")
        now = time.monotonic()
        if now >= deadline:
            raise DeploymentFailed(
                f"version {version} of {function} is still {state} with its update {update} "
                f"after {now - begun:.0f} s"
            )
        time.sleep(_POLL_SECONDS)


def variables_of(configuration: Mapping[str, Any]) -> dict[str, str]:
    environment = configuration.get("Environment", {})
    if "Error" in environment:
        # Writing back what could not be read would delete it.
        raise DeploymentFailed(
            f"the environment of {configuration.get('FunctionName')} cannot be read: "
            f"{environment['Error'].get('Message', environment['Error'])}"
        )
    return dict(environment.get("Variables", {}))


def model_of(configuration: Mapping[str, Any]) -> Model | None:
    """The model that a version serves: its own, else the one that its pointer names, else none."""
    variables = variables_of(configuration)
    if variables.get(DIGEST):
        return {
            "bucket": variables.get(BUCKET, ""),
            "key": variables.get(KEY, ""),
            "sha256": variables[DIGEST],
        }
    bucket, key = variables.get(_POINTER_BUCKET), variables.get(_POINTER_KEY)
    if not bucket or not key:
        return None
    pointed = objects.get_json({"bucket": bucket, "key": key})
    if not isinstance(pointed, dict) or not pointed.get("sha256"):
        return None
    return {"bucket": pointed["bucket"], "key": pointed["key"], "sha256": pointed["sha256"]}


def set_model(function: str, model: Mapping[str, str | None], *, replacing: str | None = None) -> None:
    """Set the model's variables of `$LATEST`, or remove those that are None; all others are kept.

    With `replacing`, nothing happens unless `$LATEST` has the model with this hash.
    """

    def update() -> None:
        known = wait_until_ready(function, LATEST)
        before = variables_of(known)
        if replacing is not None and before.get(DIGEST) != replacing:
            return
        after = {**before, **{name: value for name, value in model.items() if value is not None}}
        for name, value in model.items():
            if value is None:
                after.pop(name, None)
        if after == before:
            return
        request: UpdateFunctionConfigurationRequestTypeDef = {
            "FunctionName": function,
            "Environment": {"Variables": after},
        }
        if known.get("RevisionId"):
            request["RevisionId"] = known["RevisionId"]
        lambda_().update_function_configuration(**request)

    _without_conflict(update, f"the configuration of {function}")
    wait_until_ready(function, LATEST)


def publish(function: str, digest: str, description: str) -> str:
    """Publish `$LATEST`, which must hold the model with this hash; an unchanged one keeps its version."""

    def attempt() -> str:
        known = wait_until_ready(function, LATEST)
        if variables_of(known).get(DIGEST) != digest:
            raise DeploymentFailed(f"{function} was given another model by somebody else meanwhile")
        request: PublishVersionRequestTypeDef = {
            "FunctionName": function,
            "CodeSha256": known["CodeSha256"],
            "Description": description[:256],
        }
        if known.get("RevisionId"):
            request["RevisionId"] = known["RevisionId"]
        return lambda_().publish_version(**request)["Version"]

    version = _without_conflict(attempt, f"publishing {function}")
    snapshots = wait_until_ready(function, LATEST).get("SnapStart", {}).get("ApplyOn") == "PublishedVersions"
    published = wait_until_ready(function, version, seconds=SNAPSHOT_SECONDS if snapshots else WAIT_SECONDS)
    if variables_of(published).get(DIGEST) != digest:
        raise DeploymentFailed(f"version {version} of {function} was published with another model")
    return version


def _without_conflict(attempt: Callable[[], Result], what: str) -> Result:
    """Try again while others are updating the function, for a bounded time."""
    begun, deadline = _now_and_deadline()
    while True:
        try:
            return attempt()
        except ClientError as error:
            if code_of(error) not in _CONFLICTS:
                raise _lost(error, what) from error
            now = time.monotonic()
            if now >= deadline:
                raise DeploymentFailed(
                    f"{what} met another update for {now - begun:.0f} s: {code_of(error)}"
                ) from error
        time.sleep(_POLL_SECONDS)


def _lost(error: ClientError, what: str) -> Exception:
    """The error itself, unless it says that the function is not there any more: no retry brings it back."""
    if code_of(error) == "ResourceNotFoundException":
        return DeploymentFailed(f"{what}: it does not exist any more; somebody deleted it meanwhile")
    return error


def _now_and_deadline(seconds: float = WAIT_SECONDS) -> tuple[float, float]:
    now = time.monotonic()
    return now, min(now + seconds, _until)
