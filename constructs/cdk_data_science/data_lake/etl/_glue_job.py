"""What batch and streaming jobs share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from cdk_data_science._encryption import operations_key
from cdk_data_science._validation import ConfigurationError, Problems, is_token, is_whole
from cdk_data_science.data_lake._failure_rule import tell_of_failures
from cdk_data_science.data_lake.etl import _places
from cdk_data_science.data_lake.etl._role import JobRole
from cdk_data_science.data_lake.etl.connection import JobConnection
from cdk_data_science.data_lake.etl.script import Script, ScriptFile, ScriptObject, bind
from cdk_data_science.data_lake.etl.workers import Workers, check_version
from cdk_data_science.data_lake.zone_folder import ZoneFolder
from cdk_data_science.monitoring.alerts import AlertTopic

TableFormatName = Literal["iceberg", "delta", "hudi"]
_TABLE_FORMATS = ("iceberg", "delta", "hudi")
_CODE = (".py",)
_LIBRARIES = (".py", ".zip", ".whl", ".egg")
LONGEST_MINUTES = 7 * 24 * 60
START_ACTIONS = ("glue:StartJobRun", "glue:GetJobRun", "glue:GetJobRuns", "glue:BatchStopJobRun")
"""To start runs of a job, to see how they end, and to stop them."""
_ARGUMENT = re.compile(r"--[A-Za-z_][A-Za-z0-9_-]{0,254}")
# Arguments that an option writes, and those that Glue keeps for itself.
_OPTIONS = {
    "--job-bookmark-option": "bookmarks",
    "--enable-auto-scaling": "workers",
    "--datalake-formats": "table_formats",
    "--conf": "spark_conf",
    "--extra-py-files": "libraries",
    "--additional-python-modules": "modules",
    "--TempDir": "scratch",
    "--enable-metrics": "metrics",
    "--enable-observability-metrics": "metrics",
}
_RESERVED = ("--debug", "--mode", "--JOB_NAME", "--endpoint")


class GlueJob(Construct):
    """A Glue job with its role, its logs and its failure rule. Make a :class:`SparkJob` or a
    :class:`StreamingJob`."""

    job: glue.CfnJob
    """The resource."""

    name: str
    """The job's name, which CloudFormation makes."""

    role: iam.Role
    """What it works as."""

    error_log: logs.LogGroup
    """Where Spark and the job's logger write."""

    output_log: logs.LogGroup
    """Where the script prints to."""

    alerts: AlertTopic | None
    """Who is told of runs that failed; None if nobody is."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        kind: str,
        command: str,
        script: Script,
        reads: Sequence[_places.Place],
        writes: Sequence[_places.Place],
        arguments: Mapping[str, str],
        own_arguments: Mapping[str, str],
        workers: Workers,
        glue_version: str,
        flex: bool,
        timeout: Duration | None,
        maintenance_window: str | None,
        retries: int,
        parallel_runs: int,
        libraries: Sequence[Script],
        modules: Sequence[str],
        table_formats: Sequence[TableFormatName],
        spark_conf: Mapping[str, str],
        connections: Sequence[JobConnection],
        scratch: ZoneFolder | None,
        metrics: bool,
        tell_of_failures: bool,
        alerts: AlertTopic | None,
        log_key: kms.IKey | None,
        description: str | None,
    ) -> None:
        super().__init__(scope, id)
        problems = Problems(kind, self)
        _check_kinds(problems, script, libraries, workers, timeout)
        _places.check_kinds(problems, reads=reads, writes=writes)
        problems.raise_if_any()
        outputs = [*writes, *([] if scratch is None else [scratch])]
        script.check(problems, _CODE)
        for library in libraries:
            library.check(problems, _LIBRARIES)
        workers.check(problems, streaming=command == "gluestreaming")
        check_version(problems, glue_version)
        _check_arguments(problems, arguments)
        _check_limits(problems, timeout, retries, parallel_runs)
        _places.check_one_key(problems, outputs)
        problems.check(
            all(name in _TABLE_FORMATS for name in table_formats),
            given=f"table_formats={list(table_formats)!r}",
            allowed=", ".join(_TABLE_FORMATS),
        )
        problems.check(
            tell_of_failures or alerts is None,
            given="alerts with tell_of_failures=False",
            allowed="one of them",
        )
        self._check(problems)
        problems.raise_if_any()

        self._metrics = metrics
        if log_key is None:
            log_key = operations_key(self, "Key", description=f"Logs and alerts of {self.node.path}")
        self._access = JobRole(
            self, "Access", data_key=_places.key_of(outputs, reads), log_key=log_key, what=kind
        )
        self.role = self._access.role
        self.error_log, self.output_log = self._access.error_log, self._access.output_log
        _places.grant_read(self.role, reads)
        _places.grant_write(self.role, outputs)
        if connections:
            self._access.allow_network(
                [each.subnet for each in connections], [each.security_group for each in connections]
            )
            for connection in connections:
                connection.grant_use(self.role)
        self.job = glue.CfnJob(
            self,
            "Resource",
            description=description,
            role=self.role.role_arn,
            command=glue.CfnJob.JobCommandProperty(
                name=command, python_version="3", script_location=bind(script, self, "Script", self.role)
            ),
            glue_version=glue_version,
            worker_type=workers.type,
            number_of_workers=workers.count,
            execution_class="FLEX" if flex else None,
            timeout=None if timeout is None else timeout.to_minutes(),
            maintenance_window=maintenance_window,
            max_retries=retries,
            execution_property=glue.CfnJob.ExecutionPropertyProperty(max_concurrent_runs=parallel_runs),
            security_configuration=self._access.security.ref,
            connections=glue.CfnJob.ConnectionsListProperty(connections=[each.name for each in connections])
            if connections
            else None,
            default_arguments={
                "--job-language": "python",
                **own_arguments,
                **({"--enable-auto-scaling": "true"} if workers.auto_scaling else {}),
                **_metric_arguments(metrics),
                **self._library_arguments(libraries, modules),
                **({"--datalake-formats": ",".join(table_formats)} if table_formats else {}),
                **_conf(spark_conf),
                **({} if scratch is None else {"--TempDir": scratch.uri}),
                **arguments,
            },
        )
        self.job.node.add_dependency(self._access)
        self.name = self.job.ref
        self.alerts = None
        if tell_of_failures:
            self.alerts = AlertTopic(self, "Alerts", key=log_key) if alerts is None else alerts
            self._tell(self.alerts)
        self.node.default_child = self.job

    @property
    def arn(self) -> str:
        """The job's ARN."""
        return Stack.of(self).format_arn(service="glue", resource="job", resource_name=self.name)

    def grant_start(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal start runs of this job, look at them and stop them, and no other job's.

        Args:
            grantee: A role, user or account.
        """
        return iam.Grant.add_to_principal(
            grantee=grantee, actions=list(START_ACTIONS), resource_arns=[self.arn]
        )

    def metric_errors(self) -> cloudwatch.Metric:
        """Runs that ended in an error. Needs ``metrics``.

        Raises:
            ConfigurationError: Where the job publishes no metrics.
        """
        return self.metric("glue.error.ALL", group="error", statistic="Sum")

    def metric(
        self, name: str, *, group: str | None = None, type: str = "count", statistic: str = "Average"
    ) -> cloudwatch.Metric:
        """One of the metrics that Glue publishes for a job, over all its runs. Needs ``metrics``.

        Args:
            name: As in https://docs.aws.amazon.com/glue/latest/dg/monitor-observability.html.
            group: Its ``ObservabilityGroup``; none for the metrics of the job profiler.
            type: ``count`` or ``gauge``.
            statistic: What is made of the values in a minute.

        Raises:
            ConfigurationError: Where the job publishes no metrics.
        """
        if not self._metrics:
            raise ConfigurationError(
                f"{self.node.path}: given metric({name!r}) of a job without metrics; allowed: jobs that "
                "publish them; write: metrics=True"
            )
        dimensions = {"JobName": self.name, "JobRunId": "ALL", "Type": type}
        return cloudwatch.Metric(
            namespace="Glue",
            metric_name=name,
            dimensions_map=dimensions if group is None else {**dimensions, "ObservabilityGroup": group},
            statistic=statistic,
            period=Duration.minutes(1),
        )

    def _check(self, problems: Problems) -> None:
        """Record what one kind of job refuses beside the rest."""

    def _library_arguments(self, libraries: Sequence[Script], modules: Sequence[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        if libraries:
            found["--extra-py-files"] = ",".join(
                bind(library, self, f"Library{index}", self.role) for index, library in enumerate(libraries)
            )
        if modules:
            found["--additional-python-modules"] = ",".join(modules)
        return found

    def _tell(self, alerts: AlertTopic) -> None:
        tell_of_failures(
            self,
            alerts,
            description=f"Failed runs of {self.node.path}",
            source="aws.glue",
            detail_type="Glue Job State Change",
            detail={"jobName": [self.name], "state": ["FAILED", "TIMEOUT"]},
            message=f"A run of the Glue job {self.node.path} failed or took too long. Its log is in "
            f"{self.error_log.log_group_name}.",
        )


def _check_arguments(problems: Problems, arguments: Mapping[str, str]) -> None:
    for name, value in arguments.items():
        problems.check(
            is_token(name) or bool(_ARGUMENT.fullmatch(name)),
            given=f"argument {name!r}",
            allowed="names of letters, digits, _ and - with two hyphens in front",
            write=f'"--{name.lstrip("-")}"',
        )
        problems.check(
            isinstance(value, str),
            given=f"argument {name!r} of {value!r}",
            allowed="texts",
            write=f'"{value}"',
        )
        problems.check(
            name not in _OPTIONS,
            given=f"argument {name!r}",
            allowed="arguments of the script; this one has an option",
            write=f"{_OPTIONS.get(name)}=…",
        )
        problems.check(
            name not in _RESERVED, given=f"argument {name!r}", allowed="names that Glue does not use itself"
        )


def _check_kinds(
    problems: Problems, script: object, libraries: Iterable[object], workers: object, timeout: object
) -> None:
    for option, code in (("script", script), *(("a library", each) for each in libraries)):
        problems.check_kind(
            option, code, (ScriptFile, ScriptObject), write='ScriptFile(path="jobs/clean.py")'
        )
    problems.check_kind("workers", workers, Workers, write='Workers(type="G.1X", count=2)')
    if timeout is not None:
        problems.check_kind("timeout", timeout, Duration, write="Duration.hours(2)")


def _check_limits(problems: Problems, timeout: Duration | None, retries: int, parallel_runs: int) -> None:
    minutes = None if timeout is None or timeout.is_unresolved() else timeout.to_seconds() / 60
    problems.check(
        minutes is None or (minutes == int(minutes) and 1 <= minutes <= LONGEST_MINUTES),
        given=f"timeout of {minutes} minutes",
        allowed=f"whole minutes, 1 to {LONGEST_MINUTES} (7 days)",
        write="timeout=Duration.hours(2)",
    )
    problems.check(
        is_whole(retries, 0) and retries <= 10,
        given=f"retries={retries!r}",
        allowed="0 to 10",
    )
    problems.check(
        is_whole(parallel_runs, 1),
        given=f"parallel_runs={parallel_runs!r}",
        allowed="1 or more",
    )


def _metric_arguments(metrics: bool) -> dict[str, str]:
    return {"--enable-metrics": "true", "--enable-observability-metrics": "true"} if metrics else {}


def _conf(conf: Mapping[str, str]) -> dict[str, str]:
    """Several settings are one argument, with ``--conf`` between them."""
    return {"--conf": " --conf ".join(f"{key}={value}" for key, value in conf.items())} if conf else {}
