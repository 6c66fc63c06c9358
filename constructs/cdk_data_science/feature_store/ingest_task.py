"""Rows of an object become features, as a step of a state machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science._tasks import Task, retry
from cdk_data_science.feature_store.ingestion import FeatureIngestion


class IngestFeaturesTask(Task):
    """A Step Functions task that has the rows of one object written into a feature group, and waits for it.

    It calls the function of a :class:`FeatureIngestion`, which checks each row, and which has to be let read
    the object. Writing the same rows again leaves the online store as it is, so the call is made again when
    its answer was lost. The state's result has ``Payload`` with ``written`` and ``rejected``; where every row
    was rejected, the state fails with ``NoRowWritten``, which is not tried again.

    The state machine's role may invoke this function and nothing else. At rest it costs nothing.

    ```python
    import aws_cdk as cdk
    from aws_cdk import aws_stepfunctions as sfn
    from cdk_data_science import DataLake
    from cdk_data_science.feature_store import (
        FeatureGroup,
        FeatureIngestion,
        IngestFeaturesTask,
        OfflineStore,
    )

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
    lake.curated.grant_read(ingestion.role, "products/")
    ingest = IngestFeaturesTask(
        self,
        "Ingest",
        ingestion=ingestion,
        bucket=lake.curated.bucket.bucket_name,
        key="{% $states.input.key %}",
        assign={"rows": "{% $states.result.Payload.written %}"},
    )
    sfn.StateMachine(
        self,
        "Machine",
        definition_body=sfn.DefinitionBody.from_chainable(ingest),
        query_language=sfn.QueryLanguage.JSONATA,
    )
    ```

    Args:
        ingestion: Whose function writes, into whose group.
        bucket: Name of the bucket, or a JSONata expression for it.
        key: Key of the object, ``.csv`` with a header or JSON lines; or an expression for it.
        version: Version of the object, or an expression for it; the newest if not given.
        assign: Variables to set from ``$states.result``.
        output: What the next state has as its input; an empty object if not given.

    Follows https://docs.aws.amazon.com/step-functions/latest/dg/connect-lambda.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        ingestion: FeatureIngestion,
        bucket: str,
        key: str,
        version: str | None = None,
        assign: Mapping[str, Any] | None = None,
        output: Any = None,
    ) -> None:
        function = ingestion.function
        payload = {"bucket": bucket, "key": key}
        if version is not None:
            payload["version"] = version
        limit = function.timeout if function.timeout is not None else Duration.minutes(15)
        super().__init__(
            scope,
            id,
            integration="lambda:invoke",
            arguments={"FunctionName": function.function_arn, "Payload": payload},
            # A minute above the function's own limit, so that Lambda's clearer error comes first.
            timeout=limit.plus(Duration.minutes(1)),
            statements=[
                iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[function.function_arn])
            ],
            retry=[
                retry(
                    [
                        "Lambda.AWSLambdaException",
                        "Lambda.ClientExecutionTimeoutException",
                        "Lambda.SdkClientException",
                        "Lambda.ServiceException",
                        "Lambda.TooManyRequestsException",
                    ],
                    attempts=6,
                    interval=Duration.seconds(2),
                    ceiling=Duration.minutes(1),
                )
            ],
            assign=assign,
            output=output,
        )
