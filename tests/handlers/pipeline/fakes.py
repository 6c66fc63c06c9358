"""In-memory services, with the semantics that the handlers rely on."""

# ruff: noqa: N803 -- the arguments have the names that the services give them.

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import datetime
from itertools import count
from typing import Any

from botocore.exceptions import ClientError

Answer = Callable[[dict[str, str], dict[str, Any]], Any]


def refusal(operation: str, code: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message or code}}, operation)


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class FakeLambda:
    """One function: its configuration, versions and aliases, guarded by revisions as in Lambda.

    An update takes `update_polls` readings to complete and refuses others meanwhile. Publishing what has not
    changed since the last version gives that version again. `answer` is what an invocation of a version with
    these variables returns; `before` is called with the name of each operation, so that a test can interfere.
    """

    def __init__(self, name: str, variables: Mapping[str, str], *, alias: str) -> None:
        self.name = name
        self.update_polls = 1
        self.answer: Answer = lambda variables, payload: {}
        self.before: Callable[[str], None] = lambda operation: None
        self.calls: list[str] = []
        self.clock = Clock()
        self.pending_versions = 0.0
        """Seconds for which a new version is pending."""
        self._ready_at: dict[str, float] = {}
        self._revisions = count(1)
        self._pending = 0
        self.latest: dict[str, Any] = {
            "FunctionName": name,
            "CodeSha256": "code-1",
            "State": "Active",
            "LastUpdateStatus": "Successful",
            "Environment": {"Variables": dict(variables)},
            "RevisionId": self._revision(),
        }
        self.versions: dict[str, dict[str, Any]] = {}
        self.publish_version(FunctionName=name)
        self.alias = {
            "Name": alias,
            "FunctionVersion": "1",
            "RoutingConfig": {"AdditionalVersionWeights": {}},
            "RevisionId": self._revision(),
        }
        self.calls.clear()

    def _revision(self) -> str:
        return f"revision-{next(self._revisions)}"

    def variables(self, version: str = "$LATEST") -> dict[str, str]:
        configuration = self.latest if version == "$LATEST" else self.versions[version]
        variables: dict[str, str] = configuration["Environment"]["Variables"]
        return variables

    def target(self) -> tuple[str, dict[str, float]]:
        return self.alias["FunctionVersion"], self.alias["RoutingConfig"]["AdditionalVersionWeights"]

    def move_alias(self, version: str, weights: Mapping[str, float] | None = None) -> None:
        """What somebody else does."""
        self.alias |= {
            "FunctionVersion": version,
            "RoutingConfig": {"AdditionalVersionWeights": dict(weights or {})},
            "RevisionId": self._revision(),
        }

    def occupy(self, polls: int) -> None:
        """Somebody else's update is under way."""
        self._pending = polls
        self.latest["LastUpdateStatus"] = "InProgress"

    def _enter(self, operation: str) -> None:
        self.before(operation)
        self.calls.append(operation)

    def get_function_configuration(self, *, FunctionName: str, Qualifier: str) -> dict[str, Any]:
        self._enter("GetFunctionConfiguration")
        if Qualifier != "$LATEST":
            if Qualifier not in self.versions:
                raise refusal("GetFunctionConfiguration", "ResourceNotFoundException")
            known = deepcopy(self.versions[Qualifier])
            if self.clock.now < self._ready_at.get(Qualifier, 0.0):
                known["State"] = "Pending"
            return known
        if self._pending > 0:
            self._pending -= 1
        elif self.latest["LastUpdateStatus"] == "InProgress":
            self.latest |= {"LastUpdateStatus": "Successful", "RevisionId": self._revision()}
        return deepcopy(self.latest)

    def update_function_configuration(
        self,
        *,
        FunctionName: str,
        Environment: dict[str, Any],
        RevisionId: str | None = None,
    ) -> dict[str, Any]:
        operation = "UpdateFunctionConfiguration"
        self._enter(operation)
        if self.latest["LastUpdateStatus"] == "InProgress":
            raise refusal(operation, "ResourceConflictException", "An update is in progress")
        if RevisionId is not None and RevisionId != self.latest["RevisionId"]:
            raise refusal(operation, "PreconditionFailedException")
        self.latest |= {"Environment": deepcopy(Environment), "RevisionId": self._revision()}
        self.occupy(self.update_polls)
        return deepcopy(self.latest)

    def publish_version(
        self,
        *,
        FunctionName: str,
        CodeSha256: str | None = None,
        Description: str = "",
        RevisionId: str | None = None,
    ) -> dict[str, Any]:
        operation = "PublishVersion"
        self._enter(operation)
        if self.latest["LastUpdateStatus"] == "InProgress":
            raise refusal(operation, "ResourceConflictException", "An update is in progress")
        if RevisionId is not None and RevisionId != self.latest["RevisionId"]:
            raise refusal(operation, "PreconditionFailedException")
        if CodeSha256 is not None and CodeSha256 != self.latest["CodeSha256"]:
            raise refusal(operation, "InvalidParameterValueException", "CodeSHA256 mismatch")
        newest = self.versions.get(str(len(self.versions)))
        if newest and all(newest[part] == self.latest[part] for part in ("Environment", "CodeSha256")):
            return deepcopy(newest)
        version = str(len(self.versions) + 1)
        self.versions[version] = deepcopy(self.latest) | {"Version": version, "Description": Description}
        self._ready_at[version] = self.clock.now + self.pending_versions
        return deepcopy(self.versions[version])

    def get_alias(self, *, FunctionName: str, Name: str) -> dict[str, Any]:
        self._enter("GetAlias")
        if Name != self.alias["Name"]:
            raise refusal("GetAlias", "ResourceNotFoundException")
        return deepcopy(self.alias)

    def update_alias(
        self,
        *,
        FunctionName: str,
        Name: str,
        FunctionVersion: str,
        RoutingConfig: dict[str, Any],
        RevisionId: str | None = None,
    ) -> dict[str, Any]:
        self._enter("UpdateAlias")
        if RevisionId is not None and RevisionId != self.alias["RevisionId"]:
            raise refusal("UpdateAlias", "PreconditionFailedException")
        if FunctionVersion not in self.versions:
            raise refusal("UpdateAlias", "ResourceNotFoundException")
        weights = RoutingConfig["AdditionalVersionWeights"]
        if FunctionVersion in weights or set(weights) - self.versions.keys():
            raise refusal("UpdateAlias", "InvalidParameterValueException")
        self.move_alias(FunctionVersion, weights)
        return deepcopy(self.alias)

    def invoke(self, *, FunctionName: str, Qualifier: str, Payload: bytes) -> dict[str, Any]:
        self._enter("Invoke")
        try:
            body = self.answer(self.variables(Qualifier), json.loads(Payload))
            failed = {}
        except RuntimeError as error:
            body, failed = (
                {"errorType": "RuntimeError", "errorMessage": str(error)},
                {"FunctionError": "Unhandled"},
            )
        return {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(body).encode()), **failed}


class FakeStepFunctions:
    """Standard executions: a name is used once; with the same input while it runs, it is the same one."""

    def __init__(self, arn: str) -> None:
        self.arn = arn
        self.executions: dict[str, dict[str, Any]] = {}

    def start_execution(self, *, stateMachineArn: str, name: str, input: str) -> dict[str, Any]:
        assert stateMachineArn == self.arn
        known = self.executions.get(name)
        arn = f"{self.arn.replace(':stateMachine:', ':execution:')}:{name}"
        if known is not None and not (known["status"] == "RUNNING" and known["input"] == input):
            raise refusal("StartExecution", "ExecutionAlreadyExists")
        self.executions[name] = {"executionArn": arn, "name": name, "status": "RUNNING", "input": input}
        return {"executionArn": arn}

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:
        return self.executions[executionArn.rpartition(":")[2]]

    def finish(self, status: str) -> None:
        for execution in self.executions.values():
            if execution["status"] == "RUNNING":
                execution["status"] = status


class FakeCloudWatch:
    """Alarms by their state, and errors by the version that made them."""

    def __init__(self) -> None:
        self.alarms: dict[str, str] = {}
        self.changed: dict[str, datetime] = {}
        """When an alarm got into its state; not told of those that are missing here."""
        self.errors: dict[str, float] = {}
        self.server_errors: dict[str, float] = {}
        """What the function counts itself."""
        self.invocations: dict[str, float] = {}
        """By version, as Lambda counts them."""
        self.own: dict[tuple[str, str], dict[str, Any]] = {}
        """Datapoints by version and name of what the function tells of its answers."""
        self.requests: list[dict[str, Any]] = []

    def describe_alarms(self, *, AlarmNames: list[str], AlarmTypes: list[str]) -> dict[str, Any]:
        assert set(AlarmTypes) == {"MetricAlarm", "CompositeAlarm"}
        return {
            "MetricAlarms": [
                {"AlarmName": name, "StateValue": self.alarms[name]}
                | ({"StateTransitionedTimestamp": self.changed[name]} if name in self.changed else {})
                for name in AlarmNames
                if name in self.alarms
            ]
        }

    def get_metric_statistics(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request)
        assert ("Statistics" in request) != ("ExtendedStatistics" in request)  # CloudWatch takes one of them
        dimensions = {item["Name"]: item["Value"] for item in request["Dimensions"]}
        name = request["MetricName"]
        if request["Namespace"] == "AWS/Lambda":
            assert dimensions.keys() == {"FunctionName", "Resource", "ExecutedVersion"}
            counted = {"Errors": self.errors, "Invocations": self.invocations}[name]
            return self._sum(counted.get(dimensions["ExecutedVersion"]))
        assert request["Namespace"] == "Own"
        assert dimensions.keys() == {"Service", "FunctionVersion"}
        version = dimensions["FunctionVersion"]
        if name == "ServerErrors":
            return self._sum(self.server_errors.get(version))
        point = self.own.get((version, name))
        return {"Datapoints": [] if point is None else [point]}

    @staticmethod
    def _sum(value: float | None) -> dict[str, Any]:
        return {"Datapoints": [] if value is None else [{"Sum": value}]}
