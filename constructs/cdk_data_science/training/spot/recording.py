"""Jobs that record their runs: the variables that their programs read."""

from __future__ import annotations

from collections.abc import Mapping

from cdk_data_science._tracking import EXPERIMENT_VARIABLE, IExperimentTracking
from cdk_data_science._validation import Problems, is_token

_LONGEST_EXPERIMENT = 256


def recorded(tracking: IExperimentTracking, experiment: str) -> dict[str, str]:
    """Return the variables of a container whose runs belong to an experiment."""
    return {**tracking.environment, EXPERIMENT_VARIABLE: experiment}


def check_tracking(
    problems: Problems,
    recording: Mapping[str, str],
    *,
    experiment: str | None,
    given: Mapping[str, str],
    isolated: bool,
) -> None:
    """Report what keeps a job from recording its runs.

    Args:
        problems: Where to report.
        recording: The variables of the recording; none if nothing is recorded.
        experiment: The experiment as it was asked for.
        given: The variables that the job has besides.
        isolated: Whether its containers have no network.
    """
    problems.check(
        experiment is None or bool(recording),
        given=f"experiment={experiment!r} without tracking",
        allowed="an experiment of the service that tracking names",
        write="tracking=mlflow",
    )
    problems.check(
        experiment is None or is_token(experiment) or 0 < len(experiment) <= _LONGEST_EXPERIMENT,
        given=f"experiment of {len(experiment or '')} characters",
        allowed=f"1 to {_LONGEST_EXPERIMENT}",
    )
    problems.check(
        not (recording and isolated),
        given="tracking with network_isolation",
        allowed="containers with a network: the program itself calls the service",
        write="network_isolation=False",
    )
    for name in sorted(recording.keys() & given.keys()):
        problems.check(False, given=f"environment variable {name!r}", allowed="tracking sets it")
