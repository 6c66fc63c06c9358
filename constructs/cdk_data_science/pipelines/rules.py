"""Quality rules in a subset of AWS Glue's Data Quality Definition Language."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cdk_data_science._validation import Problems, is_token

RULE_NAMES = frozenset(
    {
        "RowCount",
        "ColumnCount",
        "ColumnExists",
        "IsComplete",
        "Completeness",
        "IsUnique",
        "Uniqueness",
        "ColumnValues",
        "ColumnDataType",
        "ColumnLength",
        "DistinctValuesCount",
        "Mean",
        "StandardDeviation",
        "Sum",
        "IsPrimaryKey",
        "UniqueValueRatio",
    }
)
"""The rule types that the quality gate knows; a test keeps the two equal."""

_STRING = re.compile(r'"(?:\\.|[^"\\])*"')
_COMMENT = re.compile(r"#[^\n]*")
_SHAPE = re.compile(r"\s*Rules\s*=\s*\[(?P<rules>.*)\]\s*", re.DOTALL)
_RULE_NAME = re.compile(r"(?:^|[\[(,])\s*([A-Za-z_]\w*)")
_PAIRS = {"(": ")", "[": "]"}


@dataclass(frozen=True, slots=True)
class QualityRules:
    """The rules that new data has to meet, as Glue writes them.

    ```python
    from cdk_data_science import QualityRules

    rules = QualityRules('Rules = [ RowCount > 1000, IsUnique "id", ColumnValues "rating" between -4 and 4 ]')
    ```

    The shape is checked here: brackets, quotes, names of rules. The quality gate checks the rest when it
    runs.

    Raises:
        ConfigurationError: the text is no ruleset, or uses a rule that the quality gate does not know.
    """

    text: str

    def __post_init__(self) -> None:
        """Refuse what cannot be a ruleset."""
        if is_token(self.text):
            return
        problems = Problems("QualityRules")
        # What is written in a string is not part of the grammar.
        bare = _without_strings(self.text)
        shape = _SHAPE.fullmatch(bare)
        problems.check(
            shape is not None,
            given=f"rules that begin with {self.text.strip()[:40]!r}",
            allowed="Rules = [ rule, rule … ]",
            write="Rules = [ RowCount > 0 ]",
        )
        problems.check(
            '"' not in bare, given="a quote that is never closed", allowed="strings in double quotes"
        )
        unbalanced = _unbalanced(bare)
        problems.check(
            unbalanced is None,
            given=f"{unbalanced} without its counterpart",
            allowed="as many opening as closing brackets and parentheses, in order",
        )
        if shape is not None:
            names = _RULE_NAME.findall(_without_lists(shape["rules"]))
            problems.check(
                bool(names), given="no rule", allowed="at least one", write="Rules = [ RowCount > 0 ]"
            )
            for name in dict.fromkeys(names):
                problems.check(
                    name in RULE_NAMES,
                    given=f"the rule {name}",
                    allowed=", ".join(sorted(RULE_NAMES)),
                )
        problems.raise_if_any()


def _without_strings(text: str) -> str:
    """Drop comments and replace each string, in one pass, since either may hold the other's sign."""
    return re.sub(
        rf"{_STRING.pattern}|{_COMMENT.pattern}", lambda match: "s" if match[0].startswith('"') else "", text
    )


def _without_lists(rules: str) -> str:
    """Drop ``in [ … ]``: what stands in a list is a value, not a rule."""
    return re.sub(r"\[[^\[\]]*\]", "l", rules)


def _unbalanced(text: str) -> str | None:
    opened: list[str] = []
    for character in text:
        if character in _PAIRS:
            opened.append(character)
        elif character in _PAIRS.values() and (not opened or _PAIRS[opened.pop()] != character):
            return character
    return opened[-1] if opened else None
