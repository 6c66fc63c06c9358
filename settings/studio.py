"""The table ``[studio]``: where people work."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from settings.section import Section

TeamName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,18}[a-z0-9]$")]
UserName = Annotated[str, Field(pattern=r"^[a-z0-9](-*[a-z0-9]){0,62}$")]
IdleMinutes = Annotated[int, Field(ge=60, le=525_600)]
Gigabytes = Annotated[int, Field(ge=5, le=16_384)]
InstanceType = Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")]
SpaceName = Annotated[str, Field(pattern=r"^[a-z0-9](-*[a-z0-9]){0,41}$")]
ScriptName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,39}$")]
ImageName = Annotated[str, Field(pattern=r"^[a-z0-9](-?[a-z0-9]){0,29}$")]
App = Literal["JupyterLab", "CodeEditor"]


class Space(Section):
    """A place of one person that is there from the start, ``[studio.users.<user>.spaces.<name>]``; in Studio
    it is ``<user>-<name>``. People make further ones themselves."""

    app: App = "JupyterLab"
    instance_type: InstanceType | None = None
    """What it runs on unless its user chooses; without it, the user's."""
    volume_gb: Gigabytes | None = None
    """Its volume; without it, ``volume_gb`` of the domain."""


class SharedSpace(Section):
    """A place of a team, ``[studio.teams.<team>.spaces.<name>]``; in Studio it is ``<team>-<name>``. All but
    approvers work in it. What runs there has one role for all teams, which reads the raw and curated
    zones."""

    owner: str
    """The name of a user of the team, who may delete it."""
    app: App = "JupyterLab"
    instance_type: InstanceType = "ml.t3.medium"
    volume_gb: Gigabytes | None = None
    """Its volume; without it, ``volume_gb`` of the domain."""


class Script(Section):
    """A script that runs at each start of an app, ``[studio.scripts.<name>]``. It has five minutes, or the
    app does not start."""

    content: Annotated[str, Field(pattern=r"^#!", max_length=12_288)]
    """The script, in three apostrophes, which keep its backslashes; the first line names the interpreter."""
    app: App = "JupyterLab"


class Image(Section):
    """A container image that people can choose beside SageMaker's own, ``[studio.images.<name>]``."""

    image: Annotated[str, Field(min_length=1, max_length=255)]
    """Its URI in ECR, in the platform's region, with a tag or digest."""
    app: App = "JupyterLab"
    environment: Annotated[dict[str, str], Field(max_length=25)] = Field({})
    """Variables of its containers."""


class StudioTeam(Section):
    """A team in Studio, ``[studio.teams.<name>]``. Its jobs and models begin with its name."""

    cost_center: Annotated[str, Field(pattern=r"^[\w .:/=+@-]{1,128}$")]
    """Who pays, as a tag of all that its people start."""
    spaces: Annotated[dict[SpaceName, SharedSpace], Field(max_length=20)] = Field({})
    """Its shared spaces, by name."""


class StudioUser(Section):
    """A person in Studio, ``[studio.users.<name>]``; the name is that of the user profile."""

    team: str
    """The name of a team."""
    persona: Literal["data-scientist", "ml-engineer", "approver"] = "data-scientist"
    """What they are there for; an auditor sees no data and needs no place."""
    instance_type: InstanceType = "ml.t3.medium"
    """What their apps run on unless they choose."""
    identity: str | None = None
    """Their user name in IAM Identity Center, with ``identity_center``."""
    stack: Annotated[int, Field(ge=1, le=20)] = 1
    """Which of the team's stacks they are in. A stack holds 200 users: those who come later go into the next
    one. Who is moved to another one loses their places."""
    spaces: dict[SpaceName, Space] = Field({})
    """Places of theirs that are there from the start, by name."""


class Studio(Section):
    """A Studio domain without internet. It needs a network of two zones with the feature ``studio``, whose
    endpoints cost 58 USD a month (us-east-1, November 2026), or a NAT gateway. At rest it costs 2 USD a month
    for two keys, 0.90 USD for metrics and 3 USD for a dashboard after an account's first three."""

    idle_minutes: IdleMinutes = 120
    """Apps that nobody has used for so long are shut down."""
    longest_idle_minutes: IdleMinutes | None = None
    """The most that people may set; without it eight hours, or ``idle_minutes`` if that is more."""
    identity_center: bool = False
    """People enter with IAM Identity Center instead of IAM. It cannot be changed later."""
    people: tuple[Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:.+")], ...] = ()
    """Who may take the role that opens Studio, by ARN; without any, identities of the account that IAM
    permits to. Each needs the tag ``studio-user``."""
    canvas: bool = False
    """Offer Canvas, which costs 1.90 USD an hour while somebody is logged in."""
    home_file_system: bool = True
    """Have a home directory for each user on EFS."""
    volume_gb: Gigabytes = 10
    """The volume of a new space."""
    largest_volume_gb: Gigabytes = 100
    """The most that people may set themselves."""
    may_be_replaced: bool = False
    """Let an update replace the domain by an empty one."""
    scripts: dict[ScriptName, Script] = Field({})
    """What runs at each start of an app, by name, in the order of the file."""
    images: dict[ImageName, Image] = Field({})
    """Images of one's own, by name."""
    teams: Annotated[dict[TeamName, StudioTeam], Field(min_length=1)]
    """Teams by name."""
    users: Annotated[dict[UserName, StudioUser], Field(min_length=1)]
    """People by name: lower-case letters, digits and hyphens."""

    @model_validator(mode="after")
    def _teams_and_users_belong_together(self) -> Studio:
        unknown = sorted({user.team for user in self.users.values()} - {*self.teams})
        if unknown:
            raise ValueError(
                f"users are in teams {unknown}, but [studio.teams] has only {sorted(self.teams)}"
            )
        empty = sorted({*self.teams} - {user.team for user in self.users.values()})
        if empty:
            raise ValueError(f"teams {empty} have no user: add one to [studio.users], or leave them out")
        return self

    @model_validator(mode="after")
    def _teams_are_told_apart_by_their_names(self) -> Studio:
        for one in self.teams:
            longer = sorted(other for other in self.teams if other.startswith(f"{one}-"))
            if longer:
                raise ValueError(
                    f"teams {longer} begin with the name of the team {one!r} and a hyphen, and policies know "
                    f"a team by how names begin: team {one} could stop their jobs; name one of them otherwise"
                )
        return self

    @model_validator(mode="after")
    def _spaces_belong_to_somebody(self) -> Studio:
        for name, team in self.teams.items():
            people = sorted(user for user, about in self.users.items() if about.team == name)
            for space, about in team.spaces.items():
                if about.owner not in people:
                    raise ValueError(
                        f"teams.{name}.spaces.{space}.owner is {about.owner!r}, but the team has only "
                        f"{people}"
                    )
        return self

    @model_validator(mode="after")
    def _identities_are_where_they_are_used(self) -> Studio:
        for name, user in self.users.items():
            if user.identity is not None and not self.identity_center:
                raise ValueError(f"users.{name} has an identity, but identity_center is false: leave it out")
            if user.identity is None and self.identity_center:
                raise ValueError(f"users.{name} needs an identity: with identity_center people enter by it")
        if self.identity_center and self.people:
            raise ValueError("people take no role with identity_center: leave people out")
        return self

    @model_validator(mode="after")
    def _defaults_are_within_the_most(self) -> Studio:
        if self.longest_idle_minutes is not None and self.longest_idle_minutes < self.idle_minutes:
            raise ValueError(
                f"longest_idle_minutes is {self.longest_idle_minutes}, less than idle_minutes "
                f"({self.idle_minutes})"
            )
        if self.largest_volume_gb < self.volume_gb:
            raise ValueError(
                f"largest_volume_gb is {self.largest_volume_gb}, less than volume_gb ({self.volume_gb})"
            )
        for where, places in (("teams", self.teams), ("users", self.users)):
            for whose, about in places.items():
                for name, space in about.spaces.items():
                    if space.volume_gb is not None and space.volume_gb > self.largest_volume_gb:
                        raise ValueError(
                            f"{where}.{whose}.spaces.{name}.volume_gb is {space.volume_gb}, more than "
                            f"largest_volume_gb ({self.largest_volume_gb})"
                        )
        return self


def missing_network(zones: int, features: tuple[str, ...], nat_gateways: int) -> str | None:
    """What a network lacks for Studio, as a sentence; None if it lacks nothing."""
    if zones < 2:
        return "studio needs network.zones of two zones or more"
    if "studio" not in features and not nat_gateways:
        return (
            'studio needs its endpoints: write features = ["studio"] in [network] (7.30 USD a month for each '
            "of four endpoints in each zone), or nat_gateways = 1"
        )
    return None
