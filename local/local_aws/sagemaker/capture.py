"""Data capture: what an endpoint was asked and answered, as AWS's JSON lines in S3, in the model's role."""

from __future__ import annotations

import base64
import datetime as dt
import json
import logging
import random
import threading
import uuid
from typing import Any

from botocore.exceptions import BotoCoreError

from local_aws.sagemaker.storage import DataError, JobStorage, Location

_FLUSH_SECONDS = 0.5
_log = logging.getLogger("local_aws.sagemaker")


class Capture:
    """Takes pairs of requests and answers from any thread; writes them in the background."""

    def __init__(self, config: dict[str, Any], endpoint: str, storages: dict[str, JobStorage]) -> None:
        self._config, self._endpoint, self._storages = config, endpoint, storages
        self._modes = {option["CaptureMode"] for option in config["CaptureOptions"]}
        if "InputAndOutput" in self._modes:
            self._modes |= {"Input", "Output"}
        self._lock = threading.Lock()
        self._lines: dict[str, list[str]] = {}
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="data-capture")
        self._thread.start()

    def add(
        self, variant: str, given: tuple[bytes, str], answer: tuple[bytes, str], inference_id: str | None
    ) -> None:
        share = self._config["InitialSamplingPercentage"]
        if not self._config.get("EnableCapture", True) or random.uniform(0, 100) >= share:  # noqa: S311
            return
        captured = {}
        if "Input" in self._modes:
            captured["endpointInput"] = self._side("INPUT", *given)
        if "Output" in self._modes:
            captured["endpointOutput"] = self._side("OUTPUT", *answer)
        now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata = {"eventId": str(uuid.uuid4()), "inferenceTime": now}
        if inference_id:
            metadata["inferenceId"] = inference_id
        line = json.dumps({"captureData": captured, "eventMetadata": metadata, "eventVersion": "0"})
        with self._lock:
            self._lines.setdefault(variant, []).append(line)

    def close(self) -> None:
        self._closed.set()
        self._thread.join(timeout=60)

    def _run(self) -> None:
        while not self._closed.wait(_FLUSH_SECONDS):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        with self._lock:
            batches, self._lines = self._lines, {}
        for variant, lines in batches.items():
            now = dt.datetime.now(dt.UTC)
            name = f"{now:%Y/%m/%d/%H/%M-%S}-{now.microsecond // 1000:03d}-{uuid.uuid4()}.jsonl"
            target = Location.parse(self._config["DestinationS3Uri"]).child(
                f"{self._endpoint}/{variant}/{name}"
            )
            try:
                self._storages[variant].put_bytes(("\n".join(lines) + "\n").encode(), target)
            except (DataError, BotoCoreError) as error:
                # As in AWS: the endpoint goes on, and its log tells.
                _log.warning("Data capture of %s: %s", self._endpoint, error)

    def _side(self, mode: str, body: bytes, content_type: str) -> dict[str, str]:
        kind = content_type.partition(";")[0].strip()
        header = self._config.get("CaptureContentTypeHeader", {})
        data, encoding = body.decode(errors="replace"), ""
        if kind in header.get("JsonContentTypes", ["application/json"]):
            encoding = "JSON"
        elif kind in header.get("CsvContentTypes", ["text/csv"]):
            encoding = "CSV"
        else:
            data, encoding = base64.b64encode(body).decode(), "BASE64"
        return {"observedContentType": content_type, "mode": mode, "data": data, "encoding": encoding}
