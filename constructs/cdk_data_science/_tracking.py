"""What jobs and work places need of a service that records experiments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from aws_cdk import aws_iam as iam

EXPERIMENT_VARIABLE = "MLFLOW_EXPERIMENT_NAME"
"""What MLflow's clients read the name of the experiment from."""


class IExperimentTracking(Protocol):
    """Where runs are recorded, whether it was built here or imported."""

    @property
    def arn(self) -> str:
        """The ARN of the service, which MLflow's clients take as their tracking URI."""

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that point MLflow's clients at it: for jobs, notebooks and functions."""

    def grant_log(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal record runs: parameters, metrics, tags, models and files."""

    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal search and read what was recorded, with its files."""
