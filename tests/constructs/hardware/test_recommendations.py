"""Which instances are advised, and whether the reasons are true."""

from __future__ import annotations

from typing import Any

import pytest

from cdk_data_science import ConfigurationError
from cdk_data_science.hardware import (
    InstanceFacts,
    InstanceUse,
    Recommendation,
    facts,
    recommend_inference,
    recommend_training,
)


def described(advice: Recommendation) -> InstanceFacts:
    found = facts(advice.instance_type)
    assert found is not None
    return found


def test_a_large_model_is_trained_where_its_state_fits() -> None:
    advice = recommend_training(parameters=7e9, cuda=True)
    chosen = described(advice)
    assert chosen.cuda and InstanceUse.TRAINING in chosen.uses
    # weights, gradients and the optimizer's state in mixed precision, and a fifth for all else
    assert chosen.accelerator_memory_gib >= 7e9 * 16 * 1.2 / 1024**3
    assert "7,000,000,000 parameters of 16 bytes" in str(advice)


def test_adapters_need_less() -> None:
    whole = described(recommend_training(parameters=7e9, cuda=True))
    adapters = described(recommend_training(parameters=7e9, bytes_per_parameter=2.5, cuda=True))
    assert adapters.accelerator_memory_gib < whole.accelerator_memory_gib


def test_without_a_wish_for_accelerators_there_are_none() -> None:
    advice = recommend_training(memory_gib=100)
    assert described(advice).accelerator is None
    assert described(advice).memory_gib >= 100
    assert "has 100 GiB of memory" in str(advice)


def test_programs_for_neuron_get_trainium() -> None:
    assert recommend_training(neuron=True).instance_type.startswith("ml.trn")


def test_what_is_too_large_for_one_instance_is_shared_by_instances_with_efa() -> None:
    advice = recommend_training(parameters=405e9, cuda=True, max_instances=8)
    chosen = described(advice)
    assert 1 < advice.instance_count <= 8
    assert chosen.efa_interfaces > 0
    assert chosen.accelerator_memory_gib * advice.instance_count >= 405e9 * 16 * 1.2 / 1024**3
    assert "share it" in str(advice)


def test_speed_takes_more_than_cost_does() -> None:
    cheap, quick = (recommend_training(cuda=True, prefer=prefer) for prefer in ("cost", "speed"))
    assert described(quick).accelerator_memory_gib > described(cheap).accelerator_memory_gib
    assert "the most powerful" in str(quick)


def test_graviton_only_where_there_is_an_image_for_it() -> None:
    assert not described(recommend_inference(latency_ms=100, cpu_ms=10)).arm64
    assert any(
        described(advice).arm64 or any(arm(name) for name in advice.alternatives)
        for advice in [recommend_inference(latency_ms=100, cpu_ms=10, arm64=True)]
    )


def arm(name: str) -> bool:
    found = facts(name)
    return found is not None and found.arm64


def test_nobody_waits_so_the_advice_is_a_transform_job() -> None:
    advice = recommend_inference(model_gib=0.5)
    assert advice.use is InstanceUse.TRANSFORM
    assert "nobody waits" in str(advice)


def test_processors_that_are_quick_enough_are_enough() -> None:
    advice = recommend_inference(latency_ms=100, cpu_ms=12, requests_per_second=200, model_gib=0.3)
    chosen = described(advice)
    assert chosen.accelerator is None and not chosen.burstable
    # 200 requests of 12 ms keep 2.4 vCPUs busy, of which 60 % at most may be
    assert advice.instance_count * chosen.vcpus * 0.6 >= 2.4
    assert "within the 100 ms" in str(advice)


def test_processors_that_are_too_slow_are_not() -> None:
    advice = recommend_inference(latency_ms=100, cpu_ms=400)
    assert described(advice).cuda
    assert "more than the 100 ms" in str(advice)


def test_what_was_not_measured_is_said_to_be_a_guess() -> None:
    assert "not measured" in str(recommend_inference(latency_ms=500, parameters=13e9))


def test_compiled_models_get_inferentia_of_today() -> None:
    advice = recommend_inference(latency_ms=500, parameters=13e9, neuron=True)
    assert described(advice).neuron
    assert not any(name.startswith("ml.inf1") for name in (advice.instance_type, *advice.alternatives))


def test_the_reasons_tell_what_the_type_is_made_of() -> None:
    advice = recommend_training(cuda=True)
    chosen = described(advice)
    assert f"{chosen.vcpus} vCPUs" in advice.reasons[-1]
    assert advice.instance_type in advice.reasons[-1]
    families = {name.split(".")[1] for name in advice.alternatives}
    assert chosen.family not in families and len(families) == len(advice.alternatives)


@pytest.mark.parametrize(
    ("recommend", "options", "message"),
    [
        (recommend_training, {"cuda": True, "neuron": True}, "no type has both"),
        (recommend_training, {"parameters": -1}, "0 or more"),
        (recommend_training, {"max_instances": 0}, "1 or more"),
        (recommend_training, {"parameters": 405e9, "cuda": True}, "the largest is ml"),
        (recommend_inference, {"latency_ms": 0}, "more than 0"),
        (recommend_inference, {"requests_per_second": -2}, "more than 0"),
    ],
)
def test_what_cannot_be_is_refused(recommend: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        recommend(**options)
