"""Jobs that make tables of what arrives: Spark on Glue, and DataBrew."""

from cdk_data_science.data_lake.etl.connection import DatabaseConnection, JobConnection
from cdk_data_science.data_lake.etl.data_profile import DataProfile
from cdk_data_science.data_lake.etl.job_task import SparkJobTask
from cdk_data_science.data_lake.etl.recipe_job import RecipeCondition, RecipeJob, RecipeStep
from cdk_data_science.data_lake.etl.script import Script, ScriptFile, ScriptObject
from cdk_data_science.data_lake.etl.spark_job import SparkJob
from cdk_data_science.data_lake.etl.streaming_job import StreamingJob
from cdk_data_science.data_lake.etl.workers import Workers

__all__ = [
    "DataProfile",
    "DatabaseConnection",
    "JobConnection",
    "RecipeCondition",
    "RecipeJob",
    "RecipeStep",
    "Script",
    "ScriptFile",
    "ScriptObject",
    "SparkJob",
    "SparkJobTask",
    "StreamingJob",
    "Workers",
]
