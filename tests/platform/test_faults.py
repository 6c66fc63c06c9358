"""APIs that throttle, fail, lose their answers or are slow, functions that die, events that come twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.local.conftest import eventually
from tests.platform.conftest import Quick
from tests.platform.deployed import Deployed, Run

pytestmark = pytest.mark.xdist_group("platform")


@pytest.fixture(autouse=True)
def no_faults_left(platform: Deployed) -> Iterator[None]:
    yield
    platform.aws.admin("faults/clear")


@dataclass(frozen=True)
class Fault:
    """What goes wrong with the calls of one role."""

    api: str
    role: str
    """A handler, or ``machine``."""
    times: int = 1
    code: str = ""
    throttle: bool = False
    delay: float = 0.0
    after: bool = False
    """The call takes effect, and its answer is lost."""
    function: str = ""
    """A handler, where only calls of its function are meant."""

    def add(self, platform: Deployed) -> int:
        names = ("times", "code", "throttle", "delay", "after")
        role = platform.machine_role if self.role == "machine" else platform.role_of(self.role)
        resource = f"*:function:{name_of(platform, self.function)}*" if self.function else "*"
        values = {name: getattr(self, name) for name in names} | {"role": role, "resource": resource}
        return platform.aws.fault(self.api, **values)


def name_of(platform: Deployed, handler: str) -> str:
    return str(platform.functions[handler]["FunctionName"])


def kill(platform: Deployed, handler: str, delay: float = 0.02) -> int:
    """Kill the next call of a function, in flight or with its answer in its hands."""
    values = {"kind": "kill", "resource": name_of(platform, handler), "delay": delay}
    return int(platform.aws.admin("faults/add", **values)["number"])


def assert_nothing_lost(platform: Deployed, run: Run, digest: str) -> None:
    """One run, which ended in a model that answers, registered once, and in no failure."""
    assert run.status == "SUCCEEDED", run
    serving = platform.serving()
    assert (serving.sha256, serving.weights) == (digest, {})
    assert platform.predict("fine")["model"] == {"sha256": digest, "version": serving.version}
    digests = [package["CustomerMetadataProperties"]["sha256"] for package in platform.packages()]
    assert digests.count(digest) == 1
    assert platform.executions(run.output["data"]["key"]) == [run.arn]
    assert run.name not in platform.recorded()


THROTTLED = [
    Fault("states:StartExecution", "start.handler", throttle=True, times=2),
    Fault("lambda:InvokeFunction", "machine", throttle=True, function="quality_gate.handler"),
    Fault("s3:GetObject*", "prepare.handler", throttle=True, times=2),
    Fault("sagemaker:CreateTrainingJob", "machine", throttle=True),
    Fault("sagemaker:CreateModelPackage", "register.handler", throttle=True),
    Fault("lambda:UpdateFunctionConfiguration", "deploy.stage", throttle=True),
    Fault("lambda:UpdateAlias", "deploy.promote", throttle=True),
]
FAILING = [
    Fault("s3:PutObject", "quality_gate.handler", code="InternalError", times=2),
    Fault("s3:GetObject*", "prepare.handler", delay=0.5),
    Fault("s3:PutObject", "evaluate.handler", code="InternalError", after=True),
    Fault("sagemaker:CreateModelPackage", "register.handler", code="InternalFailure", after=True),
    Fault("lambda:PublishVersion", "deploy.stage", code="ServiceException", after=True),
    Fault("lambda:UpdateAlias", "deploy.shift", code="ServiceException", after=True),
    Fault("s3:PutObject", "deploy.promote", code="InternalError", after=True),
]


@pytest.mark.parametrize("faults", [THROTTLED, FAILING], ids=["throttled", "failing"])
def test_a_run_survives_faults_of_every_service(
    platform: Deployed, quick: Quick, faults: list[Fault]
) -> None:
    mark, digest = quick.new_model()
    numbers = {fault.add(platform): fault for fault in faults}
    run = quick.run(mark)
    assert_nothing_lost(platform, run, digest)
    hits = {fault: platform.aws.fault_hits(number) for number, fault in numbers.items()}
    assert hits == {fault: fault.times for fault in faults}


def test_a_run_survives_handlers_that_are_killed_and_an_event_that_comes_twice(
    platform: Deployed, quick: Quick
) -> None:
    mark, digest = quick.new_model()
    group = platform.functions["start.handler"]["LoggingConfig"]["LogGroup"]

    def calls() -> int:
        return sum(line.startswith("START ") for line in platform.log_text(group))

    called = calls()
    twice = platform.aws.admin("faults/add", kind="duplicate")["number"]
    killed = [kill(platform, handler) for handler in ("start.handler", "prepare.handler")]
    run = quick.run(mark)
    assert_nothing_lost(platform, run, digest)
    assert [platform.aws.fault_hits(number) for number in (twice, *killed)] == [1, 1, 1]
    # Both deliveries were answered in the end, the second with the run of the first.
    eventually(lambda: calls() - called >= 3, 20, "both deliveries, and the one that was killed again")
    assert platform.executions(run.output["data"]["key"]) == [run.arn]


# Predictions

SMALL = json.dumps({"instances": [{"text": "It works."}]})
ROWS = 137
LARGE = json.dumps({"instances": [{"text": f"It works {number} times. " * 90} for number in range(900)]})


def test_a_killed_prediction_is_told_to_its_caller_and_costs_nobody_else_an_answer(
    platform: Deployed, first_run: Run
) -> None:
    expected = platform.post(SMALL)
    number = kill(platform, "app.handler")
    with ThreadPoolExecutor(5) as pool:
        large = pool.submit(platform.post, LARGE)
        eventually(lambda: platform.aws.fault_hits(number) == 1, 20, "the call that is killed")
        small = list(pool.map(lambda _: platform.post(SMALL), range(20)))
        lost = large.result()
    assert lost.status == 502
    assert small == [expected] * 20
    again = platform.post(LARGE)
    assert (again.status, len(again.body["predictions"])) == (200, 900)


def test_an_asynchronous_prediction_is_made_although_its_function_is_killed(
    platform: Deployed, first_run: Run
) -> None:
    group = platform.functions["app.handler"]["LoggingConfig"]["LogGroup"]

    def tries() -> int:
        return sum(line.startswith("START ") for line in platform.log_text(group))

    def predicted() -> int:
        return sum(line.get("Rows") == ROWS for line in platform.log_lines("app.handler"))

    tried = tries()
    number = kill(platform, "app.handler", delay=0.001)
    body = json.dumps({"instances": json.loads(LARGE)["instances"][:ROWS]})
    platform.aws.client("lambda").invoke(
        FunctionName=platform.function,
        Qualifier=platform.alias,
        InvocationType="Event",
        Payload=body.encode(),
    )
    eventually(lambda: predicted() > 0, 30, "the prediction")
    assert platform.aws.fault_hits(number) == 1
    assert tries() - tried == 2
