"""Where a training program records its experiment: MLflow, managed by SageMaker."""

from __future__ import annotations

import re
from dataclasses import dataclass

from aws_cdk import aws_iam as iam

from cdk_data_science._validation import Problems, is_token

_ARN = re.compile(
    r"arn:aws[a-z-]*:sagemaker:[a-z0-9-]+:\d{12}:(mlflow-tracking-server|mlflow-app)/[A-Za-z0-9](-*[A-Za-z0-9])*"
)
_WRITE = (
    "CreateExperiment",
    "CreateRun",
    "FinalizeLoggedModel",
    "GetExperiment",
    "GetExperimentByName",
    "GetLoggedModel",
    "GetRun",
    "ListArtifacts",
    "LogBatch",
    "LogInputs",
    "LogLoggedModelParams",
    "LogMetric",
    "LogModel",
    "LogOutputs",
    "LogParam",
    "SearchRuns",
    "SetExperimentTag",
    "SetLoggedModelTags",
    "SetTag",
    "UpdateRun",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class MlflowTracking:
    """An MLflow tracking server or app that jobs record their runs in.

    The program's ``mlflow`` finds it by ``MLFLOW_TRACKING_URI``, which is its ARN: the image needs the
    packages ``mlflow`` and ``sagemaker-mlflow``, and a VPC without internet the interface endpoint of
    ``sagemaker-mlflow``.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/mlflow-track-experiments.html
    """

    arn: str
    """ARN of the tracking server or of the app."""
    experiment: str | None = None
    """Experiment that the runs belong to. Default: what the program says, else MLflow's own default."""

    def check(self, problems: Problems) -> None:
        """Report what is no place to record in."""
        problems.check(
            is_token(self.arn) or _ARN.fullmatch(self.arn) is not None,
            given=f"mlflow arn {self.arn!r}",
            allowed="the ARN of an MLflow tracking server or app",
            write='arn="arn:aws:sagemaker:eu-west-1:111122223333:mlflow-tracking-server/team"',
        )
        problems.check(
            self.experiment is None or is_token(self.experiment) or 0 < len(self.experiment) <= 256,
            given=f"mlflow experiment of {len(self.experiment or '')} characters",
            allowed="1 to 256 characters",
        )

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which MLflow's client finds the server and the experiment."""
        named = {} if self.experiment is None else {"MLFLOW_EXPERIMENT_NAME": self.experiment}
        return {"MLFLOW_TRACKING_URI": self.arn, **named}

    def grant_write(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal record runs, and log models into them; register and delete nothing."""
        return iam.Grant.add_to_principal(
            grantee=grantee,
            actions=[f"sagemaker-mlflow:{name}" for name in _WRITE],
            resource_arns=[self.arn],
        )
