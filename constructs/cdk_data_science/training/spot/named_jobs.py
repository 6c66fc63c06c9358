"""The jobs of one construct: how they are named, and how they are watched."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge_wildcards
from cdk_data_science._validation import Problems
from cdk_data_science.training.kinds import LONGEST_PREFIX, PREFIX, TRAINING, job_names
from cdk_data_science.training.spot.role import METRICS_NAMESPACE


class NamedJobs(Construct):
    """Jobs whose names begin with a prefix of their own.

    Args:
        job_name_prefix: Made from the construct's place in the app if not given.
    """

    job_name_prefix: str
    """What the names of all jobs begin with, before two hyphens."""

    def __init__(self, scope: Construct, id: str, *, job_name_prefix: str | None) -> None:
        super().__init__(scope, id)
        self.job_name_prefix = job_name_prefix if job_name_prefix is not None else self._unique_prefix()

    @property
    def job_names(self) -> str:
        """The pattern of the names of this construct's jobs, which no other one's names fit."""
        return job_names(self.job_name_prefix)

    def acknowledge_job_names(self, role: iam.IRole) -> None:
        """Acknowledge, for a state machine's role, that the names of its jobs are a pattern (cdk-nag's
        IAM5)."""
        acknowledge_wildcards(
            role,
            self,
            [TRAINING.arn(Stack.of(self), self.job_names)],
            "Jobs are named when they are created; the pattern holds those of one SpotTraining alone.",
        )

    def on_state_change(
        self,
        id: str,
        *,
        target: events.IRuleTarget,
        statuses: Sequence[str] = ("Failed", "Stopped"),
        secondary_statuses: Sequence[str] = (),
    ) -> events.Rule:
        """Send a target an event when a job of this construct comes into a state.

        A pipeline tells of its failures itself; this is for jobs of other state machines, or to count how
        often Spot capacity is taken away: ``statuses=[], secondary_statuses=["Interrupted"]``.

        Args:
            target: What gets the event.
            statuses: ``TrainingJobStatus`` to tell of; any if empty.
            secondary_statuses: ``SecondaryStatus`` to tell of; any if empty.
        """
        detail: dict[str, Any] = {"TrainingJobName": [{"prefix": f"{self.job_name_prefix}--"}]}
        if statuses:
            detail["TrainingJobStatus"] = list(statuses)
        if secondary_statuses:
            detail["SecondaryStatus"] = list(secondary_statuses)
        return events.Rule(
            self,
            id,
            description="States of training jobs",
            event_pattern=events.EventPattern(
                source=["aws.sagemaker"],
                detail_type=["SageMaker Training Job State Change"],
                detail=detail,
            ),
            targets=[target],
        )

    def metric(self, name: str, *, job_name: str, statistic: str = "Average") -> cloudwatch.Metric:
        """A metric that the job's log gave (see ``metrics``), which SageMaker publishes for each job."""
        return cloudwatch.Metric(
            namespace=METRICS_NAMESPACE,
            metric_name=name,
            dimensions_map={"TrainingJobName": job_name},
            statistic=statistic,
        )

    def metric_instance(
        self, name: str, *, job_name: str, host: int = 1, statistic: str = "Average"
    ) -> cloudwatch.Metric:
        """What SageMaker measures of one instance: ``CPUUtilization``, ``MemoryUtilization``,
        ``DiskUtilization`` …"""
        return cloudwatch.Metric(
            namespace=METRICS_NAMESPACE,
            metric_name=name,
            dimensions_map={"Host": f"{job_name}/algo-{host}"},
            statistic=statistic,
        )

    def _unique_prefix(self) -> str:
        # The address is a digest of the construct's path, so that two stacks never share their jobs' names.
        readable = re.sub(r"[^a-z0-9]+", "-", self.node.id.lower())[:13].strip("-")
        return f"{readable or 'job'}-{self.node.addr[-8:]}"

    def _check_prefix(self, problems: Problems) -> None:
        problems.check(
            len(self.job_name_prefix) <= LONGEST_PREFIX
            and PREFIX.fullmatch(self.job_name_prefix) is not None,
            given=f"job_name_prefix={self.job_name_prefix!r}",
            allowed=f"1 to {LONGEST_PREFIX} lower-case letters, digits and single hyphens",
            write='job_name_prefix="reviews"',
        )
