"""Quality rules in AWS Glue's Data Quality Definition Language, written once for tables and for pipelines."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from cdk_data_science._validation import Problems, is_token

GATE_RULES = frozenset(
    {
        "ColumnCount",
        "ColumnDataType",
        "ColumnExists",
        "ColumnLength",
        "ColumnValues",
        "Completeness",
        "DistinctValuesCount",
        "IsComplete",
        "IsPrimaryKey",
        "IsUnique",
        "Mean",
        "RowCount",
        "StandardDeviation",
        "Sum",
        "UniqueValueRatio",
        "Uniqueness",
    }
)
"""The rule types that a pipeline's function evaluates itself; a test keeps the two equal."""

GLUE_RULES = GATE_RULES | {
    "AggregateMatch",
    "AllStatistics",
    "ColumnCorrelation",
    "ColumnNamesMatchPattern",
    "CustomSql",
    "DataFreshness",
    "DatasetMatch",
    "DetectAnomalies",
    "Entropy",
    "FileFreshness",
    "FileMatch",
    "FileSize",
    "FileUniqueness",
    "ReferentialIntegrity",
    "RowCountMatch",
    "SchemaMatch",
    "Variance",
}
"""All rule types of Glue.

See https://docs.aws.amazon.com/glue/latest/dg/dqdl-rule-types.html.
"""

_ONE_COLUMN = {
    "ColumnDataType",
    "ColumnExists",
    "ColumnLength",
    "ColumnValues",
    "Completeness",
    "DataFreshness",
    "DistinctValuesCount",
    "Entropy",
    "IsComplete",
    "Mean",
    "StandardDeviation",
    "Sum",
    "UniqueValueRatio",
    "Variance",
}
_COLUMNS = {"ColumnCorrelation", "IsPrimaryKey", "IsUnique", "Uniqueness"}
_SHARES = {"Completeness", "UniqueValueRatio", "Uniqueness"}
_LONGEST = 65_536

_TOKEN = re.compile(
    r"""
      (?P<space>\s+|\#[^\n]*)
    | (?P<string>"(?:\\.|[^"\\])*")
    | (?P<number>-?[0-9]+(?:\.[0-9]+)?)
    | (?P<word>[A-Za-z_][A-Za-z0-9_.]*)
    | (?P<symbol>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_CONNECTORS = {"and", "AND", "or", "OR"}
_PAIRS = {"(": ")", "[": "]"}
_FRAME = [("word", "Rules"), ("symbol", "="), ("symbol", "[")]

_Token = tuple[str, str]


@dataclass(slots=True)
class _Rule:
    """What is checked of one rule before it is evaluated."""

    kind: str
    columns: list[str] = field(default_factory=list)
    rest: list[_Token] = field(default_factory=list)

    def shares(self) -> list[float]:
        """Numbers that a share of the rows or of the values is compared with."""
        words = [value for _, value in self.rest]
        if "threshold" in words:
            compared = self.rest[words.index("threshold") + 1 :]
        elif self.kind in _SHARES:
            compared = self.rest
        else:
            return []
        # Of arithmetic and dynamic rules, such as avg(last(3)), only Glue knows the value.
        plain = all(kind == "number" or value in _COMPARING for kind, value in compared)
        return [float(value) for kind, value in compared if kind == "number"] if plain else []


_COMPARING = {"=", "!", "<", ">", "between", "in", "not", "and", "AND", "[", "]", ",", "with", "threshold"}


@dataclass(frozen=True, slots=True)
class QualityRules:
    """The rules that data have to meet, as Glue writes them: of a table (``table.add_quality_rules``), of the
    new data of a pipeline (:class:`~cdk_data_science.pipelines.QualityGate`), or of both.

    ```python
    from cdk_data_science import QualityRules

    rules = QualityRules('Rules = [ RowCount > 1000, IsUnique "id", ColumnValues "rating" between -4 and 4 ]')
    ```

    Checked here are brackets, quotes, the types of rules, and shares that can be none. The rest is checked
    where the rules meet a table or a gate: columns that the table lacks, rule types that the gate does not
    evaluate.

    Raises:
        ConfigurationError: The text is no ruleset, uses a rule type that Glue does not know, or compares a
            share with a number that is not between 0 and 1.
    """

    text: str

    def __post_init__(self) -> None:
        """Refuse what cannot be a ruleset."""
        if is_token(self.text):
            return
        problems = Problems("QualityRules")
        tokens = _tokens(self.text)
        problems.check(
            ("symbol", '"') not in tokens,
            given="a quote that is never closed",
            allowed="strings in double quotes",
        )
        unbalanced = _unbalanced(tokens)
        problems.check(
            unbalanced is None,
            given=f"{unbalanced} without its counterpart",
            allowed="as many opening as closing brackets and parentheses, in order",
        )
        problems.check(
            len(self.text) <= _LONGEST,
            given=f"a ruleset of {len(self.text)} characters",
            allowed=f"at most {_LONGEST}",
        )
        framed = tokens[:3] == _FRAME and _end_of_list(tokens) == len(tokens) - 1
        problems.check(
            framed,
            given=f"rules that begin with {self.text.strip()[:40]!r}",
            allowed="Rules = [ rule, rule … ]",
            write="Rules = [ RowCount > 0 ]",
        )
        if framed:
            _check(problems, _rules(tokens[3:-1]))
        problems.raise_if_any()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that rules name, each once, in their order; what is within SQL is not looked at."""
        found = [column for rule in self._rules() for column in rule.columns]
        return tuple(dict.fromkeys(found))

    @property
    def only_in_glue(self) -> tuple[str, ...]:
        """Rule types that need Glue, each once: a function with one file cannot evaluate them."""
        found = [rule.kind for rule in self._rules() if rule.kind not in GATE_RULES]
        return tuple(dict.fromkeys(found))

    def _rules(self) -> list[_Rule]:
        return [] if is_token(self.text) else _rules(_tokens(self.text)[3:-1])


def _check(problems: Problems, rules: list[_Rule]) -> None:
    problems.check(bool(rules), given="no rule", allowed="at least one", write="Rules = [ RowCount > 0 ]")
    for kind in dict.fromkeys(rule.kind for rule in rules):
        problems.check(
            kind in GLUE_RULES,
            given=f"the rule {kind}",
            allowed=f"the rule types of Glue: {', '.join(sorted(GLUE_RULES))}",
        )
    for rule in rules:
        wrong = [share for share in rule.shares() if not 0 <= share <= 1]
        problems.check(
            not wrong,
            given=f"{' '.join([rule.kind, *map(repr, rule.columns)])} compared with "
            f"{', '.join(map(str, wrong))}",
            allowed="a share, 0 to 1",
            write="> 0.95 for 95 percent",
        )


def _tokens(text: str) -> list[_Token]:
    """The text's pieces without spaces and comments; what is written in a string is one piece."""
    found = [(match.lastgroup or "", match.group()) for match in _TOKEN.finditer(text)]
    return [token for token in found if token[0] != "space"]


def _rules(tokens: list[_Token]) -> list[_Rule]:
    """The rules of a list, those that are connected by ``and`` and ``or`` one by one."""
    rules: list[_Rule] = []
    begins, depth = True, 0
    for index, (kind, value) in enumerate(tokens):
        if begins and kind == "word":
            rules.append(_Rule(value))
            begins = False
            continue
        if value in _PAIRS:
            depth += 1
        elif value in _PAIRS.values():
            depth -= 1
        if (kind, value) == ("symbol", ",") and depth == 0:
            begins = True
            continue
        if value in _CONNECTORS and tokens[index - 1] == ("symbol", ")") and _opens(tokens, index + 1):
            begins = True
            continue
        if begins or not rules:
            continue
        rule = rules[-1]
        if kind == "string" and not rule.rest and _takes_column(rule):
            rule.columns.append(value[1:-1].replace('\\"', '"').replace("\\\\", "\\"))
        elif (kind, value) != ("symbol", ")"):
            rule.rest.append((kind, value))
    return rules


def _opens(tokens: list[_Token], index: int) -> bool:
    return tokens[index : index + 1] == [("symbol", "(")]


def _takes_column(rule: _Rule) -> bool:
    return rule.kind in _COLUMNS or (rule.kind in _ONE_COLUMN and not rule.columns)


def _end_of_list(tokens: list[_Token]) -> int | None:
    """Where the first list ends."""
    depth = 0
    for index, (_, value) in enumerate(tokens):
        depth += (value in _PAIRS) - (value in _PAIRS.values())
        if value in _PAIRS.values() and depth == 0:
            return index
    return None


def _unbalanced(tokens: list[_Token]) -> str | None:
    opened: list[str] = []
    for _, value in tokens:
        if value in _PAIRS:
            opened.append(value)
        elif value in _PAIRS.values() and (not opened or _PAIRS[opened.pop()] != value):
            return value
    return opened[-1] if opened else None
