"""Any legal combination of a component's options is a template that cfn-lint accepts; any other is refused,
with each of its reasons. The same holds for models of several containers."""

from __future__ import annotations

from itertools import count
from typing import Any

import aws_cdk as cdk
import pytest
from constructs import Construct
from hypothesis import strategies as st

from cdk_data_science import ConfigurationError, Model
from cdk_data_science.serving import (
    ComponentEndpoint,
    Compute,
    Container,
    CopyScaling,
    HubArtifact,
    ManagedInstances,
    Rolling,
    ScheduledCapacity,
    TrackConcurrency,
    TrackInvocations,
    TrackUtilization,
)
from tests.compliance.test_cfn_lint import problems
from tests.constructs import support
from tests.constructs.serving import endpoints
from tests.constructs.serving.drawn import built_or_refused

Drawn = dict[str, Any]
POLICIES = {
    "invocations": TrackInvocations(per_minute=60),
    "concurrency": TrackConcurrency(per_model=4),
    "memory": TrackUtilization(of="Memory", percent=70),
    "gpu": TrackUtilization(of="GPU", percent=70),
}


def components(*, wild: bool) -> st.SearchStrategy[Drawn]:
    def of(legal: list[Any], illegal: list[Any]) -> st.SearchStrategy[Any]:
        return st.sampled_from([*legal, *illegal] if wild else legal)

    return st.fixed_dictionaries(
        {
            # ml.m6i.xlarge has four processors, 16 GiB and no accelerators
            "memory": of([128, 8192], [100, 20_000]),
            "limit": of([None, 16_384], [512]),
            "cpus": of([None, 0.5, 4], [0.1, 5]),
            "accelerators": of([None], [1]),
            "copies": of([1, 2], [-1, 7]),
            "scaling": of([None, (0, 4), (1, 6)], [(-1, 4), (3, 2)]),
            "policies": of([("invocations",), ("concurrency", "memory")], [(), ("gpu",)]),
            "nights": st.booleans(),
            "placement": st.sampled_from([None, "SPREAD", "BINPACK"]),
            "startup": of([None, 1200], [10]),
            "rolling": of([5, 25, 50], [2, 80]),
            "isolated": of([True], [False]),
        }
    )


def reasons(drawn: Drawn) -> set[str]:
    """What must be said against a component; nothing, if it is legal. Written from SageMaker's pages."""
    said = {
        "128 or more": drawn["memory"] < 128,
        "memory_mb=20000 of a component on": drawn["memory"] > 16_384,
        f"max_memory_mb={drawn['limit']} below": drawn["limit"] is not None
        and drawn["limit"] < drawn["memory"],
        "0.25 or more": drawn["cpus"] == 0.1,
        "at most the 4 of one instance": drawn["cpus"] == 5,
        "at most the 0 of one instance": drawn["accelerators"] == 1,
        "copies=-1; allowed: 0 or more": drawn["copies"] == -1,
        "startup_timeout=10 s": drawn["startup"] == 10,
        "of an endpoint; allowed: a whole number, 5 to 50": drawn["rolling"] not in (5, 25, 50),
        "a model with network_isolation=False": not drawn["isolated"],
    }
    if drawn["scaling"] is not None:
        low, high = drawn["scaling"]
        policies = drawn["policies"]
        said |= {
            "minimum=-1 of component": low == -1,
            "a maximum that is not below the minimum": low > high,
            "a first number between minimum and maximum": not low <= drawn["copies"] <= high,
            "without policies and schedule": not policies and not drawn["nights"],
            "a type without GPUs": "gpu" in policies,
        }
    return {reason for reason, holds in said.items() if holds}


def scaling(drawn: Drawn) -> CopyScaling | None:
    if drawn["scaling"] is None:
        return None
    low, high = drawn["scaling"]
    return CopyScaling(
        minimum=low,
        maximum=high,
        policies=[POLICIES[name] for name in drawn["policies"]],
        schedule=ScheduledCapacity.working_hours(minimum=1, maximum=4) if drawn["nights"] else (),
    )


@pytest.mark.hypothesis
def test_legal_components_lint_and_all_others_are_refused_with_their_reasons() -> None:
    stack = support.stack()
    models = {
        True: endpoints.model(stack, "Closed"),
        False: endpoints.model(stack, "Open", network_isolation=False),
    }
    shared = ComponentEndpoint(
        stack, "Shared", instance_type="ml.m6i.xlarge", instances=ManagedInstances(minimum=0, maximum=9)
    )
    tried = count()

    def add(drawn: Drawn) -> None:
        shared.add_component(
            f"Try{next(tried)}",
            model=models[drawn["isolated"]],
            compute=Compute(
                memory_mb=drawn["memory"],
                max_memory_mb=drawn["limit"],
                cpus=drawn["cpus"],
                accelerators=drawn["accelerators"],
            ),
            copies=drawn["copies"],
            scaling=scaling(drawn),
            placement=drawn["placement"],
            startup_timeout=None if drawn["startup"] is None else cdk.Duration.seconds(drawn["startup"]),
            rollout=Rolling(percent=drawn["rolling"]),
        )

    built_or_refused(
        components(wild=False),
        st.one_of(components(wild=False), components(wild=True)),
        reasons=reasons,
        build=add,
        built=12,
        refused=12,
    )
    # AND nothing is left of those that were refused
    assert len(shared.components) == 12
    assert problems(support.document(stack)) == []


IMAGE = "111122223333.dkr.ecr.us-east-1.amazonaws.com/part:1"
NAMES = st.one_of(
    st.lists(st.sampled_from([None, "a", "b", "c"]), min_size=1, max_size=4),
    st.permutations(["a", "b", "c"]),
    st.just([None, None]),
)
CONTAINERS = st.fixed_dictionaries(
    {"names": NAMES, "direct": st.booleans(), "both": st.sampled_from([False, False, True])}
)


def container_reasons(drawn: Drawn) -> set[str]:
    names = drawn["names"]
    given_names = [name for name in names if name is not None]
    said = {
        "allowed: 2 to 15": len(names) == 1,
        "containers without names": bool(len(given_names) < len(names) and (given_names or drawn["direct"])),
        "several containers of the name": len(set(given_names)) < len(given_names),
        "these on each of the containers": drawn["both"],
    }
    return {reason for reason, holds in said.items() if holds}


@pytest.mark.hypothesis
def test_legal_models_of_containers_lint_and_all_others_are_refused_with_their_reasons() -> None:
    stack = support.stack()
    hub = "arn:aws:sagemaker:us-east-1:111122223333:hub-content/research/Model/llama/1.0.0"
    licensed = HubArtifact(bucket="b", key="k/", accept_license=True, hub_content_arn=hub)
    Model(stack, "Licensed", image=IMAGE, artifact=licensed)
    tried = count()

    def make(drawn: Drawn) -> None:
        place = Construct(stack, f"Try{next(tried)}")
        try:
            Model(
                place,
                "Model",
                containers=[Container(name=name, image=IMAGE) for name in drawn["names"]],
                direct=drawn["direct"],
                image=IMAGE if drawn["both"] else None,
            )
        except ConfigurationError:
            stack.node.try_remove_child(place.node.id)
            raise

    built_or_refused(CONTAINERS, CONTAINERS, reasons=container_reasons, build=make, built=8, refused=16)
    assert problems(support.document(stack)) == []
