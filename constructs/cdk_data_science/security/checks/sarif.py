"""Findings as SARIF 2.1.0, which code hosts show beside the change under review."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cdk_data_science.security.checks.rule import Finding, Rule, Severity

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_RESOURCE = re.compile(r'^\s+"([A-Za-z0-9]+)": \{$')


def document(
    findings: Sequence[tuple[Finding, str | None]], rules: Iterable[Rule], *, version: str, base: Path
) -> dict[str, Any]:
    """A SARIF log.

    Args:
        findings: Each finding, with the reason for which it was acknowledged, or None.
        rules: Every rule that was applied.
        version: The version of the rule pack.
        base: The folder that the templates' files are told relative to.
    """
    all_rules = list(rules)
    index = {rule.id: number for number, rule in enumerate(all_rules)}
    lines: dict[str, Mapping[str, int]] = {}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "DataScienceChecks",
                        "semanticVersion": version,
                        "rules": [_rule(rule) for rule in all_rules],
                    }
                },
                "columnKind": "utf16CodeUnits",
                "results": [
                    _result(finding, reason, index[finding.rule.id], lines, base)
                    for finding, reason in findings
                ],
            }
        ],
    }


def write(file: Path, log: Mapping[str, Any]) -> None:
    """Write a SARIF log to a file, whose folder is made if need be."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(log, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": re.sub(r"[^A-Za-z0-9]", "", rule.title.title()),
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": f"{rule.fails}. {rule.why}"},
        "help": {"text": f"{rule.fix}. See {', '.join(source.url for source in rule.follows)}"},
        "helpUri": rule.follows[0].url,
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"tags": ["security", "aws", *rule.types]},
    }


def _result(
    finding: Finding, reason: str | None, index: int, lines: dict[str, Mapping[str, int]], base: Path
) -> dict[str, Any]:
    resource, file = finding.resource, finding.resource.template.file
    if file not in lines:
        lines[file] = _lines(Path(file))
    found: dict[str, Any] = {
        "ruleId": finding.rule.id,
        "ruleIndex": index,
        "level": _LEVELS[finding.rule.severity],
        "message": {"text": f"{resource}: {finding.message} {finding.rule.fix}."},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _relative(Path(file), base)},
                    "region": {"startLine": lines[file].get(resource.logical_id, 1)},
                },
                "logicalLocations": [
                    {
                        "fullyQualifiedName": resource.path,
                        "decoratedName": f"{resource.logical_id}.{finding.location}",
                        "kind": "resource",
                    }
                ],
            }
        ],
        "partialFingerprints": {"finding/v1": _fingerprint(finding)},
    }
    if reason is not None:
        found["suppressions"] = [{"kind": "inSource", "status": "accepted", "justification": reason}]
    return found


def _fingerprint(finding: Finding) -> str:
    """What stays the same when other resources of the template change."""
    parts = "\n".join((finding.id, finding.resource.path, finding.at))
    return hashlib.sha256(parts.encode()).hexdigest()[:32]


def _lines(file: Path) -> dict[str, int]:
    """The line of each resource in a template."""
    found: dict[str, int] = {}
    inside = False
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if re.match(r'^ {1,4}"\w+": \{$', line) and len(line) - len(line.lstrip()) == 1:
            inside = '"Resources"' in line
        elif inside and (match := _RESOURCE.match(line)) and len(line) - len(line.lstrip()) == 2:
            found[match[1]] = number
    return found


def _relative(file: Path, base: Path) -> str:
    """A path for code hosts: relative to the folder that the app runs in, else to the assembly."""
    file, base = file.resolve(), base.resolve()
    return file.relative_to(base).as_posix() if file.is_relative_to(base) else file.name
