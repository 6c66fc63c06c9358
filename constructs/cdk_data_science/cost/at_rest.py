"""What the resources of a template cost while nobody uses them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from cdk_data_science.cost import prices
from cdk_data_science.cost._at_rest_types import FREE, UNKNOWN
from cdk_data_science.cost._priced_types import PRICED, Quantities, Template, Undecided

# What CDK's own custom resources make or change costs nothing by the hour.
_FREE_CUSTOM_RESOURCES = frozenset(
    {
        "Custom::CDKBucketDeployment",
        "Custom::ClosedDefaultSecurityGroup",
        "Custom::CrossRegionExportReader",
        "Custom::CrossRegionExportWriter",
        "Custom::DataBrewPublishedRecipe",
        "Custom::GluePartitionIndex",
        "Custom::LogRetention",
        "Custom::S3AutoDeleteObjects",
        "Custom::S3BucketNotifications",
        "Custom::StudioDomainEnd",
        "Custom::StudioDomainLock",
        "Custom::StudioUserEnd",
        "Custom::VpcRestrictDefaultSG",
    }
)


class Kind(StrEnum):
    """What is known of a type."""

    FREE = "free"
    """Nothing by the hour, the month or the size: what it costs comes from its use."""
    PRICED = "priced"
    """Its properties and the price table tell."""
    UNKNOWN = "unknown"
    """It costs something that its properties do not tell, or that the table has no price for."""
    UNCLASSIFIED = "unclassified"
    """Nobody has looked at this type yet; listed as unknown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A resource that costs something at rest, or may."""

    stack: str
    path: str
    type: str
    what: str
    """What is counted: ``2 x vpc.interface-endpoint-zone``; or why that cannot be told."""
    monthly_usd: float | None
    """None where it is unknown."""


def kind(type: str) -> Kind:
    """What is known of a CloudFormation type."""
    if type in PRICED:
        return Kind.PRICED
    if type in UNKNOWN:
        return Kind.UNKNOWN
    if type.startswith("Custom::"):
        return Kind.FREE if type in _FREE_CUSTOM_RESOURCES else Kind.UNKNOWN
    _, _, rest = type.partition("::")
    service, _, name = rest.partition("::")
    listed = FREE.get(service, "").split()
    return Kind.FREE if name in listed or "*" in listed else Kind.UNCLASSIFIED


def lines(stack: str, template: Mapping[str, Any], table: prices.PriceTable | None = None) -> Iterator[Line]:
    """A line for each resource of a template that is not free at rest.

    Conditions are not evaluated: a resource that may be made counts. Free tiers are not counted either,
    because they are the account's and not the stack's.
    """
    table = table if table is not None else prices.load()
    read = Template(template)
    for logical_id, resource in sorted(template.get("Resources", {}).items()):
        found = kind(resource["Type"])
        if found is Kind.FREE:
            continue
        if found is Kind.PRICED:
            usd, what = _priced(PRICED[resource["Type"]], resource.get("Properties", {}), read, table)
        else:
            usd, what = None, UNKNOWN.get(resource["Type"], "not in the list of types")
        if usd == 0:
            continue
        path = str(resource.get("Metadata", {}).get("aws:cdk:path", f"{stack}/{logical_id}"))
        yield Line(stack=stack, path=path, type=resource["Type"], what=what, monthly_usd=usd)


def assembly_lines(folder: Path, table: prices.PriceTable | None = None) -> Iterator[Line]:
    """The lines of every stack of a cloud assembly, nested stages included."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    for key, artifact in manifest.get("artifacts", {}).items():
        properties = artifact.get("properties", {})
        if artifact["type"] == "aws:cloudformation:stack":
            template = json.loads((folder / properties["templateFile"]).read_text(encoding="utf-8"))
            yield from lines(properties.get("stackName", key), template, table)
        elif artifact["type"] == "cdk:cloud-assembly":
            yield from assembly_lines(folder / properties["directoryName"], table)


def _priced(
    quantities: Callable[[Mapping[str, Any], Template], Quantities],
    properties: Mapping[str, Any],
    template: Template,
    table: prices.PriceTable,
) -> tuple[float | None, str]:
    try:
        counted = [(name, amount) for name, amount in quantities(properties, template) if amount]
    except Undecided as reason:
        return None, str(reason)
    total = 0.0
    for name, amount in counted:
        price = table.get(name)
        if price is None:
            return None, f"no price for {name}"
        total += amount * price.monthly
    return total, " + ".join(f"{amount:g} x {name}" for name, amount in counted)
