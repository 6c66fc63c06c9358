"""Every role of the platform has a boundary, and every boundary holds what the role's own policies allow."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from settings.model import load
from tests.compliance.assembly import Assembly
from tests.compliance.templates import as_list

Template = dict[str, Any]
# By stack: roles that have none.
WITHOUT = {"cost": "they attach the policy of a spent budget to roles, which every boundary denies"}


def roles(template: Template) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = template["Resources"]
    return {key: each for key, each in found.items() if each["Type"] == "AWS::IAM::Role"}


def allowed(template: Template, role: str) -> set[str]:
    """The actions that the role's own policies allow."""
    documents = [
        policy["PolicyDocument"] for policy in roles(template)[role]["Properties"].get("Policies", ())
    ]
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::IAM::Policy":
            given = resource["Properties"]
            if {"Ref": role} in given.get("Roles", ()):
                documents.append(given["PolicyDocument"])
    return set(actions(documents, "Allow"))


def actions(documents: list[dict[str, Any]], effect: str) -> Iterator[str]:
    """The actions of all statements with this effect that hold whatever the call is."""
    for document in documents:
        for statement in document["Statement"]:
            conditional = effect == "Deny" and "Condition" in statement
            if statement["Effect"] == effect and not conditional:
                yield from as_list(statement["Action"])


def missing(template: Template, role: str) -> set[str]:
    """What the role's policies allow and its boundary does not."""
    boundary = roles(template)[role]["Properties"]["PermissionsBoundary"]["Ref"]
    document = [template["Resources"][boundary]["Properties"]["PolicyDocument"]]
    holds, denies = list(actions(document, "Allow")), list(actions(document, "Deny"))
    return {action for action in allowed(template, role) if not among(action, holds) or among(action, denies)}


def among(action: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns)


def test_every_role_has_a_boundary(synthesized: Assembly, environment: str) -> None:
    name = load(environment).platform.name
    without = {
        stack.removeprefix(f"{name}-")
        for stack, template in synthesized.templates.items()
        for role in roles(template).values()
        if "PermissionsBoundary" not in role["Properties"]
    }
    assert without <= set(WITHOUT)


def test_every_boundary_holds_what_its_roles_need(synthesized: Assembly) -> None:
    lost = {
        f"{stack}/{key}": gone
        for stack, template in synthesized.templates.items()
        for key, role in roles(template).items()
        if "PermissionsBoundary" in role["Properties"] and (gone := missing(template, key))
    }
    assert lost == {}


def test_every_boundary_holds_nothing_that_no_role_needs_beside_people_and_jobs(
    synthesized: Assembly,
) -> None:
    """The actions that a stack's boundary has more than that of people are used in the stack."""
    plain = next(
        boundary(template) for name, template in synthesized.templates.items() if name.endswith("-protection")
    )
    unused = {
        name: more
        for name, template in synthesized.templates.items()
        if roles(template)
        and any("PermissionsBoundary" in role["Properties"] for role in roles(template).values())
        and (
            more := boundary(template)
            - plain
            - {action for role in roles(template) for action in allowed(template, role)}
        )
    }
    assert unused == {}


def boundary(template: Template) -> set[str]:
    documents = [
        resource["Properties"]["PolicyDocument"]
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::IAM::ManagedPolicy"
    ]
    return set(actions(documents, "Allow"))
