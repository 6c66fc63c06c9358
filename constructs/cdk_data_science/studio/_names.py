"""How a domain is entered, and which names are taken in it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from cdk_data_science._validation import Problems, is_token


class StudioIdentity(StrEnum):
    """How people enter. It cannot be changed for a domain that is there."""

    IAM = "IAM"
    """With a role of theirs, by an address that it may ask for."""
    IDENTITY_CENTER = "SSO"
    """With IAM Identity Center, which the organization has to have in the domain's region."""


class NamesInDomain:
    """The names of teams, users and spaces that the constructs of an app have taken in a domain."""

    def __init__(self) -> None:
        self._teams: set[str] = set()
        self._users: dict[str, str] = {}
        self._spaces: dict[str, str] = {}

    def take(
        self, problems: Problems, where: str, *, team: str, users: Iterable[str], spaces: Iterable[str]
    ) -> None:
        """Take names for the team at the path ``where``; what is another's already is a problem.

        Policies know a team by how names begin: that of one must not begin with another's and a hyphen.
        """
        if not is_token(team):
            for other in sorted(self._teams):
                shorter, longer = sorted((team, other), key=len)
                problems.check(
                    not longer.startswith(f"{shorter}-"),
                    given=f"name={team!r} beside the team {other!r}",
                    allowed=f"names that do not begin with {shorter!r} and a hyphen: team {shorter} may stop "
                    f"the jobs of whatever is called {shorter}-*",
                )
            self._teams.add(team)
        for name in sorted({*users}):
            holder = self._users.setdefault(name, where)
            problems.check(
                holder == where,
                given=f"user {name!r}, who is in {holder} too",
                allowed="each user once in a domain, in one team",
            )
        for name in sorted({*spaces}):
            holder = self._spaces.setdefault(name, where)
            problems.check(
                holder == where,
                given=f"space {name!r}, which is in {holder} too",
                allowed="each name once in a domain",
            )
