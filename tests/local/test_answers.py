"""The check of SageMaker's answers, which every client of these tests carries, can fail."""

from __future__ import annotations

from typing import Any

import pytest

from tests.local.conftest import LocalAws
from tests.local.shapes import violations

ARN = "arn:aws:sagemaker:us-east-1:000000000000:endpoint/e"
ENDPOINT: dict[str, Any] = {
    "EndpointName": "e",
    "EndpointArn": ARN,
    "EndpointStatus": "InService",
    "CreationTime": 1.5,
    "LastModifiedTime": 2,
}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, []),
        ({"Colour": "red"}, ["e.Colour is unknown"]),
        ({"EndpointStatus": "Fine"}, ["e.EndpointStatus: 'Fine' is not in the enum"]),
        ({"CreationTime": "today"}, ["e.CreationTime: 'today' is no timestamp"]),
        ({"ProductionVariants": [{}]}, ["e.ProductionVariants[].VariantName is missing"]),
    ],
)
def test_an_answer_that_does_not_fit_its_shape_is_told(
    local_aws: LocalAws, change: dict[str, Any], told: list[str]
) -> None:
    model = local_aws.client("sagemaker").meta.service_model.operation_model("DescribeEndpoint")
    assert list(violations(ENDPOINT | change, model.output_shape, "e")) == told
