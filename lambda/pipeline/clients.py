"""AWS clients, made when they are first needed: an import must not cost a cold start what it may never use.

Standard retries take care of throttling; what still fails goes to the state machine's own Retry. Endpoints
come from the environment (`AWS_ENDPOINT_URL`), which botocore reads by itself.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_stepfunctions import SFNClient


def _config(read_timeout: int = 30) -> Config:
    return Config(
        connect_timeout=3, read_timeout=read_timeout, retries={"mode": "standard", "total_max_attempts": 5}
    )


@cache
def s3() -> S3Client:
    return boto3.client("s3", config=_config())


@cache
def glue() -> GlueClient:
    return boto3.client("glue", config=_config())


@cache
def stepfunctions() -> SFNClient:
    return boto3.client("stepfunctions", config=_config())


@cache
def sagemaker() -> SageMakerClient:
    return boto3.client("sagemaker", config=_config())


@cache
def lambda_() -> LambdaClient:
    # A cold candidate loads its model within the call.
    return boto3.client("lambda", config=_config(read_timeout=70))


@cache
def cloudwatch() -> CloudWatchClient:
    return boto3.client("cloudwatch", config=_config())
