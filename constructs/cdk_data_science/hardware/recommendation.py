"""Which instance type to take, and why.

The advice knows what types are made of, not what they cost: prices differ by region, and they change. In
place of the cost it takes the size: the fewest accelerators, then the least accelerator memory, then the
fewest processors, then the least memory. Look at the price list before you decide between the alternatives.
"""

from __future__ import annotations

import math

from cdk_data_science.hardware.choice import Prefer, Recommendation, Wish
from cdk_data_science.hardware.instances import InstanceFacts
from cdk_data_science.hardware.uses import InstanceUse

_GIB = 1024**3
# For each parameter: weight and gradient in 16 bits, the optimizer's weight, momentum and variance in 32.
# https://arxiv.org/abs/1910.02054
_TRAINING_BYTES_PER_PARAMETER = 16
_INFERENCE_BYTES_PER_PARAMETER = 2
# Activations, caches and the framework itself.
_HEADROOM = 1.2
# A queue grows fast on a processor that is busier than this.
_UTILIZATION = 0.6
# Where nothing was measured, a model above this goes on an accelerator: a guess, and the reasons say so.
_LARGE_FOR_PROCESSORS_GIB = 2


def recommend_training(
    *,
    memory_gib: float = 0,
    accelerator_memory_gib: float = 0,
    parameters: float = 0,
    bytes_per_parameter: float = _TRAINING_BYTES_PER_PARAMETER,
    cuda: bool = False,
    neuron: bool = False,
    arm64: bool = False,
    prefer: Prefer = "cost",
    max_instances: int = 1,
) -> Recommendation:
    """Say which instances a training job may take.

    ```python
    from cdk_data_science.hardware import recommend_training

    # A model of seven billion parameters, trained in full
    print(recommend_training(parameters=7e9, cuda=True))
    ```

    Args:
        memory_gib: Memory that the program needs on each instance, its data included.
        accelerator_memory_gib: Memory that it needs on accelerators, over all instances.
        parameters: Size of the model, in place of ``accelerator_memory_gib``.
        bytes_per_parameter: What training keeps for each: 16 with Adam in mixed precision, about 2 where only
            small adapters are trained.
        cuda: The program needs CUDA.
        neuron: The program was made for Trainium.
        arm64: There is an image for Graviton.
        prefer: The smallest that does, or the one with the most of everything.
        max_instances: How many instances the program can be spread over.

    Raises:
        ConfigurationError: no type fulfils this, or the wishes contradict each other.
    """
    needed = accelerator_memory_gib or parameters * bytes_per_parameter * _HEADROOM / _GIB
    reasons = [_size(parameters, bytes_per_parameter, needed)] if parameters else []
    wish = Wish("recommend_training", InstanceUse.TRAINING, prefer, arm64=arm64)
    wish.check_kind(cuda=cuda, neuron=neuron, needed=needed, parameters=parameters)
    wish.check(max_instances >= 1, given=f"max_instances={max_instances}", allowed="1 or more")
    wish.raise_if_any()
    accelerated = cuda or neuron or needed > 0
    wish.need_memory(memory_gib)
    if neuron:
        wish.need("has Trainium devices", lambda each: each.neuron and each.family.startswith("trn"))
    elif accelerated:
        wish.need("runs CUDA", lambda each: each.cuda)
    else:
        wish.need("has no accelerators", lambda each: each.accelerator is None)
    for count in range(1, max_instances + 1):
        each_needs = needed / count
        if count > 1:
            wish.need("has EFA, for several instances", lambda each: each.efa_interfaces > 0)
        chosen = wish.candidates(accelerator_memory_gib=each_needs)
        if chosen:
            if count > 1:
                reasons.append(
                    f"no single instance has {needed:,.0f} GiB of accelerator memory: {count} share it"
                )
            return wish.recommend(chosen, count, reasons, accelerator_memory_gib=each_needs)
    raise wish.nothing(needed, max_instances)


def recommend_inference(
    *,
    latency_ms: float | None = None,
    requests_per_second: float = 1,
    cpu_ms: float | None = None,
    accelerator_ms: float | None = None,
    model_gib: float = 0,
    parameters: float = 0,
    bytes_per_parameter: float = _INFERENCE_BYTES_PER_PARAMETER,
    cuda: bool = False,
    neuron: bool = False,
    arm64: bool = False,
    prefer: Prefer = "cost",
) -> Recommendation:
    """Say where predictions should be made.

    How long a model takes can only be measured. With ``cpu_ms``, the advice is to stay on processors as long
    as that is quick enough; without it, a small model goes on processors and a large one on accelerators.

    ```python
    from cdk_data_science.hardware import recommend_inference

    print(recommend_inference(latency_ms=100, cpu_ms=12, requests_per_second=200, model_gib=0.3))
    ```

    Args:
        latency_ms: What a caller waits for at most. Without it nobody waits: a transform job is advised.
        requests_per_second: At peak.
        cpu_ms: Measured time of one request on one vCPU.
        accelerator_ms: Measured time of one request on one accelerator.
        model_gib: Size of the model in memory.
        parameters: Size of the model, in place of ``model_gib``.
        bytes_per_parameter: 2 for weights in 16 bits, 1 for 8, 4 for 32.
        cuda: The program needs CUDA.
        neuron: The model was compiled for Inferentia or Trainium.
        arm64: There is an image for Graviton.
        prefer: The smallest that does, or the one with the most of everything.

    Raises:
        ConfigurationError: no type fulfils this, or the wishes contradict each other.
    """
    use = InstanceUse.ENDPOINT if latency_ms is not None else InstanceUse.TRANSFORM
    needed = (model_gib or parameters * bytes_per_parameter / _GIB) * _HEADROOM
    wish = Wish("recommend_inference", use, prefer, arm64=arm64)
    wish.check_kind(cuda=cuda, neuron=neuron, needed=model_gib, parameters=parameters)
    wish.check_positive(
        latency_ms=latency_ms,
        requests_per_second=requests_per_second,
        cpu_ms=cpu_ms,
        accelerator_ms=accelerator_ms,
    )
    wish.raise_if_any()
    reasons = [_size(parameters, bytes_per_parameter, needed)] if parameters else []
    if latency_ms is None:
        reasons.append("nobody waits for the answers: a transform job costs nothing between its runs")
    accelerated, why = _needs_accelerator(latency_ms, cpu_ms, needed, cuda=cuda, neuron=neuron)
    reasons.append(why)
    if not accelerated:
        wish.need("has no accelerators", lambda each: each.accelerator is None)
        wish.need("does not depend on processor credits", lambda each: not each.burstable)
        wish.need_memory(needed)
        chosen, least = wish.candidates(), 0.0
    else:
        if neuron:
            wish.need("runs compiled models", lambda each: each.neuron and each.family != "inf1")
        else:
            wish.need("runs CUDA", lambda each: each.cuda)
        chosen, least = wish.candidates(accelerator_memory_gib=needed), needed
    if not chosen:
        raise wish.nothing(needed, 1)
    count = 1
    took = accelerator_ms if accelerated else cpu_ms
    if took is not None and latency_ms is not None:
        workers = _workers(chosen[0], accelerated=accelerated)
        busy = requests_per_second * took / 1000
        count = max(1, math.ceil(busy / (workers * _UTILIZATION)))
        reasons.append(
            f"{requests_per_second:g} requests a second of {took:g} ms keep {busy:.1f} of its {workers} "
            f"{'accelerators' if accelerated else 'vCPUs'} busy, at most {_UTILIZATION:.0%} of each: {count} "
            f"instance{'s' if count > 1 else ''}"
        )
    return wish.recommend(chosen, count, reasons, accelerator_memory_gib=least)


def _needs_accelerator(
    latency_ms: float | None, cpu_ms: float | None, needed: float, *, cuda: bool, neuron: bool
) -> tuple[bool, str]:
    if cuda or neuron:
        return True, f"the program needs {'CUDA' if cuda else 'Neuron devices'}"
    if cpu_ms is not None and latency_ms is not None:
        if cpu_ms <= latency_ms:
            return False, f"{cpu_ms:g} ms on a processor are within the {latency_ms:g} ms that callers wait"
        return True, f"{cpu_ms:g} ms on a processor are more than the {latency_ms:g} ms that callers wait"
    large = needed > _LARGE_FOR_PROCESSORS_GIB
    return large, (
        f"not measured: a model of {needed:.1f} GiB is taken to be {'too slow' if large else 'quick enough'} "
        f"on processors (the line is drawn at {_LARGE_FOR_PROCESSORS_GIB} GiB); give cpu_ms to decide it by "
        "a measurement"
    )


def _workers(instance: InstanceFacts, *, accelerated: bool) -> int:
    if accelerated and instance.accelerator is not None:
        return instance.accelerator.count
    return instance.vcpus


def _size(parameters: float, bytes_per_parameter: float, needed: float) -> str:
    return (
        f"{parameters:,.0f} parameters of {bytes_per_parameter:g} bytes, and a fifth for all else, take "
        f"{needed:,.1f} GiB"
    )
