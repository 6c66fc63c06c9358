"""Services that ministack lacks: SageMaker, FSx and Cost Explorer (ours); Lake Formation and Application Auto
Scaling (moto)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from local_aws import moto_backend


@dataclass(frozen=True, slots=True)
class Service:
    name: str
    handler: Any
    target_prefix: str | None = None


def install() -> None:
    from ministack import app
    from ministack.core import iam_actions, router
    from ministack.services import tagging

    from local_aws import cost_explorer, fsx
    from local_aws.sagemaker import api

    for service in (
        Service("sagemaker", api.handle, "SageMaker"),
        Service("lakeformation", moto_backend.handle),
        Service("application-autoscaling", moto_backend.handle, "AnyScaleFrontendService"),
        Service("fsx", fsx.handle, "AWSSimbaAPIService_v20180301"),
        Service("ce", cost_explorer.handle, "AWSInsightsIndexService"),
    ):
        app.SERVICE_HANDLERS[service.name] = service.handler
        iam_actions.SERVICE_TO_IAM_NAMESPACE[service.name] = service.name
        router.SERVICE_PATTERNS[service.name] = {
            "target_prefixes": [f"{service.target_prefix}."] if service.target_prefix else [],
            "host_patterns": [rf"^{service.name}\."],
            "credential_scope": service.name,
        }
    tagging._RESOURCE_TAG_COLLECTORS["fsx"] = fsx.tagged
