"""Who may do what in MLflow: the grants that built and imported ones share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import Arn, ArnFormat, Stack, Token
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge
from cdk_data_science.data_lake import IZone

APP = "mlflow-app"
SERVER = "mlflow-tracking-server"
TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"

_READ = (
    "GetExperiment",
    "GetExperimentByName",
    "GetLoggedModel",
    "GetMetricHistory",
    "GetRun",
    "ListArtifacts",
    "ListLoggedModelArtifacts",
    "SearchExperiments",
    "SearchLoggedModels",
    "SearchRuns",
)
# Nothing that deletes, and nothing of MLflow's own registry: models are registered in SageMaker's.
_LOG = (
    "CreateExperiment",
    "CreateRun",
    "FinalizeLoggedModel",
    "GetExperiment",
    "GetExperimentByName",
    "GetLoggedModel",
    "GetRun",
    "LogBatch",
    "LogInputs",
    "LogLoggedModelParams",
    "LogMetric",
    "LogModel",
    "LogOutputs",
    "LogParam",
    "SetExperimentTag",
    "SetLoggedModelTags",
    "SetTag",
    "UpdateRun",
)


class MlflowBase(Construct):
    """The grants of an MLflow app or tracking server, built here or imported."""

    arn: str
    """The ARN, which MLflow's clients take as their tracking URI."""

    is_app: bool
    """Whether it is the managed app; if not, it is a tracking server."""

    artifacts: IZone
    """The zone of the files that runs keep: models, pictures, tables."""

    artifacts_prefix: str
    """The folder of that zone."""

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that point MLflow's clients at it. Its clients need the package ``sagemaker-mlflow``,
        which signs their calls."""
        return {TRACKING_VARIABLE: self.arn}

    @property
    def artifacts_uri(self) -> str:
        """Where the files of all runs lie."""
        return self.artifacts.uri(self.artifacts_prefix.rstrip("/"))

    def grant_log(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal record runs and models, and write their files, which MLflow's clients do
        themselves. Deleting runs and experiments is no part of it, nor is MLflow's own model registry."""
        return self._calls(grantee, _LOG).combine(self.artifacts.grant_write(grantee, self.artifacts_prefix))

    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal search and read what was recorded, and read its files.

        IAM tells reading from recording for certain on a tracking server only. Each call to an app needs
        ``sagemaker:CallMlflowAppApi``, which has no condition on what the call does; the single actions of
        ``sagemaker-mlflow`` are given beside it, as in AWS's own managed policies, but their reference names
        tracking servers alone. What must not be changed belongs on a tracking server. Files are read-only in
        both.
        """
        return self._calls(grantee, _READ).combine(self.artifacts.grant_read(grantee, self.artifacts_prefix))

    def grant_open(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a person open MLflow's page, which is done with a signed address that is valid for at most five
        minutes. What the page shows and does, :meth:`grant_read` or :meth:`grant_log` permits."""
        noun = "App" if self.is_app else "TrackingServer"
        opening = iam.Grant.add_to_principal(
            grantee=grantee,
            actions=[f"sagemaker:CreatePresignedMlflow{noun}Url", f"sagemaker:DescribeMlflow{noun}"],
            resource_arns=[self.arn],
        )
        principal: Any = grantee.grant_principal
        if Construct.is_construct(principal):
            acknowledge(
                principal,
                ["AwsSolutions-IAM5[Resource::*]"],
                "sagemaker-mlflow:AccessUI has no resource-level permissions. It opens the page; what the "
                "page shows, other actions permit, on one app or tracking server.",
            )
        page = iam.Grant.add_to_principal(
            grantee=grantee, actions=["sagemaker-mlflow:AccessUI"], resource_arns=["*"]
        )
        return opening.combine(page)

    def _calls(self, grantee: iam.IGrantable, names: tuple[str, ...]) -> iam.Grant:
        actions = [f"sagemaker-mlflow:{name}" for name in names]
        if self.is_app:
            actions.append("sagemaker:CallMlflowAppApi")
        return iam.Grant.add_to_principal(grantee=grantee, actions=actions, resource_arns=[self.arn])


class ImportedMlflow(MlflowBase):
    """An app or tracking server that something else owns."""

    def __init__(
        self, scope: Construct, id: str, *, arn: str, is_app: bool, artifacts: IZone, artifacts_prefix: str
    ) -> None:
        super().__init__(scope, id)
        self.arn = arn
        self.is_app = is_app
        self.artifacts = artifacts
        self.artifacts_prefix = artifacts_prefix


def server_arn(scope: Construct, name: str) -> str:
    """The ARN of a tracking server, known from its name: no policy waits half an hour for the server."""
    return Stack.of(scope).format_arn(service="sagemaker", resource=SERVER, resource_name=name)


def kind_of(arn: str) -> str | None:
    """``mlflow-app`` or ``mlflow-tracking-server``; None for anything else."""
    if Token.is_unresolved(arn) or arn.count(":") < 5:
        return None
    parts = Arn.split(arn, ArnFormat.SLASH_RESOURCE_NAME)
    known = parts.service == "sagemaker" and parts.resource in (APP, SERVER) and parts.resource_name
    return parts.resource if known else None
