"""Profiles and recipes of DataBrew by the settings."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

from cdk_data_science import AlertTopic, DataLake, DataProfile, RecipeCondition, RecipeJob, RecipeStep
from settings.databrew import Profile, Recipe
from stacks import places


def profile(
    scope: Construct, name: str, profile: Profile, *, lake: DataLake, alerts: AlertTopic
) -> DataProfile:
    """What is in a table, as JSON in a folder."""
    return DataProfile(
        scope,
        places.id_of("Profile", name),
        table=places.table(lake, profile.table, f"etl.profiles.{name}.table"),
        output=places.folder(lake, profile.output),
        columns=profile.columns,
        rows=None if profile.rows == "all" else profile.rows,
        entities=profile.personal_data,
        nodes=profile.nodes,
        timeout=cdk.Duration.minutes(profile.timeout_minutes),
        retries=profile.retries,
        schedule=profile.schedule,
        timezone=profile.time_zone,
        alerts=alerts,
    )


def recipe(scope: Construct, name: str, recipe: Recipe, *, lake: DataLake, alerts: AlertTopic) -> RecipeJob:
    """A table cleaned step by step."""
    return RecipeJob(
        scope,
        places.id_of("Recipe", name),
        table=places.table(lake, recipe.table, f"etl.recipes.{name}.table"),
        steps=[
            RecipeStep(
                operation=step.operation,
                parameters=step.parameters,
                conditions=[
                    RecipeCondition(condition=each.condition, column=each.column, value=each.value)
                    for each in step.conditions
                ],
            )
            for step in recipe.steps
        ],
        output=places.place(lake, recipe.output, f"etl.recipes.{name}.output"),
        format=recipe.format,
        nodes=recipe.nodes,
        timeout=cdk.Duration.minutes(recipe.timeout_minutes),
        retries=recipe.retries,
        schedule=recipe.schedule,
        timezone=recipe.time_zone,
        alerts=alerts,
    )
