"""QualityRules refuses what cannot be a ruleset."""

from __future__ import annotations

import re
from pathlib import Path

import aws_cdk as cdk
import pytest

from cdk_data_science import ConfigurationError, QualityRules
from cdk_data_science.data_lake import GATE_RULES, GLUE_RULES

PARSER = Path(__file__).parents[3] / "lambda" / "pipeline" / "dqdl" / "parser.py"


def test_the_rules_are_those_that_the_quality_gate_knows() -> None:
    shapes = PARSER.read_text(encoding="utf-8").partition("_SHAPES = {")[2].partition("\n}")[0]
    assert frozenset(re.findall(r'^    "(\w+)":', shapes, re.MULTILINE)) == GATE_RULES


@pytest.mark.parametrize(
    "text",
    [
        "Rules = [ RowCount > 100 ]",
        'Rules = [\n  # keys\n  IsUnique "id", IsComplete "a, b]"\n]',
        'Rules = [ (RowCount > 1) and (ColumnValues "x" in ["a", "b"]) ]',
        'Rules = [ ColumnValues "x" matches "[0-9]+\\"(" ]',
    ],
)
def test_a_ruleset_passes(text: str) -> None:
    assert QualityRules(text).text == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Rules = "),
        ("RowCount > 1", "Rules = "),
        ("Rules = [ ]", "at least one"),
        ("Rules = [ RowCount > 1", "without its counterpart"),
        ("Rules = [ (RowCount > 1 ]", "without its counterpart"),
        ('Rules = [ IsUnique "id ]', "a quote that is never closed"),
        ("Rules = [ Rowcount > 1 ]", "the rule Rowcount"),
        ('Rules = [ (RowCount > 1) and (CustomSQL "select 1") ]', "the rule CustomSQL"),
        (
            'Rules = [ Completeness "a" > 95 ]',
            "Completeness 'a' compared with 95.0; allowed: a share, 0 to 1",
        ),
        ('Rules = [ Uniqueness "a" "b" between 0.5 and 2 ]', "Uniqueness 'a' 'b' compared with 2.0"),
        ('Rules = [ ColumnValues "a" > 5 with threshold > 99 ]', "ColumnValues 'a' compared with 99.0"),
        ("Rules = [ RowCount > 1 ] Analyzers = [ RowCount ]", "Rules = [ rule"),
        (f"Rules = [ {'RowCount > 1,' * 6000} RowCount > 1 ]", "at most 65536"),
    ],
)
def test_what_is_no_ruleset_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        QualityRules(text)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        QualityRules('Rules = [ Rowcount > 1, IsComplet "a", Completeness "b" > 95 ]')
    assert all(part in str(caught.value) for part in ("3 problems", "Rowcount", "IsComplet", "'b'"))


@pytest.mark.parametrize(
    ("rules", "columns"),
    [
        ('IsUnique "a" "b", IsComplete "a"', ("a", "b")),
        ('(ColumnValues "a" in ["x", "y"]) or ((Mean "c" > 1) and (RowCount > 1))', ("a", "c")),
        ('ColumnValues "code" matches "[A-Z],(x", ColumnLength "t" between 1 and 9', ("code", "t")),
        ('IsComplete "a \\"quoted\\" name", ColumnExists "(b)"', ('a "quoted" name', "(b)")),
        ('RowCount > avg(last(10)), CustomSql "select count(*) from primary" > 1', ()),
        ('ColumnValues "n" > 1 where "country = \'DE\'"', ("n",)),
        ('ReferentialIntegrity "a" "other.{a}" > 0.9, ColumnCorrelation "x" "y" > 0.5', ("x", "y")),
        ('# IsComplete "z"\nIsComplete "a" # IsComplete "y"\n', ("a",)),
    ],
)
def test_the_columns_that_rules_name_are_known(rules: str, columns: tuple[str, ...]) -> None:
    assert QualityRules(f"Rules = [ {rules} ]").columns == columns


def test_what_needs_glue_is_told() -> None:
    rules = QualityRules('Rules = [ RowCount > 1, (Entropy "a" > 1) and (Entropy "b" > 1), FileSize < 5 ]')
    assert rules.only_in_glue == ("Entropy", "FileSize")
    assert QualityRules("Rules = [ RowCount > 1 ]").only_in_glue == ()


def test_the_function_names_everything_that_glue_alone_evaluates() -> None:
    glue_alone = PARSER.read_text(encoding="utf-8").partition("_ONLY_IN_GLUE = {")[2].partition("}")[0]
    assert frozenset(re.findall(r'"(\w+)"', glue_alone)) == GLUE_RULES - GATE_RULES


def test_a_text_that_is_known_at_deployment_only_is_not_looked_at() -> None:
    rules = QualityRules(cdk.Fn.ref("Rules"))
    assert rules.columns == rules.only_in_glue == ()
