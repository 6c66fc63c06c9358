"""What each environment costs while nobody uses it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cdk_data_science.cost import at_rest
from cdk_data_science.cost.at_rest import Kind
from settings.model import FOLDER, load
from stacks.platform import compose
from tests.compliance.assembly import Assembly
from tests.constructs import support

DEV_LIMIT_USD = 10
# What settings can add to the development platform that is not billed by time. Budgets with an action are, by
# the day, after the account's first two.
COST = """
anomaly_detection = true
savings_plans_coverage_percent = 70
savings_plans_utilization_percent = 90

[cost.budgets.search-team]
monthly_limit_usd = 50
tags = { team = ["search"] }

[cost.stop_accelerators]
personas = ["data-scientist", "ml-engineer"]

[cost.slack]
workspace_id = "T0123ABCD"
channel_id = "C0123ABCD"
"""
AUDIT = """
[audit]
config_rules = true
"""
MORE = """
[pipeline.tuning]
objective = "cv:auroc"
ranges.regularization = { least = 0.1, most = 100 }

[containers.repositories.training]

[files.folders.shared]
uid = 1100
gid = 1100

[lake.quality]

[lake.tables.reviews]
zone = "curated"
columns = { review_id = "string", stars = "int" }
rules = "Rules = [ RowCount > 0 ]"

[etl.jobs.clean]
script = "app.py"
reads = ["raw/reviews/"]
writes = ["curated.reviews"]

[etl.crawlers.partner]
folders = ["raw/partner/"]

[etl.workgroup]

[features.groups.products]
columns = { product = "string", seen = "timestamp", stars = "double" }
record_id = "product"
event_time = "seen"

[inference.http_api]

[inference.payloads]

[inference.queue]

[pipeline.guard]
"""
WATCH = "max_wait_minutes = 120\n"
BY_THE_DAY = "AWS::Budgets::BudgetsAction"
BY_EVALUATIONS = "AWS::Config::ConfigRule"


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


def test_the_development_platform_with_everything_that_is_not_billed_by_time_stays_within_the_limit(
    tmp_path: Path,
) -> None:
    # GIVEN the development platform, with whatever its settings can add to it
    text = (FOLDER / "dev.toml").read_text(encoding="utf-8")
    limit = "monthly_limit_usd = 200\n"
    assert limit in text and WATCH in text
    text = text.replace(limit, limit + COST).replace(WATCH, f"{WATCH}watch = true\n")
    (tmp_path / "dev.toml").write_text(text + AUDIT + MORE, encoding="utf-8")
    app = support.app()
    compose(app, load("dev", folder=tmp_path))
    # WHEN its templates are read
    found = list(at_rest.assembly_lines(Path(app.synth().directory)))
    # THEN a month costs at most the limit, and what is unknown is billed by use
    known = {f"{line.stack} {line.path}": line.monthly_usd for line in found if line.type != BY_THE_DAY}
    assert sum(usd for usd in known.values() if usd is not None) <= DEV_LIMIT_USD, known
    assert {line.type for line in found if line.monthly_usd is None} == {BY_EVALUATIONS}
    assert BY_THE_DAY in {line.type for line in found}
