"""The split: by group, repeatable, and never half-written."""

import csv
import io
import json
import math
from typing import Any

import pytest
from handlers.pipeline.asset import errors, prepare
from handlers.pipeline.conftest import BUCKET, CONTEXT, RUN, Lake
from hypothesis import given
from hypothesis import strategies as st

from cdk_data_science.pipelines import Split


def content(rows: list[tuple[Any, ...]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([("sentence", "review", "rating", "text"), *rows])
    return text.getvalue()


def sample(groups: int = 60, each: int = 4) -> list[tuple[Any, ...]]:
    return [
        (f"s{number}-{row}", f"review {number}", (-1) ** row * 2.5, f"text, {number}\n{row}")
        for number in range(groups)
        for row in range(each)
    ]


def event(data: dict[str, str], **changes: Any) -> dict[str, Any]:
    return {
        "run": RUN,
        "data": data,
        "split": {"group_by": "review", "holdout": 0.3, "salt": "one"},
        "columns": {"id": "sentence", "label": "rating", "features": ["text"]},
        "label_rule": {"positive_above": 0, "minimum": -4, "maximum": 4},
        "output": {"bucket": BUCKET, "key": "prepared/"},
    } | changes


def table(lake: Lake, reference: dict[str, str], name: str = "") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(lake.get(reference["key"] + name).decode(), newline="")))


def test_train_and_holdout_share_no_group_and_lose_no_row(lake: Lake) -> None:
    result = prepare.handler(event(lake.put("in.csv", content(sample()))), CONTEXT)
    assert result["train"] == {"bucket": BUCKET, "key": f"prepared/{RUN}/train/"}
    train = table(lake, result["train"], "train.csv")
    holdout, labels = table(lake, result["holdout"]), table(lake, result["labels"])
    assert list(train[0]) == ["id", "group", "label", "text"]
    assert list(holdout[0]) == ["id", "text"]  # no label, no group
    assert [row["id"] for row in holdout] == [row["id"] for row in labels]
    review = {str(row[0]): row for row in sample()}
    assert {row["id"] for row in train} | {row["id"] for row in holdout} == review.keys()
    assert not {row["group"] for row in train} & {review[row["id"]][1] for row in holdout}
    assert all(row["text"] == review[row["id"]][3] for row in [*train, *holdout])
    assert all((row["label"] == "positive") == (review[row["id"]][2] > 0) for row in [*train, *labels])
    assert result["counts"] == {
        "train": len(train),
        "holdout": len(holdout),
        "groups_train": len({row["group"] for row in train}),
        "groups_holdout": len({review[row["id"]][1] for row in holdout}),
        "positives_train": len(train) // 2,
        "positives_holdout": len(holdout) // 2,
        "skipped": 0,
    }


def test_training_rows_lie_apart_from_what_the_model_is_judged_by(lake: Lake) -> None:
    request = event(
        lake.put("in.csv", content(sample())),
        output={"bucket": BUCKET, "key": f"runs/{RUN}/"},
        train_output={"bucket": BUCKET, "key": f"runs-train/{RUN}/"},
    )
    result = prepare.handler(request, CONTEXT)
    assert result["train"] == {"bucket": BUCKET, "key": f"runs-train/{RUN}/"}
    assert set(lake.everything()) - {"in.csv"} == {
        f"runs-train/{RUN}/train.csv",
        f"runs/{RUN}/holdout.csv",
        f"runs/{RUN}/labels.csv",
    }


def test_the_same_event_twice_writes_the_same_bytes(lake: Lake) -> None:
    request = event(lake.put("in.csv", content(sample())))
    first = prepare.handler(request, CONTEXT), lake.everything()
    assert (prepare.handler(request, CONTEXT), lake.everything()) == first


def test_a_group_keeps_its_side_when_data_are_added_and_another_salt_splits_anew(lake: Lake) -> None:
    def held_out(groups: int, salt: str) -> set[str]:
        split = {"group_by": "review", "holdout": 0.3, "salt": salt}
        result = prepare.handler(event(lake.put("in.csv", content(sample(groups))), split=split), CONTEXT)
        return {row["id"].split("-")[0] for row in table(lake, result["holdout"])}

    assert held_out(40, "one") <= held_out(60, "one")
    assert held_out(60, "one") != held_out(60, "two")


@given(st.floats(0.05, 0.95), st.text(max_size=5))
def test_the_share_of_groups_lies_within_binomial_bounds(share: float, salt: str) -> None:
    held_out = prepare._chooser({"group_by": "g", "holdout": share, "salt": salt})
    groups = 2000
    found = sum(held_out(f"group {number}") for number in range(groups))
    # Six standard deviations: one in a billion splits lies outside.
    assert abs(found - groups * share) <= 6 * math.sqrt(groups * share * (1 - share))
    assert held_out("group 1") == held_out("group 1")


def test_rows_without_label_or_text_are_left_out_and_counted(lake: Lake) -> None:
    rows = [*sample(), ("x1", "review 1", "", "no label"), ("x2", "review 1", 1, "  ")]
    result = prepare.handler(event(lake.put("in.csv", content(rows))), CONTEXT)
    assert result["counts"]["skipped"] == 2
    assert result["counts"]["train"] + result["counts"]["holdout"] == len(sample())


def rendered(**label: Any) -> dict[str, Any]:
    """What the construct sends about the data of `sample`."""
    columns = Split(
        id_column="sentence",
        group_column="review",
        label_column="rating",
        feature_columns=["text"],
        holdout=0.3,
        salt="one",
        **label,
    )
    return columns.render()


@pytest.mark.parametrize(
    ("negative", "positive", "label"),
    [
        ("0", "1", {}),
        ("0.0", "1.0", {}),
        ("false", "True", {}),
        ("negative", "Positive", {}),
        ("ham", "spam", {"label_names": ("ham", "spam")}),
        # Names win over what the words would mean without them.
        ("1", "0", {"label_names": ("1", "0")}),
        ("-2.5", "2.5", {"positive_above": 0, "label_minimum": -4, "label_maximum": 4}),
    ],
)
def test_each_way_of_writing_a_label_is_read(
    lake: Lake, negative: str, positive: str, label: dict[str, Any]
) -> None:
    rows = [(row[0], row[1], positive if row[2] > 0 else negative, row[3]) for row in sample()]
    data = lake.put("in.csv", content(rows))
    output = {"bucket": BUCKET, "key": "prepared/"}
    request = {"run": RUN, "data": data, "output": output, **rendered(**label)}
    result = prepare.handler(json.loads(json.dumps(request)), CONTEXT)
    truth = {str(row[0]): "positive" if row[2] > 0 else "negative" for row in sample()}
    written = [*table(lake, result["train"], "train.csv"), *table(lake, result["labels"])]
    assert {row["id"]: row["label"] for row in written} == truth
    assert result["counts"]["positives_train"] == result["counts"]["train"] // 2


@pytest.mark.parametrize(
    ("written", "label", "message"),
    [
        ("2", {}, "line 482: the label '2' is not understood: '0', '0.0', 'false' or 'negative', and '1'"),
        ("Spam", {"label_names": ("ham", "spam")}, "line 482: the label 'Spam' is neither 'ham' nor 'spam'"),
    ],
)
def test_a_label_that_is_neither_is_refused(
    lake: Lake, written: str, label: dict[str, Any], message: str
) -> None:
    names = label.get("label_names", ("0", "1"))
    rows = [(row[0], row[1], names[row[2] > 0], row[3]) for row in sample()]
    data = lake.put("in.csv", content([*rows, ("x", "review 1", written, "x")]))
    request = {
        "run": RUN,
        "data": data,
        "output": {"bucket": BUCKET, "key": "prepared/"},
        **rendered(**label),
    }
    with pytest.raises(errors.InvalidData) as caught:
        prepare.handler(request, CONTEXT)
    assert message in str(caught.value)


def test_a_large_file_is_spooled_to_disk_and_uploaded_in_parts(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [(row[0], row[1], row[2], "long " * 10_000) for row in sample()]
    result = prepare.handler(event(lake.put("in.csv", content(rows))), CONTEXT)
    head = lake.s3.head_object(Bucket=BUCKET, Key=result["train"]["key"] + "train.csv")
    assert head["ContentLength"] > 8_000_000
    assert "-" in head["ETag"]
    assert len(table(lake, result["train"], "train.csv")) == result["counts"]["train"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "the training side of the split is empty"),
        ([("1", "a", 1, "x")], "side of the split is empty"),
        ([("1", "one", 1, "x"), ("2", "one", -1, "y")], "side of the split is empty (1 groups in all"),
        ([*sample(), ("s1-0", "review 1", 1, "x")], "line 482: the id 's1-0' occurs twice"),
        ([*sample(), ("", "review 1", 1, "x")], "line 482: no value in the id column 'sentence'"),
        ([*sample(), ("x", " ", 1, "x")], "line 482: no value in the group column 'review'"),
        ([*sample(), ("x", "review 1", "good", "x")], "line 482: the label 'good' is not a number"),
        ([*sample(), ("x", "review 1", "nan", "x")], "line 482: the label 'nan' is not a finite number"),
        ([*sample(), ("x", "review 1", "4.01", "x")], "line 482: the label 4.01 is outside of -4 to 4"),
        ([(*row[:2], 1, row[3]) for row in sample()], "rows of the training side are positive"),
        ([(*row[:2], -1, row[3]) for row in sample()], "rows of the training side are negative"),
    ],
)  # fmt: skip
def test_data_that_cannot_be_split_are_refused_and_nothing_is_written(
    lake: Lake, rows: list[tuple[Any, ...]], message: str
) -> None:
    data = lake.put("in.csv", content(rows))
    with pytest.raises(errors.InvalidData) as caught:
        prepare.handler(event(data), CONTEXT)
    assert message in str(caught.value)
    assert lake.everything().keys() == {"in.csv"}


def test_a_missing_column_is_named(lake: Lake) -> None:
    with pytest.raises(errors.InvalidData, match="has no column 'review', 'rating'"):
        prepare.handler(event(lake.put("in.csv", "sentence,text\n1,a\n")), CONTEXT)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": {"group_by": "review", "holdout": 0}}, "between 0 and 1, not 0"),
        ({"split": {"group_by": "review", "holdout": 1.0}}, "between 0 and 1, not 1.0"),
        ({"columns": {"id": "sentence", "label": "rating", "features": []}}, "no feature column"),
        ({"columns": {"id": "sentence", "label": "rating", "features": ["text", "text"]}}, "named twice"),
        (
            {"columns": {"id": "sentence", "label": "rating", "features": ["group"]}},
            "cannot be called 'group'",
        ),
        ({"columns": {"id": "sentence", "label": "rating", "features": ["rating"]}}, "is a feature too"),
        ({"label_rule": {"names": ["a", "a"]}}, "names are two words"),
        ({"label_rule": {"names": ["a", "b"], "positive_above": 0}}, "not both"),
    ],
)
def test_options_that_contradict_themselves_are_refused(
    lake: Lake, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(errors.InvalidConfiguration, match=message):
        prepare.handler(event({"bucket": BUCKET, "key": "in.csv"}, **changes), CONTEXT)
