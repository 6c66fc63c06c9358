"""Switching on and off: on the right days, from every state, and twice without harm."""

import json
from datetime import date
from typing import Any

import pytest
from botocore.exceptions import ClientError
from handlers.cost.asset import working_hours

ENDPOINT = "arn:aws:sagemaker:eu-west-1:111122223333:endpoint/reviews"
NOTEBOOK = "arn:aws:sagemaker:eu-west-1:111122223333:notebook-instance/lab"
ALIAS = "arn:aws:lambda:eu-west-1:111122223333:function:predict:live"
THE_ENDPOINT = {"kind": "endpoint", "id": ENDPOINT, "name": "Reviews"}
THE_NOTEBOOK = {"kind": "notebook", "id": NOTEBOOK, "name": "Lab"}
CALENDAR = {
    "time_zone": "Europe/Berlin",
    "days": ["MON", "TUE", "WED", "THU", "FRI"],
    "holidays": ["2026-12-25"],
    "extra_days": ["2026-11-28"],
}


def failure(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, "Operation")


class Fake:
    """A client of any service: answers from a table, and what it was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        def call(**given: Any) -> Any:
            self.calls.append((name, given))
            answer = self.answers.get(name, {})
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    def named(self, name: str) -> list[dict[str, Any]]:
        return [given for called, given in self.calls if called == name]


class Parameters(Fake):
    """Parameter Store with the hold and the memory."""

    def __init__(self, hold: str = "none", memory: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.values = {"hold": hold, "memory": json.dumps(memory or {})}

    def get_parameter(self, *, Name: str) -> dict[str, Any]:  # noqa: N803
        return {"Parameter": {"Value": self.values[Name]}}

    def put_parameter(self, *, Name: str, Value: str, Overwrite: bool) -> None:  # noqa: N803
        assert Overwrite
        self.values[Name] = Value


def switch(
    monkeypatch: pytest.MonkeyPatch,
    to: str,
    things: list[dict[str, Any]],
    *,
    time: str = "2026-11-24T07:30:00Z",
    **clients: Fake,
) -> dict[str, str]:
    clients = {"ssm": Parameters(), **clients}
    monkeypatch.setattr(working_hours, "_client", lambda name: clients[name.replace("lambda", "lambda_")])
    for name, value in {
        "CALENDAR": json.dumps(CALENDAR),
        "THINGS": json.dumps(things),
        "HOLD": "hold",
        "MEMORY": "memory",
    }.items():
        monkeypatch.setenv(name, value)
    return working_hours.handler({"switch": to, "time": time}, None)


@pytest.mark.parametrize(
    ("to", "time", "hold", "skipped"),
    [
        ("on", "2026-11-24T07:30:00Z", "none", None),
        ("on", "2026-11-29T07:30:00Z", "none", "2026-11-29 is no working day"),
        ("on", "2026-11-28T07:30:00Z", "none", None),
        ("on", "2026-12-25T07:30:00Z", "none", "2026-12-25 is a holiday"),
        # In Berlin it is Monday already.
        ("on", "2026-11-22T23:30:00Z", "none", None),
        ("off", "2026-11-29T18:00:00Z", "none", None),
        ("off", "2026-12-25T18:00:00Z", "none", None),
        ("off", "2026-11-24T18:00:00Z", "2026-11-24", "held until 2026-11-24"),
        ("off", "2026-11-24T18:00:00Z", "2026-11-23", None),
        ("off", "2026-11-24T18:00:00Z", "2030-01-01", None),
        ("off", "2026-11-24T18:00:00Z", "for ever", None),
        ("on", "2026-11-24T07:30:00Z", "2026-11-24", None),
    ],
)
def test_things_are_switched_on_the_right_days(
    monkeypatch: pytest.MonkeyPatch, to: str, time: str, hold: str, skipped: str | None
) -> None:
    found = switch(monkeypatch, to, [], time=time, ssm=Parameters(hold))
    assert found == ({"skipped": skipped} if skipped else {})


def test_a_hold_is_not_heeded_beyond_a_month() -> None:
    today = date(2026, 11, 24)
    assert working_hours.reason_to_leave("off", today, CALENDAR, date(2026, 12, 25)) is not None
    assert working_hours.reason_to_leave("off", today, CALENDAR, date(2026, 12, 26)) is None


@pytest.mark.parametrize(
    ("to", "status", "done", "called"),
    [
        ("off", "InService", "off", "stop_notebook_instance"),
        ("off", "Stopped", "is off", None),
        ("off", "Stopping", "is off", None),
        ("on", "Stopped", "on", "start_notebook_instance"),
        ("on", "InService", "is on", None),
    ],
)
def test_a_notebook_is_switched_from_where_it_is(
    monkeypatch: pytest.MonkeyPatch, to: str, status: str, done: str, called: str | None
) -> None:
    sagemaker = Fake(describe_notebook_instance={"NotebookInstanceStatus": status})
    assert switch(monkeypatch, to, [THE_NOTEBOOK], sagemaker=sagemaker) == {NOTEBOOK: done}
    changes = [call for call in sagemaker.calls if not call[0].startswith("describe")]
    assert changes == ([(called, {"NotebookInstanceName": "Lab"})] if called else [])


@pytest.mark.parametrize(
    ("to", "status", "done", "called"),
    [
        ("off", "available", "off", "pause_cluster"),
        ("off", "paused", "is off", None),
        ("on", "paused", "on", "resume_cluster"),
        ("on", "resuming", "is on", None),
    ],
)
def test_a_warehouse_is_paused_and_resumed(
    monkeypatch: pytest.MonkeyPatch, to: str, status: str, done: str, called: str | None
) -> None:
    redshift = Fake(describe_clusters={"Clusters": [{"ClusterStatus": status}]})
    assert switch(monkeypatch, to, [{"kind": "warehouse", "id": "dwh"}], redshift=redshift) == {"dwh": done}
    assert [name for name, _ in redshift.calls][1:] == ([called] if called else [])


def test_an_endpoint_comes_back_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    thing = [THE_ENDPOINT]
    tags = [{"Key": "owner", "Value": "me"}, {"Key": "aws:cloudformation:stack-name", "Value": "x"}]
    parameters = Parameters()
    there = Fake(
        describe_endpoint={"EndpointStatus": "InService", "EndpointConfigName": "seventh"},
        list_tags={"Tags": tags},
    )
    assert switch(monkeypatch, "off", thing, sagemaker=there, ssm=parameters) == {ENDPOINT: "off"}
    assert there.named("delete_endpoint") == [{"EndpointName": "Reviews"}]
    gone = Fake(describe_endpoint=failure("ValidationException"))
    assert switch(monkeypatch, "off", thing, sagemaker=gone, ssm=parameters) == {ENDPOINT: "is off"}
    assert switch(monkeypatch, "on", thing, sagemaker=gone, ssm=parameters) == {ENDPOINT: "on"}
    assert gone.named("create_endpoint") == [
        {
            "EndpointName": "Reviews",
            "EndpointConfigName": "seventh",
            "Tags": [{"Key": "owner", "Value": "me"}],
        }
    ]
    assert switch(monkeypatch, "on", thing, sagemaker=there, ssm=parameters) == {ENDPOINT: "is on"}


def test_an_endpoint_that_was_deleted_by_people_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = Fake(describe_endpoint=failure("ValidationException"))
    found = switch(monkeypatch, "on", [THE_ENDPOINT], sagemaker=gone)
    assert found == {ENDPOINT: "was never switched off here"}
    assert gone.named("create_endpoint") == []


def test_provisioned_concurrency_is_put_and_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    thing = [{"kind": "concurrency", "id": ALIAS, "executions": 3}]
    where = {"FunctionName": ALIAS.removesuffix(":live"), "Qualifier": "live"}
    functions = Fake()
    assert switch(monkeypatch, "on", thing, lambda_=functions) == {ALIAS: "on"}
    assert functions.calls == [
        ("put_provisioned_concurrency_config", {**where, "ProvisionedConcurrentExecutions": 3})
    ]
    functions = Fake()
    assert switch(monkeypatch, "off", thing, lambda_=functions) == {ALIAS: "off"}
    assert functions.named("delete_provisioned_concurrency_config") == [where]
    functions = Fake(
        get_provisioned_concurrency_config=failure("ProvisionedConcurrencyConfigNotFoundException")
    )
    assert switch(monkeypatch, "off", thing, lambda_=functions) == {ALIAS: "is off"}
    assert functions.named("delete_provisioned_concurrency_config") == []


def test_what_is_busy_fails_and_the_others_are_switched_nevertheless(monkeypatch: pytest.MonkeyPatch) -> None:
    sagemaker = Fake(describe_notebook_instance={"NotebookInstanceStatus": "Updating"})
    redshift = Fake(describe_clusters={"Clusters": [{"ClusterStatus": "available"}]})
    things = [THE_NOTEBOOK, {"kind": "warehouse", "id": "dwh"}]
    with pytest.raises(working_hours.NotSwitchedError, match="notebook Lab is Updating"):
        switch(monkeypatch, "off", things, sagemaker=sagemaker, redshift=redshift)
    assert redshift.named("pause_cluster") == [{"ClusterIdentifier": "dwh"}]


def test_a_denied_call_is_told_with_its_thing(monkeypatch: pytest.MonkeyPatch) -> None:
    sagemaker = Fake(describe_endpoint=failure("AccessDeniedException"))
    with pytest.raises(working_hours.NotSwitchedError, match=f"{ENDPOINT}.*AccessDenied"):
        switch(monkeypatch, "off", [THE_ENDPOINT], sagemaker=sagemaker)
