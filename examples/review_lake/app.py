"""A lake with reviews as a table, a workgroup to query it, and a gate: `cdk deploy --app "python app.py"`."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from cdk_data_science import (
    AlertTopic,
    Csv,
    DataLake,
    Pipeline,
    QualityResults,
    QualityRules,
    QueryWorkgroup,
)
from cdk_data_science.pipelines import QualityGate

RULES = """
Rules = [
    RowCount > 1000,
    ColumnCount = 5,
    IsPrimaryKey "sentence_id",
    IsComplete "review_id",
    IsComplete "text",
    ColumnLength "text" between 0 and 1000,
    (ColumnValues "rating" >= -4) and (ColumnValues "rating" <= 4),
    DistinctValuesCount "product" = 5,
    Mean "rating" between -1 and 2
]
"""


def build(stack: cdk.Stack, *, workgroup: str = "reviews") -> None:
    """Put the exercise into a stack; names of workgroups are unique in an account and region."""
    lake = DataLake(stack, "Lake", zones=["raw", "results"])
    reviews = lake.raw.add_table(
        "reviews",
        schema={
            "sentence_id": "string",
            "review_id": "int",
            "product": "string",
            "rating": "double",
            "text": "string",
        },
        format=Csv(escape='"'),
        description="Sentences of product reviews, each rated by twenty people or more",
    )
    alerts = AlertTopic(stack, "Alerts")
    results = QualityResults(stack, "Quality", zone=lake.zone("results"), alerts=alerts)
    rules = QualityRules(RULES)
    # On AWS, Glue evaluates the rules of the whole table when somebody starts it.
    reviews.add_quality_rules(rules, results=results)
    # Each upload is judged when it arrives, by the same rules.
    gate = Pipeline(
        stack,
        "Gate",
        data=lake.raw,
        prefix="reviews/",
        work=lake.zone("results"),
        steps=[QualityGate(rules, results=results, ruleset="reviews")],
    )
    queries = QueryWorkgroup(stack, "Queries", name=workgroup, results=lake.zone("results"), alerts=alerts)
    scientist = iam.Role(stack, "Scientist", assumed_by=iam.AccountRootPrincipal())
    queries.grant_query(scientist)
    reviews.grant_select(scientist)
    results.grant_select(scientist)
    for name, value in {
        "RawBucket": lake.raw.bucket.bucket_name,
        "RawDatabase": lake.raw.database_name,
        "ResultsDatabase": lake.zone("results").database_name,
        "Workgroup": queries.name,
        "QueryResults": f"s3://{queries.results_bucket.bucket_name}/{queries.results_prefix}",
        "StateMachineArn": gate.state_machine.state_machine_arn,
        "ScientistArn": scientist.role_arn,
    }.items():
        cdk.CfnOutput(stack, name, value=value)


if __name__ == "__main__":
    app = cdk.App()
    build(cdk.Stack(app, "ReviewLake"))
    app.synth()
