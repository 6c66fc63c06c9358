"""An alias that others move while a model is deployed to it."""

import pytest
from handlers.pipeline.asset import deploy, errors
from handlers.pipeline.conftest import CONTEXT
from handlers.pipeline.deploying import Request
from handlers.pipeline.fakes import FakeLambda


@pytest.mark.parametrize("step", ["shift", "check", "promote"])
@pytest.mark.parametrize("theirs", [("1", {}), ("2", {"1": 0.5}), ("1", {"3": 0.5})])
def test_an_alias_that_somebody_else_moved_is_left_alone(
    live: Request, function: FakeLambda, step: str, theirs: tuple[str, dict[str, float]]
) -> None:
    event = live("B", percent=10)
    event |= deploy.stage(event, CONTEXT)
    if step != "shift":
        event |= deploy.shift(event, CONTEXT)
    function.move_alias(*theirs)
    with pytest.raises(errors.DeploymentFailed, match="somebody else moved it"):
        getattr(deploy, step)(event, CONTEXT)
    assert function.target() == theirs
    result = deploy.rollback(event, CONTEXT)
    assert not result["rolled_back"]
    assert "somebody else moved the alias" in result["reason"]
    assert function.target() == theirs


def test_an_alias_that_was_moved_there_and_back_is_noticed_by_its_revision(
    live: Request, function: FakeLambda
) -> None:
    event = live("B", percent=10)
    event |= deploy.stage(event, CONTEXT)
    function.move_alias("1")
    function.move_alias("2")
    with pytest.raises(errors.DeploymentFailed, match="changed by somebody else meanwhile"):
        deploy.shift(event, CONTEXT)
    assert function.target() == ("2", {})


@pytest.mark.parametrize("step", ["shift", "promote", "rollback"])
def test_an_alias_that_moves_between_reading_and_writing_is_left_alone(
    live: Request, function: FakeLambda, step: str
) -> None:
    event = live("B", percent=10)
    event |= deploy.stage(event, CONTEXT)
    if step != "shift":
        event |= deploy.shift(event, CONTEXT)

    def interfere(operation: str) -> None:
        if operation == "UpdateAlias":
            function.move_alias("1")

    function.before = interfere
    with pytest.raises(
        errors.DeploymentFailed, match="changed by somebody else meanwhile; it is left as it is"
    ):
        getattr(deploy, step)(event, CONTEXT)
    assert function.target() == ("1", {})


def test_a_move_whose_answer_is_lost_is_a_move_all_the_same(live: Request, function: FakeLambda) -> None:
    event = live("B", percent=10)
    event |= deploy.stage(event, CONTEXT)

    def lose_the_answer(operation: str) -> None:
        if operation == "UpdateAlias":
            function.move_alias("2", {"3": 0.1})

    function.before = lose_the_answer
    event |= deploy.shift(event, CONTEXT)
    assert function.target() == ("2", {"3": 0.1})


def test_a_canary_of_another_deployment_stops_this_one(live: Request, function: FakeLambda) -> None:
    function.move_alias("2", {"1": 0.1})
    with pytest.raises(
        errors.DeploymentFailed, match=r"points to version 2 and 10% to version 1: another deployment"
    ):
        deploy.stage(live("B"), CONTEXT)
    assert function.target() == ("2", {"1": 0.1})
    assert len(function.versions) == 2


def test_a_run_that_was_interrupted_takes_its_own_canary_up_again(
    live: Request, function: FakeLambda
) -> None:
    event = live("B", percent=10)
    event |= deploy.stage(event, CONTEXT)
    deploy.shift(event, CONTEXT)
    again = live("B", percent=10)
    again |= deploy.stage(again, CONTEXT)
    assert again["candidate"] == "3"
    again |= deploy.shift(again, CONTEXT)
    deploy.promote(again, CONTEXT)
    assert function.target() == ("3", {})


def test_an_alias_that_does_not_exist_is_named(live: Request) -> None:
    with pytest.raises(errors.DeploymentFailed, match="the alias prod of reviews does not exist"):
        deploy.stage(live("B", alias="prod"), CONTEXT)
