"""The roles of people, made from what each of them is there for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge_inline_policy, acknowledge_wildcards
from cdk_data_science._validation import ConfigurationError, Problems, is_token
from cdk_data_science.data_lake import IZone
from cdk_data_science.security._duty_policy import add_duties
from cdk_data_science.security.boundary import PermissionBoundary
from cdk_data_science.security.duties import COST_TAG, TEAM_TAG, USER_TAG, Persona, Scope

_TEAM = re.compile(r"[a-z][a-z0-9-]{0,18}[a-z0-9]")
_TAG_KEY = re.compile(r"[a-z][a-z0-9-]{0,40}")


_NO_TAG = "-"


@dataclass(frozen=True, kw_only=True, slots=True)
class DataAccess:
    """Data of the lake that some personas see."""

    zone: IZone
    """The zone."""

    prefix: str | None = None
    """A folder of the zone, ending in ``/``. Default: the whole zone."""

    write: bool = False
    """Write too. Default: read only."""

    rows_by_tag: str | None = None
    """The key of a session tag whose value names the folder below ``prefix`` that the session sees: rows are
    filtered by where they are kept, ``<prefix><tag's value>/``. Default: no filter."""

    personas: Sequence[Persona] = (Persona.DATA_SCIENTIST, Persona.ML_ENGINEER)
    """Who. Default: those who work with data. An auditor never sees data."""

    def check(self, problems: Problems) -> None:
        """Record what cannot work in this access."""
        problems.check(
            Persona.AUDITOR not in self.personas,
            given=f"data of {self.zone.name} for auditors",
            allowed="personas who work with data",
            write="personas=[Persona.DATA_SCIENTIST]",
        )
        problems.check(
            self.rows_by_tag is None or (self.prefix is not None and not self.write),
            given=f"rows_by_tag={self.rows_by_tag!r} with prefix={self.prefix!r}, write={self.write}",
            allowed="a prefix, and reading only",
            write='prefix="reviews/", rows_by_tag="country"',
        )
        problems.check(
            self.rows_by_tag is None or bool(_TAG_KEY.fullmatch(self.rows_by_tag)),
            given=f"rows_by_tag={self.rows_by_tag!r}",
            allowed="lower-case letters, digits and hyphens",
        )


class Personas(Construct):
    """Roles for a team's data scientists, ML engineers, approvers and auditors, under one boundary.

    A role is assumed with session tags: ``team``, which has to be the team's, and ``cost-center``, which has
    to have a value. What the session starts has to carry both, so that cost is known by person and purpose.
    Names are the other half: a team's jobs, models and endpoints begin with ``<team>-``, and its people act
    on those alone. Roles are passed to SageMaker only, and only those in ``job_roles``. Every role has a
    boundary that denies opening anything to the internet, touching the audit, and widening access.

    Data scientists deploy nothing, ML engineers approve nothing that they registered, approvers run nothing,
    auditors see no data. The matrix in the documentation is made from these roles.

    Costs nothing.

    ```python
    from cdk_data_science import DataLake
    from cdk_data_science.security import DataAccess, JobKind, JobRole, Persona, Personas

    lake = DataLake(self, "Lake")
    jobs = JobRole(self, "Jobs", kind=JobKind.TRAINING, name_prefix="reviews-")
    personas = Personas(
        self,
        "People",
        team="reviews",
        data=[
            DataAccess(zone=lake.curated),
            DataAccess(zone=lake.raw, prefix="reviews/", rows_by_tag="country"),
            DataAccess(zone=lake.features, prefix="evaluations/", personas=[Persona.APPROVER]),
        ],
        job_roles=[jobs.role],
    )
    personas.role(Persona.DATA_SCIENTIST)
    ```

    Args:
        team: The team's name: 2 to 20 lower-case letters, digits and hyphens.
        people: Which personas there are and who may assume each. Default: all four, by identities of this
            account that IAM permits to assume them.
        data: What of the lake they see. Default: nothing.
        job_roles: Roles that their jobs may have. Default: none, so that no job can be started.
        pipelines: State machines that ML engineers run. Default: none.
        workgroups: ARNs of Athena workgroups for queries. Default: none.
        in_network: Refuse jobs and models outside of a VPC. Default: no.
        boundary: The boundary of the roles. Default: a new one.
        longest_session: How long a session may last, 1 to 12 hours. Default: 8 hours.

    Raises:
        ConfigurationError: For values that cannot work, all of them at once.

    Follows https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html and
    https://docs.aws.amazon.com/sagemaker/latest/dg/security_iam_id-based-policy-examples.html.
    """

    roles: Mapping[Persona, iam.Role]
    """The roles by persona."""

    boundary: PermissionBoundary
    """What bounds them."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        team: str,
        people: Mapping[Persona, iam.IPrincipal] | None = None,
        data: Sequence[DataAccess] = (),
        job_roles: Sequence[iam.IRole] = (),
        pipelines: Sequence[sfn.IStateMachine] = (),
        workgroups: Sequence[str] = (),
        in_network: bool = False,
        boundary: PermissionBoundary | None = None,
        longest_session: Duration | None = None,
    ) -> None:
        super().__init__(scope, id)
        session = longest_session if longest_session is not None else Duration.hours(8)
        problems = Problems("Personas", self)
        problems.check(
            is_token(team) or bool(_TEAM.fullmatch(team)),
            given=f"team={team!r}",
            allowed="2 to 20 lower-case letters, digits and hyphens",
            write='team="reviews"',
        )
        problems.check(people is None or bool(people), given="no people", allowed="one persona or more")
        problems.check(
            session.is_unresolved() or 1 <= session.to_hours(integral=False) <= 12,
            given="longest_session of other length",
            allowed="1 to 12 hours",
            write="longest_session=Duration.hours(8)",
        )
        for access in data:
            access.check(problems)
        problems.raise_if_any()

        self.team = team
        self.boundary = boundary if boundary is not None else PermissionBoundary(self, "Boundary")
        self._scope = Scope(
            stack=Stack.of(self),
            team=team,
            job_roles=[role.role_arn for role in job_roles],
            pipelines=[machine.state_machine_arn for machine in pipelines],
            workgroups=workgroups,
            in_network=in_network,
        )
        if people is None:
            people = {persona: iam.AccountRootPrincipal() for persona in Persona}
        self.roles = MappingProxyType(
            {
                persona: self._role(persona, people[persona], session, _row_tags(persona, data))
                for persona in Persona
                if persona in people
            }
        )
        for access in data:
            for persona in access.personas:
                if persona in self.roles:
                    self._grant(self.roles[persona], access)

    def role(self, persona: Persona) -> iam.Role:
        """The role of a persona.

        Raises:
            ConfigurationError: If there is no such persona here.
        """
        if persona not in self.roles:
            known = ", ".join(self.roles)
            raise ConfigurationError(f"{self.node.path}: given {persona}; allowed: {known}")
        return self.roles[persona]

    def _role(
        self, persona: Persona, who: iam.IPrincipal, session: Duration, row_tags: Sequence[str]
    ) -> iam.Role:
        conditions: dict[str, dict[str, str]] = {
            "StringEquals": {f"aws:RequestTag/{TEAM_TAG}": self.team},
            "StringLike": {f"aws:RequestTag/{COST_TAG}": "?*"},
        }
        if who.assume_role_action == "sts:AssumeRole":
            # Who takes a role from a session writes the new session's tags: those that open data, and the one
            # that opens a person's place in Studio, are its own. In a federation the identity provider writes
            # them. A statement with a variable that has no value applies to nobody, so that those who have
            # no such tag need a value in its place: one that nobody has.
            conditions["StringEqualsIfExists"] = {
                f"aws:RequestTag/{tag}": f"${{aws:PrincipalTag/{tag}, '{_NO_TAG}'}}"
                for tag in (*row_tags, USER_TAG)
            }
        role = iam.Role(
            self,
            "".join(part.capitalize() for part in persona.split("-")),
            description=f"{persona.replace('-', ' ').capitalize()} of team {self.team}",
            assumed_by=iam.SessionTagsPrincipal(iam.PrincipalWithConditions(who, conditions)),
            permissions_boundary=self.boundary.policy,
            max_session_duration=session,
        )
        acknowledge_inline_policy(role)
        add_duties(role, self, persona, self._scope)
        return role

    def _grant(self, role: iam.Role, access: DataAccess) -> None:
        if access.rows_by_tag is not None and access.prefix is not None:
            self._grant_rows(role, access, f"{access.prefix}${{aws:PrincipalTag/{access.rows_by_tag}}}/*")
        elif access.write:
            access.zone.grant_read_write(role, access.prefix)
        else:
            access.zone.grant_read(role, access.prefix)

    def _grant_rows(self, role: iam.Role, access: DataAccess, pattern: str) -> None:
        """Reading one folder, which the session's tag names. Without the tag there is no such folder."""
        objects = access.zone.bucket.arn_for_objects(pattern)
        role.add_to_policy(iam.PolicyStatement(actions=["s3:GetObject"], resources=[objects]))
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["s3:ListBucket"],
                resources=[access.zone.bucket.bucket_arn],
                conditions={"StringLike": {"s3:prefix": pattern}},
            )
        )
        if access.zone.key is not None:
            access.zone.key.grant(role, "kms:Decrypt", "kms:DescribeKey")
        # cdk-nag writes the policy's variable as it writes references.
        found = access.zone.bucket.arn_for_objects(pattern.replace("${", "<").replace("}", ">"))
        acknowledge_wildcards(
            role, access.zone.bucket, [found], "The objects below the folder that the session's tag names."
        )


def _row_tags(persona: Persona, data: Sequence[DataAccess]) -> list[str]:
    """The tags of a session that decide which rows it sees."""
    tags = {access.rows_by_tag for access in data if persona in access.personas}
    return sorted(tag for tag in tags if tag is not None)
