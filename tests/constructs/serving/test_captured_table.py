"""CapturedTable: where it looks, what its columns are, what it is not made of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cdk_data_science import ConfigurationError, DataCapture, ModelEndpoint
from cdk_data_science.serving import CapturedTable
from tests.constructs import support
from tests.constructs.serving import endpoints


def test_variants_and_hours_are_folders_that_athena_works_out() -> None:
    # GIVEN an endpoint of two variants that captures
    stack = support.stack()
    capture = DataCapture(zone=endpoints.lake(stack).curated, prefix="captured/")
    variants = [endpoints.variant(stack), endpoints.variant(stack, name="next")]
    endpoint = endpoints.endpoint(stack, variants=variants, data_capture=capture, endpoint_name="reviews")
    CapturedTable(
        stack, "Captured", endpoint=endpoint, capture=capture, name="captured_reviews", since="2026-11-28"
    )
    tables = support.resources(stack, "AWS::Glue::Table")
    (table,) = [each["Properties"]["TableInput"] for each in tables.values()]
    # THEN the table's partitions are the folders that SageMaker writes
    parameters = table["Parameters"]
    assert parameters["projection.enabled"] == "true"
    assert parameters["projection.variant.values"] == "main,next"
    assert parameters["projection.hour.format"] == "yyyy/MM/dd/HH"
    assert parameters["projection.hour.range"] == "2026/11/28/00,NOW"
    assert str(parameters["storage.location.template"]).endswith("'/captured/reviews/${variant}/${hour}/']]}")
    assert [key["Name"] for key in table["PartitionKeys"]] == ["variant", "hour"]
    assert [column["Name"] for column in table["StorageDescriptor"]["Columns"]] == [
        "capturedata",
        "eventmetadata",
        "eventversion",
    ]


class OtherZone:
    """A zone of somebody's own, which has no tables."""


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"json_types": (), "csv_types": ()}, "the others are in Base64"),
        ({"zone": OtherZone()}, "known by its interface alone"),
    ],
)
def test_what_is_no_table_is_refused(changes: dict[str, Any], expected: str) -> None:
    stack = support.stack()
    endpoint: ModelEndpoint = endpoints.endpoint(stack)
    capture = replace(DataCapture(zone=endpoints.lake(stack).curated), **changes)
    with pytest.raises(ConfigurationError, match=expected):
        CapturedTable(stack, "Captured", endpoint=endpoint, capture=capture, name="c", since="2026-11-28")
