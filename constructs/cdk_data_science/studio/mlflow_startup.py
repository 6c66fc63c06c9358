"""Notebooks in Studio find MLflow."""

from __future__ import annotations

from aws_cdk import Fn, Lazy
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from cdk_data_science._tracking import IExperimentTracking
from cdk_data_science.studio.lifecycle import ContentName
from cdk_data_science.studio.users import SpaceApp

_STARTUP = """#!/bin/bash
set -eu
folder="$HOME/.ipython/profile_default/startup"
mkdir -p "$folder"
echo 'import os; os.environ.setdefault("MLFLOW_TRACKING_URI", "{arn}")' > "$folder/00-mlflow.py"
"""


class MlflowStartup(Construct):
    """A lifecycle configuration that tells notebooks where MLflow is: ``MLFLOW_TRACKING_URI``, unless it is
    set."""

    def __init__(self, scope: Construct, id: str, *, app: SpaceApp, mlflow: IExperimentTracking) -> None:
        super().__init__(scope, id)
        self.app = app
        before, after = _STARTUP.split("{arn}")
        # Another app has another ARN, and so has the script: its name ends in what is the app's own of it.
        number = Fn.select(1, Fn.split("/", mlflow.arn))
        name = Lazy.string(ContentName(self, f"mlflow-{app.value.lower()}", [app.value, _STARTUP]))
        self.resource = sagemaker.CfnStudioLifecycleConfig(
            self,
            "Resource",
            studio_lifecycle_config_app_type=app.value,
            studio_lifecycle_config_content=Fn.base64(f"{before}{mlflow.arn}{after}"),
            studio_lifecycle_config_name=f"{name}-{number}",
        )

    @property
    def arn(self) -> str:
        """Its ARN."""
        return self.resource.attr_studio_lifecycle_config_arn
