"""People and their places, as values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from cdk_data_science._validation import Problems, is_token, is_whole
from cdk_data_science.security import Persona
from cdk_data_science.studio.instances import InstanceLimit, check_studio_type

_NAME = re.compile(r"[a-z0-9](-*[a-z0-9]){0,62}")
_IDENTITY = re.compile(r"[\w+=,.@-]{1,128}")
_SMALLEST_GB, _LARGEST_GB = 5, 16_384
DEFAULT_TYPE = "ml.t3.medium"


class SpaceApp(StrEnum):
    """What is opened in a space."""

    JUPYTER_LAB = "JupyterLab"
    CODE_EDITOR = "CodeEditor"


def check_volume(problems: Problems, gigabytes: int | None, what: str) -> None:
    """Report a volume that no space can have."""
    problems.check(
        gigabytes is None
        or is_token(gigabytes)
        or (is_whole(gigabytes, _SMALLEST_GB) and gigabytes <= _LARGEST_GB),
        given=f"{what}={gigabytes!r}",
        allowed=f"{_SMALLEST_GB} to {_LARGEST_GB} GB, a whole number",
    )


def check_name(problems: Problems, name: str, what: str) -> None:
    """Report a name that Studio refuses, or that could be mistaken for another in a policy."""
    problems.check(
        is_token(name) or bool(_NAME.fullmatch(name)),
        given=f"{what} {name!r}",
        allowed="1 to 63 lower-case letters, digits and hyphens, a letter or digit first and last: policies "
        "compare names with ARNs, which have them in lower case",
        write=f'"{_suggestion(name)}"',
    )


def _suggestion(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63].rstrip("-") or "ann"


@dataclass(frozen=True, kw_only=True, slots=True)
class PrivateSpace:
    """A place of one user, with a volume of its own. People can make further ones in Studio themselves."""

    name: str
    """Its name; in Studio it is ``<user>-<name>``."""
    app: SpaceApp = SpaceApp.JUPYTER_LAB
    """What is opened in it. Default: JupyterLab."""
    instance_type: str | None = None
    """What it runs on unless its user chooses. Default: the user's ``instance_type``."""
    volume_gb: int | None = None
    """Its volume, 5 to 16384 GB. Default: the domain's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedSpace:
    """A place of a team, in which people work on the same files at the same time.

    Everybody in the domain can see that it is there. What runs in it has the domain's ``shared_role``, not
    that of whoever runs it.
    """

    name: str
    """Its name; in Studio it is ``<team>-<name>``."""
    owner: str
    """The name of a user of the team, who may delete it."""
    app: SpaceApp = SpaceApp.JUPYTER_LAB
    """What is opened in it. Default: JupyterLab."""
    instance_type: str = DEFAULT_TYPE
    """What it runs on unless somebody chooses. Default: ``ml.t3.medium``."""
    volume_gb: int | None = None
    """Its volume, 5 to 16384 GB. Default: the domain's."""

    def check(self, problems: Problems, team: str, users: Sequence[str]) -> None:
        """Record what cannot work in this space."""
        check_name(problems, f"{team}-{self.name}", "shared space")
        check_studio_type(problems, self.instance_type, f"shared space {self.name!r}: instance_type")
        check_volume(problems, self.volume_gb, f"shared space {self.name!r}: volume_gb")
        problems.check(
            self.owner in users,
            given=f"shared space {self.name!r}: owner={self.owner!r}",
            allowed="the name of a user of the same team and stack",
            write=f'owner="{users[0]}"' if users else None,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class StudioUser:
    """A person in Studio."""

    name: str
    """The user profile's name: 1 to 63 lower-case letters, digits and hyphens. It cannot be changed."""
    persona: Persona = Persona.DATA_SCIENTIST
    """What they are there for. Default: data scientist."""
    instance_type: str = DEFAULT_TYPE
    """What their apps run on unless they choose. Default: ``ml.t3.medium``."""
    identity: str | None = None
    """Their user name in IAM Identity Center, where the domain is entered with that. Default: none, for
    domains that are entered with IAM."""
    spaces: Sequence[PrivateSpace] = ()
    """Places that are there from the start. Default: none; people make their own."""

    def check_kinds(self, problems: Problems) -> None:
        """Record values of another kind."""
        problems.check_kind("user name", self.name, str, write='name="ann"')
        problems.check_kind(
            f"user {self.name!r}: persona", self.persona, Persona, write="persona=Persona.DATA_SCIENTIST"
        )
        problems.check_each("spaces", self.spaces, PrivateSpace, write='PrivateSpace(name="lab")')

    def check(self, problems: Problems, limit: InstanceLimit | None, *, identity_center: bool) -> None:
        """Record what cannot work for this user."""
        check_name(problems, self.name, "user")
        what = f"user {self.name!r}"
        problems.check(
            limit is not None,
            given=f"{what}: persona={self.persona.value!r}",
            allowed="those who work in Studio: data-scientist, ml-engineer, approver; an auditor sees no "
            "data and needs no place",
        )
        self._check_type(problems, limit, self.instance_type, f"{what}: instance_type")
        problems.check(
            identity_center or self.identity is None,
            given=f"{what}: identity={self.identity!r} in a domain that is entered with IAM",
            allowed="identities in domains that are entered with IAM Identity Center",
            write="StudioDomain(identity=StudioIdentity.IDENTITY_CENTER), or leave identity out",
        )
        problems.check(
            not identity_center or (self.identity is not None and bool(_IDENTITY.fullmatch(self.identity))),
            given=f"{what}: identity={self.identity!r}",
            allowed="a user name of IAM Identity Center: that is how this domain is entered",
            write='identity="ann@example.com"',
        )
        names = [space.name for space in self.spaces]
        problems.check(
            len(set(names)) == len(names), given=f"{what}: spaces {names}", allowed="each name once"
        )
        for space in self.spaces:
            check_name(problems, f"{self.name}-{space.name}", "space")
            check_volume(problems, space.volume_gb, f"space {space.name!r} of {self.name}: volume_gb")
            if space.instance_type is not None:
                where = f"space {space.name!r} of {self.name}: instance_type"
                self._check_type(problems, limit, space.instance_type, where)

    def _check_type(self, problems: Problems, limit: InstanceLimit | None, name: str, what: str) -> None:
        check_studio_type(problems, name, what)
        problems.check(
            limit is None or is_token(name) or name not in limit.hidden,
            given=f"{what}={name!r}",
            allowed=f"types within the limit of a {self.persona.value}",
            write="a smaller type, or limits={Persona…: InstanceLimit(…, also=…)}",
        )
