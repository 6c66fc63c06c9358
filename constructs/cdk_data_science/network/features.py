"""What is done in a network, and which endpoints of AWS services that takes."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from aws_cdk import aws_ec2 as ec2

_Service = ec2.InterfaceVpcEndpointAwsService


class NetworkFeature(StrEnum):
    """Something that programs in the network do. Each brings its interface endpoints and no other.

    Training, processing, tuning and transform jobs that only read and write S3 need none of these: SageMaker
    pulls their images and writes their logs and metrics outside of the VPC.
    """

    STUDIO = "studio"
    """Studio in VPC-only mode: the SageMaker API and runtime, STS, CloudWatch Logs."""

    SAGEMAKER_API = "sagemaker-api"
    """Programs that start jobs, register models, read the registry."""

    ENDPOINT_CLIENTS = "endpoint-clients"
    """Programs that ask SageMaker endpoints for predictions."""

    FEATURE_STORE = "feature-store"
    """Programs that write and read the online store."""

    MLFLOW = "mlflow"
    """Programs that log to SageMaker's MLflow, which is reached by its own endpoint and the SageMaker API."""

    QUERY = "query"
    """Queries of the lake: Athena, Glue, Lake Formation."""

    CONTAINERS = "containers"
    """Programs that pull images from ECR themselves: image builds, EKS, ECS. SageMaker's jobs do not."""

    ORCHESTRATION = "orchestration"
    """The pipeline's functions: Step Functions, the SageMaker API, Lambda, CloudWatch."""

    STREAMING = "streaming"
    """Producers and consumers of Kinesis Data Streams and Firehose."""

    SECRETS = "secrets"
    """Programs that read Secrets Manager, or encrypt with KMS themselves. S3 calls KMS on its own."""

    LOGGING = "logging"
    """Programs that write CloudWatch logs and metrics through the API themselves."""

    JUMPSTART = "jumpstart"
    """Jobs that load models from SageMaker JumpStart's bucket of the region, by S3's own endpoint."""


_ENDPOINTS: dict[NetworkFeature, dict[str, str]] = {
    NetworkFeature.STUDIO: {
        "sagemaker.api": "SAGEMAKER_API",
        "sagemaker.runtime": "SAGEMAKER_RUNTIME",
        "sts": "STS",
        "logs": "CLOUDWATCH_LOGS",
    },
    NetworkFeature.SAGEMAKER_API: {"sagemaker.api": "SAGEMAKER_API"},
    NetworkFeature.ENDPOINT_CLIENTS: {"sagemaker.runtime": "SAGEMAKER_RUNTIME"},
    NetworkFeature.FEATURE_STORE: {"sagemaker.featurestore-runtime": "SAGEMAKER_FEATURESTORE_RUNTIME"},
    NetworkFeature.MLFLOW: {"experiments": "SAGEMAKER_EXPERIMENTS", "sagemaker.api": "SAGEMAKER_API"},
    NetworkFeature.QUERY: {"athena": "ATHENA", "glue": "GLUE", "lakeformation": "LAKE_FORMATION"},
    NetworkFeature.CONTAINERS: {"ecr.api": "ECR", "ecr.dkr": "ECR_DOCKER"},
    NetworkFeature.ORCHESTRATION: {
        "states": "STEP_FUNCTIONS",
        "sagemaker.api": "SAGEMAKER_API",
        "lambda": "LAMBDA_",
        "monitoring": "CLOUDWATCH_MONITORING",
    },
    NetworkFeature.STREAMING: {"kinesis-streams": "KINESIS_STREAMS", "kinesis-firehose": "KINESIS_FIREHOSE"},
    NetworkFeature.SECRETS: {"secretsmanager": "SECRETS_MANAGER", "kms": "KMS"},
    NetworkFeature.LOGGING: {"logs": "CLOUDWATCH_LOGS", "monitoring": "CLOUDWATCH_MONITORING"},
    NetworkFeature.JUMPSTART: {},
}


def interface_endpoints(features: Iterable[NetworkFeature]) -> list[str]:
    """The short names of the interface endpoints that features need, sorted: ``sagemaker.api``, ``sts`` …"""
    return sorted({name for feature in features for name in _ENDPOINTS[feature]})


def endpoint_service(name: str) -> ec2.InterfaceVpcEndpointAwsService:
    """The AWS service behind a short name. CDK knows how it is called in each partition."""
    constant = next(services[name] for services in _ENDPOINTS.values() if name in services)
    service: ec2.InterfaceVpcEndpointAwsService = getattr(_Service, constant)
    return service
