"""Looks at the reviews as a data scientist does: `python explore.py`, once the app is deployed.

The table is queried with the AWS SDK for pandas (`awswrangler`) and with PyAthena, and profiled; then the
outcomes of the quality rules are.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awswrangler as wr
import boto3
import pandas as pd
from pyathena import connect
from pyathena.pandas.cursor import PandasCursor

RATINGS = """
SELECT product, count(*) AS sentences, round(avg(rating), 2) AS rating
FROM reviews GROUP BY product ORDER BY product
"""
OUTCOMES = "SELECT run, rule, outcome, observed FROM quality_results ORDER BY run, rule"
NUMBERS = ("int", "bigint", "double", "float")


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployed:
    """What the app's outputs say."""

    bucket: str
    database: str
    results_database: str
    workgroup: str
    query_results: str
    gate: str
    scientist: str

    @classmethod
    def of(cls, outputs: dict[str, str]) -> Deployed:
        return cls(
            bucket=outputs["RawBucket"],
            database=outputs["RawDatabase"],
            results_database=outputs["ResultsDatabase"],
            workgroup=outputs["Workgroup"],
            query_results=outputs["QueryResults"],
            gate=outputs["StateMachineArn"],
            scientist=outputs["ScientistArn"],
        )


def upload(session: boto3.Session, deployed: Deployed, file: Path, name: str) -> None:
    """Put a file where the table is; the gate starts by itself."""
    session.client("s3").upload_file(str(file), deployed.bucket, f"reviews/{name}")


def gate_ends(session: boto3.Session, deployed: Deployed, runs: int, seconds: float = 120) -> list[Any]:
    """Wait for so many runs of the gate to end; their descriptions, the newest first."""
    states, deadline = session.client("stepfunctions"), time.monotonic() + seconds
    while True:
        found = states.list_executions(stateMachineArn=deployed.gate)["executions"]
        if len(found) >= runs and all(run["status"] != "RUNNING" for run in found):
            return [states.describe_execution(executionArn=run["executionArn"]) for run in found]
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(found)} of {runs} runs of the gate within {seconds} s")
        time.sleep(0.5)


def with_awswrangler(session: boto3.Session, deployed: Deployed, query: str, database: str) -> pd.DataFrame:
    """A query by the AWS SDK for pandas. The workgroup says where results go and how they are encrypted."""
    frame: pd.DataFrame = wr.athena.read_sql_query(
        query,
        database=database,
        workgroup=deployed.workgroup,
        s3_output=deployed.query_results,
        # Without it, awswrangler makes a table of each result, which readers may not.
        ctas_approach=False,
        boto3_session=session,
    )
    return frame


def with_pyathena(session: boto3.Session, deployed: Deployed, query: str) -> list[tuple[Any, ...]]:
    """A query by PyAthena, as any database of Python is asked."""
    with connect(
        session=session,
        work_group=deployed.workgroup,
        s3_staging_dir=deployed.query_results,
        schema_name=deployed.database,
        poll_interval=0.2,
    ) as connection:
        return list(connection.cursor().execute(query).fetchall())


def profile(session: boto3.Session, deployed: Deployed) -> pd.DataFrame:
    """One row for each column of the table: how full it is, how many values it has, and their range.

    The columns are those of the catalog, and one scan answers all of it.
    """
    columns = wr.catalog.get_table_types(database=deployed.database, table="reviews", boto3_session=session)
    if columns is None:
        raise LookupError(f"there is no table reviews in {deployed.database}")
    measures = ", ".join(_measures(name, kind) for name, kind in columns.items())
    query = f"SELECT count(*) AS rows, {measures} FROM reviews"  # noqa: S608 -- names from the catalog
    with connect(
        session=session,
        work_group=deployed.workgroup,
        s3_staging_dir=deployed.query_results,
        schema_name=deployed.database,
        poll_interval=0.2,
        cursor_class=PandasCursor,
    ) as connection:
        (answer,) = connection.cursor().execute(query).as_pandas().to_dict("records")
    return pd.DataFrame(
        {
            "type": columns[name],
            "complete": answer[f"{name}_present"] / answer["rows"],
            "distinct": answer[f"{name}_distinct"],
            "smallest": answer[f"{name}_smallest"],
            "largest": answer[f"{name}_largest"],
            "mean": answer.get(f"{name}_mean"),
        }
        for name in columns
    ).set_index(pd.Index(columns, name="column"))


def _measures(name: str, kind: str) -> str:
    """Of texts the range is that of their lengths."""
    number = kind in NUMBERS
    value = f'"{name}"' if number else f'length("{name}")'
    measures = {
        "present": f'count("{name}")',
        "distinct": f'count(DISTINCT "{name}")',
        "smallest": f"min({value})",
        "largest": f"max({value})",
    } | ({"mean": f"avg({value})"} if number else {})
    return ", ".join(f'{measure} AS "{name}_{word}"' for word, measure in measures.items())


def main() -> None:
    from examples.review_sentiment.data import fetch_reviews

    session = boto3.Session()
    stacks = session.client("cloudformation").describe_stacks(StackName="ReviewLake")["Stacks"]
    deployed = Deployed.of({each["OutputKey"]: each["OutputValue"] for each in stacks[0]["Outputs"]})
    upload(session, deployed, Path(fetch_reviews().path), "amazon.csv")
    (run,) = gate_ends(session, deployed, 1)
    print(f"The gate {run['status']}: {json.loads(run.get('output') or '{}').get('quality')}")
    print(with_awswrangler(session, deployed, RATINGS, deployed.database))
    print(with_pyathena(session, deployed, RATINGS))
    print(profile(session, deployed))
    print(with_awswrangler(session, deployed, OUTCOMES, deployed.results_database))


if __name__ == "__main__":
    main()
