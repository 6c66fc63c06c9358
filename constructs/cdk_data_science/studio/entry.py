"""The way into a domain that is entered with IAM."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge_inline_policy
from cdk_data_science._validation import Problems
from cdk_data_science.security.duties import USER_TAG
from cdk_data_science.studio._domain_base import IStudioDomain


class StudioEntry(Construct):
    """A role with which people open Studio, each their own profile, and which may do nothing else.

    Whoever takes it has to have the tag ``studio-user``, with the name of a user profile, on their IAM user,
    role or session, and hands it on to the session; nobody can name another's. The session then asks for an
    address: ``aws sagemaker create-presigned-domain-url --domain-id … --user-profile-name ann``.

    Costs nothing.

    ```python
    from cdk_data_science import ResearchNetwork, StudioDomain
    from cdk_data_science.studio import StudioEntry

    network = ResearchNetwork(self, "Network", zones=["us-east-1a", "us-east-1b"])
    studio = StudioDomain(self, "Studio", vpc=network.vpc, subnets=network.jobs)
    StudioEntry(self, "Entry", domain=studio)
    ```

    Args:
        domain: The domain.
        people: Who may take the role. Default: identities of this account that IAM permits to.
        longest_session: How long a session may last, 1 to 12 hours. Default: 8 hours.

    Raises:
        ConfigurationError: For a session of another length, and for a domain that is entered with IAM
            Identity Center.

    Follows https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html.
    """

    role: iam.Role
    """The role."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        domain: IStudioDomain,
        people: iam.IPrincipal | None = None,
        longest_session: Duration | None = None,
    ) -> None:
        super().__init__(scope, id)
        session = longest_session if longest_session is not None else Duration.hours(8)
        problems = Problems("StudioEntry", self)
        problems.check_constructs("domain", domain, write="StudioDomain.from_domain_attributes(…)")
        problems.check_kind("longest_session", session, Duration, write="Duration.hours(8)")
        if people is not None:
            problems.check_constructs("people", people, write='iam.ArnPrincipal("arn:aws:iam::…:role/…")')
        problems.raise_if_any()
        problems.check(
            session.is_unresolved() or 1 <= session.to_hours(integral=False) <= 12,
            given="longest_session of other length",
            allowed="1 to 12 hours",
            write="longest_session=Duration.hours(8)",
        )
        problems.raise_if_any()
        who = people if people is not None else iam.AccountRootPrincipal()
        conditions: dict[str, dict[str, str]] = {"StringLike": {f"aws:RequestTag/{USER_TAG}": "?*"}}
        if who.assume_role_action == "sts:AssumeRole":
            conditions["StringEquals"] = {f"aws:RequestTag/{USER_TAG}": f"${{aws:PrincipalTag/{USER_TAG}}}"}
        self.role = iam.Role(
            self,
            "Role",
            description=f"Opens one's own place in Studio {domain.name}",
            assumed_by=iam.SessionTagsPrincipal(iam.PrincipalWithConditions(who, conditions)),
            permissions_boundary=domain.boundary.policy,
            max_session_duration=session,
        )
        acknowledge_inline_policy(self.role)
        domain.grant_open(self.role)
