"""The rules that every synthesis of the platform has to pass."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
import cdk_nag
from constructs import IConstruct

from cdk_data_science import DataScienceChecks

PACKS = (
    cdk_nag.AwsSolutionsChecks,
    cdk_nag.NIST80053R5Checks,
    cdk_nag.HIPAASecurityChecks,
    cdk_nag.PCIDSS321Checks,
)


def attach(app: cdk.App) -> None:
    """Let the four rule packs of cdk-nag and our own judge the templates of ``app``; a finding fails its
    synthesis.

    A finding that has to stay is acknowledged where it arises, with its reason. What ours finds is also
    written beside the templates, for code review.
    """
    ours = DataScienceChecks(app, sarif=Path(app.outdir) / "data-science-checks.sarif")
    cdk.Validations.of(app).add_plugins(*(pack(app) for pack in PACKS), ours)


def accept(construct: IConstruct, rule: str, reason: str) -> None:
    """Accept a finding of our own rule pack on a construct, because of what the settings ask for."""
    cdk.Validations.of(construct).acknowledge(cdk.Acknowledgment(id=f"DataScience-{rule}", reason=reason))


def accept_inline_policy(role: IConstruct, reason: str) -> None:
    """Accept that a role which this app does not make, or makes elsewhere, gets a policy of its own here."""
    packs = ("NIST.800.53.R5", "HIPAA.Security", "PCI.DSS.321")
    cdk.Validations.of(role).acknowledge(
        *(cdk.Acknowledgment(id=f"{pack}-IAMNoInlinePolicy", reason=reason) for pack in packs)
    )
