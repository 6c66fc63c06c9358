"""What JumpStart publishes of a model, reduced to what serving it in one region takes.

The description of a model has an image, an artifact and variables, and for families and types of instances
others in their place; some have several such configurations, in the order of their ranking.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Spec = Mapping[str, Any]


class NotServableError(ValueError):
    """The description does not say what serving the model takes."""


def bucket(region: str, *, gated: bool) -> str:
    """Where JumpStart keeps artifacts in a region."""
    return f"jumpstart-{'private-' if gated else ''}cache-prod-{region}"


def manifest_url(region: str, key: str = "models_manifest.json") -> str:
    """Where the list of models is, or another document that anybody may read."""
    return f"https://{bucket(region, gated=False)}.s3.{region}.{_suffix(region)}/{key}"


def chosen(manifest: list[Spec], model_id: str, version: str | None) -> Spec:
    """The entry of the list for a version of a model, by default the newest."""
    found = [each for each in manifest if each["model_id"] == model_id]
    if not found:
        raise NotServableError(f"JumpStart has no model {model_id!r}")
    if version is None:
        return max(found, key=lambda each: _ordered(each["version"]))
    for each in found:
        if each["version"] == version:
            return each
    known = ", ".join(sorted((each["version"] for each in found), key=_ordered))
    raise NotServableError(f"{model_id} has no version {version}; there are {known}")


def reduced(spec: Spec, region: str) -> dict[str, Any]:
    """What serving a model in a region takes, for each instance type that it supports."""
    spec = _ranked(spec)
    gated = bool(spec.get("gated_bucket", False))
    types = [each for each in spec.get("supported_inference_instance_types") or () if each.startswith("ml.")]
    if not types:
        raise NotServableError(f"{spec['model_id']} names no instance types")
    variables = {
        each["name"]: str(each["default"])
        for each in spec.get("inference_environment_variables") or ()
        if "default" in each
    }
    instances = {each: _instance(spec, each, region, variables) for each in sorted(types)}
    there = {each: found for each, found in instances.items() if found is not None}
    if not there:
        raise NotServableError(
            f"{spec['model_id']} {spec['version']} names no image and artifact for {region}"
        )
    default = spec.get("default_inference_instance_type")
    eula = spec.get("hosting_eula_key")
    deploy = spec.get("deploy_kwargs") or {}
    return {
        "model_id": spec["model_id"],
        "version": spec["version"],
        "region": region,
        "license": manifest_url(region, eula) if eula else None,
        "bucket": bucket(region, gated=gated),
        "network_isolation": bool(spec.get("inference_enable_network_isolation", False)),
        "startup_seconds": deploy.get("container_startup_health_check_timeout"),
        "download_seconds": deploy.get("model_data_download_timeout"),
        "default_instance_type": default if default in there else next(iter(there)),
        "instances": there,
    }


def _ranked(spec: Spec) -> Spec:
    """The description with its best configuration, if it has several."""
    configurations = spec.get("inference_configs") or {}
    rankings = (spec.get("inference_config_rankings") or {}).get("overall", {}).get("rankings") or ()
    best = next((name for name in rankings if name in configurations), None)
    if best is None:
        return spec
    parts = spec.get("inference_config_components") or {}
    merged = dict(spec)
    for name in configurations[best].get("component_names") or ():
        merged |= {key: value for key, value in parts.get(name, {}).items() if key != "component_name"}
    return merged


def _instance(
    spec: Spec, instance_type: str, region: str, variables: Mapping[str, str]
) -> dict[str, Any] | None:
    """What one instance type takes; None if the region has no image for it."""
    known = spec.get("hosting_instance_type_variants") or {}
    variants = known.get("variants") or {}
    family = instance_type.split(".")[1]
    properties: dict[str, Any] = {}
    environment = dict(variables)
    image: str | None = None
    for name in (family, instance_type):
        variant = variants.get(name) or {}
        own = variant.get("properties") or {}
        environment |= {key: str(value) for key, value in (own.get("environment_variables") or {}).items()}
        properties |= {key: value for key, value in own.items() if key != "environment_variables"}
        alias = (variant.get("regional_properties") or {}).get("image_uri")
        if alias is not None:
            aliases = (known.get("regional_aliases") or {}).get(region) or {}
            image = aliases.get(alias.removeprefix("$")) if alias.startswith("$") else alias
    key = (
        properties.get("prepacked_artifact_key")
        or properties.get("artifact_key")
        or spec.get("hosting_prepacked_artifact_key")
        or spec.get("hosting_artifact_key")
    )
    if image is None or key is None:
        return None
    return {"image": image, "key": key, "environment": dict(sorted(environment.items()))}


def _ordered(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in version.split("."))


def _suffix(region: str) -> str:
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
