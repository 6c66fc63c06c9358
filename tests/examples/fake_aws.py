"""An account in memory: only the calls that the example makes, with the answers that AWS gives."""

# ruff: noqa: N803 - the names of the AWS API
from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from examples.review_sentiment.runs import run_names
from examples.review_sentiment.uploads import Upload

MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:pipeline"
OUTPUTS = {
    "ds-local-Lake": {"RawBucket": "raw"},
    "ds-local-Training": {"TrainingSourcePrefix": "s3://models/source/"},
    "ds-local-Pipeline": {"StateMachineArn": MACHINE},
    "ds-local-Serving": {"FunctionName": "reviews", "AliasName": "live"},
    "ds-local-old-Lake": {},
    "another-Lake": {"RawBucket": "not-ours"},
}
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)

Event = dict[str, Any]


def history(*states: tuple[str, Any], failure: tuple[str, str, str] | None = None) -> list[Event]:
    """The events of a run whose states give these outputs, a second each; the failing one last."""
    events: list[Event] = [{"type": "ExecutionStarted"}]
    for name, output in states:
        events += [
            {"type": "TaskStateEntered", "stateEnteredEventDetails": {"name": name, "input": "{}"}},
            {"type": "TaskSucceeded"},
            {"type": "TaskStateExited", "stateExitedEventDetails": {"output": json.dumps(output)}},
        ]
    if failure:
        name, error, cause = failure
        scheduled = {"parameters": json.dumps({"Payload": {"report": {"bucket": "work", "key": "reports/"}}})}
        events += [
            {"type": "TaskStateEntered", "stateEnteredEventDetails": {"name": name, "input": "{}"}},
            {"type": "TaskScheduled", "taskScheduledEventDetails": scheduled},
            {"type": "TaskFailed", "taskFailedEventDetails": {"error": error, "cause": cause}},
            {"type": "TaskStateExited", "stateExitedEventDetails": {"output": "{}"}},
            {"type": "FailStateEntered", "stateEnteredEventDetails": {"name": "Failed"}},
            {
                "type": "ExecutionFailed",
                "executionFailedEventDetails": {"error": "Failed", "cause": "see above"},
            },
        ]
    return [{**event, "timestamp": BEGAN + timedelta(seconds=i / 2)} for i, event in enumerate(events)]


SUCCESS = history(*((name, {}) for name in ("QualityGate", "Prepare", "Evaluate", "Register", "Deploy")))
# A run ends with the outputs of all its steps, by name.
RESULT = {
    "counts": {"train": 2900, "holdout": 700, "groups_train": 240, "groups_holdout": 60},
    "metrics": {"auroc": 0.8312, "auroc_ci95": [0.8, 0.86], "accuracy": 0.74},
    "evaluation": {"bucket": "work", "key": "runs/evaluation.json"},
    "modelPackage": {"model_package_arn": "arn:aws:sagemaker:::model-package/reviews/1", "version": 1},
    "model": {"bucket": "models", "key": "m/model.onnx"},
}


@dataclass(kw_only=True)
class Execution:
    name: str
    events: list[Event]
    status: str

    @property
    def arn(self) -> str:
        return f"{MACHINE.replace(':stateMachine:', ':execution:')}:{self.name}"


@dataclass(kw_only=True)
class FakeAws:
    """Stands in for `examples.review_sentiment.aws.Aws`; an upload of reviews starts `next_run`."""

    outputs: dict[str, dict[str, str]] = field(default_factory=lambda: OUTPUTS)
    next_run: tuple[str, list[Event]] | None = ("SUCCEEDED", SUCCESS)
    objects: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    executions: list[Execution] = field(default_factory=list)
    puts: list[str] = field(default_factory=list)
    answer: dict[str, Any] | None = None
    on_history: Callable[[], None] = lambda: None
    endpoint: str | None = "http://127.0.0.1:1"
    region: str = "us-east-1"

    @property
    def cloudformation(self) -> Any:
        stacks = [
            {
                "StackName": name,
                "StackStatus": "CREATE_COMPLETE",
                "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()],
            }
            for name, outputs in self.outputs.items()
        ]
        return self._client(describe_stacks=lambda: [{"Stacks": stacks[:2]}, {"Stacks": stacks[2:]}])

    @property
    def s3(self) -> Any:
        return self._client(head_object=self._head, put_object=self._put)

    @property
    def stepfunctions(self) -> Any:
        return self._client(
            list_executions=lambda **_: [
                {
                    "executions": [
                        {
                            "name": e.name,
                            "executionArn": e.arn,
                            "status": e.status,
                            "startDate": BEGAN + timedelta(hours=i),
                        }
                        for i, e in enumerate(self.executions)
                    ]
                }
            ],
            describe_execution=self._describe,
            get_execution_history=self._history,
        )

    @property
    def functions(self) -> Any:
        return self._client(invoke=self._invoke)

    def _client(self, **operations: Callable[..., Any]) -> Any:
        def paginator(name: str) -> Any:
            return SimpleNamespace(paginate=lambda PaginationConfig=None, **kw: iter(operations[name](**kw)))

        return SimpleNamespace(get_paginator=paginator, **operations)

    def _head(self, Bucket: str, Key: str) -> dict[str, Any]:
        if (Bucket, Key) not in self.objects:
            raise ClientError({"Error": {"Code": "404", "Message": "Not Found"}}, "HeadObject")
        return self.objects[Bucket, Key]

    def _put(self, Bucket: str, Key: str, Body: bytes, Metadata: dict[str, str], **checksum: str) -> None:
        assert checksum["ChecksumAlgorithm"] == "SHA256"
        self.puts.append(f"s3://{Bucket}/{Key}")
        self.objects[Bucket, Key] = {"Metadata": Metadata, "ContentLength": len(Body)}
        if Bucket == "raw" and self.next_run:
            name = run_names(Upload.of(Bucket, Key, Body))[0]
            tried_before = any(e.name == name for e in self.executions)
            status, events = self.next_run
            self.executions.append(
                Execution(name=f"{name}-1234abcd" if tried_before else name, events=events, status=status)
            )

    def _execution(self, arn: str) -> Execution:
        return next(e for e in self.executions if e.arn == arn)

    def _describe(self, executionArn: str) -> dict[str, str]:
        status = self._execution(executionArn).status
        return {"status": status, **({"output": json.dumps(RESULT)} if status == "SUCCEEDED" else {})}

    def _history(self, executionArn: str) -> Iterator[dict[str, Any]]:
        self.on_history()
        yield {"events": self._execution(executionArn).events}

    def _invoke(self, FunctionName: str, Qualifier: str, Payload: bytes) -> dict[str, Any]:
        assert (FunctionName, Qualifier) == ("reviews", "live")
        instances = json.loads(Payload)["instances"]
        answer = self.answer or {
            "predictions": [
                {"label": "positive", "probabilities": {"negative": 0.0625, "positive": 0.9375}}
                for _ in instances
            ],
            "model": {"sha256": "abc", "version": "7"},
        }
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}
