"""ONNX models of the lake on devices, as components of AWS IoT Greengrass."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from settings.section import Section

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""As sha256sum prints it. A device that has got anything else installs nothing."""


class EdgeProgram(Section):
    """What runs the model on the device."""

    archive: Annotated[str, Field(pattern=r"^([A-Za-z0-9!_.()=-]+/)*[A-Za-z0-9!_.()=-]+\.zip$")]
    """Key of a .zip archive in the zone of models."""
    sha256: Sha256
    run: Annotated[str, Field(min_length=1)]
    """Command in the unpacked archive; it finds the model's path in the variable ``MODEL``."""
    install: Annotated[str, Field(min_length=1)] | None = None
    """Command before that."""


class EdgeModel(Section):
    """A component, ``[edge.<name>]``. It costs nothing at rest; Greengrass costs 0.16 USD a month for each
    device that is connected."""

    component: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]
    """Name of the component: com.example.Defects. Those that begin with aws. are AWS's."""
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    """Of the component. Whatever changes in it needs another one."""
    model: Annotated[str, Field(pattern=r"^([A-Za-z0-9!_.()=-]+/)*[A-Za-z0-9!_.()=-]+\.onnx$")]
    """Key in the zone of models."""
    sha256: Sha256
    program: EdgeProgram | None = None
    """Without it, the component brings the model alone, and others depend on it."""
    architectures: tuple[Literal["aarch64", "amd64", "arm"], ...] = ()
    """Processors of the devices; without them, all."""
    target: Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iot:.+:(thing|thinggroup)/.+$")] | None = None
    """ARN of the thing or group of things that gets it. A deployment is all that a device has: without a
    target, it is for a deployment of yours."""
    devices_per_minute: Annotated[int, Field(ge=1, le=1000)] = 50

    @field_validator("component")
    @classmethod
    def _it_is_of_ones_own(cls, component: str) -> str:
        if component.startswith("aws."):
            raise ValueError("names that begin with aws. are AWS's: write com.example.Defects")
        return component
