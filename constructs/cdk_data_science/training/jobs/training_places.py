"""Where a training job reads and writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cdk_data_science._validation import Problems
from cdk_data_science.training.checks import listed
from cdk_data_science.training.jobs.training_job import TrainingJob
from cdk_data_science.training.values import Channel


def places(
    channels: Sequence[Channel],
    *,
    output: Mapping[str, Any],
    checkpoint_uri: str | None,
    checkpoint_path: str,
) -> dict[str, Any]:
    """Return where a job reads and writes, as ``CreateTrainingJob`` has it."""
    found: dict[str, Any] = {"OutputDataConfig": dict(output)}
    if channels:
        found["InputDataConfig"] = [channel.render() for channel in channels]
    if checkpoint_uri is not None:
        found["CheckpointConfig"] = {"S3Uri": checkpoint_uri, "LocalPath": checkpoint_path}
    return found


def check_channels(problems: Problems, channels: Sequence[Channel], job: TrainingJob) -> None:
    """Report inputs that the job cannot have."""
    given = listed(problems, "channels", channels, write='[Channel(name="train", uri="s3://…")]')
    for channel in given:
        problems.check(
            isinstance(channel, Channel),
            given=f"channel {channel!r}",
            allowed="a Channel",
            write='Channel(name="train", uri="s3://bucket/prefix/")',
        )
    channels = [channel for channel in given if isinstance(channel, Channel)]
    problems.check(len(channels) <= 20, given=f"{len(channels)} channels", allowed="at most 20")
    names = [channel.name for channel in channels]
    problems.check(len(set(names)) == len(names), given=f"channels {names}", allowed="each name once")
    groups = {group.name for group in job.instance_groups}
    for channel in channels:
        channel.check(problems, in_vpc=job.network is not None)
        problems.check(
            set(channel.instance_groups) <= groups,
            given=f"channel {channel.name!r} for instance groups {list(channel.instance_groups)}",
            allowed=f"groups of the job: {', '.join(sorted(groups)) or 'it has none'}",
        )
