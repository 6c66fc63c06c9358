"""How long `cdk synth` takes for a lake with many zones, tables and grants, and how large its stacks are.

Three sizes, up to 50 zones, 200 tables and 500 grants. Time proportional to size shows as the same
milliseconds for each resource. Zones, tables and consumers have stacks of their own, as a lake of that size
needs: a stack may have 500 resources. The sizes take turns, so that a slow moment of the machine meets them
all.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import measure

ROOT = Path(__file__).resolve().parents[1]
SIZES = {"a quarter": (12, 50, 125), "half": (25, 100, 250), "whole": (50, 200, 500)}
MOST_RESOURCES = 500
MOST_BYTES = 1_000_000

_APP = """
import sys

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from cdk_data_science import DataLake, LakeFormation, LakeTable

zones, tables, grants = map(int, sys.argv[1:])
app = cdk.App()
lake = DataLake(
    cdk.Stack(app, "Lake"),
    "Lake",
    zones=[f"zone{number}" for number in range(zones)],
    lake_formation=LakeFormation(hybrid=False, administer=True),
)
catalog = cdk.Stack(app, "Catalog")
made = [
    LakeTable(
        catalog,
        f"Table{number}",
        zone=lake.zone(f"zone{number % zones}"),
        name=f"table{number}",
        schema={"id": "string", "email": "string", "stars": "int"},
    )
    for number in range(tables)
]
roles = []
for number in range(max(1, grants // 20)):
    if number % 5 == 0:
        stack = cdk.Stack(app, f"Consumers{number // 5}")
    roles.append(iam.Role(stack, f"Role{number}", assumed_by=iam.AccountRootPrincipal()))
for number in range(grants):
    role, table = roles[number % len(roles)], made[number * 7 % tables]
    if number % 2:
        table.grant_select(role, excluded_columns=["email"], row_filter=f"stars > {number}")
    else:
        table.grant_select(role)
app.synth()
"""


def sizes(folder: Path) -> dict[str, int]:
    """Resources of each template; a template that CloudFormation would refuse ends the benchmark."""
    found = {}
    for path in sorted(folder.glob("*.template.json")):
        text = path.read_text(encoding="utf-8")
        found[path.name.removesuffix(".template.json")] = len(json.loads(text)["Resources"])
        if found[path.name.removesuffix(".template.json")] > MOST_RESOURCES or len(text) > MOST_BYTES:
            raise SystemExit(f"{path.name} is beyond CloudFormation's limits")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.catalog", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs of each size (default: 3)")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    arguments = parser.parse_args()
    flags = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
    own = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_", "PYTHON"))
    }
    runs: dict[str, list[measure.Run]] = {name: [] for name in SIZES}
    resources: dict[str, dict[str, int]] = {}
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "app.py"
        script.write_text(_APP, encoding="utf-8")
        for number in range(arguments.runs + 1):
            for name, size in SIZES.items():
                out = Path(folder) / name
                environment = own | {
                    "CDK_OUTDIR": str(out),
                    "CDK_CONTEXT_JSON": json.dumps(flags),
                    "CDK_VALIDATION": "false",
                    "PYTHONPATH": str(ROOT),
                }
                command = [sys.executable, str(script), *map(str, size)]
                done = measure.run(command, cwd=ROOT, environment=environment)
                resources[name] = sizes(out)
                if number:  # the first turn fills the caches
                    runs[name].append(done)
    result = {name: _numbers(SIZES[name], runs[name], resources[name]) for name in SIZES}
    _show(result, arguments.runs)
    if arguments.json:
        content = {"runs": arguments.runs, "machine": measure.machine(), "sizes": result}
        arguments.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return 0


def _numbers(
    size: tuple[int, int, int], runs: list[measure.Run], resources: dict[str, int]
) -> dict[str, Any]:
    total = sum(resources.values())
    found: dict[str, Any] = {
        **dict(zip(("zones", "tables", "grants"), size, strict=True)),
        **measure.medians(runs),
        "resources": total,
        "largest_stack": max(resources.values()),
    }
    return found | {"ms_per_resource": round(found["seconds"] * 1000 / total, 2)}


def _show(result: dict[str, dict[str, Any]], runs: int) -> None:
    print(f"Median of {runs} interleaved runs, no checks\n")
    header = [
        "",
        "zones",
        "tables",
        "grants",
        "resources",
        "largest stack",
        "seconds",
        "ms/resource",
        "peak MB",
    ]
    columns = (
        "zones",
        "tables",
        "grants",
        "resources",
        "largest_stack",
        "seconds",
        "ms_per_resource",
        "peak_mb",
    )
    rows = [
        [name, *(f"{numbers[c]:.2f}" if isinstance(numbers[c], float) else str(numbers[c]) for c in columns)]
        for name, numbers in result.items()
    ]
    print(measure.table(header, rows))


if __name__ == "__main__":
    sys.exit(main())
