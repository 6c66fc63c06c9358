"""Rules and rows that hypothesis makes up."""

from typing import Any

from handlers.pipeline.asset import dqdl
from hypothesis import strategies as st

columns = st.sampled_from(["a", "b", 'c "quoted"', "d\\e"])
# Often what the rows hold, so that the ends of ranges are met.
numbers = st.one_of(
    st.sampled_from([-5.0, -2.25, -1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 5.0]),
    st.sampled_from([0.25, 0.5, 0.75, 1.0]),
    st.integers(-100, 100).map(float),
    st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 6) + 0.0),
)
strings = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), max_size=6)
patterns = st.sampled_from(["a", "[a-z]+", r"\d+\.\d", "", r"a\"b", ".*", r"\\"])
keywords = st.sampled_from(list(dqdl.Keyword))
lists = st.one_of(
    st.lists(st.one_of(numbers, st.just(dqdl.Keyword.NULL)), min_size=1, max_size=3),
    st.lists(st.one_of(strings, keywords), min_size=1, max_size=3),
)


@st.composite
def number_conditions(draw: st.DrawFn, of: st.SearchStrategy[float] = numbers) -> Any:
    operator = draw(
        st.sampled_from(["=", "!=", ">", ">=", "<", "<=", "between", "not between", "in", "not in"])
    )
    if operator.endswith("between"):
        low, high = sorted(draw(st.lists(of, min_size=2, max_size=2, unique=True)))
        return dqdl.Condition(operator, (low, high))
    if operator.endswith("in"):
        return dqdl.Condition(operator, tuple(draw(st.lists(of, min_size=1, max_size=3))))
    return dqdl.Condition(operator, (draw(of),))


@st.composite
def value_conditions(draw: st.DrawFn) -> Any:
    operator = draw(st.sampled_from(["=", "!=", "in", "not in", "matches", "not matches"]))
    if operator.endswith("matches"):
        return dqdl.Condition(operator, (draw(patterns),))
    if operator.endswith("in"):
        return dqdl.Condition(operator, tuple(draw(lists)))
    return dqdl.Condition(operator, (draw(st.one_of(numbers, strings, keywords)),))


@st.composite
def simple_rules(draw: st.DrawFn) -> Any:
    kind = draw(
        st.sampled_from(
            ["RowCount", "ColumnCount", "ColumnExists", "IsComplete", "Completeness", "IsUnique",
             "Uniqueness", "UniqueValueRatio", "DistinctValuesCount", "IsPrimaryKey", "ColumnDataType",
             "ColumnLength", "ColumnValues", "Mean", "Sum", "StandardDeviation"]
        )
    )  # fmt: skip
    several = kind in ("IsUnique", "Uniqueness", "IsPrimaryKey")
    named = draw(st.lists(columns, min_size=1, max_size=2 if several else 1, unique=True))
    condition = threshold = None
    if kind in ("RowCount", "ColumnCount"):
        named, condition = [], draw(number_conditions())
    elif kind == "ColumnDataType":
        condition = dqdl.Condition("=", (draw(st.sampled_from(["DOUBLE", "INTEGER", "DATE", "BOOLEAN"])),))
    elif kind == "ColumnValues":
        condition = draw(st.one_of(number_conditions(), value_conditions()))
    elif kind not in ("ColumnExists", "IsComplete", "IsUnique", "IsPrimaryKey"):
        condition = draw(number_conditions())
    if kind in ("ColumnDataType", "ColumnLength", "ColumnValues") and draw(st.booleans()):
        threshold = draw(number_conditions(st.integers(0, 4).map(lambda quarter: quarter / 4)))
    return dqdl.Simple(kind, tuple(named), condition, threshold)


def composites(rules: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(
        dqdl.Composite, st.sampled_from(["and", "or"]), st.lists(rules, min_size=2, max_size=3).map(tuple)
    )


any_rule = st.recursive(simple_rules(), composites, max_leaves=5)

cells = st.one_of(
    st.just(""), st.sampled_from(["a", "ab", "x y", "  ", "2024-01-31", "true"]), st.integers(-5, 5).map(str),
    st.sampled_from(["0.5", "-2.25", "1.0"]),
)  # fmt: skip
