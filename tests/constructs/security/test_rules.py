"""Every rule has two examples, one that keeps it and one that breaks it, as CloudFormation takes them."""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import aws_cdk
import botocore
import botocore.session
import pytest

from cdk_data_science.security.checks import RULES, Rule, Unknown
from cdk_data_science.security.checks.rule import Finding, judge
from cdk_data_science.security.checks.tables import replaced, section
from cdk_data_science.security.checks.templates import Templates
from tests.compliance import cloudformation
from tests.compliance.assembly import ROOT

LEAST_RULES = 60
EXAMPLES = [
    pytest.param(rule, example, id=f"{rule.id}-{name}")
    for rule in RULES
    for name, example in (("keeps", rule.compliant), ("breaks", rule.noncompliant))
]
# What was read, and no documentation in a package names.
READ = {"fsx/latest/LustreGuide/cannot-create-fs.html"}
each_rule = pytest.mark.parametrize("rule", RULES, ids=[rule.id for rule in RULES])
# Controls that the AI Security Best Practices, the Foundational Security Best Practices and the resource
# tagging standard of Security Hub list, and two that have been retired or are off by default.
CONTROLS = {
    "SageMaker": set(range(1, 26)), "Athena": {1, 4}, "DataFirehose": {1}, "EC2": {18}, "ECR": {2},
    "EFS": {1, 2, 3, 4, 6, 7, 8}, "FSx": {1, 2, 3, 4, 5}, "Glue": {1, 3, 4}, "IAM": {1, 21},
    "Kinesis": {1, 3}, "Lambda": {1, 2, 5}, "MSK": {1, 2, 3, 4, 5, 6}, "StepFunctions": {1},
}  # fmt: skip


def differing(rule: Rule) -> list[str]:
    """The resources that the rule looks at and whose properties make the difference of its examples; none if
    something else does."""
    good, bad = rule.compliant, rule.noncompliant
    judged = [key for key in good if good[key]["Type"] in rule.types and key in bad]
    return [
        key
        for key in judged
        if good.keys() == bad.keys() and good[key].get("Properties") != bad[key].get("Properties")
    ]


def found(rule: Rule, resources: Mapping[str, Any], **template: Any) -> list[Finding]:
    return judge(Templates.of({"Resources": resources, **template}), [rule])


def test_there_are_rules_enough_and_each_has_an_id_of_its_own() -> None:
    ids = [rule.id for rule in RULES]
    assert len(ids) >= LEAST_RULES
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"DataScience-[A-Z]+[1-9]\d*", name) for name in ids)


@each_rule
def test_the_compliant_example_breaks_nothing(rule: Rule) -> None:
    assert found(rule, rule.compliant) == []


@each_rule
def test_the_noncompliant_example_is_found(rule: Rule) -> None:
    assert found(rule, rule.noncompliant)


@each_rule
def test_a_finding_says_what_fails_where_and_how_to_mend_it(rule: Rule) -> None:
    for finding in found(rule, rule.noncompliant):
        assert finding.resource.type in rule.types
        assert finding.location.startswith("Properties")
        assert not finding.message.rstrip(".").endswith((" ", ".."))
        assert rule.title != rule.fails


@each_rule
def test_texts_are_sentences_without_their_full_stop(rule: Rule) -> None:
    for text in (rule.title, rule.fails, rule.fix):
        assert text[0].isupper() or not text[0].isalpha()
        assert not text.endswith(".")
    assert rule.why.endswith(".")


@pytest.mark.parametrize(("rule", "example"), EXAMPLES)
def test_an_example_is_as_cloudformation_takes_it(rule: Rule, example: Mapping[str, Any]) -> None:
    assert [problem for document in example.values() for problem in unknown_properties(document)] == []


@each_rule
def test_a_value_that_only_the_deployment_knows_is_judged_as_the_rule_says(rule: Rule) -> None:
    """The property that the noncompliant example breaks the rule with becomes a parameter."""
    for finding in found(rule, rule.noncompliant):
        broken = copy.deepcopy(dict(rule.noncompliant))
        properties = broken[finding.resource.logical_id]["Properties"]
        if not finding.at or not replace_value(properties, finding.at, {"Ref": "Given"}):
            continue
        again = found(rule, broken, Parameters={"Given": {"Type": "String"}})
        same = [other for other in again if (other.at, other.detail) == (finding.at, finding.detail)]
        assert bool(same) is (rule.unknown is Unknown.FAILS)


UNKNOWNS: tuple[Any, ...] = (
    {"Ref": "Given"},
    {"Fn::GetAtt": ["Given", "Arn"]},
    {"Fn::Select": [0, {"Ref": "Given"}]},
    {"Fn::If": ["IsGiven", {"Ref": "Given"}, {"Ref": "AWS::NoValue"}]},
)
ODD: tuple[Any, ...] = (None, 0, "", True, [], {}, [None], ["x"], [{}])


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where each value is in properties; what is inside of functions is left alone."""
    if path:
        yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inside:
        if key != "Ref" and not str(key).startswith("Fn::"):
            yield from places(item, (*path, key))


def changed(example: Mapping[str, Any], values: Sequence[Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """An example with each value, and each part as a whole, in turn replaced by what a template may hold."""
    for key, document in example.items():
        for path in places(document.get("Properties", {})):
            for value in values:
                yield value, put(example, (key, "Properties", *path), value)


def put(whole: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy with another value at a path; what is beside the path is shared."""
    if not path:
        return value
    made = list(whole) if isinstance(whole, list) else dict(whole)
    made[path[0]] = put(whole[path[0]], path[1:], value)
    return made


GIVEN = {
    "Parameters": {"Given": {"Type": "String"}},
    "Conditions": {"IsGiven": {"Fn::Equals": [{"Ref": "Given"}, "x"]}},
}


@each_rule
def test_no_value_ends_the_checks_and_none_that_is_unknown_is_called_wrong(rule: Rule) -> None:
    for value, resources in changed(rule.compliant, UNKNOWNS):
        told = found(rule, resources, **GIVEN)
        # An `Fn::If` may leave the property out, which may break the rule.
        if "Fn::If" not in value and rule.unknown is Unknown.PASSES:
            assert told == [], resources
    for _, resources in changed(rule.noncompliant, (*UNKNOWNS[2:], *ODD)):
        found(rule, resources, **GIVEN)


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule.id) for rule in RULES if differing(rule)])
def test_a_value_behind_a_condition_is_judged_for_both_outcomes(rule: Rule) -> None:
    """`Fn::If` between what keeps the rule and what breaks it: one of two deployments breaks it."""
    mixed = dict(rule.compliant)
    for key in differing(rule):
        good, bad = (example[key].get("Properties", {}) for example in (rule.compliant, rule.noncompliant))
        mixed[key] = {"Type": rule.compliant[key]["Type"], "Properties": either(good, bad)}
    assert found(rule, mixed, Conditions={"IsGood": {"Fn::Equals": [{"Ref": "Given"}, "good"]}})


@each_rule
def test_a_rule_follows_what_aws_says(rule: Rule) -> None:
    for source in rule.follows:
        page = source.url.removeprefix("https://docs.aws.amazon.com/")
        assert page != source.url
        if page.startswith("securityhub/"):
            service, _, number = source.name.partition(".")
            assert int(number) in CONTROLS[service], f"{source.name} is no control that is written down here"
        else:
            assert page in READ or page in named_pages() or is_api_page(page), (
                f"nothing of AWS names {source.url}"
            )


def test_every_service_that_the_pack_is_about_has_rules() -> None:
    services = {section(rule) for rule in RULES}
    assert services == {
        *("SM", "JOB", "LF", "GL", "ATH", "FSX", "EFS", "SFN", "KIN", "FH", "MSK", "LAM", "IAM", "DATA"),
        "COST",
    }


@pytest.mark.parametrize("missing", ["compliant", "noncompliant", "follows", "title", "why", "fix"])
def test_a_rule_without_one_of_its_parts_cannot_be_made(missing: str) -> None:
    rule = RULES[0]
    parts = {name: getattr(rule, name) for name in Rule.__slots__}  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=rule.id):
        Rule(**(parts | {missing: type(parts[missing])()}))


def either(good: Any, bad: Any) -> Any:
    """A value that is the good one under a condition, and else the bad one."""
    if isinstance(good, dict) and isinstance(bad, dict):
        nothing = {"Ref": "AWS::NoValue"}
        return {
            key: good[key]
            if good.get(key) == bad.get(key)
            else {"Fn::If": ["IsGood", good.get(key, nothing), bad.get(key, nothing)]}
            for key in {**good, **bad}
        }
    return {"Fn::If": ["IsGood", good, bad]}


def replace_value(document: Any, path: str, value: Any) -> bool:
    """Put a value at a path where something is; False where there is nothing."""
    steps = [name or int(index) for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path)]
    for step in steps[:-1]:
        try:
            document = document[step]
        except (KeyError, IndexError, TypeError):
            return False
    last = steps[-1]
    if not (isinstance(document, list) or (isinstance(document, dict) and last in document)):
        return False
    document[last] = value
    return True


def unknown_properties(document: Mapping[str, Any]) -> list[str]:
    """Properties that CloudFormation's schema does not know, and required ones that are missing."""
    schema = cloudformation.schema(document["Type"])
    assert schema is not None
    definitions = schema.get("definitions", {})

    def walk(value: Any, part: Mapping[str, Any], path: str) -> Iterator[str]:
        while "$ref" in part:
            part = definitions[part["$ref"].rpartition("/")[2]]
        if isinstance(value, list):
            for number, item in enumerate(value):
                yield from walk(item, part.get("items", {}), f"{path}[{number}]")
        elif isinstance(value, dict) and "properties" in part and not is_function(value):
            yield from (
                f"{path}: {name} is missing" for name in part.get("required", ()) if name not in value
            )
            for name, inner in value.items():
                if name not in part["properties"]:
                    yield f"{path}.{name} is unknown"
                else:
                    yield from walk(inner, part["properties"][name], f"{path}.{name}")

    return list(walk(document.get("Properties", {}), schema, document["Type"]))


def is_function(value: Mapping[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)).startswith(("Ref", "Fn::"))


@functools.cache
def named_pages() -> str:
    """The documentation of aws-cdk-lib and botocore for the services of the pack: it names AWS's pages."""
    cdk = Path(aws_cdk.__file__).parent
    modules = (
        *("sagemaker", "lakeformation", "glue", "athena", "fsx", "efs", "stepfunctions", "kinesis", "msk"),
        *(
            "stepfunctions_tasks",
            "kinesisfirehose",
            "lambda",
            "budgets",
            "iam",
            "applicationautoscaling",
            "logs",
        ),
    )
    texts = [(cdk / f"aws_{name}" / "__init__.py").read_text(encoding="utf-8") for name in modules]
    texts.append((cdk / "__init__.py").read_text(encoding="utf-8"))
    session = botocore.session.Session()
    for service in ("sagemaker", "glue", "lakeformation", "fsx", "efs", "kafka", "lambda", "iam"):
        model = session.get_service_model(service)
        texts.append(str(model._service_description))
    return "\n".join(texts)


def is_api_page(page: str) -> bool:
    """Whether a page of an API reference is about an operation or a shape that the service has."""
    service, _, name = page.removesuffix(".html").partition("/latest/APIReference/API_")
    names = {"firehose": "firehose", "sagemaker": "sagemaker", "athena": "athena"}
    if service not in names:
        return False
    model = botocore.session.Session().get_service_model(names[service])
    return name in {*model.operation_names, *model.shape_names}


def test_the_tables_of_the_documentation_are_current() -> None:
    page = (ROOT / "docs" / "checks.md").read_text(encoding="utf-8")
    command = "python -m cdk_data_science.security.checks docs/checks.md"
    assert replaced(page) == page, f"write them again: {command}"
    assert command in page
    assert all(f"`{rule.id}`" in page for rule in RULES)
