"""Roles of stacks get the permissions boundary that their template gives, which ministack drops."""

from __future__ import annotations

from typing import Any

_TYPE = "AWS::IAM::Role"


def install() -> None:
    from ministack.services.cloudformation import provisioners

    base = provisioners._RESOURCE_HANDLERS[_TYPE]

    def create(logical_id: str, props: dict[str, Any], stack: str) -> Any:
        created = base["create"](logical_id, props, stack)
        _bound(created[0], props)
        return created

    def update(physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str, *more: Any) -> Any:
        updated = base["update"](physical_id, old, new, stack, *more)
        _bound(updated[0], new)
        return updated

    provisioners._RESOURCE_HANDLERS[_TYPE] = base | {"create": create, "update": update}


def _bound(name: str, props: dict[str, Any]) -> None:
    from ministack.services import iam

    iam._roles[name]["PermissionsBoundary"] = props.get("PermissionsBoundary")
