"""Logical ids of what holds data do not change by accident."""

from __future__ import annotations

from tests.compliance.assembly import Assembly
from tests.stacks import stateful
from tests.stacks.stateful import Lock

ADVICE = """
If this is what you want, decide first what becomes of the data (rename in place with `cdk refactor`, import,
or copy), then accept the change:  python -m tests.stacks.stateful
"""
BUCKET: Lock = {"lake": {"Raw1": {"type": "AWS::S3::Bucket", "path": "lake/Raw/Bucket"}}}


def test_no_deployment_loses_data(synthesized: Assembly, environment: str) -> None:
    losses = stateful.losses(stateful.read().get(environment, {}), stateful.stateful(synthesized))
    assert not losses, "\n  - ".join(["", *losses]) + "\n" + ADVICE


def test_every_stateful_resource_is_kept_when_its_stack_is_deleted(synthesized: Assembly) -> None:
    """The synthesized environments do not hold the second of the two keys."""
    lost = [
        str(resource)
        for resource in synthesized.platform.resources(*stateful.WHAT_IS_LOST)
        for policy in ("DeletionPolicy", "UpdateReplacePolicy")
        if resource.document.get(policy) not in ("Retain", "RetainExceptOnCreate", "Snapshot")
    ]
    assert lost == []


def test_a_changed_id_names_the_thing_and_what_is_lost() -> None:
    renamed: Lock = {"lake": {"Raw2": BUCKET["lake"]["Raw1"]}}
    first, second = stateful.losses(BUCKET, renamed)
    assert first == (
        "lake/Raw/Bucket (AWS::S3::Bucket Raw1 in lake) would be replaced by an empty one, Raw2; "
        "lost with it: its objects"
    )
    assert "Raw2 in lake) is new" in second


def test_a_resource_that_is_gone_is_named() -> None:
    [loss] = stateful.losses(BUCKET, {})
    assert "no longer there" in loss


def test_a_new_resource_has_to_be_accepted() -> None:
    [loss] = stateful.losses({}, BUCKET)
    assert "not in the list yet" in loss


def test_the_same_ids_lose_nothing() -> None:
    assert stateful.losses(BUCKET, BUCKET) == []
