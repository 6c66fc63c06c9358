"""What all pipelines have in common, whatever their steps are."""

from __future__ import annotations

import re
from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_

from cdk_data_science._functions import FunctionNetwork
from cdk_data_science._validation import FOLDER, Problems, is_token
from cdk_data_science.monitoring import AlertTopic

_SUFFIX = re.compile(r"[A-Za-z0-9!_.()=-]*")
_MOST_PARALLEL_RUNS = 200
_LONGEST_QUEUE_DAYS = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class PipelineOptions:
    """How a pipeline is started, how many of its runs go on at a time, and what its functions share.

    ```python
    from cdk_data_science import PipelineOptions

    options = PipelineOptions(suffix=".csv.gz", max_parallel_runs=4)
    ```
    """

    suffix: str = ".csv"
    """Ending of the objects that start the pipeline."""
    start_on_new_data: bool = True
    """Whether new objects start the pipeline; if not, :meth:`Pipeline.grant_start` lets others."""
    work_prefix: str = ""
    """Folder in the work zone, empty or ending in a slash."""
    max_parallel_runs: int = 1
    """How many runs go on at a time, 1 to 200; the others wait, the oldest first. Runs that train at the same
    time may end, and deploy, in another order than that of their data."""
    queue_timeout: Duration | None = None
    """How long a run may wait for its turn, a minute to 30 days; one day if not given. It then fails with
    ``QueueTimeout``."""
    timeout: Duration | None = None
    """Longest time of a run, the wait for its turn included; that wait, what the steps may take at most, and
    an hour, if not given."""
    alerts: AlertTopic | None = None
    """Topic of failures and alarms; a new one if not given."""
    key: kms.IKey | None = None
    """Key of the logs, the queue and the new topic; a new one if not given. CloudWatch Logs, alarms and event
    rules must be allowed to use it."""
    runtime: lambda_.Runtime | None = None
    """Python of the functions; 3.13 if not given."""
    architecture: lambda_.Architecture | None = None
    """Processor of the functions; arm64 if not given."""
    network: FunctionNetwork | None = None
    """VPC that the functions are attached to."""

    @property
    def longest_wait(self) -> Duration:
        """How long a run may wait for its turn."""
        return self.queue_timeout if self.queue_timeout is not None else Duration.days(1)

    def check(self, problems: Problems) -> None:
        """Report what cannot work."""
        problems.check(
            is_token(self.suffix) or _SUFFIX.fullmatch(self.suffix) is not None,
            given=f"suffix={self.suffix!r}",
            allowed="the end of a file's name, without wildcards and quotes",
            write='suffix=".csv"',
        )
        problems.check(
            is_token(self.work_prefix)
            or not self.work_prefix
            or FOLDER.fullmatch(self.work_prefix) is not None,
            given=f"work_prefix={self.work_prefix!r}",
            allowed="empty, or a folder of the zone: no slash at the start, one at the end",
            write='work_prefix="reviews/"',
        )
        problems.check(
            1 <= self.max_parallel_runs <= _MOST_PARALLEL_RUNS,
            given=f"max_parallel_runs={self.max_parallel_runs}",
            allowed=f"1 to {_MOST_PARALLEL_RUNS}",
        )
        seconds = self.longest_wait.to_seconds(integral=False)
        problems.check(
            60 <= seconds <= _LONGEST_QUEUE_DAYS * 86_400,
            given=f"queue_timeout={seconds:g} s",
            allowed=f"a minute to {_LONGEST_QUEUE_DAYS} days",
            write="queue_timeout=Duration.days(1)",
        )
