"""Endpoints: each variant a served model; updates that swap when the new one answers; invocations.

Runs: creation and update in the background, roll-back where the new configuration does not start, variants by
weight, target variants, changed weights, data capture, asynchronous requests, events, logs. State: instance
counts, autoscaling, deployment policies, endpoints whose instances are for components. Not there: multi-model
and streaming endpoints, shadow variants, the components themselves.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from local_aws.emulator import trust
from local_aws.sagemaker import environments, events, hosting, jobs, validation
from local_aws.sagemaker.capture import Capture
from local_aws.sagemaker.errors import invalid, not_found
from local_aws.sagemaker.paging import page
from local_aws.sagemaker.queues import Queue
from local_aws.sagemaker.serving import Gone, Served, ServingError
from local_aws.sagemaker.storage import DataError

_log = logging.getLogger("local_aws.sagemaker")


@dataclass
class Fleet:
    """What serves one endpoint configuration."""

    config: dict[str, Any]
    served: dict[str, Served] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    capture: Capture | None = None
    queue: Queue | None = None

    def end(self) -> None:
        if self.queue is not None:
            self.queue.end()
        for model in self.served.values():
            model.end()
        if self.capture is not None:  # last: it takes what the models have still answered
            self.capture.close()


class Endpoint:
    """One endpoint: its state, and the fleet that answers now."""

    def __init__(self, name: str, arn: str, config_name: str) -> None:
        self.name, self.arn, self.config_name = name, arn, config_name
        self.created = self.modified = time.time()
        self.status = "Creating"
        self.failure: str | None = None
        self.fleet: Fleet | None = None
        self.deleted = threading.Event()
        self.changing = threading.Lock()

    def enter(self, status: str) -> None:
        self.status, self.modified = status, time.time()
        events.send("SageMaker Endpoint State Change", self.arn, self.describe())

    def describe(self) -> dict[str, Any]:
        status = self.status  # first: who sees that it is in service sees with which configuration
        description: dict[str, Any] = {
            "EndpointName": self.name,
            "EndpointArn": self.arn,
            "EndpointConfigName": self.config_name,
            "EndpointStatus": status,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
        }
        if self.failure:
            description["FailureReason"] = self.failure
        fleet = self.fleet
        if fleet is not None:
            variants = fleet.config["ProductionVariants"]
            description["ProductionVariants"] = [_variant(v, fleet.weights) for v in variants]
            captured = fleet.config.get("DataCaptureConfig")
            if captured:
                description["DataCaptureConfig"] = {
                    "EnableCapture": captured.get("EnableCapture", True),
                    "CaptureStatus": "Started" if captured.get("EnableCapture", True) else "Stopped",
                    "CurrentSamplingPercentage": captured["InitialSamplingPercentage"],
                    "DestinationS3Uri": captured["DestinationS3Uri"],
                    "KmsKeyId": captured.get("KmsKeyId", ""),
                }
        return description

    @contextlib.contextmanager
    def call(self, target: str | None) -> Iterator[tuple[Fleet, str, Served]]:
        """The fleet and the variant that answer a call, which are there until it is answered."""
        with contextlib.ExitStack() as stack:
            while True:
                fleet, variant, served = self.choose(target)
                try:
                    stack.enter_context(served.call())
                    break
                except Gone:
                    continue  # another fleet has taken over between the choice and the call
            yield fleet, variant, served

    def choose(self, target: str | None) -> tuple[Fleet, str, Served]:
        """The variant that answers a call: the one that it names, or one by weight; and its fleet."""
        fleet = self.fleet
        if fleet is None or self.status not in ("InService", "Updating", "RollingBack"):
            raise invalid(f"Endpoint {self.name} of account is not in service: it is {self.status}.")
        if target is not None:
            if target not in fleet.served:
                raise invalid(f"Variant {target} not found in endpoint {self.name}.")
            return fleet, target, fleet.served[target]
        if not fleet.served:
            raise invalid(f"Endpoint {self.name} has no model: components of endpoints do not run here.")
        names = list(fleet.weights)
        weights = [fleet.weights[name] for name in names]
        if not any(weights):
            raise invalid(f"Endpoint {self.name} has no variant with a weight above 0.")
        (name,) = random.choices(names, weights)  # noqa: S311 - traffic shares, not secrets
        return fleet, name, fleet.served[name]


_endpoints: dict[tuple[str, str], Endpoint] = {}
_lock = threading.Lock()


def create(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("CreateEndpoint", request)
    name = request["EndpointName"]
    config = dict(hosting.CONFIGS.find(request["EndpointConfigName"]))
    arn = f"{jobs.arn_prefix()}endpoint/{name.lower()}"
    with _lock:
        if (jobs.region(), name) in _endpoints:
            raise invalid(f'Cannot create already existing endpoint "{arn}".')
        endpoint = Endpoint(name, arn, request["EndpointConfigName"])
        _endpoints[jobs.region(), name] = endpoint
    endpoint.enter("Creating")
    _in_background(endpoint, config)
    return {"EndpointArn": arn}


def update(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("UpdateEndpoint", request)
    endpoint = find(request["EndpointName"])
    config = dict(hosting.CONFIGS.find(request["EndpointConfigName"]))
    _refuse_unless(endpoint, "InService", "Failed")
    if request.get("RetainAllVariantProperties") and endpoint.fleet is not None:
        kept = endpoint.fleet.weights
        config["ProductionVariants"] = [
            variant | {"InitialVariantWeight": kept.get(variant["VariantName"], _weight(variant))}
            for variant in config["ProductionVariants"]
        ]
    endpoint.failure = None
    endpoint.enter("Updating")
    _in_background(endpoint, config)
    return {"EndpointArn": endpoint.arn}


def update_weights(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("UpdateEndpointWeightsAndCapacities", request)
    endpoint = find(request["EndpointName"])
    _refuse_unless(endpoint, "InService")
    fleet = endpoint.fleet
    assert fleet is not None  # it is in service
    for desired in request["DesiredWeightsAndCapacities"]:
        if desired["VariantName"] not in fleet.weights:
            raise invalid(f"Variant {desired['VariantName']} not found in endpoint {endpoint.name}.")
        if "DesiredWeight" in desired:
            fleet.weights[desired["VariantName"]] = float(desired["DesiredWeight"])
    endpoint.enter("InService")
    return {"EndpointArn": endpoint.arn}


def describe(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("DescribeEndpoint", request)
    return find(request["EndpointName"]).describe()


def list_endpoints(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("ListEndpoints", request)
    wanted = ("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus")
    with _lock:
        found = [e.describe() for (where, _), e in _endpoints.items() if where == jobs.region()]
    return page(
        [{member: item[member] for member in wanted} for item in found],
        request,
        member="Endpoints",
        name="EndpointName",
        filters={"StatusEquals": "EndpointStatus"},
        sort={"Name": "EndpointName", "CreationTime": "CreationTime", "Status": "EndpointStatus"},
    )


def delete(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("DeleteEndpoint", request)
    endpoint = find(request["EndpointName"])
    endpoint.deleted.set()
    with _lock:
        _endpoints.pop((jobs.region(), endpoint.name), None)
    endpoint.enter("Deleting")
    fleet, endpoint.fleet = endpoint.fleet, None
    if fleet is not None:
        fleet.end()
    return {}


def find(name: str) -> Endpoint:
    endpoint = _endpoints.get((jobs.region(), name))
    if endpoint is None:
        raise not_found(f'Could not find endpoint "{jobs.arn_prefix()}endpoint/{name.lower()}".')
    return endpoint


def arns() -> set[str]:
    with _lock:
        return {endpoint.arn for endpoint in _endpoints.values()}


def count() -> int:
    return len(_endpoints)


def _in_background(endpoint: Endpoint, config: dict[str, Any]) -> None:
    ctx = contextvars.copy_context()
    name = f"endpoint-{endpoint.name}"
    threading.Thread(target=ctx.run, args=(_change, endpoint, config), daemon=True, name=name).start()


def _change(endpoint: Endpoint, config: dict[str, Any]) -> None:
    """Start the new fleet; it takes over when it answers, and where it does not, the old one stays."""
    fleet = Fleet(config)
    with endpoint.changing:
        try:
            _start(fleet, endpoint)
        except Exception as error:  # noqa: BLE001
            if not isinstance(error, (ServingError, DataError, trust.NotTrusted, environments.InstallError)):
                _log.exception("Endpoint %s did not start by an error of the emulator", endpoint.name)
            fleet.end()
            endpoint.failure = str(error)[:1024]
            if not endpoint.deleted.is_set():
                endpoint.enter("Failed" if endpoint.fleet is None else "InService")
            return
        old, endpoint.fleet = endpoint.fleet, fleet
        endpoint.config_name = config["EndpointConfigName"]
        if endpoint.deleted.is_set():
            fleet.end()
        else:
            endpoint.enter("InService")
        if old is not None:
            old.end()


def _start(fleet: Fleet, endpoint: Endpoint) -> None:
    for variant in fleet.config["ProductionVariants"]:
        name = variant["VariantName"]
        if "ModelName" not in variant:  # instances for components, which do not run here
            continue
        with contextlib.ExitStack() as stack:
            model = hosting.MODELS.find(variant["ModelName"])
            served = Served(
                model, f"/aws/sagemaker/Endpoints/{endpoint.name}", f"{name}/i-{int(time.time())}"
            )
            stack.callback(served.end)
            served.start(endpoint.deleted)
            stack.pop_all()
        fleet.served[name] = served
        fleet.weights[name] = _weight(variant)
    if "AsyncInferenceConfig" in fleet.config:
        fleet.queue = Queue(fleet.config["AsyncInferenceConfig"], endpoint.name)
    captured = fleet.config.get("DataCaptureConfig")
    if captured:
        key = captured.get("KmsKeyId")
        storages = {name: served.storage(key) for name, served in fleet.served.items()}
        fleet.capture = Capture(captured, endpoint.name, storages)


def _variant(variant: dict[str, Any], weights: dict[str, float]) -> dict[str, Any]:
    weight = weights.get(variant["VariantName"], 0.0)
    shown = {"VariantName": variant["VariantName"], "CurrentWeight": weight, "DesiredWeight": weight}
    if "ServerlessConfig" in variant:
        serverless = variant["ServerlessConfig"]
        return shown | {"CurrentServerlessConfig": serverless, "DesiredServerlessConfig": serverless}
    instances = variant.get("InitialInstanceCount", 1)
    return shown | {"CurrentInstanceCount": instances, "DesiredInstanceCount": instances}


def _weight(variant: dict[str, Any]) -> float:
    return float(variant.get("InitialVariantWeight", 1.0))


def _refuse_unless(endpoint: Endpoint, *statuses: str) -> None:
    if endpoint.status not in statuses:
        raise invalid(f"Cannot update in-progress endpoint {endpoint.arn}: it is {endpoint.status}.")
