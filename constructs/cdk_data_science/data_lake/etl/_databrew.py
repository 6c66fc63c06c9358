"""What profiles and recipes of DataBrew share."""

from __future__ import annotations

from typing import Any

from aws_cdk import ArnFormat, Duration, Names, Stack
from aws_cdk import aws_databrew as databrew
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge_wildcards
from cdk_data_science._validation import Problems, is_whole
from cdk_data_science.data_lake._failure_rule import tell_of_failures
from cdk_data_science.data_lake._scheduled_call import call_by_schedule, check_schedule
from cdk_data_science.data_lake._service_role import service_role
from cdk_data_science.data_lake.etl import _places
from cdk_data_science.data_lake.table_base import TableBase
from cdk_data_science.data_lake.zone_folder import ZoneFolder
from cdk_data_science.monitoring.alerts import AlertTopic

_LOGS = "/aws-glue-databrew/jobs"


class DataBrewJob(Construct):
    """A DataBrew job on a table. Make a :class:`DataProfile` or a :class:`RecipeJob`."""

    job: databrew.CfnJob
    """The resource."""

    dataset: databrew.CfnDataset
    """What it reads: the table, as the catalog has it."""

    name: str
    """The job's name."""

    role: iam.Role
    """What it works as."""

    alerts: AlertTopic
    """Who is told of runs that failed."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        kind: str,
        table: TableBase,
        output: ZoneFolder | TableBase,
        nodes: int,
        timeout: Duration,
        retries: int,
        schedule: str | None,
        timezone: str,
        problems: Problems,
    ) -> None:
        super().__init__(scope, id)
        problems.check(is_whole(nodes, 1), given=f"nodes={nodes!r}", allowed="1 or more")
        problems.check(is_whole(retries, 0), given=f"retries={retries!r}", allowed="0 or more")
        minutes = timeout.to_seconds() / 60
        problems.check(
            minutes >= 1 and minutes == int(minutes),
            given=f"timeout of {minutes} minutes",
            allowed="whole minutes, 1 or more",
        )
        problems.check(
            not isinstance(output, ZoneFolder)
            or output.zone is not table.zone
            or not (output.prefix.startswith(table.prefix) or table.prefix.startswith(output.prefix)),
            given=f"output in the folder of table {table.name!r}",
            allowed="a folder apart from it: the table would read the output as its rows",
        )
        check_schedule(problems, schedule, timezone)
        problems.raise_if_any()
        self._table, self._output = table, output
        self.role = self._make_role(kind)
        table.grant_select(self.role)
        _places.grant_write(self.role, [output])
        # CloudFormation gives no names to what DataBrew has.
        self.name = Names.unique_resource_name(self, max_length=200, separator="-")
        self.dataset = databrew.CfnDataset(
            self,
            "Dataset",
            name=f"{self.name}-data",
            input=databrew.CfnDataset.InputProperty(
                data_catalog_input_definition=databrew.CfnDataset.DataCatalogInputDefinitionProperty(
                    catalog_id=Stack.of(table.zone).account,
                    database_name=table.database_name,
                    table_name=table.name,
                )
            ),
        )

    def _common(self, *, nodes: int, timeout: Duration, retries: int) -> dict[str, Any]:
        """What the resources of both kinds have alike."""
        key = _places.zone_of(self._output).key
        return {
            "name": self.name,
            "role_arn": self.role.role_arn,
            "dataset_name": self.dataset.ref,
            "encryption_mode": "SSE-S3" if key is None else "SSE-KMS",
            "encryption_key_arn": None if key is None else key.key_arn,
            "log_subscription": "ENABLE",
            "max_capacity": nodes,
            "max_retries": retries,
            "timeout": int(timeout.to_minutes()),
        }

    def _run(
        self, job: databrew.CfnJob, *, schedule: str | None, timezone: str, alerts: AlertTopic | None
    ) -> None:
        """Start it by its schedule, and tell of its failures."""
        self.job = job
        job.node.add_dependency(self.role)
        for made in self._table.made:
            self.dataset.add_resource_dependency(made)
        self.alerts = AlertTopic(self, "Alerts") if alerts is None else alerts
        tell_of_failures(
            self,
            self.alerts,
            description=f"Failed runs of {self.node.path}",
            source="aws.databrew",
            detail_type="DataBrew Job State Change",
            detail={"jobName": [self.name], "state": ["FAILED", "TIMEOUT"]},
            message=f"A run of the DataBrew job {self.node.path} failed or took too long. Its log is in "
            f"{_LOGS}.",
        )
        if schedule is not None:
            call_by_schedule(
                self,
                schedule=schedule,
                timezone=timezone,
                service="databrew",
                call="startJobRun",
                input={"Name": job.ref},
                resource=self.arn,
                starts="DataBrew job",
            )
        self.node.default_child = job

    @property
    def arn(self) -> str:
        """The job's ARN."""
        return Stack.of(self).format_arn(service="databrew", resource="job", resource_name=self.name)

    def grant_start(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal start runs of this job, look at them and stop them.

        Args:
            grantee: A role, user or account.
        """
        return iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["databrew:StartJobRun", "databrew:DescribeJobRun", "databrew:StopJobRun"],
            resource_arns=[self.arn],
        )

    def _make_role(self, kind: str) -> iam.Role:
        stack = Stack.of(self)
        role = service_role(
            self, "databrew", f"Role of one {kind}: its log, the table that it reads and where it writes"
        )
        group = stack.format_arn(
            service="logs",
            resource="log-group",
            resource_name=_LOGS,
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        streams = f"{group}:*"
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
                resources=[group, streams],
            )
        )
        acknowledge_wildcards(
            role, self, [streams], "DataBrew keeps one log group, with streams that it names by runs."
        )
        return role
