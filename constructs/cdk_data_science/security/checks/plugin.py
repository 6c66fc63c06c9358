"""The rule pack as a validation plugin of the CDK."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path

import jsii
from aws_cdk import (
    IPolicyValidationContext,
    IPolicyValidationPlugin,
    PolicyValidationPluginReport,
    PolicyViolatingResource,
    PolicyViolation,
)
from constructs import Construct, IConstruct

from cdk_data_science._validation import Problems
from cdk_data_science.security.checks import sarif
from cdk_data_science.security.checks.acknowledged import STALE, Stale, sort
from cdk_data_science.security.checks.assembly import Acknowledgement, acknowledged, read
from cdk_data_science.security.checks.rule import Finding, Severity, judge
from cdk_data_science.security.checks.rules import RULES
from cdk_data_science.security.checks.templates import Templates


@jsii.implements(IPolicyValidationPlugin)
class DataScienceChecks:
    """Judges an app's templates by the rules of this library, next to cdk-nag and in the same way.

    The rules are about what general rule packs have little on: SageMaker domains, notebooks, jobs, models and
    endpoints, feature groups, monitoring, Lake Formation, Glue, Athena, FSx, EFS, Step Functions, Kinesis,
    MSK, Lambda inference, roles, budgets and tags. ``docs/checks.md`` lists them. A finding names the
    construct, the resource, the property and the fix, in the terminal and in ``validation-report.json``.

    Accept a finding where it arises, by its id and with a reason: ``cdk.Validations.of(construct)
    .acknowledge(cdk.Acknowledgment(id="DataScience-SM24", reason="…"))``. It covers the construct and its
    children. Where a resource can break a rule more than once, as a state machine does with its tasks, the id
    says which: ``DataScience-SFN1[Train]``. An acknowledgement that no finding needs is a finding too.

    The CDK fails a synthesis for findings of severity error, and for warnings with the context flag
    ``@aws-cdk/core:strictCfnValidateErrors``. Findings of severity info never fail it. A value that only the
    deployment knows passes, except where a rule says otherwise; what depends on conditions is judged for each
    way in which they can turn out.

    **Costs at rest**: nothing. A template of 150 resources takes about 30 ms.

    ```python
    import aws_cdk as cdk
    from cdk_data_science import DataScienceChecks

    app = cdk.App()
    cdk.Validations.of(app).add_plugins(DataScienceChecks(app))
    cdk.CfnWaitConditionHandle(cdk.Stack(app, "Stack"), "Handle")
    ```

    Args:
        scope: The app, stage or stack whose templates are judged.
        sarif: A file that the findings are also written to, as SARIF 2.1.0, relative to the folder that the
            app runs in: ``"cdk.out/data-science-checks.sarif"``. Default: none.
        leave_out: Ids of rules that are not applied at all, such as ``"DataScience-COST3"`` where the budget
            is in another app. Default: none.

    Raises:
        ConfigurationError: ``leave_out`` names something that is no rule.

    Follows https://docs.aws.amazon.com/cdk/v2/guide/policy-validation-synthesis.html.
    """

    def __init__(
        self, scope: Construct, *, sarif: str | Path | None = None, leave_out: Sequence[str] = ()
    ) -> None:
        _check(scope, leave_out)
        self._path = scope.node.path
        self._rules = tuple(rule for rule in RULES if rule.id not in leave_out)
        self._sarif = None if sarif is None else Path(sarif)
        if self._sarif is not None:
            # What is left from an earlier synthesis would be taken for this one's if this one fails.
            self._sarif.unlink(missing_ok=True)

    @property
    def name(self) -> str:
        return "DataScience"

    @property
    def version(self) -> str:
        return metadata.version("cdk-data-science")

    @property
    def rule_ids(self) -> list[str]:
        return [rule.id for rule in self._rules]

    def validate(self, context: IPolicyValidationContext) -> PolicyValidationPluginReport:
        """Judge the templates; the CDK calls it once they are written."""
        stacks = [
            read(
                Path(stack.template_path),
                path=stack.stack_construct_path,
                region=stack.region,
                account=stack.account_id,
            )
            for stack in context.stack_templates
            if self._covers(stack.stack_construct_path)
        ]
        templates = Templates(template for stack in stacks for template in stack.templates)
        given = [
            *(one for stack in stacks for one in stack.acknowledgements),
            *_around(
                context.app_construct, {template.path for stack in stacks for template in stack.templates}
            ),
        ]
        sorted_findings = sort(judge(templates, self._rules), given, self._rules)
        if self._sarif is not None:
            log = sarif.document(
                [(finding, by.reason if by else None) for finding, by in sorted_findings.findings],
                self._rules,
                version=self.version,
                base=Path(),
            )
            sarif.write(self._sarif, log)
        violations = [
            *(_violation(finding, by) for finding, by in sorted_findings.findings),
            *(_stale(stale) for stale in sorted_findings.stale),
        ]
        failed = any(
            by is None and finding.rule.severity is Severity.ERROR for finding, by in sorted_findings.findings
        )
        return PolicyValidationPluginReport(success=not failed, violations=violations)

    def _covers(self, stack_path: str) -> bool:
        return self._path in ("", stack_path) or stack_path.startswith(f"{self._path}/")


def _violation(finding: Finding, by: Acknowledgement | None) -> PolicyViolation:
    """A finding for the CDK's report. One that was acknowledged is told by the id that it was acknowledged
    with, by which the CDK moves it to the report's suppressed violations, with the reason."""
    rule, resource = finding.rule, finding.resource
    return PolicyViolation(
        rule_name=finding.id if by is None else by.recorded,
        severity=rule.severity.value,
        description=f"{resource}: {finding.message}",
        fix=f"{rule.fix}. See {rule.follows[0].url}",
        rule_metadata={"title": rule.title, "follows": ", ".join(source.name for source in rule.follows)},
        violating_resources=[
            PolicyViolatingResource(
                construct_path=resource.path,
                resource_logical_id=resource.logical_id,
                template_path=resource.template.file,
                locations=[finding.location],
            )
        ],
    )


def _stale(stale: Stale) -> PolicyViolation:
    return PolicyViolation(
        rule_name=STALE,
        severity=Severity.WARNING.value,
        description=f"{stale.acknowledgement.path or 'the app'}: {stale.problem}",
        fix="Take the acknowledgement away, or correct its id",
        violating_resources=[
            PolicyViolatingResource(construct_path=stale.acknowledgement.path, locations=[])
        ],
    )


def _around(app: IConstruct, stacks: set[str]) -> Iterator[Acknowledgement]:
    """What was acknowledged on the app and on stages: the metadata of stacks does not have it."""
    paths = {"/".join(path.split("/")[:depth]) for path in stacks for depth in range(path.count("/") + 1)}
    for path in sorted(paths | {""}):
        construct = app
        for part in path.split("/") if path else ():
            child = construct.node.try_find_child(part)
            if child is None:
                break
            construct = child
        if construct.node.path == path and path not in stacks:
            for entry in construct.node.metadata:
                yield from acknowledged(path, entry.type, entry.data)


def _check(scope: Construct, leave_out: Sequence[str]) -> None:
    problems = Problems("DataScienceChecks", scope)
    known = {rule.id for rule in RULES}
    for name in [leave_out] if isinstance(leave_out, str) else leave_out:
        problems.check(
            not isinstance(leave_out, str) and name in known,
            given=f"leave_out: {name!r}",
            allowed="a list of ids of rules; docs/checks.md has them all",
            write='leave_out=["DataScience-COST3"]',
        )
    problems.raise_if_any()
