"""What only some training jobs have: groups of unlike instances, and a profiler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cdk_data_science._validation import Problems, is_token
from cdk_data_science.hardware import InstanceUse
from cdk_data_science.training.checks import check_map, check_number, check_type, check_uri

_INTERVALS = (100, 200, 500, 1000, 5000, 60_000)


@dataclass(frozen=True, kw_only=True, slots=True)
class InstanceGroup:
    """Instances of one type in a cluster of several, for example with and without accelerators."""

    name: str
    """1 to 64 characters; :attr:`Channel.instance_groups` refers to it."""
    instance_type: str
    instance_count: int = 1

    def check(self, problems: Problems) -> None:
        """Report what SageMaker would refuse."""
        problems.check(
            1 <= len(self.name) <= 64,
            given=f"instance group {self.name!r}",
            allowed="a name of 1 to 64 characters",
        )
        check_type(problems, self.instance_type, InstanceUse.TRAINING)
        check_number(problems, f"instance_count of group {self.name!r}", self.instance_count, 1)

    def render(self) -> dict[str, Any]:
        """Return the group as the SageMaker API has it."""
        return {
            "InstanceGroupName": self.name,
            "InstanceType": self.instance_type,
            "InstanceCount": self.instance_count,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Profiler:
    """SageMaker's measurements of a job's processors, accelerators, memory and disks, kept in S3."""

    uri: str | None
    """S3 prefix, which the API takes no key for; None switches the profiler off."""
    interval_ms: int = 500
    """Time between two measurements: 100, 200, 500, 1000, 5000 or 60000 milliseconds."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Further settings of the framework's profiling, at most 20."""

    def check(self, problems: Problems) -> None:
        """Report what SageMaker would refuse."""
        check_uri(problems, "profiler uri", self.uri)
        check_map(problems, "profiler parameters", self.parameters, entries=20, key=256, value=256)
        problems.check(
            is_token(self.interval_ms) or self.interval_ms in _INTERVALS,
            given=f"Profiler(interval_ms={self.interval_ms})",
            allowed=", ".join(map(str, _INTERVALS)),
            write="interval_ms=500",
        )

    def render(self) -> dict[str, Any]:
        """Return the ``ProfilerConfig`` of the SageMaker API."""
        if self.uri is None:
            return {"DisableProfiler": True}
        config: dict[str, Any] = {
            "S3OutputPath": self.uri,
            "ProfilingIntervalInMilliseconds": self.interval_ms,
        }
        if self.parameters:
            config["ProfilingParameters"] = dict(self.parameters)
        return config
