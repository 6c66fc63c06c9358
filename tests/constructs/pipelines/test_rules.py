"""QualityRules refuses what cannot be a ruleset."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cdk_data_science import ConfigurationError, QualityRules
from cdk_data_science.pipelines import RULE_NAMES

PARSER = Path(__file__).parents[3] / "lambda" / "pipeline" / "dqdl" / "parser.py"


def test_the_rules_are_those_that_the_quality_gate_knows() -> None:
    shapes = PARSER.read_text(encoding="utf-8").partition("_SHAPES = {")[2].partition("\n}")[0]
    assert frozenset(re.findall(r'^    "(\w+)":', shapes, re.MULTILINE)) == RULE_NAMES


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
        ('Rules = [ (RowCount > 1) and (CustomSql "select 1") ]', "the rule CustomSql"),
    ],
)
def test_what_is_no_ruleset_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        QualityRules(text)
