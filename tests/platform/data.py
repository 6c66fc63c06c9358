"""Reviews for tests: whole, in part, and spoilt."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Row = dict[str, str]


@dataclass(frozen=True)
class Reviews:
    """The product reviews as a table."""

    columns: Sequence[str]
    rows: Sequence[Row]

    @classmethod
    def read(cls, content: bytes) -> Reviews:
        reader = csv.DictReader(io.StringIO(content.decode(), newline=""))
        rows = list(reader)
        return cls(list(reader.fieldnames or ()), rows)

    def csv(self) -> bytes:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self.columns, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(self.rows)
        return text.getvalue().encode()

    def without_reviews(self, count: int, *, seed: int) -> Reviews:
        """All sentences but those of some reviews: another data set, as good as the whole."""
        reviews = sorted({row["review_id"] for row in self.rows})
        dropped = set(random.Random(seed).sample(reviews, count))
        return Reviews(self.columns, [row for row in self.rows if row["review_id"] not in dropped])

    def first(self, count: int) -> Reviews:
        return Reviews(self.columns, self.rows[:count])

    def changed(self, change: Callable[[Row], Row]) -> Reviews:
        return Reviews(self.columns, [change(row) for row in self.rows])

    def marked(self, mark: str) -> Reviews:
        """Rows that tell the stand-in for training which model to hand over, or how to fail."""
        return self.changed(lambda row: row | {"sentence_id": f"{row['sentence_id']}@{mark}"})

    def with_random_ratings(self, seed: int = 0) -> Reviews:
        """Ratings that say nothing about the text."""
        ratings = [row["rating"] for row in self.rows]
        random.Random(seed).shuffle(ratings)
        paired = zip(self.rows, ratings, strict=True)
        return Reviews(self.columns, [row | {"rating": rating} for row, rating in paired])
