"""`python -m tools.public_constructs`: install each project into an environment that is thrown away, judge
its app, and print what was found. It needs a package registry, so no test runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
APPS = Path(__file__).with_name("apps.py")
PROJECTS = (
    "aws-cdk-lib",
    "aws-cdk.aws-sagemaker-alpha",
    "cdklabs.aws-data-solutions-framework",
    "cdklabs.generative-ai-cdk-constructs",
    "aws-solutions-constructs.aws-lambda-sagemakerendpoint",
)


def main() -> None:
    """Judge every project, or those that are named."""
    with tempfile.TemporaryDirectory(prefix="public-constructs-") as folder:
        for project in sys.argv[1:] or PROJECTS:
            report(project, judge(project, Path(folder) / project))


def judge(project: str, folder: Path) -> list[dict[str, Any]]:
    """The results of the SARIF log of one project's app."""
    environment = folder / "environment"
    packages = [project] if project == "aws-cdk-lib" else [project, "aws-cdk-lib"]
    run(["uv", "venv", "--quiet", "--python", "3.11", str(environment)])
    python = environment / "bin" / "python"
    run(["uv", "pip", "install", "--quiet", "--python", str(python), *packages])
    run(["uv", "pip", "install", "--quiet", "--python", str(python), "--no-deps", "uv", str(ROOT)])
    run([str(python), str(APPS), project, str(folder / "assembly")])
    log = json.loads((folder / "assembly" / "findings.sarif").read_text(encoding="utf-8"))
    results: list[dict[str, Any]] = log["runs"][0]["results"]
    return results


def report(project: str, results: list[dict[str, Any]]) -> None:
    levels = Counter(result["level"] for result in results)
    print(f"\n{project}: {', '.join(f'{count} {level}' for level, count in sorted(levels.items()))}")
    for result in results:
        place = result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"]
        print(f"  {result['level']:<8}{result['ruleId']:<20}{place}")


def run(command: list[str]) -> None:
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    quiet = {"JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "1"}
    done = subprocess.run(command, env=kept | quiet, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")


if __name__ == "__main__":
    main()
