"""What a rule is, and how it judges a template."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cdk_data_science.security.checks.templates import Resource, Templates

PREFIX = "DataScience"
_UNSAFE = re.compile(r"[\[\](){}\s]+")


class Severity(enum.StrEnum):
    """How much it matters. The CDK fails a synthesis for errors, and for warnings where it is strict."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Unknown(enum.StrEnum):
    """What a rule does with a value that only the deployment knows, such as a parameter."""

    PASSES = "passes"
    FAILS = "fails"


@dataclass(frozen=True, slots=True)
class Source:
    """What a rule follows: a Security Hub control, or a page of the AWS documentation."""

    name: str
    url: str


def control(id: str) -> Source:
    """A control of AWS Security Hub CSPM, such as ``SageMaker.1``."""
    service = id.partition(".")[0].lower()
    page = f"https://docs.aws.amazon.com/securityhub/latest/userguide/{service}-controls.html"
    return Source(id, f"{page}#{id.lower().replace('.', '-')}")


def guide(page: str) -> Source:
    """A page of the AWS documentation, by its path without the ending."""
    return Source(page.rpartition("/")[2], f"https://docs.aws.amazon.com/{page}.html")


def cloudformation(page: str) -> Source:
    """A page of the CloudFormation user guide on a resource or a property."""
    return guide(f"AWSCloudFormation/latest/UserGuide/{page}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """What a rule's check saw in one resource."""

    at: str
    """The path of the property below `Properties`, empty for the resource as a whole."""
    detail: str = ""
    """Which one, where a resource can break a rule more than once: a task's name, a variant's name."""
    said: str = ""
    """What is wrong, if it says more than the rule."""
    uncertain: bool = False
    """Whether it hangs on a value that only the deployment knows."""


Check = Callable[[Resource], Iterable[Problem]]
Example = Mapping[str, Mapping[str, Any]]
"""Resources of a template, by logical id."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One rule, with the two examples that are its tests."""

    id: str
    """As it is acknowledged: ``DataScience-SM1``."""
    title: str
    """What has to hold."""
    fails: str
    """What a finding says."""
    why: str
    fix: str
    severity: Severity
    follows: tuple[Source, ...]
    types: tuple[str, ...]
    """The CloudFormation types that it looks at."""
    check: Check
    compliant: Example
    noncompliant: Example
    unknown: Unknown = Unknown.PASSES

    def __post_init__(self) -> None:
        for name in ("title", "fails", "why", "fix"):
            if not getattr(self, name):
                raise ValueError(f"{self.id} has no {name}")
        if not (self.follows and self.types and self.compliant and self.noncompliant):
            raise ValueError(f"{self.id} needs sources, types, and an example of each kind")


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A rule that a resource breaks."""

    rule: Rule
    resource: Resource
    at: str
    detail: str
    said: str

    @property
    def id(self) -> str:
        """What is acknowledged: the rule, and which of several where it can break it more than once."""
        return f"{self.rule.id}[{_UNSAFE.sub('-', self.detail)}]" if self.detail else self.rule.id

    @property
    def message(self) -> str:
        said = self.said or self.rule.fails
        which = f" ({self.detail})" if self.detail and self.detail not in said else ""
        return f"{said}{which}. {self.rule.why}"

    @property
    def location(self) -> str:
        """Where in the resource, as the CDK's report writes it."""
        return f"Properties.{self.at}" if self.at else "Properties"


def judge(templates: Templates, rules: Iterable[Rule]) -> list[Finding]:
    """Everything that breaks a rule, in the order of templates, resources and rules."""
    by_type: dict[str, list[Rule]] = {}
    for rule in rules:
        for kind in rule.types:
            by_type.setdefault(kind, []).append(rule)
    return [
        finding
        for resource in templates.resources()
        if resource.type in by_type
        for finding in _once(_findings(templates, resource, by_type[resource.type]))
    ]


def _findings(templates: Templates, resource: Resource, rules: list[Rule]) -> Iterator[Finding]:
    for variant in templates.variants(resource):
        for rule in rules:
            for problem in rule.check(variant):
                if not problem.uncertain or rule.unknown is Unknown.FAILS:
                    yield Finding(
                        rule=rule,
                        resource=resource,
                        at=problem.at,
                        detail=problem.detail,
                        said=problem.said,
                    )


def _once(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Each finding once, whichever outcomes of the conditions lead to it."""
    seen: set[tuple[str, str]] = set()
    for finding in findings:
        if (key := (finding.id, finding.at)) not in seen:
            seen.add(key)
            yield finding
