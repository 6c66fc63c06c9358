"""Any legal combination of an inference function's options is a template that cfn-lint accepts; any other is
refused, with each of its reasons. The same holds for what feeds it."""

from __future__ import annotations

from itertools import count
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_applicationautoscaling as appscaling
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_lambda as lambda_
from constructs import Construct
from hypothesis import strategies as st

from cdk_data_science import ConfigurationError, ServerlessInference
from cdk_data_science.serving import (
    ConcurrencyScaling,
    Jwt,
    PayloadsInS3,
    PredictionApi,
    PredictionQueue,
    Predictions,
    PredictionStream,
    ScheduledCapacity,
)
from tests.compliance.test_cfn_lint import problems
from tests.constructs import support
from tests.constructs.serving import endpoints
from tests.constructs.serving.drawn import built_or_refused

Drawn = dict[str, Any]
MORNING = appscaling.Schedule.cron(hour="7", minute="0")
PYTHONS = {
    "3.11": lambda_.Runtime.PYTHON_3_11,
    "3.12": lambda_.Runtime.PYTHON_3_12,
    "3.13": lambda_.Runtime.PYTHON_3_13,
}
LONG_NAMES = [f"{number:02d}{'n' * 61}" for number in range(50)]


def functions(*, wild: bool) -> st.SearchStrategy[Drawn]:
    """Options of values that are legal alone; or with such that never are. Times are in milliseconds."""

    def of(legal: list[Any], illegal: list[Any]) -> st.SearchStrategy[Any]:
        return st.sampled_from([*legal, *illegal] if wild else legal)

    return st.fixed_dictionaries(
        {
            "prefix": of(["models/", "a/b=c/"], ["/models/", "models"]),
            "memory": of([1024, 10_240, 512], [127, 10_241]),
            "timeout": of([None, 1000, 30_000], [500, 1500, 60_000, 900_001]),
            "slow": of([None, 800], [0, 45_000]),
            "rows": of([1, 1000, 100_000], [0, 100_001]),
            "reserved": of([None, 8], [0, -1]),
            "arm": st.booleans(),
            "python": of(["3.12", "3.13"], ["3.11"]),
            "snap": st.booleans(),
            # From, to, utilization, and the bounds of its schedule
            "provisioned": of(
                [
                    None,
                    None,
                    (1, 4, 0.7, None),
                    (2, 2, None, None),
                    (0, 5, None, (1, 5)),
                    (0, 3, 0.5, (2, 3)),
                ],
                [
                    (3, 2, 0.7, None),
                    (0, 2, 0.7, None),
                    (1, 9, 0.95, None),
                    (1, 4, None, None),
                    (1, 4, 0.7, (4, 3)),
                ],
            ),
            "api": of(
                [
                    None,
                    {},
                    {"rate": 0.5, "origins": ("https://a.example",)},
                    {"jwt": ("https://id.example", ("a",))},
                ],
                [
                    {"rate": float("nan")},
                    {"rate": float("inf")},
                    {"burst": 0},
                    {"origins": ("https://a.example/path",)},
                    {"jwt": ("http://id.example", ())},
                ],
            ),
            "url": st.booleans(),
            "named": of([(), ("churn",), ("a.b", "c_d")], [("a/b",), ("a", "a"), tuple(LONG_NAMES)]),
            "loaded": of([1, 50], [0, 51]),
            "refresh": of([None, 1000, 86_400_000], [500, 1500, 86_401_000]),
            "payloads": of(
                [None, {}, {"max_mib": 1}], [{"max_mib": 256}, {"requests_prefix": "in"}, {"max_rows": 0}]
            ),
            "namespace": of(["DataScience/Inference", "a"], ["AWS/Lambda", ""]),
            "predictions": st.booleans(),
        }
    )


def reasons(drawn: Drawn) -> set[str]:
    """What must be said against a combination; nothing, if it is legal. Written from Lambda's pages."""
    timeout = 30_000 if drawn["timeout"] is None else drawn["timeout"]
    api, payloads, named = drawn["api"] or {}, drawn["payloads"], drawn["named"]
    said = {
        "a folder of the zone": not drawn["prefix"].endswith("/") or drawn["prefix"].startswith("/"),
        "128 to 10240 MB": not 128 <= drawn["memory"] <= 10_240,
        "whole seconds, 1 s to 900 s": timeout % 1000 != 0 or not 1000 <= timeout <= 900_000,
        "more than zero, at most timeout": drawn["slow"] is not None and not 0 < drawn["slow"] <= timeout,
        f"given max_rows={drawn['rows']}; allowed: 1 to 100000": not 1 <= drawn["rows"] <= 100_000,
        "reserved_concurrency=-1": drawn["reserved"] == -1,
        "SnapStart for python3.12": drawn["snap"] and drawn["python"] == "3.11",
        "snap_start=True and provisioned_concurrency": drawn["snap"] and drawn["provisioned"] is not None,
        "an HTTP API waits no longer": drawn["api"] is not None and timeout > 30_000,
        "http_api with rate=": "rate" in api and not 0 < api["rate"] < 1e9,
        "http_api with burst=0": "burst" in api,
        "https addresses without a path": "https://a.example/path" in api.get("origins", ()),
        "an https address, as in the token": "jwt" in api and api["jwt"][0].startswith("http:"),
        "an empty audience": "jwt" in api and not api["jwt"][1],
        "beginning with a letter or digit": "a/b" in named,
        "each once": len(set(named)) < len(named),
        "together at most 2000 characters": named == tuple(LONG_NAMES),
        f"max_loaded_models={drawn['loaded']}": not 1 <= drawn["loaded"] <= 50,
        "whole seconds, 1 s to one day": drawn["refresh"] in (500, 1500, 86_401_000),
        "at most an eighth of memory_size": payloads is not None
        and payloads.get("max_mib", 32) * 8 > drawn["memory"],
        "payloads with requests_prefix='in'": payloads is not None and "requests_prefix" in payloads,
        "payloads with max_rows=0": payloads is not None and "max_rows" in payloads,
        "not beginning with AWS/": drawn["namespace"] not in ("DataScience/Inference", "a"),
    }
    return {reason for reason, holds in said.items() if holds} | provisioned_reasons(drawn)


def provisioned_reasons(drawn: Drawn) -> set[str]:
    if drawn["provisioned"] is None:
        return set()
    low, high, utilization, scheduled = drawn["provisioned"]
    reserved = drawn["reserved"]
    said = {
        "minimum at most maximum": low > high,
        "a schedule that raises it": low == 0 and scheduled is None,
        "0.1 to 0.9": utilization == 0.95,
        "without utilization and schedule": utilization is None and scheduled is None and low < high,
        "a minimum that is at most the maximum": scheduled == (4, 3),
        "at most what is reserved": reserved is not None and max(low, high, *(scheduled or ())) > reserved,
    }
    return {reason for reason, holds in said.items() if holds}


def time(value: int | None) -> cdk.Duration | None:
    return None if value is None else cdk.Duration.millis(value)


def provisioned(drawn: Drawn) -> ConcurrencyScaling | None:
    if drawn["provisioned"] is None:
        return None
    low, high, utilization, scheduled = drawn["provisioned"]
    schedule = (
        ()
        if scheduled is None
        else [ScheduledCapacity(schedule=MORNING, minimum=scheduled[0], maximum=scheduled[1])]
    )
    return ConcurrencyScaling(minimum=low, maximum=high, utilization=utilization, schedule=schedule)


def api(drawn: Drawn) -> PredictionApi | None:
    if drawn["api"] is None:
        return None
    given_options = dict(drawn["api"])
    if "jwt" in given_options:
        issuer, audience = given_options["jwt"]
        given_options["jwt"] = Jwt(issuer=issuer, audience=audience)
    return PredictionApi(**given_options)


@pytest.mark.hypothesis
def test_legal_functions_lint_and_all_others_are_refused_with_their_reasons() -> None:
    stack = support.stack()
    lake = endpoints.lake(stack)
    first = ServerlessInference(stack, "First", models=lake.models)
    tried = count()

    def build(drawn: Drawn) -> None:
        place = Construct(stack, f"Try{next(tried)}")
        try:
            ServerlessInference(
                place,
                "Inference",
                models=lake.models,
                models_prefix=drawn["prefix"],
                memory_size=drawn["memory"],
                timeout=time(drawn["timeout"]),
                max_rows=drawn["rows"],
                architecture=lambda_.Architecture.ARM_64 if drawn["arm"] else lambda_.Architecture.X86_64,
                runtime=PYTHONS[drawn["python"]],
                reserved_concurrency=drawn["reserved"],
                alerts=first.alerts,
                key=first.key,
                metrics_namespace=drawn["namespace"],
                slow=time(drawn["slow"]),
                snap_start=drawn["snap"],
                provisioned_concurrency=provisioned(drawn),
                http_api=api(drawn),
                function_url=drawn["url"],
                named_models=drawn["named"],
                max_loaded_models=drawn["loaded"],
                refresh=time(drawn["refresh"]),
                payloads=None
                if drawn["payloads"] is None
                else PayloadsInS3(zone=lake.raw, answers=lake.curated, **drawn["payloads"]),
                predictions=Predictions.to_zone(lake.curated) if drawn["predictions"] else None,
            )
        except ConfigurationError:
            stack.node.try_remove_child(place.node.id)
            raise

    # A function that is legal is some twenty resources, of which a template holds 500.
    built_or_refused(
        functions(wild=False),
        st.one_of(functions(wild=False), functions(wild=True)),
        reasons=reasons,
        build=build,
        built=10,
        refused=14,
    )
    assert problems(support.document(stack)) == []


def seldom(legal: list[Any], illegal: list[Any]) -> st.SearchStrategy[Any]:
    """One in six is illegal."""
    return st.integers(0, 5).flatmap(lambda drawn: st.sampled_from(legal if drawn else illegal))


QUEUES = st.fixed_dictionaries(
    {
        "batch_size": seldom([1, 10, 11, 10_000], [0, 10_001]),
        "window": seldom([0, 1000, 300_000], [1500, 301_000]),
        "tries": seldom([1, 1000], [0, 1001]),
        "max_concurrency": seldom([None, 2, 1000], [1, 1001]),
    }
)
STREAMS = st.fixed_dictionaries(
    {
        "batch_size": seldom([1, 10_000], [0]),
        "window": seldom([0, 300_000], [1500]),
        "tries": seldom([0, 10_000], [-1, 10_001]),
        "max_age": seldom([60_000, 604_800_000], [60_500, 604_801_000]),
        "parallel": seldom([1, 10], [0, 11]),
        "late": seldom([None, 1], [0]),
    }
)


def queue_reasons(drawn: Drawn) -> set[str]:
    said = {
        f"batch_size={drawn['batch_size']}; allowed: 1 to 10000": not 1 <= drawn["batch_size"] <= 10_000,
        "whole seconds, 0 s to 300 s": drawn["window"] in (1500, 301_000),
        "a window of a second": drawn["batch_size"] > 10 and drawn["window"] < 1000,
        f"tries={drawn['tries']}; allowed: 1 to 1000": not 1 <= drawn["tries"] <= 1000,
        "2 to 1000": drawn["max_concurrency"] in (1, 1001),
    }
    return {reason for reason, holds in said.items() if holds}


def stream_reasons(drawn: Drawn) -> set[str]:
    said = {
        "batch_size=0": drawn["batch_size"] == 0,
        "whole seconds, 0 s to 300 s": drawn["window"] == 1500,
        f"tries={drawn['tries']}; allowed: 0 to 10000": not 0 <= drawn["tries"] <= 10_000,
        "whole seconds, a minute to seven days": drawn["max_age"] in (60_500, 604_801_000),
        "1 to 10; write: parallel=1": not 1 <= drawn["parallel"] <= 10,
        "late=0 ms": drawn["late"] == 0,
    }
    return {reason for reason, holds in said.items() if holds}


@pytest.mark.hypothesis
def test_legal_queues_and_streams_lint_and_all_others_are_refused_with_their_reasons() -> None:
    stack = support.stack()
    lake = endpoints.lake(stack)
    inference = ServerlessInference(
        stack, "Inference", models=lake.models, predictions=Predictions.to_zone(lake.curated)
    )
    tried = count()

    def queue(place: Construct, drawn: Drawn) -> None:
        PredictionQueue(place, "Queue", inference=inference, **{**drawn, "window": time(drawn["window"])})

    def stream(place: Construct, drawn: Drawn) -> None:
        times = {name: time(drawn[name]) for name in ("window", "max_age", "late")}
        clicks = kinesis.Stream(place, "Clicks")
        PredictionStream(place, "Stream", inference=inference, stream=clicks, **{**drawn, **times})

    def make(case: tuple[str, Drawn]) -> None:
        place = Construct(stack, f"Try{next(tried)}")
        try:
            {"queue": queue, "stream": stream}[case[0]](place, case[1])
        except ConfigurationError:
            stack.node.try_remove_child(place.node.id)
            raise

    def said(case: tuple[str, Drawn]) -> set[str]:
        return {"queue": queue_reasons, "stream": stream_reasons}[case[0]](case[1])

    either = st.one_of(st.tuples(st.just("queue"), QUEUES), st.tuples(st.just("stream"), STREAMS))
    built_or_refused(either, either, reasons=said, build=make, built=18, refused=22)
    assert problems(support.document(stack)) == []
