"""Put a model into service behind an alias, step by step, each of which can be repeated or undone.

`stage` publishes and tests a version that nobody calls yet; `shift` gives it a share of the calls; `check`
says whether it does well; `promote` gives it all of them; `rollback` gives them back. Nobody else's change of
the alias is ever overwritten. `$LATEST` keeps the variables of the model that is live, so that a version
published for another reason serves it too.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import aliases
import objects
import smoke
import versions
from aliases import Alias, Target
from clients import cloudwatch
from errors import DeploymentFailed, InvalidConfiguration
from events import (
    CheckResult,
    DeployEvent,
    Model,
    PromoteResult,
    RollbackResult,
    S3Object,
    ShiftResult,
    StageResult,
)
from telemetry import logger, step

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import DimensionTypeDef

_POINTER = "current.json"
_BAKE_MINUTES = 15.0


@step("Stage")
def stage(event: DeployEvent) -> StageResult:
    """Publish a version that serves the model, and test it with `golden`; the alias is not touched.

    Raises:
        DeploymentFailed: a canary of somebody else is under way, the function cannot be updated, or the
            version does not give the scores that the model was evaluated with. `$LATEST` is as before then.
    """
    function, digest = event["function"], event["sha256"]
    alias = aliases.read(function, event["alias"])
    live = versions.model_of(versions.wait_until_ready(function, alias.target.version))
    _check_no_other_canary(alias, digest)
    result: StageResult = {
        "unchanged": False,
        "candidate": alias.target.version,
        "previous": alias.target.version if live else None,
        "baseline": alias.target.version,
        "previous_model": live,
        "alias_revision": alias.revision,
    }
    if live and live["sha256"] == digest:
        return {**result, "unchanged": True}
    try:
        versions.set_model(function, _variables({**event["model"], "sha256": digest}))
        result["candidate"] = versions.publish(function, digest, f"{event['run']}: model {digest[:12]}")
        _smoke_test(event, result["candidate"])
    except BaseException:
        _restore_latest(function, alias.target.version, digest)
        raise
    logger.info("staged", extra={"staged": result})
    return result


@step("Shift")
def shift(event: DeployEvent) -> ShiftResult:
    """Send `percent` of the alias' calls to the candidate.

    Raises:
        DeploymentFailed: the alias is not where `stage` left it.
    """
    candidate, previous, percent = _candidate(event), event.get("previous"), event.get("percent", 10)
    if not previous:
        raise InvalidConfiguration("nothing is live that could keep the other calls: promote instead")
    if not 0 < percent < 100:
        raise InvalidConfiguration(
            f"the candidate's share is more than 0 and less than 100 percent: {percent}"
        )
    wanted = Target(previous, {candidate: percent / 100})
    alias = _alias(event)
    if alias.target != wanted:
        _check_untouched(alias, event, Target(previous))
        alias = aliases.move(alias, wanted)
    return {
        "candidate": candidate,
        "previous": previous,
        "percent": percent,
        "alias_revision": alias.revision,
    }


@step("Check")
def check(event: DeployEvent) -> CheckResult:
    """Look at the alarms, the candidate's errors during the last `bake_minutes`, and test it once more.

    Raises:
        DeploymentFailed: somebody else moved the alias.
    """
    candidate, previous = _candidate(event), event.get("previous")
    alias = _alias(event)
    if previous and (alias.target.version != previous or set(alias.target.weights) != {candidate}):
        raise _moved(alias, f"version {previous} with a share for version {candidate}")
    reasons = [*_alarm_reasons(event.get("alarms") or []), *_error_reasons(event, candidate)]
    try:
        _smoke_test(event, candidate)
    except DeploymentFailed as error:
        reasons.append(str(error))
    logger.info("checked", extra={"reasons": reasons})
    return {"healthy": not reasons, "reasons": reasons}


@step("Promote")
def promote(event: DeployEvent) -> PromoteResult:
    """Send all calls to the candidate, and write the pointer that versions without a model follow.

    Raises:
        DeploymentFailed: somebody else moved the alias.
    """
    candidate, previous = _candidate(event), event.get("previous")
    alias = _alias(event)
    if alias.target != Target(candidate):
        if set(alias.target.weights) - {candidate} or alias.target.version not in _starts(event):
            raise _moved(alias, f"version {previous or event.get('baseline') or 'without a model'}")
        if not alias.target.weights:
            _check_revision(alias, event)
        aliases.move(alias, Target(candidate))
    # A rival that was staged meanwhile and gave up has put back what was live at that time.
    versions.set_model(event["function"], _variables({**event["model"], "sha256": event["sha256"]}))
    pointer = objects.put_json(_pointer(event), _pointed(event, candidate))
    logger.info("promoted", extra={"version": candidate})
    return {"version": candidate, "pointer": pointer}


@step("Rollback")
def rollback(event: DeployEvent) -> RollbackResult:
    """Send all calls back to what was live before; nothing happens if they go there already.

    An alias that somebody else moved is left alone and said so: this runs when a deployment has failed, and
    must not hide why.
    """
    function, candidate = event["function"], event.get("candidate")
    start = event.get("previous") or event.get("baseline")
    alias = aliases.read(function, event["alias"])
    ours = [Target(candidate)] if candidate and candidate != start else []
    rolled_back, reason = False, "the alias was not moved"
    if start and candidate and (alias.target in ours or _is_canary(alias, start, candidate)):
        alias = aliases.move(alias, Target(start))
        rolled_back, reason = True, f"the alias is back at version {start}"
        _restore_pointer(event)
    elif start and alias.target != Target(start):
        reason = f"somebody else moved the alias to {alias.target}; it is left as it is"
    _restore_latest(function, alias.target.version, event["sha256"])
    logger.info("rolled back", extra={"rolled_back": rolled_back, "reason": reason})
    return {"rolled_back": rolled_back, "live": alias.target.version, "reason": reason}


def _alias(event: DeployEvent) -> Alias:
    return aliases.read(event["function"], event["alias"])


def _candidate(event: DeployEvent) -> str:
    candidate = event.get("candidate")
    if not candidate or candidate == event.get("previous"):
        raise InvalidConfiguration(f"{candidate!r} is not a candidate beside {event.get('previous')!r}")
    return candidate


def _starts(event: DeployEvent) -> set[str]:
    """The versions that the alias may point to before the candidate is promoted."""
    known = event.get("previous") or event.get("baseline")
    if known:
        return {known}
    # Nothing was live: whatever version without a model the alias points to.
    target = _alias(event).target.version
    configuration = versions.wait_until_ready(event["function"], target)
    return set() if versions.model_of(configuration) else {target}


def _is_canary(alias: Alias, start: str, candidate: str) -> bool:
    return alias.target.version == start and set(alias.target.weights) == {candidate}


def _check_no_other_canary(alias: Alias, digest: str) -> None:
    for version in alias.target.weights:
        model = versions.model_of(versions.wait_until_ready(alias.function, version))
        if not model or model["sha256"] != digest:
            raise DeploymentFailed(
                f"{alias} points to {alias.target}: another deployment is under way or was left half-done. "
                "Let it finish, or send all calls to one version, then start again"
            )


def _check_untouched(alias: Alias, event: DeployEvent, expected: Target) -> None:
    if alias.target != expected:
        raise _moved(alias, str(expected))
    _check_revision(alias, event)


def _check_revision(alias: Alias, event: DeployEvent) -> None:
    known = event.get("alias_revision")
    if known and alias.revision and alias.revision != known:
        raise DeploymentFailed(f"{alias} was changed by somebody else meanwhile; it is left as it is")


def _moved(alias: Alias, expected: str) -> DeploymentFailed:
    return DeploymentFailed(
        f"{alias} points to {alias.target}, expected was {expected}: "
        "somebody else moved it; it is left as it is"
    )


def _variables(model: Model | None) -> dict[str, str | None]:
    return {
        versions.BUCKET: model["bucket"] if model else None,
        versions.KEY: model["key"] if model else None,
        versions.DIGEST: model["sha256"] if model else None,
    }


def _restore_latest(function: str, version: str, digest: str) -> None:
    """If `$LATEST` has the model with this hash, give it that of a version instead."""
    latest = versions.variables_of(versions.wait_until_ready(function, versions.LATEST))
    if latest.get(versions.DIGEST) != digest:
        return
    variables = versions.variables_of(versions.wait_until_ready(function, version))
    names = (versions.BUCKET, versions.KEY, versions.DIGEST)
    versions.set_model(function, {name: variables.get(name) for name in names})


def _smoke_test(event: DeployEvent, version: str) -> None:
    manifest, golden = event.get("manifest"), event.get("golden")
    if manifest is None or golden is None:
        raise InvalidConfiguration("manifest and golden are needed to test a version")
    smoke.test(event["function"], version, event["sha256"], manifest, golden)


def _alarm_reasons(names: list[str]) -> list[str]:
    if not names:
        return []
    answer = cloudwatch().describe_alarms(AlarmNames=names, AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    states = {
        alarm["AlarmName"]: alarm["StateValue"]
        for alarm in [*answer.get("MetricAlarms", []), *answer.get("CompositeAlarms", [])]
    }
    return [
        f"the alarm {name} does not exist" if name not in states else f"the alarm {name} is in ALARM"
        for name in names
        if states.get(name, "ALARM") == "ALARM"
    ]


def _error_reasons(event: DeployEvent, candidate: str) -> list[str]:
    """Errors of the candidate among the alias' calls; Lambda counts them by the version that was executed."""
    function, now = event["function"].rpartition(":function:")[2].split(":")[0], datetime.now(UTC)
    dimensions: list[DimensionTypeDef] = [
        {"Name": "FunctionName", "Value": function},
        {"Name": "Resource", "Value": f"{function}:{event['alias']}"},
        {"Name": "ExecutedVersion", "Value": candidate},
    ]
    answer = cloudwatch().get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName="Errors",
        Dimensions=dimensions,
        StartTime=now - timedelta(minutes=event.get("bake_minutes", _BAKE_MINUTES) + 1),
        EndTime=now,
        Period=60,
        Statistics=["Sum"],
    )
    errors = sum(point.get("Sum", 0) for point in answer["Datapoints"])
    return [f"version {candidate} failed {errors:.0f} calls"] if errors else []


def _pointer(event: DeployEvent) -> S3Object:
    pointer = event.get("pointer")
    if pointer is None:
        raise InvalidConfiguration("pointer is needed: the prefix of current.json in the models bucket")
    return pointer if pointer["key"].endswith(".json") else objects.under(pointer, _POINTER)


def _pointed(event: DeployEvent, version: str) -> dict[str, str]:
    return {
        "bucket": event["model"]["bucket"],
        "key": event["model"]["key"],
        "sha256": event["sha256"],
        "version": version,
        "run": event["run"],
    }


def _restore_pointer(event: DeployEvent) -> None:
    """If the pointer names the model that is taken back, let it name the one before."""
    before, start = event.get("previous_model"), event.get("previous")
    if "pointer" not in event or before is None or start is None:
        return
    pointer = _pointer(event)
    pointed = objects.get_json(pointer)
    if isinstance(pointed, dict) and pointed.get("sha256") == event["sha256"]:
        objects.put_json(pointer, {**before, "version": start, "run": event["run"]})
