"""Any legal combination of an endpoint's options is a template that cfn-lint accepts; any other is refused,
with each of its reasons."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from constructs import Construct
from hypothesis import strategies as st

from cdk_data_science import Canary, ConfigurationError, DataCapture, InstanceVariant, ModelEndpoint, Scaling
from cdk_data_science.serving import (
    AllAtOnce,
    Artifact,
    CoreDumps,
    Linear,
    Rolling,
    ServerlessVariant,
    TrackConcurrency,
    TrackInvocations,
    TrackUtilization,
)
from tests.compliance.test_cfn_lint import problems
from tests.constructs import support
from tests.constructs.serving import endpoints
from tests.constructs.serving.drawn import built_or_refused

ISOLATED, OPEN, MANY, ATTACHED, COMPILED = "Isolated", "Open", "Many", "Attached", "Compiled"
TYPES = {"ml.m6i.large": "", "ml.g5.xlarge": "disks gpu", "ml.inf1.xlarge": "inf1", "ml.t2.medium": "burst"}


@dataclass(frozen=True)
class Options:
    """What is drawn: plain values, judged by the rules below and built by the constructs."""

    variants: tuple[dict[str, Any], ...]
    shadow: dict[str, Any] | None
    rollout: Any
    termination: int | None
    timeout: int | None
    capture: int | None


LEGAL = {
    "serverless": False,
    "model": ISOLATED,
    "type": "ml.m6i.large",
    "count": 2,
    "weight": 1,
    "volume": None,
    "startup": None,
    "dumps": False,
    "scaling": None,
    "policy": "",
    "memory": 2048,
}


def variants(*, wild: bool) -> st.SearchStrategy[dict[str, Any]]:
    """Variants on instances, of values that are legal alone; or with such that never are."""

    def of(legal: list[Any], illegal: list[Any]) -> st.SearchStrategy[Any]:
        return st.sampled_from([*legal, *illegal] if wild else legal)

    return st.fixed_dictionaries(
        {
            "serverless": st.just(False),
            "model": of([ISOLATED, OPEN, ATTACHED], [MANY, COMPILED]),
            "type": of(["ml.m6i.large"], list(TYPES)),
            "count": of([2, 3, 4], [1]),
            "weight": of([1, 2.5], [0]),
            "volume": of([None, 32], [600]),
            "startup": of([None, 600], [30]),
            "dumps": st.booleans(),
            "scaling": of([None, (2, 4)], [(1, 4), (0, 3), (3, 6)]),
            "policy": of(["invocations", "concurrency", "cpu"], ["gpu"]),
            "memory": st.just(2048),
        }
    )


def options(*, wild: bool) -> st.SearchStrategy[Options]:
    one = variants(wild=wild)
    serverless = st.fixed_dictionaries(
        {"serverless": st.just(True), "model": st.just(OPEN), "memory": st.sampled_from([1024, 6144])}
    ).map(lambda drawn: LEGAL | drawn)
    wrong = one.map(lambda drawn: drawn | {"serverless": True, "memory": 1000})
    stepwise = [
        Canary(percent=20, bake=cdk.Duration.minutes(5)),
        Linear(percent=25, bake=cdk.Duration.minutes(10)),
    ]
    return st.builds(
        Options,
        variants=st.lists(st.one_of(one, serverless, wrong) if wild else one, min_size=1, max_size=2).map(
            tuple
        ),
        shadow=st.one_of(st.none(), one) if wild else st.none(),
        rollout=st.sampled_from(
            [None, AllAtOnce(), *stepwise, *([Canary(percent=60), Rolling(percent=50)] if wild else [])]
        ),
        termination=st.sampled_from([None, 0, 600, *([4000] if wild else [])]),
        timeout=st.sampled_from([None, 7200, *([900] if wild else [])]),
        capture=st.sampled_from([None, 0, 50, *([120] if wild else [])]),
    )


POLICIES = {
    "invocations": TrackInvocations(per_minute=600),
    "concurrency": TrackConcurrency(per_model=4),
    "cpu": TrackUtilization(of="CPU", percent=50),
    "gpu": TrackUtilization(of="GPU", percent=50),
}


def reasons(options: Options) -> set[str]:
    """What must be said against a combination; nothing, if it is legal. Written from SageMaker's pages, not
    from the constructs."""
    everyone = [*options.variants, *([options.shadow] if options.shadow is not None else [])]
    found = set[str]()
    for each in everyone:
        found |= variant_reasons(each)
    serverless = any(each["serverless"] for each in everyone)
    if len(options.variants) > 1 and any(each["serverless"] for each in options.variants):
        found.add("one serverless variant alone")
    if not any(1 if each["serverless"] else each["weight"] for each in options.variants):
        found.add("a weight above 0 for one at least")
    if options.shadow is not None:
        if len(options.variants) > 1:
            found.add("one variant and one shadow")
        if options.shadow["scaling"]:
            found.add("scaling of the shadow")
        if any(each["model"] == MANY for each in everyone):
            found.add("shadow with the multi-model variant")
        if any("inf1" in TYPES[each["type"]] and not each["serverless"] for each in everyone):
            found.add("on Inf1")
    if options.capture is not None:
        if any(each["serverless"] for each in options.variants):
            found.add("data_capture with a serverless variant")
        if options.capture > 100:
            found.add("DataCapture percent=120")
    return found | rollout_reasons(options, everyone, serverless=serverless)


def variant_reasons(each: dict[str, Any]) -> set[str]:
    if each["serverless"]:
        said = {
            "a multi-model model for": each["model"] == MANY,
            "a model without network for": each["model"] in (ISOLATED, MANY, ATTACHED, COMPILED),
            "a model in a VPC for": each["model"] == ATTACHED,
            "memory_mb=1000": each["memory"] == 1000,
        }
        return {reason for reason, holds in said.items() if holds}
    facts, scaling = TYPES[each["type"]], each["scaling"]
    said = {
        "allowed: 1 to 512 GB": each["volume"] == 600,
        "types with local NVMe disks": each["volume"] is not None and "disks" in facts,
        "startup_timeout=30 s": each["startup"] == 30,
        "made for processors": "inf1" in facts and each["model"] != COMPILED,
        "compiled for Inf1": "inf1" not in facts and each["model"] == COMPILED,
    }
    if scaling is not None:
        said |= {
            "types that do not burst": "burst" in facts,
            "minimum=0 of variant": scaling[0] == 0,
            "a first count between minimum and maximum": not max(scaling[0], 1)
            <= each["count"]
            <= scaling[1],
            "a type without GPUs": each["policy"] == "gpu" and "gpu" not in facts,
        }
    return {reason for reason, holds in said.items() if holds}


def rollout_reasons(options: Options, everyone: list[dict[str, Any]], *, serverless: bool) -> set[str]:
    rollout, termination, timeout = options.rollout, options.termination, options.timeout
    found = set[str]()
    if termination == 4000:
        found.add("termination_wait=4000 s")
    if isinstance(rollout, Canary) and rollout.percent > 50:
        found.add("Canary percent=60 of an endpoint")
    if isinstance(rollout, Rolling) and termination is not None:
        found.add("termination_wait with Rolling")
    bare = serverless or any("inf1" in TYPES[each["type"]] for each in everyone)
    if bare:
        stepwise = isinstance(rollout, Canary | Linear | Rolling)
        if stepwise or termination is not None or timeout is not None:
            found.add("allowed: AllAtOnce() alone")
    else:
        if isinstance(rollout, Rolling) and len(everyone) > 1:
            found.add("SageMaker rolls no endpoint of several")
        if isinstance(rollout, Canary | Linear | Rolling) and min(map(fewest, everyone)) < 2:
            found.add("allowed: 2 or more at all times")
    if timeout is not None and timeout <= waits(options, everyone, bare=bare):
        found.add("more than all waits together")
    return found


def fewest(each: dict[str, Any]) -> float:
    if each["serverless"]:
        return math.inf
    return min(each["count"], each["scaling"][0]) if each["scaling"] else each["count"]


def waits(options: Options, everyone: list[dict[str, Any]], *, bare: bool) -> float:
    rollout = options.rollout
    if rollout is None:
        single = bare or min(map(fewest, everyone)) < 2
        rollout = AllAtOnce() if single else Canary()
    if isinstance(rollout, Rolling):
        return 2 * 300
    termination = 300 if options.termination is None else options.termination
    steps = {Canary: 1, Linear: 3}.get(type(rollout), 0)
    return termination + steps * getattr(rollout, "bake_seconds", 0)


class Workshop:
    """One stack for all endpoints."""

    def __init__(self) -> None:
        self.stack = support.stack()
        self.lake = endpoints.lake(self.stack)
        many = Artifact(zone=self.lake.models, key="models/")
        self.models = {
            ISOLATED: endpoints.model(self.stack, ISOLATED),
            OPEN: endpoints.model(self.stack, OPEN, network_isolation=False),
            MANY: endpoints.model(self.stack, MANY, artifact=many, multi_model=True),
            COMPILED: endpoints.model(self.stack, COMPILED, image=endpoints.INF1_IMAGE),
            ATTACHED: endpoints.model(self.stack, ATTACHED, vpc=ec2.Vpc(self.stack, "Vpc", max_azs=2)),
        }
        first = endpoints.endpoint(self.stack, "First", variants=[self.variant(LEGAL, "main")])
        self.shared = {"key": first.key, "alerts": first.alerts}
        self.tried = 0

    def variant(self, drawn: dict[str, Any], name: str) -> InstanceVariant | ServerlessVariant:
        model = self.models[drawn["model"]]
        if drawn["serverless"]:
            return ServerlessVariant(name=name, model=model, memory_mb=drawn["memory"])
        scaling = drawn["scaling"]
        return InstanceVariant(
            name=name,
            model=model,
            instance_type=drawn["type"],
            instance_count=drawn["count"],
            weight=drawn["weight"],
            volume_size_gb=drawn["volume"],
            startup_timeout=seconds(drawn["startup"]),
            core_dumps=CoreDumps(zone=self.lake.raw) if drawn["dumps"] else None,
            scaling=None
            if scaling is None
            else Scaling(minimum=scaling[0], maximum=scaling[1], policies=[POLICIES[drawn["policy"]]]),
        )

    def build(self, options: Options) -> None:
        self.tried += 1
        scope = Construct(self.stack, f"Try{self.tried}")
        names = ("main", "other")
        shadow: Any = None if options.shadow is None else self.variant(options.shadow, "next")
        capture = options.capture
        try:
            ModelEndpoint(
                scope,
                "Endpoint",
                variants=[self.variant(v, n) for v, n in zip(options.variants, names, strict=False)],
                shadow=shadow,
                rollout=options.rollout,
                termination_wait=seconds(options.termination),
                rollout_timeout=seconds(options.timeout),
                data_capture=None
                if capture is None
                else DataCapture(zone=self.lake.curated, percent=capture),
                **self.shared,
            )
        except ConfigurationError:
            self.stack.node.try_remove_child(scope.node.id)
            raise


def seconds(value: int | None) -> cdk.Duration | None:
    return None if value is None else cdk.Duration.seconds(value)


@pytest.mark.hypothesis
def test_legal_combinations_lint_and_all_others_are_refused_with_their_reasons() -> None:
    workshop = Workshop()
    built_or_refused(
        options(wild=False),
        st.one_of(options(wild=False), options(wild=True)),
        reasons=reasons,
        build=workshop.build,
        built=20,
        refused=20,
    )
    assert problems(support.document(workshop.stack)) == []
