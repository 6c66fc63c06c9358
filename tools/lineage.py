"""Where a model comes from, and where it went: data, code, parameters, container, approval, deployment.

    python -m tools.lineage --environment dev              # the version that serves
    python -m tools.lineage --environment dev --version 3  # this version of the registry group
    python -m tools.lineage --environment dev --all        # every version, in a line each

It reads the registry, SageMaker's jobs, S3's versions and Lambda's, and changes nothing. What cannot be read
any more is said: data and code that were replaced are kept for as long as their zone keeps old versions.
The local AWS is reached with its own variables: eval "$(local-aws env)".
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from settings.model import Settings, SettingsError, load

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker.type_defs import DescribeModelPackageOutputTypeDef

_GONE = "not there any more"


class LineageError(RuntimeError):
    """The question cannot be answered; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """The services that know something of a model."""

    cloudformation: CloudFormationClient
    functions: LambdaClient
    s3: S3Client
    sagemaker: SageMakerClient


@dataclass(frozen=True, kw_only=True, slots=True)
class Serving:
    """The function that serves the platform's models."""

    function: str
    alias: str


def trace(account: Account, arn: str, serving: Serving | None) -> dict[str, Any]:
    """Everything that is known of a version, by what a person asks of it."""
    version = account.sagemaker.describe_model_package(ModelPackageName=arn)
    known = version.get("CustomerMetadataProperties", {})
    job = _job(account.sagemaker, known.get("training_job", ""))
    return {
        "version": arn,
        "registered": _when(version["CreationTime"]),
        "run": known.get("run", ""),
        "model": {"uri": known.get("model", ""), "sha256": known.get("sha256", "")},
        "data": _data(account.s3, known),
        "code": _code(account.s3, known),
        "training": {
            "job": known.get("training_job", ""),
            "container": known.get("training_image", ""),
            "parameters": _parameters(job) or known.get("parameters", "") or "the program's own defaults",
            "instance": job.get("ResourceConfig", {}).get("InstanceType", ""),
            "began": known.get("trained_at", ""),
        },
        "metrics": {
            name.removeprefix("metric."): value
            for name, value in sorted(known.items())
            if name.startswith("metric.")
        },
        "approval": _approval(version),
        "deployed": [
            *_deployed(account.functions, known.get("sha256", ""), serving),
            *_endpoints(account.sagemaker, arn, known.get("model", "").rpartition("/")[0]),
        ],
    }


def versions(sagemaker: SageMakerClient, group: str) -> list[str]:
    """The ARNs of a group's versions, the newest first."""
    pages = sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group)
    arns = [each["ModelPackageArn"] for page in pages for each in page["ModelPackageSummaryList"]]
    return sorted(arns, key=_number, reverse=True)


def serves(account: Account, arns: Sequence[str], serving: Serving | None) -> str:
    """The version whose model gets most of the calls; the newest one if none serves."""
    if not arns:
        raise LineageError("The registry group has no version yet: no run has registered a model.")
    live = _hash_of(account.functions, serving)
    for arn in arns if live else ():
        known = account.sagemaker.describe_model_package(ModelPackageName=arn)
        if known.get("CustomerMetadataProperties", {}).get("sha256") == live:
            return arn
    return arns[0]


def find_serving(cloudformation: CloudFormationClient, platform: str) -> Serving | None:
    """The function of the platform's stack, if it is deployed."""
    try:
        (stack,) = cloudformation.describe_stacks(StackName=f"{platform}-serving")["Stacks"]
    except ClientError as error:
        if _code_of(error) == "ValidationError":
            return None
        raise
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}
    return Serving(function=outputs["FunctionName"], alias=outputs["AliasName"])


def _job(sagemaker: SageMakerClient, name: str) -> dict[str, Any]:
    if not name:
        return {}
    try:
        # Older versions have the job's ARN.
        return dict(sagemaker.describe_training_job(TrainingJobName=name.rpartition("/")[2]))
    except ClientError as error:
        if _code_of(error) == "ValidationException":
            return {}
        raise


def _parameters(job: dict[str, Any]) -> str:
    given = job.get("HyperParameters", {})
    return " ".join(f"{k}={v}" for k, v in sorted(given.items()) if not k.startswith("sagemaker_"))


def _data(s3: S3Client, known: dict[str, str]) -> dict[str, Any]:
    bucket, key = _place(known.get("data", ""))
    found = {"uri": known.get("data", ""), "version": known.get("data.version", "")}
    for name in ("checksum", "table", "snapshot"):
        if f"data.{name}" in known:
            found[name] = known[f"data.{name}"]
    if found["version"] and _head(s3, bucket, key, found["version"]) is None:
        found["version"] += f" ({_GONE})"
    return found


def _code(s3: S3Client, known: dict[str, str]) -> dict[str, str]:
    """The archive's version that was the newest when the job began, and the commit that it is of."""
    uri, began = known.get("code", ""), known.get("trained_at", "")
    if not uri or not began:
        return {"uri": uri}
    bucket, key = _place(uri)
    start = datetime.fromisoformat(began)
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key)
    older = [
        each
        for page in pages
        for each in page.get("Versions", [])
        if each["Key"] == key and each["LastModified"] <= start
    ]
    if not older:
        return {"uri": uri, "version": _GONE}
    newest = max(older, key=lambda each: each["LastModified"])
    head = _head(s3, bucket, key, newest["VersionId"])
    commit = {} if head is None else head.get("Metadata", {})
    return {"uri": uri, "version": newest["VersionId"], "commit": commit.get("commit", "not recorded")}


def _approval(version: DescribeModelPackageOutputTypeDef) -> dict[str, str]:
    changed = version.get("LastModifiedBy", {}).get("IamIdentity", {}).get("Arn")
    made = version.get("CreatedBy", {}).get("IamIdentity", {}).get("Arn", "")
    found: dict[str, str] = {"status": version.get("ModelApprovalStatus", "")}
    if found["status"] == "PendingManualApproval":
        return found
    # Whoever changed it last decided: an approver's role changes nothing without a decision.
    found["by"] = changed or f"the pipeline's thresholds ({made})"
    if "LastModifiedTime" in version:
        found["at"] = _when(version["LastModifiedTime"])
    if version.get("ApprovalDescription"):
        found["why"] = version["ApprovalDescription"]
    return found


def _deployed(functions: LambdaClient, digest: str, serving: Serving | None) -> Iterator[str]:
    if serving is None or not digest:
        return
    for number, share in _shares(functions, serving):
        environment = functions.get_function_configuration(FunctionName=serving.function, Qualifier=number)
        if environment.get("Environment", {}).get("Variables", {}).get("MODEL_SHA256") == digest:
            yield f"{serving.function}:{serving.alias}, version {number}, {share:.0%} of the calls"


def _endpoints(sagemaker: SageMakerClient, arn: str, folder: str) -> Iterator[str]:
    """The endpoints with a variant that serves the version: by its ARN, or from its folder in the lake."""
    for page in sagemaker.get_paginator("list_endpoints").paginate():
        for each in page["Endpoints"]:
            endpoint = sagemaker.describe_endpoint(EndpointName=each["EndpointName"])
            # One that is being made or that failed has no variants yet.
            for variant in endpoint.get("ProductionVariants", []):
                models = _models_of(sagemaker, endpoint["EndpointConfigName"], variant["VariantName"])
                if any(_is_of(container, arn, folder) for container in models):
                    weight, name = variant.get("CurrentWeight", 0), variant["VariantName"]
                    yield f"endpoint {each['EndpointName']}, variant {name}, weight {weight:g}"


def _models_of(sagemaker: SageMakerClient, config: str, variant: str) -> list[dict[str, Any]]:
    """The containers of a variant; none where its models are components."""
    described = sagemaker.describe_endpoint_config(EndpointConfigName=config)
    names = [
        each.get("ModelName") for each in described["ProductionVariants"] if each["VariantName"] == variant
    ]
    found: list[dict[str, Any]] = []
    for name in filter(None, names):
        model = sagemaker.describe_model(ModelName=name)
        found += [
            dict(each) for each in (model.get("PrimaryContainer"), *model.get("Containers", [])) if each
        ]
    return found


def _is_of(container: dict[str, Any], arn: str, folder: str) -> bool:
    source = container.get("ModelDataSource", {}).get("S3DataSource", {}).get("S3Uri", "")
    data = str(container.get("ModelDataUrl") or source)
    return container.get("ModelPackageName") == arn or (bool(folder) and data.startswith(f"{folder}/"))


def _hash_of(functions: LambdaClient, serving: Serving | None) -> str | None:
    if serving is None:
        return None
    number, _ = max(_shares(functions, serving), key=lambda each: each[1])
    found = functions.get_function_configuration(FunctionName=serving.function, Qualifier=number)
    return found.get("Environment", {}).get("Variables", {}).get("MODEL_SHA256")


def _shares(functions: LambdaClient, serving: Serving) -> list[tuple[str, float]]:
    alias = functions.get_alias(FunctionName=serving.function, Name=serving.alias)
    others = dict(alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {}))
    return [(alias["FunctionVersion"], 1 - sum(others.values())), *others.items()]


def _head(s3: S3Client, bucket: str, key: str, version: str) -> dict[str, Any] | None:
    try:
        return dict(s3.head_object(Bucket=bucket, Key=key, VersionId=version))
    except ClientError as error:
        if _code_of(error) in ("400", "403", "404", "NoSuchKey", "NoSuchVersion"):
            return None
        raise


def _place(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def _number(arn: str) -> int:
    return int(arn.rpartition("/")[2])


def _when(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def show(found: dict[str, Any], say: Callable[[str], None] = print) -> None:
    """Print an answer, a line for each thing."""
    for name, value in found.items():
        if isinstance(value, dict):
            say(f"{name}")
            for part, content in value.items():
                say(f"  {part:12} {content}")
        elif isinstance(value, list):
            say(f"{name:14} {'; '.join(value) or 'nowhere'}")
        else:
            say(f"{name:14} {value}")


def answer(account: Account, settings: Settings, *, version: int | None, everything: bool) -> list[Any]:
    """The versions that were asked for, traced."""
    if settings.pipeline is None:
        raise LineageError(f"settings/{settings.environment}.toml has no table [pipeline].")
    name = settings.platform.name
    group = f"{name}-{settings.pipeline.model}"
    try:
        arns = versions(account.sagemaker, group)
    except ClientError as error:
        if _code_of(error) in ("ValidationException", "ResourceNotFound"):
            raise LineageError(f"There is no registry group {group} here: is it deployed?") from None
        raise
    serving = find_serving(account.cloudformation, name)
    if everything:
        return [trace(account, arn, serving) for arn in arns]
    if version is None:
        return [trace(account, serves(account, arns, serving), serving)]
    wanted = [arn for arn in arns if _number(arn) == version]
    if not wanted:
        there = ", ".join(str(_number(arn)) for arn in reversed(arns)) or "none"
        raise LineageError(f"{group} has no version {version}; it has {there}.")
    return [trace(account, wanted[0], serving)]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.lineage", description=__doc__)
    parser.add_argument("--environment", default="dev", help="a file in settings/ (default: dev)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--version", type=int, help="of the registry group (default: the one that serves)")
    which.add_argument("--all", action="store_true", help="every version, in a line each")
    parser.add_argument("--json", action="store_true", help="as JSON")
    options = parser.parse_args(arguments)
    try:
        settings = load(options.environment)
        session = boto3.Session(region_name=settings.platform.region)
        account = Account(
            cloudformation=session.client("cloudformation"),
            functions=session.client("lambda"),
            s3=session.client("s3"),
            sagemaker=session.client("sagemaker"),
        )
        found = answer(account, settings, version=options.version, everything=options.all)
    except (LineageError, SettingsError, BotoCoreError, ClientError) as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(found if options.all else found[0], indent=2))
    elif options.all:
        for each in found:
            where = "; ".join(each["deployed"]) or "nowhere"
            status, number = each["approval"]["status"], _number(each["version"])
            print(f"{number:4} {status:21} {each['registered']}  {where}")
    else:
        show(found[0])
    return 0


if __name__ == "__main__":
    sys.exit(main())
