"""What the roles did in a run, beside what the source of their functions says that they do."""

from __future__ import annotations

import pytest

from tests.compliance.assembly import ROOT
from tests.compliance.handlers import Asset
from tests.compliance.test_unused_permissions import BESIDE, NOT_IN_SOURCE
from tests.platform.conftest import FirstUse
from tests.platform.deployed import Deployed

pytestmark = pytest.mark.xdist_group("platform")


def called(handler: str) -> set[str] | None:
    """The actions that the source of a handler calls; None if the handler is not ours."""
    for name in ("pipeline", "inference"):
        asset = Asset.in_folder(ROOT / "lambda" / name)
        if asset.has(handler):
            return {action for call in asset.calls(handler) for action in call.actions()}
    return None


def did(use: FirstUse, role: str) -> set[str]:
    return {call["action"] for call in use.roles.get(role.rpartition("/")[2], {"used": []})["used"]}


def unreadable(function: str) -> set[str]:
    """The actions of a function that its source is known not to show."""
    return {action for part, action in NOT_IN_SOURCE if part.strip("/") in function}


def test_a_function_does_nothing_that_its_source_does_not_say(
    platform: Deployed, first_use: FirstUse
) -> None:
    surprises: list[str] = []
    seen: set[str] = set()
    for handler, function in platform.functions.items():
        expected = called(handler)
        if expected is not None:
            done = did(first_use, function["Role"])
            seen |= done
            known = expected | set(BESIDE) | unreadable(function["FunctionName"])
            surprises += [f"{handler}: {action}" for action in sorted(done - known)]
    assert not surprises, "the reader of the handlers' source misses these calls:\n" + "\n".join(surprises)
    assert {"s3:GetObject", "s3:PutObject", "sagemaker:CreateModelPackage"} <= seen


def test_a_run_that_succeeds_is_denied_nothing(first_use: FirstUse) -> None:
    denied = {
        f"{name}: {call['action']} on {', '.join(call['resources'])}"
        for name, role in first_use.roles.items()
        for call in role["denied"]
    }
    assert denied == set()


def test_the_roles_of_a_run_are_told(platform: Deployed, first_use: FirstUse) -> None:
    """What the two tests above read is there: the machine started a training job, which wrote its model."""
    assert "sagemaker:CreateTrainingJob" in did(first_use, platform.machine_role)
    trained = [name for name, role in first_use.roles.items() if "Training" in name and role["used"]]
    assert trained
