"""The end of a user's work and of a whole domain, one step at a time.

Each step looks at what there is, asks for what can end now, and tells what has to be waited for. Nothing is
remembered between steps, so that a step can be taken again at any time, by anybody, in any order.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import network
from botocore.exceptions import ClientError

logger = logging.getLogger(__name__)

_GONE = ("ResourceNotFound", "ResourceNotFoundException")
_BUSY = ("ResourceInUse", "ResourceInUseException", "ConflictException")
_SHOWN = 10


class RefusedError(Exception):
    """What was asked for would lose something that nobody allowed to lose."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Clients:
    """The services that are asked."""

    sagemaker: Any
    efs: Any
    ec2: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """What is to end."""

    domain: str
    destroy: bool
    """Whether files may be lost: those of spaces, and the home file system."""
    user: str | None = None
    """The user whose apps and spaces end. None: the domain with all that is in it."""
    file_system: str | None = None
    vpc: str | None = None


def end_user(clients: Clients, target: Target) -> list[str]:
    """Take a step towards the end of a user's apps and spaces; what is waited for, nothing when all is done.

    Raises:
        RefusedError: the apps have ended, and there are spaces whose files may not be lost.
    """
    spaces = [space for space in _spaces(clients, target.domain) if _owner(space) == target.user]
    waiting = _end_apps(clients, _apps_of_user(clients, target, spaces))
    return waiting or _end_spaces(clients, target, spaces)


def end_domain(clients: Clients, target: Target) -> list[str]:
    """Take a step towards the end of a domain: apps, spaces, profiles, the domain, its files, its network.

    Raises:
        RefusedError: the apps have ended, and there are spaces whose files may not be lost.
    """
    waiting = (
        _end_apps(clients, _pages(clients.sagemaker, "list_apps", "Apps", DomainIdEquals=target.domain))
        or _end_spaces(clients, target, list(_spaces(clients, target.domain)))
        or _end_profiles(clients, target.domain)
        or _delete_domain(clients, target)
    )
    if waiting:
        return waiting
    if target.file_system:
        waiting = network.end_file_system(clients.efs, target.file_system, destroy=target.destroy)
    return waiting or network.end_interfaces_and_groups(clients.ec2, target.domain, target.vpc)


def _apps_of_user(clients: Clients, target: Target, spaces: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    where = {"DomainIdEquals": target.domain}
    yield from _pages(clients.sagemaker, "list_apps", "Apps", **where, UserProfileNameEquals=target.user)
    for space in spaces:
        yield from _pages(clients.sagemaker, "list_apps", "Apps", **where, SpaceNameEquals=space["SpaceName"])


def _end_apps(clients: Clients, apps: Iterator[dict[str, Any]]) -> list[str]:
    waiting = []
    for app in apps:
        if app["Status"] == "Deleted":  # listed for a day more
            continue
        place = "SpaceName" if app.get("SpaceName") else "UserProfileName"
        waiting.append(f"app {app['AppType']}/{app['AppName']} of {app[place]} ({app['Status']})")
        if app["Status"] in ("InService", "Failed"):
            _ask(
                clients.sagemaker.delete_app,
                DomainId=app["DomainId"],
                AppType=app["AppType"],
                AppName=app["AppName"],
                **{place: app[place]},
            )
    return waiting


def _end_spaces(clients: Clients, target: Target, spaces: list[dict[str, Any]]) -> list[str]:
    if spaces and not target.destroy:
        names = [space["SpaceName"] for space in spaces]
        shown = ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
        whose = f"user {target.user}" if target.user else f"domain {target.domain}"
        raise RefusedError(
            f"The apps of {whose} have ended, but {len(names)} spaces have files that would be lost: "
            f"{shown}. Delete these spaces, or deploy with destroy=True and the context key "
            "cdk-data-science:destroyData once before this."
        )
    for space in spaces:
        if space["Status"] != "Deleting":
            _ask(clients.sagemaker.delete_space, DomainId=target.domain, SpaceName=space["SpaceName"])
    return [f"space {space['SpaceName']} ({space['Status']})" for space in spaces]


def _end_profiles(clients: Clients, domain: str) -> list[str]:
    profiles = list(_pages(clients.sagemaker, "list_user_profiles", "UserProfiles", DomainIdEquals=domain))
    for profile in profiles:
        if profile["Status"] != "Deleting":
            name = profile["UserProfileName"]
            _ask(clients.sagemaker.delete_user_profile, DomainId=domain, UserProfileName=name)
    return [f"profile {profile['UserProfileName']} ({profile['Status']})" for profile in profiles]


def _delete_domain(clients: Clients, target: Target) -> list[str]:
    try:
        domain = clients.sagemaker.describe_domain(DomainId=target.domain)
    except ClientError as error:
        if _code(error) in _GONE:
            return []
        raise
    if domain["Status"] != "Deleting":
        if domain.get("FailureReason"):
            logger.warning("%s: %s", target.domain, domain["FailureReason"])
        retention = {"HomeEfsFileSystem": "Delete" if target.destroy else "Retain"}
        _ask(clients.sagemaker.delete_domain, DomainId=target.domain, RetentionPolicy=retention)
    return [f"domain {target.domain} ({domain['Status']})"]


def _spaces(clients: Clients, domain: str) -> Iterator[dict[str, Any]]:
    yield from _pages(clients.sagemaker, "list_spaces", "Spaces", DomainIdEquals=domain)


def _owner(space: dict[str, Any]) -> str | None:
    owner: str | None = space.get("OwnershipSettingsSummary", {}).get("OwnerUserProfileName")
    return owner


def _pages(client: Any, operation: str, member: str, **given: Any) -> Iterator[dict[str, Any]]:
    """Every item of a list. A domain that is gone has none."""
    try:
        for page in client.get_paginator(operation).paginate(**given, PaginationConfig={"PageSize": 100}):
            yield from page[member]
    except ClientError as error:
        if _code(error) not in _GONE:
            raise


def _ask(operation: Callable[..., Any], **given: Any) -> None:
    """Ask for an end. What is gone already is fine, and what is busy is asked again with the next step."""
    try:
        operation(**given)
    except ClientError as error:
        if _code(error) in _BUSY:
            logger.info("not yet: %s", error)
        elif _code(error) not in _GONE:
            raise


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])
