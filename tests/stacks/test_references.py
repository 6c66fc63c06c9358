"""Values that one stack takes from another: what makes a consumer follow a resource that was replaced.

CloudFormation reads another stack's output when it creates or updates the reader, and at no other time. A
reader is updated only if its own template has changed. So a replaced resource has to change its readers'
templates, which its logical id does: it is part of the output's name. A resource that CloudFormation
replaces under its old id would be missed; that takes a changed create-only property, and so there must be
none to change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3

from cdk_data_science import DataLake
from tests.compliance.assembly import Assembly
from tests.compliance.cloudformation import create_only
from tests.compliance.templates import Resource
from tests.constructs import support

# Constants of the library. Clients know the alias's name too: to change it is to move every client.
NEVER_CHANGED = {
    ("AWS::EC2::SecurityGroup", "GroupDescription"): "A group of a research network",
    ("AWS::Lambda::Alias", "Name"): "live",
}


def look_ups(value: Any) -> Iterator[dict[str, Any]]:
    """All references to other stacks' outputs."""
    if isinstance(value, dict):
        if "Fn::GetStackOutput" in value:
            yield value["Fn::GetStackOutput"]
        for part in value.values():
            yield from look_ups(part)
    elif isinstance(value, list):
        for part in value:
            yield from look_ups(part)


def named_in_its_id(resource: Resource, value: str) -> bool:
    """Whether the logical id changes with the value, because it says it."""
    return re.sub(r"[^A-Za-z0-9]", "", value) in resource.logical_id


@pytest.fixture
def references(synthesized: Assembly) -> list[tuple[str, str, Resource]]:
    """Consumer, name of the output, and the resource that it tells of."""
    found = []
    for consumer, template in synthesized.templates.items():
        for look_up in look_ups(template):
            producer, output = look_up["StackName"], look_up["OutputName"]
            value = synthesized.templates[producer]["Outputs"][output]["Value"]
            target = synthesized.platform.target(producer, value)
            assert target is not None, (
                f"{consumer} reads {output}, which is no resource of {producer}: {value}"
            )
            found.append((consumer, output, target))
    assert found
    return found


def test_what_is_read_of_another_stack_names_the_resource(
    references: list[tuple[str, str, Resource]],
) -> None:
    assert [(c, o) for c, o, resource in references if resource.logical_id not in o] == []


def test_stacks_are_deployed_after_those_that_they_read(
    references: list[tuple[str, str, Resource]], synthesized: Assembly
) -> None:
    for consumer, _, resource in references:
        assert resource.stack in synthesized.dependencies[consumer]


def test_nothing_that_is_read_can_be_replaced_under_its_old_id(
    references: list[tuple[str, str, Resource]],
) -> None:
    replaceable = {
        f"{resource} has {name}={resource.properties[name]!r}: CloudFormation replaces it when that "
        f"changes, and {consumer} would go on with the old one"
        for consumer, _, resource in references
        for name in create_only(resource.type)
        if name in resource.properties
        and not isinstance(resource.properties[name], dict)  # follows another resource
        and NEVER_CHANGED.get((resource.type, name)) != resource.properties[name]
        and not named_in_its_id(resource, str(resource.properties[name]))
    }
    assert replaceable == set()


def test_a_consumer_follows_a_bucket_that_was_replaced() -> None:
    def consumer(replaced: bool) -> dict[str, Any]:
        app = support.app()
        home, away = support.stack(app, "Home"), support.stack(app, "Away")
        lake = DataLake(home, "Lake", zones=["raw"], lake_formation=None)
        if replaced:
            bucket = lake.raw.bucket.node.default_child
            assert isinstance(bucket, s3.CfnBucket)
            bucket.override_logical_id("Restored")
        lake.raw.grant_read(iam.Role(away, "Reader", assumed_by=iam.AccountRootPrincipal()))
        return support.only(support.resources(away, "AWS::IAM::Policy"))["Properties"]

    assert consumer(replaced=False) == consumer(replaced=False)
    assert consumer(replaced=False) != consumer(replaced=True)
    assert "Restored" in str(consumer(replaced=True))


def test_references_between_stacks_never_block_an_update(synthesized: Assembly) -> None:
    assert "Fn::ImportValue" not in str(synthesized.templates)
