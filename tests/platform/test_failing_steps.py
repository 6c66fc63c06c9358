"""A step that fails, wherever it is, ends in one failure and leaves what is deployed as it was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.platform.conftest import Quick
from tests.platform.deployed import Deployed, Run, Serving, assert_failed_once

pytestmark = pytest.mark.xdist_group("platform")


@dataclass(frozen=True)
class Before:
    serving: Serving
    digests: list[str]

    @classmethod
    def of(cls, platform: Deployed) -> Before:
        return cls(platform.serving(), registered(platform))


def registered(platform: Deployed) -> list[str]:
    return [package["CustomerMetadataProperties"]["sha256"] for package in platform.packages()]


# Steps before the deployment: all of these runs at once


@dataclass(frozen=True)
class Early:
    before: Before
    runs: dict[str, Run]
    after: Before
    unregistered: str
    """The hash of the model that could not be registered."""


@pytest.fixture(scope="module")
def early(platform: Deployed, quick: Quick, unrecorded: str) -> Early:
    """Runs whose training fails, or leaves what later steps refuse; and one that may not register."""
    before = Before.of(platform)
    random, (denied, digest) = quick.new_model()[0], quick.new_model()
    contents = {fault: quick.data(fault) for fault in ("raises", "torn", "unusable")} | {
        "random": quick.reviews.with_random_ratings().marked(random).csv(),
        "denied": quick.data(denied),
    }
    with platform.denied(platform.role_of("register.handler"), "sagemaker:CreateModelPackage"):
        keys = {fault: platform.upload(f"fault-{fault}.csv", content) for fault, content in contents.items()}
        runs = {fault: platform.end_of(platform.started(key)[0]) for fault, key in keys.items()}
    return Early(before, runs, Before.of(platform), digest)


@pytest.fixture(scope="module")
def unrecorded(platform: Deployed, quick: Quick) -> Iterator[str]:
    """A failing run whose record may not be written."""
    name = "unrecorded"
    platform.put(platform.raw, f"reviews/{name}.txt", quick.reviews.first(2).csv())
    record = f"arn:aws:s3:::{platform.features}/failures/{name}.json"
    with platform.denied(platform.machine_role, "s3:PutObject", resource=record):
        yield platform.start_by_hand(f"reviews/{name}.txt", name)


def test_training_code_that_raises(platform: Deployed, early: Early) -> None:
    assert_failed_once(
        platform,
        early.runs["raises"],
        state="Train",
        error="States.TaskFailed",
        cause=("the script was asked to fail", "AlgorithmError"),
    )


def test_an_archive_whose_model_is_not_the_one_in_its_manifest(platform: Deployed, early: Early) -> None:
    cause = ("model.onnx has the SHA-256", "but model.json says")
    assert_failed_once(platform, early.runs["torn"], state="Package", error="ModelRejected", cause=cause)


def test_a_model_that_cannot_be_loaded(platform: Deployed, early: Early) -> None:
    run = early.runs["unusable"]
    assert_failed_once(platform, run, state="Score", error=run.error or "", cause=("model",))
    assert run.error not in (None, "Lambda.Unknown")


def test_a_model_that_is_not_good_enough(platform: Deployed, early: Early) -> None:
    cause = ("auroc is 0.", "below the minimum of 0.8", "evaluation.json")
    assert_failed_once(
        platform, early.runs["random"], state="Evaluate", error="ModelBelowThreshold", cause=cause
    )


def test_a_registration_without_permission(platform: Deployed, early: Early) -> None:
    cause = ("sagemaker:CreateModelPackage", "not authorized")
    assert_failed_once(platform, early.runs["denied"], state="Register", error="ClientError", cause=cause)
    assert early.unregistered not in registered(platform)


def test_none_of_these_models_is_registered_or_deployed(platform: Deployed, early: Early) -> None:
    assert early.after == early.before


# A step that is denied or broken


@contextlib.contextmanager
def unchanged(platform: Deployed) -> Iterator[None]:
    """What answers, and what a version published for another reason would serve, is as before."""
    before = platform.serving()
    yield
    assert platform.serving() == before
    assert platform.predict("fine")["model"] == {"sha256": before.sha256, "version": before.version}


def test_a_quality_gate_that_cannot_write_its_report(platform: Deployed, quick: Quick) -> None:
    with unchanged(platform), platform.denied(platform.role_of("quality_gate.handler"), "s3:PutObject"):
        run = quick.run("denied-gate")
    assert_failed_once(
        platform, run, state="QualityGate", error="AccessDenied", cause=("AccessDenied", "s3:PutObject")
    )


def test_a_preparation_that_breaks(platform: Deployed, quick: Quick) -> None:
    with unchanged(platform), platform.raising("prepare.handler", "out of paper"):
        run = quick.run("broken-prepare")
    assert_failed_once(platform, run, state="Prepare", error="RuntimeError", cause=("out of paper",))


def test_a_version_that_cannot_load_its_model_gets_no_traffic(platform: Deployed, quick: Quick) -> None:
    mark, digest = quick.new_model()
    model = f"arn:aws:s3:::{platform.models}/models/{digest}/*"
    role = platform.role_of("app.handler")
    with unchanged(platform), platform.denied(role, "s3:GetObject", resource=model):
        run = quick.run(mark)
    assert_failed_once(
        platform,
        run,
        state="Deploy: stage",
        error="DeploymentFailed",
        cause=("ModelUnavailable", f"models/{digest}/"),
    )
    assert platform.record(run)["rollback"]["rolled_back"] is False


def test_a_shift_that_breaks(platform: Deployed, quick: Quick) -> None:
    mark, _ = quick.new_model()
    with unchanged(platform), platform.raising("deploy.shift", "no shift today"):
        run = quick.run(mark)
    assert_failed_once(platform, run, state="Deploy: shift", error="RuntimeError", cause=("no shift today",))


def test_a_check_that_breaks_rolls_the_canary_back(platform: Deployed, quick: Quick) -> None:
    mark, _ = quick.new_model()
    with unchanged(platform), platform.raising("deploy.check", "no check today"):
        run = quick.run(mark)
    assert_failed_once(platform, run, state="Deploy: check", error="RuntimeError", cause=("no check today",))
    assert platform.record(run)["rollback"]["rolled_back"] is True


def test_a_promotion_that_cannot_write_the_pointer_is_taken_back(platform: Deployed, quick: Quick) -> None:
    mark, _ = quick.new_model()
    with unchanged(platform), platform.denied(platform.role_of("deploy.promote"), "s3:PutObject"):
        run = quick.run(mark)
    assert_failed_once(platform, run, state="Deploy: promote", error="AccessDenied", cause=("s3:PutObject",))
    assert platform.record(run)["rollback"]["rolled_back"] is True


def test_a_rollback_that_fails_is_told_beside_the_failure_it_was_for(
    platform: Deployed, quick: Quick
) -> None:
    mark, _ = quick.new_model()
    before = platform.serving()
    with platform.raising("deploy.check", "no check today"), platform.raising("deploy.rollback", "stuck"):
        run = quick.run(mark)
    try:
        assert_failed_once(
            platform, run, state="Deploy: check", error="RuntimeError", cause=("no check today",)
        )
        rollback = platform.record(run)["rollback"]
        assert rollback["rolled_back"] is False
        assert "stuck" in rollback["cause"]
        # The canary is still there: a person is told so, and the next deployment does not build on it.
        assert platform.serving().weights
        blocked = quick.run(quick.new_model()[0])
        assert_failed_once(
            platform,
            blocked,
            state="Deploy: stage",
            error="DeploymentFailed",
            cause=("another deployment is under way or was left half-done",),
        )
    finally:
        send_all_calls_to(platform, before)
    assert platform.predict("fine")["model"]["sha256"] == before.sha256


def send_all_calls_to(platform: Deployed, before: Serving) -> None:
    """What a person does about a deployment that was left half-done."""
    functions = platform.aws.client("lambda")
    functions.update_alias(
        FunctionName=platform.function,
        Name=platform.alias,
        FunctionVersion=before.version,
        RoutingConfig={"AdditionalVersionWeights": {}},
    )
    known = functions.get_function_configuration(FunctionName=platform.function)["Environment"]["Variables"]
    variables = known | {name: value for name, value in before.latest.items() if value is not None}
    functions.update_function_configuration(
        FunctionName=platform.function, Environment={"Variables": variables}
    )
    platform.aws.wait_for_function(platform.function)


def test_a_failure_that_cannot_be_recorded_is_notified_all_the_same(
    platform: Deployed, unrecorded: str
) -> None:
    run = platform.end_of(unrecorded)
    assert (run.status, run.error) == ("FAILED", "QualityGateFailed")
    assert run.name not in platform.recorded()
    (message,) = platform.notifications(run)
    assert "Record: not written: " in message["Message"]


def test_after_all_that_a_good_run_succeeds(platform: Deployed, quick: Quick) -> None:
    mark, digest = quick.new_model()
    run = quick.run(mark)
    assert run.status == "SUCCEEDED", run
    serving = platform.serving()
    assert (serving.sha256, serving.weights) == (digest, {})
    assert serving.latest["MODEL_SHA256"] == digest
    assert platform.predict("fine")["model"] == {"sha256": digest, "version": serving.version}
    assert digest in registered(platform)
    assert run.name not in platform.recorded()
