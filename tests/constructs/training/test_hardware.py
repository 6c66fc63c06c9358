"""Facts about instance types."""

from __future__ import annotations

import pytest

from cdk_data_science.hardware import InstanceUse, family, has_local_storage, instance_types, similar_types
from tests.constructs import hardware_types


def test_the_committed_types_are_those_of_the_service_models() -> None:
    committed = hardware_types.TARGET.read_text(encoding="utf-8")
    assert committed == hardware_types.content(), "run: python tests/constructs/hardware_types.py"


@pytest.mark.parametrize(
    "instance_type", ["ml.g5.xlarge", "ml.p4d.24xlarge", "ml.p5.48xlarge", "ml.trn1n.32xlarge"]
)
def test_accelerators_with_local_disks_are_known(instance_type: str) -> None:
    assert has_local_storage(instance_type)


@pytest.mark.parametrize("instance_type", ["ml.t3.medium", "ml.m5.xlarge", "ml.p3.2xlarge", "ml.inf2.xlarge"])
def test_a_letter_d_in_the_size_is_no_local_disk(instance_type: str) -> None:
    assert not has_local_storage(instance_type)


def test_each_use_has_types_of_its_own() -> None:
    assert "ml.inf2.xlarge" in instance_types(InstanceUse.ENDPOINT)
    assert "ml.inf2.xlarge" not in instance_types(InstanceUse.TRAINING)


@pytest.mark.parametrize("text", ["m5.xlarge", "ml.m5", "ml..xlarge", "xl.m5.xlarge", ""])
def test_what_is_no_type_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"ml\.<family>\.<size>"):
        family(text)


def test_a_typing_mistake_gets_suggestions() -> None:
    assert "ml.m5.xlarge" in similar_types("ml.m5.xlage", InstanceUse.TRAINING)
