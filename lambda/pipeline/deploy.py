"""Put a model into service behind an alias, step by step, each of which can be repeated or undone.

`stage` publishes and tests a version that nobody calls yet; `shift` gives it a share of the calls; `check`
says whether it does well; `promote` gives it all of them; `rollback` gives them back. Nobody else's change of
the alias is ever overwritten. `$LATEST` keeps the variables of the model that is live, except for the moment
in which `stage` publishes, so that a version published for another reason serves it too. Lambda publishes
nothing but `$LATEST`, so that this moment cannot be avoided: an update of the stack that publishes within it
gives the candidate all calls, until `shift` finds that and `rollback` takes them back.
"""

from __future__ import annotations

import aliases
import health
import pointer
import smoke
import versions
from aliases import Alias, Target
from errors import DeploymentFailed, InvalidConfiguration
from events import (
    CheckResult,
    DeployEvent,
    PromoteResult,
    RollbackResult,
    ShiftResult,
    StageResult,
)
from telemetry import logger, step

# What a handler waits in all while the function is busy: less than Lambda gives it.
PATIENCE_SECONDS = 480.0
# And, when that has come to its end, for giving `$LATEST` its variables back.
RESTORE_SECONDS = 180.0


@step("Stage")
@versions.patience(PATIENCE_SECONDS)
def stage(event: DeployEvent) -> StageResult:
    """Publish a version that serves the model, and test it with `golden`; the alias is not touched.

    Raises:
        DeploymentFailed: a canary of somebody else is under way, the function cannot be updated, or the
            version does not give the scores that the model was evaluated with.
        OlderData: the model that is live was trained on newer data.
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
        "previous_data": pointer.data_of(event, live),
        "alias_revision": alias.revision,
        "in_alarm": {},
        "uploaded": None,
    }
    if live and live["sha256"] == digest:
        return {**result, "unchanged": True}
    result["uploaded"] = pointer.upload_time(event)
    pointer.refuse_older_data(event, result["uploaded"], result["previous_data"])
    if not alias.target.weights:
        # During a canary of an interrupted run, the alarms may have gone off because of it.
        result["in_alarm"] = health.in_alarm(event.get("alarms") or [])
    try:
        versions.set_model(function, _variables(event))
        result["candidate"] = versions.publish(function, digest, f"{event['run']}: model {digest[:12]}")
    finally:
        # An update of the stack may publish `$LATEST` at any time, and gives it all of the calls.
        with versions.patience(RESTORE_SECONDS):
            _restore_latest(event, aliases.read(function, event["alias"]), alias.target.version)
    _smoke_test(event, result["candidate"])
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
    """Look at the alarms, the candidate's errors, how it compares with what is live, and test it once more.

    An alarm counts if it went off since `stage`, or if it does not exist.

    Raises:
        DeploymentFailed: somebody else moved the alias.
    """
    candidate, previous = _candidate(event), event.get("previous")
    alias = _alias(event)
    if previous and (alias.target.version != previous or set(alias.target.weights) != {candidate}):
        raise _moved(alias, f"version {previous} with a share for version {candidate}")
    verdict = health.judge(event, candidate)
    reasons = verdict.reasons
    try:
        _smoke_test(event, candidate)
    except DeploymentFailed as error:
        reasons.append(str(error))
    logger.info(f"checked; {health.told(verdict.budget)}", extra={"reasons": reasons})
    return {"healthy": not reasons, "reasons": reasons, "budget": verdict.budget}


@step("Promote")
@versions.patience(PATIENCE_SECONDS)
def promote(event: DeployEvent) -> PromoteResult:
    """Send all calls to the candidate, and write the pointer that versions without a model follow.

    Raises:
        DeploymentFailed: somebody else moved the alias.
        OlderData: the model that is live was trained on newer data.
    """
    candidate, previous = _candidate(event), event.get("previous")
    alias = _alias(event)
    if alias.target != Target(candidate):
        if set(alias.target.weights) - {candidate} or alias.target.version not in _starts(event):
            raise _moved(alias, f"version {previous or event.get('baseline') or 'without a model'}")
        if not alias.target.weights:
            _check_revision(alias, event)
        live = versions.model_of(versions.wait_until_ready(event["function"], alias.target.version))
        pointer.refuse_older_data(event, event.get("uploaded"), pointer.data_of(event, live))
        aliases.move(alias, Target(candidate))
    versions.set_model(event["function"], _variables(event))
    written = pointer.write(event, candidate)
    logger.info("promoted", extra={"version": candidate})
    return {"version": candidate, "pointer": written}


@step("Rollback")
@versions.patience(PATIENCE_SECONDS)
def rollback(event: DeployEvent) -> RollbackResult:
    """Send all calls back to what was live before, and let the pointer name it; what is so already stays.

    A version that somebody else published with this deployment's model counts as the candidate.
    An alias that somebody else moved is left alone and said so: this runs when a deployment has failed, and
    must not hide why.
    """
    function, candidate = event["function"], event.get("candidate")
    start = event.get("previous") or event.get("baseline")
    alias = aliases.read(function, event["alias"])
    rolled_back, reason = False, "the alias was not moved"
    if start and candidate and (_is_ours(event, alias, start) or _is_canary(alias, start, candidate)):
        alias = aliases.move(alias, Target(start))
        rolled_back, reason = True, f"the alias is back at version {start}"
        pointer.restore(event)
    elif start and alias.target != Target(start):
        reason = f"somebody else moved the alias to {alias.target}; it is left as it is"
    elif start and pointer.restore(event):
        # An earlier try got no further than the alias.
        rolled_back = True
        reason = f"the alias was back at version {start} already; the pointer is put right"
    _restore_latest(event, alias, start)
    result: RollbackResult = {"rolled_back": rolled_back, "live": alias.target.version, "reason": reason}
    budget = event.get("budget")
    if budget:
        result["reason"] = f"{reason}; {health.told(budget)}"
        result["budget"] = budget
    logger.info(f"rolled back: {result['reason']}", extra={"rolled_back": rolled_back})
    return result


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


def _variables(event: DeployEvent) -> dict[str, str | None]:
    model = event["model"]
    return {
        versions.BUCKET: model["bucket"],
        versions.KEY: model["key"],
        versions.DIGEST: event["sha256"],
    }


def _is_ours(event: DeployEvent, alias: Alias, start: str) -> bool:
    return alias.target == Target(alias.target.version) != Target(start) and _serves_this_model(event, alias)


def _serves_this_model(event: DeployEvent, alias: Alias) -> bool:
    configuration = versions.wait_until_ready(alias.function, alias.target.version)
    return versions.variables_of(configuration).get(versions.DIGEST) == event["sha256"]


def _restore_latest(event: DeployEvent, alias: Alias, start: str | None) -> None:
    """If `$LATEST` has this deployment's model, give it that of the version which most calls go to.

    Where somebody published the candidate's model meanwhile, that is the version which was live at the start.
    """
    live = start if start and _serves_this_model(event, alias) else alias.target.version
    variables = versions.variables_of(versions.wait_until_ready(alias.function, live))
    names = (versions.BUCKET, versions.KEY, versions.DIGEST)
    versions.set_model(
        alias.function, {name: variables.get(name) for name in names}, replacing=event["sha256"]
    )


def _smoke_test(event: DeployEvent, version: str) -> None:
    manifest, golden = event.get("manifest"), event.get("golden")
    if manifest is None or golden is None:
        raise InvalidConfiguration("manifest and golden are needed to test a version")
    smoke.test(event["function"], version, event["sha256"], manifest, golden)
