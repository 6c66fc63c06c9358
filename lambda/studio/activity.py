"""The apps that run in a Studio domain, who they belong to and how long they have run.

SageMaker publishes no metric for this. One line for each running app goes to the log, for a table of owners;
one line in CloudWatch's embedded metric format has the sums, so that their number does not grow with people.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.config import Config

NAMESPACE = "CdkDataScience/Studio"
_CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 10}, connect_timeout=5)
_RUNNING = ("InService", "Pending", "Deleting")  # each of them is billed


def handler(_event: dict[str, Any], _context: object) -> dict[str, int]:
    """Write what runs now; the answer has the sums."""
    domain = os.environ["DOMAIN_ID"]
    sagemaker = boto3.client("sagemaker", config=_CONFIG)
    now = datetime.now(UTC)
    apps = list(_running(sagemaker, domain, now))
    for app in apps:
        _write({"app": app})
    sums = {
        "RunningApps": len(apps),
        "Owners": len({app["owner"] for app in apps}),
        "LongestRunHours": max((app["hours"] for app in apps), default=0),
    }
    _write(_metrics(domain, sums))
    return sums


def _running(sagemaker: Any, domain: str, now: datetime) -> Iterator[dict[str, Any]]:
    spaces = {space["SpaceName"]: space for space in _pages(sagemaker, "list_spaces", "Spaces", domain)}
    for app in _pages(sagemaker, "list_apps", "Apps", domain):
        if app["Status"] not in _RUNNING:
            continue
        space = spaces.get(app.get("SpaceName", ""), {})
        owner = space.get("OwnershipSettingsSummary", {}).get("OwnerUserProfileName")
        yield {
            "owner": owner or app.get("UserProfileName") or "unknown",
            "space": app.get("SpaceName", ""),
            "sharing": space.get("SpaceSharingSettingsSummary", {}).get("SharingType", ""),
            "type": app["AppType"],
            "instance": app.get("ResourceSpec", {}).get("InstanceType", "unknown"),
            "status": app["Status"],
            "hours": round((now - app["CreationTime"]).total_seconds() / 3600, 1),
        }


def _pages(sagemaker: Any, operation: str, member: str, domain: str) -> Iterator[dict[str, Any]]:
    for page in sagemaker.get_paginator(operation).paginate(
        DomainIdEquals=domain, PaginationConfig={"PageSize": 100}
    ):
        yield from page[member]


def _write(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")


def _metrics(domain: str, sums: dict[str, Any]) -> dict[str, Any]:
    metrics = [{"Name": name, "Unit": "None" if "Hours" in name else "Count"} for name in sums]
    directive = {"Namespace": NAMESPACE, "Dimensions": [["DomainId"]], "Metrics": metrics}
    about = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
    return {"_aws": about, "DomainId": domain, **sums}
