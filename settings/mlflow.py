"""The table ``[mlflow]``: where runs are recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from settings.section import Section


class Mlflow(Section):
    """MLflow, run by SageMaker, with its files in ``mlflow/`` of the models zone. Training jobs record their
    runs in it."""

    server: Literal["Small", "Medium", "Large"] | None = None
    """Run a tracking server of this size, which is billed by the hour, instead of the managed app."""
    maintenance: Annotated[str, Field(pattern=r"^(Mon|Tue|Wed|Thu|Fri|Sat|Sun):([01]\d|2[0-3]):[0-5]\d$")] | (
        None
    ) = None
    """Begin of the weekly maintenance in UTC, such as Sun:03:30."""
    experiment: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    """The experiment that the runs of training jobs belong to; without it, the platform's name."""

    def check_reach(self, features: Sequence[str]) -> None:
        """Refuse what jobs and Studio cannot reach from a network without internet."""
        if self.server is None:
            raise ValueError(
                "training or Studio is inside the network, from where it cannot reach the managed MLflow "
                "app: take training out of network.inside, give the network nat_gateways, or run a server "
                '(mlflow.server = "Small", and "mlflow" in network.features)'
            )
        if "mlflow" not in features:
            raise ValueError(
                "training or Studio is inside the network, from where it reaches the MLflow server by "
                "endpoints: "
                'add "mlflow" to network.features'
            )
