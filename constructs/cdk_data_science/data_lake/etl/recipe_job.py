"""A table cleaned by a recipe of DataBrew."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from aws_cdk import Duration, Stack
from aws_cdk import aws_databrew as databrew
from aws_cdk import aws_iam as iam
from aws_cdk import custom_resources as cr
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge_inline_policy
from cdk_data_science._validation import Problems, is_token
from cdk_data_science.data_lake._calls import acknowledge_calls
from cdk_data_science.data_lake._ledger import digest
from cdk_data_science.data_lake.etl import _places
from cdk_data_science.data_lake.etl._databrew import DataBrewJob
from cdk_data_science.data_lake.table_base import TableBase
from cdk_data_science.data_lake.zone_folder import ZoneFolder
from cdk_data_science.monitoring.alerts import AlertTopic

PUBLISHED_RECIPE = "Custom::DataBrewPublishedRecipe"
_VERSION = "1.0"
_TIMEOUT = Duration.hours(2)
_OPERATION = re.compile(r"[A-Z_]{1,128}")
_FORMATS = {"parquet": "GLUEPARQUET", "csv": "CSV", "json": "JSON"}

OutputFormat = Literal["parquet", "csv", "json"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RecipeCondition:
    """When a step of a recipe applies to a row."""

    condition: str
    """Such as ``IS_MISSING`` or ``GREATER_THAN``."""

    column: str
    """The column that is looked at."""

    value: str | None = None
    """What it is compared with, if the condition compares."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RecipeStep:
    """One step of a recipe."""

    operation: str
    """By DataBrew's name, such as ``TRIM`` or ``REMOVE_MISSING``:
    https://docs.aws.amazon.com/databrew/latest/dg/recipe-actions-reference.html."""

    parameters: Mapping[str, str] = field(default_factory=dict)
    """By DataBrew's names, such as ``sourceColumn``."""

    conditions: Sequence[RecipeCondition] = ()
    """All of which have to hold. Default: none."""


class RecipeJob(DataBrewJob):
    """A table, cleaned step by step as a recipe of DataBrew says, and written to another folder or table.

    A recipe is published when it is made, and another recipe is made when its steps change: a run uses one
    whole state of it.

    **Costs at rest**: 1 USD a month for the key of a topic that is not given. A run costs 0.48 USD for each
    hour of a node (us-east-1, November 2026).

    ```python
    from cdk_data_science import DataLake, RecipeJob, RecipeStep

    lake = DataLake(self, "Lake")
    raw = lake.raw.add_table("reviews", schema={"review_id": "string", "text": "string"})
    clean = lake.curated.add_table("reviews", schema={"review_id": "string", "text": "string"})
    RecipeJob(
        self,
        "Clean",
        table=raw,
        steps=[
            RecipeStep(operation="REMOVE_MISSING", parameters={"sourceColumn": "text"}),
            RecipeStep(operation="TRIM", parameters={"sourceColumn": "text"}),
        ],
        output=clean,
    )
    ```

    Args:
        table: What is cleaned.
        steps: In order.
        output: A folder apart from tables, or another table, whose objects are replaced by each run.
        format: Of the output: ``parquet``, ``csv`` or ``json``; that of the table, if it is one. Default:
            ``parquet``.
        nodes: The most nodes that a run uses, 1 or more. Default: 5.
        timeout: Whole minutes. Default: 2 hours.
        retries: How often a run that failed is started again. Default: 0.
        schedule: ``cron(Minutes Hours Day-of-month Month Day-of-week Year)``. Default: none.
        timezone: Of the schedule. Default: UTC.
        alerts: Who is told of runs that failed. Default: a new topic.

    Raises:
        ConfigurationError: For steps on columns that are not there, and what DataBrew would refuse.

    Follows https://docs.aws.amazon.com/databrew/latest/dg/jobs.recipe.html.
    """

    recipe: databrew.CfnRecipe
    """The recipe."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        table: TableBase,
        steps: Sequence[RecipeStep],
        output: ZoneFolder | TableBase,
        format: OutputFormat = "parquet",
        nodes: int = 5,
        timeout: Duration = _TIMEOUT,
        retries: int = 0,
        schedule: str | None = None,
        timezone: str = "UTC",
        alerts: AlertTopic | None = None,
    ) -> None:
        problems = Problems(f"RecipeJob {id!r}", scope)
        problems.check_kind("table", table, TableBase, write="lake.raw.add_table(…)")
        problems.check_kind(
            "output", output, (TableBase, ZoneFolder), write='ZoneFolder(zone=lake.curated, prefix="clean/")'
        )
        for step in steps:
            problems.check_kind("a step", step, RecipeStep, write='RecipeStep(operation="TRIM", …)')
        problems.raise_if_any()
        _check_steps(problems, steps)
        problems.check(
            format in _FORMATS, given=f"format={format!r}", allowed=", ".join(_FORMATS), write='"parquet"'
        )
        problems.check(
            output is not table,
            given=f"table {table.name!r} as input and as output",
            allowed="another table: a run would replace what it reads",
        )
        problems.check(
            not isinstance(output, TableBase) or not output.iceberg,
            given=f"Iceberg table {output.name!r} as output" if isinstance(output, TableBase) else "",
            allowed="other formats: a run replaces objects, and knows nothing of Iceberg's metadata",
        )
        super().__init__(
            scope,
            id,
            kind="recipe job",
            table=table,
            output=output,
            nodes=nodes,
            timeout=timeout,
            retries=retries,
            schedule=schedule,
            timezone=timezone,
            problems=problems,
        )
        zone = _places.zone_of(output)
        published = self._publish(steps)
        properties = databrew.CfnJob
        job = databrew.CfnJob(
            self,
            "Resource",
            type="RECIPE",
            recipe=properties.RecipeProperty(name=self.recipe.ref, version=_VERSION),
            outputs=[
                properties.OutputProperty(
                    location=properties.S3LocationProperty(
                        bucket=zone.bucket.bucket_name,
                        bucket_owner=Stack.of(zone).account,
                        key=output.prefix,
                    ),
                    format=_FORMATS[format],
                    overwrite=True,
                )
            ],
            **self._common(nodes=nodes, timeout=timeout, retries=retries),
        )
        job.node.add_dependency(published)
        self._run(job, schedule=schedule, timezone=timezone, alerts=alerts)

    def _publish(self, steps: Sequence[RecipeStep]) -> cr.AwsCustomResource:
        """CloudFormation keeps a working version of a recipe alone, and jobs run published ones."""
        rendered = [_render(step) for step in steps]
        name = f"{self.name}-{digest(Stack.of(self).resolve(_plain(steps)))}"
        self.recipe = databrew.CfnRecipe(
            self, "Recipe", name=name, description=f"Steps of {self.node.path}", steps=rendered
        )
        call = cr.AwsCustomResource(
            self,
            "Publish",
            resource_type=PUBLISHED_RECIPE,
            install_latest_aws_sdk=False,
            timeout=Duration.minutes(5),
            policy=cr.AwsCustomResourcePolicy.from_statements(
                [
                    iam.PolicyStatement(
                        actions=["databrew:PublishRecipe", "databrew:DeleteRecipeVersion"],
                        resources=[
                            Stack.of(self).format_arn(
                                service="databrew", resource="recipe", resource_name=name
                            )
                        ],
                    )
                ]
            ),
            on_update=cr.AwsSdkCall(
                service="DataBrew",
                action="publishRecipe",
                parameters={"Name": self.recipe.ref},
                physical_resource_id=cr.PhysicalResourceId.of(name),
                output_paths=[],
            ),
            on_delete=cr.AwsSdkCall(
                service="DataBrew",
                action="deleteRecipeVersion",
                parameters={"Name": name, "RecipeVersion": _VERSION},
                ignore_error_codes_matching="ResourceNotFoundException",
                output_paths=[],
            ),
        )
        acknowledge_inline_policy(call)
        acknowledge_calls(self)
        return call


def _check_steps(problems: Problems, steps: Sequence[RecipeStep]) -> None:
    problems.check(bool(steps), given="no steps", allowed="one or more")
    for step in steps:
        problems.check(
            is_token(step.operation) or bool(_OPERATION.fullmatch(step.operation)),
            given=f"operation {step.operation!r}",
            allowed="capital letters and underscores, by DataBrew's names",
            write=f'"{step.operation.upper().replace("-", "_").replace(" ", "_")}"',
        )


def _render(step: RecipeStep) -> databrew.CfnRecipe.RecipeStepProperty:
    properties = databrew.CfnRecipe
    return properties.RecipeStepProperty(
        action=properties.ActionProperty(
            operation=step.operation, parameters=dict(step.parameters) if step.parameters else None
        ),
        condition_expressions=[
            properties.ConditionExpressionProperty(
                condition=each.condition, target_column=each.column, value=each.value
            )
            for each in step.conditions
        ]
        or None,
    )


def _plain(steps: Sequence[RecipeStep]) -> list[list[object]]:
    """What a recipe's name follows from."""
    return [
        [
            step.operation,
            dict(step.parameters),
            [[each.condition, each.column, each.value] for each in step.conditions],
        ]
        for step in steps
    ]
