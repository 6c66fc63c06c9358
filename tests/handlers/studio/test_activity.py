"""Who runs what, in the log; sums, as metrics."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from handlers.studio.asset import activity
from handlers.studio.fakes import CREATED, DOMAIN, FakeSageMaker


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(sagemaker: FakeSageMaker) -> list[dict[str, Any]]:
        class Clock(activity.datetime):  # type: ignore[misc, name-defined]
            @classmethod
            def now(cls, _tz: Any = None) -> Any:
                return CREATED + timedelta(hours=30)

        monkeypatch.setenv("DOMAIN_ID", DOMAIN)
        monkeypatch.setattr(activity.boto3, "client", lambda *_, **__: sagemaker)
        monkeypatch.setattr(activity, "datetime", Clock)
        activity.handler({}, None)
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


def test_each_running_app_is_told_with_its_owner_and_hours(written: Any) -> None:
    sagemaker = FakeSageMaker()
    sagemaker.add_user("ann", "ann-lab", "ann-code")
    sagemaker.add_app("default", UserProfileName="ben", AppType="Canvas")
    sagemaker.add_app("gone", UserProfileName="ben", Status="Deleted")
    *apps, sums = written(sagemaker)
    assert [(line["app"]["owner"], line["app"]["space"], line["app"]["hours"]) for line in apps] == [
        ("ann", "ann-lab", 30.0),
        ("ann", "ann-code", 30.0),
        ("ben", "", 30.0),
    ]
    assert {line["app"]["instance"] for line in apps} == {"ml.t3.medium"}
    assert (sums["RunningApps"], sums["Owners"], sums["LongestRunHours"]) == (3, 2, 30.0)


def test_the_metrics_are_those_that_the_dashboard_draws(written: Any) -> None:
    (sums,) = written(FakeSageMaker())
    (directive,) = sums["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "CdkDataScience/Studio"
    assert directive["Dimensions"] == [["DomainId"]]
    assert sums["DomainId"] == DOMAIN
    assert {metric["Name"]: sums[metric["Name"]] for metric in directive["Metrics"]} == {
        "RunningApps": 0,
        "Owners": 0,
        "LongestRunHours": 0,
    }
