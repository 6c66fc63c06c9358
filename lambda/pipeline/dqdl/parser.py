"""Tokens to rules: a hand-written parser whose errors say what was found and what could stand there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches

from .model import Composite, Condition, Keyword, Operand, Rule, Simple
from .tokens import RulesError, Token, tokenize

_MAXIMUM_RULES = 2000  # Glue's own limit of rules in a ruleset
_MAXIMUM_DEPTH = 20

DATA_TYPES = ("BOOLEAN", "DATE", "TIMESTAMP", "INTEGER", "LONG", "FLOAT", "DOUBLE")


@dataclass(frozen=True, slots=True)
class _Shape:
    """What follows the name of a rule type."""

    columns: tuple[int, int | None] = (1, 1)
    condition: str = "none"  # "none", "number", "value", "type"
    threshold: bool = False


_SHAPES = {
    "RowCount": _Shape(columns=(0, 0), condition="number"),
    "ColumnCount": _Shape(columns=(0, 0), condition="number"),
    "ColumnExists": _Shape(),
    "IsComplete": _Shape(),
    "Completeness": _Shape(condition="number"),
    "IsUnique": _Shape(columns=(1, None)),
    "Uniqueness": _Shape(columns=(1, None), condition="number"),
    "UniqueValueRatio": _Shape(condition="number"),
    "DistinctValuesCount": _Shape(condition="number"),
    "IsPrimaryKey": _Shape(columns=(1, None)),
    "ColumnDataType": _Shape(condition="type", threshold=True),
    "ColumnLength": _Shape(condition="number", threshold=True),
    "ColumnValues": _Shape(condition="value", threshold=True),
    "Mean": _Shape(condition="number"),
    "Sum": _Shape(condition="number"),
    "StandardDeviation": _Shape(condition="number"),
}

# Rule types of Glue that need what a function with one file does not have: Spark, other data sets, history.
_ONLY_IN_GLUE = {
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
_SECTIONS_ONLY_IN_GLUE = {"Analyzers", "Metadata", "DataSources", "DefaultLabels"}
_OPERATORS = ("=", "!=", ">", ">=", "<", "<=", "between", "in", "matches")


def parse(text: str) -> list[Rule]:
    """Read `Rules = [ … ]`.

    Raises:
        RulesError: with line, column and a hint, for the first thing that is not understood.
    """
    return _Parser(text).document()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(tokenize(text))
        self._next = 0

    # Reading

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._token
        if token.kind != "end":
            self._next += 1
        return token

    def _at(self, *values: str) -> bool:
        return self._token.kind in ("symbol", "word") and self._token.value in values

    def _accept(self, *values: str) -> bool:
        if self._at(*values):
            self._next += 1
            return True
        return False

    def _expect(self, value: str, where: str) -> None:
        if not self._accept(value):
            raise self._error(f"expected {value!r} {where}, found {self._token}")

    def _error(self, message: str, token: Token | None = None) -> RulesError:
        return RulesError(message, self._text, (token or self._token).offset)

    # The document

    def document(self) -> list[Rule]:
        if self._token.kind == "word" and self._token.value in _SECTIONS_ONLY_IN_GLUE:
            raise self._error(f"the section {self._token.value} is not supported here, only Rules is")
        self._expect("Rules", "at the start: Rules = [ … ]")
        self._expect("=", 'after "Rules"')
        self._expect("[", 'after "Rules ="')
        if self._at("]"):
            raise self._error("there is no rule: a gate without rules would let everything pass")
        rules = [self._rule(depth=0)]
        while self._accept(","):
            if self._at("]"):
                raise self._error("a rule is missing after the last comma")
            rules.append(self._rule(depth=0))
        if len(rules) > _MAXIMUM_RULES:
            raise self._error(f"there are {len(rules)} rules, more than {_MAXIMUM_RULES}")
        self._expect("]", "or ',' after a rule")
        if self._token.kind == "word" and self._token.value in _SECTIONS_ONLY_IN_GLUE:
            raise self._error(f"the section {self._token.value} is not supported here, only Rules is")
        if self._token.kind != "end":
            raise self._error(f"nothing may follow the closing ']', found {self._token}")
        return rules

    def _rule(self, depth: int) -> Rule:
        if depth > _MAXIMUM_DEPTH:
            raise self._error(f"parentheses are nested more than {_MAXIMUM_DEPTH} deep")
        if not self._at("("):
            rule = self._simple()
            if self._at("and", "AND", "or", "OR"):
                raise self._error(f"put each rule that {self._token} connects in parentheses: (…) and (…)")
            return rule
        operands = [self._parenthesised(depth)]
        connector = ""
        while self._at("and", "AND", "or", "OR"):
            token = self._take()
            if connector and token.value.lower() != connector:
                raise self._error(
                    "'and' and 'or' stand side by side: say which comes first with parentheses, "
                    "as in ((…) and (…)) or (…)",
                    token,
                )
            connector = token.value.lower()
            if not self._at("("):
                raise self._error(f"expected '(' after {connector!r}, found {self._token}")
            operands.append(self._parenthesised(depth))
        return operands[0] if not connector else Composite(connector, tuple(operands))

    def _parenthesised(self, depth: int) -> Rule:
        self._expect("(", "before a rule")
        rule = self._rule(depth + 1)
        self._expect(")", "after the rule")
        return rule

    # One rule

    def _simple(self) -> Simple:
        name = self._take()
        if name.kind != "word":
            raise self._error(f"expected a rule type such as IsComplete, found {name}", name)
        shape = self._shape(name)
        columns = self._columns(name.value, shape)
        condition = self._condition_of(name.value, shape)
        threshold = self._threshold(name.value, shape)
        if self._at("where"):
            raise self._error("where clauses are not supported here; filter the data before the gate")
        if self._at("labels"):
            raise self._error("labels are not supported here")
        return Simple(name.value, columns, condition, threshold)

    def _shape(self, name: Token) -> _Shape:
        shape = _SHAPES.get(name.value)
        if shape is not None:
            return shape
        if name.value in _ONLY_IN_GLUE:
            raise self._error(
                f"{name.value} is a rule type of AWS Glue that this gate does not evaluate; it knows "
                f"{', '.join(_SHAPES)}",
                name,
            )
        close = get_close_matches(name.value, _SHAPES, n=1, cutoff=0.7)
        hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(_SHAPES)}"
        raise self._error(f"there is no rule type {name.value!r}; {hint}", name)

    def _columns(self, kind: str, shape: _Shape) -> tuple[str, ...]:
        least, most = shape.columns
        columns: list[str] = []
        while self._token.kind == "string" and (most is None or len(columns) < most):
            token = self._take()
            column = _unescape(token.value)
            if not column:
                raise self._error("a column's name cannot be empty", token)
            if column in columns:
                raise self._error(f'the column "{column}" is named twice', token)
            columns.append(column)
        if len(columns) < least:
            raise self._error(
                f'{kind} needs a column in double quotes, as in {kind} "text"; found {self._token}'
            )
        if self._token.kind == "string":
            allowed = "no column" if most == 0 else f"{most} column"
            raise self._error(f"{kind} takes {allowed}, found also {self._token}")
        return tuple(columns)

    def _condition_of(self, kind: str, shape: _Shape) -> Condition | None:
        if shape.condition == "none":
            if self._at(*_OPERATORS, "not"):
                raise self._error(f"{kind} takes no condition, found {self._token}")
            return None
        if shape.condition == "type":
            return self._data_type()
        start = self._token
        condition = self._condition(kind)
        if shape.condition == "number" and not all(
            isinstance(operand, float) for operand in condition.operands
        ):
            raise self._error(f"{kind} is a number: compare it with numbers", start)
        return condition

    def _data_type(self) -> Condition:
        self._expect("=", 'and a type, as in ColumnDataType "x" = "DOUBLE"')
        token = self._take()
        if token.kind != "string" or token.value.upper() not in DATA_TYPES:
            raise self._error(
                f"expected one of the types {', '.join(DATA_TYPES)} in quotes, found {token}", token
            )
        return Condition("=", (token.value.upper(),))

    def _threshold(self, kind: str, shape: _Shape) -> Condition | None:
        if not self._accept("with"):
            return None
        self._expect("threshold", "after 'with'")
        if not shape.threshold:
            with_threshold = [name for name, other in _SHAPES.items() if other.threshold]
            raise self._error(f"{kind} takes no threshold; only {', '.join(with_threshold)} do")
        start = self._token
        condition = self._condition("threshold")
        if not all(isinstance(operand, float) and 0 <= operand <= 1 for operand in condition.operands):
            raise self._error("a threshold is a share of the rows: numbers from 0 to 1", start)
        return condition

    # Conditions

    def _condition(self, of: str) -> Condition:
        negated = "not " if self._accept("not") else ""
        operator = self._take()
        if operator.kind not in ("symbol", "word") or operator.value not in _OPERATORS:
            raise self._error(
                f"expected a condition of {of} ({' '.join(_OPERATORS)}), found {operator}", operator
            )
        match operator.value:
            case "between":
                return self._between(negated)
            case "in":
                return Condition(f"{negated}in", self._operands())
            case "matches":
                return self._matches(negated)
        if negated:
            raise self._error(f"'not' goes with between, in and matches, not with {operator}", operator)
        if operator.value in ("=", "!="):
            return Condition(operator.value, (self._operand(),))
        return Condition(operator.value, (self._number(f"after {operator.value!r}"),))

    def _between(self, negated: str) -> Condition:
        start = self._token
        low = self._number("after 'between'")
        if not self._accept("and", "AND"):
            raise self._error(f"expected 'and' between the two numbers, found {self._token}")
        high = self._number("after 'and'")
        if low >= high:
            raise self._error("nothing lies between these: the first number must be the smaller one", start)
        return Condition(f"{negated}between", (low, high))

    def _matches(self, negated: str) -> Condition:
        token = self._take()
        if token.kind != "string":
            raise self._error(f"expected a regular expression in double quotes, found {token}", token)
        try:
            re.compile(token.value)
        except re.error as error:
            raise self._error(f"this is not a regular expression: {error}", token) from None
        # A regular expression keeps its backslashes: they are its own.
        return Condition(f"{negated}matches", (token.value,))

    def _operands(self) -> tuple[Operand, ...]:
        start = self._token
        self._expect("[", "after 'in'")
        operands = [self._operand()]
        while self._accept(","):
            operands.append(self._operand())
        self._expect("]", "or ',' in the list")
        if any(isinstance(operand, float) for operand in operands) and not all(
            isinstance(operand, float) or operand is Keyword.NULL for operand in operands
        ):
            raise self._error("a list holds numbers or strings, not both; beside numbers only NULL", start)
        return tuple(operands)

    def _operand(self) -> Operand:
        if self._token.kind == "string":
            return _unescape(self._take().value)
        if self._token.kind == "word" and self._token.value.upper() in Keyword.__members__:
            return Keyword[self._take().value.upper()]
        return self._number("or a string")

    def _number(self, where: str) -> float:
        token = self._take()
        if token.kind == "number":
            return float(token.value)
        if token.kind == "word" and self._at("("):
            raise self._error(
                f"functions are not supported here ({token.value}(…)): dates and dynamic rules need AWS Glue",
                token,
            )
        if token.kind == "string":
            raise self._error(
                f"expected a number {where}, found {token}; dates cannot be compared here", token
            )
        raise self._error(f"expected a number {where}, found {token}", token)


def _unescape(text: str) -> str:
    return re.sub(r'\\(["\\])', r"\1", text)
