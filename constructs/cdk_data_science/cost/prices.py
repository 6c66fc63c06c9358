"""A small table of prices, with where and when each was read.

The table is a snapshot of list prices in one region. Whoever has an account renews it through the Price List
API: ``python -m cdk_data_science.cost prices --output prices.json``.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

DATA = Path(__file__).with_name("prices.json")
HOURS_A_MONTH = 730


@dataclass(frozen=True, kw_only=True, slots=True)
class Price:
    """What one unit costs."""

    usd: float
    per: Literal["hour", "day", "month"]

    @property
    def monthly(self) -> float:
        """USD for a month of 730 hours."""
        return self.usd * {"hour": HOURS_A_MONTH, "day": HOURS_A_MONTH / 24, "month": 1}[self.per]


@dataclass(frozen=True, kw_only=True, slots=True)
class PriceTable:
    """The prices of one region as they were on one day."""

    region: str
    date: str
    prices: Mapping[str, Price]

    def get(self, name: str) -> Price | None:
        """The price of a name such as ``kms.key``; None if it is not known."""
        return self.prices.get(name)


@functools.cache
def load(path: Path = DATA) -> PriceTable:
    """Read a table; the one of this package by default."""
    document = json.loads(path.read_text(encoding="utf-8"))
    return PriceTable(
        region=document["region"],
        date=document["date"],
        prices={
            name: Price(usd=entry["usd"], per=entry["per"]) for name, entry in document["prices"].items()
        },
    )


def renewed(
    document: Mapping[str, Any], pricing: Any, *, region: str, today: str
) -> tuple[dict[str, Any], list[str]]:
    """The table with today's prices of a region, and the names that the Price List did not answer for.

    Those keep what they had in their own region, and are left out in another one: unknown, not wrong.
    """
    prices, missing = {}, []
    for name, entry in document["prices"].items():
        usd = _asked(pricing, entry, region) if "usage" in entry else None
        if usd is not None:
            prices[name] = {**entry, "usd": usd, "date": today, "source": "AWS Price List API"}
        else:
            missing.append(name)
            if region == document["region"]:
                prices[name] = entry
    return {**document, "region": region, "date": today, "prices": prices}, missing


def _asked(pricing: Any, entry: Mapping[str, Any], region: str) -> float | None:
    """The lowest step of the on-demand price for a usage type, whatever prefix the region gives it."""
    usage = entry["usage"]
    filters = [
        {"Type": "TERM_MATCH", "Field": "regionCode", "Value": region},
        {"Type": "CONTAINS", "Field": "usagetype", "Value": usage},
    ]
    pages = pricing.get_paginator("get_products").paginate(ServiceCode=entry["service"], Filters=filters)
    found = set()
    for page in pages:
        for text in page["PriceList"]:
            product = json.loads(text)
            named = product["product"]["attributes"].get("usagetype", "")
            # A region has a prefix such as EUC1; another word before it is another thing.
            if re.fullmatch(rf"(?:[A-Z]+[0-9]*-)?{re.escape(usage)}", named):
                found.update(_first_steps(product))
    found.discard(0.0)
    return found.pop() if len(found) == 1 else None


def _first_steps(product: Mapping[str, Any]) -> list[float]:
    return [
        float(dimension["pricePerUnit"]["USD"])
        for term in product["terms"].get("OnDemand", {}).values()
        for dimension in term["priceDimensions"].values()
        if float(dimension.get("beginRange", 0)) == 0
    ]
