"""How long `cdk synth` takes for the default platform, against the floor: its resources as raw L1s.

The floor makes one `CfnResource` for each resource of the synthesized templates, with the same properties.
It pays for Python, jsii and synthesis, and for nothing that constructs do. An empty app pays for starting up
alone. The variants take turns, so that a slow moment of the machine meets them all.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import measure

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = "dev"
FLOOR = "raw L1s, no checks"

_EMPTY = """
import aws_cdk as cdk

app = cdk.App()
cdk.CfnWaitConditionHandle(cdk.Stack(app, "Empty"), "Nothing")
app.synth()
"""

_UNCHECKED = """
import aws_cdk as cdk

from settings.model import load
from stacks.platform import compose

app = cdk.App()
compose(app, load(app.node.get_context("environment")))
app.synth()
"""

_RAW = """
import json
from pathlib import Path

import aws_cdk as cdk

app = cdk.App()
for name, template in json.loads(Path("templates.json").read_text(encoding="utf-8")).items():
    stack = cdk.Stack(app, name, synthesizer=cdk.LegacyStackSynthesizer())
    stack.template_options.description = template["Description"]
    for key, content in template["Resources"].items():
        resource = cdk.CfnResource(stack, key, type=content["Type"], properties=content.get("Properties"))
        resource.override_logical_id(key)
        for attribute in content.keys() - {"Type", "Properties"}:
            resource.add_override(attribute, content[attribute])
    for key, content in template.get("Outputs", {}).items():
        cdk.CfnOutput(stack, key, value=cdk.Token.as_string(content["Value"])).override_logical_id(key)
app.synth()
"""


class Variant:
    """One program that synthesizes, and the runs of it so far."""

    def __init__(
        self, name: str, command: list[str], cwd: Path, context: dict[str, Any], **more: str
    ) -> None:
        self.name = name
        self.runs: list[measure.Run] = []
        self._command, self._cwd, self._context, self._more = command, cwd, context, more

    def run(self, out: Path) -> None:
        own = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "CDK_", "PYTHON"))
        }
        environment = (
            own | self._more | {"CDK_OUTDIR": str(out), "CDK_CONTEXT_JSON": json.dumps(self._context)}
        )
        environment["PYTHONPATH"] = str(ROOT)
        command = [sys.executable, *self._command]
        self.runs.append(measure.run(command, cwd=self._cwd, environment=environment))


def templates(folder: Path) -> dict[str, dict[str, Any]]:
    """The synthesized templates by stack."""
    return {
        path.name.removesuffix(".template.json"): json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*.template.json"))
    }


def variants(scratch: Path, context: dict[str, Any]) -> list[Variant]:
    """Write the programs. The first run also fills the caches of jsii and of Lambda assets."""
    checked = Variant("platform, all checks", ["app.py"], ROOT, context)
    checked.run(scratch / "platform")
    checked.runs.clear()
    (scratch / "templates.json").write_text(json.dumps(templates(scratch / "platform")), encoding="utf-8")
    for name, text in {"unchecked.py": _UNCHECKED, "raw.py": _RAW, "empty.py": _EMPTY}.items():
        (scratch / name).write_text(text, encoding="utf-8")
    return [
        checked,
        Variant(
            "platform, no checks", [str(scratch / "unchecked.py")], ROOT, context, CDK_VALIDATION="false"
        ),
        Variant(FLOOR, ["raw.py"], scratch, context, CDK_VALIDATION="false"),
        Variant("empty app", ["empty.py"], scratch, context, CDK_VALIDATION="false"),
    ]


def same_resources(scratch: Path) -> bool:
    """Whether the floor wrote the resources that the platform wrote."""

    def resources(folder: str) -> dict[str, Any]:
        return {name: template["Resources"] for name, template in templates(scratch / folder).items()}

    return resources("platform") == resources(FLOOR)


def summary(found: Sequence[Variant], resources: int) -> dict[str, Any]:
    results = {variant.name: measure.medians(variant.runs) for variant in found}
    start, floor = results["empty app"]["seconds"], results[FLOOR]["seconds"]
    for numbers in results.values():
        numbers["ratio_to_floor"] = round(numbers["seconds"] / floor, 2)
        numbers["ms_per_resource"] = round((numbers["seconds"] - start) * 1000 / resources, 2)
    return {
        "environment": ENVIRONMENT,
        "resources": resources,
        "runs": len(found[0].runs),
        "machine": measure.machine(),
        "variants": results,
    }


def show(result: dict[str, Any]) -> None:
    print(f"{result['resources']} resources, median of {result['runs']} interleaved runs\n")
    header = ["", "seconds", "fastest", "CPU s", "peak MB", "ms/resource", "x floor"]
    columns = ("seconds", "fastest_seconds", "cpu_seconds", "peak_mb", "ms_per_resource", "ratio_to_floor")
    rows = [[name, *(f"{numbers[c]:.2f}" for c in columns)] for name, numbers in result["variants"].items()]
    print(measure.table(header, rows))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.synth", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="runs of each variant (default: 5)")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    arguments = parser.parse_args()
    flags = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
    context = {**flags, "environment": ENVIRONMENT}
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        found = variants(scratch, context)
        for _ in range(arguments.runs):
            for variant in found:
                variant.run(scratch / variant.name)
        if not same_resources(scratch):
            print("The raw L1s are not the platform's resources: the floor is no floor.", file=sys.stderr)
            return 1
        resources = sum(len(template["Resources"]) for template in templates(scratch / "platform").values())
    result = summary(found, resources)
    show(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
