"""Calls of AWS APIs for a state machine: in its role, with the parameter, result and error names of AWS."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any

from local_aws import context, identity

# The integrations with a name of their own: service, operation, and the prefix of their errors' names.
OPTIMISED = {
    "sagemaker:createTrainingJob": ("sagemaker", "CreateTrainingJob"),
    "sagemaker:createProcessingJob": ("sagemaker", "CreateProcessingJob"),
    "sagemaker:createTransformJob": ("sagemaker", "CreateTransformJob"),
    "sagemaker:createHyperParameterTuningJob": ("sagemaker", "CreateHyperParameterTuningJob"),
    "sagemaker:createModel": ("sagemaker", "CreateModel"),
    "sagemaker:createEndpointConfig": ("sagemaker", "CreateEndpointConfig"),
    "sagemaker:createEndpoint": ("sagemaker", "CreateEndpoint"),
    "sagemaker:updateEndpoint": ("sagemaker", "UpdateEndpoint"),
    "sns:publish": ("sns", "Publish"),
    "sqs:sendMessage": ("sqs", "SendMessage"),
    "events:putEvents": ("events", "PutEvents"),
    "states:startExecution": ("stepfunctions", "StartExecution"),
    "dynamodb:putItem": ("dynamodb", "PutItem"),
    "dynamodb:getItem": ("dynamodb", "GetItem"),
    "dynamodb:updateItem": ("dynamodb", "UpdateItem"),
    "dynamodb:deleteItem": ("dynamodb", "DeleteItem"),
    "athena:startQueryExecution": ("athena", "StartQueryExecution"),
    "athena:stopQueryExecution": ("athena", "StopQueryExecution"),
    "athena:getQueryExecution": ("athena", "GetQueryExecution"),
    "athena:getQueryResults": ("athena", "GetQueryResults"),
}
_PREFIXES = {
    "sagemaker": ("SageMaker", "AmazonSageMakerException"),
    "sns": ("SNS", "AmazonSNSException"),
    "sqs": ("SQS", "AmazonSQSException"),
    "events": ("EventBridge", "AmazonEventBridgeException"),
    "stepfunctions": ("StepFunctions", "AWSStepFunctionsException"),
    "dynamodb": ("DynamoDB", "AmazonDynamoDBException"),
    "lambda": ("Lambda", "AWSLambdaException"),
    "athena": ("Athena", "AmazonAthenaException"),
}
# Names of services in aws-sdk resources that botocore spells in another way.
_SDK_SERVICES = {
    "sfn": "stepfunctions",
    "eventbridge": "events",
    "cloudwatchlogs": "logs",
    "sagemakerruntime": "sagemaker-runtime",
    "applicationautoscaling": "application-autoscaling",
    "secretsmanager": "secretsmanager",
    "costexplorer": "ce",
    "rdsdata": "rds-data",
    "s3control": "s3control",
}
_SDK_PREFIXES = {"sagemaker": "SageMaker", "lakeformation": "LakeFormation", "costexplorer": "CostExplorer"}


@dataclass
class CallError(Exception):
    """A failed call: the error's name as a Retry or Catch sees it, and its cause."""

    name: str
    cause: str


def invoke_function(role: str, data: dict[str, Any]) -> dict[str, Any]:
    """lambda:invoke. An exception of the function becomes an error by its class name."""
    if not isinstance(data, dict) or "FunctionName" not in data:
        raise CallError("States.Runtime", "lambda:invoke needs a FunctionName")
    payload = data.get("Payload", {})
    parameters = {k: v for k, v in data.items() if k != "Payload"}
    answer = call(role, "lambda", "Invoke", parameters | {"Payload": json.dumps(payload).encode()})
    text = answer["Payload"]
    if answer.get("FunctionError"):
        raise CallError(_function_error(text), text)
    return {
        "ExecutedVersion": answer.get("ExecutedVersion", "$LATEST"),
        "Payload": _json_or_text(text),
        "StatusCode": answer["StatusCode"],
    }


def optimised_call(role: str, integration: str, data: Any) -> dict[str, Any]:
    service, operation = OPTIMISED[integration]
    if service == "stepfunctions":
        data = {name[0].lower() + name[1:]: value for name, value in data.items()}
        answer = call(role, service, operation, data)
        return {name[0].upper() + name[1:]: value for name, value in answer.items()}
    return call(role, service, operation, data)


def sdk_call(role: str, service: str, action: str, data: Any) -> dict[str, Any]:
    """An ``aws-sdk:<service>:<action>`` task, whose names are those of the AWS SDK for Java."""
    from ministack.services import stepfunctions as states

    known = _SDK_SERVICES.get(service, service)
    operation = action[0].upper() + action[1:]
    prefix = _SDK_PREFIXES.get(service) or states._AWS_SDK_ERROR_PREFIX.get(service, service.capitalize())
    answer = call(role, known, operation, data, prefix=prefix, fallback=f"{prefix}Exception")
    shape = _client(known, role).meta.service_model.operation_model(operation).output_shape
    named: dict[str, Any] = _sdk_names(answer, shape, states._api_name_to_sfn_key)
    return named


def described_job(role: str, noun: str, name: str) -> dict[str, Any]:
    """What the ``.sync`` of a job results in: the job's description, with times in milliseconds."""
    from local_aws.sagemaker import waiting
    from local_aws.sagemaker.events import in_milliseconds

    call(role, "sagemaker", f"Describe{noun}", {f"{noun}Name": name})  # refused where the role may not
    described: dict[str, Any] = in_milliseconds(waiting.find(noun, name).describe())
    return described


def call(
    role: str,
    service: str,
    operation: str,
    data: Any,
    *,
    prefix: str | None = None,
    fallback: str | None = None,
) -> dict[str, Any]:
    """One API call in a role; its result as JSON holds it."""
    from botocore.exceptions import BotoCoreError, ClientError

    default_prefix, default_fallback = _PREFIXES.get(service, (service.capitalize(), "Exception"))
    client = _client(service, role)
    model = client.meta.service_model
    if operation not in model.operation_names:
        raise CallError("States.Runtime", f"{service} has no operation {operation}")
    shape = model.operation_model(operation)
    try:
        answer = client._make_api_call(operation, _fitted(data or {}, shape.input_shape))
    except ClientError as error:
        name = _error_name(error, shape, prefix or default_prefix, fallback or default_fallback)
        raise CallError(name, _cause(error, service)) from error
    except BotoCoreError as error:
        raise CallError("States.Runtime", str(error)) from error
    answer.pop("ResponseMetadata", None)
    result: dict[str, Any] = _plain(answer)
    return result


def _client(service: str, role: str) -> Any:
    from botocore.exceptions import UnknownServiceError

    from local_aws.emulator import trust

    try:
        return context.client(service, identity.assume(role, "states", "StepFunctions"))
    except trust.NotTrusted as error:
        raise CallError("States.TaskFailed", str(error)) from error
    except UnknownServiceError as error:
        raise CallError("States.Runtime", str(error)) from error


def _error_name(error: Any, operation: Any, prefix: str, fallback: str) -> str:
    """The exception's name in the AWS SDK for Java: the modelled shape with ``Exception`` at its end."""
    code = str(error.response["Error"].get("Code", ""))
    if operation.name == "HeadObject" and code == "404":
        code = "NoSuchKey"
    modelled = {
        shape.metadata.get("error", {}).get("code", shape.name): shape.name
        for shape in operation.error_shapes
    }
    modelled |= {shape.name: shape.name for shape in operation.error_shapes}
    shape_name = "NoSuchKey" if code == "NoSuchKey" else modelled.get(code)
    if shape_name is None:
        return f"{prefix}.{fallback}"
    shape_name = shape_name.removesuffix("Fault")
    return f"{prefix}.{shape_name if shape_name.endswith('Exception') else f'{shape_name}Exception'}"


def _cause(error: Any, service: str) -> str:
    answer = error.response
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", "")
    request = answer.get("ResponseMetadata", {}).get("RequestId", "")
    text, code = answer["Error"].get("Message", ""), answer["Error"].get("Code", "")
    return f"{text} (Service: {service}, Status Code: {status}, Error Code: {code}, Request ID: {request})"


def _function_error(text: str) -> str:
    body = _json_or_text(text)
    name = body.get("errorType") if isinstance(body, dict) else None
    return name if isinstance(name, str) and name else "Lambda.Unknown"


def _json_or_text(text: str) -> Any:
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def _fitted(value: Any, shape: Any) -> Any:
    """Parameters by the operation's model: names in any case, and JSON where the API wants text."""
    if shape is None:
        return {}
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict) and not getattr(shape, "is_document_type", False):
        names = {name.lower(): name for name in shape.members}
        fitted = {}
        for name, item in value.items():
            member = names.get(name.lower())
            fitted[member or name] = _fitted(item, shape.members[member]) if member else item
        return fitted
    if kind == "list" and isinstance(value, list):
        return [_fitted(item, shape.member) for item in value]
    if kind == "map" and isinstance(value, dict):
        return {name: _fitted(item, shape.value) for name, item in value.items()}
    if kind == "blob" and not isinstance(value, (str, bytes)):
        return json.dumps(value).encode()
    if kind == "string" and isinstance(value, (dict, list)):
        return json.dumps(value)
    if kind in ("integer", "long") and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dt.datetime):
        moment = value.astimezone(dt.UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
    if hasattr(value, "read"):
        value = value.read()
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _sdk_names(value: Any, shape: Any, rename: Any) -> Any:
    if shape is None or value is None:
        return value
    if shape.type_name == "structure" and isinstance(value, dict):
        return {rename(n): _sdk_names(item, shape.members.get(n), rename) for n, item in value.items()}
    if shape.type_name == "list" and isinstance(value, list):
        return [_sdk_names(item, shape.member, rename) for item in value]
    if shape.type_name == "map" and isinstance(value, dict):
        return {name: _sdk_names(item, shape.value, rename) for name, item in value.items()}
    return value
