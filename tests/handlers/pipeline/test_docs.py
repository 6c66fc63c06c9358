"""The page about the rules says what the parser does."""

import re
from pathlib import Path

import pytest
from handlers.pipeline.asset import FOLDER, dqdl

PAGE = (Path(__file__).parents[3] / "docs" / "quality-rules.md").read_text(encoding="utf-8")


def test_the_ruleset_at_the_top_is_understood() -> None:
    (ruleset,) = re.findall(r"```text\n(Rules = \[\n.*?\n\])\n```", PAGE, re.DOTALL)
    assert len(dqdl.parse(ruleset)) == 9


_TABLE = re.findall(r"^\| (`[A-Z]\w+ .*?`) \| .* \| .* \|$", PAGE, re.MULTILINE)
_LINES = re.findall(r"^(ColumnValues .*)$", PAGE, re.MULTILINE)
EXAMPLES = [rule for cell in _TABLE for rule in re.findall(r"`(.*?)`", cell)] + _LINES


@pytest.mark.parametrize("rule", EXAMPLES)
def test_each_example_is_understood(rule: str) -> None:
    assert len(dqdl.parse(f"Rules = [ {rule} \n]")) == 1


def test_every_rule_type_has_an_example() -> None:
    assert len({rule.split()[0] for rule in EXAMPLES}) == 16


def test_each_rule_type_is_described_or_listed_as_refused() -> None:
    parser = (FOLDER / "dqdl" / "parser.py").read_text(encoding="utf-8")
    known = re.findall(r'^    "([A-Z]\w+)"[:,]', parser, re.MULTILINE)
    assert len(known) > 30
    assert [name for name in known if f"`{name}" not in PAGE] == []
