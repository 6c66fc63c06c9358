"""The settings of the inference function: what they make, and what of them contradicts itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from settings.inference import Guard, Inference
from settings.model import load
from stacks.pipeline import _guard
from stacks.platform import compose
from tests.constructs import support

FULL = Inference.model_validate(
    {
        "memory_mb": 2048,
        "timeout_seconds": 20,
        "reserved_concurrency": 50,
        "named_models": ["churn"],
        "refresh_seconds": 60,
        "provisioned": {
            "minimum": 2,
            "maximum": 10,
            "working_times": {"time_zone": "Europe/Berlin", "start": "07:30", "days": ["MON", "TUE"]},
        },
        "http_api": {
            "requests_per_second": 20,
            "tokens": {"issuer": "https://id.example.com", "audience": ["shop"]},
            "origins": ["https://shop.example.com"],
        },
        "payloads": {"max_mib": 64},
        "queue": {"batch_size": 500, "tries": 5, "max_concurrency": 10},
    }
)


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The serving stack of settings with every option."""
    others = dict.fromkeys(("training", "pipeline", "cost", "network", "security", "audit"))
    settings = load("dev").model_copy(update={**others, "inference": FULL})
    stacks = compose(support.app(outdir=tmp_path_factory.mktemp("inference")), settings)
    [found] = [stack for stack in stacks if stack.stack_name.endswith("-serving")]
    template: dict[str, Any] = support.document(found)
    return template


def of_type(serving: dict[str, Any], type: str) -> list[dict[str, Any]]:
    return [each["Properties"] for each in serving["Resources"].values() if each["Type"] == type]


def test_everything_that_was_asked_for_is_there(serving: dict[str, Any]) -> None:
    [function] = of_type(serving, "AWS::Lambda::Function")
    told = function["Environment"]["Variables"]
    assert (told["MODEL_NAMES"], told["MODEL_REFRESH_SECONDS"]) == ("churn", "60")
    assert "inference/requests/" in json.dumps(told["REQUESTS_AT"])
    assert "inference/predictions/" in json.dumps(told["RESULTS_TO"])
    [source] = of_type(serving, "AWS::Lambda::EventSourceMapping")
    assert (source["BatchSize"], source["ScalingConfig"]) == (500, {"MaximumConcurrency": 10})
    [stage] = of_type(serving, "AWS::ApiGatewayV2::Stage")
    assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] == 20
    [authorizer] = of_type(serving, "AWS::ApiGatewayV2::Authorizer")
    assert authorizer["JwtConfiguration"]["Issuer"] == "https://id.example.com"


def test_environments_are_ready_in_working_times_and_there_are_none_in_others(
    serving: dict[str, Any],
) -> None:
    [target] = of_type(serving, "AWS::ApplicationAutoScaling::ScalableTarget")
    assert (target["MinCapacity"], target["MaxCapacity"]) == (0, 10)
    morning, evening = target["ScheduledActions"]
    assert morning["Schedule"] == "cron(30 7 ? * MON,TUE *)"
    assert morning["ScalableTargetAction"] == {"MinCapacity": 2, "MaxCapacity": 10}
    assert evening["Schedule"] == "cron(0 19 ? * MON,TUE *)"
    assert evening["ScalableTargetAction"] == {"MinCapacity": 0, "MaxCapacity": 0}
    assert {each["Timezone"] for each in (morning, evening)} == {"Europe/Berlin"}


def test_the_ways_in_are_told(serving: dict[str, Any]) -> None:
    assert {"FunctionUrl", "HttpApiUrl", "PredictionQueueUrl"} <= set(serving["Outputs"])
    assert serving["Outputs"]["HttpApiUrl"]["Description"].endswith("with a token")


def test_a_function_by_default_has_none_of_it(tmp_path: Path) -> None:
    others = dict.fromkeys(("training", "pipeline", "cost", "network", "security", "audit"))
    settings = load("dev").model_copy(
        update={**others, "inference": Inference(function_url=False, snap_start=True)}
    )
    [stack] = [
        stack
        for stack in compose(support.app(outdir=tmp_path), settings)
        if stack.stack_name.endswith("-serving")
    ]
    types = {each["Type"] for each in support.resources(stack).values()}
    assert not types & {
        "AWS::Lambda::Url",
        "AWS::ApiGatewayV2::Api",
        "AWS::ApplicationAutoScaling::ScalableTarget",
        "AWS::Lambda::EventSourceMapping",
    }
    [function] = support.resources(stack, "AWS::Lambda::Function").values()
    assert function["Properties"]["SnapStart"] == {"ApplyOn": "PublishedVersions"}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"snap_start": True, "provisioned": {"maximum": 2}}, "exclude each other"),
        ({"reserved_concurrency": 1, "provisioned": {"maximum": 2}}, "more than reserved_concurrency"),
        ({"provisioned": {"minimum": 3, "maximum": 2}}, "more than maximum"),
        (
            {
                "provisioned": {
                    "maximum": 2,
                    "working_times": {"time_zone": "UTC", "start": "19:00", "end": "08:00"},
                }
            },
            "later that day",
        ),
        ({"timeout_seconds": 31, "http_api": {}}, "waits 30 s"),
        ({"http_api": {"origins": ["*"]}}, "match pattern"),
        ({"http_api": {"tokens": {"issuer": "http://id", "audience": ["a"]}}}, "match pattern"),
        ({"http_api": {"tokens": {"issuer": "https://id", "audience": []}}}, "at least 1 item"),
        ({"memory_mb": 256, "payloads": {"max_mib": 33}}, "rows need 264 MB"),
        ({"named_models": ["a/b"]}, "match pattern"),
        ({"queue": {"window_seconds": 0}}, "greater than or equal to 1"),
        ({"http_apis": {}}, "Extra inputs"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Inference.model_validate(given)


def test_false_leaves_a_comparison_of_the_canary_out() -> None:
    guard = _guard(Guard(slower_percent=False, refused_points=False, confidence_shift=False))
    assert guard.as_event() == {"failed_percent": 0, "minimum_calls": 100}
    assert _guard(Guard()).as_event()["slower_percent"] == 100
