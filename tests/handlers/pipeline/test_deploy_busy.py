"""A function that others are busy with, or that is lost while it is deployed to."""

import pytest
from botocore.exceptions import ClientError
from handlers.pipeline.asset import deploy, errors, versions
from handlers.pipeline.conftest import CONTEXT, canary
from handlers.pipeline.deploying import DIGESTS, Request
from handlers.pipeline.fakes import Clock, FakeLambda, refusal

# A function that others are busy with


def test_an_update_that_is_under_way_is_waited_for(live: Request, function: FakeLambda, clock: Clock) -> None:
    function.occupy(20)
    assert deploy.stage(live("B"), CONTEXT)["candidate"] == "3"
    assert clock.now >= 5


def test_a_conflict_between_reading_and_writing_is_tried_again(live: Request, function: FakeLambda) -> None:
    conflicts = ["UpdateFunctionConfiguration", "PublishVersion"]

    def interfere(operation: str) -> None:
        if operation in conflicts:
            conflicts.remove(operation)
            function.latest["Environment"]["Variables"]["LOG_LEVEL"] = "DEBUG"
            function.latest["RevisionId"] = "revision of somebody else"

    function.before = interfere
    staged = deploy.stage(live("B"), CONTEXT)
    assert conflicts == []
    assert function.variables(staged["candidate"])["LOG_LEVEL"] == "DEBUG"  # their change is kept


def test_a_function_that_stays_busy_is_given_up_after_a_bounded_time(
    live: Request, function: FakeLambda, clock: Clock
) -> None:
    function.occupy(10_000)
    with pytest.raises(errors.DeploymentFailed, match="still Active with its update InProgress after 180 s"):
        versions.set_model("reviews", {"MODEL_SHA256": "x"})
    assert clock.now < 200


def test_endless_conflicts_are_given_up_after_a_bounded_time(
    live: Request, function: FakeLambda, clock: Clock
) -> None:
    def interfere(operation: str) -> None:
        if operation == "UpdateFunctionConfiguration":
            raise refusal(operation, "ResourceConflictException")

    function.before = interfere
    with pytest.raises(
        errors.DeploymentFailed, match="met another update for 180 s: ResourceConflictException"
    ):
        deploy.stage(live("B"), CONTEXT)
    assert clock.now < 200
    assert function.target() == ("2", {})


def test_throttling_is_left_to_the_state_machine_and_latest_is_restored(
    live: Request, function: FakeLambda
) -> None:
    def interfere(operation: str) -> None:
        if operation == "Invoke":
            raise refusal(operation, "TooManyRequestsException")

    function.before = interfere
    with pytest.raises(ClientError, match="TooManyRequestsException"):
        deploy.stage(live("B"), CONTEXT)
    assert function.variables()["MODEL_SHA256"] == DIGESTS["A"]


def test_a_version_that_fails_to_start_is_a_failed_deployment(live: Request, function: FakeLambda) -> None:
    def interfere(operation: str) -> None:
        if "3" in function.versions:
            function.versions["3"] |= {"State": "Failed", "StateReason": "no such image"}

    function.before = interfere
    with pytest.raises(errors.DeploymentFailed, match="version 3 of reviews failed: no such image"):
        deploy.stage(live("B"), CONTEXT)
    assert function.variables()["MODEL_SHA256"] == DIGESTS["A"]


def test_an_environment_that_cannot_be_read_is_not_overwritten(live: Request, function: FakeLambda) -> None:
    function.latest["Environment"] = {
        "Error": {"ErrorCode": "AccessDenied", "Message": "no access to the key"}
    }
    with pytest.raises(errors.DeploymentFailed, match="cannot be read: no access to the key"):
        deploy.stage(live("B"), CONTEXT)
    assert "UpdateFunctionConfiguration" not in function.calls[-4:]


def test_two_deployments_at_once_do_not_mix_their_models(live: Request, function: FakeLambda) -> None:
    def interfere(operation: str) -> None:
        if operation == "PublishVersion":
            function.latest["Environment"]["Variables"]["MODEL_SHA256"] = "c" * 64
            function.latest["RevisionId"] = "revision of somebody else"

    function.before = interfere
    with pytest.raises(errors.DeploymentFailed, match="was given another model by somebody else"):
        deploy.stage(live("B"), CONTEXT)
    assert function.variables()["MODEL_SHA256"] == "c" * 64  # theirs to restore


def test_what_is_published_during_a_canary_serves_the_model_that_is_live(
    live: Request, function: FakeLambda
) -> None:
    """An update of the stack publishes `$LATEST`, and gives that version all of the calls."""
    event = live("B", percent=10)
    event |= deploy.stage(event, CONTEXT)
    function.latest["CodeSha256"] = "code-2"
    published = function.publish_version(FunctionName="reviews")["Version"]
    assert published not in ("2", event["candidate"])
    assert function.variables(published)["MODEL_SHA256"] == DIGESTS["A"]


def test_what_is_published_while_the_candidate_is_tested_serves_the_model_that_is_live(
    live: Request, function: FakeLambda
) -> None:
    published = []

    def interfere(operation: str) -> None:
        if operation == "Invoke":
            published.append(function.publish_version(FunctionName="reviews")["Version"])

    function.before = interfere
    deploy.stage(live("B"), CONTEXT)
    assert [function.variables(version)["MODEL_SHA256"] for version in published] == [DIGESTS["A"]]


@pytest.mark.parametrize("moment", ["PublishVersion", "UpdateFunctionConfiguration"])
def test_an_update_of_the_stack_that_carries_the_candidate_to_all_calls_is_taken_back(
    live: Request, function: FakeLambda, moment: str
) -> None:
    """It publishes in the very moment in which `$LATEST` has the candidate's model: right before that one is
    published, or right after."""

    def interfere(operation: str) -> None:
        if operation == moment and function.variables()["MODEL_SHA256"] == DIGESTS["B"]:
            function.before = lambda _: None
            function.latest |= {"CodeSha256": "code-2", "RevisionId": "revision of the update"}
            function.move_alias(function.publish_version(FunctionName="reviews")["Version"])

    function.before = interfere
    event = live("B", percent=10)
    event |= deploy.stage(event, CONTEXT)
    assert function.variables()["MODEL_SHA256"] == DIGESTS["A"]  # the next update carries it no further
    with pytest.raises(errors.DeploymentFailed, match="somebody else moved it"):
        deploy.shift(event, CONTEXT)
    assert function.variables(function.target()[0])["MODEL_SHA256"] == DIGESTS["B"]
    assert deploy.rollback(event, CONTEXT)["rolled_back"]
    assert function.target() == ("2", {})


def test_latest_gets_what_is_live_when_the_version_is_out_and_not_what_was_before(
    live: Request, function: FakeLambda
) -> None:
    def interfere(operation: str) -> None:
        if operation == "PublishVersion":
            function.move_alias("1")

    function.before = interfere
    deploy.stage(live("B"), CONTEXT)
    assert function.variables() == {"MAX_ROWS": "1000"}  # version 1 has no model


def test_latest_with_the_model_of_a_rival_is_theirs_to_restore(live: Request, function: FakeLambda) -> None:
    # The rival comes between our reading of `$LATEST` and our writing.
    updates = []

    def interfere(operation: str) -> None:
        if operation == "UpdateFunctionConfiguration":
            updates.append(operation)
            if len(updates) == 2:
                function.latest["Environment"]["Variables"]["MODEL_SHA256"] = DIGESTS["C"]
                function.latest["RevisionId"] = "revision of somebody else"

    function.before = interfere
    deploy.stage(live("B"), CONTEXT)
    assert len(updates) == 2
    assert function.variables()["MODEL_SHA256"] == DIGESTS["C"]


def test_latest_has_the_model_that_was_promoted_though_a_rival_was_staged_meanwhile(
    live: Request, function: FakeLambda
) -> None:
    winner, rival = live("B"), live("C")
    winner |= deploy.stage(winner, CONTEXT)
    rival |= deploy.stage(rival, CONTEXT)
    winner |= deploy.shift(winner, CONTEXT)
    with pytest.raises(errors.DeploymentFailed, match="somebody else"):
        deploy.shift(rival, CONTEXT)
    deploy.rollback(rival, CONTEXT)
    deploy.promote(winner, CONTEXT)
    assert function.target() == (winner["candidate"], {})
    assert function.variables()["MODEL_SHA256"] == DIGESTS["B"]


# A function that is lost meanwhile


@pytest.mark.parametrize("step", ["stage", "check", "promote", "rollback"])
def test_a_function_that_is_deleted_while_it_is_deployed_to_is_named(
    live: Request, function: FakeLambda, step: str
) -> None:
    # GIVEN a canary, and somebody who deletes the function
    event = live("B") if step == "stage" else canary(live)

    def gone(operation: str) -> None:
        raise refusal(operation, "ResourceNotFoundException", "Function not found")

    function.before = gone
    # THEN the step fails by its own name, which is not tried again
    with pytest.raises(errors.DeploymentFailed, match="does not exist"):
        getattr(deploy, step)(event, CONTEXT)


@pytest.mark.parametrize("operation", ["UpdateFunctionConfiguration", "PublishVersion", "Invoke"])
def test_a_function_that_is_lost_between_two_calls_is_named(
    live: Request, function: FakeLambda, operation: str
) -> None:
    def gone(now: str) -> None:
        if now == operation:
            raise refusal(now, "ResourceNotFoundException", "Function not found")

    function.before = gone
    with pytest.raises(errors.DeploymentFailed, match="does not exist any more"):
        deploy.stage(live("B"), CONTEXT)
    assert function.target() == ("2", {})
