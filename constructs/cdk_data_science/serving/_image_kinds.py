"""What images of AWS run on, as their names say.

https://github.com/aws/deep-learning-containers/blob/master/available_images.md
"""

from __future__ import annotations

import re
from typing import Literal

from cdk_data_science._validation import Problems, is_token
from cdk_data_science.hardware import InstanceFacts

Kind = Literal["cpu", "cuda", "neuron", "inf1"]

_PUBLISHED = re.compile(
    r"\d{12}\.dkr\.ecr(-fips)?\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/"
    r"(?P<image>(pytorch|tensorflow|huggingface|mxnet|djl|autogluon|sagemaker|stabilityai|vllm|sglang)[^/@]*)$"
)
_CUDA = re.compile(r"[-:](gpu|cu\d{2,3})\b")
_CPU = re.compile(r"[-:]cpu\b")
_ARM = re.compile(r"-(graviton|arm64)\b")


def kind_of(image: str) -> Kind | None:
    """What an image runs on; None for one whose name does not tell."""
    name = _published(image)
    if name is None:
        return None
    if "neuronx" in name:
        return "neuron"
    if "neuron" in name:
        return "inf1"
    if _CUDA.search(name):
        return "cuda"
    return "cpu" if _CPU.search(name) or _ARM.search(name) else None


def check_kind(problems: Problems, kind: Kind | None, known: InstanceFacts | None, variant: str) -> None:
    """Report instances that a model was not made for."""
    if kind is None or known is None:
        return
    of = f"variant {variant!r} on {known.name}"
    if kind == "cuda":
        problems.check(
            known.cuda,
            given=f"{of}, whose model was made for CUDA",
            allowed="types with NVIDIA GPUs, such as those of G5, G6, P4d and P5",
            write='instance_type="ml.g5.xlarge"',
        )
    elif kind == "neuron":
        problems.check(
            known.neuron and known.family != "inf1",
            given=f"{of}, whose model was made for Neuron",
            allowed="types of Inf2, Trn1 and Trn2; Inf1 runs what another compiler made",
            write='instance_type="ml.inf2.xlarge"',
        )
    elif kind == "inf1":
        problems.check(
            known.family == "inf1",
            given=f"{of}, whose model was compiled for Inf1",
            allowed="types of Inf1: later devices run what another compiler made",
            write='instance_type="ml.inf1.xlarge"',
        )
    else:
        problems.check(
            not known.neuron,
            given=f"{of}, whose model was made for processors",
            allowed="types without Neuron devices, which it would not use",
            write='instance_type="ml.m6i.large"',
        )


def check_architecture(
    problems: Problems, images: list[str], known: InstanceFacts | None, variant: str
) -> None:
    """Report images of the other processor architecture."""
    if known is None:
        return
    for image in images:
        name = _published(image)
        if name is None or kind_of(image) is None:
            continue
        arm = _ARM.search(name) is not None
        problems.check(
            arm == known.arm64,
            given=f"variant {variant!r} on {known.name} with image {name!r}",
            allowed=f"an image for {'arm64' if known.arm64 else 'x86_64'}, which these processors run",
            write='instance_type="ml.m8g.large"' if arm else 'instance_type="ml.m6i.large"',
        )


def _published(image: str) -> str | None:
    if is_token(image):
        return None
    match = _PUBLISHED.match(image)
    return None if match is None else match["image"]
