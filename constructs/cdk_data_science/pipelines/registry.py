"""A group of the model registry: the versions of one model."""

from __future__ import annotations

import re
from typing import Any, Protocol

from aws_cdk import Names, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct, IConstruct

from cdk_data_science._acknowledgements import acknowledge_wildcards
from cdk_data_science._validation import Problems, is_token

_NAME = re.compile(r"[a-z0-9](-*[a-z0-9]){0,62}")


class IModelRegistry(Protocol):
    """What other constructs need of a registry group, whether it was built here or imported."""

    @property
    def group_name(self) -> str:
        """The group's name."""

    @property
    def group_arn(self) -> str:
        """The group's ARN."""

    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal list the group's versions and read them."""

    def grant_register(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal add versions to the group, and read them."""


class _Registry(Construct):
    """The grants that built and imported groups share."""

    group_name: str
    """The group's name."""

    group_arn: str
    """The group's ARN."""

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
        versions = _arn(self, "model-package", f"{self.group_name}/*")
        principal: Any = grantee.grant_principal
        if Construct.is_construct(principal):
            acknowledge_wildcards(
                principal,
                self,
                [versions],
                "The registry numbers the versions of a group; the wildcard stands for those of this one "
                "group.",
            )
        return iam.Grant.add_to_principal(
            grantee=grantee, actions=list(actions), resource_arns=[self.group_arn, versions]
        )


class ModelRegistry(_Registry):
    """A SageMaker model package group. It is kept when the stack is deleted: it is the record of what was
    made.

    A deployment that fails while it creates the group takes it away again. A group that was kept still has
    its name: a stack that is deployed anew uses it with :meth:`from_group_name`, or names another one.

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
        _check_name(problems, group_name)
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
        # A group that a failed deployment left behind would be in the way of the next one: it is empty.
        self.group.apply_removal_policy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE)
        self.group_name = group_name
        self.group_arn = self.group.attr_model_package_group_arn
        self.node.default_child = self.group

    @staticmethod
    def from_group_name(scope: Construct, id: str, group_name: str) -> IModelRegistry:
        """Use a group of this account and region that exists: another app's, or what a deleted stack left.

        Raises:
            ConfigurationError: a name that no group can have.
        """
        return _ImportedRegistry(scope, id, group_name)


class _ImportedRegistry(_Registry):
    """A group that something else owns."""

    def __init__(self, scope: Construct, id: str, group_name: str) -> None:
        super().__init__(scope, id)
        problems = Problems("ModelRegistry", self)
        _check_name(problems, group_name)
        problems.raise_if_any()
        self.group_name = group_name
        self.group_arn = _arn(self, "model-package-group", group_name)


def _check_name(problems: Problems, group_name: str) -> None:
    problems.check(
        is_token(group_name) or _NAME.fullmatch(group_name) is not None,
        given=f"group_name={group_name!r}",
        allowed="1 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends",
        write='group_name="review-sentiment"',
    )


def _arn(scope: IConstruct, resource: str, name: str) -> str:
    return Stack.of(scope).format_arn(service="sagemaker", resource=resource, resource_name=name)
