"""A platform of little more than the tables that a test is about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from settings.model import Settings, load
from stacks import checks
from stacks.platform import compose
from tests.compliance.assembly import Assembly
from tests.constructs import support

SMALL = "\n".join(
    [
        'alert_emails = ["data-platform@example.com"]',
        '[platform]\nname = "ds-dev"',
        '[tags]\nbusiness-unit = "r"\napplication = "a"\nenvironment = "dev"\nowner = "o"',
    ]
)


def settings(folder: Path, tables: str, *, text: str = SMALL) -> Settings:
    """The settings of a folder with these tables."""
    (folder / "dev.toml").write_text(f"{text}\n{tables}", encoding="utf-8")
    return load("dev", folder=folder)


def judged(folder: Path, tables: str, *, text: str = SMALL) -> Assembly:
    """The platform with these tables, judged by the packs and by our rules."""
    app = support.app(outdir=folder / "cdk.out")
    compose(app, settings(folder, tables, text=text))
    checks.attach(app)
    app.synth()
    return Assembly(Path(app.outdir))


def resources(assembly: Assembly, stack: str, type: str) -> list[dict[str, Any]]:
    """The properties of a stack's resources of a type."""
    found = assembly.templates[stack]["Resources"].values()
    return [each["Properties"] for each in found if each["Type"] == type]
