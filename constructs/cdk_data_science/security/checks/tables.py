"""The rules as tables for people, generated so that they are never out of date."""

from __future__ import annotations

from collections.abc import Iterator

from cdk_data_science.security.checks.rule import Rule, Unknown
from cdk_data_science.security.checks.rules import RULES

START, END = "<!-- rules: generated -->", "<!-- /rules -->"
_SECTIONS = {
    "SM": "SageMaker: domains, notebooks, models, endpoints, features, monitoring",
    "JOB": "SageMaker jobs, in state machines and SageMaker pipelines",
    "LF": "Lake Formation",
    "GL": "Glue",
    "ATH": "Athena",
    "FSX": "FSx for Lustre",
    "EFS": "EFS",
    "SFN": "Step Functions",
    "KIN": "Kinesis, and functions that read streams",
    "FH": "Firehose",
    "MSK": "MSK and MSK Connect",
    "LAM": "Lambda inference",
    "IAM": "Roles of data-science services",
    "DATA": "Data",
    "COST": "Budgets and tags",
}


def section(rule: Rule) -> str:
    """The letters of a rule's id that name its service."""
    return rule.id.rpartition("-")[2].rstrip("0123456789")


def tables() -> str:
    """All rules, a table for each service."""
    return "\n".join(_lines()) + "\n"


def replaced(page: str) -> str:
    """A page with the tables between its marks replaced by the current ones."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n\n{tables()}\n{END}{after}"


def _lines() -> Iterator[str]:
    counted = {name: sum(section(rule) == name for rule in RULES) for name in _SECTIONS}
    yield f"{len(RULES)} rules."
    for name, title in _SECTIONS.items():
        yield f"\n### {title} ({counted[name]})\n"
        yield "| Rule | Severity | What has to hold | Why | Fix | Follows |"
        yield "| --- | --- | --- | --- | --- | --- |"
        for rule in (rule for rule in RULES if section(rule) == name):
            yield _row(rule)


def _row(rule: Rule) -> str:
    sources = ", ".join(f"[{source.name}]({source.url})" for source in rule.follows)
    unknown = " Unknown values fail." if rule.unknown is Unknown.FAILS else ""
    cells = (
        f"`{rule.id}`",
        rule.severity.value,
        f"{rule.title}.{unknown}",
        rule.why,
        f"{rule.fix}.",
        sources,
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
