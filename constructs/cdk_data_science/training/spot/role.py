"""The role of training jobs: its trust, its log, its metrics, its image, its volumes."""

from __future__ import annotations

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge, acknowledge_inline_policy, acknowledge_wildcards
from cdk_data_science._images import PrivateRegistry, allow_pull

LOG_GROUP_NAME = "/aws/sagemaker/TrainingJobs"
"""SageMaker writes the logs of all training jobs of a region to this log group.

It makes the group with the first job, without a retention and without a key of yours. Whoever owns the
account sets both: no stack does, because the group is shared by all jobs of the region.
"""

METRICS_NAMESPACE = "/aws/sagemaker/TrainingJobs"


def job_role(scope: Construct, id: str, *, job_names: str, image: str) -> iam.Role:
    """Make a role for the jobs of one name pattern, which SageMaker of this account alone may take.

    Args:
        job_names: The pattern of the jobs' names, for their log streams.
        image: URI of the image, which the role may pull if it is in ECR.
    """
    stack = Stack.of(scope)
    role = iam.Role(
        scope,
        id,
        description="Role of training jobs: their log, metrics, image, source, output and checkpoints",
        assumed_by=iam.ServicePrincipal(
            "sagemaker.amazonaws.com",
            conditions={
                "StringEquals": {"aws:SourceAccount": stack.account},
                "ArnLike": {
                    "aws:SourceArn": stack.format_arn(
                        service="sagemaker", resource="*", arn_format=ArnFormat.NO_RESOURCE_NAME
                    )
                },
            },
        ),
    )
    _allow_logs(role, job_names)
    role.add_to_policy(
        iam.PolicyStatement(
            sid="JobMetrics",
            actions=["cloudwatch:PutMetricData"],
            resources=["*"],
            conditions={"StringEquals": {"cloudwatch:namespace": METRICS_NAMESPACE}},
        )
    )
    acknowledge(
        role,
        ["AwsSolutions-IAM5[Resource::*]"],
        "IAM knows no resource of CloudWatch's PutMetricData. A condition binds it to SageMaker's training "
        "namespace.",
    )
    acknowledge_inline_policy(role)
    allow_pull(role, image)
    return role


def allow_registry(role: iam.IRole, registry: PrivateRegistry) -> None:
    """Let jobs ask for the credentials of their private registry."""
    if registry.credentials is not None:
        # Not the function's own grant, which would name its versions with a wildcard.
        iam.Grant.add_to_principal(
            grantee=role,
            actions=["lambda:InvokeFunction"],
            resource_arns=[registry.credentials.function_arn],
        )


def allow_volume_key(role: iam.Role, key: kms.IKey) -> None:
    """Let jobs encrypt their volumes: EBS uses the key through a grant that SageMaker makes in their name."""
    key.grant(role, "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext")
    role.add_to_policy(
        iam.PolicyStatement(
            sid="VolumeKey",
            actions=["kms:CreateGrant"],
            resources=[key.key_arn],
            conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
        )
    )


def _allow_logs(role: iam.Role, job_names: str) -> None:
    """Calls on the group are authorized on its ARN, mostly with ``:*`` behind it, calls on a stream on the
    stream's.

    See https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/iam-access-control-overview-cwl.html
    """
    log_group = Stack.of(role).format_arn(
        service="logs",
        resource="log-group",
        resource_name=LOG_GROUP_NAME,
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )
    group, streams = f"{log_group}:*", f"{log_group}:log-stream:{job_names}"
    role.add_to_policy(
        iam.PolicyStatement(
            sid="JobLogGroup",
            actions=["logs:CreateLogGroup", "logs:DescribeLogStreams"],
            resources=[log_group, group],
        )
    )
    role.add_to_policy(
        iam.PolicyStatement(
            sid="JobLogStreams", actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[streams]
        )
    )
    acknowledge_wildcards(
        role,
        role,
        [group, streams],
        "CloudWatch Logs names a group with a star behind it. Each job writes log streams that begin with "
        "its name; the pattern holds those of this construct.",
    )
