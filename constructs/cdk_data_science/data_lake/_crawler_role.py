"""What a crawler may do."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science._acknowledgements import (
    acknowledge,
    acknowledge_wildcards,
)
from cdk_data_science.data_lake._crawler_events import CrawlerEvents
from cdk_data_science.data_lake._service_role import service_role
from cdk_data_science.data_lake.zone_base import ZoneBase

_WRITE_CATALOG = (
    "glue:CreateTable",
    "glue:UpdateTable",
    "glue:CreatePartition",
    "glue:BatchCreatePartition",
    "glue:UpdatePartition",
    "glue:BatchUpdatePartition",
)
_DELETE_CATALOG = ("glue:DeleteTable", "glue:BatchDeletePartition", "glue:DeletePartition")


def crawler_role(
    scope: Construct,
    zone: ZoneBase,
    prefixes: Sequence[str],
    *,
    delete: bool,
    events: CrawlerEvents | None,
) -> iam.Role:
    """A role that reads folders of a zone and writes the definitions of the tables in them."""
    stack = Stack.of(scope)
    role = service_role(
        scope, "glue", "Reads folders of a zone and writes the definitions of the tables in them"
    )
    for prefix in prefixes:
        zone.grant_read(role, prefix=prefix)
    role.add_to_policy(
        iam.PolicyStatement(actions=["s3:GetBucketLocation"], resources=[zone.bucket.bucket_arn])
    )
    zone.grant_definitions(role)
    home = Stack.of(zone)
    role.add_to_policy(
        iam.PolicyStatement(
            actions=[*_WRITE_CATALOG, *(_DELETE_CATALOG if delete else ())],
            resources=[
                home.format_arn(service="glue", resource="catalog"),
                home.format_arn(service="glue", resource="database", resource_name=zone.database_name),
                home.format_arn(service="glue", resource="table", resource_name=f"{zone.database_name}/*"),
            ],
        )
    )
    logs = stack.format_arn(
        service="logs",
        resource="log-group",
        resource_name="/aws-glue/crawlers*",
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )
    role.add_to_policy(
        iam.PolicyStatement(
            actions=[
                "logs:CreateLogGroup",
                "logs:CreateLogStream",
                "logs:PutLogEvents",
                "logs:AssociateKmsKey",
            ],
            resources=[logs],
        )
    )
    acknowledge_wildcards(
        role,
        scope,
        [logs],
        "Glue names the log group of a crawler by its role and security configuration. The wildcard "
        "stands for the log groups of crawlers, for writing a log alone.",
    )
    role.add_to_policy(iam.PolicyStatement(actions=["glue:GetSecurityConfiguration"], resources=["*"]))
    acknowledge(
        role,
        ["AwsSolutions-IAM5[Resource::*]"],
        "glue:GetSecurityConfiguration has no resource type in IAM. It tells which key encrypts the log.",
    )
    if events is not None:
        events.grant_consume(role)
    if zone.catalog is not None and (principal := zone.catalog.principal(role)) is not None:
        zone.catalog.permit_location(principal, zone.bucket.bucket_arn)
    return role
