"""What a region lacks is said before anything is deployed, with the nearest region that has it.

``region_types.json`` comes from CloudFormation's own lists of types in each region, which cfn-lint's package
carries; ``python -m tests.stacks.regions`` writes it.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import aws_cdk as cdk

from cdk_data_science import ConfigurationError

DATA = Path(__file__).with_name("region_types.json")

# Latitude and longitude of the city or state that a region is named after.
_PLACES = {
    "af-south-1": (-33.9, 18.4),
    "ap-east-1": (22.3, 114.2),
    "ap-east-2": (25.0, 121.6),
    "ap-northeast-1": (35.7, 139.7),
    "ap-northeast-2": (37.6, 127.0),
    "ap-northeast-3": (34.7, 135.5),
    "ap-south-1": (19.1, 72.9),
    "ap-south-2": (17.4, 78.5),
    "ap-southeast-1": (1.4, 103.8),
    "ap-southeast-2": (-33.9, 151.2),
    "ap-southeast-3": (-6.2, 106.8),
    "ap-southeast-4": (-37.8, 145.0),
    "ap-southeast-5": (3.1, 101.7),
    "ap-southeast-6": (-36.8, 174.8),
    "ap-southeast-7": (13.8, 100.5),
    "ca-central-1": (45.5, -73.6),
    "ca-west-1": (51.0, -114.1),
    "cn-north-1": (39.9, 116.4),
    "cn-northwest-1": (37.5, 105.2),
    "eu-central-1": (50.1, 8.7),
    "eu-central-2": (47.4, 8.5),
    "eu-north-1": (59.3, 18.1),
    "eu-south-1": (45.5, 9.2),
    "eu-south-2": (41.6, -0.9),
    "eu-west-1": (53.3, -6.3),
    "eu-west-2": (51.5, -0.1),
    "eu-west-3": (48.9, 2.4),
    "il-central-1": (32.1, 34.8),
    "me-central-1": (24.5, 54.4),
    "mx-central-1": (20.6, -100.4),
    "sa-east-1": (-23.5, -46.6),
    "us-east-1": (38.9, -77.4),
    "us-east-2": (40.0, -83.0),
    "us-gov-east-1": (40.0, -83.0),
    "us-gov-west-1": (45.8, -119.7),
    "us-west-1": (37.4, -121.9),
    "us-west-2": (45.8, -119.7),
}


def check(stacks: Iterable[cdk.Stack]) -> None:
    """Refuse stacks with resources of types that their region lacks. Unknown regions are not judged.

    Raises:
        ConfigurationError: All that is missing, stack by stack.
    """
    problems = [
        f"{stack.stack_name}: given region {stack.region}; {said}"
        for stack in stacks
        if not cdk.Token.is_unresolved(stack.region)
        for said in missing(_types(stack), stack.region)
    ]
    if problems:
        lines = "".join(f"\n  - {problem}" for problem in problems)
        raise ConfigurationError(
            f"Regions: {len(problems)} problem{'s' if len(problems) > 1 else ''}{lines}\n"
            "Leave the table of the stack out of the settings, or name another region."
        )


def missing(types: Iterable[str], region: str) -> Iterator[str]:
    """A sentence for each type that a region lacks."""
    for kind in sorted(set(types)):
        lacking = _lacking().get(kind, frozenset())
        if region in lacking:
            near = nearest(region, lacking)
            allowed = (
                "no region of its partition" if near is None else f"a region that has it; nearest: {near}"
            )
            yield f"CloudFormation has no {kind} there; allowed: {allowed}"


def nearest(region: str, lacking: Iterable[str]) -> str | None:
    """The nearest region of the same partition that is not among those that lack something."""
    there = set(_PLACES) - set(lacking) - {region}
    candidates = [each for each in there if partition(each) == partition(region)]
    return min(sorted(candidates), key=lambda each: _distance(region, each), default=None)


def partition(region: str) -> str:
    """The partition of a region."""
    return {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(region.rsplit("-", 2)[0], "aws")


def regions() -> list[str]:
    """The regions that are judged, of the three public partitions."""
    return sorted(_PLACES)


def _types(stack: cdk.Stack) -> set[str]:
    return {
        resource.cfn_resource_type
        for resource in stack.node.find_all()
        if cdk.CfnResource.is_cfn_resource(resource) and isinstance(resource, cdk.CfnResource)
    }


@functools.cache
def _lacking() -> Mapping[str, frozenset[str]]:
    content: dict[str, list[str]] = json.loads(DATA.read_text(encoding="utf-8"))
    return {kind: frozenset(where.split()) for where, kinds in content.items() for kind in kinds}


def _distance(one: str, other: str) -> float:
    """The angle between two places on the globe."""
    lat1, lon1 = map(math.radians, _PLACES[one])
    lat2, lon2 = map(math.radians, _PLACES[other])
    cosine = math.sin(lat1) * math.sin(lat2) + math.cos(lat1) * math.cos(lat2) * math.cos(lon1 - lon2)
    return math.acos(max(-1.0, min(1.0, cosine)))
