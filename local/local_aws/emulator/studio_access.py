"""Who a person in Studio is, and whose place a request is about, for the policies that decide.

Studio gives the sessions of its user interface and of apps the user's domain and name, and the name as their
source identity.
"""

from __future__ import annotations

import json
from typing import Any


def install() -> None:
    from ministack.core import iam_actions, iam_evaluator

    principal_keys, request_tags = iam_evaluator._principal_keys, iam_actions.request_tag_context
    resource_arn = iam_actions.extract_resource_arn

    def with_studio(credential: Any) -> dict[str, Any]:
        from ministack.services import sts

        found: dict[str, Any] = principal_keys(credential)
        session = sts._sessions.get(credential.access_key_id) or {}
        keys: dict[str, Any] = session.get("StudioKeys", {})
        return found | keys

    def conditions(service: str, iam_action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = request_tags(service, iam_action, body, params)
        return found | of_place(iam_action, _parsed(body)) if service == "sagemaker" else found

    def resource(
        service: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query_params: dict[str, Any],
        region: str,
        account_id: str,
    ) -> str:
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        place = place_arn(operation, _parsed(body), region, account_id) if service == "sagemaker" else None
        if place is not None:
            return place
        return str(resource_arn(service, method, path, headers, body, query_params, region, account_id))

    iam_evaluator._principal_keys = with_studio
    iam_actions.request_tag_context = conditions
    iam_actions.extract_resource_arn = resource


def session_keys(domain: str, user: str) -> dict[str, str]:
    """What a session of a user carries, by the names of the condition keys in lower case."""
    return {
        "aws:sourceidentity": user,
        "sagemaker:domainid": domain,
        "sagemaker:userprofilename": user,
    }


def place_arn(operation: str, request: dict[str, Any], region: str, account: str) -> str | None:
    """The profile, space, app or domain that a request of Studio is about; None if it is about none."""
    domain = request.get("DomainId")
    if not isinstance(domain, str):
        return None
    prefix = f"arn:aws:sagemaker:{region}:{account}"
    if operation.endswith("App"):
        place = request.get("SpaceName") or request.get("UserProfileName")
        name = "/".join(str(part) for part in (place, request.get("AppType"), request.get("AppName")))
        return f"{prefix}:app/{domain}/{name.lower()}"
    if operation.endswith("Space"):
        return f"{prefix}:space/{domain}/{str(request.get('SpaceName')).lower()}"
    if "UserProfileName" in request:
        return f"{prefix}:user-profile/{domain}/{str(request['UserProfileName']).lower()}"
    return f"{prefix}:domain/{domain}"


def of_place(action: str, request: dict[str, Any]) -> dict[str, Any]:
    """The owner and the sharing of the space that a request is about."""
    from local_aws.sagemaker import jobs, studio

    domain, name = request.get("DomainId"), request.get("SpaceName")
    if not isinstance(domain, str) or not isinstance(name, str):
        return {}
    space = request if action == "sagemaker:CreateSpace" else studio.space_of(domain, name)
    if space is None:
        return {}
    owner, sharing = studio.owner(space), space.get("SpaceSharingSettings", {}).get("SharingType")
    found = {"sagemaker:SpaceSharingType": sharing}
    if owner is not None:
        found["sagemaker:OwnerUserProfileArn"] = f"{jobs.arn_prefix()}user-profile/{domain}/{owner.lower()}"
    return {key: value for key, value in found.items() if value}


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
