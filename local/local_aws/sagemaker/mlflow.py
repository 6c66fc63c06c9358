"""MLflow apps and tracking servers: what SageMaker keeps of them, and where jobs find this machine's MLflow.

State: apps and servers, with their names, roles and versions. Runs: the variable ``MLFLOW_TRACKING_URI`` of a
job that names one of them leads to the MLflow that ``local-aws up --mlflow`` started; where none was started,
the job does not get the variable, and its log says so. Signed addresses lead to its page, too. Not there:
authentication and permissions of MLflow's own calls, which go past the emulator.
"""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from local_aws import context
from local_aws.sagemaker import jobs, validation
from local_aws.sagemaker.errors import in_use, not_found
from local_aws.sagemaker.paging import page

VARIABLE = "MLFLOW_TRACKING_URI"
_ARN = re.compile(r"arn:aws[a-z-]*:sagemaker:[^:]*:\d{12}:mlflow-(app|tracking-server)/.+")
_VERSION = "3.0"
_lock = threading.Lock()
_apps: dict[str, dict[str, Any]] = {}
_servers: dict[str, dict[str, Any]] = {}


def page_url() -> str | None:
    """Where the MLflow of this machine is; None where it was not started."""
    return context.settings().mlflow_url


def translate(given: Mapping[str, str], say: Callable[[str], None]) -> dict[str, str]:
    """A job's variables, in which this machine's MLflow stands for SageMaker's."""
    uri = given.get(VARIABLE, "")
    if not _ARN.fullmatch(uri):
        return dict(given)
    url = page_url()
    if url is not None:
        return {**given, VARIABLE: url}
    say(f"{VARIABLE} is left out: no MLflow runs here. To have one: local-aws up --mlflow")
    return {name: value for name, value in given.items() if name != VARIABLE}


def create_app(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("CreateMlflowApp", request)
    arn = f"{jobs.arn_prefix()}mlflow-app/app-{uuid.uuid4().hex[:12].upper()}"
    defaults = {"ModelRegistrationMode": "AutoModelRegistrationDisabled", "AccountDefaultStatus": "DISABLED"}
    with _lock:
        if any(app["Name"] == request["Name"] for app in _apps.values()):
            raise in_use(f"An MLflow App named {request['Name']} exists already.")
        _apps[arn] = {"Arn": arn, "Status": "Created", **defaults, **_kept(request)}
    return {"Arn": arn}


def describe_app(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("DescribeMlflowApp", request)
    return _found(_apps, request["Arn"])


def list_apps(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("ListMlflowApps", request)
    names = ("Arn", "Name", "Status", "CreationTime", "LastModifiedTime", "MlflowVersion")
    with _lock:
        items = [{name: app[name] for name in names} for app in _apps.values()]
    return page(items, request, member="Summaries", name="Name", sort={"Name": "Name", **_BY_TIME})


def update_app(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("UpdateMlflowApp", request)
    app = _found(_apps, request["Arn"])
    with _lock:
        app.update({name: value for name, value in request.items() if name != "Arn"})
        app.update(Status="Updated", LastModifiedTime=time.time())
    return {"Arn": app["Arn"]}


def delete_app(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("DeleteMlflowApp", request)
    arn = _found(_apps, request["Arn"])["Arn"]
    with _lock:
        del _apps[arn]
    return {"Arn": arn}


def open_app(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("CreatePresignedMlflowAppUrl", request)
    return _opened(_found(_apps, request["Arn"]))


def create_server(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("CreateMlflowTrackingServer", request)
    name = request["TrackingServerName"]
    arn = f"{jobs.arn_prefix()}mlflow-tracking-server/{name}"
    defaults = {"TrackingServerSize": "Small", "AutomaticModelRegistration": False, "IsActive": "Active"}
    with _lock:
        if name in _servers:
            raise in_use(f"A tracking server named {name} exists already.")
        _servers[name] = {
            "TrackingServerArn": arn,
            "TrackingServerStatus": "Created",
            **defaults,
            **_kept(request),
        }
    return {"TrackingServerArn": arn}


def describe_server(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("DescribeMlflowTrackingServer", request)
    server = _found(_servers, request["TrackingServerName"])
    url = page_url()
    return server if url is None else {**server, "TrackingServerUrl": url}


def list_servers(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("ListMlflowTrackingServers", request)
    names = ("TrackingServerArn", "TrackingServerName", "TrackingServerStatus", "IsActive", "MlflowVersion")
    times = ("CreationTime", "LastModifiedTime")
    with _lock:
        items = [{name: server[name] for name in (*names, *times)} for server in _servers.values()]
    return page(
        items,
        request,
        member="TrackingServerSummaries",
        name="TrackingServerName",
        sort={"Name": "TrackingServerName", "Status": "TrackingServerStatus", **_BY_TIME},
    )


def update_server(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("UpdateMlflowTrackingServer", request)
    return _changed(request, "Updated", **request)


def start_server(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("StartMlflowTrackingServer", request)
    return _changed(request, "Started", IsActive="Active")


def stop_server(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("StopMlflowTrackingServer", request)
    return _changed(request, "Stopped", IsActive="Inactive")


def delete_server(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("DeleteMlflowTrackingServer", request)
    server = _found(_servers, request["TrackingServerName"])
    with _lock:
        del _servers[server["TrackingServerName"]]
    return {"TrackingServerArn": server["TrackingServerArn"]}


def open_server(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("CreatePresignedMlflowTrackingServerUrl", request)
    return _opened(_found(_servers, request["TrackingServerName"]))


def arns() -> set[str]:
    return set(_apps) | {str(server["TrackingServerArn"]) for server in list(_servers.values())}


OPERATIONS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "CreateMlflowApp": create_app,
    "DescribeMlflowApp": describe_app,
    "ListMlflowApps": list_apps,
    "UpdateMlflowApp": update_app,
    "DeleteMlflowApp": delete_app,
    "CreatePresignedMlflowAppUrl": open_app,
    "CreateMlflowTrackingServer": create_server,
    "DescribeMlflowTrackingServer": describe_server,
    "ListMlflowTrackingServers": list_servers,
    "UpdateMlflowTrackingServer": update_server,
    "StartMlflowTrackingServer": start_server,
    "StopMlflowTrackingServer": stop_server,
    "DeleteMlflowTrackingServer": delete_server,
    "CreatePresignedMlflowTrackingServerUrl": open_server,
}
_BY_TIME = {"CreationTime": "CreationTime"}


def _kept(request: dict[str, Any]) -> dict[str, Any]:
    now = time.time()
    times = {"CreationTime": now, "LastModifiedTime": now}
    given = {name: value for name, value in request.items() if name != "Tags"}
    return {"MlflowVersion": _VERSION, **times, **given}


def _found(store: dict[str, dict[str, Any]], key: str) -> dict[str, Any]:
    with _lock:
        item = store.get(key)
    if item is None:
        raise not_found()
    return item


def _changed(request: dict[str, Any], status: str, **values: Any) -> dict[str, Any]:
    server = _found(_servers, request["TrackingServerName"])
    with _lock:
        server.update(values, TrackingServerStatus=status, LastModifiedTime=time.time())
    return {"TrackingServerArn": server["TrackingServerArn"]}


def _opened(_: dict[str, Any]) -> dict[str, Any]:
    url = page_url()
    if url is None:
        raise not_found("No MLflow runs here: start one with local-aws up --mlflow.")
    return {"AuthorizedUrl": url}
