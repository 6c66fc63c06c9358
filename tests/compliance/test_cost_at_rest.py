"""What each environment costs while nobody uses it."""

from __future__ import annotations

import pytest

from cdk_data_science.cost import at_rest
from cdk_data_science.cost.at_rest import Kind
from tests.compliance.assembly import Assembly

DEV_LIMIT_USD = 10


def test_every_type_of_the_platform_is_classified(synthesized: Assembly) -> None:
    types = {
        resource["Type"]
        for template in synthesized.templates.values()
        for resource in template.get("Resources", {}).values()
    }
    unclassified = sorted(name for name in types if at_rest.kind(name) is Kind.UNCLASSIFIED)
    assert unclassified == [], "say in cost/_at_rest_types.py or cost/_priced_types.py what they cost at rest"


@pytest.mark.parametrize("environment", ["dev"], indirect=True)
def test_the_development_platform_costs_at_most_ten_dollars_a_month_at_rest(
    synthesized: Assembly,
) -> None:
    found = list(at_rest.assembly_lines(synthesized.folder))
    known = {line.path: line.monthly_usd for line in found if line.monthly_usd is not None}
    assert 0 < sum(known.values()) <= DEV_LIMIT_USD, known
    assert [f"{line.path}: {line.what}" for line in found if line.monthly_usd is None] == []
