"""Reads what the CDK has synthesized: templates, where their constructs are, and what was acknowledged."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cdk_data_science.security.checks.templates import Template

ACKNOWLEDGED = "aws:cdk:acknowledged-rules"
_LOGICAL_ID = "aws:cdk:logicalId"
_NESTED = "AWS::CloudFormation::Stack"


@dataclass(frozen=True, order=True, kw_only=True, slots=True)
class Acknowledgement:
    """A finding that may stay, as it was acknowledged on a construct."""

    path: str
    id: str
    """The finding's id without the namespace that the CDK puts in front."""
    recorded: str
    """The id as the CDK recorded it."""
    reason: str

    def covers(self, id: str, path: str) -> bool:
        """Whether it is for this finding, on its construct or on one around it."""
        return self.id == id and (self.path == "" or f"{path}/".startswith(f"{self.path}/"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Stack:
    """A stack's template, with those of its nested stacks, and what its metadata tells."""

    templates: tuple[Template, ...]
    acknowledgements: tuple[Acknowledgement, ...]


def read(file: Path, *, path: str, region: str | None, account: str | None) -> Stack:
    """Read a stack from its template file and the manifest beside it.

    Args:
        file: The template file.
        path: Where the stack's construct is in the app.
        region: The stack's region, if it is known.
        account: The stack's account, if it is known.
    """
    artifact = _artifact(file)
    metadata = _metadata(file, artifact)
    name = str(artifact.get("properties", {}).get("stackName", file.name.partition(".")[0]))
    ids = {
        where: str(entry["data"])
        for where, entries in metadata.items()
        for entry in entries
        if entry.get("type") == _LOGICAL_ID
    }
    top = _template(file, stack=name, path=path, region=region, account=account, ids=ids)
    return Stack(
        templates=(top, *_nested(top, ids, _assets(file, artifact))),
        acknowledgements=tuple(
            acknowledgement
            for where, entries in metadata.items()
            for entry in entries
            for acknowledgement in acknowledged(where, entry.get("type"), entry.get("data"))
        ),
    )


def acknowledged(path: str, type: Any, data: Any) -> Iterator[Acknowledgement]:
    """The acknowledgements in one entry of a construct's metadata."""
    if type == ACKNOWLEDGED and isinstance(data, Mapping):
        for recorded, reason in data.items():
            before, separator, after = str(recorded).partition("::")
            # A finding's id may itself have `::`, within its brackets.
            own = after if separator and "[" not in before else str(recorded)
            yield Acknowledgement(path=path, id=own, recorded=str(recorded), reason=str(reason))


def _template(file: Path, *, ids: Mapping[str, str], path: str, **known: Any) -> Template:
    # Constructs of nested stacks are in the metadata of the outermost one: the longest path around wins.
    inside = {where: name for where, name in ids.items() if f"{where}/".startswith(f"{path}/")}
    return Template(
        document=json.loads(file.read_text(encoding="utf-8")),
        file=str(file),
        path=path,
        paths={name: where for where, name in sorted(inside.items(), reverse=True)},
        **known,
    )


def _nested(outer: Template, ids: Mapping[str, str], assets: Mapping[str, Path]) -> Iterator[Template]:
    for logical_id, resource in outer.document.get("Resources", {}).items():
        file = _nested_file(resource, assets) if resource.get("Type") == _NESTED else None
        if file is None:
            continue
        stands_at = outer.paths.get(logical_id) or resource.get("Metadata", {}).get("aws:cdk:path", "")
        inner = _template(
            file,
            stack=f"{outer.stack}.{logical_id}",
            # `Outer/Name.NestedStack/Name.NestedStackResource` stands for what is at `Outer/Name`.
            path=str(stands_at).rpartition("/")[0].removesuffix(".NestedStack"),
            region=outer.region,
            account=outer.account,
            ids=ids,
            nested_in=(outer.stack, logical_id),
        )
        yield inner
        yield from _nested(inner, ids, assets)


def _nested_file(resource: Mapping[str, Any], assets: Mapping[str, Path]) -> Path | None:
    """The file that a nested stack is uploaded from: its URL ends in what it is uploaded as."""
    url = json.dumps(resource.get("Properties", {}).get("TemplateURL"))
    return next((file for key, file in assets.items() if key in url and file.is_file()), None)


def _assets(file: Path, artifact: Mapping[str, Any]) -> dict[str, Path]:
    """The files that are uploaded with a stack, by what they are uploaded as."""
    listing = file.with_name(f"{artifact.get('id', '')}.assets.json")
    files = json.loads(listing.read_text(encoding="utf-8"))["files"] if listing.is_file() else {}
    return {
        str(target["objectKey"]): file.parent / str(entry["source"].get("path", ""))
        for entry in files.values()
        for target in entry["destinations"].values()
    }


def _artifact(file: Path) -> dict[str, Any]:
    manifest = file.parent / "manifest.json"
    artifacts = (
        json.loads(manifest.read_text(encoding="utf-8")).get("artifacts", {}) if manifest.is_file() else {}
    )
    for name, artifact in artifacts.items():
        properties = artifact.get("properties", {})
        if properties.get("templateFile") == file.name:
            found: dict[str, Any] = {**artifact, "id": name, "properties": {"stackName": name, **properties}}
            return found
    return {}


def _metadata(file: Path, artifact: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The metadata of the constructs of a stack, by their paths."""
    beside = artifact.get("additionalMetadataFile")
    found = (
        json.loads((file.parent / beside).read_text(encoding="utf-8"))
        if beside is not None
        else artifact.get("metadata", {})
    )
    return {where.removeprefix("/"): entries for where, entries in found.items()}
