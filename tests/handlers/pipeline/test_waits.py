"""However long others keep the function busy: a handler gives up before Lambda ends it without a word."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from handlers.pipeline.asset import deploy, errors
from handlers.pipeline.conftest import CONTEXT
from handlers.pipeline.deploying import DIGESTS, Request
from handlers.pipeline.fakes import Clock, FakeLambda, refusal

from cdk_data_science.pipelines.steps.deploy import TIMEOUT_MINUTES

# What the calls themselves take, among them one of the version that loads its model.
CALLS_SECONDS = 120


def slow(function: FakeLambda, clock: Clock) -> None:
    """Every update and every version takes nearly as long as is waited for one."""
    function.update_polls = 4 * 170
    ready: dict[str, float] = {}
    read = function.get_function_configuration

    def reading(*, FunctionName: str, Qualifier: str) -> dict[str, Any]:  # noqa: N803
        found = read(FunctionName=FunctionName, Qualifier=Qualifier)
        if Qualifier != "$LATEST" and clock.now < ready.setdefault(Qualifier, clock.now + 170):
            found["State"] = "Pending"
        return found

    function.get_function_configuration = reading  # type: ignore[method-assign]


def busy(function: FakeLambda, clock: Clock) -> None:
    """Others begin an update whenever one has ended, and are faster each time."""
    function.update_polls = 4 * 170

    def interfere(operation: str) -> None:
        if operation in ("UpdateFunctionConfiguration", "PublishVersion"):
            function.occupy(4 * 170)
            raise refusal(operation, "ResourceConflictException")

    function.before = interfere


@pytest.fixture(params=[slow, busy], ids=["slow", "busy"])
def others(request: pytest.FixtureRequest) -> Iterator[Callable[[FakeLambda, Clock], None]]:
    yield request.param


@pytest.mark.parametrize("step", ["stage", "promote", "rollback"])
def test_no_handler_waits_longer_than_its_function_may_run(
    live: Request,
    function: FakeLambda,
    clock: Clock,
    others: Callable[[FakeLambda, Clock], None],
    step: str,
) -> None:
    event: dict[str, Any] = live("B", percent=10)
    if step != "stage":
        event |= deploy.stage(event, CONTEXT)
        event |= deploy.shift(event, CONTEXT)
    if step == "rollback":
        # What a promotion that was cut short leaves.
        function.latest["Environment"]["Variables"]["MODEL_SHA256"] = DIGESTS["B"]
    others(function, clock)
    before = clock.now
    try:
        getattr(deploy, step)(event, CONTEXT)
    except (errors.DeploymentFailed, ClientError) as error:
        assert isinstance(error, errors.DeploymentFailed)
    waited = clock.now - before
    assert waited >= 170
    assert waited + CALLS_SECONDS <= 60 * TIMEOUT_MINUTES[step.title()]


def test_what_a_slow_publication_leaves_no_time_for_is_restored_all_the_same(
    live: Request, function: FakeLambda, clock: Clock
) -> None:
    slow(function, clock)
    with pytest.raises(errors.DeploymentFailed, match="after"):
        deploy.stage(live("B"), CONTEXT)
    assert function.variables()["MODEL_SHA256"] == DIGESTS["A"]
