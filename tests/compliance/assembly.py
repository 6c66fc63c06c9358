"""Synthesizes an environment as `cdk synth` does, and reads what came out."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.compliance.templates import Platform

ROOT = Path(__file__).resolve().parents[2]
# What an app consists of: the folders that a copy of it needs to synthesize elsewhere.
APP_PARTS = ("app.py", "cdk.json", "settings", "stacks", "constructs", "lambda", "examples")
CLI_CONTEXT = {
    "aws:cdk:enable-path-metadata": True,
    "aws:cdk:enable-asset-metadata": True,
    "aws:cdk:version-reporting": True,
    "aws:cdk:bundling-stacks": ["**"],
}


_EACH = """
import functools, json
import aws_cdk as cdk
import app

{before}
App = cdk.App
for outdir, context in json.loads({given}):
    cdk.App = functools.partial(App, outdir=outdir, context=context, auto_synth=False)
    app.main()
"""


@dataclass(frozen=True, order=True, slots=True)
class Finding:
    """One rule of one pack, broken by one construct."""

    rule: str
    path: str


@dataclass(frozen=True, order=True, slots=True)
class Acknowledgement:
    """A finding that may stay: the rule without its namespace, the construct it was given to, and why."""

    rule: str
    path: str
    reason: str

    def covers(self, finding: Finding) -> bool:
        return finding.rule == self.rule and f"{finding.path}/".startswith(f"{self.path}/")


@dataclass(frozen=True)
class Assembly:
    """A synthesized app."""

    folder: Path

    @functools.cached_property
    def manifest(self) -> dict[str, Any]:
        found: dict[str, Any] = self._json("manifest.json")
        return found

    @functools.cached_property
    def templates(self) -> dict[str, dict[str, Any]]:
        """The templates by the names of their stacks."""
        return {
            artifact["properties"].get("stackName", key): self._json(artifact["properties"]["templateFile"])
            for key, artifact in self._stacks().items()
        }

    @functools.cached_property
    def platform(self) -> Platform:
        return Platform(self.templates)

    @functools.cached_property
    def dependencies(self) -> dict[str, set[str]]:
        """For each stack those that are deployed before it."""
        stacks = self._stacks()
        names = {key: artifact["properties"].get("stackName", key) for key, artifact in stacks.items()}
        return {
            names[key]: {names[other] for other in artifact.get("dependencies", ()) if other in names}
            for key, artifact in stacks.items()
        }

    @functools.cached_property
    def tags(self) -> dict[str, dict[str, str]]:
        """The tags that CloudFormation puts on each stack itself."""
        return {
            artifact["properties"].get("stackName", key): artifact["properties"].get("tags", {})
            for key, artifact in self._stacks().items()
        }

    @functools.cached_property
    def report(self) -> dict[str, Any]:
        """The validation report; nothing to report leaves no file."""
        return self._json("validation-report.json") if self._path("validation-report.json").exists() else {}

    def findings(self, *, severities: tuple[str, ...] = ("fatal", "error", "warning")) -> list[Finding]:
        """What the packs and the built-in validator found and nobody acknowledged."""
        plugins = self.report.get("pluginReports", ())
        return sorted(found for severity, found in _violations(plugins) if severity in severities)

    def found_in(self, stack: str) -> list[Finding]:
        """What anything found in a stack, however severe; an app that nothing judged has no report."""
        every = _violations(self.report["pluginReports"])
        return sorted(found for _, found in every if found.path.startswith(stack))

    def acknowledgements(self) -> list[Acknowledgement]:
        """What was acknowledged, from the metadata of the constructs."""
        return sorted(
            Acknowledgement(rule.split("::", 1)[-1] if "::" in rule.split("[")[0] else rule, path[1:], reason)
            for path, entry in self._metadata()
            if entry["type"] == "aws:cdk:acknowledged-rules"
            for rule, reason in entry["data"].items()
        )

    def files(self) -> dict[str, bytes]:
        """Everything that is deployed: templates and the lists of assets, by file name."""
        return {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in sorted(self.folder.rglob("*.json"))
            if path.name.endswith((".template.json", ".assets.json"))
        }

    def asset(self, object_key: str) -> Path:
        """The file or folder that is uploaded under this key."""
        for listing in sorted(self.folder.rglob("*.assets.json")):
            for entry in json.loads(listing.read_text(encoding="utf-8"))["files"].values():
                if any(target["objectKey"] == object_key for target in entry["destinations"].values()):
                    return listing.parent / str(entry["source"]["path"])
        raise KeyError(f"no asset is uploaded as {object_key}")

    def _metadata(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for artifact in self.manifest["artifacts"].values():
            name = artifact.get("additionalMetadataFile")
            metadata = self._json(name) if name else artifact.get("metadata", {})
            for path, entries in metadata.items():
                for entry in entries:
                    yield path, entry

    def _stacks(self) -> dict[str, dict[str, Any]]:
        artifacts: dict[str, dict[str, Any]] = self.manifest["artifacts"]
        return {key: a for key, a in artifacts.items() if a["type"] == "aws:cloudformation:stack"}

    def _path(self, name: str) -> Path:
        return self.folder / name

    def _json(self, name: str) -> Any:
        return json.loads(self._path(name).read_text(encoding="utf-8"))


def _violations(plugins: Iterable[dict[str, Any]]) -> Iterator[tuple[str, Finding]]:
    """Each finding of a report, with its severity."""
    for plugin in plugins:
        for violation in plugin["violations"]:
            for construct in violation["violatingConstructs"]:
                yield violation["severity"], Finding(violation["ruleName"], construct["constructPath"])


def context(environment: str, **more: Any) -> dict[str, Any]:
    """The context that the CDK's command line would hand to the app."""
    flags: dict[str, Any] = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
    return {**flags, **CLI_CONTEXT, "environment": environment, **more}


def variables(outdir: Path, context: dict[str, Any], **more: str) -> dict[str, str]:
    """A process environment with this context and without anybody's AWS account."""
    dropped = ("AWS_", "CDK_", "PYTEST_", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    cache = os.environ.get("CDK_DATA_SCIENCE_CACHE")
    if cache is not None:
        kept["CDK_DATA_SCIENCE_CACHE"] = cache
    return kept | {"CDK_CONTEXT_JSON": json.dumps(context), "CDK_OUTDIR": str(outdir)} | more


def run(
    command: list[str],
    outdir: Path,
    context: dict[str, Any],
    *,
    root: Path = ROOT,
    hash_seed: str = "0",
) -> subprocess.CompletedProcess[str]:
    """Run a Python program that synthesizes an app in the tree ``root``."""
    return subprocess.run(
        [sys.executable, *command],
        cwd=root,
        env=variables(outdir, context, PYTHONPATH=f"{root}:{root / 'constructs'}", PYTHONHASHSEED=hash_seed),
        capture_output=True,
        text=True,
        timeout=1800,  # for what hangs: a busy machine may take its time
        check=False,
    )


def synthesize(
    folder: Path,
    environments: Iterable[str],
    *,
    before: str = "",
    flags: Mapping[str, Any] | None = None,
    **more: Any,
) -> subprocess.CompletedProcess[str]:
    """What `cdk synth -c environment=…` leaves of each environment, in a folder of its name.

    In one process: the first app of a process takes ten seconds of a processor, each further one three.

    Args:
        folder: Where to.
        environments: Which.
        before: Python that runs first.
        flags: What the context has beside that of the command line.
        more: What :func:`run` takes.
    """
    given = [[str(folder / name), context(name, **(flags or {}))] for name in environments]
    program = _EACH.format(before=before, given=json.dumps(json.dumps(given)))
    return run(["-c", program], folder, {}, **more)
