"""What every feature group can do, made here or by another app: grants on its two stores."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from cdk_data_science._validation import ConfigurationError
from cdk_data_science.data_lake import TableBase


class FeatureGroupBase(Construct):
    """The grants that feature groups of this app and of others share."""

    feature_group_name: str
    """Its name in the account and region."""

    online: bool
    """Whether it has an online store."""

    online_key: kms.IKey | None
    """Encrypts the online store; None for AWS's own key."""

    table: TableBase | None
    """The offline store's table in the lake; None without an offline store."""

    @property
    def feature_group_arn(self) -> str:
        """Its ARN, in lower case as SageMaker has it."""
        return Stack.of(self).format_arn(
            service="sagemaker", resource="feature-group", resource_name=self.feature_group_name
        )

    def grant_read_online(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal get the newest records by their identifiers.

        Raises:
            ConfigurationError: there is no online store.
        """
        self._need_online()
        return self._grant(grantee, "sagemaker:GetRecord", "sagemaker:BatchGetRecord")

    def grant_write(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal put records, which go to both stores; it may not take any away."""
        return self._grant(grantee, "sagemaker:PutRecord")

    def grant_delete(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal take records out of the online store. The offline store keeps what was written.

        Raises:
            ConfigurationError: there is no online store.
        """
        self._need_online()
        return self._grant(grantee, "sagemaker:DeleteRecord")

    def grant_read_offline(
        self,
        grantee: iam.IGrantable,
        *,
        columns: Sequence[str] | None = None,
        excluded_columns: Sequence[str] | None = None,
        row_filter: str | None = None,
    ) -> iam.Grant:
        """Let a principal select from the offline store's table, as
        :meth:`~cdk_data_science.data_lake.TableBase.grant_select` does.

        Raises:
            ConfigurationError: there is no offline store, or the filter cannot work.
        """
        if self.table is None:
            raise ConfigurationError(
                f"{self.node.path}: given grant_read_offline without an offline store; write: "
                "FeatureGroup(…, offline=OfflineStore(zone=lake.features))"
            )
        return self.table.grant_select(
            grantee, columns=columns, excluded_columns=excluded_columns, row_filter=row_filter
        )

    def _grant(self, grantee: iam.IGrantable, *actions: str) -> iam.Grant:
        grant = iam.Grant.add_to_principal(
            grantee=grantee, actions=list(actions), resource_arns=[self.feature_group_arn]
        )
        if self.online and self.online_key is not None:
            # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_OnlineStoreSecurityConfig.html
            grant = grant.combine(self.online_key.grant(grantee, "kms:Decrypt"))
        return grant

    def _need_online(self) -> None:
        if not self.online:
            raise ConfigurationError(
                f"{self.node.path}: given a grant on its online store, which it has not; write: "
                "FeatureGroup(…, online=OnlineStore())"
            )
