"""Write the rows of an earlier step into a feature group."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration
from constructs import Construct

from cdk_data_science.feature_store import FeatureIngestion, IngestFeaturesTask
from cdk_data_science.pipelines.outputs import DATA, FEATURES, Output
from cdk_data_science.pipelines.step import States, Step, StepContext


class IngestFeatures(Step):
    """Has the rows of one object written into a feature group, and says how many were and how many were not.

    The object is an output of an earlier step with ``bucket`` and ``key``: the uploaded data, or what a step
    has left; CSV with a header, or JSON lines.

    ```python
    from cdk_data_science import DataLake, Pipeline
    from cdk_data_science.feature_store import FeatureGroup, FeatureIngestion, OfflineStore
    from cdk_data_science.pipelines import IngestFeatures

    lake = DataLake(self, "Lake")
    products = FeatureGroup(
        self,
        "Products",
        schema={"product_id": "string", "updated": "timestamp", "rating_mean": "double"},
        record_id="product_id",
        event_time="updated",
        offline=OfflineStore(zone=lake.features),
    )
    ingestion = FeatureIngestion(self, "Ingestion", group=products)
    Pipeline(
        self,
        "Pipeline",
        data=lake.raw,
        prefix="products/",
        work=lake.features,
        steps=[IngestFeatures(ingestion)],
    )
    ```

    Args:
        ingestion: Whose function writes, into whose group. It is let read the rows.
        rows: The output of an earlier step; the uploaded data if not given.
        name: Of the step, where a pipeline has several.
    """

    def __init__(
        self, ingestion: FeatureIngestion, *, rows: Output = DATA, name: str = "IngestFeatures"
    ) -> None:
        self._ingestion, self._rows, self._name = ingestion, rows, name

    @property
    def name(self) -> str:
        """Name of the step."""
        return self._name

    @property
    def needs(self) -> Sequence[Output]:
        """The rows."""
        return (self._rows,)

    @property
    def gives(self) -> Sequence[Output]:
        """How many rows were written, and how many were rejected."""
        return (FEATURES,)

    @property
    def longest(self) -> Duration:
        """The function's limit, with its retries."""
        return Duration.hours(2)

    def states(self, scope: Construct, context: StepContext) -> States:
        """Make the task."""
        if self._rows is DATA:
            context.grant_read_data(self._ingestion.role)
        else:
            context.grant_read(self._ingestion.role, self._rows)
        task = IngestFeaturesTask(
            scope,
            self.name,
            ingestion=self._ingestion,
            bucket=f"{{% {self._rows.variable}.bucket %}}",
            key=f"{{% {self._rows.variable}.key %}}",
            assign={FEATURES.name: "{% $states.result.Payload %}"},
        )
        context.fails_into(task)
        return States(task, [task])
