"""The encryption of an account's Glue Data Catalog."""

from __future__ import annotations

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from cdk_data_science.data_lake._service_role import service_role


class CatalogEncryption(Construct):
    """Encrypts the definitions in the account's Data Catalog, and passwords of connections, with a KMS key.

    There is one catalog in an account and region, and these are its settings: make it in one stack of the
    account. Glue uses the key by a role of its own, so that nobody who reads the catalog needs a permission
    on the key. What is in the catalog already is encrypted when it next changes. The settings and their key
    are kept when the stack goes: without the key, nobody could read the catalog any more.

    **Costs at rest**: 1 USD a month for the key, if none is given.

    ```python
    from cdk_data_science import CatalogEncryption

    CatalogEncryption(self, "CatalogEncryption")
    ```

    Args:
        key: Encrypts both. Default: a new one with yearly rotation.

    Follows https://docs.aws.amazon.com/glue/latest/dg/encrypt-glue-data-catalog.html.
    """

    settings: glue.CfnDataCatalogEncryptionSettings
    """The resource."""

    key: kms.IKey
    """What encrypts the catalog."""

    role: iam.Role
    """By which Glue uses the key."""

    def __init__(self, scope: Construct, id: str, *, key: kms.IKey | None = None) -> None:
        super().__init__(scope, id)
        stack = Stack.of(self)
        self.key = (
            kms.Key(
                self,
                "Key",
                description="The account's Glue Data Catalog",
                enable_key_rotation=True,
                removal_policy=RemovalPolicy.RETAIN,
            )
            if key is None
            else key
        )
        self.role = service_role(self, "glue", "Glue uses the key of the Data Catalog with this role")
        self.role.apply_removal_policy(RemovalPolicy.RETAIN)
        used = self.key.grant(self.role, "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey")
        properties = glue.CfnDataCatalogEncryptionSettings
        self.settings = properties(
            self,
            "Resource",
            catalog_id=stack.account,
            data_catalog_encryption_settings=properties.DataCatalogEncryptionSettingsProperty(
                encryption_at_rest=properties.EncryptionAtRestProperty(
                    catalog_encryption_mode="SSE-KMS-WITH-SERVICE-ROLE",
                    catalog_encryption_service_role=self.role.role_arn,
                    sse_aws_kms_key_id=self.key.key_arn,
                ),
                connection_password_encryption=properties.ConnectionPasswordEncryptionProperty(
                    return_connection_password_encrypted=True, kms_key_id=self.key.key_arn
                ),
            ),
        )
        self.settings.apply_removal_policy(RemovalPolicy.RETAIN)
        used.apply_before(self.settings)
        for child in self.role.node.find_all():
            if isinstance(child, iam.CfnPolicy):
                child.apply_removal_policy(RemovalPolicy.RETAIN)
        self.node.default_child = self.settings
