"""A group of the model registry: the versions of one model."""

from __future__ import annotations

import re
from typing import Any

from aws_cdk import Names, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge_wildcards
from cdk_data_science._validation import Problems, is_token

_NAME = re.compile(r"[a-z0-9](-*[a-z0-9]){0,62}")


class ModelRegistry(Construct):
    """A SageMaker model package group. It is kept when the stack is deleted: it is the record of what was
    made.

    At rest it costs nothing.

    Example:
        ```python
        import aws_cdk as cdk
        from cdk_data_science import ModelRegistry

        registry = ModelRegistry(cdk.Stack(cdk.App(), "Models"), "Reviews", group_name="review-sentiment")
        ```

    Args:
        group_name: 1 to 63 lower-case letters, digits and hyphens; made from the construct's place if not
            given.
        description: At most 1024 characters.

    Raises:
        ConfigurationError: a name or description that SageMaker would refuse.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry.html
    """

    def __init__(
        self, scope: Construct, id: str, *, group_name: str | None = None, description: str | None = None
    ) -> None:
        super().__init__(scope, id)
        problems = Problems("ModelRegistry", self)
        if group_name is None:
            # The name is required by SageMaker, which has no names of its own for groups.
            group_name = Names.unique_resource_name(self, max_length=63, separator="-").lower()
        problems.check(
            is_token(group_name) or _NAME.fullmatch(group_name) is not None,
            given=f"group_name={group_name!r}",
            allowed="1 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends",
            write='group_name="review-sentiment"',
        )
        problems.check(
            description is None or is_token(description) or len(description) <= 1024,
            given=f"description of {len(description or '')} characters",
            allowed="at most 1024",
        )
        problems.raise_if_any()
        self.group = sagemaker.CfnModelPackageGroup(
            self,
            "Group",
            model_package_group_name=group_name,
            model_package_group_description=description,
        )
        self.group.apply_removal_policy(RemovalPolicy.RETAIN)
        self.group_name = group_name
        self.node.default_child = self.group

    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal list the group's versions and read them."""
        return self._grant(
            grantee,
            "sagemaker:DescribeModelPackage",
            "sagemaker:DescribeModelPackageGroup",
            "sagemaker:ListModelPackages",
        )

    def grant_register(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal add versions to the group, and read them."""
        return self.grant_read(grantee).combine(self._grant(grantee, "sagemaker:CreateModelPackage"))

    def _grant(self, grantee: iam.IGrantable, *actions: str) -> iam.Grant:
        principal: Any = grantee.grant_principal
        if Construct.is_construct(principal):
            acknowledge_wildcards(
                principal,
                self,
                [self._versions_arn],
                "The registry numbers the versions of a group; the wildcard stands for those of this one "
                "group.",
            )
        return iam.Grant.add_to_principal(
            grantee=grantee, actions=list(actions), resource_arns=[self._group_arn, self._versions_arn]
        )

    @property
    def _group_arn(self) -> str:
        return self.group.attr_model_package_group_arn

    @property
    def _versions_arn(self) -> str:
        return Stack.of(self).format_arn(
            service="sagemaker", resource="model-package", resource_name=f"{self.group_name}/*"
        )
