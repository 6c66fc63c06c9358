"""The folders of a shared file system: whose they are, and what EFS takes of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cdk_data_science._validation import Problems, is_token

AGES = (1, 7, 14, 30, 60, 90, 180, 270, 365)
"""Days after which EFS moves a file that nobody opened."""

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,30}[a-z0-9])?")
_PERMISSIONS = re.compile(r"[0-7]{3,4}")
_LARGEST_ID = 2**32 - 1
_MOST_GROUPS = 16
_ROOT = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedFolder:
    """A folder at the top of the file system, for a team, with an access point of its own.

    Whoever comes through the access point sees the folder as the root, and is this user, whatever user the
    program runs as.
    """

    name: str
    """Of the folder and of the access point: 1 to 32 lower-case letters, digits, hyphens and underscores."""
    uid: int
    """POSIX user that files are made as, 1 to 4294967295; 0 would be root."""
    gid: int
    """POSIX group, 1 to 4294967295."""
    permissions: str = "0750"
    """Of the folder when EFS makes it: owner, group and others. Training channels need ``0755``."""
    secondary_gids: Sequence[int] = ()
    """At most 16 further groups, to reach what other teams share with a group."""

    @property
    def path(self) -> str:
        """Where it lies in the file system."""
        return f"/{self.name}"

    @property
    def open_to_others(self) -> bool:
        """Whether users that are neither the owner nor of the group may list and read it."""
        return int(self.permissions[-1]) & 5 == 5

    def check(self, problems: Problems) -> None:
        """Report what EFS would refuse, and root."""
        given = f"folder {self.name!r}"
        problems.check(
            is_token(self.name) or _NAME.fullmatch(self.name) is not None,
            given=given,
            allowed="1 to 32 lower-case letters, digits, hyphens and underscores, the ends no hyphen",
            write='name="reviews"',
        )
        for what, number in (
            ("uid", self.uid),
            ("gid", self.gid),
            *(("gid", g) for g in self.secondary_gids),
        ):
            problems.check(
                is_token(number) or _ROOT < number <= _LARGEST_ID,
                given=f"{given} with {what}={number}",
                allowed=f"1 to {_LARGEST_ID}: nobody is root of a shared file system",
                write=f"{what}=1100",
            )
        problems.check(
            len(self.secondary_gids) <= _MOST_GROUPS,
            given=f"{given} with {len(self.secondary_gids)} secondary_gids",
            allowed=f"at most {_MOST_GROUPS}",
        )
        problems.check(
            _PERMISSIONS.fullmatch(self.permissions) is not None,
            given=f"{given} with permissions={self.permissions!r}",
            allowed="three or four octal digits",
            write='permissions="0750"',
        )


def check_folders(problems: Problems, folders: Sequence[SharedFolder]) -> None:
    """Report folders that cannot be made, and names that are there twice."""
    problems.check(
        bool(folders),
        given="no folders",
        allowed="one or more: nobody reaches the file system but through a folder's access point",
        write='folders=[SharedFolder(name="reviews", uid=1100, gid=1100)]',
    )
    seen: set[str] = set()
    for folder in folders:
        folder.check(problems)
        problems.check(
            folder.name not in seen, given=f"folder {folder.name!r} twice", allowed="each name once"
        )
        seen.add(folder.name)


def check_ages(
    problems: Problems, *, cold_after: int | None, archive_after: int | None, elastic: bool
) -> None:
    """Report ages that EFS does not know."""
    ages = ", ".join(map(str, AGES))
    for name, days in (("infrequent_after_days", cold_after), ("archive_after_days", archive_after)):
        problems.check(
            days is None or days in AGES,
            given=f"{name}={days}",
            allowed=f"{ages} days, or None for never",
            write=f"{name}=30",
        )
    problems.check(
        archive_after is None or cold_after is None or archive_after > cold_after,
        given=f"archive_after_days={archive_after} with infrequent_after_days={cold_after}",
        allowed="files are archived later than they become infrequent",
        write="archive_after_days=90",
    )
    problems.check(
        archive_after is None or elastic,
        given='archive_after_days with throughput="bursting"',
        allowed="an archive with elastic throughput: EFS has none for bursting file systems",
        write='throughput="elastic"',
    )
