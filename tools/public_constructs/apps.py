"""Small apps of other projects' constructs, with their defaults, as their READMEs show them.

What an app has to do itself, it does: it is tagged, its budget is elsewhere, and a role of its own is for its
account alone. What is found is then the constructs'.

Each runs in an environment of its own, which has that project and not this one:
`python apps.py <project> <folder for the assembly>`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks

from cdk_data_science.security.checks import DataScienceChecks

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.5-cpu-py311"


def core(stack: cdk.Stack) -> None:
    """A pipeline and streams of aws-cdk-lib itself."""
    kinesis = importlib.import_module("aws_cdk.aws_kinesis")
    firehose = importlib.import_module("aws_cdk.aws_kinesisfirehose")
    s3 = importlib.import_module("aws_cdk.aws_s3")
    fsx = importlib.import_module("aws_cdk.aws_fsx")
    efs = importlib.import_module("aws_cdk.aws_efs")
    vpc = ec2.Vpc(stack, "Vpc", nat_gateways=0)
    function = lambda_.Function(
        stack,
        "Predict",
        runtime=lambda_.Runtime.PYTHON_3_13,
        handler="index.handler",
        code=lambda_.Code.from_inline("def handler(event, context): return event"),
    )
    function.add_function_url(auth_type=lambda_.FunctionUrlAuthType.NONE)
    train = tasks.SageMakerCreateTrainingJob(
        stack,
        "Train",
        training_job_name=sfn.JsonPath.string_at("$.name"),
        algorithm_specification=tasks.AlgorithmSpecification(
            training_image=tasks.DockerImage.from_registry(IMAGE)
        ),
        input_data_config=[
            tasks.Channel(
                channel_name="train",
                data_source=tasks.DataSource(
                    s3_data_source=tasks.S3DataSource(
                        s3_location=tasks.S3Location.from_json_expression("$.data")
                    )
                ),
            )
        ],
        output_data_config=tasks.OutputDataConfig(
            s3_output_location=tasks.S3Location.from_json_expression("$.out")
        ),
        integration_pattern=sfn.IntegrationPattern.RUN_JOB,
    )
    check = tasks.LambdaInvoke(stack, "Check", lambda_function=function)
    sfn.StateMachine(stack, "Pipeline", definition_body=sfn.DefinitionBody.from_chainable(check.next(train)))
    stream = kinesis.Stream(stack, "Stream")
    event_sources = importlib.import_module("aws_cdk.aws_lambda_event_sources")
    function.add_event_source(
        event_sources.KinesisEventSource(stream, starting_position=lambda_.StartingPosition.LATEST)
    )
    firehose.DeliveryStream(stack, "Delivery", destination=firehose.S3Bucket(s3.Bucket(stack, "Landing")))
    fsx.LustreFileSystem(
        stack,
        "Lustre",
        vpc=vpc,
        vpc_subnet=vpc.isolated_subnets[0] if vpc.isolated_subnets else vpc.public_subnets[0],
        storage_capacity_gib=1200,
        lustre_configuration=fsx.LustreConfiguration(
            deployment_type=fsx.LustreDeploymentType.PERSISTENT_2, per_unit_storage_throughput=125
        ),
    )
    efs.FileSystem(stack, "Home", vpc=vpc).add_access_point("Point", path="/science")


def sagemaker_alpha(stack: cdk.Stack) -> None:
    """@aws-cdk/aws-sagemaker-alpha: a model behind an endpoint that scales."""
    sagemaker = importlib.import_module("aws_cdk.aws_sagemaker_alpha")
    ecr = importlib.import_module("aws_cdk.aws_ecr")
    repository = ecr.Repository.from_repository_name(stack, "Repository", "reviews")
    model = sagemaker.Model(
        stack,
        "Model",
        containers=[
            sagemaker.ContainerDefinition(
                image=sagemaker.ContainerImage.from_ecr_repository(repository, "1.2.3")
            )
        ],
    )
    config = sagemaker.EndpointConfig(
        stack,
        "Config",
        instance_production_variants=[
            sagemaker.InstanceProductionVariantProps(
                model=model, variant_name="main", instance_type=sagemaker.InstanceType.of("ml.m5.large")
            )
        ],
    )
    endpoint = sagemaker.Endpoint(stack, "Endpoint", endpoint_config=config)
    scaling = endpoint.find_instance_production_variant("main").auto_scale_instance_count(max_capacity=3)
    scaling.scale_on_invocations("Invocations", max_requests_per_second=30)


def data_solutions_framework(stack: cdk.Stack) -> None:
    """cdklabs/aws-data-solutions-framework: a lake, its catalog, a workgroup."""
    name = "cdklabs.aws_data_solutions_framework"
    # Its Kafka clusters build their helpers with Docker.
    storage, governance, consumption = (
        importlib.import_module(f"{name}.{part}") for part in ("storage", "governance", "consumption")
    )
    lake = storage.DataLakeStorage(stack, "Lake")
    governance.DataLakeCatalog(stack, "Catalog", data_lake_storage=lake, database_name="reviews")
    consumption.AthenaWorkGroup(stack, "Athena", name="science", result_location_prefix="results/")


def generative_ai(stack: cdk.Stack) -> None:
    """cdklabs/generative-ai-cdk-constructs: hosted models."""
    hosted = importlib.import_module("cdklabs.generative_ai_cdk_constructs.sagemaker_deployment")
    hosted.HuggingFaceSageMakerEndpoint(
        stack,
        "HuggingFace",
        model_id="distilbert/distilbert-base-uncased",
        instance_type=hosted.SageMakerInstanceType.ML_G5_2_XLARGE,
        container=hosted.DeepLearningContainerImage.from_deep_learning_container_image(
            "huggingface-pytorch-inference", "2.1.0-transformers4.37.0-gpu-py310-cu118-ubuntu20.04"
        ),
    )
    hosted.CustomSageMakerEndpoint(
        stack,
        "Custom",
        model_id="custom",
        endpoint_name="custom",
        model_data_url="s3://models/model.tar.gz",
        instance_type=hosted.SageMakerInstanceType.ML_G5_2_XLARGE,
        container=hosted.DeepLearningContainerImage.from_deep_learning_container_image(
            "pytorch-inference", "2.5-gpu-py311-cu124-ubuntu22.04"
        ),
        async_inference=hosted.AsyncInferenceConfig(
            output_path="s3://results/", failure_path="s3://failures/"
        ),
    )


def solutions_constructs(stack: cdk.Stack) -> None:
    """aws-solutions-constructs: a function in front of an endpoint."""
    pattern = importlib.import_module("aws_solutions_constructs.aws_lambda_sagemakerendpoint")
    props: dict[str, Any] = {
        "primaryContainer": {"image": IMAGE, "modelDataUrl": "s3://models/model.tar.gz"},
        "executionRoleArn": iam.Role(
            stack,
            "ModelRole",
            assumed_by=iam.ServicePrincipal(
                "sagemaker.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": stack.account}}
            ),
        ).role_arn,
    }
    pattern.LambdaToSagemakerEndpoint(
        stack,
        "Endpoint",
        model_props=props,
        lambda_function_props=lambda_.FunctionProps(
            runtime=lambda_.Runtime.PYTHON_3_13,
            handler="index.handler",
            code=lambda_.Code.from_inline("def handler(event, context): return event"),
        ),
    )


APPS: dict[str, Callable[[cdk.Stack], None]] = {
    "aws-cdk-lib": core,
    "aws-cdk.aws-sagemaker-alpha": sagemaker_alpha,
    "cdklabs.aws-data-solutions-framework": data_solutions_framework,
    "cdklabs.generative-ai-cdk-constructs": generative_ai,
    "aws-solutions-constructs.aws-lambda-sagemakerendpoint": solutions_constructs,
}


def main() -> None:
    """Synthesize the app of a project, and judge it; a finding does not fail it."""
    project, folder = sys.argv[1:]
    app = cdk.App(outdir=folder, context={"@aws-cdk/core:failSynthOnValidationErrors": False})
    APPS[project](cdk.Stack(app, "Example"))
    cdk.Tags.of(app).add("owner", "science")
    checks = DataScienceChecks(app, sarif=f"{folder}/findings.sarif", leave_out=["DataScience-COST3"])
    cdk.Validations.of(app).add_plugins(checks)
    app.synth()


if __name__ == "__main__":
    main()
