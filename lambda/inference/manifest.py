"""The model's manifest, `model.json`: what a request must look like and what the answer means.

The pipeline checks it before it stores the model, by the same rules: what one of the two refuses, the other
does.
"""

import re

import msgspec

SCHEMA = 1
TYPES = ("string", "float")
TRANSFORMS = ("lowercase",)
_SHA256 = re.compile(r"[0-9a-f]{64}")


class InvalidModel(Exception):
    """The model or its manifest is not fit to serve; the message says why."""


class Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One field of a row. A constraint that this version does not know is refused, never ignored."""

    name: str
    type: str
    transform: str | None = None
    max_length: int | None = None
    minimum: float | None = None
    maximum: float | None = None


class Outputs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    probabilities: str = "probabilities"
    label: str | None = None


class Manifest(msgspec.Struct, frozen=True):
    """What serving needs of the manifest; training may write more beside it (metrics, parity …)."""

    schema: int
    name: str
    sha256: str
    inputs: list[Input]
    classes: list[str]
    outputs: Outputs = Outputs()
    tensor: str = "input"

    @property
    def tabular(self) -> bool:
        """Whether all inputs are numbers, which go into one tensor [rows, inputs] in their order."""
        return all(field.type == "float" for field in self.inputs)


def read(text: bytes) -> Manifest:
    """Parse and check a manifest.

    Raises:
        InvalidModel: naming everything that is wrong.
    """
    try:
        manifest = msgspec.json.decode(text, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidModel(f"model.json is not a valid manifest: {error}") from error
    faults = _faults(manifest)
    if faults:
        raise InvalidModel("model.json is not a valid manifest: " + "; ".join(faults))
    return manifest


def _faults(manifest: Manifest) -> list[str]:
    faults = []
    if manifest.schema != SCHEMA:
        faults.append(f"schema {manifest.schema} is not known here (only {SCHEMA} is)")
    if not manifest.name:
        faults.append("name is empty")
    if not _SHA256.fullmatch(manifest.sha256):
        faults.append("sha256 is not 64 lower-case hexadecimal digits")
    if not manifest.inputs:
        faults.append("inputs is empty")
    names = [field.name for field in manifest.inputs]
    if len(set(names)) < len(names):
        faults.append("two inputs have the same name")
    if len(manifest.classes) < 2 or not all(manifest.classes):
        faults.append("classes is not a list of at least two names")
    if len(set(manifest.classes)) < len(manifest.classes):
        faults.append("two classes have the same name")
    for field in manifest.inputs:
        faults += [f"input {field.name!r}: {fault}" for fault in _input_faults(field)]
    return faults


def _input_faults(field: Input) -> list[str]:
    faults = []
    if not field.name:
        faults.append("it has no name")
    if field.type not in TYPES:
        faults.append(f"type {field.type!r} is not one of {', '.join(TYPES)}")
    if field.transform is not None and field.transform not in TRANSFORMS:
        faults.append(f"transform {field.transform!r} is not one of {', '.join(TRANSFORMS)}")
    if field.type == "string" and (field.minimum is not None or field.maximum is not None):
        faults.append("minimum and maximum belong to numbers")
    if field.type == "float" and (field.max_length is not None or field.transform is not None):
        faults.append("max_length and transform belong to strings")
    if field.max_length is not None and field.max_length < 1:
        faults.append("max_length must be at least 1")
    if field.minimum is not None and field.maximum is not None and field.minimum > field.maximum:
        faults.append("minimum is above maximum")
    return faults
