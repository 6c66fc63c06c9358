"""A row is typed, complete, and nothing that the group does not have; an object is read as it comes."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from handlers.features.asset import files, rows

GROUP = rows.Group(
    name="products",
    features={"id": "String", "at": "String", "count": "Integral", "mean": "Fractional", "note": "String"},
    record_id="id",
    event_time="at",
)
GOOD = {"id": "p1", "at": "2026-11-28T12:00:00Z", "count": 3, "mean": 4.5, "note": "fine"}


def test_a_row_becomes_texts_in_the_groups_order() -> None:
    assert GROUP.record(dict(reversed(GOOD.items()))) == [
        {"FeatureName": "id", "ValueAsString": "p1"},
        {"FeatureName": "at", "ValueAsString": "2026-11-28T12:00:00Z"},
        {"FeatureName": "count", "ValueAsString": "3"},
        {"FeatureName": "mean", "ValueAsString": "4.5"},
        {"FeatureName": "note", "ValueAsString": "fine"},
    ]


def test_a_csvs_texts_are_numbers_too() -> None:
    record = GROUP.record({**GOOD, "count": "3", "mean": "4.50"})
    assert [each["ValueAsString"] for each in record[2:4]] == ["3", "4.5"]


@pytest.mark.parametrize("empty", [None, ""])
def test_a_feature_without_a_value_is_left_out(empty: Any) -> None:
    names = [each["FeatureName"] for each in GROUP.record({**GOOD, "count": empty, "note": empty})]
    assert names == ["id", "at", "mean"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": None}, "id has no value"),
        ({"at": ""}, "at has no value"),
        ({"extra": 1}, "no feature of the group: extra"),
        ({"count": "three"}, "a whole number is wanted"),
        ({"count": 3.5}, "a whole number is wanted"),
        ({"count": True}, "count is bool"),
        ({"count": 2**63}, "64 bits"),
        ({"mean": "high"}, "a number is wanted"),
        ({"mean": float("nan")}, "a finite number"),
        ({"mean": "inf"}, "a finite number"),
        ({"mean": [1]}, "mean is list"),
        ({"note": 1}, "a text is wanted"),
        ({"note": "x" * 358_401}, "at most 358400"),
        ({"at": "2026-11-28 12:00:00"}, "2026-11-28T12:00:00Z is wanted"),
        ({"at": "2026-11-28T12:00:00+01:00"}, "in UTC"),
        ({"at": "2026-13-28T12:00:00Z"}, "month"),
    ],
)
def test_what_is_no_row_of_the_group_is_refused_with_its_reason(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(rows.InvalidRowError, match=reason):
        GROUP.record({**GOOD, **changes})


@pytest.mark.parametrize("wrong", [None, 1, [GOOD], "p1"])
def test_a_row_is_an_object(wrong: Any) -> None:
    with pytest.raises(rows.InvalidRowError, match="an object is wanted"):
        GROUP.record(wrong)


def test_a_whole_fraction_is_a_whole_number() -> None:
    assert GROUP.record({**GOOD, "count": 3.0})[2]["ValueAsString"] == "3"


def test_an_event_time_in_seconds_is_positive() -> None:
    group = rows.Group("g", {"id": "Integral", "at": "Fractional"}, "id", "at")
    assert group.record({"id": 1, "at": 1764331200})[1]["ValueAsString"] == "1764331200.0"
    with pytest.raises(rows.InvalidRowError, match="seconds since 1970"):
        group.record({"id": 1, "at": 0})


def read(name: str, text: str | bytes) -> list[Any]:
    body = text if isinstance(text, bytes) else text.encode()
    return list(files.rows(name, BytesIO(body)))


def test_a_csv_has_a_header_and_lines_of_it() -> None:
    found = read("a/b.CSV", '\ufeffid,note\np1,"two\nlines"\n\np2,x\n')
    assert found == [(2, {"id": "p1", "note": "two\nlines"}), (5, {"id": "p2", "note": "x"})]


def test_a_line_of_another_width_is_told_and_the_others_are_read() -> None:
    (_, first), (line, second) = read("b.csv", "id,note\np1\np2,x\n")
    assert isinstance(first, files.UnreadableRowError)
    assert (line, second) == (3, {"id": "p2", "note": "x"})


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("b.csv", "", "no header"),
        ("b.csv", "id,,\n", "no header"),
        ("b.csv", "id,id\n1,2\n", "twice"),
        ("b.csv", b"id\n\xff\xfe\n", "not in UTF-8"),
        ("b.csv", 'id\n"a"b\n', "no CSV"),
        ("b.jsonl", b"\x1f\x8b\x08", "not in UTF-8"),
    ],
)
def test_what_is_no_table_is_refused(name: str, text: Any, reason: str) -> None:
    with pytest.raises(files.UnreadableObjectError, match=reason):
        read(name, text)


def test_json_lines_may_have_empty_and_wrong_lines() -> None:
    (first, good), (second, wrong) = read("b.jsonl", '{"id": "p1"}\n\nnope\n')
    assert (first, good, second) == (1, {"id": "p1"}, 3)
    assert isinstance(wrong, files.UnreadableRowError)
