"""Options of another kind than they take: told by name, with what to write, before anything breaks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2

from cdk_data_science import AsyncEndpoint, Canary, ConfigurationError, Model, Scaling, ServerlessInference
from cdk_data_science.serving import (
    ComponentEndpoint,
    Compute,
    CopyScaling,
    DataCapture,
    ManagedInstances,
    Steps,
    TrackConcurrency,
    TrackInvocations,
    TrackUtilization,
)
from tests.constructs import support
from tests.constructs.serving import endpoints

Build = Callable[[cdk.Stack], object]


@pytest.fixture(scope="module")
def stack() -> cdk.Stack:
    """Of everything that is refused below."""
    made = support.stack()
    endpoints.model(made)
    return made


def of_variant(**changes: Any) -> Build:
    return lambda stack: endpoints.endpoint(stack, "Try", variants=[endpoints.variant(stack, **changes)])


def of_endpoint(**changes: Any) -> Build:
    return lambda stack: endpoints.endpoint(stack, "Try", **changes)


def scaled(*policies: Any, **changes: Any) -> Build:
    return of_variant(scaling=Scaling(**{"maximum": 3, "policies": list(policies), **changes}))


def component(**changes: Any) -> Build:
    def build(stack: cdk.Stack) -> None:
        shared = ComponentEndpoint(stack, "Try", instance_type="ml.m6i.xlarge")
        given = {"model": endpoints.model(stack), "compute": Compute(memory_mb=1024), **changes}
        shared.add_component("A", **given)

    return build


def inference(**changes: Any) -> Build:
    return lambda stack: ServerlessInference(stack, "Try", models=endpoints.lake(stack).models, **changes)


SECOND = cdk.Duration.millis(1500)
CASES: dict[str, tuple[Build, str]] = {
    "a variant alone": (
        lambda stack: endpoints.endpoint(stack, "Try", variants=endpoints.variant(stack)),
        r"variants=InstanceVariant\(…\); allowed: a list; write: variants=\[InstanceVariant\(…\)\]",
    ),
    "a model as a variant": (
        lambda stack: endpoints.endpoint(stack, "Try", variants=[endpoints.model(stack)]),
        r"variants with Model\(…\); allowed: InstanceVariant or ServerlessVariant",
    ),
    "a name as a model": (
        of_variant(model="reviews"),
        "model='reviews' of InstanceVariant; allowed: a Model",
    ),
    "EC2's type": (
        of_variant(instance_type=ec2.InstanceType("m5.large")),
        r"instance_type=InstanceType\(…\) of InstanceVariant; allowed: a text",
    ),
    "a text as a count": (of_variant(instance_count="2"), "instance_count='2' of .*a whole number"),
    "half an instance": (of_variant(instance_count=2.5), "instance_count=2.5 of .*a whole number"),
    "True as a count": (of_variant(instance_count=True), "instance_count=True of .*a whole number"),
    "an infinite weight": (
        of_variant(weight=float("inf")),
        "weight=inf of variant .main.; allowed: 0",
    ),
    "a rollout by name": (of_endpoint(rollout="canary"), "rollout='canary'; allowed: AllAtOnce or Canary"),
    "a class as a rollout": (of_endpoint(rollout=Canary), "rollout=Canary, which is not made"),
    "a share as a text": (of_endpoint(rollout=Canary(percent="10")), "percent='10' of Canary"),  # type: ignore[arg-type]
    "minutes as a number": (of_endpoint(rollout=Canary(bake=5)), "bake=5 of Canary; allowed: a Duration"),  # type: ignore[arg-type]
    "seconds as a number": (of_endpoint(termination_wait=300), "termination_wait=300; allowed: a Duration"),
    "several shadows": (of_endpoint(shadow=[]), r"shadow=list\(…\); allowed: InstanceVariant"),
    "capture switched on": (of_endpoint(data_capture=True), r"write: data_capture=DataCapture\(…\)"),
    "an alarm alone": (
        lambda stack: endpoints.endpoint(
            stack,
            "Try",
            rollback_alarms=cloudwatch.Alarm.from_alarm_arn(  # type: ignore[arg-type]
                stack, f"Alarm{len(stack.node.children)}", "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:a"
            ),
        ),
        r"rollback_alarms=.*; allowed: a list; write: rollback_alarms=\[…\]",
    ),
    "an alarm by name": (of_endpoint(rollback_alarms=["busy"]), "rollback_alarms with 'busy'"),
    "a bucket as a zone": (
        lambda stack: endpoints.endpoint(
            stack,
            "Try",
            data_capture=DataCapture(zone=endpoints.lake(stack).curated.bucket, percent=10),  # type: ignore[arg-type]
        ),
        r"zone=Bucket\(…\) of DataCapture; allowed: a zone of a lake",
    ),
    "a policy alone": (
        scaled(policies=TrackInvocations(per_minute=3)),
        r"policies=TrackInvocations\(…\) of Scaling; allowed: a list",
    ),
    "a policy by name": (
        scaled("invocations"),
        "str of variant 'main'; allowed: TrackInvocations, TrackConcurrency, TrackUtilization or Steps",
    ),
    "a policy that is not made": (scaled(TrackInvocations), "type of variant 'main'; allowed: TrackInv"),
    "infinite requests": (
        scaled(TrackInvocations(per_minute=float("inf"))),
        "per_minute=inf of variant 'main'; allowed: more than 0",
    ),
    "a metric in small letters": (
        scaled(TrackUtilization(of="cpu", percent=50)),  # type: ignore[arg-type]
        "of='cpu' of variant 'main'; allowed: CPU, Memory",
    ),
    "parts of a second": (
        scaled(TrackInvocations(per_minute=3, scale_in_cooldown=SECOND)),
        "scale_in_cooldown of variant 'main'=1.5 s; allowed: whole seconds",
    ),
    "a metric that is none": (
        scaled(Steps(on="Latency", steps=[])),  # type: ignore[arg-type]
        "on='Latency' of variant 'main'; allowed: Invocations",
    ),
    "a number of instances": (
        lambda stack: ComponentEndpoint(stack, "Try", instance_type="ml.m6i.xlarge", instances=2),  # type: ignore[arg-type]
        r"instances=2; allowed: ManagedInstances; write: instances=ManagedInstances\(…\)",
    ),
    "instances upside down": (
        lambda stack: ComponentEndpoint(
            stack, "Try", instance_type="ml.m6i.xlarge", instances=ManagedInstances(minimum=3, maximum=2)
        ),
        "a maximum that is not below the minimum.*write: minimum=1, maximum=2, first=1",
    ),
    "memory as a number": (
        component(compute=1024),
        r"compute=1024; allowed: Compute; write: compute=Compute",
    ),
    "an endless memory": (component(compute=Compute(memory_mb=float("inf"))), "memory_mb=inf of Compute"),  # type: ignore[arg-type]
    "scaling of instances": (
        component(scaling=Scaling(maximum=2)),
        r"scaling=Scaling\(…\); allowed: CopyScaling",
    ),
    "steps of copies": (
        component(scaling=CopyScaling(maximum=2, policies=[Steps(on="Invocations", steps=[])])),  # type: ignore[list-item]
        "Steps of component 'A'; allowed: TrackInvocations",
    ),
    "parts of a second from zero": (
        component(
            scaling=CopyScaling(
                minimum=0, maximum=2, policies=[TrackConcurrency(per_model=2)], from_zero_cooldown=SECOND
            )
        ),
        "from_zero_cooldown of component 'A'=1.5 s",
    ),
    "a canary of copies": (component(rollout=Canary()), r"rollout=Canary\(…\); allowed: Rolling"),
    "an artifact by its address": (
        lambda stack: Model(stack, "Try", image=endpoints.IMAGE, artifact="s3://b/k"),  # type: ignore[arg-type]
        "artifact='s3://b/k'; allowed: Artifact or HubArtifact",
    ),
    "a queue's length": (
        lambda stack: AsyncEndpoint(
            stack,
            "Try",
            variant=endpoints.variant(stack),
            requests=endpoints.lake(stack).raw,
            answers=endpoints.lake(stack).raw,
            backlog=5,  # type: ignore[arg-type]
        ),
        r"backlog=5; allowed: Backlog; write: backlog=Backlog\(…\)",
    ),
    "a name where names are meant": (
        inference(named_models="churn"),
        r"named_models='churn'; allowed: a list; write: named_models=\['churn'\]",
    ),
    "memory as a text": (inference(memory_size="512"), "memory_size='512'; allowed: a whole number"),
    "a bucket of models": (
        lambda stack: ServerlessInference(stack, "Try", models=endpoints.lake(stack).models.bucket),  # type: ignore[arg-type]
        r"models=Bucket\(…\); allowed: a zone of a lake",
    ),
    "seconds of a function": (inference(timeout=30), "timeout=30; allowed: a Duration"),
    "an API switched on": (inference(http_api=True), r"http_api=True; allowed: PredictionApi"),
    "environments by number": (
        inference(provisioned_concurrency=5),
        "provisioned_concurrency=5; allowed: Conc",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_told_what_was_given_and_what_is_taken(stack: cdk.Stack, name: str) -> None:
    build, expected = CASES[name]
    try:
        with pytest.raises(ConfigurationError, match=expected):
            build(stack)
    finally:
        stack.node.try_remove_child("Try")


def test_a_component_is_added_once(stack: cdk.Stack) -> None:
    shared = ComponentEndpoint(stack, "Shared", instance_type="ml.m6i.xlarge")
    given: dict[str, Any] = {"model": endpoints.model(stack), "compute": Compute(memory_mb=1024)}
    shared.add_component("A", **given)
    with pytest.raises(ConfigurationError, match="another component 'A'; allowed: each id once"):
        shared.add_component("A", **given)


def test_numbers_that_are_known_only_at_deployment_are_of_every_kind(stack: cdk.Stack) -> None:
    count = cdk.CfnParameter(stack, "Count", type="Number", default=2)
    endpoints.endpoint(
        stack,
        "Later",
        variants=[endpoints.variant(stack, instance_count=count.value_as_number)],
    )
