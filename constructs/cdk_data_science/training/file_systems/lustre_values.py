"""What FSx for Lustre takes: types, throughputs, sizes, links to zones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cdk_data_science._validation import FOLDER, Problems, is_token, is_whole
from cdk_data_science.data_lake import IZone
from cdk_data_science.training.checks import listed

Deployment = Literal["SCRATCH_2", "PERSISTENT_1", "PERSISTENT_2"]
THROUGHPUTS: dict[str, tuple[int, ...]] = {
    "SCRATCH_2": (),
    "PERSISTENT_1": (50, 100, 200),
    "PERSISTENT_2": (125, 250, 500, 1000),
}
"""MB/s for each TiB of SSD storage that FSx takes; scratch systems have 200, which cannot be chosen."""

SCRATCH_THROUGHPUT = 200
SMALLEST_GIB, _STEP_GIB = 1200, 2400
_MOST_LINKS = 8
_DIRECTORY = re.compile(r"/([A-Za-z0-9_.-]+/?)*")


@dataclass(frozen=True, kw_only=True, slots=True)
class LustreLink:
    """A directory of the file system that shows a prefix of a zone."""

    zone: IZone
    directory: str
    """Where the objects appear, beginning with a slash: ``/train``."""
    prefix: str = ""
    """Folder of the zone, ending in a slash; the whole zone if empty."""
    imports: bool = True
    """Follow new, changed and deleted objects. FSx puts a notification of its own on the zone's bucket."""
    exports: bool = False
    """Write new, changed and deleted files back to the zone."""


def check_sizes(
    problems: Problems, *, deployment: Deployment, capacity_gib: int, throughput: int | None
) -> None:
    problems.check(
        deployment in THROUGHPUTS,
        given=f"deployment={deployment!r}",
        allowed=", ".join(THROUGHPUTS),
        write='deployment="SCRATCH_2"',
    )
    if not is_whole(capacity_gib, 0):
        problems.check(
            is_token(capacity_gib),
            given=f"capacity_gib={capacity_gib!r}",
            allowed=f"{SMALLEST_GIB}, or a multiple of {_STEP_GIB}",
            write=f"capacity_gib={SMALLEST_GIB}",
        )
    elif not is_token(capacity_gib):
        legal = capacity_gib == SMALLEST_GIB or (capacity_gib > 0 and capacity_gib % _STEP_GIB == 0)
        below = max(SMALLEST_GIB, capacity_gib // _STEP_GIB * _STEP_GIB)
        problems.check(
            legal,
            given=f"capacity_gib={capacity_gib}",
            allowed=f"{SMALLEST_GIB}, or a multiple of {_STEP_GIB}",
            write=f"capacity_gib={below} or {(capacity_gib // _STEP_GIB + 1) * _STEP_GIB}",
        )
    if throughput is None or is_token(throughput) or deployment not in THROUGHPUTS:
        return
    legal_values = THROUGHPUTS[deployment]
    problems.check(
        throughput in legal_values,
        given=f"throughput={throughput} for {deployment}",
        allowed=f"{', '.join(map(str, legal_values))} MB/s for each TiB"
        if legal_values
        else "none: scratch systems have 200 MB/s for each TiB",
        write=f"throughput={legal_values[0] if legal_values else None}",
    )


def check_directory(name: str, directory: str, links: Sequence[LustreLink], *, new: bool) -> None:
    """Refuse a channel on a directory that the file system cannot have.

    Args:
        name: Of the channel.
        new: Whether the file system is made for the run, so that it has nothing but its links.

    Raises:
        ConfigurationError: no path, or none that a link shows.
    """
    if is_token(directory):
        return
    problems = Problems(f"Channel {name!r}")
    problems.check(
        directory.startswith("/"),
        given=f"directory={directory!r}",
        allowed="a path that begins with a slash",
        write=f'directory="/{directory}"',
    )
    path = f"{directory.rstrip('/')}/"
    shown = [f"{link.directory.rstrip('/')}/" for link in links if not is_token(link.directory)]
    problems.check(
        not new or not directory.startswith("/") or any(_overlap(path, each) for each in shown),
        given=f"directory={directory!r}",
        allowed=f"what a link shows: {', '.join(each.rstrip('/') or '/' for each in shown)}",
        write=f'directory="{shown[0].rstrip("/") or "/"}"' if shown else None,
    )
    problems.raise_if_any()


def _overlap(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def check_links(problems: Problems, links: Sequence[LustreLink]) -> list[LustreLink]:
    """Report links that FSx would refuse; the links, none if they are no list."""
    links = listed(problems, "links", links, write='[LustreLink(zone=zone, directory="/train")]')
    for link in links:
        problems.check_kind(
            "links with", link, LustreLink, write='links=[LustreLink(zone=zone, directory="/train")]'
        )
    links = [link for link in links if isinstance(link, LustreLink)]
    problems.check(len(links) <= _MOST_LINKS, given=f"{len(links)} links", allowed=f"at most {_MOST_LINKS}")
    for link in links:
        problems.check(
            is_token(link.directory) or _DIRECTORY.fullmatch(link.directory) is not None,
            given=f"directory={link.directory!r}",
            allowed="a path that begins with a slash",
            write=f'directory="/{link.directory.strip("/")}"',
        )
        problems.check(
            not link.prefix or is_token(link.prefix) or FOLDER.fullmatch(link.prefix) is not None,
            given=f"prefix={link.prefix!r}",
            allowed="a folder of the zone, ending in a slash, or nothing for the whole zone",
            write=f'prefix="{link.prefix.strip("/")}/"',
        )
    paths = [f"{link.directory.rstrip('/')}/" for link in links if not is_token(link.directory)]
    for number, path in enumerate(paths):
        for other in paths[:number]:
            problems.check(
                not _overlap(path, other),
                given=f"directories {other!r} and {path!r}",
                allowed="directories that do not contain each other",
            )
    return links
