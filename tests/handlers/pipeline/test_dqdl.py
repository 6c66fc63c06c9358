"""The rule language: what it reads, what it refuses, and that its answers are those of a naive reading."""

import re
import statistics
from typing import Any

import pytest
from handlers.pipeline.asset import dqdl
from handlers.pipeline.generated_rules import any_rule, cells
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.surroundings import examples

HEADER = ["id", "text", "rating"]
ROWS = [["1", "good", "2.5"], ["2", "", "-1"], ["3", "bad", ""], ["3", "so so", "4"]]


def outcome(rule: str, rows: list[list[str]] = ROWS, header: list[str] = HEADER) -> Any:
    rules = dqdl.parse(f"Rules = [ {rule} ]")
    evaluation = dqdl.evaluate(rules, header, enumerate(rows, 2))
    assert evaluation.rows == len(rows)
    return evaluation.outcomes[0]


@pytest.mark.parametrize(
    ("rule", "passed"),
    [
        ("RowCount = 4", True),
        ("RowCount > 4", False),
        ("RowCount between 3 and 5", True),
        ("RowCount between 4 and 5", False),  # as in Glue, the ends are left out
        ("RowCount not between 4 and 5", True),
        ("RowCount in [1, 4]", True),
        ("ColumnCount >= 3", True),
        ('ColumnExists "text"', True),
        ('ColumnExists "Text"', False),
        ('IsComplete "id"', True),
        ('IsComplete "text"', False),
        ('Completeness "text" >= 0.75', True),
        ('Completeness "text" > 0.75', False),
        ('IsUnique "text"', True),  # what is missing is not a value
        ('IsUnique "id"', False),
        ('IsUnique "id" "text"', True),
        ('IsPrimaryKey "id" "rating"', False),
        ('Uniqueness "id" = 0.5', True),
        ('UniqueValueRatio "id" between 0.6 and 0.7', True),
        ('DistinctValuesCount "id" = 3', True),
        ('DistinctValuesCount "text" = 3', True),
        ('ColumnDataType "rating" = "double"', True),
        ('ColumnDataType "rating" = "INTEGER"', False),
        ('ColumnDataType "rating" = "INTEGER" with threshold >= 0.75', True),
        ('ColumnLength "text" <= 5', True),
        ('ColumnLength "text" >= 1', False),  # what is missing has length 0
        ('ColumnLength "text" >= 1 with threshold > 0.5', True),
        ('ColumnValues "rating" between -4 and 5', False),  # what is missing lies nowhere
        ('ColumnValues "rating" between -4 and 5 with threshold = 0.75', True),
        ('ColumnValues "rating" > -1 with threshold = 0.5', True),
        ('ColumnValues "rating" = 4.0 with threshold = 0.25', True),
        ('ColumnValues "text" in ["good", "bad", "so so", NULL]', True),
        ('ColumnValues "text" in ["good", "bad", "so so", EMPTY]', True),
        ('ColumnValues "text" in ["good", "bad", "so so"]', False),
        ('ColumnValues "text" != NULL', False),
        ('ColumnValues "text" = NULL with threshold = 0.25', True),
        ('ColumnValues "text" not in ["ugly"]', True),
        ('ColumnValues "text" != "bad"', False),
        ('ColumnValues "id" matches "[0-9]"', True),
        ('ColumnValues "text" matches "so"', False),  # the whole value must match
        ('ColumnValues "id" not matches "[a-z]+"', True),
        ('ColumnValues "text" = WHITESPACES_ONLY', False),
        ('Sum "rating" = 5.5', True),
        ('Mean "rating" between 1.83 and 1.84', True),
        ('StandardDeviation "rating" between 2.09 and 2.1', True),
        ('Mean "text" > 0', False),
        ('(IsComplete "id") and (IsUnique "id")', False),
        ('(IsComplete "id") or (IsUnique "id")', True),
        ('((IsComplete "text") or (RowCount > 3)) and (ColumnCount = 3)', True),
        ('(RowCount > 3) AND (ColumnCount = 3)', True),
    ],
)  # fmt: skip
def test_each_rule_type_is_answered(rule: str, passed: bool) -> None:
    assert outcome(rule).passed is passed, outcome(rule).observed


@pytest.mark.parametrize(
    ("rule", "observed"),
    [
        ('IsComplete "text"', "0.75 of 4 rows have a value; the first without is line 3"),
        ('IsUnique "id"', "2 of 4 values occur once; the first repeated is line 5 with '3'"),
        ('Mean "text" > 0', "line 2 has 'good', which is not a number"),
        ('IsComplete "stars"', 'there is no column "stars"; the columns are id, text, rating'),
        ('ColumnValues "rating" > 0', "0.5 of 4 rows comply; the first that does not is line 3 with '-1'"),
        ('ColumnLength "text" > 4', "the first that does not is line 2 with 'good' of length 4"),
        ('(RowCount > 9) and (ColumnCount = 3)', "4 rows"),
    ],
)  # fmt: skip
def test_a_failure_tells_what_was_seen_and_where(rule: str, observed: str) -> None:
    result = outcome(rule)
    assert not result.passed
    assert observed in result.observed


def test_a_long_value_is_cut_in_what_is_told() -> None:
    assert len(outcome('ColumnValues "text" = "x"', [["1", "y" * 10_000, "1"]]).observed) < 200


@pytest.mark.parametrize(
    "rule", ['IsUnique "text"', 'Mean "rating" > 0', 'Sum "rating" = 0', 'Uniqueness "text" = 0']
)
def test_a_column_without_any_value_fails_what_needs_values(rule: str) -> None:
    assert not outcome(rule, [["1", "", ""]]).passed


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("BOOLEAN", ["true", "F", "1", "no"], ["2", "maybe"]),
        ("DATE", ["2024-02-29"], ["2023-02-29", "20240229", "2024-2-9", "2024-02-29 10:00"]),
        ("TIMESTAMP", ["2024-02-29 10:00", "2024-02-29T10:00:00.123Z", "2024-02-29"], ["10:00"]),
        ("INTEGER", ["2147483647", "-5", "+5"], ["2147483648", "1e3", "1_000", "٣"]),
        ("LONG", ["9223372036854775807"], ["9223372036854775808"]),
        ("DOUBLE", ["1", "-.5", "1e-3", " 2.5 "], ["NaN", "inf", "1,5", "0x10", "1e999", ""]),
    ],
)  # fmt: skip
def test_data_types_accept_what_can_be_cast_and_nothing_else(
    kind: str, good: list[str], bad: list[str]
) -> None:
    def share(value: str) -> bool:
        passed: bool = outcome(f'ColumnDataType "x" = "{kind}"', [[value]], ["x"]).passed
        return passed

    assert all(share(value) for value in good)
    assert not any(share(value) for value in bad if value)
    assert share("")  # completeness is another rule's matter


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("", 1, 1, "expected 'Rules' at the start"),
        ("Rules = ", 1, 9, "expected '['"),
        ("Rules = []", 1, 10, "there is no rule"),
        ("Rules = [ RowCount > 1", 1, 23, "expected ']'"),
        ("Rules = [ RowCount > 1, ]", 1, 25, "missing after the last comma"),
        ("Rules = [ RowCount > 1 ] x", 1, 26, "nothing may follow"),
        ("Rules = [\n  RowCount between 5 and 1\n]", 2, 20, "nothing lies between"),
        ("Rules = [ RowCount between 1, 5 ]", 1, 29, "expected 'and'"),
        ("Rules = [ RowCount ]", 1, 20, "expected a condition of RowCount"),
        ("Rules = [ RowCount not > 1 ]", 1, 24, "'not' goes with"),
        ('Rules = [ RowCount > "1" ]', 1, 22, "expected a number"),
        ('Rules = [ RowCount = "1" ]', 1, 20, "compare it with numbers"),
        ("Rules = [ RowCount > 1e5 ]", 1, 22, "'1e5' is not a number"),
        ('Rules = [ RowCount "x" > 1 ]', 1, 20, "takes no column"),
        ("Rules = [ IsComplete text ]", 1, 22, "needs a column in double quotes"),
        ('Rules = [ IsComplete "" ]', 1, 22, "cannot be empty"),
        ('Rules = [ IsUnique "a" "a" ]', 1, 24, "named twice"),
        ('Rules = [ IsComplete "a" > 1 ]', 1, 26, "takes no condition"),
        ('Rules = [ IsComplete "a ]', 1, 22, "never closed"),
        ("Rules = [ IsComplete 'a' ]", 1, 22, "double quotes"),
        ('Rules = [ IsComplet "a" ]', 1, 11, "did you mean IsComplete?"),
        ('Rules = [ isComplete "a" ]', 1, 11, "did you mean IsComplete?"),
        ("Rules = [ Nonsense ]", 1, 11, "there is no rule type 'Nonsense'"),
        ('Rules = [ ColumnValues "a" matches "[" ]', 1, 36, "not a regular expression"),
        ('Rules = [ ColumnValues "a" in [1, "b"] ]', 1, 31, "numbers or strings, not both"),
        ('Rules = [ ColumnDataType "a" = "TEXT" ]', 1, 32, "expected one of the types"),
        ('Rules = [ ColumnValues "a" > 1 with threshold > 2 ]', 1, 47, "a share of the rows"),
        ('Rules = [ Mean "a" > 1 with threshold > 0.5 ]', 1, 39, "takes no threshold"),
        ('Rules = [ (IsComplete "a") and IsUnique "a" ]', 1, 32, "expected '('"),
        ('Rules = [ IsComplete "a" and IsUnique "a" ]', 1, 26, "in parentheses"),
        ("Rules = [ (RowCount > 1) and (RowCount > 2) or (RowCount > 3) ]", 1, 45, "which comes first"),
        ("Rules = [ " + "(" * 30, 1, 32, "nested more than 20 deep"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(dqdl.RulesError, match=re.escape(message)) as caught:
        dqdl.parse(text)
    assert (caught.value.line, caught.value.column) == (line, column), str(caught.value)
    assert str(caught.value).splitlines()[-1].index("^") == column - 1 + 4


@pytest.mark.parametrize(
    "rule",
    [
        'CustomSql "select count(*) from primary" = 0',
        'ReferentialIntegrity "a" "ref.b" > 0.9',
        'DataFreshness "date" <= 24 hours',
        'DetectAnomalies "RowCount"',
        'Entropy "a" > 1',
        'ColumnValues "date" > (now() - 3 days)',
        'ColumnValues "date" > "2024-01-01"',
        "RowCount > avg(last(10))",
        "RowCount > 10 + 5",
        'IsComplete "a" where "b > 1"',
        'IsComplete "a" labels = ["team" = "x"]',
        'ColumnValues "a" in $allowed',
    ],
)
def test_what_only_glue_evaluates_is_refused(rule: str) -> None:
    with pytest.raises(dqdl.RulesError):
        dqdl.parse(f"Rules = [ {rule} ]")


@pytest.mark.parametrize(
    "text",
    [
        "Analyzers = [ RowCount ]",
        'Metadata = {"a": "b"} Rules = [ RowCount > 1 ]',
        "Rules = [ RowCount > 1 ] Analyzers = [ RowCount ]",
    ],
)
def test_other_sections_are_refused_by_name(text: str) -> None:
    with pytest.raises(dqdl.RulesError, match=r"section.* not supported here"):
        dqdl.parse(text)


def test_comments_and_line_breaks_are_free() -> None:
    text = 'Rules = [ # what we ask\n\tRowCount > 1, # and\r\n  IsComplete "a # not a comment"\n]\n# end'
    assert [str(rule) for rule in dqdl.parse(text)] == ["RowCount > 1", 'IsComplete "a # not a comment"']


def test_more_distinct_values_than_memory_holds_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dqdl.evaluation, "MAXIMUM_DISTINCT_VALUES", 3)
    with pytest.raises(dqdl.TooManyDistinctValuesError, match="more than 3 distinct values up to line 5"):
        outcome('IsUnique "id"', [[str(number), "", ""] for number in range(9)])


# Generated rules


@given(st.lists(any_rule, min_size=1, max_size=4))
def test_what_is_written_reads_back_the_same(rules: list[Any]) -> None:
    assert dqdl.parse(f"Rules = [ {', '.join(map(str, rules))} ]") == rules


@given(st.text(st.sampled_from('Rules=[]()"#\\ \n,><!-.0159axyRowCountIsComplete$'), max_size=60))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    try:
        dqdl.parse(text)
    except dqdl.RulesError as error:
        assert 1 <= error.line <= text.count("\n") + 1
        assert error.column >= 1


# The reference reads all rows at once, in the plainest way.


def plain_number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text) else None


def holds(number: float, condition: Any) -> bool:
    first, last = condition.operands[0], condition.operands[-1]
    answers = {
        "=": number == first,
        "!=": number != first,
        ">": number > first,
        ">=": number >= first,
        "<": number < first,
        "<=": number <= first,
        "between": first < number < last,
        "not between": not first < number < last,
        "in": number in condition.operands,
        "not in": number not in condition.operands,
    }
    answer: bool = answers[condition.operator]
    return answer


def is_one_of(value: str, wanted: Any) -> bool:
    if isinstance(wanted, dqdl.Keyword):
        return {"NULL": value == "", "EMPTY": value == "", "WHITESPACES_ONLY": value.isspace()}[wanted.value]
    if isinstance(wanted, str):
        return value == wanted
    return plain_number(value) == wanted


def value_holds(value: str, condition: Any) -> bool:
    operator = condition.operator
    if operator in ("=", "in", "!=", "not in"):
        found = any(is_one_of(value, wanted) for wanted in condition.operands)
        return found if operator in ("=", "in") else not found
    if value == "":
        return False
    if operator.endswith("matches"):
        matched = re.fullmatch(condition.operands[0], value) is not None
        return matched if operator == "matches" else not matched
    number = plain_number(value)
    return number is not None and holds(number, condition)


def type_holds(value: str, kind: str) -> bool:
    if value == "":
        return True
    number = plain_number(value)
    return {
        "DOUBLE": number is not None,
        "INTEGER": number is not None and "." not in value,
        "DATE": value == "2024-01-31",
        "BOOLEAN": value in ("1", "0", "true"),
    }[kind]


def naive(rule: Any, header: list[str], rows: list[list[str]]) -> bool:
    if isinstance(rule, dqdl.Composite):
        answers = [naive(operand, header, rows) for operand in rule.operands]
        return all(answers) if rule.operator == "and" else any(answers)
    if rule.kind == "RowCount":
        return holds(len(rows), rule.condition)
    if rule.kind == "ColumnCount":
        return holds(len(header), rule.condition)
    if not all(column in header for column in rule.columns):
        return False
    if rule.kind == "ColumnExists":
        return True
    picked = [tuple(row[header.index(column)] for column in rule.columns) for row in rows]
    values = [value[0] for value in picked]
    if rule.kind in ("ColumnValues", "ColumnLength", "ColumnDataType"):
        good = sum(
            value_holds(value, rule.condition)
            if rule.kind == "ColumnValues"
            else holds(len(value), rule.condition)
            if rule.kind == "ColumnLength"
            else type_holds(value, rule.condition.operands[0])
            for value in values
        )
        return good == len(rows) if rule.threshold is None else holds(good / len(rows), rule.threshold)
    if rule.kind == "IsComplete":
        return all(values)
    if rule.kind == "Completeness":
        return holds(sum(map(bool, values)) / len(values), rule.condition)
    if rule.kind == "IsPrimaryKey":
        return all(all(value) for value in picked) and len(set(picked)) == len(picked)
    present = [value for value in picked if any(value)]
    once = [value for value in present if present.count(value) == 1]
    if rule.kind == "DistinctValuesCount":
        return holds(len(set(present)), rule.condition)
    if not present:
        return False
    if rule.kind == "IsUnique":
        return len(once) == len(present)
    if rule.kind == "Uniqueness":
        return holds(len(once) / len(present), rule.condition)
    if rule.kind == "UniqueValueRatio":
        return holds(len(once) / len(set(present)), rule.condition)
    read = [plain_number(value) for value in values if value]
    if any(number is None for number in read):
        return False
    exact = [number for number in read if number is not None]
    measured = {"Mean": statistics.fmean, "Sum": sum, "StandardDeviation": statistics.pstdev}[rule.kind](
        exact
    )
    return holds(measured, rule.condition)


@settings(max_examples=examples(300))
@given(any_rule, st.lists(st.lists(cells, min_size=3, max_size=3), min_size=1, max_size=8))
def test_one_pass_answers_as_the_naive_reading_does(rule: Any, rows: list[list[str]]) -> None:
    header = ["a", "b", 'c "quoted"']
    evaluation = dqdl.evaluate([rule], header, enumerate(rows, 2))
    assert evaluation.passed is naive(rule, header, rows), evaluation.outcomes[0]


@given(
    st.lists(
        st.floats(-1e9, 1e9, allow_nan=False).map(lambda value: round(value, 3)), min_size=1, max_size=50
    )
)
def test_sums_means_and_spreads_are_those_of_the_statistics_module(values: list[float]) -> None:
    rows = [(line, [str(value)]) for line, value in enumerate(values, 2)]
    moments = dqdl.evaluation._Moments(0)
    for line, row in rows:
        moments.see(line, row)
    exact = [float(str(value)) for value in values]
    scale = max(1.0, max(map(abs, exact)))
    assert moments.sum == pytest.approx(sum(exact), abs=1e-9 * scale)
    assert moments.mean == pytest.approx(statistics.fmean(exact), abs=1e-9 * scale)
    assert moments.standard_deviation == pytest.approx(statistics.pstdev(exact), rel=1e-6, abs=1e-6 * scale)
