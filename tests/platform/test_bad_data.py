"""Data that cannot be used ends its run with one failure that says why; what is deployed stays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.platform.conftest import Quick
from tests.platform.data import Reviews, Row
from tests.platform.deployed import Deployed, Run, Serving, assert_failed_once

pytestmark = pytest.mark.xdist_group("platform")


@dataclass(frozen=True)
class Bad:
    """How the data is spoilt, and what a person is told about it."""

    spoil: Callable[[Reviews], bytes]
    error: str
    cause: tuple[str, ...]
    state: str = "QualityGate"


def without(column: str) -> Callable[[Reviews], bytes]:
    def spoil(reviews: Reviews) -> bytes:
        return Reviews([name for name in reviews.columns if name != column], reviews.rows).csv()

    return spoil


def with_ratings(rating: Callable[[int, str], str]) -> Callable[[Reviews], bytes]:
    def spoil(reviews: Reviews) -> bytes:
        changed: list[Row] = [
            row | {"rating": rating(number, row["rating"])} for number, row in enumerate(reviews.rows)
        ]
        return Reviews(reviews.columns, changed).csv()

    return spoil


def with_header(reviews: Reviews) -> bytes:
    """The column of texts under the name of the ratings."""
    header, _, rows = reviews.csv().partition(b"\n")
    return header.replace(b"text", b"rating") + b"\n" + rows


def in_another_encoding(reviews: Reviews) -> bytes:
    return reviews.csv() + '7777,900,0.5,"Très déçu, ça ne marche pas."\n'.encode("latin-1")


def with_an_open_quote(reviews: Reviews) -> bytes:
    return reviews.csv() + b'7777,900,0.5,"It works, most of the time.\n'


BAD = {
    "missing-columns": Bad(without("rating"), "QualityGateFailed", ("rating",)),
    "missing-text": Bad(without("text"), "QualityGateFailed", ("text",)),
    "missing-group": Bad(without("review_id"), "QualityGateFailed", ("review_id",)),
    "wrong-types": Bad(with_ratings(lambda _, __: "good"), "QualityGateFailed", ("rating", "good")),
    "one-wrong-type": Bad(
        with_ratings(lambda number, rating: "n/a" if number == 700 else rating),
        "QualityGateFailed",
        ("rating", "n/a"),
    ),
    "out-of-range": Bad(
        with_ratings(lambda number, rating: "9.5" if number == 700 else rating),
        "QualityGateFailed",
        ("rating", "9.5"),
    ),
    "unknown-encoding": Bad(in_another_encoding, "InvalidData", ("UTF-8", "line 1502", "byte")),
    "utf-32": Bad(lambda reviews: reviews.csv().decode().encode("utf-32"), "InvalidData", ("UTF-32",)),
    "empty-file": Bad(lambda _: b"", "InvalidData", ("is empty",)),
    "header-only": Bad(lambda reviews: reviews.first(0).csv(), "InvalidData", ("no rows",)),
    "one-row": Bad(lambda reviews: reviews.first(1).csv(), "QualityGateFailed", ("RowCount > 1000", "1")),
    "duplicate-header": Bad(with_header, "InvalidData", ("both named 'rating'",)),
    "unbalanced-quotes": Bad(with_an_open_quote, "InvalidData", ("line 1502", "never closed")),
    "one-class": Bad(
        with_ratings(lambda _, rating: rating.lstrip("-") if float(rating) else "1"),
        "InvalidData",
        ("are positive; both classes are needed",),
        state="Prepare",
    ),
}


@dataclass(frozen=True)
class Failed:
    runs: dict[str, Run]
    before: Serving
    packages: int


@pytest.fixture(scope="module")
def failed(platform: Deployed, quick: Quick) -> Failed:
    """All bad files uploaded at once, and what came of them."""
    before, packages = platform.serving(), len(platform.packages())
    keys = {name: platform.upload(f"bad/{name}.csv", bad.spoil(quick.reviews)) for name, bad in BAD.items()}
    runs = {name: platform.end_of(platform.started(key)[0]) for name, key in keys.items()}
    return Failed(runs, before, packages)


@pytest.mark.parametrize("name", BAD)
def test_bad_data_is_one_failure_that_says_why(platform: Deployed, failed: Failed, name: str) -> None:
    bad = BAD[name]
    assert_failed_once(platform, failed.runs[name], state=bad.state, error=bad.error, cause=bad.cause)
    assert platform.record(failed.runs[name])["data"]["key"] == f"reviews/bad/{name}.csv"


def test_bad_data_changes_nothing_that_is_deployed(platform: Deployed, failed: Failed) -> None:
    assert platform.serving() == failed.before
    assert len(platform.packages()) == failed.packages
    assert platform.predict("fine")["model"]["sha256"] == failed.before.sha256


def test_bad_data_is_never_trained_on(platform: Deployed, failed: Failed) -> None:
    for run in failed.runs.values():
        assert "Train" not in platform.states(run)


def test_the_same_bad_file_again_is_one_more_run_and_one_more_failure(
    platform: Deployed, failed: Failed
) -> None:
    """A person who uploads again wants to be told again; the record of the first stays."""
    again = platform.upload("bad/empty-file.csv", b"")
    runs = [platform.end_of(arn) for arn in platform.started(again, 2)]
    for run in runs:
        assert_failed_once(platform, run, state="QualityGate", error="InvalidData", cause=("is empty",))


def test_input_that_names_no_data_is_refused_and_told(platform: Deployed, failed: Failed) -> None:
    started = platform.aws.client("stepfunctions").start_execution(
        stateMachineArn=platform.machine, input='{"file": "reviews.csv"}'
    )
    run = platform.end_of(started["executionArn"])
    assert (run.status, run.error) == ("FAILED", "InvalidInput")
    assert platform.record(run)["state"] == "Check input"
    (message,) = platform.notifications(run)
    assert "InvalidInput" in message["Subject"]
