"""What an endpoint has captured, as a table that Athena queries."""

from __future__ import annotations

from constructs import Construct

from cdk_data_science._validation import Problems
from cdk_data_science.data_lake import (
    DateProjection,
    EnumProjection,
    Json,
    LakeTable,
    PartitionKey,
    ZoneBase,
)
from cdk_data_science.serving.capture import DataCapture
from cdk_data_science.serving.endpoint import ModelEndpoint

_CALL = "struct<observedcontenttype:string,mode:string,data:string,encoding:string>"
_SCHEMA = {
    "capturedata": f"struct<endpointinput:{_CALL},endpointoutput:{_CALL}>",
    "eventmetadata": "struct<eventid:string,inferenceid:string,inferencetime:string>",
    "eventversion": "string",
}


class CapturedTable(LakeTable):
    """The requests and answers that an endpoint has captured, as a table of the zone that they are in.

    Variants and hours are projected, so that nothing has to add partitions: a query that names both reads the
    objects of these alone. ``capturedata.endpointinput.data`` is the request and
    ``capturedata.endpointoutput.data`` the answer, as text; JSON is read with ``json_extract``.

    ```sql
    SELECT json_extract_scalar(capturedata.endpointoutput.data, '$[0]') AS answer, count(*)
    FROM captured_reviews
    WHERE variant = 'main' AND hour >= '2026/11/28/00'
    GROUP BY 1
    ```

    At rest it costs nothing beside the objects.

    Example:
        ```python
        from cdk_data_science import (
            Artifact,
            DataCapture,
            DataLake,
            InstanceVariant,
            Model,
            ModelEndpoint,
        )
        from cdk_data_science.serving import CapturedTable

        lake = DataLake(self, "Lake")
        model = Model(
            self,
            "Model",
            image="683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3",
            artifact=Artifact(zone=lake.models, key="models/reviews/1/model.tar.gz"),
        )
        capture = DataCapture(zone=lake.curated, prefix="captured/")
        endpoint = ModelEndpoint(
            self,
            "Reviews",
            variants=[InstanceVariant(name="main", model=model, instance_type="ml.m6i.large")],
            data_capture=capture,
        )
        CapturedTable(
            self,
            "Captured",
            endpoint=endpoint,
            capture=capture,
            name="captured_reviews",
            since="2026-11-28",
        )
        ```

    Args:
        endpoint: What captures.
        capture: Where to, in a zone of this app or an imported one.
        name: Of the table: lower-case letters, digits and underscores.
        since: The first day that is looked at, ``2026-11-28``.

    Raises:
        ConfigurationError: a zone without tables, a capture into which nothing is written as it is, or what
            the catalog would refuse.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        endpoint: ModelEndpoint,
        capture: DataCapture,
        name: str,
        since: str,
    ) -> None:
        zone = capture.zone
        problems = Problems(f"CapturedTable {id!r}")
        problems.check(
            bool(capture.json_types or capture.csv_types),
            given="a capture without json_types and csv_types",
            allowed="one content type that is written as it is: the others are in Base64",
            write='json_types=["application/json"]',
        )
        problems.check(
            isinstance(zone, ZoneBase),
            given="a capture into a zone that is known by its interface alone",
            allowed="a zone of a DataLake, or an imported one: it has the database",
            write="Zone.from_attributes(…)",
        )
        problems.raise_if_any()
        assert isinstance(zone, ZoneBase)  # or there was a problem
        super().__init__(
            scope,
            id,
            zone=zone,
            name=name,
            schema=_SCHEMA,
            format=Json(),
            prefix=f"{capture.prefix}{endpoint.given_name}/",
            partition_keys=[
                PartitionKey(name="variant", projection=EnumProjection(values=list(endpoint.variant_names))),
                PartitionKey(
                    name="hour",
                    comment="yyyy/MM/dd/HH, in UTC",
                    projection=DateProjection(start=f"{since.replace('-', '/')}/00", format="yyyy/MM/dd/HH"),
                ),
            ],
            location_template="${variant}/${hour}/",
            description=f"What {endpoint.given_name} was asked and answered",
        )
