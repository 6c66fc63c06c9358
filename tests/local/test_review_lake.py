"""The exercise of `examples/review_lake`: reviews as a table, queried by two clients, profiled, gated."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from examples.review_lake import app, explore
from examples.review_sentiment.data import fetch_reviews
from tests.local import assembly
from tests.local.conftest import REGION, LocalAws, RoleSession, unique

PRODUCTS = [
    "Apex AD2600 DVD player",
    "Canon G3 camera",
    "Creative Nomad Jukebox Zen Xtra",
    "Nikon Coolpix 4300 camera",
    "Nokia 6610 phone",
]


class Lake:
    """The app, deployed; two files were uploaded, and the gate has judged both."""

    def __init__(self, aws: LocalAws, outputs: dict[str, str]) -> None:
        self.aws, self.deployed = aws, explore.Deployed.of(outputs)
        self.owner = self._session(aws, {"aws_access_key_id": "test", "aws_secret_access_key": "test"})
        role: RoleSession = aws.session_for_role(self.deployed.scientist)
        self.scientist = self._session(aws, role.credentials)

    def _session(self, aws: LocalAws, credentials: dict[str, str]) -> boto3.Session:
        return boto3.Session(region_name=REGION, **credentials)


@pytest.fixture(scope="module")
def lake(local_aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    folder = tmp_path_factory.mktemp("review-lake")
    stack = assembly.new_stack(folder / "cdk.out", "review-lake")
    app.build(stack, workgroup=unique("reviews"))
    with pytest.MonkeyPatch.context() as patch:
        # Where `local-aws env` points the clients of a shell.
        patch.setenv("AWS_ENDPOINT_URL", local_aws.endpoint)
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        made = Lake(local_aws, assembly.deploy(local_aws, stack))
        explore.upload(made.owner, made.deployed, Path(fetch_reviews().path), "amazon.csv")
        explore.gate_ends(made.owner, made.deployed, 1, seconds=900)
        yield made
    assembly.destroy(local_aws, stack)


def spoiled(folder: Path) -> Path:
    """The same reviews with a rating that cannot be, and the first sentence twice."""
    with Path(fetch_reviews().path).open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    rows[1][header.index("rating")] = "9"
    path = folder / "spoiled.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows, rows[0]])
    return path


def test_awswrangler_and_pyathena_tell_the_same_of_the_reviews(lake: Lake) -> None:
    frame = explore.with_awswrangler(lake.scientist, lake.deployed, explore.RATINGS, lake.deployed.database)
    assert list(frame["product"]) == PRODUCTS
    assert frame["sentences"].sum() == 3708
    rows = explore.with_pyathena(lake.scientist, lake.deployed, explore.RATINGS)
    assert [(product, int(sentences)) for product, sentences, _ in rows] == list(
        zip(frame["product"], frame["sentences"], strict=True)
    )
    assert [float(rating) for *_, rating in rows] == pytest.approx(list(frame["rating"]))


def test_the_profile_is_that_of_the_file(lake: Lake) -> None:
    found = explore.profile(lake.scientist, lake.deployed)
    assert list(found.index) == ["sentence_id", "review_id", "product", "rating", "text"]
    assert list(found["complete"]) == [1.0] * 5
    assert found.loc["sentence_id", "distinct"] == 3708
    assert found.loc["product", "distinct"] == 5
    assert (
        -4
        <= found.loc["rating", "smallest"]
        < found.loc["rating", "mean"]
        < found.loc["rating", "largest"]
        <= 4
    )


def test_the_gate_judges_each_upload_and_its_outcomes_can_be_queried(lake: Lake, tmp_path: Path) -> None:
    # GIVEN the reviews, which have passed; WHEN a spoiled copy arrives
    explore.upload(lake.owner, lake.deployed, spoiled(tmp_path), "spoiled.csv")
    runs = explore.gate_ends(lake.owner, lake.deployed, 2, seconds=900)
    # THEN it is refused
    assert sorted((run["status"], run.get("error")) for run in runs) == [
        ("FAILED", "QualityGateFailed"),
        ("SUCCEEDED", None),
    ]
    # AND both stand in the table of results, rule by rule
    found = explore.with_awswrangler(
        lake.scientist, lake.deployed, explore.OUTCOMES, lake.deployed.results_database
    )
    by_run = {run: set(part["outcome"]) for run, part in found.groupby("run")}
    assert sorted(map(sorted, by_run.values())) == [["FAIL", "PASS"], ["PASS"]]
    failed = found[found["outcome"] == "FAIL"]
    assert sorted(rule.split(" ")[0] for rule in failed["rule"]) == ["(ColumnValues", "IsPrimaryKey"]
    assert "line 3 with '9'" in " ".join(failed["observed"])


def test_the_scientist_reads_and_does_not_write(lake: Lake) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        lake.scientist.client("s3").put_object(Bucket=lake.deployed.bucket, Key="reviews/x.csv", Body=b"")
