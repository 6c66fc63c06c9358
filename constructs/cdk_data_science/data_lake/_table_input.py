"""A table's definition as CloudFormation takes it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from aws_cdk import aws_glue as glue

from cdk_data_science._validation import is_token
from cdk_data_science.data_lake.column_types import parse
from cdk_data_science.data_lake.formats import Iceberg, Storage
from cdk_data_science.data_lake.schema import Column


def hive_input(
    storage: Storage,
    name: str,
    columns: Sequence[Column],
    keys: Sequence[Column],
    location: str,
    parameters: Mapping[str, str],
    description: str | None,
) -> glue.CfnTable.TableInputProperty:
    """A table that Hive's readers read."""
    return glue.CfnTable.TableInputProperty(
        name=name,
        description=description,
        table_type="EXTERNAL_TABLE",
        parameters={
            "EXTERNAL": "TRUE",
            "classification": storage.classification,
            **storage.table_parameters,
            **parameters,
        },
        # Athena wants the list, even an empty one.
        partition_keys=_columns(keys),
        storage_descriptor=glue.CfnTable.StorageDescriptorProperty(
            columns=_columns(columns),
            location=location,
            input_format=storage.input_format,
            output_format=storage.output_format,
            serde_info=glue.CfnTable.SerdeInfoProperty(
                serialization_library=storage.serde, parameters=dict(storage.serde_parameters)
            ),
        ),
    )


def _columns(columns: Sequence[Column]) -> list[glue.CfnTable.ColumnProperty]:
    return [
        glue.CfnTable.ColumnProperty(name=column.name, type=_text(column.type), comment=column.comment)
        for column in columns
    ]


def _text(type_: str) -> str:
    """Hive's parser knows no spaces in types."""
    return type_ if is_token(type_) else re.sub(r"\s+", "", type_)


def iceberg_input(
    format: Iceberg, columns: Sequence[Column], location: str, description: str | None
) -> glue.CfnTable.OpenTableFormatInputProperty:
    """An Iceberg table, without anything in Hive's words: see :class:`LakeTable`."""
    made = glue.CfnTable
    fields = format.fields(columns)
    comment = {} if description is None else {"comment": description}
    properties = {**comment, **format.properties}
    return made.OpenTableFormatInputProperty(
        iceberg_input=made.IcebergInputProperty(
            metadata_operation="CREATE",
            version="2",
            iceberg_table_input=made.IcebergTableInputProperty(
                location=location.removesuffix("/"),
                properties=properties or None,
                schema=made.IcebergSchemaProperty(
                    type="struct",
                    fields=[
                        made.IcebergStructFieldProperty(
                            id=column.field_id or 0,
                            name=column.name,
                            type=_iceberg_type(column.type),
                            required=column.required,
                            doc=column.comment,
                        )
                        for column in columns
                    ],
                ),
                partition_spec=made.IcebergPartitionSpecProperty(
                    spec_id=0,
                    fields=[
                        made.IcebergPartitionFieldProperty(
                            source_id=source, transform=transform, name=name, field_id=number
                        )
                        for source, transform, name, number in fields
                    ],
                )
                if fields
                else None,
            ),
        )
    )


def _iceberg_type(type_: str) -> str:
    return type_ if is_token(type_) else parse(type_).iceberg or ""
