"""The rules that every synthesis of the platform has to pass."""

from __future__ import annotations

import aws_cdk as cdk
import cdk_nag

PACKS = (
    cdk_nag.AwsSolutionsChecks,
    cdk_nag.NIST80053R5Checks,
    cdk_nag.HIPAASecurityChecks,
    cdk_nag.PCIDSS321Checks,
)


def attach(app: cdk.App) -> None:
    """Let the four rule packs of cdk-nag judge the templates of ``app``; a finding fails its synthesis.

    A finding that has to stay is acknowledged where it arises, with its reason.
    """
    cdk.Validations.of(app).add_plugins(*(pack(app) for pack in PACKS))
