"""Tags that everything in an app must carry, applied and then enforced."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aws_cdk import CfnResource, Stack, Stage, TagManager, Tags, Validations
from aws_cdk import aws_iam as iam
from constructs import Construct, IConstruct

from cdk_data_science._validation import Problems
from cdk_data_science.cost._tag_check import RequiredTagsPlugin, write_tags
from cdk_data_science.cost._tag_rules import TagRules
from cdk_data_science.cost.taggable import tag_properties

_LARGEST_TAG_POLICY = 10_000
_TAGS_PER_ACTIVATION = 20
# What costs money in SageMaker and takes tags in the request that creates it. Not apps and spaces: Studio
# asks for those, and gives them the tags of their user's profile.
_RUN_TIME_ACTIONS = (
    "sagemaker:CreateAutoMLJob",
    "sagemaker:CreateAutoMLJobV2",
    "sagemaker:CreateCluster",
    "sagemaker:CreateCompilationJob",
    "sagemaker:CreateEndpoint",
    "sagemaker:CreateEndpointConfig",
    "sagemaker:CreateFeatureGroup",
    "sagemaker:CreateHyperParameterTuningJob",
    "sagemaker:CreateInferenceComponent",
    "sagemaker:CreateInferenceExperiment",
    "sagemaker:CreateInferenceRecommendationsJob",
    "sagemaker:CreateMlflowApp",
    "sagemaker:CreateMlflowTrackingServer",
    "sagemaker:CreateModel",
    "sagemaker:CreateMonitoringSchedule",
    "sagemaker:CreateNotebookInstance",
    "sagemaker:CreateOptimizationJob",
    "sagemaker:CreateProcessingJob",
    "sagemaker:CreateTrainingJob",
    "sagemaker:CreateTrainingPlan",
    "sagemaker:CreateTransformJob",
)


class RequiredTags:
    """Puts tags on everything in a scope, and fails the synthesis if anything taggable ends up without them.

    The check reads the synthesized templates, whatever made the resources in them: constructs, raw resources,
    included templates. What can carry tags is known from CloudFormation's resource schemas, including types
    that name their tags otherwise (``FileSystemTags``, ``ResourceTags`` …) or write them otherwise (maps,
    EC2's tag specifications). The error names the resource, the key and the fix. A tag that a construct
    overrides is fine as long as it is not empty and its value is allowed.

    Jobs that a state machine of this library starts carry the same tags, and a task of any state machine that
    makes jobs, models or endpoints without them fails the synthesis too. Who starts jobs by hand can be made
    to tag them (:meth:`deny_untagged`). Versions of a model in the registry take no tags of their own: AWS
    uses those of their group.

    Make it last: CDK does not tag the functions behind its own custom resources (emptying a bucket before it
    is deleted, for one), so those that exist by then are tagged here; the check tells of later ones.

    **Costs at rest**: nothing.

    ```python
    from aws_cdk import Stack
    from cdk_data_science.cost import RequiredTags

    tags = RequiredTags(
        Stack.of(self),
        {"business-unit": "retail", "environment": "dev", "owner": "ml@example.com"},
        allowed={"environment": ["dev", "prod"]},
        patterns={"owner": r"[a-z.-]+@example\\.com"},
    )
    tags.activation_commands  # for the billing account, once
    tags.tag_policy(enforced_for=["sagemaker:*"])  # for AWS Organizations
    ```

    Args:
        scope: An app, a stage or a stack.
        tags: The keys that are required, with the value that applies where nothing else is said. Keys: 1 to
            128 characters; values: 1 to 256; letters, digits, spaces and ``_ . : / = + - @``.
        allowed: Values that a key may have, here and where it is overridden. Default: any.
        patterns: Regular expressions that whole values of a key have to match, for keys whose values are too
            many for a list. Default: none.

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
        patterns: Mapping[str, str] | None = None,
    ) -> None:
        problems = Problems("RequiredTags", scope)
        problems.check_kind("tags", tags, Mapping, write='{"owner": "ml@example.com"}')
        problems.check_kind("allowed", allowed or {}, Mapping, write='{"environment": ["dev", "prod"]}')
        problems.check_kind("patterns", patterns or {}, Mapping, write='{"owner": r"[a-z]+"}')
        problems.raise_if_any()
        for key, value in tags.items():
            problems.check_kind(f"tags[{key!r}]", value, str, write='"ml@example.com"')
        for key, values in (allowed or {}).items():
            problems.check_list(f"allowed[{key!r}]", values)
        for key, pattern in (patterns or {}).items():
            problems.check_kind(f"patterns[{key!r}]", pattern, str, write='r"[a-z]+"')
        problems.raise_if_any()
        self._rules = TagRules(
            required=dict(tags),
            allowed=allowed if allowed is not None else {},
            patterns=patterns if patterns is not None else {},
        )
        self._rules.check(scope)
        self._plugin = RequiredTagsPlugin(scope.node.path, self._rules)
        for key, value in tags.items():
            Tags.of(scope).add(key, value)
        for provider in _custom_resource_providers(scope):
            _tag_raw_resources(provider, tags)
        Validations.of(scope).add_plugins(self._plugin)

    @property
    def tags(self) -> dict[str, str]:
        """The required keys with the values that apply where nothing else is said."""
        return dict(self._rules.required)

    @property
    def activation_commands(self) -> list[str]:
        """What activates the keys as cost allocation tags, to be run in the management account.

        CloudFormation has no resource for it. AWS knows a key from up to a day after its first use, so the
        command fails before that; activating what is active changes nothing.
        """
        return activation_commands(list(self._rules.required))

    def tag_policy(self, *, enforced_for: Sequence[str] = ()) -> dict[str, Any]:
        """The tag policy document for AWS Organizations: the spelling of the keys, and their allowed values.

        It belongs into an ``organizations.CfnPolicy`` of type ``TAG_POLICY`` in the management account. A
        tag policy judges the tags that there are, not those that are missing. It has no regular expressions:
        keys with a pattern get their spelling only.

        Args:
            enforced_for: Resource types for which AWS refuses other values, such as ``sagemaker:*``.
                Default: none, AWS reports them.

        Raises:
            ConfigurationError: The document is longer than Organizations takes.
        """
        policy: dict[str, Any] = {}
        for key in self._rules.required:
            entry: dict[str, Any] = {"tag_key": {"@@assign": key}}
            if key in self._rules.allowed:
                entry["tag_value"] = {"@@assign": list(self._rules.allowed[key])}
                if enforced_for:
                    entry["enforced_for"] = {"@@assign": list(enforced_for)}
            policy[key.lower()] = entry
        document = {"tags": policy}
        size = len(json.dumps(document, separators=(",", ":")))
        problems = Problems("RequiredTags.tag_policy")
        problems.check(
            size <= _LARGEST_TAG_POLICY,
            given=f"a tag policy of {size} characters",
            allowed=f"at most {_LARGEST_TAG_POLICY}",
            write="fewer allowed values, or a pattern for the key that has many",
        )
        problems.raise_if_any()
        return document

    def deny_untagged(self, role: iam.IRole) -> None:
        """Forbid a role to create jobs, models, endpoints, clusters and notebooks in SageMaker without these
        tags, or with values of theirs that are not allowed.

        For people who start them by hand or with the SageMaker SDK: nothing at synthesis sees those. IAM has
        no regular expressions: of keys with a pattern any value will do.
        """
        for number, key in enumerate(self._rules.required):
            tag, allowed = f"aws:RequestTag/{key}", self._rules.allowed.get(key)
            role.add_to_principal_policy(
                iam.PolicyStatement(
                    sid=f"RequiredTag{number}",
                    effect=iam.Effect.DENY,
                    actions=list(_RUN_TIME_ACTIONS),
                    resources=["*"],
                    # What is not there is no allowed value either.
                    conditions={"Null": {tag: "true"}}
                    if allowed is None
                    else {"StringNotEquals": {tag: list(allowed)}},
                )
            )


def activation_commands(keys: Sequence[str]) -> list[str]:
    """What activates tag keys as cost allocation tags; a request takes 20."""
    return [
        "aws ce update-cost-allocation-tags-status --cost-allocation-tags-status "
        + " ".join(
            shlex.quote(f"TagKey={key},Status=Active") for key in keys[start : start + _TAGS_PER_ACTIVATION]
        )
        for start in range(0, len(keys), _TAGS_PER_ACTIVATION)
    ]


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
            where = tag_properties().get(child.cfn_resource_type)
            written = None if where is None else write_tags(tags, where)
            if where is not None and written is not None:
                child.add_property_override(where.name, written)
