"""Tags that everything in an app must carry, applied and then enforced."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jsii
from aws_cdk import (
    CfnResource,
    IPolicyValidationContext,
    IPolicyValidationPlugin,
    PolicyValidationPluginReport,
    PolicyViolatingResource,
    PolicyViolation,
    Stack,
    Stage,
    TagManager,
    Tags,
    Validations,
)
from constructs import Construct, IConstruct

from cdk_data_science._validation import Problems, is_token
from cdk_data_science.cost.taggable import tag_properties

_CHARACTERS = re.compile(r"[\w .:/=+\-@]*")
_LONGEST_KEY, _LONGEST_VALUE, _MOST_TAGS = 128, 256, 50


class RequiredTags:
    """Puts tags on everything in a scope, and fails the synthesis if anything taggable ends up without them.

    The check reads the synthesized templates, whatever made the resources in them: constructs, raw resources,
    included templates. What can carry tags is known from CloudFormation's resource schemas, including types
    that name their tags otherwise (``FileSystemTags``, ``ResourceTags`` …). The error names the resource, the
    key and the fix. A tag that a construct overrides is fine as long as it is not empty and its value is
    allowed.

    Make it last: CDK does not tag the functions behind its own custom resources (emptying a bucket before it
    is deleted, for one), so those that exist by then are tagged here; the check tells of later ones.

    **Costs at rest**: nothing. To see the tags in cost reports, activate the keys once as cost allocation
    tags in the billing account.

    ```python
    from aws_cdk import Stack
    from cdk_data_science.cost import RequiredTags

    RequiredTags(
        Stack.of(self),
        {"business-unit": "retail", "application": "reviews", "environment": "dev", "owner":
        "ml@example.com"}, allowed={"environment": ["dev", "prod"]},
    )
    ```

    Args:
        scope: An app, a stage or a stack.
        tags: The keys that are required, with the value that applies where nothing else is said. Keys: 1 to
            128 characters; values: 1 to 256; letters, digits, spaces and ``_ . : / = + - @``.
        allowed: Values that a key may have, here and where it is overridden. Default: any.

    Raises:
        ConfigurationError: For keys or values that AWS would refuse, all mistakes at once.

    Follows https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html.
    """

    def __init__(
        self,
        scope: Construct,
        tags: Mapping[str, str],
        *,
        allowed: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        allowed = allowed if allowed is not None else {}
        _check(scope, tags, allowed)
        self.tags = dict(tags)
        self._plugin = _RequiredTagsPlugin(scope.node.path, self.tags, allowed)
        for key, value in tags.items():
            Tags.of(scope).add(key, value)
        for provider in _custom_resource_providers(scope):
            _tag_raw_resources(provider, self.tags)
        Validations.of(scope).add_plugins(self._plugin)


def _custom_resource_providers(scope: IConstruct) -> Iterator[IConstruct]:
    """The functions behind CDK's own custom resources, which CDK makes of raw resources and does not tag."""
    for child in scope.node.children:
        if Stack.is_stack(child) or Stage.is_stage(child):
            yield from _custom_resource_providers(child)
        elif child.node.id.startswith("Custom::"):
            yield child


def _tag_raw_resources(provider: IConstruct, tags: Mapping[str, str]) -> None:
    for child in provider.node.children:
        if isinstance(child, CfnResource) and not TagManager.is_taggable(child):
            tag_property = tag_properties().get(child.cfn_resource_type)
            if tag_property is not None:
                written = [{"Key": key, "Value": value} for key, value in tags.items()]
                child.add_property_override(tag_property, written)


@jsii.implements(IPolicyValidationPlugin)
class _RequiredTagsPlugin:
    """The check, run by the app once its templates are written."""

    def __init__(self, path: str, required: Mapping[str, str], allowed: Mapping[str, Sequence[str]]) -> None:
        self._path = path
        self._required = required
        self._allowed = allowed

    @property
    def name(self) -> str:
        return "RequiredTags"

    @property
    def version(self) -> str:
        return "1"

    @property
    def rule_ids(self) -> list[str]:
        return [f"RequiredTags-{key}" for key in self._required]

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
            for key, problem in find_problems(resource, self._required, self._allowed):
                yield PolicyViolation(
                    rule_name=f"RequiredTags-{key}",
                    severity="error",
                    description=f"{resource['Type']} {path}: {problem}",
                    fix=self._fix(resource["Type"], key),
                    violating_resources=[
                        PolicyViolatingResource(
                            resource_logical_id=logical_id,
                            template_path=str(template),
                            locations=[f"Properties.{tag_properties()[resource['Type']]}"],
                        )
                    ],
                )

    def _fix(self, type: str, key: str) -> str:
        value = self._allowed.get(key, [self._required[key]])[0]
        return (
            f'cdk.Tags.of(construct).add("{key}", "{value}"); for a resource that CDK does not tag itself, '
            f"write the tag into its property {tag_properties()[type]}"
        )


def find_problems(
    resource: Mapping[str, Any], required: Mapping[str, str], allowed: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, str]]:
    """Key and problem for each required tag that a template's resource lacks or has with a wrong value."""
    tag_property = tag_properties().get(resource["Type"])
    if tag_property is None:
        return
    tags = _read(resource.get("Properties", {}).get(tag_property))
    if tags is None:
        return
    for key in required:
        value = tags.get(key)
        if key not in tags:
            yield key, f"tag {key!r} is missing"
        elif value == "":
            yield key, f"tag {key!r} is empty"
        elif isinstance(value, str) and key in allowed and value not in allowed[key]:
            yield key, f"tag {key!r} is {value!r}; allowed: {', '.join(map(repr, allowed[key]))}"


def _read(tags: Any) -> dict[str, Any] | None:
    """Tags as a mapping, from either of CloudFormation's shapes; None if only the deployment knows them."""
    if tags is None:
        return {}
    if isinstance(tags, list):
        if any("Key" not in tag for tag in tags):
            return None
        return {tag["Key"]: tag.get("Value", "") for tag in tags}
    if isinstance(tags, dict) and not any(key == "Ref" or key.startswith("Fn::") for key in tags):
        return tags
    return None


def _check(scope: Construct, tags: Mapping[str, str], allowed: Mapping[str, Sequence[str]]) -> None:
    problems = Problems("RequiredTags", scope)
    problems.check(
        Stage.is_stage(scope) or Stack.is_stack(scope),
        given=f"the scope {scope.node.path}",
        allowed="an app, a stage or a stack, because whole templates are checked",
        write="RequiredTags(app, {…})",
    )
    problems.check(
        0 < len(tags) <= _MOST_TAGS,
        given=f"{len(tags)} tags",
        allowed=f"1 to {_MOST_TAGS}",
        write='{"owner": "ml@example.com"}',
    )
    for key, value in tags.items():
        _check_key(problems, key)
        _check_value(problems, key, value)
        problems.check(
            key not in allowed or is_token(value) or value in allowed[key],
            given=f"{key}={value!r}",
            allowed=", ".join(map(repr, allowed.get(key, ()))),
            write="one of them",
        )
    for key in allowed:
        problems.check(
            key in tags,
            given=f"allowed values for {key!r}",
            allowed=f"keys that are required: {', '.join(map(repr, tags))}",
            write=f"tags={{…, {key!r}: …}}",
        )
    problems.raise_if_any()


def _check_key(problems: Problems, key: str) -> None:
    problems.check(
        0 < len(key) <= _LONGEST_KEY and bool(_CHARACTERS.fullmatch(key)),
        given=f"tag key {key!r}",
        allowed=f"1 to {_LONGEST_KEY} letters, digits, spaces and _ . : / = + - @",
        write='"business-unit"',
    )
    problems.check(
        not key.lower().startswith("aws:"),
        given=f"tag key {key!r}",
        allowed="keys without the prefix aws:, which AWS reserves",
        write=f'"{key[4:]}"',
    )


def _check_value(problems: Problems, key: str, value: str) -> None:
    if is_token(value):
        return
    problems.check(
        bool(value.strip()) and len(value) <= _LONGEST_VALUE and bool(_CHARACTERS.fullmatch(value)),
        given=f"{key}={value!r}",
        allowed=f"1 to {_LONGEST_VALUE} letters, digits, spaces and _ . : / = + - @",
        write=f'{key}="reviews"',
    )
