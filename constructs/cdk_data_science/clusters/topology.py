"""Which instances make a cluster, and how their fabric adapters are laid out."""

from __future__ import annotations

from cdk_data_science._validation import Problems, is_token, is_whole
from cdk_data_science.hardware import InstanceFacts, InstanceUse, facts, instance_types, similar_types

_UNLIKE = ("p6-b300", "p6e-gb200")
"""Families whose network cards are not laid out as the others' are: EC2's answers do not tell how."""


def check_type(
    problems: Problems, instance_type: str, *, count: int, use: InstanceUse, name: str = "instance_type"
) -> InstanceFacts | None:
    """Report a type that is none of a cluster of accelerators; its facts if it is one.

    Args:
        instance_type: As SageMaker writes it, with ``ml.``.
        count: How many there are: several need fabric adapters.
        use: Whose list it has to be in.
        name: Of the argument, for the message.
    """
    if is_token(instance_type):
        return None
    close = similar_types(instance_type, use)
    listed = instance_type in instance_types(use)
    problems.check(
        listed,
        given=f"{name}={instance_type!r}",
        allowed=f"an instance type of {use}" + (f", such as {', '.join(close)}" if close else ""),
        write=f'{name}="{close[0] if close else "ml.p5.48xlarge"}"',
    )
    if not listed:
        return None
    known = facts(instance_type)
    if known is None:  # EC2's recorded answers lack it: what it is made of is not judged
        return None
    problems.check(
        known.accelerator is not None,
        given=f"{name}={instance_type!r}, which has no accelerators",
        allowed="types with GPUs or Trainium: a cluster of processors has no use for this fabric",
        write=f'{name}="ml.p5.48xlarge"',
    )
    problems.check(
        count == 1 or known.efa_interfaces > 0,
        given=f"{count} x {instance_type!r}, which has no Elastic Fabric Adapter",
        allowed="types with EFA, where there are several instances",
        write=f'{name}="ml.p4d.24xlarge"',
    )
    return known


def check_count(problems: Problems, name: str, count: int, *, least: int, most: int) -> None:
    """Report a number of instances that there cannot be."""
    problems.check(
        is_token(count) or (is_whole(count, least) and count <= most),
        given=f"{name}={count!r}",
        allowed=f"{least} to {most:,}",
        write=f"{name}={least}",
    )


def adapters(known: InstanceFacts) -> list[tuple[int, int, str]]:
    """The network interfaces of an instance: card, device, and kind (``interface`` or ``efa-only``).

    An ordinary interface for IP on the first card, a fabric adapter beside it, and one on every other card.
    See https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/efa-acc-inst-types.html
    """
    first = [(0, 0, "interface")]
    if known.efa_interfaces == 0:
        return first
    return [*first, (0, 1, "efa-only"), *((card, 0, "efa-only") for card in range(1, known.efa_interfaces))]


def check_layout(problems: Problems, known: InstanceFacts) -> None:
    """Report a type whose network cards are laid out in a way that is not known here."""
    problems.check(
        known.family not in _UNLIKE,
        given=f"instance_type={known.name!r}, whose first network card carries no fabric adapter",
        allowed="types whose every card does",
        write='instance_type="p6-b200.48xlarge"',
    )
