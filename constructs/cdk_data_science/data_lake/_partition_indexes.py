"""Indexes of a table's partitions, for which CloudFormation has no property."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aws_cdk import CfnResource, Duration, Stack
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import custom_resources as cr
from constructs import Construct, IConstruct

from cdk_data_science._acknowledgements import acknowledge_inline_policy
from cdk_data_science.data_lake._calls import acknowledge_calls

if TYPE_CHECKING:
    from cdk_data_science.data_lake.zone_base import ZoneBase

PARTITION_INDEX = "Custom::GluePartitionIndex"


class PartitionIndexes(Construct):
    """Makes the indexes of one table, one after another: Glue builds one at a time."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        table: glue.CfnTable,
        name: str,
        zone: ZoneBase,
        indexes: Sequence[Sequence[str]],
    ) -> None:
        super().__init__(scope, id)
        before: Sequence[IConstruct] = (table,)
        policy = self._policy(zone, name)
        for keys in indexes:
            index = "-".join(keys)
            where = {
                "CatalogId": Stack.of(zone).account,
                "DatabaseName": zone.database_name,
                "TableName": name,
            }
            call = cr.AwsCustomResource(
                self,
                index,
                resource_type=PARTITION_INDEX,
                install_latest_aws_sdk=False,
                timeout=Duration.minutes(5),
                policy=policy,
                on_create=cr.AwsSdkCall(
                    service="Glue",
                    action="createPartitionIndex",
                    parameters={**where, "PartitionIndex": {"IndexName": index, "Keys": list(keys)}},
                    physical_resource_id=cr.PhysicalResourceId.of(f"{name}/{index}"),
                    ignore_error_codes_matching="AlreadyExistsException",
                    output_paths=[],
                ),
                on_delete=cr.AwsSdkCall(
                    service="Glue",
                    action="deletePartitionIndex",
                    parameters={**where, "IndexName": index},
                    ignore_error_codes_matching="EntityNotFoundException",
                    output_paths=[],
                ),
            )
            if len(before) == 1:
                before = (table, *_let_alter(zone, name, call, table))
            for made in before:
                call.node.add_dependency(made)
            before = (*before, call)
        acknowledge_inline_policy(self)
        acknowledge_calls(self)

    @staticmethod
    def _policy(zone: ZoneBase, name: str) -> cr.AwsCustomResourcePolicy:
        stack = Stack.of(zone)
        return cr.AwsCustomResourcePolicy.from_statements(
            [
                iam.PolicyStatement(
                    actions=["glue:CreatePartitionIndex", "glue:DeletePartitionIndex", "glue:GetTable"],
                    resources=[
                        stack.format_arn(service="glue", resource="catalog"),
                        stack.format_arn(
                            service="glue", resource="database", resource_name=zone.database_name
                        ),
                        stack.format_arn(
                            service="glue", resource="table", resource_name=f"{zone.database_name}/{name}"
                        ),
                    ],
                )
            ]
        )


def _let_alter(
    zone: ZoneBase, name: str, call: cr.AwsCustomResource, table: glue.CfnTable
) -> Sequence[CfnResource]:
    """Lake Formation has the last word on who changes a table."""
    principal = None if zone.catalog is None else zone.catalog.principal(call)
    if zone.catalog is None or principal is None:
        return ()
    return zone.catalog.permit_table(principal, name, ("ALTER",), after=(table,))
