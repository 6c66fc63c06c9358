"""The check of an app's templates for required tags, as a rule that fails the synthesis."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsii
from aws_cdk import (
    IPolicyValidationContext,
    IPolicyValidationPlugin,
    PolicyValidationPluginReport,
    PolicyViolatingResource,
    PolicyViolation,
)

from cdk_data_science.cost._run_time_tags import tags_of_tasks
from cdk_data_science.cost._tag_rules import TagRules
from cdk_data_science.cost.taggable import TagProperty, TagShape, tag_properties


@jsii.implements(IPolicyValidationPlugin)
class RequiredTagsPlugin:
    """Run by the app once its templates are written."""

    def __init__(self, path: str, rules: TagRules) -> None:
        self._path = path
        self._rules = rules

    @property
    def name(self) -> str:
        return "RequiredTags"

    @property
    def version(self) -> str:
        return "1"

    @property
    def rule_ids(self) -> list[str]:
        return [f"RequiredTags-{key}" for key in self._rules.required]

    def validate(self, context: IPolicyValidationContext) -> PolicyValidationPluginReport:
        violations = [
            violation
            for stack in context.stack_templates
            if self._covers(stack.stack_construct_path)
            for violation in self._violations(stack.stack_construct_path, Path(stack.template_path))
        ]
        return PolicyValidationPluginReport(success=not violations, violations=violations)

    def _covers(self, stack_path: str) -> bool:
        return self._path in ("", stack_path) or stack_path.startswith(f"{self._path}/")

    def _violations(self, stack_path: str, template: Path) -> Iterator[PolicyViolation]:
        resources = json.loads(template.read_text(encoding="utf-8")).get("Resources", {})
        for logical_id, resource in resources.items():
            path = resource.get("Metadata", {}).get("aws:cdk:path", f"{stack_path}/{logical_id}")
            what = f"{resource['Type']} {path}"
            for key, problem in find_problems(resource, self._rules):
                where = f"Properties.{tag_properties()[resource['Type']].name}"
                fix = self._fix(resource["Type"], key)
                yield _violation(key, f"{what}: {problem}", fix, logical_id, template, where)
            for task, tags in tags_of_tasks(resource):
                for key, problem in _problems_of(tags, self._rules):
                    fix = (
                        f'give the task\'s request the tag {{"Key": "{key}", "Value": "{self._value(key)}"}}'
                    )
                    text = f"{what}: what the task {task!r} makes at run time: {problem}"
                    yield _violation(key, text, fix, logical_id, template, f"Definition.{task}")

    def _value(self, key: str) -> str:
        return self._rules.allowed.get(key, [self._rules.required[key]])[0]

    def _fix(self, type: str, key: str) -> str:
        value = self._value(key)
        where = tag_properties()[type]
        written = json.dumps(_written({key: value}, where.shape), ensure_ascii=False)
        return (
            f'cdk.Tags.of(construct).add("{key}", "{value}"); for a resource that CDK does not tag itself, '
            f"write {written} into its property {where.name}"
        )


def _violation(
    key: str, description: str, fix: str, logical_id: str, template: Path, location: str
) -> PolicyViolation:
    return PolicyViolation(
        rule_name=f"RequiredTags-{key}",
        severity="error",
        description=description,
        fix=fix,
        violating_resources=[
            PolicyViolatingResource(
                resource_logical_id=logical_id, template_path=str(template), locations=[location]
            )
        ],
    )


def find_problems(resource: Mapping[str, Any], rules: TagRules) -> Iterator[tuple[str, str]]:
    """Key and problem for each required tag that a template's resource lacks or has with a wrong value."""
    where = tag_properties().get(resource["Type"])
    if where is None:
        return
    tags = _read(resource.get("Properties", {}).get(where.name), where.shape)
    if tags is not None:
        yield from _problems_of(tags, rules)


def _problems_of(tags: Mapping[str, Any], rules: TagRules) -> Iterator[tuple[str, str]]:
    for key in rules.required:
        if key not in tags:
            yield key, f"tag {key!r} is missing"
        elif isinstance(tags[key], str):
            problem = rules.problem(key, tags[key])
            if problem is not None:
                yield key, problem


def write_tags(tags: Mapping[str, str], where: TagProperty) -> Any:
    """Tags as the value of a type's tag property; None where the shape depends on the resource."""
    return None if where.shape is TagShape.SPECIFICATIONS else _written(tags, where.shape)


def _written(tags: Mapping[str, str], shape: TagShape) -> Any:
    if shape is TagShape.MAP:
        return dict(tags)
    listed = [{"Key": key, "Value": value} for key, value in tags.items()]
    return [{"ResourceType": "…", "Tags": listed}] if shape is TagShape.SPECIFICATIONS else listed


def _read(tags: Any, shape: TagShape) -> dict[str, Any] | None:
    """Tags as a mapping; None if only the deployment knows them."""
    if tags is None:
        return {}
    if shape is TagShape.SPECIFICATIONS:
        return _read_specifications(tags)
    if isinstance(tags, list):
        if any("Key" not in tag for tag in tags):
            return None
        return {tag["Key"]: tag.get("Value", "") for tag in tags}
    if isinstance(tags, dict) and not any(key == "Ref" or key.startswith("Fn::") for key in tags):
        return tags
    return None


def _read_specifications(specifications: Any) -> dict[str, Any] | None:
    """The tags that every specification has: each is for a resource of its own."""
    if not isinstance(specifications, list) or any("ResourceType" not in entry for entry in specifications):
        return None
    each = [_read(entry.get("Tags"), TagShape.LIST) for entry in specifications]
    known = [tags for tags in each if tags is not None]
    if len(known) < len(each):
        return None
    common = set.intersection(*map(set, known)) if known else set()
    return {key: known[0][key] for key in sorted(common)}
