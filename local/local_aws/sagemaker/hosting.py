"""Models and endpoint configurations: what is kept of them, and the operations of the API."""

from __future__ import annotations

import threading
import time
from typing import Any

from local_aws.sagemaker import jobs, validation
from local_aws.sagemaker.errors import invalid, not_found
from local_aws.sagemaker.paging import page


class Store:
    """Named things of one kind: created, described, listed and deleted, and nothing happens."""

    def __init__(self, noun: str, arn: str) -> None:
        self.noun, self._arn = noun, arn
        self.items: dict[tuple[str, str], dict[str, Any]] = {}
        self.lock = threading.Lock()

    @property
    def name(self) -> str:
        return f"{self.noun}Name"

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        validation.check(f"Create{self.noun}", request)
        name = request[self.name]
        arn = f"{jobs.arn_prefix()}{self._arn}/{name.lower()}"
        with self.lock:
            if (jobs.region(), name) in self.items:
                raise invalid(f'Cannot create already existing {self._arn.replace("-", " ")} "{arn}".')
            kept = {member: value for member, value in request.items() if member != "Tags"}
            self.items[jobs.region(), name] = kept | {f"{self.noun}Arn": arn, "CreationTime": time.time()}
        return {f"{self.noun}Arn": arn}

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        validation.check(f"Describe{self.noun}", request)
        return self.find(request[self.name])

    def list_items(self, request: dict[str, Any]) -> dict[str, Any]:
        validation.check(f"List{self.noun}s", request)
        wanted = (self.name, f"{self.noun}Arn", "CreationTime")
        with self.lock:
            items = [item for (where, _), item in self.items.items() if where == jobs.region()]
        return page(
            [{member: item[member] for member in wanted} for item in items],
            request,
            member=f"{self.noun}s",
            name=self.name,
            sort={"Name": self.name, "CreationTime": "CreationTime"},
        )

    def delete(self, request: dict[str, Any]) -> dict[str, Any]:
        validation.check(f"Delete{self.noun}", request)
        self.find(request[self.name])
        with self.lock:
            self.items.pop((jobs.region(), request[self.name]), None)
        return {}

    def find(self, name: str) -> dict[str, Any]:
        item = self.items.get((jobs.region(), name))
        if item is None:
            arn = f"{jobs.arn_prefix()}{self._arn}/{name.lower()}"
            raise not_found(f'Could not find {self._arn.replace("-", " ")} "{arn}".')
        return item

    def arns(self) -> set[str]:
        with self.lock:
            return {item[f"{self.noun}Arn"] for item in self.items.values()}


MODELS = Store("Model", "model")
CONFIGS = Store("EndpointConfig", "endpoint-config")


def create_model(request: dict[str, Any]) -> dict[str, Any]:
    if not request.get("PrimaryContainer") and not request.get("Containers"):
        raise invalid("PrimaryContainer or Containers must be given.")
    if len(request.get("Containers", [])) > 1:
        raise invalid("Models of several containers do not run on the local AWS.")
    return MODELS.create(request)


def create_config(request: dict[str, Any]) -> dict[str, Any]:
    validation.check("CreateEndpointConfig", request)
    for refused in ("ShadowProductionVariants", "ExplainerConfig"):
        if request.get(refused):
            raise invalid(f"{refused} does not run on the local AWS.")
    names = [variant["VariantName"] for variant in request["ProductionVariants"]]
    if len(names) != len(set(names)):
        raise invalid("Variant names must be unique within an endpoint configuration.")
    for variant in request["ProductionVariants"]:
        if "ModelName" in variant:
            MODELS.find(variant["ModelName"])
        elif "ExecutionRoleArn" not in request:
            raise invalid(
                f"Variant {variant['VariantName']} has no ModelName: instances for components need the "
                "ExecutionRoleArn of the configuration."
            )
    return CONFIGS.create(request)
