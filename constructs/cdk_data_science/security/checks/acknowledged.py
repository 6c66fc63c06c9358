"""Which findings were acknowledged, and which acknowledgements no finding needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cdk_data_science.security.checks.assembly import Acknowledgement
from cdk_data_science.security.checks.rule import PREFIX, Finding, Rule

STALE = f"{PREFIX}-ACK1"
"""The id of the finding about an acknowledgement that no finding needs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stale:
    """An acknowledgement that does nothing, or says nothing."""

    acknowledgement: Acknowledgement
    problem: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Sorted:
    """Findings with the acknowledgement of each, and the acknowledgements that are left over."""

    findings: tuple[tuple[Finding, Acknowledgement | None], ...]
    stale: tuple[Stale, ...]


def sort(findings: Iterable[Finding], given: Sequence[Acknowledgement], rules: Iterable[Rule]) -> Sorted:
    """Give each finding the acknowledgement that is nearest to its construct."""
    ours = sorted({one for one in given if one.id.startswith(f"{PREFIX}-") and one.id != STALE})
    by_id: dict[str, list[Acknowledgement]] = {}
    for one in ours:
        by_id.setdefault(one.id, []).append(one)
    sorted_findings: list[tuple[Finding, Acknowledgement | None]] = []
    used: set[Acknowledgement] = set()
    for finding in findings:
        covering = [one for one in by_id.get(finding.id, ()) if one.covers(finding.id, finding.resource.path)]
        nearest = max(covering, key=lambda one: len(one.path), default=None)
        # An empty reason accepts nothing.
        accepted = nearest if nearest is not None and nearest.reason.strip() else None
        used |= {nearest} if nearest is not None else set()
        sorted_findings.append((finding, accepted))
    known = rules_of(rules)
    return Sorted(
        findings=tuple(sorted_findings),
        stale=tuple(
            Stale(acknowledgement=one, problem=problem)
            for one in ours
            if (problem := _problem(one, one in used, known)) is not None
        ),
    )


def rules_of(rules: Iterable[Rule]) -> dict[str, Rule]:
    """Rules by their ids."""
    return {rule.id: rule for rule in rules}


def _problem(one: Acknowledgement, used: bool, known: dict[str, Rule]) -> str | None:
    if not one.reason.strip():
        return f"{one.id} is acknowledged without a reason"
    if used:
        return None
    if one.id.partition("[")[0] not in known:
        return f"{one.id} is acknowledged, and there is no such rule"
    return f"{one.id} is acknowledged, and is not found here (any more)"
