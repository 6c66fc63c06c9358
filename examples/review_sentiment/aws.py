"""The clients, for a real account or for the local AWS."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient

LOCAL_ENDPOINT = "http://127.0.0.1:4566"


@dataclass(frozen=True, kw_only=True, slots=True)
class Aws:
    """What the example talks to. `endpoint` is set for the local AWS only."""

    session: boto3.Session
    region: str
    endpoint: str | None
    cloudformation: CloudFormationClient
    s3: S3Client
    stepfunctions: SFNClient
    functions: LambdaClient


def connect(environment: str, region: str | None) -> Aws:
    """Clients for one of the environments in `settings/`.

    The local AWS is always addressed with its own well-known credentials, so that those of a real account
    never leave for it, nor the local data for a real account.
    """
    local = environment == "local"
    session = boto3.Session(
        region_name=region,
        aws_access_key_id="test" if local else None,
        aws_secret_access_key="test" if local else None,
    )
    endpoint = os.environ.get("AWS_ENDPOINT_URL", LOCAL_ENDPOINT) if local else None
    # A local AWS that is down should be told at once; S3 by path, because its bucket names resolve nowhere.
    config = Config(
        retries={"mode": "standard", "max_attempts": 2 if local else 5},
        connect_timeout=3 if local else 10,
        s3={"addressing_style": "path" if local else "auto"},
    )
    return Aws(
        session=session,
        region=session.region_name or "us-east-1",
        endpoint=endpoint,
        cloudformation=session.client("cloudformation", endpoint_url=endpoint, config=config),
        s3=session.client("s3", endpoint_url=endpoint, config=config),
        stepfunctions=session.client("stepfunctions", endpoint_url=endpoint, config=config),
        functions=session.client("lambda", endpoint_url=endpoint, config=config),
    )
