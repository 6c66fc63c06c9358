"""Studio's API: domains, profiles, spaces and apps as state, and what a domain makes in a VPC for real.

Nothing runs in an app. What ends, ends in the order that Studio asks for: a space has no apps, a profile no
spaces, a domain neither. An app is `Deleting` for a moment before it is gone.
"""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass
from typing import Any

from local_aws.sagemaker import jobs, studio_homes, validation
from local_aws.sagemaker.errors import ApiError, in_use, invalid
from local_aws.sagemaker.paging import page

DELETING_SECONDS = 0.5
_Request = dict[str, Any]
_Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Kind:
    """What the API calls one of the kinds of things here."""

    member: str
    """As in shapes and lists: ``UserProfile`` has ``UserProfiles`` of ``UserProfileDetails``."""
    name: str
    """The member that tells one from another."""
    words: str

    @property
    def arn(self) -> str:
        return f"{self.member}Arn"


_DOMAIN = _Kind("Domain", "DomainId", "domain")
_USER = _Kind("UserProfile", "UserProfileName", "user profile")
_PLACE = _Kind("Space", "SpaceName", "space")
_APP = _Kind("App", "AppName", "app")

_domains: dict[str, _Item] = {}
_profiles: dict[tuple[str, str], _Item] = {}
_spaces: dict[tuple[str, str], _Item] = {}
_apps: dict[tuple[str, str, str, str], _Item] = {}
_lock = threading.RLock()


def create_domain(request: _Request) -> _Request:
    validation.check("CreateDomain", request)
    with _lock:
        if any(each["DomainName"] == request["DomainName"] for each in _domains.values()):
            raise in_use(f"A domain with the name {request['DomainName']} already exists.")
        number = "d-" + "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(12))
        item = _kept(request) | {
            "DomainId": number,
            "DomainArn": f"{jobs.arn_prefix()}domain/{number}",
            "Url": f"https://{number}.studio.{jobs.region()}.sagemaker.aws",
            "Status": "InService",
            **_times(),
        }
        _domains[number] = item
    if request.get("HomeEfsFileSystemCreation", "Enabled") == "Enabled":
        item["HomeEfsFileSystemId"] = studio_homes.create(item)
    return {"DomainArn": item["DomainArn"], "DomainId": number, "Url": item["Url"]}


def describe_domain(request: _Request) -> _Request:
    validation.check("DescribeDomain", request)
    return _answer("DescribeDomain", _domain(request))


def list_domains(request: _Request) -> _Request:
    validation.check("ListDomains", request)
    return _listed(_domains.values(), request, _DOMAIN)


def update_domain(request: _Request) -> _Request:
    validation.check("UpdateDomain", request)
    item = _domain(request)
    changes = _kept(request)
    if "DomainSettingsForUpdate" in changes:
        changes["DomainSettings"] = changes.pop("DomainSettingsForUpdate")
    item.update(changes | {"LastModifiedTime": time.time()})
    return {"DomainArn": item["DomainArn"]}


def delete_domain(request: _Request) -> _Request:
    validation.check("DeleteDomain", request)
    item = _domain(request)
    with _lock:
        if any(domain == item["DomainId"] for domain, _ in (*_profiles, *_spaces)):
            raise in_use(f"Unable to delete {item['DomainId']}: it has user profiles or spaces.")
        del _domains[item["DomainId"]]
    retained = request.get("RetentionPolicy", {}).get("HomeEfsFileSystem", "Retain") == "Retain"
    if "HomeEfsFileSystemId" in item and not retained:
        studio_homes.delete(item["HomeEfsFileSystemId"])
    return {}


def create_profile(request: _Request) -> _Request:
    validation.check("CreateUserProfile", request)
    domain = _domain(request)
    if (domain["AuthMode"] == "SSO") is not ("SingleSignOnUserValue" in request):
        raise invalid("SingleSignOnUserValue is for domains with AuthMode SSO, and needed there.")
    return _created(_profiles, _USER, request, domain["DomainId"])


def describe_profile(request: _Request) -> _Request:
    validation.check("DescribeUserProfile", request)
    return _answer("DescribeUserProfile", _profile(request))


def list_profiles(request: _Request) -> _Request:
    validation.check("ListUserProfiles", request)
    return _listed(_profiles.values(), request, _USER)


def update_profile(request: _Request) -> _Request:
    validation.check("UpdateUserProfile", request)
    return _updated(_profile(request), _USER, request)


def delete_profile(request: _Request) -> _Request:
    validation.check("DeleteUserProfile", request)
    item = _profile(request)
    domain, name = item["DomainId"], item["UserProfileName"]
    with _lock:
        owned = [n for (d, n), space in list(_spaces.items()) if d == domain and owner(space) == name]
        if owned or any(_in(app, "UserProfileName", name) for app in _running(domain)):
            raise in_use(f"Unable to delete {name}: it has spaces {owned} or apps.")
        del _profiles[domain, name]
    return {}


def create_space(request: _Request) -> _Request:
    validation.check("CreateSpace", request)
    domain = _domain(request)
    if "OwnershipSettings" in request:
        _profile(
            {
                "DomainId": domain["DomainId"],
                "UserProfileName": request["OwnershipSettings"]["OwnerUserProfileName"],
            }
        )
    return _created(_spaces, _PLACE, request, domain["DomainId"])


def describe_space(request: _Request) -> _Request:
    validation.check("DescribeSpace", request)
    return _answer("DescribeSpace", _space(request))


def list_spaces(request: _Request) -> _Request:
    validation.check("ListSpaces", request)
    summaries = [
        space
        | {
            "OwnershipSettingsSummary": space.get("OwnershipSettings", {}),
            "SpaceSharingSettingsSummary": space.get("SpaceSharingSettings", {}),
        }
        for space in list(_spaces.values())
    ]
    return _listed(summaries, request, _PLACE)


def update_space(request: _Request) -> _Request:
    validation.check("UpdateSpace", request)
    return _updated(_space(request), _PLACE, request)


def delete_space(request: _Request) -> _Request:
    validation.check("DeleteSpace", request)
    item = _space(request)
    with _lock:
        if any(_in(app, "SpaceName", item["SpaceName"]) for app in _running(item["DomainId"])):
            raise in_use(f"Unable to delete {item['SpaceName']}: it has apps.")
        del _spaces[item["DomainId"], item["SpaceName"]]
    return {}


def create_app(request: _Request) -> _Request:
    validation.check("CreateApp", request)
    domain = _domain(request)
    _profile(request) if "UserProfileName" in request else _space(request)
    key = _app_key(request)
    with _lock:
        if key in _apps and _status(_apps[key]) != "Deleted":
            raise in_use(f"An app with the name {request['AppName']} already exists.")
        arn = f"{jobs.arn_prefix()}app/{domain['DomainId']}/{'/'.join(key[1:])}".lower()
        _apps[key] = _kept(request) | {"AppArn": arn, "Status": "InService", "CreationTime": time.time()}
    return {"AppArn": arn}


def describe_app(request: _Request) -> _Request:
    validation.check("DescribeApp", request)
    item = _app(request)
    return _answer("DescribeApp", item | {"Status": _status(item)})


def list_apps(request: _Request) -> _Request:
    validation.check("ListApps", request)
    apps = [app | {"Status": _status(app)} for app in list(_apps.values())]
    return _listed(apps, request, _APP)


def delete_app(request: _Request) -> _Request:
    validation.check("DeleteApp", request)
    item = _app(request)
    if _status(item) == "Deleted":
        raise _missing("app")
    item.setdefault("Deleted", time.monotonic() + DELETING_SECONDS)
    return {}


def presigned_url(request: _Request) -> _Request:
    validation.check("CreatePresignedDomainUrl", request)
    domain = _domain(request)
    _profile(request)
    return {"AuthorizedUrl": f"{domain['Url']}/auth?token={secrets.token_urlsafe(24)}"}


def arns() -> set[str]:
    """The ARNs of what is here."""
    with _lock:
        found = {each["DomainArn"] for each in _domains.values()}
        found |= {each["UserProfileArn"] for each in _profiles.values()}
        found |= {each["SpaceArn"] for each in _spaces.values()}
        return found | {each["AppArn"] for each in _apps.values()}


def space_of(domain: str, name: str) -> _Item | None:
    """A space, for the conditions of policies."""
    return _spaces.get((domain, name))


def owner(space: _Item) -> str | None:
    """The name of the user who owns a space."""
    found: str | None = space.get("OwnershipSettings", {}).get("OwnerUserProfileName")
    return found


def _domain(request: _Request) -> _Item:
    item = _domains.get(request["DomainId"])
    if item is None:
        raise _missing("domain")
    return item


def _profile(request: _Request) -> _Item:
    item = _profiles.get((request["DomainId"], request["UserProfileName"]))
    if item is None:
        raise _missing("user profile")
    return item


def _space(request: _Request) -> _Item:
    item = _spaces.get((request["DomainId"], request["SpaceName"]))
    if item is None:
        raise _missing("space")
    return item


def _app(request: _Request) -> _Item:
    item = _apps.get(_app_key(request))
    if item is None:
        raise _missing("app")
    return item


def _app_key(request: _Request) -> tuple[str, str, str, str]:
    place = request.get("SpaceName") or request.get("UserProfileName")
    if place is None:
        raise invalid("SpaceName or UserProfileName must be given.")
    return request["DomainId"], place, request["AppType"], request["AppName"]


def _status(app: _Item) -> str:
    ended = app.get("Deleted")
    if ended is None:
        return str(app["Status"])
    return "Deleted" if time.monotonic() >= ended else "Deleting"


def _running(domain: str) -> list[_Item]:
    return [app for app in list(_apps.values()) if app["DomainId"] == domain and _status(app) != "Deleted"]


def _in(app: _Item, member: str, name: str) -> bool:
    return app.get(member) == name


def _missing(what: str) -> ApiError:
    return ApiError("ResourceNotFound", f"The {what} does not exist.")


def _kept(request: _Request) -> _Item:
    return {name: value for name, value in request.items() if name != "Tags"}


def _times() -> dict[str, float]:
    now = time.time()
    return {"CreationTime": now, "LastModifiedTime": now}


def _answer(operation: str, item: _Item) -> _Request:
    known = validation.members(operation)
    return {name: value for name, value in item.items() if name in known}


def _created(items: dict[tuple[str, str], _Item], kind: _Kind, request: _Request, domain: str) -> _Request:
    """Keep a profile or a space, which have their names in a domain."""
    name = request[kind.name]
    with _lock:
        if (domain, name) in items:
            raise in_use(f"A {kind.words} with the name {name} already exists.")
        arn = f"{jobs.arn_prefix()}{kind.words.replace(' ', '-')}/{domain}/{name.lower()}"
        items[domain, name] = _kept(request) | {kind.arn: arn, "Status": "InService", **_times()}
    return {kind.arn: arn}


def _updated(item: _Item, kind: _Kind, request: _Request) -> _Request:
    item.update(_kept(request) | {"LastModifiedTime": time.time()})
    return {kind.arn: item[kind.arn]}


def _listed(items: Any, request: _Request, kind: _Kind) -> _Request:
    filters = {
        f"{n}Equals": n for n in ("DomainId", "UserProfileName", "SpaceName") if f"{n}Equals" in request
    }
    known = validation.shape_members(f"{kind.member}Details")
    answer = page(
        [{"LastModifiedTime": 0.0} | each for each in items],
        request,
        member=f"{kind.member}s",
        name=kind.name,
        sort={"CreationTime": "CreationTime", "LastModifiedTime": "LastModifiedTime"},
        filters=filters,
        default_order="Ascending",
    )
    answer[f"{kind.member}s"] = [
        {n: v for n, v in each.items() if n in known} for each in answer[f"{kind.member}s"]
    ]
    return answer


OPERATIONS = {
    "CreateDomain": create_domain,
    "DescribeDomain": describe_domain,
    "ListDomains": list_domains,
    "UpdateDomain": update_domain,
    "DeleteDomain": delete_domain,
    "CreateUserProfile": create_profile,
    "DescribeUserProfile": describe_profile,
    "ListUserProfiles": list_profiles,
    "UpdateUserProfile": update_profile,
    "DeleteUserProfile": delete_profile,
    "CreateSpace": create_space,
    "DescribeSpace": describe_space,
    "ListSpaces": list_spaces,
    "UpdateSpace": update_space,
    "DeleteSpace": delete_space,
    "CreateApp": create_app,
    "DescribeApp": describe_app,
    "ListApps": list_apps,
    "DeleteApp": delete_app,
    "CreatePresignedDomainUrl": presigned_url,
}
