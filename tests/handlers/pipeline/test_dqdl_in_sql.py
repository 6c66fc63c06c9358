"""The same rules, asked of DuckDB: another engine decides what NULLs, casts and groups do."""

from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import pytest
from handlers.pipeline.asset import dqdl
from handlers.pipeline.generated_rules import any_rule, cells
from hypothesis import example, given
from hypothesis import strategies as st

HEADER = ["a", "b", 'c "quoted"']
TYPES = {"DOUBLE": "DOUBLE", "INTEGER": "INTEGER", "DATE": "DATE"}


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(f"CREATE TABLE data ({', '.join(f'{name(column)} VARCHAR' for column in HEADER)})")
    yield connection
    connection.close()


def name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def compared(measured: str, condition: Any) -> str:
    """A condition on a number, as SQL."""
    operands = [f"CAST({operand!r} AS DOUBLE)" for operand in condition.operands]
    operator = condition.operator
    if operator.endswith("between"):
        negated = "NOT " if operator.startswith("not") else ""
        return f"{negated}({measured} > {operands[0]} AND {measured} < {operands[1]})"
    if operator.endswith("in"):
        return f"{measured} {operator} ({', '.join(operands)})"
    return f"{measured} {operator} {operands[0]}"


def value_meets(column: str, condition: Any) -> str:
    number = f"TRY_CAST({column} AS DOUBLE)"
    operator = condition.operator
    if operator in ("=", "in", "!=", "not in"):
        one = [is_one_of(column, operand) for operand in condition.operands]
        found = f"COALESCE({' OR '.join(one)}, FALSE)"
        return found if operator in ("=", "in") else f"NOT {found}"
    if operator.endswith("matches"):
        matched = f"regexp_full_match({column}, {text(condition.operands[0])})"
        return f"COALESCE({'NOT ' if operator.startswith('not') else ''}{matched}, FALSE)"
    return f"COALESCE({compared(number, condition)}, FALSE)"


def is_one_of(column: str, operand: Any) -> str:
    if isinstance(operand, dqdl.Keyword):
        # A CSV reader gives no empty strings: what is empty is NULL.
        spaces = f"COALESCE(length({column}) > 0 AND length(trim({column}, chr(9) || ' ')) = 0, FALSE)"
        return spaces if operand is dqdl.Keyword.WHITESPACES_ONLY else f"{column} IS NULL"
    if isinstance(operand, str):
        return f"{column} IS NULL" if operand == "" else f"COALESCE({column} = {text(operand)}, FALSE)"
    return f"COALESCE(TRY_CAST({column} AS DOUBLE) = {operand!r}, FALSE)"


def type_meets(column: str, kind: str) -> str:
    if kind == "BOOLEAN":
        words = ", ".join(map(text, ["true", "t", "yes", "y", "1", "false", "f", "no", "n", "0"]))
        return f"({column} IS NULL OR lower({column}) IN ({words}))"
    cast = f"TRY_CAST({column} AS {TYPES[kind]}) IS NOT NULL"
    # DuckDB rounds 0.5 to an integer, and Spark does not take it for one.
    whole = f" AND NOT contains({column}, '.')" if kind == "INTEGER" else ""
    return f"({column} IS NULL OR ({cast}{whole}))"


def query(rule: Any) -> str:
    """One boolean: whether a rule holds."""
    if isinstance(rule, dqdl.Composite):
        return f" {rule.operator.upper()} ".join(f"({query(operand)})" for operand in rule.operands)
    if rule.kind == "RowCount":
        return f"(SELECT {compared('count(*)', rule.condition)} FROM data)"
    if rule.kind == "ColumnCount":
        columns = "(SELECT count(*) FROM information_schema.columns WHERE table_name = 'data')"
        return compared(columns, rule.condition)
    if not set(rule.columns) <= set(HEADER):
        return "FALSE"
    if rule.kind == "ColumnExists":
        return "TRUE"
    return _of_columns(rule, [name(column) for column in rule.columns])


def _of_columns(rule: Any, columns: Sequence[str]) -> str:
    first = columns[0]
    if rule.kind in ("ColumnValues", "ColumnLength", "ColumnDataType"):
        meets = {
            "ColumnValues": lambda: value_meets(first, rule.condition),
            "ColumnLength": lambda: compared(f"length(COALESCE({first}, ''))", rule.condition),
            "ColumnDataType": lambda: type_meets(first, rule.condition.operands[0]),
        }[rule.kind]()
        share = f"avg(CASE WHEN {meets} THEN 1.0::DOUBLE ELSE 0.0::DOUBLE END)"
        wanted = f"{share} = 1" if rule.threshold is None else compared(share, rule.threshold)
        return f"(SELECT {wanted} FROM data)"
    if rule.kind in ("IsComplete", "Completeness"):
        share = f"count({first}) / count(*)"
        return f"(SELECT {compared(share, rule.condition) if rule.condition else f'{share} = 1'} FROM data)"
    if rule.kind in ("Mean", "Sum", "StandardDeviation"):
        measure = {"Mean": "avg", "Sum": "sum", "StandardDeviation": "stddev_pop"}[rule.kind]
        number = f"TRY_CAST({first} AS DOUBLE)"
        measured = compared(f"{measure}({number})", rule.condition)
        return f"(SELECT count({first}) > 0 AND count({first}) = count({number}) AND {measured} FROM data)"
    return _of_groups(rule, columns)


def _of_groups(rule: Any, columns: Sequence[str]) -> str:
    present = " OR ".join(f"{column} IS NOT NULL" for column in columns)
    groups = f"(SELECT count(*) AS n FROM data WHERE {present} GROUP BY {', '.join(columns)})"
    once, values = "COALESCE(sum(CASE WHEN n = 1 THEN 1 ELSE 0 END), 0)", "COALESCE(sum(n), 0)"
    if rule.kind == "DistinctValuesCount":
        return f"(SELECT {compared('count(*)', rule.condition)} FROM {groups})"
    if rule.kind == "IsPrimaryKey":
        complete = " AND ".join(f"count({column}) = count(*)" for column in columns)
        return f"((SELECT {complete} FROM data) AND (SELECT max(n) = 1 FROM {groups}))"
    if rule.kind == "IsUnique":
        return f"(SELECT {values} > 0 AND {once} = {values} FROM {groups})"
    of = values if rule.kind == "Uniqueness" else "count(*)"
    return f"(SELECT {values} > 0 AND {compared(f'{once} / {of}', rule.condition)} FROM {groups})"


rules = st.lists(any_rule, min_size=1, max_size=12)
rows = st.lists(st.lists(cells, min_size=3, max_size=3), min_size=1, max_size=8)


def one(text: str, *values: str) -> Any:
    return example(dqdl.parse(f"Rules = [ {text} ]"), [[value, "", ""] for value in values])


@given(rules, rows)
@one('IsUnique "a"', "", "", "1")
@one('ColumnValues "a" not in [1, NULL]', "", "2")
@one('ColumnValues "a" != "x"', "")
@one('ColumnValues "a" between 1 and 3', "1", "2")
@one('ColumnValues "a" not between 1 and 3', "1", "3")
@one('ColumnValues "a" matches "a"', "a", "ab")
@one('ColumnLength "a" >= 1 with threshold >= 0.5', "", "x")
@one('StandardDeviation "a" = 0', "2", "2.0", "")
@one('StandardDeviation "a" between 0.9 and 1.1', "1", "3", "")
@one('UniqueValueRatio "a" = 0.5', "1", "1", "2", "")
@one('Uniqueness "a" between 0.3 and 0.4', "1", "1", "2", "")
def test_the_evaluator_answers_as_the_database_does(
    database: duckdb.DuckDBPyConnection, rules: list[Any], rows: list[list[str]]
) -> None:
    cells = ", ".join(f"({', '.join(text(cell) if cell else 'NULL' for cell in row)})" for row in rows)
    database.execute(f"DELETE FROM data; INSERT INTO data VALUES {cells}")
    answers = database.execute(f"SELECT {', '.join(map(query, rules))}").fetchone()
    assert answers is not None
    evaluation = dqdl.evaluate(rules, HEADER, enumerate(rows, 2))
    for rule, outcome, answer in zip(rules, evaluation.outcomes, answers, strict=True):
        assert outcome.passed is bool(answer), (outcome, query(rule))
