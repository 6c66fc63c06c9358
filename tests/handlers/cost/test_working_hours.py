"""Switching on and off: on the right days, from every state, and twice without harm."""

import json
from datetime import UTC, date, datetime
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator
from handlers.cost.asset import working_hours

ENDPOINT = "arn:aws:sagemaker:eu-west-1:111122223333:endpoint/reviews"
NOTEBOOK = "arn:aws:sagemaker:eu-west-1:111122223333:notebook-instance/lab"
ALIAS = "arn:aws:lambda:eu-west-1:111122223333:function:predict:live"
THE_ENDPOINT = {
    "kind": "endpoint",
    "id": ENDPOINT,
    "name": "Reviews",
    "memory": "memory",
    "scaling": False,
}
THE_NOTEBOOK = {"kind": "notebook", "id": NOTEBOOK, "name": "Lab"}
CALENDAR = {
    "time_zone": "Europe/Berlin",
    "days": ["MON", "TUE", "WED", "THU", "FRI"],
    "holidays": ["2026-12-25"],
    "extra_days": ["2026-11-28"],
}


NAMES = {"lambda": "lambda_", "application-autoscaling": "scaling"}


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

    def put_parameter(self, *, Name: str, Value: str, Tier: str, Overwrite: bool) -> None:  # noqa: N803
        assert Overwrite and Tier == "Intelligent-Tiering"
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
    monkeypatch.setattr(working_hours, "_client", lambda name: clients[NAMES.get(name, name)])
    for name, value in {
        "CALENDAR": json.dumps(CALENDAR),
        "THINGS": json.dumps(things),
        "HOLD": "hold",
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


SCALING_THING = THE_ENDPOINT | {"scaling": True}
VARIANT = {
    "ResourceId": "endpoint/Reviews/variant/main",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
WHERE = {"ServiceNamespace": "sagemaker", **VARIANT}
TRACKING = {"TargetValue": 1200.0, "PredefinedMetricSpecification": {"PredefinedMetricType": "X"}}
IN_SERVICE = {
    "EndpointStatus": "InService",
    "EndpointConfigName": "seventh",
    "ProductionVariants": [{"VariantName": "main"}],
}


def scaling(*, policies: list[dict[str, Any]] | None = None, targets: bool = True) -> Fake:
    """Application Auto Scaling as it answers, with what it says beside what a registration takes."""
    target = {**WHERE, "MinCapacity": 2, "MaxCapacity": 6, "RoleARN": "arn", "CreationTime": date(2026, 1, 1)}
    tracked = {
        **WHERE,
        "PolicyName": "track",
        "PolicyType": "TargetTrackingScaling",
        "PolicyARN": "arn",
        "TargetTrackingScalingPolicyConfiguration": TRACKING,
        "Alarms": [{"AlarmName": "TargetTracking-endpoint/Reviews/variant/main-AlarmHigh"}],
    }
    action = {
        **WHERE,
        "ScheduledActionName": "noon",
        "Schedule": "cron(0 12 * * ? *)",
        "Timezone": "Europe/Berlin",
        "ScheduledActionARN": "arn",
        "ScalableTargetAction": {"MinCapacity": 4},
    }
    found = [tracked] if policies is None else policies
    return Fake(
        describe_scalable_targets={"ScalableTargets": [target] if targets else []},
        describe_scaling_policies={"ScalingPolicies": found},
        describe_scheduled_actions={"ScheduledActions": [action]},
    )


def changes(client: Fake) -> list[tuple[str, dict[str, Any]]]:
    return [call for call in client.calls if not call[0].startswith("describe")]


def in_the_evening(monkeypatch: pytest.MonkeyPatch, client: Fake) -> Parameters:
    """What is remembered of an endpoint that is switched off."""
    parameters = Parameters()
    there = Fake(describe_endpoint=IN_SERVICE, list_tags={"Tags": []})
    switch(monkeypatch, "off", [SCALING_THING], sagemaker=there, ssm=parameters, scaling=client)
    return parameters


def test_what_scaled_an_endpoint_is_registered_again_once_it_is_in_service(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # GIVEN a variant that scales by load and by the clock, switched off
    parameters = in_the_evening(monkeypatch, scaling())
    given = {"ssm": parameters}
    # WHEN it is being made again, THEN nothing is registered yet
    creating, nothing = Fake(describe_endpoint={"EndpointStatus": "Creating"}), scaling(targets=False)
    answer = switch(monkeypatch, "scaling", [SCALING_THING], sagemaker=creating, scaling=nothing, **given)
    assert (answer, nothing.calls) == ({ENDPOINT: "is Creating"}, [])
    # WHEN it is in service and nothing is registered
    there = Fake(describe_endpoint=IN_SERVICE)
    answer = switch(monkeypatch, "scaling", [SCALING_THING], sagemaker=there, scaling=nothing, **given)
    # THEN all of it is, with nothing that a registration does not take
    assert answer == {ENDPOINT: "scales"}
    assert changes(nothing) == [
        ("register_scalable_target", {**WHERE, "MinCapacity": 2, "MaxCapacity": 6}),
        (
            "put_scaling_policy",
            {
                **WHERE,
                "PolicyName": "track",
                "PolicyType": "TargetTrackingScaling",
                "TargetTrackingScalingPolicyConfiguration": TRACKING,
            },
        ),
        (
            "put_scheduled_action",
            {
                **WHERE,
                "ScheduledActionName": "noon",
                "Schedule": "cron(0 12 * * ? *)",
                "Timezone": "Europe/Berlin",
                "ScalableTargetAction": {"MinCapacity": 4},
            },
        ),
    ]
    for name, parameters_given in changes(nothing):
        validated("application-autoscaling", name, parameters_given)
    # AND what people take away later in the day stays away
    emptied = scaling(targets=False)
    answer = switch(monkeypatch, "scaling", [SCALING_THING], sagemaker=there, scaling=emptied, **given)
    assert (answer, emptied.calls) == ({ENDPOINT: "is on"}, [])


def validated(service: str, operation: str, given: dict[str, Any]) -> None:
    client = botocore.session.get_session().create_client(
        service, region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation])
    report = ParamValidator().validate(given, model.input_shape)
    assert not report.has_errors(), report.generate_report()


def test_what_is_registered_still_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = in_the_evening(monkeypatch, scaling())
    kept = scaling()
    there = Fake(describe_endpoint=IN_SERVICE)
    # A second call of the morning does what the event would
    answer = switch(monkeypatch, "on", [SCALING_THING], sagemaker=there, scaling=kept, ssm=parameters)
    assert (answer, changes(kept)) == ({ENDPOINT: "scales"}, [])


def test_a_lost_step_policy_is_told_until_it_is_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = {**WHERE, "PolicyName": "steps", "PolicyType": "StepScaling", "PolicyARN": "arn"}
    parameters = in_the_evening(monkeypatch, scaling(policies=[steps]))
    there, lost = Fake(describe_endpoint=IN_SERVICE), scaling(targets=False)
    for _ in range(2):
        with pytest.raises(working_hours.NotSwitchedError, match=r"lacks the step policies steps.*deploy it"):
            switch(monkeypatch, "scaling", [SCALING_THING], sagemaker=there, scaling=lost, ssm=parameters)
    back = scaling(policies=[steps])
    answer = switch(monkeypatch, "scaling", [SCALING_THING], sagemaker=there, scaling=back, ssm=parameters)
    assert (answer, changes(back)) == ({ENDPOINT: "scales"}, [])


def test_what_was_not_restored_by_the_evening_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = in_the_evening(monkeypatch, scaling())
    there = Fake(describe_endpoint=IN_SERVICE, list_tags={"Tags": []})
    gone = scaling(targets=False)
    switch(monkeypatch, "off", [SCALING_THING], sagemaker=there, ssm=parameters, scaling=gone)
    assert json.loads(parameters.values["memory"])["Scaling"][0]["MaxCapacity"] == 6


def test_an_endpoint_that_failed_is_not_taken_for_all_of_the_account(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # GIVEN one that was never made, and so has no variants: a call without resources tells of everybody's
    others = scaling()
    failed = Fake(
        describe_endpoint={"EndpointStatus": "Failed", "EndpointConfigName": "seventh"},
        list_tags={"Tags": []},
    )
    parameters = Parameters()
    # WHEN
    switch(monkeypatch, "off", [SCALING_THING], sagemaker=failed, ssm=parameters, scaling=others)
    # THEN
    assert json.loads(parameters.values["memory"])["Scaling"] == []
    assert others.calls == []


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({"EndTime": datetime(2999, 1, 1, tzinfo=UTC)}, {"EndTime": "2999-01-01T00:00:00+00:00"}),
        ({"StartTime": datetime(2020, 1, 1, tzinfo=UTC)}, {"StartTime": "2020-01-01T00:00:00+00:00"}),
        ({"EndTime": datetime(2020, 1, 1, tzinfo=UTC)}, None),
        ({"Schedule": "at(2999-01-01T07:00:00)"}, {"Schedule": "at(2999-01-01T07:00:00)"}),
        ({"Schedule": "at(2020-01-01T07:00:00)"}, None),
    ],
)
def test_an_action_is_put_again_with_its_times_unless_they_are_past(
    monkeypatch: pytest.MonkeyPatch, times: dict[str, Any], expected: dict[str, str] | None
) -> None:
    evening = scaling()
    evening.answers["describe_scheduled_actions"]["ScheduledActions"][0].update(times)
    parameters = in_the_evening(monkeypatch, evening)
    morning = scaling(targets=False)
    there = Fake(describe_endpoint=IN_SERVICE)
    switch(monkeypatch, "scaling", [SCALING_THING], sagemaker=there, scaling=morning, ssm=parameters)
    put = morning.named("put_scheduled_action")
    assert len(put) == (0 if expected is None else 1)
    for given in put:
        validated("application-autoscaling", "put_scheduled_action", given)
        assert given.items() >= (expected or {}).items()
        assert {"StartTime", "EndTime"} & set(given) == {"StartTime", "EndTime"} & set(times)


def test_an_endpoint_that_does_not_scale_asks_nothing_of_scaling(monkeypatch: pytest.MonkeyPatch) -> None:
    there = Fake(describe_endpoint=IN_SERVICE, list_tags={"Tags": []})
    silent = Fake()
    switch(monkeypatch, "off", [THE_ENDPOINT], sagemaker=there, scaling=silent)
    assert switch(monkeypatch, "scaling", [THE_ENDPOINT], sagemaker=there, scaling=silent) == {}
    assert silent.calls == []


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
