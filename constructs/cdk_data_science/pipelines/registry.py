"""A group of the model registry: the versions of one model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from aws_cdk import Names, RemovalPolicy, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct, IConstruct

from cdk_data_science._acknowledgements import acknowledge_wildcards
from cdk_data_science._validation import Problems, is_token

_NAME = re.compile(r"[a-z0-9](-*[a-z0-9]){0,62}")
_ACCOUNT = re.compile(r"\d{12}")
_STATUSES = ("Approved", "PendingManualApproval", "Rejected")
_READ_VERSIONS = ("sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages")


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

    def grant_approve(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal approve and reject versions, and read them."""


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

    def grant_approve(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal approve and reject versions, and read them.

        Each of its changes has to say ``Approved`` or ``Rejected``: a version cannot be set back to wait, and
        nothing about it can be changed without a decision on it, which CloudTrail records with the
        principal's name. IAM has no condition on what else the same call changes, the description and the
        metadata: keep :meth:`grant_register` from who approves.
        """
        decision = {"StringEquals": {"sagemaker:ModelApprovalStatus": ["Approved", "Rejected"]}}
        return self.grant_read(grantee).combine(
            self._grant(grantee, "sagemaker:UpdateModelPackage", conditions=decision)
        )

    def on_version(
        self, id: str, *, target: events.IRuleTarget, statuses: Sequence[str] = _STATUSES
    ) -> events.Rule:
        """Send a target an event when a version is registered, approved or rejected.

        SageMaker may send more than one event for a change, and sends one for a change of something else of
        the version, too: what is done on it has to be safe to do twice.

        Args:
            target: What gets the event. Its ``detail`` has the version's ARN (``ModelPackageArn``), number,
                status and metadata.
            statuses: Approval statuses to tell of: ``Approved``, ``PendingManualApproval``, ``Rejected``.

        Raises:
            ConfigurationError: a status that no version has.
        """
        problems = Problems("ModelRegistry.on_version", self)
        for status in statuses:
            problems.check(
                is_token(status) or status in _STATUSES,
                given=f"status {status!r}",
                allowed=", ".join(_STATUSES),
            )
        problems.check(bool(statuses), given="no statuses", allowed="at least one")
        problems.raise_if_any()
        return events.Rule(
            self,
            id,
            description="Versions of a model",
            event_pattern=events.EventPattern(
                source=["aws.sagemaker"],
                detail_type=["SageMaker Model Package State Change"],
                detail={
                    "ModelPackageGroupName": [self.group_name],
                    "ModelApprovalStatus": list(statuses),
                },
            ),
            targets=[target],
        )

    def on_approved(self, id: str, *, target: events.IRuleTarget) -> events.Rule:
        """Send a target an event when a version is approved, by a person or a pipeline."""
        return self.on_version(id, target=target, statuses=["Approved"])

    def _grant(
        self, grantee: iam.IGrantable, *actions: str, conditions: Mapping[str, Any] | None = None
    ) -> iam.Grant:
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
            grantee=grantee,
            actions=list(actions),
            resource_arns=[self.group_arn, versions],
            conditions=conditions,
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
        readers: Accounts that may list and read the versions. What a version names stays closed to them:
            the model's objects and their key are opened by the zone, as in
            ``lake.models.grant_read(iam.AccountPrincipal("444455556666"), "models/")``.
        deployers: Accounts that may also create SageMaker models from the versions (``CreateModel``). Which
            of their principals may, each account decides for itself, as with readers.

    Raises:
        ConfigurationError: a name, description or account that SageMaker would refuse.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        group_name: str | None = None,
        description: str | None = None,
        readers: Sequence[str] = (),
        deployers: Sequence[str] = (),
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
        _check_accounts(problems, Stack.of(self).account, readers, deployers)
        problems.raise_if_any()
        self.group = sagemaker.CfnModelPackageGroup(
            self,
            "Group",
            model_package_group_name=group_name,
            model_package_group_description=description,
            model_package_group_policy=self._policy(group_name, readers, deployers),
        )
        # A group that a failed deployment left behind would be in the way of the next one: it is empty.
        self.group.apply_removal_policy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE)
        self.group_name = group_name
        self.group_arn = self.group.attr_model_package_group_arn
        self.node.default_child = self.group

    def _policy(
        self, group_name: str, readers: Sequence[str], deployers: Sequence[str]
    ) -> iam.PolicyDocument | None:
        """What other accounts may do. The group is named by its name: its policy cannot wait for it."""
        group = _arn(self, "model-package-group", group_name)
        versions = _arn(self, "model-package", f"{group_name}/*")
        statements = []
        for sid, accounts, actions in (
            ("Read", (*readers, *deployers), _READ_VERSIONS),
            ("Deploy", deployers, ("sagemaker:CreateModel",)),
        ):
            principals = [iam.AccountPrincipal(account) for account in dict.fromkeys(accounts)]
            if not principals:
                continue
            if sid == "Read":
                statements.append(
                    iam.PolicyStatement(
                        sid="ReadGroup",
                        principals=principals,
                        actions=["sagemaker:DescribeModelPackageGroup"],
                        resources=[group],
                    )
                )
            statements.append(
                iam.PolicyStatement(
                    sid=f"{sid}Versions", principals=principals, actions=[*actions], resources=[versions]
                )
            )
        return iam.PolicyDocument(statements=statements) if statements else None

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


def _check_accounts(problems: Problems, own: str, readers: Sequence[str], deployers: Sequence[str]) -> None:
    for name, accounts in (("readers", readers), ("deployers", deployers)):
        for account in accounts:
            problems.check(
                is_token(account) or _ACCOUNT.fullmatch(account) is not None,
                given=f"{name} with {account!r}",
                allowed="the 12 digits of an account",
            )
            problems.check(
                is_token(own) or account != own,
                given=f"{name} with this account, {account}",
                allowed="other accounts: who may read here, IAM decides",
                write="registry.grant_read(role)",
            )
    for account in sorted(set(readers) & set(deployers)):
        problems.check(
            False, given=f"{account} as reader and deployer", allowed="one of the two: deployers read, too"
        )


def _check_name(problems: Problems, group_name: str) -> None:
    problems.check(
        is_token(group_name) or _NAME.fullmatch(group_name) is not None,
        given=f"group_name={group_name!r}",
        allowed="1 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends",
        write='group_name="review-sentiment"',
    )


def _arn(scope: IConstruct, resource: str, name: str) -> str:
    return Stack.of(scope).format_arn(service="sagemaker", resource=resource, resource_name=name)
