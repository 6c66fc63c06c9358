"""The table ``[training]``: jobs on managed Spot capacity."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from settings.section import Section


class Training(Section):
    """Training jobs on managed Spot capacity."""

    image: Annotated[str, Field(min_length=1, max_length=255)]
    """URI of the training container: a framework image in script mode, or your own. SageMaker takes it from
    the platform's region only."""
    entry_point: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+\.(py|sh)$")] = "train.py"
    """The script that trains, at the top of the archive ``sourcedir.tar.gz`` (docs/in-an-account.md)."""
    python: Annotated[str, Field(pattern=r"^3\.\d{1,2}$")] = "3.12"
    """Python of the image, for which ``make source-archive`` fetches the wheels of ``requirements.txt``."""
    instance_type: Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")] = "ml.m5.xlarge"
    instance_count: Annotated[int, Field(ge=1, le=1000)] = 1
    """Instances of a job, for programs that train on several."""
    volume_gb: Annotated[int, Field(ge=1, le=16_384)] = 30
    """Each instance's volume."""
    max_runtime_minutes: Annotated[int, Field(ge=1, le=28 * 24 * 60)] = 60
    max_wait_minutes: Annotated[int, Field(ge=1, le=28 * 24 * 60)] = 120
    """Longest time from creation to end, waiting for Spot capacity included."""
    fallback_types: Annotated[
        tuple[Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")], ...], Field(max_length=10)
    ] = ()
    """Instance types to take instead, the best first, when SageMaker has no capacity of ``instance_type``."""
    capacity_rounds: Annotated[int, Field(ge=0, le=100)] = 3
    """Further rounds through the types, five minutes apart, before a run fails for want of capacity."""
    on_demand_after_minutes: Annotated[int, Field(ge=1, le=28 * 24 * 60)] | None = None
    """Take On-Demand capacity, at its full price, once a run has tried for so long on Spot; or never."""
    hyperparameters: dict[str, str | int | float | bool] = Field({})
    environment: dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], str] = Field({})
    """Variables of the containers."""
    metrics: dict[str, str] = Field({})
    """Metrics that SageMaker reads from the log: a name, and a regular expression with one group."""
    tensorboard: bool = False
    """Keep what the program writes into ``/opt/ml/output/tensorboard``, under ``checkpoints/tensorboard/`` of
    the models zone."""
    watch: bool = False
    """Count how jobs end, what capacity they lose and what Spot saves, and alarm: 0.40 USD a month."""

    @model_validator(mode="after")
    def _wait_covers_the_run(self) -> Training:
        if self.max_wait_minutes < self.max_runtime_minutes:
            raise ValueError(
                f"max_wait_minutes is {self.max_wait_minutes} but has to be at least max_runtime_minutes "
                f"({self.max_runtime_minutes}): the wait includes the run"
            )
        return self
