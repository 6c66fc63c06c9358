"""The rules, one module for each service or group of services."""

from cdk_data_science.security.checks.rule import Rule
from cdk_data_science.security.checks.rules import (
    athena,
    file_systems,
    glue,
    governance,
    inference_functions,
    lake_formation,
    sagemaker_data,
    sagemaker_hosting,
    sagemaker_jobs,
    sagemaker_models,
    sagemaker_studio,
    step_functions,
    streaming,
)

RULES: tuple[Rule, ...] = (
    *sagemaker_studio.RULES,
    *sagemaker_models.RULES,
    *sagemaker_hosting.RULES,
    *sagemaker_data.RULES,
    *sagemaker_jobs.RULES,
    *lake_formation.RULES,
    *glue.RULES,
    *athena.RULES,
    *file_systems.RULES,
    *step_functions.RULES,
    *streaming.RULES,
    *inference_functions.RULES,
    *governance.RULES,
)
"""Every rule, in the order of their documentation."""
