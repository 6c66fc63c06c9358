"""Work places: a Studio domain, and the people of each team in stacks of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science import (
    AlertTopic,
    DataLake,
    Mlflow,
    StudioActivity,
    StudioDomain,
    StudioTeam,
    StudioUser,
)
from cdk_data_science.security import JobKind, JobRole, PermissionBoundary, Persona
from cdk_data_science.studio import (
    CustomImage,
    IdleShutdown,
    IExperimentTracking,
    LifecycleScript,
    PrivateSpace,
    SharedSpace,
    SpaceApp,
    StudioEntry,
    StudioIdentity,
)
from settings.model import Settings
from settings.studio import Studio
from settings.studio import StudioTeam as Team
from settings.studio import StudioUser as Person
from stacks.network import NetworkStack


class StudioStack(cdk.Stack):
    """The domain, the way into it, and who works in it. It stands on the network, the lake
    and the alerts."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        studio: Studio,
        network: NetworkStack,
        lake: DataLake,
        alerts: AlertTopic,
        mlflow: IExperimentTracking | None,
        env: cdk.Environment,
    ) -> None:
        super().__init__(
            scope,
            id,
            env=env,
            description="Work places: a Studio domain",
            termination_protection=not settings.platform.destroy_data,
        )
        self.domain = StudioDomain(
            self,
            "Studio",
            vpc=network.network.vpc,
            subnets=network.network.jobs,
            security_groups=[network.network.security_groups.workload],
            identity=StudioIdentity.IDENTITY_CENTER if studio.identity_center else StudioIdentity.IAM,
            alerts=alerts,
            idle=IdleShutdown(minutes=studio.idle_minutes, longest_minutes=studio.longest_idle_minutes),
            scripts=[
                LifecycleScript(name=name, content=script.content, app=SpaceApp(script.app))
                for name, script in studio.scripts.items()
            ],
            images=[
                CustomImage(
                    name=name, image=image.image, app=SpaceApp(image.app), environment=image.environment
                )
                for name, image in studio.images.items()
            ],
            mlflow=mlflow,
            canvas=studio.canvas,
            volume_gb=studio.volume_gb,
            largest_volume_gb=studio.largest_volume_gb,
            home_file_system=studio.home_file_system,
            may_be_replaced=studio.may_be_replaced,
            destroy=settings.platform.destroy_data,
        )
        if any(team.spaces for team in studio.teams.values()):
            # What a data scientist of any team sees; a team's own work is for its own roles.
            lake.raw.grant_read(self.domain.shared_role)
            lake.curated.grant_read(self.domain.shared_role)
        self.activity = StudioActivity(self, "Activity", domain=self.domain)
        outputs = {
            "DomainId": (self.domain.domain_id, "The Studio domain"),
            "StudioUrl": (self.domain.url, "Where Studio is"),
            "ActivityDashboard": (
                self.activity.dashboard.dashboard_name,
                "The dashboard of running apps and their owners",
            ),
        }
        if studio.home_file_system:
            outputs["HomeFileSystemId"] = (
                self.domain.domain.attr_home_efs_file_system_id,
                "The file system of home directories, which outlives the stack unless both keys were turned",
            )
        if not studio.identity_center:
            entry = StudioEntry(self, "Entry", domain=self.domain, people=_people(studio))
            outputs["EntryRoleArn"] = (
                entry.role.role_arn,
                "Role that opens one's own place in Studio, taken with the tag studio-user",
            )
        for name, (value, description) in outputs.items():
            cdk.CfnOutput(self, name, value=value, description=description)


class StudioTeamStack(cdk.Stack):
    """The people of a team, or of a part of it, and the roles of their apps and jobs."""

    team: StudioTeam

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        domain: StudioDomain,
        lake: DataLake,
        mlflow: Mlflow | None,
        team: str,
        about: Team,
        people: Mapping[str, Person],
        env: cdk.Environment,
    ) -> None:
        super().__init__(scope, id, env=env, description=f"Work places of team {team}")
        users = [
            StudioUser(
                name=name,
                persona=Persona(person.persona),
                instance_type=person.instance_type,
                identity=person.identity,
                spaces=[
                    PrivateSpace(
                        name=space,
                        app=SpaceApp(place.app),
                        instance_type=place.instance_type,
                        volume_gb=place.volume_gb,
                    )
                    for space, place in person.spaces.items()
                ],
            )
            for name, person in people.items()
        ]
        boundary = PermissionBoundary(self, "Boundary")
        jobs = JobRole(
            self,
            "Jobs",
            kind=JobKind.TRAINING,
            name_prefix=f"{team}-",
            subnets=domain.subnets,
            security_groups=domain.security_groups,
            boundary=boundary,
        )
        self.team = StudioTeam(
            self,
            "Team",
            domain=domain,
            name=team,
            cost_center=about.cost_center,
            users=users,
            shared_spaces=[
                SharedSpace(
                    name=space,
                    owner=place.owner,
                    app=SpaceApp(place.app),
                    instance_type=place.instance_type,
                    volume_gb=place.volume_gb,
                )
                for space, place in about.spaces.items()
                if place.owner in people
            ],
            joined_spaces=[space for space, place in about.spaces.items() if place.owner not in people],
            job_roles=[jobs.role],
            in_network=True,
            boundary=boundary,
        )
        cdk.CfnOutput(
            self,
            "JobRoleArn",
            value=jobs.role.role_arn,
            description=f"Role of the training jobs of team {team}",
        )
        self._grant(lake, jobs.role)
        if mlflow is not None:
            self._record(mlflow, jobs.role)

    def _record(self, mlflow: Mlflow, jobs: iam.Role) -> None:
        """Whoever trains records runs, as their jobs do. The others look at them where they can do no more
        than that: on a server, not on an app."""
        mlflow.grant_log(jobs)
        for persona, role in self.team.roles.items():
            trains = persona in (Persona.DATA_SCIENTIST, Persona.ML_ENGINEER)
            if trains:
                mlflow.grant_log(role)
            if trains or not mlflow.is_app:
                mlflow.grant_open(role)
                mlflow.grant_read(role)

    def _grant(self, lake: DataLake, jobs: iam.Role) -> None:
        """What a persona of the platform sees; the team's own work, in place of the platform's."""
        work = f"work/{self.team.name}/"
        for persona, role in self.team.roles.items():
            if persona is Persona.APPROVER:
                lake.features.grant_read(role, "evaluations/")
                continue
            lake.raw.grant_read(role)
            lake.curated.grant_read(role)
            lake.features.grant_read_write(role, work)
        lake.curated.grant_read(jobs)
        lake.features.grant_read_write(jobs, work)


def team_stacks(
    app: cdk.App,
    studio: Studio,
    *,
    prefix: str,
    domain: StudioDomain,
    lake: DataLake,
    mlflow: Mlflow | None,
    env: cdk.Environment,
) -> Iterator[StudioTeamStack]:
    """A stack for each team, and further ones for those who were put there."""
    for team, about in studio.teams.items():
        for number in sorted({user.stack for user in studio.users.values() if user.team == team}):
            yield StudioTeamStack(
                app,
                f"{prefix}-{team}" if number == 1 else f"{prefix}-{team}-{number}",
                domain=domain,
                lake=lake,
                mlflow=mlflow,
                team=team,
                about=about,
                people={
                    name: user
                    for name, user in studio.users.items()
                    if user.team == team and user.stack == number
                },
                env=env,
            )


def _people(studio: Studio) -> iam.IPrincipal | None:
    if not studio.people:
        return None
    principals = [iam.ArnPrincipal(arn) for arn in studio.people]
    return principals[0] if len(principals) == 1 else iam.CompositePrincipal(*principals)
