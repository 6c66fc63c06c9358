"""``python -m cdk_data_science.cost``: what an app costs at rest, and the renewal of the price table."""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from cdk_data_science.cost import at_rest, prices, report

_PRICING_REGION = "us-east-1"  # the API is there, for the prices of all regions


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m cdk_data_science.cost", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    listing = commands.add_parser("at-rest", help="list what an app costs while nobody uses it")
    listing.add_argument("assembly", type=Path, nargs="?", default=Path("cdk.out"), help="default cdk.out")
    listing.add_argument("--prices", type=Path, help="another price table")
    listing.add_argument("--json", action="store_true", help="as JSON")
    listing.set_defaults(run=_at_rest)

    renewal = commands.add_parser("prices", help="renew the price table; needs an account and boto3")
    renewal.add_argument("--region", default="us-east-1", help="whose prices (default us-east-1)")
    renewal.add_argument("--output", type=Path, required=True, help="where to write the table")
    renewal.set_defaults(run=_prices)

    chosen = parser.parse_args(arguments)
    return int(chosen.run(chosen))


def _at_rest(chosen: argparse.Namespace) -> int:
    if not (chosen.assembly / "manifest.json").is_file():
        sys.stderr.write(f"{chosen.assembly} is no cloud assembly: run cdk synth, or name its folder\n")
        return 1
    table = prices.load() if chosen.prices is None else prices.load(chosen.prices)
    found = list(at_rest.assembly_lines(chosen.assembly, table))
    if chosen.json:
        sys.stdout.write(json.dumps([asdict(line) for line in found], indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(report.written(found, table)) + "\n")
    return 0


def _prices(chosen: argparse.Namespace) -> int:
    try:
        import boto3
    except ImportError:
        sys.stderr.write("Renewing prices asks the Price List API with boto3: pip install boto3\n")
        return 1
    document = json.loads(prices.DATA.read_text(encoding="utf-8"))
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    client = boto3.client("pricing", region_name=_PRICING_REGION)
    table, missing = prices.renewed(document, client, region=chosen.region, today=today)
    chosen.output.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
    asked = len(document["prices"]) - len(missing)
    sys.stdout.write(f"{asked} prices of {chosen.region} are of {today}.\n")
    if missing:
        sys.stdout.write(f"The Price List has no single price for: {', '.join(missing)}.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
