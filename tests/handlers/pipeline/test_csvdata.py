"""Reading CSV: what is understood, and that every defect is told with its place."""

import csv
import io
import re
from itertools import pairwise
from typing import Any

import pytest
from handlers.pipeline.asset import csvdata, errors
from handlers.pipeline.conftest import BUCKET, Lake
from hypothesis import given
from hypothesis import strategies as st

SAMPLE = 'id,text\n1,"Grüße, ""Welt""\nzweite Zeile"\n2,plain\n'
ROWS = [(2, ["1", 'Grüße, "Welt"\nzweite Zeile']), (4, ["2", "plain"])]


def read(content: bytes | str, size: int = 7) -> tuple[list[str], list[tuple[int, list[str]]]]:
    data = content.encode() if isinstance(content, str) else content
    table = csvdata.read_table((data[at : at + size] for at in range(0, len(data), size)), "file")
    return table.header, list(table.rows)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 100_000])
def test_utf8_and_utf16_are_read_whatever_the_chunks(encoding: str, size: int) -> None:
    content = SAMPLE.encode(encoding)
    if size < 4 and encoding in ("utf-16-le", "utf-16-be", "utf-16", "utf-8-sig"):
        # Recognising an encoding takes a few bytes; S3 gives far more at once.
        first = [content[:8]] if len(content) > 8 else []
        rest = content[8 if first else 0 :]
        table = csvdata.read_table(
            [*first, *(rest[at : at + size] for at in range(0, len(rest), size))], "file"
        )
        assert (table.header, list(table.rows)) == (["id", "text"], ROWS)
    else:
        assert read(content, max(size, 4)) == (["id", "text"], ROWS)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_each_kind_of_line_end_is_read_and_blank_lines_are_skipped(end: str) -> None:
    for size in (1, 2, 100):
        assert read(f"a,b{end}1,2{end}{end}3,4", size) == (["a", "b"], [(2, ["1", "2"]), (4, ["3", "4"])])


def test_other_separators_within_a_field_do_not_end_a_line() -> None:
    assert read("a\nx\u2028y\x0bz\x85w\n")[1] == [(2, ["x\u2028y\x0bz\x85w"])]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty: not even a header"),
        (b"\n\n", "is empty: not even a header"),
        (b"\xef\xbb\xbf", "is empty: not even a header"),
        ("id,text\n1,caf\u00e9\n".encode("latin-1"), "line 2, byte 14: not UTF-8"),
        (b"id,text\n1,ok\n2,\xff\n", "line 3, byte 16: not UTF-8 (invalid start byte: 0xff)"),
        ("id,text\n1,x\n".encode("utf-32"), "line 1, byte 1: the file is UTF-32"),
        ("id,text\n1,x\n".encode("utf-16") + b"x", "not UTF-16 (truncated data"),
        (b"id,text\n1,a\0b\n", "line 2: a NUL character"),
        (b"\x1f\x8b\x08\x00", "gzip-compressed; upload it uncompressed"),
        (b"PK\x03\x04rest", "a zip archive or a spreadsheet"),
        (b"PAR1rest", "the file is Parquet"),
        (b"id,text,id\n1,a,2\n", "line 1: columns 1 and 3 are both named 'id'"),
        (b"id,,x\n1,2,3\n", "line 1: column 2 of the header has no name"),
        (b"1,2.5\n2,3\n", "the header is missing, the first line holds only numbers"),
        (b"id,text\n1,a\n2\n", "line 3: 1 fields, but the header has 2"),
        (b'id,text\n1,"a\nb"\n2,b,c\n', "line 4: 3 fields, but the header has 2"),
        (b'id,text\n1,a\n2,"never closed\n3,b\n', "line 3, column 3: the quote opened here is never closed"),
        (b'id,text\n1,"a"b\n', "line 2, column 6: expected ',' after the closing quote, found 'b'"),
        (b'id,text\n1,"a\n""b""c"d,"\n', "line 3, column 8: expected ',' after the closing quote, found 'd'"),
        (b'id,text\n1,"' + b"x" * 1_100_000, "line 2: a field longer than 1048576 characters"),
        (b"id,text\n" + b"x" * 9_000_000, "line 2: longer than 8388608 characters"),
    ],
)
def test_a_defect_is_told_with_its_place(content: bytes, message: str) -> None:
    with pytest.raises(errors.InvalidData, match=re.escape(message)):
        read(content, 1000 if len(content) < 10_000 else 256 * 1024)


def test_a_missing_column_is_told_beside_those_that_are_there() -> None:
    table = csvdata.read_table([b"id,text\n"], "file")
    with pytest.raises(
        errors.InvalidData, match=r"file has no column 'rating', 'x'; its columns are 'id', 'text'"
    ):
        table.require(["id", "rating", "x"])


fields = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


@given(
    st.lists(st.lists(fields, min_size=2, max_size=2), max_size=5),
    st.integers(4, 9),
    st.sampled_from(["utf-8-sig", "utf-16"]),
)
def test_what_was_written_is_read(rows: list[list[str]], size: int, encoding: str) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([["a", "b"], *rows])
    header, found = read(text.getvalue().encode(encoding, "strict"), size)
    assert (header, [row for _, row in found]) == (["a", "b"], rows)
    assert all(before < after for (before, _), (after, _) in pairwise(found))


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        read(content)
    except errors.InvalidData as error:
        assert str(error).startswith("file")


def test_the_version_that_started_the_run_is_read_whatever_came_later(lake: Lake) -> None:
    version = lake.s3.put_object(Bucket=BUCKET, Key="a.csv", Body=b"a\nold\n")["VersionId"]
    lake.put("a.csv", "a\nnew\n")
    with csvdata.open_table({"bucket": BUCKET, "key": "a.csv", "versionId": version}) as table:
        assert list(table.rows) == [(2, ["old"])]
    with csvdata.open_table({"bucket": BUCKET, "key": "a.csv"}) as table:
        assert list(table.rows) == [(2, ["new"])]


def test_an_object_that_is_gone_is_told_by_its_name(lake: Lake) -> None:
    with (
        pytest.raises(errors.InvalidData, match=r"there is no object s3://lake/gone\.csv"),
        csvdata.open_table({"bucket": BUCKET, "key": "gone.csv"}),
    ):
        pass


def test_memory_does_not_grow_with_the_rows(lake: Lake) -> None:
    import tracemalloc

    def chunks() -> Any:
        yield b"id,text\n"
        for number in range(60):
            yield b"".join(b"%d,some text of a review\n" % (number * 2000 + row) for row in range(2000))

    tracemalloc.start()
    try:
        assert sum(1 for _ in csvdata.read_table(chunks(), "file").rows) == 120_000
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
