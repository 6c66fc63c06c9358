"""Notebooks and Spark calculations on the lake's tables, with Athena."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_athena as athena
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge, acknowledge_wildcards
from cdk_data_science._validation import Problems
from cdk_data_science.data_lake._permissions import principal_construct
from cdk_data_science.data_lake._service_role import service_role
from cdk_data_science.data_lake._workgroup_checks import check_spark_workgroup
from cdk_data_science.data_lake.etl import _places
from cdk_data_science.data_lake.zone_folder import ZoneFolder

# What people call, on the workgroup and on sessions in it.
_USE = (
    "athena:CreateNotebook",
    "athena:CreatePresignedNotebookUrl",
    "athena:DeleteNotebook",
    "athena:ExportNotebook",
    "athena:GetCalculationExecution",
    "athena:GetCalculationExecutionCode",
    "athena:GetCalculationExecutionStatus",
    "athena:GetNotebookMetadata",
    "athena:GetSession",
    "athena:GetSessionStatus",
    "athena:GetWorkGroup",
    "athena:ImportNotebook",
    "athena:ListCalculationExecutions",
    "athena:ListNotebookMetadata",
    "athena:ListNotebookSessions",
    "athena:ListSessions",
    "athena:StartCalculationExecution",
    "athena:StartSession",
    "athena:StopCalculationExecution",
    "athena:TerminateSession",
    "athena:UpdateNotebook",
    "athena:UpdateNotebookMetadata",
)
# What a session itself calls, with the workgroup's role.
_SESSION = (
    "athena:CreatePresignedNotebookUrl",
    "athena:GetCalculationExecution",
    "athena:GetCalculationExecutionCode",
    "athena:GetCalculationExecutionStatus",
    "athena:GetSession",
    "athena:GetSessionStatus",
    "athena:GetWorkGroup",
    "athena:ListCalculationExecutions",
    "athena:ListSessions",
    "athena:StartCalculationExecution",
    "athena:StopCalculationExecution",
    "athena:TerminateSession",
)
_ENGINE = "PySpark engine version 3"
_LOGS = "/aws-athena"


class SparkWorkgroup(Construct):
    """An Athena workgroup for Spark: notebooks and calculations that start within seconds, without a cluster.

    All that run in it work as one role, which reads and writes the places that are named here and nothing
    else; so who may use the workgroup sees these data. People with other rights get a workgroup of their own.
    Notebooks and results are encrypted with the key of the zone of the results.

    **Costs at rest**: nothing. A session costs 0.35 USD for each hour of a processing unit (us-east-1,
    November 2026), one for its driver and those of its executors.

    ```python
    from aws_cdk import aws_iam as iam
    from cdk_data_science import DataLake, SparkWorkgroup, ZoneFolder

    lake = DataLake(self, "Lake")
    reviews = lake.curated.add_table("reviews", schema={"review_id": "string", "stars": "int"})
    explore = SparkWorkgroup(
        self,
        "Explore",
        name="explore",
        results=ZoneFolder(zone=lake.features, prefix="notebooks/explore/"),
        reads=[reviews],
    )
    scientist = iam.Role(self, "Scientist", assumed_by=iam.AccountRootPrincipal())
    explore.grant_use(scientist)
    ```

    Args:
        name: Letters, digits, dots, hyphens and underscores, at most 128; unique in the account and region.
        results: Folder of results, apart from tables, in a zone with a key.
        description: What it is for, at most 1024 characters. Default: none.
        reads: Zones, tables and folders that calculations read. Default: none.
        writes: Zones, tables and folders that they read and write. Default: none but the results.

    Raises:
        ConfigurationError: For names and folders that Athena would refuse, all mistakes at once.

    Follows https://docs.aws.amazon.com/athena/latest/ug/notebooks-spark-getting-started.html and
    https://docs.aws.amazon.com/athena/latest/ug/notebooks-spark-encryption.html.
    """

    workgroup: athena.CfnWorkGroup
    """The resource."""

    name: str
    """The workgroup's name."""

    role: iam.Role
    """What calculations work as."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str,
        results: ZoneFolder,
        description: str | None = None,
        reads: Sequence[_places.Place] = (),
        writes: Sequence[_places.Place] = (),
    ) -> None:
        super().__init__(scope, id)
        problems = Problems("SparkWorkgroup", self)
        _places.check_kinds(problems, reads=reads, writes=writes)
        problems.check_kind(
            "results", results, ZoneFolder, write='ZoneFolder(zone=lake.features, prefix="notebooks/")'
        )
        problems.raise_if_any()
        check_spark_workgroup(self, name=name, description=description, results=results)
        key = cast("kms.IKey", results.zone.key)  # checked above
        self.name = name
        self.role = self._make_role()
        _places.grant_read(self.role, reads)
        _places.grant_write(self.role, [results, *writes])
        self.workgroup = self._make_workgroup(description, results, key.key_arn)
        self.node.default_child = self.workgroup

    @property
    def arn(self) -> str:
        """The workgroup's ARN."""
        return Stack.of(self).format_arn(service="athena", resource="workgroup", resource_name=self.name)

    def grant_use(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal make notebooks, start sessions and run calculations here, as the workgroup's role.

        Args:
            grantee: A role, user or account.
        """
        sessions = f"{self.arn}/*"
        principal = principal_construct(grantee)
        if principal is not None:
            acknowledge_wildcards(
                principal, self, [sessions], "Athena names sessions itself; those of one workgroup are meant."
            )
        return iam.Grant.add_to_principal(
            grantee=grantee, actions=list(_USE), resource_arns=[self.arn, sessions]
        )

    def _make_workgroup(
        self, description: str | None, results: ZoneFolder, key_arn: str
    ) -> athena.CfnWorkGroup:
        properties = athena.CfnWorkGroup
        made = properties(
            self,
            "Resource",
            name=self.name,
            description=description,
            state="ENABLED",
            recursive_delete_option=False,
            work_group_configuration=properties.WorkGroupConfigurationProperty(
                enforce_work_group_configuration=True,
                publish_cloud_watch_metrics_enabled=True,
                engine_version=properties.EngineVersionProperty(selected_engine_version=_ENGINE),
                execution_role=self.role.role_arn,
                customer_content_encryption_configuration=(
                    properties.CustomerContentEncryptionConfigurationProperty(kms_key=key_arn)
                ),
                result_configuration=properties.ResultConfigurationProperty(
                    output_location=results.uri,
                    expected_bucket_owner=Stack.of(results.zone).account,
                    encryption_configuration=properties.EncryptionConfigurationProperty(
                        encryption_option="SSE_KMS", kms_key=key_arn
                    ),
                ),
            ),
        )
        made.node.add_dependency(self.role)
        return made

    def _make_role(self) -> iam.Role:
        stack = Stack.of(self)
        sessions = f"{self.arn}/*"
        role = service_role(
            self, "athena", "Spark calculations of one Athena workgroup work with this role", source=self.arn
        )
        role.add_to_policy(iam.PolicyStatement(actions=list(_SESSION), resources=[self.arn, sessions]))
        logs = stack.format_arn(
            service="logs",
            resource="log-group",
            resource_name=f"{_LOGS}:*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        groups = f"{_LOGS}*"
        all_groups = stack.format_arn(
            service="logs",
            resource="log-group",
            resource_name=groups,
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        role.add_to_policy(
            iam.PolicyStatement(
                actions=[
                    "logs:CreateLogGroup",
                    "logs:CreateLogStream",
                    "logs:DescribeLogStreams",
                    "logs:PutLogEvents",
                ],
                resources=[logs, all_groups],
            )
        )
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["cloudwatch:PutMetricData"],
                resources=["*"],
                conditions={"StringEquals": {"cloudwatch:namespace": "AmazonAthenaForApacheSpark"}},
            )
        )
        acknowledge_wildcards(
            role,
            self,
            [sessions, logs, all_groups],
            "Athena names sessions and log streams itself; those of one workgroup and of Athena's own log "
            "groups are meant.",
        )
        acknowledge(
            role,
            ["AwsSolutions-IAM5[Resource::*]"],
            "cloudwatch:PutMetricData has no resource in IAM; it is bound to Athena's namespace by a "
            "condition.",
        )
        return role
