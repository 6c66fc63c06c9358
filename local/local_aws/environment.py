"""The variables with which every tool and SDK talks to an instance and to nothing else."""

from __future__ import annotations

import os
import shlex
from typing import Any


def variables(status: dict[str, Any]) -> dict[str, str]:
    """What points the AWS CDK, SDKs and command line at the instance of this status."""
    return {
        "AWS_ENDPOINT_URL": status["endpoint"],
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": status["region"],
        "AWS_DEFAULT_REGION": status["region"],
        "AWS_EC2_METADATA_DISABLED": "true",
        "CDK_DEFAULT_ACCOUNT": status["account"],
        "CDK_DEFAULT_REGION": status["region"],
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        **({"MLFLOW_TRACKING_URI": status["mlflow"]} if status["mlflow"] else {}),
    }


def pointed_at(status: dict[str, Any]) -> dict[str, str]:
    """The caller's environment with these variables, and without what points at another AWS."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return own | variables(status)


def exports(status: dict[str, Any]) -> str:
    """Lines for a shell, which also take away what would point it at another AWS."""
    lines = ["unset AWS_PROFILE AWS_DEFAULT_PROFILE AWS_SESSION_TOKEN"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in variables(status).items()]
    return "\n".join(lines)
