"""People and groups of an identity provider, whom Lake Formation knows by themselves."""

from __future__ import annotations

import re

import jsii
from aws_cdk import Aws
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science._validation import Problems, is_token

_PROVIDER = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:saml-provider/[\w._-]{1,128}", re.ASCII)
_NAME = re.compile(r"[\w+=,.@/\\-]{1,256}", re.ASCII)
_IDENTITY = re.compile(r"([0-9a-f]{10}-)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@jsii.implements(iam.IPrincipal)
class LakePrincipal:
    """A user or a group of an identity provider, as a grantee of tables, zones and tags.

    It gets Lake Formation's permissions alone, in place of the policies of a role: what lets it call Athena
    or Glue at all is the role or the permission set that it comes in with, which needs
    ``lakeformation:GetDataAccess`` and reading of the catalog, and no S3. So zones have to be those where
    Lake Formation decides, and folders cannot be granted.

    For IAM Identity Center, Lake Formation has to be connected to it, once in an account
    (``aws lakeformation create-lake-formation-identity-center-configuration``).

    ```python
    from cdk_data_science import DataLake, LakeFormation, LakePrincipal

    lake = DataLake(self, "Lake", lake_formation=LakeFormation(hybrid=False))
    reviews = lake.curated.add_table("reviews", schema={"review_id": "string", "email": "string"})
    provider = "arn:aws:iam::111122223333:saml-provider/company"
    reviews.grant_select(
        LakePrincipal.saml_group(provider, "data-scientists"), excluded_columns=["email"]
    )
    reviews.grant_select(LakePrincipal.identity_group("9067a5b8c1-1a2b3c4d-5e6f-7a8b-9c0d-1e2f3a4b5c6d"))
    ```

    Follows https://docs.aws.amazon.com/lake-formation/latest/dg/granting-catalog-permissions.html and
    https://docs.aws.amazon.com/lake-formation/latest/dg/identity-center-integration.html.
    """

    scope: Construct | None
    """Where its permissions are written; None for the stack of the zone, or of the tag."""

    def __init__(self, arn: str, *, scope: Construct | None = None) -> None:
        self._arn, self.scope = arn, scope

    def within(self, scope: Construct) -> LakePrincipal:
        """The same, with its permissions in the stack of ``scope``, so that the lake's stays as it is.

        A role's are in the role's own stack; who is known to Lake Formation alone has none.
        """
        return LakePrincipal(self._arn, scope=scope)

    @staticmethod
    def saml_user(provider_arn: str, name: str) -> LakePrincipal:
        """A user of a SAML provider.

        Args:
            provider_arn: The provider in IAM.
            name: As the provider says it.

        Raises:
            ConfigurationError: For what is no provider or no name.
        """
        return LakePrincipal(_saml(provider_arn, "user", name))

    @staticmethod
    def saml_group(provider_arn: str, name: str) -> LakePrincipal:
        """A group of a SAML provider.

        Args:
            provider_arn: The provider in IAM.
            name: As the provider says it.

        Raises:
            ConfigurationError: For what is no provider or no name.
        """
        return LakePrincipal(_saml(provider_arn, "group", name))

    @staticmethod
    def identity_user(id: str) -> LakePrincipal:
        """A user of IAM Identity Center.

        Args:
            id: Its id in the identity store.

        Raises:
            ConfigurationError: For what is no such id.
        """
        return LakePrincipal(_identity("user", id))

    @staticmethod
    def identity_group(id: str) -> LakePrincipal:
        """A group of IAM Identity Center.

        Args:
            id: Its id in the identity store.

        Raises:
            ConfigurationError: For what is no such id.
        """
        return LakePrincipal(_identity("group", id))

    @property
    def arn(self) -> str:
        """What Lake Formation calls it."""
        return self._arn

    @property
    def grant_principal(self) -> iam.IPrincipal:
        """Itself."""
        return self

    @property
    def assume_role_action(self) -> str:
        """What a trust policy would say; no role trusts it by itself."""
        return "sts:AssumeRoleWithSAML"

    @property
    def policy_fragment(self) -> iam.PrincipalPolicyFragment:
        """What a resource's policy would say; none does, since grants are Lake Formation's alone."""
        return iam.PrincipalPolicyFragment({"AWS": [self._arn]})

    @property
    def principal_account(self) -> str | None:
        """Not asked: it is of no account's policies."""
        return None

    @jsii.member(jsii_name="addToPrincipalPolicy")
    def add_to_principal_policy(
        self,
        statement: iam.PolicyStatement,  # noqa: ARG002 -- the interface has it
    ) -> iam.AddToPrincipalPolicyResult:
        """It has no policy to add to."""
        return iam.AddToPrincipalPolicyResult(statement_added=False)

    @jsii.member(jsii_name="addToPolicy")
    def add_to_policy(self, statement: iam.PolicyStatement) -> bool:  # noqa: ARG002 -- as above
        """It has no policy to add to."""
        return False


def _saml(provider_arn: str, kind: str, name: str) -> str:
    problems = Problems(f"LakePrincipal.saml_{kind}")
    problems.check(
        is_token(provider_arn) or bool(_PROVIDER.fullmatch(provider_arn)),
        given=f"provider_arn={provider_arn!r}",
        allowed="the ARN of a SAML provider in IAM",
        write='"arn:aws:iam::111122223333:saml-provider/company"',
    )
    problems.check(
        is_token(name) or bool(_NAME.fullmatch(name)),
        given=f"name={name!r}",
        allowed="1 to 256 letters, digits and _ + = , . @ / \\ -",
    )
    problems.raise_if_any()
    return f"{provider_arn}:{kind}/{name}"


def _identity(kind: str, id: str) -> str:
    problems = Problems(f"LakePrincipal.identity_{kind}")
    problems.check(
        is_token(id) or bool(_IDENTITY.fullmatch(id)),
        given=f"id={id!r}",
        allowed="an id of the identity store, as `aws identitystore list-groups` shows it",
        write='"9067a5b8c1-1a2b3c4d-5e6f-7a8b-9c0d-1e2f3a4b5c6d"',
    )
    problems.raise_if_any()
    return f"arn:{Aws.PARTITION}:identitystore:::{kind}/{id}"
