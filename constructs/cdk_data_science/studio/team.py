"""A team in a Studio domain."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from aws_cdk import CfnDeletionPolicy, Stack, Tags
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_data_science._validation import ConfigurationError, Problems, is_token
from cdk_data_science.security import PermissionBoundary, Persona, grant_duties
from cdk_data_science.security.duties import COST_TAG, TEAM_TAG, USER_TAG
from cdk_data_science.studio import _roles
from cdk_data_science.studio._domain_base import IStudioDomain
from cdk_data_science.studio._names import StudioIdentity
from cdk_data_science.studio._settings import space_settings
from cdk_data_science.studio.instances import LIMITS, InstanceLimit
from cdk_data_science.studio.users import PrivateSpace, SharedSpace, StudioUser, check_name

_TEAM = re.compile(r"[a-z][a-z0-9-]{0,18}[a-z0-9]")
_COST_CENTER = re.compile(r"[\w .:/=+@-]{1,128}")
MOST_RESOURCES = 400
"""What the users of one construct may come to: a stack has 500 resources, and more than users."""
MOST_SHARED = 20
"""Shared spaces of a team: a managed policy has 6144 characters."""


class StudioTeam(Construct):
    """The users of a team, with a role for each persona among them, and the places that are there from the
    start.

    A persona's role has the duties of that persona, as :class:`~cdk_data_science.security.Personas` gives
    them to people outside of Studio, and its user's own spaces; data is granted:
    ``lake.curated.grant_read(team.role(Persona.DATA_SCIENTIST))``. Instance types beyond the persona's limit
    are hidden and denied. Profiles, spaces, and what is started in them carry the tags ``team`` and
    ``cost-center``, and the profile ``studio-user``.

    Users are told apart by their names, in the template too: adding or removing one touches no other. A team
    that outgrows one stack goes on in another, with a further construct of the same name.

    Costs nothing at rest beside the volumes of spaces.

    ```python
    from cdk_data_science import DataLake, ResearchNetwork, StudioDomain, StudioTeam, StudioUser
    from cdk_data_science.security import Persona

    lake = DataLake(self, "Lake")
    network = ResearchNetwork(self, "Network", zones=["us-east-1a", "us-east-1b"])
    studio = StudioDomain(self, "Studio", vpc=network.vpc, subnets=network.jobs)
    team = StudioTeam(
        self,
        "Reviews",
        domain=studio,
        name="reviews",
        cost_center="4711",
        users=[StudioUser(name="ann"), StudioUser(name="ben", persona=Persona.ML_ENGINEER)],
    )
    lake.curated.grant_read(team.role(Persona.DATA_SCIENTIST), "reviews/")
    ```

    Args:
        domain: The domain, of this or another stack, or one that something else owns:
            :meth:`StudioDomain.from_domain_attributes`.
        name: The team's name: 2 to 20 lower-case letters, digits and hyphens. Its jobs and models begin with
            it.
        cost_center: Who pays, for the bill.
        users: Who is in it, 1 or more.
        shared_spaces: Places of the whole team, in which all but approvers may run apps; at most 20 together
            with ``joined_spaces``. Default: none.
        joined_spaces: Names of those that another construct of the same team makes, without the team's name
            in front. Default: none.
        limits: How large instances of a persona may be. Default: 16 virtual processors, 128 GiB and a GPU for
            data scientists; 48, 192 and four for ML engineers; 4, 16 and none for approvers.
        job_roles: Roles that their jobs may have. Default: none, so that no job can be started.
        pipelines: State machines that ML engineers run. Default: none.
        workgroups: ARNs of Athena workgroups for queries. Default: none.
        in_network: Refuse jobs and models outside of a VPC. Default: no.
        boundary: The boundary of the roles. Default: the domain's.

    Raises:
        ConfigurationError: For values that cannot work, all of them at once.

    Follows https://docs.aws.amazon.com/sagemaker/latest/dg/domain-user-profile.html and
    https://docs.aws.amazon.com/sagemaker/latest/dg/domain-space.html.
    """

    roles: Mapping[Persona, iam.Role]
    """The roles of apps, by persona."""

    profiles: Mapping[str, sagemaker.CfnUserProfile]
    """The user profiles, by the users' names."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        domain: IStudioDomain,
        name: str,
        cost_center: str,
        users: Sequence[StudioUser],
        shared_spaces: Sequence[SharedSpace] = (),
        joined_spaces: Sequence[str] = (),
        limits: Mapping[Persona, InstanceLimit] | None = None,
        job_roles: Sequence[iam.IRole] = (),
        pipelines: Sequence[sfn.IStateMachine] = (),
        workgroups: Sequence[str] = (),
        in_network: bool = False,
        boundary: PermissionBoundary | None = None,
    ) -> None:
        super().__init__(scope, id)
        _check_kinds(self, domain, name, cost_center, users, shared_spaces, joined_spaces, limits)
        _check_roles(self, job_roles, pipelines)
        self.name, self.cost_center, self._domain = name, cost_center, domain
        self._limits = {**LIMITS, **(limits or {})}
        self._check(users, shared_spaces, joined_spaces)
        self._shared = [f"{name}-{each}" for each in (*(s.name for s in shared_spaces), *joined_spaces)]
        self._boundary = boundary if boundary is not None else domain.boundary
        self.roles = MappingProxyType(
            {
                persona: self._role(persona, job_roles, pipelines, workgroups, in_network=in_network)
                for persona in Persona
                if any(user.persona is persona for user in users)
            }
        )
        for key, value in ((TEAM_TAG, name), (COST_TAG, cost_center)):
            Tags.of(self).add(key, value)
        self.profiles = MappingProxyType({user.name: self._profile(user) for user in users})
        places: dict[str, list[sagemaker.CfnSpace]] = {user.name: [] for user in users}
        for user in users:
            for space in user.spaces:
                made = self._space(f"{user.name}-{space.name}", space, user.name, user.instance_type)
                places[user.name].append(made)
        for shared in shared_spaces:
            made = self._space(f"{name}-{shared.name}", shared, shared.owner, shared.instance_type)
            places[shared.owner].append(made)
        for owner, spaces in places.items():
            self._end(owner, spaces)

    def role(self, persona: Persona) -> iam.Role:
        """The role of a persona's apps.

        Raises:
            ConfigurationError: If no user of the team is of this persona.
        """
        if persona not in self.roles:
            known = ", ".join(self.roles)
            raise ConfigurationError(f"{self.node.path}: given {persona}; allowed: {known}")
        return self.roles[persona]

    def _check(
        self, users: Sequence[StudioUser], shared: Sequence[SharedSpace], joined: Sequence[str]
    ) -> None:
        problems = Problems("StudioTeam", self)
        problems.check(
            is_token(self.name) or bool(_TEAM.fullmatch(self.name)),
            given=f"name={self.name!r}",
            allowed="2 to 20 lower-case letters, digits and hyphens",
            write='name="reviews"',
        )
        problems.check(
            is_token(self.cost_center) or bool(_COST_CENTER.fullmatch(self.cost_center)),
            given=f"cost_center={self.cost_center!r}",
            allowed="1 to 128 characters of a tag",
            write='cost_center="4711"',
        )
        problems.check(bool(users), given="no users", allowed="one user or more")
        center = self._domain.identity is StudioIdentity.IDENTITY_CENTER
        for user in users:
            user.check(problems, self._limits.get(user.persona), identity_center=center)
        for persona, limit in self._limits.items():
            limit.check(problems, persona)
        names = [user.name for user in users]
        for name in sorted({name for name in names if names.count(name) > 1}):
            problems.check(False, given=f"user {name!r} {names.count(name)} times", allowed="each user once")
        for space in shared:
            space.check(problems, self.name, names)
        for each in joined:
            check_name(problems, f"{self.name}-{each}", "joined space")
        self._check_shared(problems, [space.name for space in shared], joined)
        self._check_spaces(problems, users, shared)
        problems.raise_if_any()

    def _check_shared(self, problems: Problems, shared: Sequence[str], joined: Sequence[str]) -> None:
        problems.check(
            not shared or self._domain.shared_role is not None,
            given=f"shared spaces {[*shared]} in {self._domain.node.path}, which has no role for their apps",
            allowed="shared spaces in a domain whose DefaultSpaceSettings have an execution role",
            write="StudioDomain.from_domain_attributes(…, shared_role=iam.Role.from_role_arn(…))",
        )
        both = sorted({*shared} & {*joined})
        problems.check(
            not both,
            given=f"joined_spaces {both}, which this team makes",
            allowed="those of another construct",
        )
        problems.check(
            len(shared) + len(joined) <= MOST_SHARED,
            given=f"{len(shared) + len(joined)} shared spaces",
            allowed=f"{MOST_SHARED} for a team: a policy names each of them",
        )

    def _check_spaces(
        self, problems: Problems, users: Sequence[StudioUser], shared: Sequence[SharedSpace]
    ) -> None:
        spaces = [f"{user.name}-{space.name}" for user in users for space in user.spaces]
        spaces += [f"{self.name}-{space.name}" for space in shared]
        twice = sorted({space for space in spaces if spaces.count(space) > 1})
        problems.check(not twice, given=f"spaces {twice} twice", allowed="each name once in a domain")
        self._domain.names.take(
            problems, self.node.path, team=self.name, users=[user.name for user in users], spaces=spaces
        )
        largest = self._domain.largest_volume_gb
        for name, space in [(u.name, s) for u in users for s in u.spaces] + [(self.name, s) for s in shared]:
            problems.check(
                largest is None
                or space.volume_gb is None
                or is_token(largest)
                or is_token(space.volume_gb)
                or space.volume_gb <= largest,
                given=f"space {space.name!r} of {name}: volume_gb={space.volume_gb}",
                allowed=f"at most the domain's largest_volume_gb, {largest}",
            )
        resources = 2 * len(users) + len(spaces)
        problems.check(
            resources <= MOST_RESOURCES,
            given=f"{len(users)} users with {len(spaces)} spaces, {resources} resources",
            allowed=f"{MOST_RESOURCES} in one construct, of the 500 that a stack may have",
            write="the others in a further StudioTeam of the same name, in another stack",
        )

    def _role(
        self,
        persona: Persona,
        job_roles: Sequence[iam.IRole],
        pipelines: Sequence[sfn.IStateMachine],
        workgroups: Sequence[str],
        *,
        in_network: bool,
    ) -> iam.Role:
        words = "".join(part.capitalize() for part in persona.split("-"))
        role = _roles.execution_role(
            self,
            words,
            description=f"Apps of the {persona.replace('-', ' ')}s of team {self.name} in Studio",
            boundary=self._boundary,
        )
        grant_duties(
            role,
            persona,
            team=self.name,
            job_roles=job_roles,
            pipelines=pipelines,
            workgroups=workgroups,
            in_network=in_network,
        )
        if self._domain.key is not None:
            _roles.use_volumes(role, self._domain.key)
        if self._domain.mlflow is not None and persona is not Persona.APPROVER:
            self._domain.mlflow.grant_log(role)
        _roles.SpacePermissions(
            self,
            f"{words}Spaces",
            role=role,
            domain=self._domain,
            team=self.name,
            allowed_types=self._limits[persona].allowed,
            shared_spaces=() if persona is Persona.APPROVER else self._shared,
        )
        return role

    def _profile(self, user: StudioUser) -> sagemaker.CfnUserProfile:
        role = self.roles[user.persona]
        profile = sagemaker.CfnUserProfile(
            self,
            f"User-{user.name}",
            domain_id=self._domain.domain_id,
            user_profile_name=user.name,
            single_sign_on_user_identifier=None if user.identity is None else "UserName",
            single_sign_on_user_value=user.identity,
            user_settings=self._domain.profiles.of_user(
                role.role_arn, user.instance_type, self._limits[user.persona]
            ),
        )
        Tags.of(profile).add(USER_TAG, user.name)
        profile.cfn_options.deletion_policy = CfnDeletionPolicy.DELETE
        profile.cfn_options.update_replace_policy = CfnDeletionPolicy.RETAIN
        if self._domain.end is not None and Stack.of(self) is Stack.of(self._domain):
            profile.node.add_dependency(self._domain.end)
        return profile

    def _end(self, user: str, spaces: Sequence[sagemaker.CfnSpace]) -> None:
        """End a user's apps before CloudFormation deletes their spaces, and spaces before their profile."""
        end = self._domain.ending.end_user(
            self,
            f"End-{user}",
            domain_id=self._domain.domain_id,
            user=user,
            destroy=self._domain.destroy,
        )
        end.node.add_dependency(self.profiles[user], *spaces)

    def _space(
        self, name: str, space: PrivateSpace | SharedSpace, owner: str, default_type: str
    ) -> sagemaker.CfnSpace:
        resource = sagemaker.CfnSpace(
            self,
            f"Space-{name}",
            domain_id=self._domain.domain_id,
            space_name=name,
            ownership_settings=sagemaker.CfnSpace.OwnershipSettingsProperty(owner_user_profile_name=owner),
            space_sharing_settings=sagemaker.CfnSpace.SpaceSharingSettingsProperty(
                sharing_type="Private" if isinstance(space, PrivateSpace) else "Shared"
            ),
            space_settings=space_settings(space, default_type),
        )
        Tags.of(resource).add(USER_TAG, owner)
        resource.cfn_options.deletion_policy = (
            CfnDeletionPolicy.DELETE if self._domain.destroy else CfnDeletionPolicy.RETAIN_EXCEPT_ON_CREATE
        )
        resource.cfn_options.update_replace_policy = CfnDeletionPolicy.RETAIN
        resource.node.add_dependency(self.profiles[owner])
        return resource


def _check_kinds(
    scope: Construct,
    domain: IStudioDomain,
    name: str,
    cost_center: str,
    users: Sequence[StudioUser],
    shared: Sequence[SharedSpace],
    joined: Sequence[str],
    limits: Mapping[Persona, InstanceLimit] | None,
) -> None:
    problems = Problems("StudioTeam", scope)
    problems.check_constructs("domain", domain, write="StudioDomain.from_domain_attributes(…)")
    problems.check_kind("name", name, str, write='"reviews"')
    problems.check_kind("cost_center", cost_center, str, write='"4711"')
    problems.check_each("users", users, StudioUser, write='StudioUser(name="ann")')
    problems.check_each("shared_spaces", shared, SharedSpace, write='SharedSpace(name="board", owner="ann")')
    problems.check_each("joined_spaces", joined, str, write='"board"')
    given: object = limits or {}
    problems.check_kind("limits", given, Mapping, write="{Persona.APPROVER: InstanceLimit(…)}")
    if isinstance(given, Mapping):
        problems.check_each("limits", [*given], Persona, write="Persona.DATA_SCIENTIST")
        problems.check_each(
            "limits", [*given.values()], InstanceLimit, write="InstanceLimit(vcpus=4, memory_gib=16)"
        )
    problems.raise_if_any()
    for user in users:
        user.check_kinds(problems)
    problems.raise_if_any()


def _check_roles(
    scope: Construct, job_roles: Sequence[iam.IRole], pipelines: Sequence[sfn.IStateMachine]
) -> None:
    problems = Problems("StudioTeam", scope)
    problems.check_each_construct("job_roles", job_roles, write='iam.Role.from_role_arn(self, "Jobs", …)')
    problems.check_each_construct("pipelines", pipelines, write="sfn.StateMachine.from_state_machine_arn(…)")
    problems.raise_if_any()
