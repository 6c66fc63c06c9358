"""Conditions that compare a joined or substituted text: ministack compares the function itself instead.

The bootstrap template of the AWS CDK has one: whether a list parameter is empty, told by joining it.
"""

from __future__ import annotations

from typing import Any

_TEXTS = {"Fn::Join", "Fn::Sub"}


def install() -> None:
    from ministack.services.cloudformation import changesets, engine, handlers, stacks

    evaluate = engine._evaluate_conditions

    def with_texts(template: dict[str, Any], params: dict[str, Any]) -> Any:
        mappings = template.get("Mappings", {})

        def resolved(value: Any) -> Any:
            if isinstance(value, list):
                return [resolved(item) for item in value]
            if not isinstance(value, dict):
                return value
            if _TEXTS & value.keys():
                return engine._resolve_refs(value, {}, params, {}, mappings, "", "")
            return {name: resolved(item) for name, item in value.items()}

        return evaluate(template | {"Conditions": resolved(template.get("Conditions", {}))}, params)

    for module in (changesets, engine, handlers, stacks):
        if hasattr(module, "_evaluate_conditions"):
            module._evaluate_conditions = with_texts
