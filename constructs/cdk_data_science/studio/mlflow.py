"""MLflow: where runs are recorded with their parameters, metrics and models."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

from aws_cdk import ArnFormat, CfnResource, Names, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge_inline_policy
from cdk_data_science._retention import removal_policy
from cdk_data_science._tracking import IExperimentTracking
from cdk_data_science._validation import FOLDER, Problems, is_token
from cdk_data_science.data_lake import IZone
from cdk_data_science.studio._mlflow_access import (
    APP,
    SERVER,
    ImportedMlflow,
    MlflowBase,
    kind_of,
    server_arn,
)

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,255}")
_WINDOW = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun):([01]\d|2[0-3]):[0-5]\d")
_VERSION = re.compile(r"\d+(\.\d+)+")
_SIZES = ("Small", "Medium", "Large")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackingServer:
    """A server of one's own instead of the managed app. It is billed by the hour until it is stopped or
    deleted, whether anybody records anything or not."""

    size: Literal["Small", "Medium", "Large"] = "Small"
    """For about 25, 50 and 100 people. It may be changed, which takes the server some 20 minutes."""
    mlflow_version: str | None = None
    """Such as ``3.0``; the newest that SageMaker has if not given. SageMaker's API has no way to change it
    later."""


class Mlflow(MlflowBase):
    """MLflow as SageMaker runs it: the managed app, or a tracking server.

    Builds a role that SageMaker of this account alone may take and that may read and write one folder of a
    zone, with the zone's key. Nothing else of MLflow is in your account: runs, parameters and metrics are in
    a database of SageMaker's, encrypted with a key of AWS, since CloudFormation takes no other. Only files
    lie in the zone, under its key. Models that are registered in MLflow stay there: versions in SageMaker's
    registry are made by pipelines, behind their gates.

    Training jobs are wired by ``SpotTraining(tracking=mlflow)``, anything else by :attr:`environment` and
    :meth:`grant_log`.

    Programs in a network without internet reach a tracking server by the endpoints of
    ``NetworkFeature.MLFLOW``. The app has an address of its own (``mlflow.sagemaker.<region>.app.aws``), for
    which they need a way out.

    At rest the app has no price by the hour in our table of prices: look at SageMaker's page. A tracking
    server is billed by the hour.

    Example:
        ```python
        import aws_cdk as cdk
        from aws_cdk import aws_iam as iam
        from cdk_data_science import DataLake, Mlflow

        stack = cdk.Stack(cdk.App(), "Tracking")
        lake = DataLake(stack, "Lake")
        mlflow = Mlflow(stack, "Mlflow", artifacts=lake.models)
        mlflow.grant_log(
            iam.Role(stack, "Notebook", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
        )
        ```

    Args:
        artifacts: Zone of the files that runs keep.
        artifacts_prefix: Their folder, ending in a slash, which nothing else uses.
        server: Run a tracking server instead of the managed app.
        name: 1 to 256 letters, digits and hyphens; made from the construct's place if not given. Neither can
            be renamed: another name is another one, and what was recorded is lost.
        maintenance: Begin of the weekly maintenance in UTC, such as ``Sun:03:30``; SageMaker chooses if not
            given.
        destroy: It is kept with its role when the stack is deleted. This is the first of the two keys that
            let it go; the other one is the context key ``cdk-data-science:destroyData``. A tracking server
            that is kept is billed until it is stopped.

    Raises:
        ConfigurationError: values that SageMaker would refuse, all of them at once.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/mlflow.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        artifacts: IZone,
        artifacts_prefix: str = "mlflow/",
        server: TrackingServer | None = None,
        name: str | None = None,
        maintenance: str | None = None,
        destroy: bool = False,
    ) -> None:
        super().__init__(scope, id)
        self.is_app = server is None
        self.artifacts = artifacts
        self.artifacts_prefix = artifacts_prefix
        # Another name is another one, and its id says so: who reads the ARN in another stack follows then.
        suffix = "" if name is None or is_token(name) else f"-{name}"
        name = name if name is not None else Names.unique_resource_name(self, max_length=63, separator="-")
        self._check(name, maintenance, server)
        self.role = self._make_role()
        self.resource: CfnResource
        if server is None:
            app = sagemaker.CfnMlflowApp(
                self,
                f"App{suffix}",
                name=name,
                artifact_store_uri=self.artifacts_uri,
                role_arn=self.role.role_arn,
                model_registration_mode="AutoModelRegistrationDisabled",
                weekly_maintenance_window_start=maintenance,
            )
            self.resource, self.arn = app, app.attr_arn
        else:
            self.resource = sagemaker.CfnMlflowTrackingServer(
                self,
                f"Server{suffix}",
                tracking_server_name=name,
                artifact_store_uri=self.artifacts_uri,
                role_arn=self.role.role_arn,
                automatic_model_registration=False,
                mlflow_version=server.mlflow_version,
                tracking_server_size=server.size,
                weekly_maintenance_window_start=maintenance,
            )
            self.arn = server_arn(self, name)
        # SageMaker tries whether the role reaches the files when it makes the app.
        permissions = cast("iam.Policy", self.role.node.find_child("DefaultPolicy"))
        self.resource.node.add_dependency(permissions)
        if removal_policy(self, destroy=destroy) == RemovalPolicy.RETAIN:
            # What was recorded is nowhere else, and its files are out of reach without the role. What a
            # deployment that fails has made is empty, and goes.
            for kept in (self.resource, self.role.node.default_child, permissions.node.default_child):
                cast("CfnResource", kept).apply_removal_policy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE)
        self.node.default_child = self.resource

    @staticmethod
    def from_arn(
        scope: Construct, id: str, arn: str, *, artifacts: IZone, artifacts_prefix: str = "mlflow/"
    ) -> MlflowBase:
        """Use an app or tracking server of another app or account.

        Args:
            arn: Its ARN, which has to be known at synthesis: it says which of the two it is.
            artifacts: The zone of its files.
            artifacts_prefix: Their folder.

        Raises:
            ConfigurationError: an ARN of something else, or a folder that is none.
        """
        problems = Problems("Mlflow.from_arn", scope)
        kind = kind_of(arn)
        problems.check(
            kind is not None,
            given=f"arn={arn!r}",
            allowed=f"the ARN of an {APP} or an {SERVER}",
            write=f'arn="arn:aws:sagemaker:us-east-1:111122223333:{SERVER}/research"',
        )
        _check_prefix(problems, artifacts_prefix)
        problems.raise_if_any()
        return ImportedMlflow(
            scope, id, arn=arn, is_app=kind == APP, artifacts=artifacts, artifacts_prefix=artifacts_prefix
        )

    def _make_role(self) -> iam.Role:
        stack = Stack.of(self)
        role = iam.Role(
            self,
            "Role",
            description="Role of MLflow: the files of its runs, in one folder of the lake",
            assumed_by=iam.ServicePrincipal(
                "sagemaker.amazonaws.com",
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnLike": {
                        "aws:SourceArn": stack.format_arn(
                            service="sagemaker", resource="*", arn_format=ArnFormat.NO_RESOURCE_NAME
                        )
                    },
                },
            ),
        )
        self.artifacts.grant_read_write(role, self.artifacts_prefix)
        acknowledge_inline_policy(role)
        return role

    def _check(self, name: str, maintenance: str | None, server: TrackingServer | None) -> None:
        problems = Problems("Mlflow", self)
        _check_prefix(problems, self.artifacts_prefix)
        problems.check(
            is_token(name) or _NAME.fullmatch(name) is not None,
            given=f"name={name!r}",
            allowed="1 to 256 letters, digits and hyphens, with a letter or digit at both ends",
            write='name="research"',
        )
        problems.check(
            maintenance is None or is_token(maintenance) or _WINDOW.fullmatch(maintenance) is not None,
            given=f"maintenance={maintenance!r}",
            allowed="a day and a time in UTC",
            write='maintenance="Sun:03:30"',
        )
        if server is not None:
            problems.check(
                is_token(server.size) or server.size in _SIZES,
                given=f"size={server.size!r}",
                allowed=", ".join(_SIZES),
            )
            version = server.mlflow_version
            problems.check(
                version is None or is_token(version) or _VERSION.fullmatch(version) is not None,
                given=f"mlflow_version={version!r}",
                allowed="numbers with dots between them",
                write='mlflow_version="3.0"',
            )
        problems.raise_if_any()


def _check_prefix(problems: Problems, prefix: str) -> None:
    problems.check(
        is_token(prefix) or FOLDER.fullmatch(prefix) is not None,
        given=f"artifacts_prefix={prefix!r}",
        allowed="a folder of the zone: no slash at the start, one at the end",
        write='artifacts_prefix="mlflow/"',
    )


__all__ = ["IExperimentTracking", "Mlflow", "MlflowBase", "TrackingServer"]
