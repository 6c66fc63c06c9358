"""Held-out rows through the code that serves."""

import csv
import io
import json
from types import SimpleNamespace
from typing import Any

import pytest
from handlers.inference import models
from handlers.inference.asset import app, score
from handlers.inference.asset import s3 as s3_module
from handlers.inference.conftest import put
from handlers.inference.fake_s3 import FakeS3, Fault

CONTEXT = SimpleNamespace(aws_request_id="request-1")


@pytest.fixture
def event(s3: FakeS3, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    environment = put(s3, models.text())
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    return {
        "run": "run-1",
        "model": {"bucket": "lake", "key": environment["MODEL_KEY"]},
        "sha256": models.text().sha256,
        "rows": {"bucket": "lake", "key": "prepared/holdout.csv"},
        "output": {"bucket": "lake", "key": "scored/run-1/scores.csv"},
    }


def holdout(store: FakeS3, content: str | bytes) -> None:
    store.objects["lake/prepared/holdout.csv"] = content if isinstance(content, bytes) else content.encode()


def scored(store: FakeS3) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(store.objects["lake/scored/run-1/scores.csv"].decode())))


def test_each_row_gets_the_scores_that_serving_gives(s3: FakeS3, event: dict[str, Any]) -> None:
    texts = ["Great phone", 'bad, "really"\nbad', "great bad", ""]
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["id", "text"])
    writer.writerows((f"s{index}", text) for index, text in enumerate(texts))
    holdout(s3, out.getvalue())

    assert score.handler(event, None) == {"scores": event["output"], "rows": 4}

    served: Any = app.Function(put(s3, models.text()))(
        {"instances": [{"text": text} for text in texts]}, CONTEXT
    )
    assert scored(s3) == [
        {
            "id": f"s{index}",
            "negative": repr(each["probabilities"]["negative"]),
            "positive": repr(each["probabilities"]["positive"]),
            "label": each["label"],
        }
        for index, each in enumerate(served["predictions"])
    ]


def test_the_log_tells_what_is_under_way_and_what_was_done(
    s3: FakeS3, event: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score, "_BATCH_ROWS", 2)
    monkeypatch.setattr(score, "_PROGRESS_ROWS", 4)
    holdout(s3, "id,text\n" + "".join(f"{number},great phone\n" for number in range(5)))
    score.handler(event, CONTEXT)
    begin, progress, end = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (begin["type"], begin["sha256"]) == ("Scoring", event["sha256"])
    assert progress["message"] == "4 rows so far"
    size = len(s3.objects["lake/scored/run-1/scores.csv"])
    assert (end["type"], end["rows"], end["bytes"]) == ("Scored", 5, size)
    assert (end["run"], end["requestId"], end["level"]) == ("run-1", "request-1", "INFO")
    assert end["totalMs"] >= begin["fetchMs"] >= 0


def test_the_same_event_twice_writes_the_same_bytes_under_the_same_key(
    s3: FakeS3, event: dict[str, Any]
) -> None:
    holdout(s3, "id,text\n1,great phone\n2,bad\n")
    first = score.handler(event, None)
    names, content = set(s3.objects), s3.objects["lake/scored/run-1/scores.csv"]

    assert score.handler(event, None) == first
    assert set(s3.objects) == names
    assert s3.objects["lake/scored/run-1/scores.csv"] == content


def test_more_rows_than_one_batch_are_all_scored_in_order(s3: FakeS3, event: dict[str, Any]) -> None:
    count = 2 * score._BATCH_ROWS + 1
    holdout(s3, "id,text\n" + "".join(f"{index},great {index}\n" for index in range(count)))
    assert score.handler(event, None)["rows"] == count
    assert [row["id"] for row in scored(s3)] == [str(index) for index in range(count)]


def test_columns_that_the_model_does_not_take_are_left_alone(s3: FakeS3, event: dict[str, Any]) -> None:
    holdout(s3, b"\xef\xbb\xbfgroup,id,text\r\ng,1,great phone\r\n")
    assert score.handler(event, None)["rows"] == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "line 1: the column 'id', 'text' is missing"),
        ("id,text\n", "there are no rows to score"),
        ("id,words\n1,great\n", "line 1: the column 'text' is missing"),
        ("id,text\n1,great\n2\n", "line 3: 1 cells where the header has 2"),
        ("id,text\n1,great,more\n", "line 2: 3 cells where the header has 2"),
        ("id,text\n1,great\n2," + "x" * 51 + "\n", "line 3: text: must have at most 50 characters, got 51"),
        ('id,text\n1,"great\n', "unexpected end of data"),
        (b"id,text\n1,\xff\n", "the rows are not UTF-8"),
    ],
)
def test_rows_that_cannot_be_scored_are_told_with_their_line(
    s3: FakeS3, event: dict[str, Any], content: str | bytes, message: str
) -> None:
    holdout(s3, content)
    with pytest.raises(score.InvalidData) as caught:
        score.handler(event, None)
    assert message in str(caught.value)
    assert "lake/scored/run-1/scores.csv" not in s3.objects


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("old", "age: expected a number, got the string 'old'"),
        ("", "age: expected a number, got the string ''"),
        ("nan", "age: must be finite, got nan"),
        ("121", "age: must be at most 120, got 121.0"),
    ],
)
def test_a_cell_that_is_no_such_number_is_told(
    s3: FakeS3, event: dict[str, Any], cell: str, message: str
) -> None:
    environment = put(s3, models.tabular())
    event.update(model={"bucket": "lake", "key": environment["MODEL_KEY"]}, sha256=models.tabular().sha256)
    holdout(s3, f"id,income (k$),age\n1,2.5,30\n2,-1e3,{cell}\n")
    with pytest.raises(score.InvalidData) as caught:
        score.handler(event, None)
    assert str(caught.value) == f"line 3: {message}"


def test_numbers_are_scored_in_the_order_of_the_manifest(s3: FakeS3, event: dict[str, Any]) -> None:
    environment = put(s3, models.tabular())
    event.update(model={"bucket": "lake", "key": environment["MODEL_KEY"]}, sha256=models.tabular().sha256)
    holdout(s3, "income (k$),id,age\n-3e1,a, 1\n2.5,b,120\n")
    score.handler(event, None)
    assert [(row["id"], row["label"]) for row in scored(s3)] == [("a", "no"), ("b", "yes")]


def test_a_wrong_hash_is_refused_before_anything_is_scored(s3: FakeS3, event: dict[str, Any]) -> None:
    holdout(s3, "id,text\n1,great\n")
    with pytest.raises(score.models.InvalidModel, match="SHA-256"):
        score.handler({**event, "sha256": "0" * 64}, None)


def test_a_store_that_stays_down_fails_the_step_so_that_it_is_tried_again(
    s3: FakeS3, event: dict[str, Any]
) -> None:
    s3.faults += [Fault(503)] * 4
    with pytest.raises(s3_module.S3Error):
        score.handler(event, None)
