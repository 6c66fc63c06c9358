"""The platform as its users meet it: data goes up, runs come out, predictions are asked for."""

from __future__ import annotations

import contextlib
import functools
import http.client
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from examples.review_sentiment.runs import explain
from tests.local.conftest import REGION, LocalAws, eventually, zipped

LONGEST_RUN = 300.0
MODEL_VARIABLES = ("MODEL_BUCKET", "MODEL_KEY", "MODEL_SHA256")


@dataclass(frozen=True, kw_only=True)
class Serving:
    """Everything that decides which model answers: what a failed run must leave as it was."""

    version: str
    weights: Mapping[str, float]
    pointer: str
    latest: Mapping[str, str | None]

    @property
    def sha256(self) -> str:
        return str(json.loads(self.pointer)["sha256"])


@dataclass(frozen=True, kw_only=True)
class Run:
    """An execution that has ended."""

    name: str
    arn: str
    status: str
    output: dict[str, Any]
    error: str | None
    cause: str


@dataclass(frozen=True, kw_only=True)
class HttpAnswer:
    status: int
    body: dict[str, Any]

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = self.body["error"]
        return error

    @property
    def fields(self) -> dict[str, str]:
        """What is wrong with each field, by its path."""
        return {entry["path"]: entry["message"] for entry in self.error.get("fields", [])}


@dataclass
class Deployed:
    """The platform of `settings/local.toml` on a local AWS."""

    aws: LocalAws
    outputs: Mapping[str, str]
    queue: str
    """A queue that is subscribed to the topic of failures."""
    _messages: list[dict[str, str]] = field(default_factory=list)
    _keys: dict[str, str] = field(default_factory=dict)

    @property
    def raw(self) -> str:
        return self.outputs["RawBucket"]

    @property
    def features(self) -> str:
        return self.outputs["FeaturesBucket"]

    @property
    def models(self) -> str:
        return self.outputs["ModelsBucket"]

    @property
    def machine(self) -> str:
        return self.outputs["StateMachineArn"]

    @property
    def function(self) -> str:
        """Name of the inference function."""
        return self.outputs["FunctionName"]

    @property
    def alias(self) -> str:
        return self.outputs["AliasName"]

    @property
    def group(self) -> str:
        return self.outputs["ModelPackageGroup"]

    @functools.cached_property
    def functions(self) -> dict[str, dict[str, Any]]:
        """The configurations of all functions, by handler."""
        pages = self.aws.client("lambda").get_paginator("list_functions").paginate()
        return {each["Handler"]: each for page in pages for each in page["Functions"]}

    def role_of(self, handler: str) -> str:
        return str(self.functions[handler]["Role"])

    @functools.cached_property
    def machine_role(self) -> str:
        states = self.aws.client("stepfunctions")
        return str(states.describe_state_machine(stateMachineArn=self.machine)["roleArn"])

    # Data and runs

    def put(self, bucket: str, key: str, content: bytes) -> str:
        """Store an object; its version."""
        answer = self.aws.client("s3").put_object(Bucket=bucket, Key=key, Body=content)
        return str(answer.get("VersionId", ""))

    def get(self, bucket: str, key: str) -> bytes:
        content: bytes = self.aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        return content

    def exists(self, bucket: str, key: str) -> bool:
        listed = self.aws.client("s3").list_objects_v2(Bucket=bucket, Prefix=key)
        return key in [entry["Key"] for entry in listed.get("Contents", [])]

    def upload(self, name: str, content: bytes) -> str:
        """Put a file where new data is expected; its key."""
        key = f"reviews/{name}"
        self.put(self.raw, key, content)
        return key

    def executions(self, key: str) -> list[str]:
        """The ARNs of all runs that were started with the object of this key."""
        states = self.aws.client("stepfunctions")
        arns = []
        for page in states.get_paginator("list_executions").paginate(stateMachineArn=self.machine):
            for execution in page["executions"]:
                arn = execution["executionArn"]
                if arn not in self._keys:
                    given = json.loads(states.describe_execution(executionArn=arn)["input"])
                    self._keys[arn] = str(given.get("data", {}).get("key"))
                if self._keys[arn] == key:
                    arns.append(arn)
        return arns

    def started(self, key: str, count: int = 1) -> list[str]:
        """The runs that an upload has started, once there are so many."""
        eventually(lambda: len(self.executions(key)) >= count, 60, f"{count} runs of {key}")
        return self.executions(key)

    def run(self, name: str, content: bytes) -> Run:
        """Upload a file, and follow its run to the end."""
        (arn,) = self.started(self.upload(name, content))
        return self.end_of(arn)

    def start_by_hand(self, key: str, name: str, *, version: str | None = None, **options: Any) -> str:
        """Start a run without an upload's event; its ARN."""
        data = {"bucket": self.raw, "key": key} | ({"versionId": version} if version else {})
        started = self.aws.client("stepfunctions").start_execution(
            stateMachineArn=self.machine, name=name, input=json.dumps({"data": data, **options})
        )
        return str(started["executionArn"])

    def end_of(self, arn: str) -> Run:
        described = self.aws.execution_end(arn, LONGEST_RUN)
        output = described.get("output") or {}
        return Run(
            name=described["name"],
            arn=arn,
            status=described["status"],
            output=output if isinstance(output, dict) else json.loads(output),
            error=described.get("error"),
            cause=described.get("cause") or "",
        )

    def describe(self, arn: str) -> dict[str, Any]:
        described: dict[str, Any] = self.aws.client("stepfunctions").describe_execution(executionArn=arn)
        return described

    def states(self, run: Run) -> list[str]:
        """The names of the states that a run went through."""
        pages = self.aws.client("stepfunctions").get_paginator("get_execution_history")
        return [
            event["stateEnteredEventDetails"]["name"]
            for page in pages.paginate(executionArn=run.arn)
            for event in page["events"]
            if "stateEnteredEventDetails" in event
        ]

    # Failures

    def record(self, run: Run) -> dict[str, Any]:
        """What was recorded of a failed run."""
        record: dict[str, Any] = json.loads(self.get(self.features, f"failures/{run.name}.json"))
        return record

    def recorded(self) -> list[str]:
        """The names of all runs whose failure was recorded."""
        pages = self.aws.client("s3").get_paginator("list_object_versions")
        return [
            entry["Key"].removeprefix("failures/").removesuffix(".json")
            for page in pages.paginate(Bucket=self.features, Prefix="failures/")
            for entry in page.get("Versions", [])
        ]

    def notifications(self, run: Run) -> list[dict[str, str]]:
        """All messages about a run that were sent until now; waits for the first."""

        def arrived() -> list[dict[str, str]]:
            self._receive()
            return [each for each in self._messages if f"Run: {run.name}\n" in each["Message"]]

        eventually(lambda: bool(arrived()), 60, f"a message about {run.name}")
        return arrived()

    def _receive(self) -> None:
        sqs = self.aws.client("sqs")
        while True:
            answer = sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10, VisibilityTimeout=600)
            messages = answer.get("Messages", [])
            if not messages:
                return
            for message in messages:
                self._messages.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])

    # What is deployed

    def serving(self) -> Serving:
        functions = self.aws.client("lambda")
        alias = functions.get_alias(FunctionName=self.function, Name=self.alias)
        latest = functions.get_function_configuration(FunctionName=self.function)
        variables = latest["Environment"]["Variables"]
        return Serving(
            version=alias["FunctionVersion"],
            weights=(alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {},
            pointer=self.get(self.models, "models/current.json").decode(),
            latest={name: variables.get(name) for name in MODEL_VARIABLES},
        )

    def model_of_version(self, version: str) -> dict[str, str]:
        """The model's variables of a published version."""
        known = self.aws.client("lambda").get_function_configuration(
            FunctionName=self.function, Qualifier=version
        )
        variables: dict[str, str] = known["Environment"]["Variables"]
        return {name: variables[name] for name in MODEL_VARIABLES if name in variables}

    def packages(self) -> list[dict[str, Any]]:
        """The versions in the registry, the oldest first."""
        sagemaker = self.aws.client("sagemaker")
        pages = sagemaker.get_paginator("list_model_packages").paginate(
            ModelPackageGroupName=self.group, SortBy="CreationTime", SortOrder="Ascending"
        )
        return [
            sagemaker.describe_model_package(ModelPackageName=summary["ModelPackageArn"])
            for page in pages
            for summary in page["ModelPackageSummaryList"]
        ]

    # Predictions

    def predict(self, *texts: str, qualifier: str | None = None) -> dict[str, Any]:
        """Invoke the function by its alias, or one of its versions."""
        return self.invoke({"instances": [{"text": text} for text in texts]}, qualifier=qualifier)

    def invoke(self, event: Any, *, qualifier: str | None = None) -> dict[str, Any]:
        answer = self.aws.client("lambda").invoke(
            FunctionName=self.function, Qualifier=qualifier or self.alias, Payload=json.dumps(event).encode()
        )
        text = answer["Payload"].read()
        assert "FunctionError" not in answer, text
        decoded: dict[str, Any] = json.loads(text)
        return decoded

    def post(
        self,
        body: bytes | str,
        *,
        content_type: str | None = "application/json",
        credentials: Credentials | None = None,
        signed: bool = True,
        method: str = "POST",
        to: str = "FunctionUrl",
        path: str = "/",
    ) -> HttpAnswer:
        """Call the function's URL, or the HTTP API before it."""
        url = urlsplit(self.outputs[to])._replace(path=path)
        service = "lambda" if to == "FunctionUrl" else "execute-api"
        if service == "execute-api":
            # Of these the local AWS knows the name below its own host alone.
            url = url._replace(netloc=f"{url.netloc.partition('.')[0]}.execute-api.localhost")
        headers = {"Host": url.netloc} | ({"Content-Type": content_type} if content_type else {})
        request = AWSRequest(method=method, url=url.geturl(), data=body, headers=headers)
        if signed:
            root = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test").get_credentials()
            SigV4Auth(credentials or root, service, REGION).add_auth(request)
        # The local AWS has the URLs of the real one, and serves them by their Host header.
        connection = http.client.HTTPConnection(urlsplit(self.aws.endpoint).netloc, timeout=LONGEST_RUN)
        try:
            connection.request(method, path, request.data, dict(request.headers.items()))
            response = connection.getresponse()
            return HttpAnswer(status=response.status, body=json.loads(response.read() or b"{}"))
        finally:
            connection.close()

    # Logs

    def log_lines(self, handler: str) -> list[dict[str, Any]]:
        """The JSON lines in the log of a function."""
        group = self.functions[handler]["LoggingConfig"]["LogGroup"]
        return [json.loads(line) for line in self.log_text(group) if line.startswith("{")]

    def answers_of_start(self, run: str) -> list[dict[str, Any]]:
        """What the start function made of each event of the upload that a run is named after."""
        return [
            line
            for line in self.log_lines("start.handler")
            if line.get("run") == run and line.get("message") in ("started", "not started")
        ]

    def log_text(self, group: str) -> list[str]:
        logs = self.aws.client("logs")
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        return [event["message"].strip() for page in pages for event in page["events"]]

    # Faults

    @contextlib.contextmanager
    def denied(self, role: str, *actions: str, resource: str = "*") -> Iterator[None]:
        """Take permissions away from a role, for a while."""
        name = role.rsplit("/", 1)[-1]
        iam = self.aws.client("iam")
        statement = {"Effect": "Deny", "Action": list(actions), "Resource": resource}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_role_policy(RoleName=name, PolicyName="fault", PolicyDocument=document)
        try:
            yield
        finally:
            iam.delete_role_policy(RoleName=name, PolicyName="fault")

    @contextlib.contextmanager
    def held(self, handler: str) -> Iterator[Callable[[], bool]]:
        """Let the machine's next call of a function wait until this is over; yields whether it waits."""
        name = self.functions[handler]["FunctionName"]
        number = self.aws.fault(
            "lambda:InvokeFunction",
            role=self.machine_role,
            resource=f"*:function:{name}*",
            delay=3600,
        )
        try:
            yield lambda: self.aws.fault_hits(number) == 1
        finally:
            self.aws.admin("faults/clear")

    @contextlib.contextmanager
    def raising(self, handler: str, message: str) -> Iterator[None]:
        """Let a function run code that raises, for a while."""
        functions, name = self.aws.client("lambda"), self.functions[handler]["FunctionName"]
        module, function = handler.split(".")
        broken = f"def {function}(event, context):\n    raise RuntimeError({message!r})\n"
        code = functions.get_function(FunctionName=name)["Code"]
        original = self._download(code["Location"])
        self._replace_code(name, zipped({f"{module}.py": broken}))
        try:
            yield
        finally:
            self._replace_code(name, original)

    def _replace_code(self, name: str, code: bytes) -> None:
        self.aws.client("lambda").update_function_code(FunctionName=name, ZipFile=code)
        self.aws.wait_for_function(name)

    def _download(self, location: str) -> bytes:
        url = urlsplit(location)
        connection = http.client.HTTPConnection(urlsplit(self.aws.endpoint).netloc, timeout=LONGEST_RUN)
        try:
            connection.request("GET", f"{url.path}?{url.query}" if url.query else url.path)
            content = connection.getresponse().read()
        finally:
            connection.close()
        assert zipfile.is_zipfile(io.BytesIO(content)), content[:300]
        return content


def assert_failed_once(
    platform: Deployed, run: Run, *, state: str, error: str, cause: tuple[str, ...] = ()
) -> None:
    """A failure is recorded once, notified once, and says where and why."""
    assert (run.status, run.error) == ("FAILED", error), run
    assert platform.recorded().count(run.name) == 1
    record = platform.record(run)
    assert (record["run"], record["state"], record["error"]) == (run.name, state, error)
    assert record["execution"] == run.arn
    assert run.arn in record["console"]
    assert record["data"]["bucket"] == platform.raw
    for text in cause:
        assert text in record["cause"], record["cause"]
        assert text in run.cause, run.cause
    (message,) = platform.notifications(run)
    assert message["Subject"] == f"Pipeline failed: {error} in {state}"[:99]
    # A person reads this: the explanation, without what it was wrapped in.
    assert f"Error: {error}\nCause: {explain(record['cause'])}\nState: {state}\n" in message["Message"]
    for text in (*cause, f"s3://{platform.features}/failures/{run.name}.json"):
        assert text in message["Message"], message["Message"]
