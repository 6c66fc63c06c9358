"""The compiled types and the walk that explains a refusal agree with a slow reading of the contract."""

import json
import math
from typing import Any

from handlers.inference.asset import contract, manifest
from hypothesis import given
from hypothesis import strategies as st

MAX_ROWS = 4
INPUTS: list[dict[str, Any]] = [
    {"name": "age", "type": "float", "minimum": 0, "maximum": 120},
    {"name": "a b-c", "type": "float"},
    {"name": "note", "type": "string", "max_length": 3},
    {"name": "class", "type": "string"},
]


def build(inputs: list[dict[str, Any]]) -> contract.Contract:
    text = {"schema": 1, "name": "m", "sha256": "0" * 64, "inputs": inputs, "classes": ["a", "b"]}
    return contract.Contract(manifest.read(json.dumps(text).encode()), max_rows=MAX_ROWS)


CONTRACT = build(INPUTS)


def wrong_paths(request: object) -> set[str]:
    """The reference: every place where a request breaks the contract."""
    if not isinstance(request, dict):
        return {""}
    wrong = {name for name in request if name != "instances"}
    rows = request.get("instances")
    if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_ROWS:
        return wrong | {"instances"}
    for index, row in enumerate(rows):
        path = f"instances[{index}]"
        if not isinstance(row, dict):
            wrong.add(path)
            continue
        names = {field["name"] for field in INPUTS}
        wrong |= {f"{path}.{name}" for name in names ^ set(row)}
        wrong |= {
            f"{path}.{field['name']}"
            for field in INPUTS
            if field["name"] in row and not fits(field, row[field["name"]])
        }
    return wrong


def fits(field: dict[str, Any], value: object) -> bool:
    if field["type"] == "string":
        if not isinstance(value, str) or any("\ud800" <= letter <= "\udfff" for letter in value):
            return False
        return len(value) <= field.get("max_length", math.inf)
    if type(value) not in (int, float):
        return False
    largest = 3.4028234663852886e38
    low, high = field.get("minimum", -largest), field.get("maximum", largest)
    return bool(low <= value <= high)  # type: ignore[operator]


numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.integers(-(10**45), 10**45),
    st.sampled_from(
        [0, -0.0, 120, 120.00000000000001, -1, 5e-324, 3.4028234663852886e38, 3.402823466385289e38]
    ),
)
texts = st.text(max_size=5)
anything = st.one_of(
    st.none(), st.booleans(), numbers, texts, st.lists(st.integers(), max_size=1), st.just({})
)
good_row = st.fixed_dictionaries(
    {
        "age": st.floats(0, 120) | st.integers(0, 120),
        "a b-c": st.floats(-1e30, 1e30),
        "note": st.text(max_size=3),
        "class": texts,
    }
)
names = st.sampled_from([field["name"] for field in INPUTS]) | st.sampled_from(["", "Age", "x"])


@st.composite
def broken_rows(draw: st.DrawFn) -> object:
    row: dict[str, object] = draw(good_row)
    for name in draw(st.lists(names, max_size=3)):
        if draw(st.booleans()):
            row.pop(name, None)
        else:
            row[name] = draw(anything)
    return row


rows = st.one_of(good_row, good_row, broken_rows(), anything)
requests = st.one_of(
    st.fixed_dictionaries({"instances": st.lists(rows, max_size=MAX_ROWS + 1)}),
    st.fixed_dictionaries({"instances": st.lists(good_row, min_size=1, max_size=MAX_ROWS)}),
    st.dictionaries(st.sampled_from(["instances", "other"]), anything, max_size=2),
    anything,
)


def verdict(check: Any, request: object) -> set[str]:
    """The paths that are refused, none when the request is accepted."""
    try:
        check(request)
    except contract.ValidationError as error:
        assert error.fields
        return {field["path"] for field in error.fields}
    return set()


@given(requests)
def test_what_is_refused_and_where_is_as_the_reference_says(request: object) -> None:
    expected = wrong_paths(request)
    assert verdict(CONTRACT.check, request) == expected
    assert verdict(CONTRACT.parse, json.dumps(request)) == expected
    assert verdict(CONTRACT.parse, json.dumps(request, ensure_ascii=False).encode()) == expected


@given(
    st.lists(good_row, min_size=1, max_size=MAX_ROWS),
    st.integers(0),
    st.sampled_from([math.nan, math.inf, -math.inf]),
)
def test_a_number_that_json_lacks_is_found_in_any_row(
    rows: list[dict[str, object]], where: int, number: float
) -> None:
    index = where % len(rows)
    rows[index] = {**rows[index], "a b-c": number}
    assert verdict(CONTRACT.check, {"instances": rows}) == {f"instances[{index}].a b-c"}


@given(st.recursive(anything, lambda inner: st.lists(inner) | st.dictionaries(texts, inner)))
def test_no_json_at_all_makes_the_contract_stumble(value: object) -> None:
    verdict(CONTRACT.parse, json.dumps(value))
    verdict(CONTRACT.parse, json.dumps({"instances": [value]}))


@given(st.binary(max_size=40) | st.text(max_size=40))
def test_no_bytes_at_all_make_the_contract_stumble(body: bytes | str) -> None:
    try:
        CONTRACT.parse(body)
    except (contract.InvalidJson, contract.ValidationError):
        return
    raise AssertionError("random bytes were accepted")


@given(
    st.lists(
        st.tuples(st.floats(width=32, allow_nan=False, allow_infinity=False), st.integers(-9, 9)),
        min_size=1,
        max_size=4,
    )
)
def test_numbers_reach_the_model_row_by_row_in_the_order_of_the_manifest(
    values: list[tuple[float, int]],
) -> None:
    tabular = build([{"name": "x", "type": "float"}, {"name": "y", "type": "float"}])

    batch = tabular.parse(json.dumps({"instances": [{"y": y, "x": x} for x, y in values]}))

    assert batch.rows == len(values)
    assert list(batch.columns[0]) == [number for row in values for number in row]


def test_texts_reach_the_model_transformed_as_the_manifest_says() -> None:
    one = build([{"name": "t", "type": "string", "transform": "lowercase"}])
    other = build([{"name": "t", "type": "string"}])
    body = '{"instances": [{"t": "ÄrGer"}]}'
    assert one.parse(body).columns == [["ärger".encode()]]
    assert other.parse(body).columns == [["ÄrGer".encode()]]
