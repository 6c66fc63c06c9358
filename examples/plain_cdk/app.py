"""A plain CDK app, of nobody's library: it trains a model and serves it, in AWS and on the local AWS.

`Training` holds a bucket and a state machine that trains; `Serving` the endpoint of the model whose archive
the parameter `ModelData` names.
"""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
INSTANCE = "ml.m5.large"


def allow_logs(role: iam.Role) -> None:
    """Let what SageMaker runs in a role write its log."""
    actions = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    groups = cdk.Aws.PARTITION, cdk.Aws.REGION, cdk.Aws.ACCOUNT_ID
    arn = "arn:{}:logs:{}:{}:log-group:/aws/sagemaker/*".format(*groups)
    role.add_to_policy(iam.PolicyStatement(actions=actions, resources=[arn]))


class Training(cdk.Stack):
    """Where the data and the models lie, and what trains."""

    def __init__(self, scope: cdk.App, id: str, **options: object) -> None:
        super().__init__(scope, id, **options)  # type: ignore[arg-type]
        self.bucket = s3.Bucket(
            self,
            "Data",
            enforce_ssl=True,
            auto_delete_objects=True,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        role = iam.Role(self, "JobRole", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
        self.bucket.grant_read_write(role)
        allow_logs(role)
        train = tasks.SageMakerCreateTrainingJob(
            self,
            "Train",
            integration_pattern=sfn.IntegrationPattern.RUN_JOB,
            training_job_name=sfn.JsonPath.string_at("$$.Execution.Name"),
            role=role,
            algorithm_specification=tasks.AlgorithmSpecification(
                training_image=tasks.DockerImage.from_registry(IMAGE),
                training_input_mode=tasks.InputMode.FILE,
                metric_definitions=[tasks.MetricDefinition(name="error", regex="error=([0-9.]+)")],
            ),
            hyperparameters={
                "sagemaker_program": "train.py",
                "sagemaker_submit_directory": self.bucket.s3_url_for_object("source/sourcedir.tar.gz"),
            },
            input_data_config=[
                tasks.Channel(
                    channel_name="train",
                    data_source=tasks.DataSource(
                        s3_data_source=tasks.S3DataSource(
                            s3_location=tasks.S3Location.from_bucket(self.bucket, "data/")
                        )
                    ),
                )
            ],
            output_data_config=tasks.OutputDataConfig(
                s3_output_location=tasks.S3Location.from_bucket(self.bucket, "models")
            ),
            resource_config=tasks.ResourceConfig(
                instance_count=1,
                instance_type=cdk.aws_ec2.InstanceType("m5.large"),
                volume_size=cdk.Size.gibibytes(1),
            ),
            stopping_condition=tasks.StoppingCondition(max_runtime=cdk.Duration.minutes(10)),
            result_selector={"model": sfn.JsonPath.string_at("$.ModelArtifacts.S3ModelArtifacts")},
        )
        machine = sfn.StateMachine(self, "Machine", definition_body=sfn.DefinitionBody.from_chainable(train))
        cdk.CfnOutput(self, "Bucket", value=self.bucket.bucket_name)
        cdk.CfnOutput(self, "MachineArn", value=machine.state_machine_arn)


class Serving(cdk.Stack):
    """The endpoint of one model."""

    def __init__(self, scope: cdk.App, id: str, training: Training, **options: object) -> None:
        super().__init__(scope, id, **options)  # type: ignore[arg-type]
        data = cdk.CfnParameter(self, "ModelData", description="S3 URI of the model's archive")
        role = iam.Role(self, "ModelRole", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
        read = training.bucket.grant_read(role)
        allow_logs(role)
        model = sagemaker.CfnModel(
            self,
            "Model",
            execution_role_arn=role.role_arn,
            primary_container=sagemaker.CfnModel.ContainerDefinitionProperty(
                image=IMAGE,
                model_data_url=data.value_as_string,
                environment={"SAGEMAKER_PROGRAM": "inference.py"},
            ),
        )
        read.apply_before(model)
        config = sagemaker.CfnEndpointConfig(
            self,
            "Config",
            production_variants=[
                sagemaker.CfnEndpointConfig.ProductionVariantProperty(
                    variant_name="all",
                    model_name=model.attr_model_name,
                    initial_variant_weight=1,
                    initial_instance_count=1,
                    instance_type=INSTANCE,
                )
            ],
        )
        endpoint = sagemaker.CfnEndpoint(
            self, "Endpoint", endpoint_config_name=config.attr_endpoint_config_name
        )
        cdk.CfnOutput(self, "EndpointName", value=endpoint.attr_endpoint_name)


app = cdk.App()
Serving(app, "PlainServing", Training(app, "PlainTraining"))
app.synth()
