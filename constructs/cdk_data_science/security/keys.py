"""One key for each class of data."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from cdk_data_science._encryption import allow_alarms, allow_log_groups, allow_rules_into_queues
from cdk_data_science._retention import removal_policy
from cdk_data_science._validation import ConfigurationError, Problems, is_token
from cdk_data_science.hardware import has_local_storage

_NAME = re.compile(r"[a-z][a-z0-9-]{0,29}")
_ENDINGS = ("kms:DisableKey", "kms:ScheduleKeyDeletion")


class KeyUser(StrEnum):
    """AWS services that use a key on their own, without a role of ours. Each for this account alone."""

    LOGS = "logs"
    """CloudWatch Logs, for log groups of this account and region."""

    ALARMS = "alarms"
    """CloudWatch alarms, that publish to encrypted topics."""

    EVENT_RULES = "event-rules"
    """EventBridge rules, that send to encrypted queues."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataClass:
    """Data that is guarded alike and so has one key."""

    name: str
    """Lower-case letters, digits and hyphens, at most 30 characters, beginning with a letter."""

    description: str
    """What belongs to it, for people who read the key's description; 1 to 400 characters."""

    users: Collection[KeyUser] = ()
    """Services that use the key on their own. Default: none; roles are granted what they need."""

    rotation_days: int = 365
    """Days from one rotation to the next, 90 to 2560. Default: 365."""

    def check(self, problems: Problems) -> None:
        """Record what cannot work in this class."""
        what = f"data class {self.name!r}"
        problems.check(
            bool(_NAME.fullmatch(self.name)),
            given=what,
            allowed="lower-case letters, digits and hyphens, at most 30 characters, a letter first",
            write='"restricted"',
        )
        problems.check(
            1 <= len(self.description) <= 400,
            given=f"{what}: a description of {len(self.description)} characters",
            allowed="1 to 400 characters",
        )
        problems.check(
            is_token(self.rotation_days) or 90 <= self.rotation_days <= 2560,
            given=f"{what}: rotation_days={self.rotation_days}",
            allowed="90 to 2560",
            write="rotation_days=365",
        )


DEFAULT_CLASSES = (
    DataClass(name="restricted", description="Personal and confidential data, and what was derived from it"),
    DataClass(name="internal", description="Data, features and models that the whole company may see"),
    DataClass(
        name="operations",
        description="Logs, alerts and dead letters; they hold names and errors, no data",
        users=(KeyUser.LOGS, KeyUser.ALARMS, KeyUser.EVENT_RULES),
    ),
)
"""What most companies tell apart."""


class DataKeys(Construct):
    """Keys by class of data, so that access to one class says nothing about another.

    Each key rotates. Its policy names this account and the services that were asked for, each bound to this
    account; no principal is a wildcard. Roles get what they need by :meth:`grant`, through one service only:
    a role that may decrypt through S3 cannot decrypt what it found elsewhere.

    **Costs at rest**: 1 USD a month for each key, and as much again for each of its first two rotations.

    ```python
    from cdk_data_science import DataLake
    from cdk_data_science.security import DataClass, DataKeys

    keys = DataKeys(
        self,
        "Keys",
        classes=[DataClass(name="reviews", description="Reviews and the models that were trained on them")],
    )
    lake = DataLake(self, "Lake", key=keys.key("reviews"))
    ```

    Args:
        classes: The classes of data. Default: restricted, internal, operations.
        guardians: Roles that alone may disable keys or schedule their deletion; at most 10. The deploying
            role has to be among them if the stack's keys are to be deleted with it. Default: whoever IAM
            permits.
        destroy: Delete the keys with the stack. Works only together with the context key
            ``cdk-data-science:destroyData``. Default: False, they are retained.

    Raises:
        ConfigurationError: For values that KMS would refuse, all of them at once.

    Follows https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html.
    """

    keys: Mapping[str, kms.Key]
    """All keys by their class."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        classes: Sequence[DataClass] = DEFAULT_CLASSES,
        guardians: Sequence[iam.IRole] = (),
        destroy: bool = False,
    ) -> None:
        super().__init__(scope, id)
        problems = Problems("DataKeys", self)
        problems.check(bool(classes), given="no classes", allowed="one or more", write="classes=[…]")
        for data_class in classes:
            data_class.check(problems)
        names = [data_class.name for data_class in classes]
        problems.check(len(set(names)) == len(names), given=f"classes {names}", allowed="each name once")
        problems.check(len(guardians) <= 10, given=f"{len(guardians)} guardians", allowed="10 or fewer")
        problems.raise_if_any()
        self.keys = MappingProxyType(
            {each.name: self._make(each, guardians, destroy=destroy) for each in classes}
        )

    def key(self, name: str) -> kms.Key:
        """The key of a class.

        Raises:
            ConfigurationError: If there is no such class; the message lists those that there are.
        """
        if name not in self.keys:
            known = ", ".join(repr(each) for each in self.keys)
            raise ConfigurationError(f"{self.node.path}: given class {name!r}; allowed: {known}")
        return self.keys[name]

    def volume_key(self, name: str, instance_type: str) -> kms.Key | None:
        """The key of a class for the volumes of a SageMaker job; None where the service refuses one.

        Types with local NVMe disks keep a job's data on these. Hardware encrypts them, with keys that are
        gone when the instance is, and the API takes no key of ours for them. That is recorded in the
        construct's metadata.

        Args:
            name: The class.
            instance_type: A type of SageMaker, for example ``ml.m5.xlarge``.
        """
        key = self.key(name)
        if not has_local_storage(instance_type):
            return key
        self.node.add_metadata(
            "cdk-data-science:no-volume-key",
            f"{instance_type}: the API refuses a key for local NVMe disks; hardware encrypts them",
        )
        return None

    def grant(self, name: str, grantee: iam.IGrantable, *, via: str, write: bool = False) -> iam.Grant:
        """Let a principal use the key of a class, through one AWS service.

        Args:
            name: The class.
            grantee: A role or user of this account.
            via: The service through which it is used, as in its endpoint: ``s3``, ``sqs``, ``dynamodb`` …
            write: Let it encrypt too. Default: decrypt only.
        """
        key = self.key(name)
        stack = Stack.of(self)
        actions = ["kms:Decrypt", "kms:DescribeKey", *(["kms:GenerateDataKey"] if write else [])]
        return iam.Grant.add_to_principal(
            grantee=grantee,
            actions=actions,
            resource_arns=[key.key_arn],
            conditions={"StringEquals": {"kms:ViaService": f"{via}.{stack.region}.{stack.url_suffix}"}},
        )

    def _make(self, data_class: DataClass, guardians: Sequence[iam.IRole], *, destroy: bool) -> kms.Key:
        key = kms.Key(
            self,
            "".join(part.capitalize() for part in data_class.name.split("-")),
            description=f"{data_class.description} ({self.node.path})",
            enable_key_rotation=True,
            rotation_period=Duration.days(data_class.rotation_days),
            removal_policy=removal_policy(self, destroy=destroy),
        )
        for user, allow in _ALLOW.items():
            if user in data_class.users:
                allow(key)
        if guardians:
            _guard(key, guardians)
        return key


_ALLOW = {
    KeyUser.LOGS: allow_log_groups,
    KeyUser.ALARMS: allow_alarms,
    KeyUser.EVENT_RULES: allow_rules_into_queues,
}


def _guard(key: kms.Key, guardians: Sequence[iam.IRole]) -> None:
    """Deny the end of a key to everybody else of the account, whatever IAM permits.

    In a Deny, the account stands for all of its principals.
    """
    key.add_to_resource_policy(
        iam.PolicyStatement(
            sid="OnlyGuardiansEndThisKey",
            effect=iam.Effect.DENY,
            principals=[iam.AccountRootPrincipal()],
            actions=list(_ENDINGS),
            resources=["*"],  # in a key's policy: this key
            conditions={"ArnNotEquals": {"aws:PrincipalArn": [role.role_arn for role in guardians]}},
        )
    )
