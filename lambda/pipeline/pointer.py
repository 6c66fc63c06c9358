"""`current.json`: the model that was promoted last, and the data that it was trained on.

Versions without a model of their own follow it, and a model of older data does not replace it unasked.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import objects
from botocore.exceptions import ClientError
from clients import s3
from errors import InvalidConfiguration, InvalidData, OlderData
from events import DeployEvent, Model, S3Object, UploadedData

_NAME = "current.json"


def write(event: DeployEvent, version: str) -> S3Object:
    """Let the pointer name this deployment's model."""
    pointed: dict[str, Any] = {
        "bucket": event["model"]["bucket"],
        "key": event["model"]["key"],
        "sha256": event["sha256"],
        "version": version,
        "run": event["run"],
    }
    data, uploaded = event.get("data"), event.get("uploaded")
    if data and uploaded:
        pointed["data"] = {**data, "uploaded": uploaded}
    return objects.put_json(_place(event), pointed)


def restore(event: DeployEvent) -> bool:
    """If the pointer names the model that is taken back, let it name the one before, or delete it where there
    was none; say whether it did."""
    if "pointer" not in event:
        return False
    place = _place(event)
    if _read(place).get("sha256") != event["sha256"]:
        return False
    before, start = event.get("previous_model"), event.get("previous")
    if before is None or start is None:
        if before is not None or start is not None:
            return False
        objects.delete(place)
        return True
    data = event.get("previous_data")
    pointed = {**before, "version": start, "run": event["run"]}
    objects.put_json(place, {**pointed, "data": data} if data else pointed)
    return True


def data_of(event: DeployEvent, model: Model | None) -> UploadedData | None:
    """The data that a model was trained on, if the pointer names this model and says so."""
    if model is None or "pointer" not in event:
        return None
    pointed = _read(_place(event))
    if pointed.get("sha256") != model["sha256"]:
        return None
    data: UploadedData | None = pointed.get("data")
    return data


def upload_time(event: DeployEvent) -> str | None:
    """When this deployment's data was uploaded; nothing if the event does not name the data.

    Raises:
        InvalidData: it is not there any more.
    """
    data = event.get("data")
    if not data:
        return None
    place: dict[str, Any] = {"Bucket": data["bucket"], "Key": data["key"]}
    version: dict[str, Any] = {"VersionId": data["versionId"]} if data.get("versionId") else {}
    try:
        if version and not event.get("allow_older_data"):
            # What is deleted is withdrawn, though the bucket keeps its versions.
            s3().head_object(**place)
        uploaded = s3().head_object(**place, **version)["LastModified"]
    except ClientError as error:
        if objects.is_missing(error):
            raise InvalidData(
                f"{objects.uri(data)} is not there any more: a model of withdrawn data is not deployed"
            ) from error
        raise
    return uploaded.isoformat()


def refuse_older_data(event: DeployEvent, uploaded: str | None, live: UploadedData | None) -> None:
    """Refuse a model that was trained on data from before those of the model that is live.

    Raises:
        OlderData: unless `allow_older_data` says that it is meant.
    """
    data = event.get("data")
    if not data or not uploaded or not live or event.get("allow_older_data"):
        return
    if datetime.fromisoformat(live["uploaded"]) > datetime.fromisoformat(uploaded):
        raise OlderData(
            f"the model was trained on {objects.uri(data)}, uploaded at {uploaded}; the one that is live on "
            f"{objects.uri(live)}, uploaded at {live['uploaded']}. If the older data is meant, start the run "
            'with "allowOlderData": true in its input'
        )


def _place(event: DeployEvent) -> S3Object:
    pointer = event.get("pointer")
    if pointer is None:
        raise InvalidConfiguration("pointer is needed: the prefix of current.json in the models bucket")
    return pointer if pointer["key"].endswith(".json") else objects.under(pointer, _NAME)


def _read(place: S3Object) -> dict[str, Any]:
    pointed = objects.get_json(place)
    return pointed if isinstance(pointed, dict) else {}
