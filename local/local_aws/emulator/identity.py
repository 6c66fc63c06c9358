"""IAM: SageMaker's resources by their ARNs, the encryption key of uploads, and loopback as secure transport.

Policies that deny plain HTTP (``aws:SecureTransport``) are right in AWS and must work here unchanged. The
emulator is reached on the loopback only, where nobody else listens.
"""

from __future__ import annotations

import json
from typing import Any

from local_aws.emulator import catalog_resources

_NAMED = {
    "TrainingJobName": "training-job",
    "ProcessingJobName": "processing-job",
    "TransformJobName": "transform-job",
    "HyperParameterTuningJobName": "hyper-parameter-tuning-job",
    "AutoMLJobName": "automl-job",
    "CompilationJobName": "compilation-job",
    "EndpointConfigName": "endpoint-config",
    "EndpointName": "endpoint",
    "ModelName": "model",
    "PipelineName": "pipeline",
    "FeatureGroupName": "feature-group",
}
# Operations of Lambda that IAM calls otherwise.
_LAMBDA_ACTIONS = {"Invoke": "InvokeFunction", "InvokeWithResponseStream": "InvokeFunction"}
_BY_ARN = ("ModelPackageArn", "PipelineExecutionArn", "ResourceArn")
# Condition keys of an upload that a policy may ask for and that ministack leaves out.
_ENCRYPTION_HEADERS = (
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
)


def install() -> None:
    from ministack import app
    from ministack.core import iam_actions
    from ministack.services import s3

    from local_aws.sagemaker import feature_store, runtime

    pin_origin, resource_arn = app.pin_request_origin, iam_actions.extract_resource_arn
    action = iam_actions.extract_iam_action
    object_context, lambda_action = iam_actions._s3_object_context, iam_actions._lambda_action

    def pin_secure_origin(source_ip: str, secure_transport: bool) -> None:
        pin_origin(source_ip, secure_transport or source_ip.startswith("127.") or source_ip == "::1")

    def own_resource(
        service: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query_params: dict[str, Any],
        region: str,
        account_id: str,
    ) -> str:
        if service == "sagemaker":
            endpoint = runtime.endpoint_of(path)
            if endpoint is not None:
                return f"arn:aws:sagemaker:{region}:{account_id}:endpoint/{endpoint.lower()}"
            group = feature_store.group_of(path)
            if group is not None:
                return f"arn:aws:sagemaker:{region}:{account_id}:feature-group/{group.lower()}"
            return sagemaker_resource(body, region, account_id)
        if service == "fsx":
            return fsx_resource(headers, body, region, account_id)
        arn = str(resource_arn(service, method, path, headers, body, query_params, region, account_id))
        if service == "logs":
            return logs_resource(arn, headers, body)
        if service == "elasticfilesystem" and (number := file_system_of(path, query_params)) is not None:
            return f"arn:aws:elasticfilesystem:{region}:{account_id}:file-system/{number}"
        if service in ("athena", "glue"):
            return catalog_resources.resource(arn, service, headers, body)
        qualifier = _first(query_params.get("Qualifier"))
        # A call of one version or alias is authorized on that, not on the function.
        return f"{arn}:{qualifier}" if service == "lambda" and qualifier and arn.count(":") == 6 else arn

    def with_encryption_key(
        iam_action: str, query_params: dict[str, Any], path: str, headers: dict[str, str]
    ) -> dict[str, Any]:
        context: dict[str, Any] = object_context(iam_action, query_params, path, headers)
        if iam_action == "s3:PutObject":
            # A part of a multipart upload is encrypted as its first request said.
            upload = s3._multipart_uploads.get(_first(query_params.get("uploadId")))
            given = headers if upload is None else _asked_for(upload)
            context |= {f"s3:{name}": given[name] for name in _ENCRYPTION_HEADERS if given.get(name)}
        return context

    def lambda_operation(method: str, path: str) -> str | None:
        # ministack's own table takes GetAlias for ListAliases; botocore's routes know each operation.
        operation = iam_actions._match_rest_action("lambda", method, path)
        known = (
            lambda_action(method, path) if operation is None else _LAMBDA_ACTIONS.get(operation, operation)
        )
        return None if known is None else str(known)

    def known_action(service: str, method: str, path: str, *more: Any) -> Any:
        if service == "sagemaker" and runtime.endpoint_of(path) is not None:
            return f"sagemaker:{runtime.action_of(path)}"
        if service == "sagemaker" and (operation := feature_store.action_of(method, path)) is not None:
            return f"sagemaker:{operation}"
        return action(service, method, path, *more)

    iam_actions.extract_iam_action = known_action
    app.pin_request_origin = pin_secure_origin
    iam_actions._BOTOCORE_SERVICE_MAP["lambda"] = ["lambda"]
    iam_actions._lambda_action = lambda_operation
    iam_actions._s3_object_context = with_encryption_key
    iam_actions.extract_resource_arn = own_resource


def file_system_of(path: str, query: dict[str, Any]) -> str | None:
    """The file system that a call about it, or about one of its mount targets, is authorized on."""
    from ministack.services import efs

    if "FileSystemId" in query:
        return str(_first(query["FileSystemId"]))
    parts = path.strip("/").split("/")
    if "mount-targets" in parts[:-1]:
        target = efs._mount_targets.get(parts[parts.index("mount-targets") + 1])
        return str(target["FileSystemId"]) if target else None
    return None


def _asked_for(upload: dict[str, Any]) -> dict[str, str]:
    """The headers of an upload in parts that named an encryption; others get the bucket's default."""
    headers: dict[str, str] = upload["preserved_headers"]
    return headers if upload.get("requested_sse") else {}


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value


def fsx_resource(headers: dict[str, str], body: bytes, region: str, account: str) -> str:
    """The file system that a call is about; ``*`` where IAM knows no resource of the action, as of all that
    describe."""
    operation = headers.get("x-amz-target", "").rpartition(".")[2]
    prefix = f"arn:aws:fsx:{region}:{account}"
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return "*"
    if operation.startswith("Describe") or not isinstance(request, dict):
        return "*"
    for member, kind in (("FileSystemId", "file-system"), ("AssociationId", "association")):
        if isinstance(request.get(member), str):
            return f"{prefix}:{kind}/{request[member]}"
    if isinstance(request.get("ResourceARN"), str):
        return str(request["ResourceARN"])
    return f"{prefix}:file-system/*"


def logs_resource(arn: str, headers: dict[str, str], body: bytes) -> str:
    """CloudWatch Logs asks for a stream by its name, and for the list of a group's streams as for a stream
    without one: a policy needs the group's ARN with ``:*`` behind it."""
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return arn
    if ":log-group:" not in arn or not isinstance(request, dict):
        return arn
    lists_streams = headers.get("x-amz-target", "").endswith(".DescribeLogStreams")
    stream = "" if lists_streams else request.get("logStreamName")
    return arn if stream is None else f"{arn}:log-stream:{stream}"


def sagemaker_resource(body: bytes, region: str, account: str) -> str:
    """The resource that a SageMaker call is authorized on; ``*`` where its action has none."""
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return "*"
    if not isinstance(request, dict):
        return "*"
    prefix = f"arn:aws:sagemaker:{region}:{account}:"
    for member in _BY_ARN:
        if isinstance(request.get(member), str):
            return str(request[member])
    package = request.get("ModelPackageName")
    if isinstance(package, str):
        return package if package.startswith("arn:") else f"{prefix}model-package/{package}"
    for member, kind in _NAMED.items():
        if isinstance(request.get(member), str):
            return f"{prefix}{kind}/{request[member].lower()}"
    return _group_resource(request, prefix)


def _group_resource(request: dict[str, Any], prefix: str) -> str:
    group = request.get("ModelPackageGroupName")
    if not isinstance(group, str):
        return "*"
    name = group.rsplit("/", 1)[-1]
    # A package that is created in a group is authorized as that package; its version is not known yet.
    creates_package = "InferenceSpecification" in request or "CustomerMetadataProperties" in request
    return f"{prefix}model-package/{name}/*" if creates_package else f"{prefix}model-package-group/{name}"
