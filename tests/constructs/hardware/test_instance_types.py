"""Which types SageMaker's APIs take, and what EC2 says that they are made of."""

from __future__ import annotations

import importlib
import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from cdk_data_science.hardware import (
    InstanceUse,
    facts,
    family,
    has_local_storage,
    instance_types,
    instances,
    similar_types,
    uses,
)

TOOL = Path(__file__).parents[3] / "tools" / "instance_facts.py"
# Types that the API's lists hold and EC2's recorded answers lack: nothing is made up about them.
WITHOUT_FACTS = {
    *("ml.p2.xlarge", "ml.p2.8xlarge", "ml.p2.16xlarge"),
    *("ml.p3.2xlarge", "ml.p3.8xlarge", "ml.p3.16xlarge"),
    *("ml.dl1.24xlarge", "ml.p6e-gb200.36xlarge", "ml.geospatial.interactive"),
}
# Families on whose own disks SageMaker keeps a job's data, as its users met them.
LOCAL_STORAGE = {
    *("c5d", "c6gd", "c6id", "m5d", "m6gd", "m6id", "r5d", "r6gd", "r6id", "r7gd", "i3en"),
    *("g4dn", "g5", "g6", "g6e", "g7", "g7e", "gr6"),
    *("p3dn", "p4d", "p4de", "p5", "p5e", "p5en", "p6-b200", "p6-b300", "p6e-gb200"),
    *("dl1", "trn1", "trn1n", "trn2"),
}


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("instance_facts", TOOL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def everything() -> set[str]:
    return {name for use in InstanceUse for name in instance_types(use)}


def test_each_api_takes_the_types_of_its_service_model(tool: ModuleType) -> None:
    expected: dict[str, set[str]] = {}
    for name, letters in tool.uses().items():
        for letter in letters:
            expected.setdefault(tool.ENUMS[letter][0], set()).add(name)
    found = {use.value: set(instance_types(use)) for use in InstanceUse}
    assert found == expected, "run: python tools/instance_facts.py"


def test_the_committed_facts_are_what_ec2_says(tool: ModuleType) -> None:
    committed = json.loads(tool.TARGET.read_text(encoding="utf-8"))
    assert committed == json.loads(tool.content(tool.recorded())), "run: python tools/instance_facts.py"


def test_types_that_ec2_does_not_describe_are_known_by_name_alone(everything: set[str]) -> None:
    assert {name for name in everything if facts(name) is None} == WITHOUT_FACTS


def test_the_disks_that_ec2_tells_of_are_those_that_users_met(everything: set[str]) -> None:
    assert {family(name) for name in everything if has_local_storage(name)} == LOCAL_STORAGE


def test_all_sizes_of_a_family_have_disks_or_none_has(everything: set[str]) -> None:
    with_disks = {family(name) for name in everything if has_local_storage(name)}
    without = {family(name) for name in everything if not has_local_storage(name)}
    assert not with_disks & without


@pytest.mark.parametrize("instance_type", ["ml.t3.medium", "ml.m5.xlarge", "ml.p3.2xlarge", "ml.inf2.xlarge"])
def test_a_letter_d_in_the_size_is_no_local_disk(instance_type: str) -> None:
    assert not has_local_storage(instance_type)


def test_a_type_is_described() -> None:
    g5 = facts("ml.g5.12xlarge")
    assert g5 is not None
    assert (g5.family, g5.size, g5.generation, g5.vcpus, g5.memory_gib) == ("g5", "12xlarge", 5, 48, 192)
    assert (g5.local_storage_gb, g5.network_gbps, g5.efa_interfaces) == (3800, 40, 1)
    assert g5.accelerator is not None
    assert (g5.accelerator.name, g5.accelerator.count, g5.cuda, g5.neuron) == ("A10G", 4, True, False)
    assert InstanceUse.TRAINING in g5.uses and InstanceUse.STUDIO in g5.uses


def test_neuron_devices_are_no_cuda() -> None:
    trn2, inf2 = facts("ml.trn2.48xlarge"), facts("ml.inf2.xlarge")
    assert trn2 is not None and inf2 is not None
    assert trn2.neuron and not trn2.cuda and trn2.efa_interfaces > 0
    assert inf2.neuron and inf2.uses >= {InstanceUse.ENDPOINT} and InstanceUse.TRAINING not in inf2.uses


def test_graviton_and_bursts_are_told() -> None:
    graviton, burstable = facts("ml.c7g.xlarge"), facts("ml.t3.medium")
    assert graviton is not None and burstable is not None
    assert graviton.arm64 and not graviton.burstable
    assert burstable.burstable and not burstable.arm64


def test_tuning_takes_the_types_of_training() -> None:
    assert instance_types(InstanceUse.TUNING) == instance_types(InstanceUse.TRAINING)


@pytest.mark.parametrize("text", ["m5.xlarge", "ml.m5", "ml..xlarge", "xl.m5.xlarge", ""])
def test_what_is_no_type_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"ml\.<family>\.<size>"):
        facts(text)


@pytest.mark.parametrize("text", ["ml.m5.huge", "ml.z99.xlarge"])
def test_a_type_that_no_api_knows_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no instance type that an API of SageMaker knows"):
        facts(text)


def test_a_typing_mistake_gets_suggestions() -> None:
    assert "ml.m5.xlarge" in similar_types("ml.m5.xlage", InstanceUse.TRAINING)


def test_the_facts_are_read_when_they_are_asked_for_and_once() -> None:
    uses.table.cache_clear()
    instances.known_types.cache_clear()
    importlib.reload(importlib.import_module("cdk_data_science.hardware"))
    assert uses.table.cache_info().misses == 0
    instances.known_types()
    facts("ml.m5.xlarge")
    assert uses.table.cache_info().misses == 1


def test_devices_have_the_memory_that_aws_documents_where_ec2_says_otherwise(tool: ModuleType) -> None:
    told = tool.recorded()["trn2.48xlarge"]["NeuronInfo"]["NeuronDevices"][0]
    if told["MemoryInfo"]["SizeInMiB"] == tool.DEVICE_MEMORY_MIB["Trainium2"]:
        pytest.fail("EC2 says what AWS documents: the correction in tools/instance_facts.py can go")
    known = facts("ml.trn2.48xlarge")
    assert known is not None and known.accelerator is not None
    assert (known.accelerator.count, known.accelerator_memory_gib) == (16, 16 * 96)
