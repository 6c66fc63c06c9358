"""The reviews as a table of the lake, queried with Athena: by whom it was granted to, and by nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from botocore.exceptions import ClientError

from cdk_data_science import Csv, DataLake, LakeFormation, QueryWorkgroup, ZoneDefinition
from examples.review_sentiment.data import HEADER, fetch_reviews
from tests.local import assembly
from tests.local.conftest import LocalAws, RoleSession, eventually, unique

DENIED = {"AccessDenied", "AccessDeniedException"}
SCHEMA = dict.fromkeys(HEADER, "string") | {"review_id": "int", "rating": "double"}


class Catalog:
    """A lake with the reviews as a table, on a local AWS."""

    def __init__(self, aws: LocalAws, outputs: dict[str, str], name: str) -> None:
        self.aws, self.outputs, self.workgroup = aws, outputs, name

    def session(self, role: str) -> RoleSession:
        return self.aws.session_for_role(self.outputs[f"{role}Arn"])

    def query(self, client: Any, text: str, **options: Any) -> list[list[str]]:
        """The rows of a query, without their heading."""
        database = {"Database": self.outputs["Database"]}
        given = {"WorkGroup": self.workgroup, "QueryExecutionContext": database, **options}
        started = client.start_query_execution(QueryString=text, **given)["QueryExecutionId"]
        status: dict[str, Any] = {}

        def over() -> bool:
            status.update(client.get_query_execution(QueryExecutionId=started)["QueryExecution"]["Status"])
            return status["State"] not in ("QUEUED", "RUNNING")

        eventually(over, 60, "the end of the query")
        assert status["State"] == "SUCCEEDED", status
        rows = client.get_query_results(QueryExecutionId=started)["ResultSet"]["Rows"]
        return [[value.get("VarCharValue", "") for value in row["Data"]] for row in rows[1:]]


@pytest.fixture(scope="module")
def catalog(local_aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    name = unique("science")
    stack = assembly.new_stack(tmp_path_factory.mktemp("catalog"), "catalog")
    build(stack, name)
    outputs = assembly.deploy(local_aws, stack)
    content = Path(fetch_reviews().path).read_bytes()
    local_aws.client("s3").put_object(Bucket=outputs["Bucket"], Key="reviews/amazon.csv", Body=content)
    local_aws.client("s3").put_object(Bucket=outputs["Bucket"], Key="secret/plan.csv", Body=b"a\n1\n")
    yield Catalog(local_aws, outputs, name)
    assembly.destroy(local_aws, stack)


def build(stack: cdk.Stack, name: str) -> None:
    """A governed zone with two tables, and roles: one may all of a table, one a part, one no table."""
    lake = DataLake(
        stack,
        "Lake",
        zones=[ZoneDefinition(name="raw", database_name=f"{name.replace('-', '_')}_raw"), "results"],
        lake_formation=LakeFormation(hybrid=False),
    )
    reviews = lake.raw.add_table("reviews", schema=SCHEMA, format=Csv(escape='"'))
    lake.raw.add_table("secret", schema={"a": "int"}, format=Csv())
    workgroup = QueryWorkgroup(stack, "Science", name=name, results=lake.zone("results"))
    workgroup.add_named_query("Ten", "SELECT * FROM reviews LIMIT 10", zone=lake.raw)
    workgroup.add_prepared_statement("of_product", "SELECT * FROM reviews WHERE product = ?")
    roles = {
        each: iam.Role(stack, each, assumed_by=iam.AccountRootPrincipal())
        for each in ("Scientist", "Analyst", "Stranger")
    }
    for role in (roles["Scientist"], roles["Analyst"]):
        workgroup.grant_query(role)
    reviews.grant_select(roles["Scientist"])
    reviews.grant_select(roles["Analyst"], columns=["product", "rating"])
    for key, value in {
        "Database": lake.raw.database_name,
        "Bucket": lake.raw.bucket.bucket_name,
        **{f"{each}Arn": role.role_arn for each, role in roles.items()},
    }.items():
        cdk.CfnOutput(stack, key, value=value)


def test_the_reviews_are_counted_by_product(catalog: Catalog) -> None:
    rows = catalog.query(
        catalog.session("Scientist").client("athena"),
        "SELECT product, count(*), avg(rating) FROM reviews GROUP BY product ORDER BY product",
    )
    assert len(rows) == 5
    assert sum(int(sentences) for _, sentences, _ in rows) == 3708
    assert rows[0][0] == "Apex AD2600 DVD player"
    assert all(-4 <= float(rating) <= 4 for *_, rating in rows)


def test_texts_with_commas_and_quotes_are_one_value(catalog: Catalog) -> None:
    athena = catalog.session("Scientist").client("athena")
    ((commas, ratings),) = catalog.query(
        athena, "SELECT count(*), count(rating) FROM reviews WHERE text LIKE '%,%'"
    )
    assert int(commas) > 100
    assert ratings == commas


def test_saved_queries_are_there_for_who_may_query(catalog: Catalog) -> None:
    athena = catalog.session("Scientist").client("athena")
    (saved,) = athena.list_named_queries(WorkGroup=catalog.workgroup)["NamedQueryIds"]
    text = athena.get_named_query(NamedQueryId=saved)["NamedQuery"]["QueryString"]
    assert len(catalog.query(athena, text)) == 10
    prepared = athena.get_prepared_statement(StatementName="of_product", WorkGroup=catalog.workgroup)
    assert prepared["PreparedStatement"]["QueryStatement"].endswith("product = ?")


def denied(call: Any) -> None:
    with pytest.raises(ClientError) as raised:
        call()
    assert raised.value.response["Error"]["Code"] in DENIED, raised.value


def test_who_may_select_the_table_reads_its_objects_and_definition_and_not_its_neighbours(
    catalog: Catalog,
) -> None:
    session, bucket = catalog.session("Scientist"), catalog.outputs["Bucket"]
    s3, glue = session.client("s3"), session.client("glue")
    assert s3.get_object(Bucket=bucket, Key="reviews/amazon.csv")["ContentLength"] > 100_000
    table = glue.get_table(DatabaseName=catalog.outputs["Database"], Name="reviews")["Table"]
    assert [column["Name"] for column in table["StorageDescriptor"]["Columns"]] == list(HEADER)
    denied(lambda: s3.get_object(Bucket=bucket, Key="secret/plan.csv"))
    denied(lambda: s3.put_object(Bucket=bucket, Key="reviews/more.csv", Body=b""))
    denied(lambda: glue.get_table(DatabaseName=catalog.outputs["Database"], Name="secret"))
    denied(lambda: glue.delete_table(DatabaseName=catalog.outputs["Database"], Name="reviews"))


def test_who_may_select_a_part_cannot_go_around_the_filter_by_s3(catalog: Catalog) -> None:
    session, bucket = catalog.session("Analyst"), catalog.outputs["Bucket"]
    session.client("glue").get_table(DatabaseName=catalog.outputs["Database"], Name="reviews")
    denied(lambda: session.client("s3").get_object(Bucket=bucket, Key="reviews/amazon.csv"))
    denied(lambda: session.client("s3").list_objects_v2(Bucket=bucket, Prefix="reviews/"))


def test_who_was_not_granted_cannot_query_here_and_nobody_can_elsewhere(catalog: Catalog) -> None:
    query = "SELECT 1"
    denied(lambda: catalog.query(catalog.session("Stranger").client("athena"), query))
    denied(lambda: catalog.query(catalog.session("Scientist").client("athena"), query, WorkGroup="primary"))


def test_grants_are_told_by_lake_formation(catalog: Catalog) -> None:
    client = catalog.aws.client("lakeformation")
    told = client.list_permissions()["PrincipalResourcePermissions"]
    of = {
        role: [
            (next(iter(each["Resource"])), each["Permissions"])
            for each in told
            if each["Principal"]["DataLakePrincipalIdentifier"] == catalog.outputs[f"{role}Arn"]
        ]
        for role in ("Scientist", "Analyst", "Stranger")
    }
    assert ("Table", ["SELECT"]) in of["Scientist"]
    assert ("Table", ["SELECT"]) not in of["Analyst"]
    assert of["Stranger"] == []
