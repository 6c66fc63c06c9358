"""Models, endpoints and transform jobs: script mode served in child processes."""

from __future__ import annotations

import json
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.conftest import LocalAws, allow, eventually, unique
from tests.local.jobs import Workbench, archive
from tests.local.test_resource_types import Stack, resource

IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/sklearn:1"
SCRIPT = """
import json, os
def model_fn(model_dir):
    with open(os.path.join(model_dir, "factor")) as file:
        return int(file.read())
def input_fn(body, content_type):
    if content_type == "text/csv":
        return [float(line.split(",")[0]) for line in body.splitlines()]
    return json.loads(body)
def predict_fn(data, model):
    return [item * model for item in data]
def output_fn(prediction, accept):
    if accept == "text/csv":
        return "\\n".join(map(str, prediction)), accept
    return json.dumps(prediction), "application/json"
"""


class Host:
    """Models and endpoints of a test, with a role that may read them."""

    def __init__(self, aws: LocalAws) -> None:
        self.bench = Workbench.of(aws)
        self.aws = aws
        self.sagemaker = aws.client("sagemaker")
        self.runtime = aws.client("sagemaker-runtime")

    def archive(self, factor: int, script: str = SCRIPT) -> str:
        files: dict[str, str | bytes] = {"factor": str(factor), "code/inference.py": textwrap.dedent(script)}
        return self.bench.put(f"models/{unique('m')}.tar.gz", archive(files))

    def model(self, factor: int, script: str = SCRIPT, **changes: Any) -> str:
        name = unique("model")
        container = {"Image": IMAGE, "ModelDataUrl": self.archive(factor, script)}
        values = {"PrimaryContainer": container, "ExecutionRoleArn": self.bench.role} | changes
        self.sagemaker.create_model(ModelName=name, **values)
        return name

    def config(self, *variants: tuple[str, float], **changes: Any) -> str:
        """A configuration of models by weight; the variants are named by their order."""
        name = unique("config")
        production = [
            {
                "VariantName": f"v{number}",
                "ModelName": model,
                "InitialVariantWeight": weight,
                "InitialInstanceCount": 1,
                "InstanceType": "ml.m5.large",
            }
            for number, (model, weight) in enumerate(variants, 1)
        ]
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=production, **changes
        )
        return name

    def endpoint(self, config: str) -> str:
        name = unique("Endpoint")
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        return name

    def settled(self, name: str) -> dict[str, Any]:
        described: dict[str, Any] = {}

        def over() -> bool:
            described.clear()
            described.update(self.sagemaker.describe_endpoint(EndpointName=name))
            return described["EndpointStatus"] in ("InService", "Failed")

        eventually(over, 30, f"the endpoint {name}")
        return described

    def invoke(self, name: str, data: Any, **options: Any) -> tuple[Any, str]:
        values = {"ContentType": "application/json", "Body": json.dumps(data)} | options
        answer = self.runtime.invoke_endpoint(EndpointName=name, **values)
        return json.loads(answer["Body"].read()), answer["InvokedProductionVariant"]


@pytest.fixture(scope="module")
def host(local_aws: LocalAws) -> Host:
    return Host(local_aws)


@pytest.fixture(scope="module")
def served(host: Host) -> str:
    """An endpoint with two variants that all go to the first, unless a call names the second."""
    captured = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{host.bench.bucket}/captured",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    }
    config = host.config((host.model(2), 1), (host.model(3), 0), DataCaptureConfig=captured)
    name = host.endpoint(config)
    assert host.settled(name)["EndpointStatus"] == "InService"
    return name


def test_an_endpoint_answers_with_its_script(host: Host, served: str) -> None:
    assert host.invoke(served, [1, 2]) == ([2, 4], "v1")
    answer = host.runtime.invoke_endpoint(
        EndpointName=served, ContentType="text/csv", Accept="text/csv", Body="1,x\n2,y"
    )
    assert (answer["Body"].read(), answer["ContentType"]) == (b"2.0\n4.0", "text/csv")


def test_a_call_may_name_its_variant_and_weights_may_change(host: Host, served: str) -> None:
    assert host.invoke(served, [1], TargetVariant="v2") == ([3], "v2")
    with pytest.raises(ClientError, match="Variant v9 not found"):
        host.invoke(served, [1], TargetVariant="v9")
    for first, second, expected in ((0, 1, "v2"), (1, 0, "v1")):
        desired = [
            {"VariantName": "v1", "DesiredWeight": first},
            {"VariantName": "v2", "DesiredWeight": second},
        ]
        host.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=served, DesiredWeightsAndCapacities=desired
        )
        assert {host.invoke(served, [1])[1] for _ in range(5)} == {expected}


def test_calls_are_captured_as_json_lines(host: Host, served: str) -> None:
    inference = unique("inference")
    host.invoke(served, [21], InferenceId=inference)

    def line() -> dict[str, Any] | None:
        for key in host.bench.keys(f"captured/{served}/v1/"):
            for text in host.bench.get(key).decode().splitlines():
                found: dict[str, Any] = json.loads(text)
                if found["eventMetadata"].get("inferenceId") == inference:
                    return found
        return None

    eventually(lambda: line() is not None, 10, "the captured call")
    captured = line()
    assert captured is not None
    assert captured["captureData"] == {
        "endpointInput": {
            "observedContentType": "application/json",
            "mode": "INPUT",
            "data": "[21]",
            "encoding": "JSON",
        },
        "endpointOutput": {
            "observedContentType": "application/json",
            "mode": "OUTPUT",
            "data": "[42]",
            "encoding": "JSON",
        },
    }


def test_invoking_needs_the_permission_for_the_endpoint(host: Host, served: str) -> None:
    arn = f"arn:aws:sagemaker:us-east-1:000000000000:endpoint/{served.lower()}"
    may = host.aws.role("lambda", allow("sagemaker:InvokeEndpoint", resource=arn))
    runtime = host.aws.session_for_role(may).client("sagemaker-runtime")
    runtime.invoke_endpoint(EndpointName=served, ContentType="application/json", Body="[1]")
    may_not = host.aws.session_for_role(host.aws.role("lambda")).client("sagemaker-runtime")
    with pytest.raises(ClientError, match="not authorized to perform: sagemaker:InvokeEndpoint"):
        may_not.invoke_endpoint(EndpointName=served, ContentType="application/json", Body="[1]")


def test_an_error_of_the_model_is_a_model_error(host: Host, served: str) -> None:
    with pytest.raises(ClientError) as failed:
        host.runtime.invoke_endpoint(EndpointName=served, ContentType="application/json", Body="no json")
    assert failed.value.response["Error"]["Code"] == "ModelError"
    assert "Received server error (500)" in failed.value.response["Error"]["Message"]
    assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert "JSONDecodeError" in failed.value.response["OriginalMessage"]


def test_many_calls_at_once_lose_none(host: Host, served: str) -> None:
    answers: list[Any] = []
    calls = [
        threading.Thread(target=lambda n=n: answers.append(host.invoke(served, [n])[0][0])) for n in range(50)
    ]
    for call in calls:
        call.start()
    for call in calls:
        call.join()
    assert sorted(answers) == [2 * n for n in range(50)]


def test_an_endpoint_is_updated_without_a_pause_rolled_back_and_deleted(host: Host) -> None:
    name = host.endpoint(host.config((host.model(2), 1)))
    host.settled(name)
    better = host.config((host.model(5), 1))
    host.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=better)
    assert host.invoke(name, [1])[0] in ([2], [5])
    host.settled(name)
    assert host.invoke(name, [1])[0] == [5]
    broken = host.config((host.model(1, "def model_fn(model_dir): raise ValueError('no model')"), 1))
    host.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=broken)
    described = host.settled(name)
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", better)
    assert "ValueError: no model" in described["FailureReason"]
    assert host.invoke(name, [1])[0] == [5]
    host.sagemaker.delete_endpoint(EndpointName=name)
    with pytest.raises(ClientError, match="Could not find endpoint"):
        host.invoke(name, [1])


def test_a_call_that_a_model_has_begun_is_answered_when_another_one_takes_over(
    host: Host, tmp_path: Path
) -> None:
    # GIVEN an endpoint that captures, and a call in the hands of its model
    begun, go_on = tmp_path / "begun", tmp_path / "go-on"
    waits = f"""    import pathlib, time
    pathlib.Path({str(begun)!r}).touch()
    while not pathlib.Path({str(go_on)!r}).exists():
        time.sleep(0.02)
    return [item"""
    slow = host.model(2, SCRIPT.replace("    return [item", waits))
    captured = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{host.bench.bucket}/taken-over",
        "CaptureOptions": [{"CaptureMode": "Output"}],
    }
    name = host.endpoint(host.config((slow, 1), DataCaptureConfig=captured))
    host.settled(name)
    answers: list[Any] = []
    call = threading.Thread(target=lambda: answers.append(host.invoke(name, [1])[0]))
    call.start()
    eventually(begun.exists, 20, "the call")
    # WHEN another model takes over
    host.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=host.config((host.model(5), 1)))
    assert host.settled(name)["EndpointStatus"] == "InService"
    assert host.invoke(name, [1])[0] == [5]
    # THEN the call is still answered by the one that has begun it, and captured
    go_on.touch()
    call.join(300)
    assert answers == [[2]]
    eventually(lambda: len(host.bench.keys(f"taken-over/{name}/v1/")) == 1, 20, "the captured call")
    host.sagemaker.delete_endpoint(EndpointName=name)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("import no_such_module", "no_such_module"),
        ("x = 1", "the script has no model_fn"),
        (None, "the model has no code/inference.py"),
    ],
    ids=["import", "model_fn", "no script"],
)
def test_an_endpoint_that_cannot_start_fails_with_the_reason(
    host: Host, script: str | None, reason: str
) -> None:
    if script is None:
        data = host.bench.put(f"models/{unique('m')}.tar.gz", archive({"factor": "1"}))
        model = host.model(1, PrimaryContainer={"Image": IMAGE, "ModelDataUrl": data})
    else:
        model = host.model(1, script)
    name = host.endpoint(host.config((model, 1)))
    described = host.settled(name)
    assert described["EndpointStatus"] == "Failed"
    assert reason in described["FailureReason"]
    host.sagemaker.delete_endpoint(EndpointName=name)


def test_a_model_is_read_in_its_role(host: Host) -> None:
    model = host.model(1, ExecutionRoleArn=host.aws.role("sagemaker"))
    name = host.endpoint(host.config((model, 1)))
    described = host.settled(name)
    assert described["EndpointStatus"] == "Failed"
    assert "Failed to download data" in described["FailureReason"]


def test_what_does_not_exist_or_does_not_run_is_refused(host: Host) -> None:
    with pytest.raises(ClientError, match="Could not find endpoint config"):
        host.endpoint("no-such-config")
    with pytest.raises(ClientError, match=r'Could not find model ".*no-such-model"'):
        host.config(("no-such-model", 1))
    shap = {"ShapBaselineConfig": {"ShapBaseline": "1"}}
    with pytest.raises(ClientError, match="ExplainerConfig does not run on the local AWS"):
        host.config((host.model(1), 1), ExplainerConfig={"ClarifyExplainerConfig": {"ShapConfig": shap}})
    listed = host.sagemaker.list_endpoints(NameContains="no-such")
    assert listed["Endpoints"] == []


def test_a_stack_of_model_configuration_and_endpoint_is_deployed_changed_and_deleted(host: Host) -> None:
    stack = Stack(host.aws)

    def resources(factor: int) -> dict[str, Any]:
        container = {"Image": IMAGE, "ModelDataUrl": host.archive(factor)}
        variant = {
            "VariantName": "all",
            "ModelName": {"Fn::GetAtt": [f"Model{factor}", "ModelName"]},
            "InitialVariantWeight": 1,
            "InitialInstanceCount": 1,
            "InstanceType": "ml.m5.large",
        }
        config = {"Fn::GetAtt": [f"Config{factor}", "EndpointConfigName"]}
        return {
            f"Model{factor}": resource(
                "SageMaker::Model", ExecutionRoleArn=host.bench.role, PrimaryContainer=container
            ),
            f"Config{factor}": resource("SageMaker::EndpointConfig", ProductionVariants=[variant]),
            "Endpoint": resource("SageMaker::Endpoint", EndpointConfigName=config),
        }

    outputs = {"Name": {"Fn::GetAtt": ["Endpoint", "EndpointName"]}}
    name = stack.deploy(resources(2), outputs)["Name"]
    assert host.invoke(name, [4])[0] == [8]
    assert stack.deploy(resources(3), outputs)["Name"] == name
    assert host.invoke(name, [4])[0] == [12]
    stack.delete()
    with pytest.raises(ClientError, match="Could not find endpoint"):
        host.invoke(name, [4])


def transform_request(host: Host, model: str, **source: Any) -> dict[str, Any]:
    where = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{host.bench.bucket}/rows/"}
    return {
        "TransformJobName": unique("transform"),
        "ModelName": model,
        "TransformInput": {
            "DataSource": {"S3DataSource": where},
            "ContentType": "text/csv",
            "SplitType": "Line",
        }
        | source,
        "TransformOutput": {
            "S3OutputPath": f"s3://{host.bench.bucket}/scores",
            "Accept": "text/csv",
            "AssembleWith": "Line",
        },
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }


def transformed(host: Host, request: dict[str, Any]) -> dict[str, Any]:
    """A transform job, run to its end."""
    host.sagemaker.create_transform_job(**request)
    described: dict[str, Any] = {}

    def over() -> bool:
        name = request["TransformJobName"]
        described.update(host.sagemaker.describe_transform_job(TransformJobName=name))
        return described["TransformJobStatus"] in ("Completed", "Failed", "Stopped")

    eventually(over, 20, "the transform job")
    return described


@pytest.mark.parametrize("strategy", ["SingleRecord", "MultiRecord"])
def test_a_transform_job_scores_each_line_of_each_object(host: Host, strategy: str) -> None:
    host.bench.put("rows/a.csv", "1\n2\n3\n")
    described = transformed(host, transform_request(host, host.model(2)) | {"BatchStrategy": strategy})
    assert described["TransformJobStatus"] == "Completed", described.get("FailureReason")
    assert host.bench.get("scores/a.csv.out") == b"2.0\n4.0\n6.0\n"


def test_a_transform_job_fails_with_what_the_model_said(host: Host) -> None:
    host.bench.put("rows/a.csv", "no json")
    request = transform_request(host, host.model(2), ContentType="application/json", SplitType="None")
    described = transformed(host, request)
    assert described["TransformJobStatus"] == "Failed"
    assert "the model answered 500: JSONDecodeError" in described["FailureReason"]


def test_a_transform_job_fails_where_its_model_has_no_script(host: Host) -> None:
    data = host.bench.put(f"models/{unique('m')}.tar.gz", archive({"factor": "1"}))
    model = host.model(1, PrimaryContainer={"Image": IMAGE, "ModelDataUrl": data})
    described = transformed(host, transform_request(host, model))
    assert described["TransformJobStatus"] == "Failed"
    assert "code/inference.py" in described["FailureReason"]


def test_a_transform_job_without_its_model_or_its_data_fails_and_names_it(host: Host) -> None:
    described = transformed(host, transform_request(host, "no-such-model"))
    assert 'Could not find model "' in described["FailureReason"]
    request = transform_request(host, host.model(2))
    nowhere = f"s3://{host.bench.bucket}/nowhere/"
    request["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"] = nowhere
    assert f'No S3 objects found under S3 URL "{nowhere}"' in transformed(host, request)["FailureReason"]
    filtered = transform_request(host, host.model(2)) | {"DataProcessing": {"InputFilter": "$[1:]"}}
    assert "DataProcessing filters do not run" in transformed(host, filtered)["FailureReason"]


def test_a_transform_job_is_stopped(host: Host) -> None:
    host.bench.put("rows/a.csv", "1\n" * 20_000)  # an hour and more of them
    slow = SCRIPT.replace("    return [item", "    import time; time.sleep(0.3)\n    return [item")
    request = transform_request(host, host.model(2, slow)) | {"BatchStrategy": "SingleRecord"}
    name = request["TransformJobName"]
    host.sagemaker.create_transform_job(**request)

    def describe() -> dict[str, Any]:
        described: dict[str, Any] = host.sagemaker.describe_transform_job(TransformJobName=name)
        return described

    eventually(lambda: "TransformStartTime" in describe(), 15, "the start")
    host.sagemaker.stop_transform_job(TransformJobName=name)
    eventually(lambda: describe()["TransformJobStatus"] == "Stopped", 15, "the end")
