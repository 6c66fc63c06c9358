"""What an app costs at rest: a line for each stack at synthesis, and the whole list as text.

``python -m cdk_data_science.cost at-rest cdk.out`` prints the list of a synthesized app.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import jsii
from aws_cdk import (
    IPolicyValidationContext,
    IPolicyValidationPlugin,
    PolicyValidationPluginReport,
    Stage,
    Validations,
)

from cdk_data_science.cost import at_rest, prices
from cdk_data_science.cost.at_rest import Line

_ROTATED = "AWS::KMS::Key"


class CostReport:
    """Says at synthesis, in a line for each stack, what the app costs at rest.

    The lines go to standard error, as the CDK's own do. What has no known price is counted as unknown, never
    as nothing. Prices are those of the package's table: a snapshot of one region's list prices, with its
    date.

    **Costs at rest**: nothing.

    ```python
    import aws_cdk as cdk
    from cdk_data_science.cost import CostReport

    app = cdk.App()
    CostReport(app)
    ```

    Args:
        app: The app, or a stage of it.
        prices: Another table, as ``python -m cdk_data_science.cost prices`` writes it. Default: that of the
            package.
    """

    def __init__(self, app: Stage, *, prices: Path | None = None) -> None:
        self._plugin = _ReportPlugin(prices)
        Validations.of(app).add_plugins(self._plugin)


@jsii.implements(IPolicyValidationPlugin)
class _ReportPlugin:
    """Run by the app once its templates are written. It never finds a violation."""

    def __init__(self, table: Path | None) -> None:
        self._table = prices.load() if table is None else prices.load(table)

    @property
    def name(self) -> str:
        return "CostReport"

    @property
    def version(self) -> str:
        return "1"

    @property
    def rule_ids(self) -> list[str]:
        return []

    def validate(self, context: IPolicyValidationContext) -> PolicyValidationPluginReport:
        for stack in context.stack_templates:
            template = json.loads(Path(stack.template_path).read_text(encoding="utf-8"))
            found = list(at_rest.lines(stack.stack_construct_path, template, self._table))
            sys.stderr.write(f"{summary(stack.stack_construct_path, found, self._table)}\n")
        return PolicyValidationPluginReport(success=True, violations=[])


def total(found: Iterable[Line]) -> float:
    """The known part of some lines, in USD a month."""
    return sum(line.monthly_usd for line in found if line.monthly_usd is not None)


def summary(stack: str, found: Sequence[Line], table: prices.PriceTable) -> str:
    """A stack in one line."""
    unknown = sorted({line.type for line in found if line.monthly_usd is None})
    more = f", and unknown: {', '.join(unknown)}" if unknown else ""
    source = f"({table.region}, prices of {table.date})"
    return f"{stack} costs {total(found):.2f} USD a month at rest{more} {source}"


def written(found: Sequence[Line], table: prices.PriceTable) -> Iterator[str]:
    """The list as text: stacks, what is in them, and the sum."""
    for stack in sorted({line.stack for line in found}):
        of_stack = [line for line in found if line.stack == stack]
        yield f"{stack}: {total(of_stack):.2f} USD a month"
        for line in sorted(of_stack, key=lambda line: (-(line.monthly_usd or 0), line.path)):
            price = "unknown" if line.monthly_usd is None else f"{line.monthly_usd:.2f}"
            yield f"  {price:>9}  {line.path}  ({line.what})"
    unknown = sum(line.monthly_usd is None for line in found)
    yield f"Together: {total(found):.2f} USD a month at rest, {unknown} unknown."
    yield f"List prices of {table.region}, a snapshot of {table.date}; use comes on top."
    keys = total(line for line in found if line.type == _ROTATED)
    if keys:
        yield f"Of this {keys:.2f} for KMS keys; each of a key's first two rotations adds its price again."
