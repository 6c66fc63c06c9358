"""The four security packs over an app, and what they found that nobody acknowledged."""

from __future__ import annotations

import json
from pathlib import Path

import aws_cdk as cdk
import cdk_nag

PACKS = (
    cdk_nag.AwsSolutionsChecks,
    cdk_nag.HIPAASecurityChecks,
    cdk_nag.NIST80053R5Checks,
    cdk_nag.PCIDSS321Checks,
)


def unacknowledged(app: cdk.App) -> list[str]:
    """Synthesize with all packs; ``rule at construct`` for each finding that is left."""
    cdk.Validations.of(app).add_plugins(*(pack() for pack in PACKS))
    try:
        app.synth()
    except RuntimeError as failure:
        if "ValidationFailed" not in str(failure):
            raise
    report = json.loads((Path(app.outdir) / "validation-report.json").read_text(encoding="utf-8"))
    return [
        f"{violation['ruleName']} at {construct['constructPath']}"
        for plugin in report["pluginReports"]
        for violation in plugin["violations"]
        for construct in violation["violatingConstructs"]
    ]
