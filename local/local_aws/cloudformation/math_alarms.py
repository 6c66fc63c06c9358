"""Alarms on metric math, which ministack refuses: they deploy without effect, as other recorded types do."""

from __future__ import annotations

from typing import Any

from local_aws.cloudformation import recorded

TYPE = "AWS::CloudWatch::Alarm"
Props = dict[str, Any]


def handlers(base: dict[str, Any]) -> dict[str, Any]:
    """ministack's own handlers of the type, for alarms on one metric."""
    without_effect = recorded.handlers_of(TYPE)

    def create(logical_id: str, props: Props, stack: str) -> Any:
        chosen = without_effect if props.get("Metrics") else base
        return chosen["create"](logical_id, props, stack)

    def update(physical_id: str, old: Props, new: Props, stack: str, logical_id: str) -> Any:
        if bool(old.get("Metrics")) != bool(new.get("Metrics")):
            delete(physical_id, old)
            return create(logical_id, new, stack)
        if new.get("Metrics"):
            return without_effect["update"](physical_id, old, new, stack)
        return base["update"](physical_id, old, new, stack, logical_id)

    def delete(physical_id: str, props: Props) -> None:
        (without_effect if props.get("Metrics") else base)["delete"](physical_id, props)

    return base | {"create": create, "update": update, "delete": delete}
