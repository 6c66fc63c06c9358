"""The execution role of models: its trust, and what endpoints add to it."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge, acknowledge_inline_policy, acknowledge_wildcards

METRICS_NAMESPACE = "/aws/sagemaker/Endpoints"
COMPONENTS_NAMESPACE = "/aws/sagemaker/InferenceComponents"


def execution_role(
    scope: Construct, id: str, *, namespaces: Sequence[str] = (METRICS_NAMESPACE,)
) -> iam.Role:
    """Make a role that SageMaker of this account alone may take.

    Args:
        namespaces: Of the metrics that the containers may write.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/security-confused-deputy-prevention.html
    """
    stack = Stack.of(scope)
    role = iam.Role(
        scope,
        id,
        description="Role of a model's containers: artifact, image, log, metrics, captured data",
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
    role.add_to_policy(
        iam.PolicyStatement(
            sid="Metrics",
            actions=["cloudwatch:PutMetricData"],
            resources=["*"],
            conditions={
                "StringEquals": {
                    "cloudwatch:namespace": namespaces[0] if len(namespaces) == 1 else list(namespaces)
                }
            },
        )
    )
    acknowledge_inline_policy(role)
    acknowledge(
        role,
        ["AwsSolutions-IAM5[Resource::*]"],
        "IAM knows no resource of CloudWatch's PutMetricData. A condition binds it to the namespaces of "
        "endpoints and their components.",
    )
    return role


def allow_log(role: iam.IRole, name: str, *, namespace: str = METRICS_NAMESPACE) -> None:
    """Let containers of one endpoint or component write its log.

    SageMaker makes the log group, so that what a container said stays readable when its first deployment
    fails and is rolled back.
    """
    group = Stack.of(role).format_arn(
        service="logs",
        resource="log-group",
        resource_name=f"{namespace}/{name}",
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )
    streams = f"{group}:*"
    _allow(
        role,
        ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
        group,
        streams,
    )
    acknowledge_wildcards(
        role,
        role,
        [streams],
        "The log streams of one endpoint or component, named after its variants and instances.",
    )


def _allow(role: iam.IRole, actions: list[str], *resources: str) -> None:
    iam.Grant.add_to_principal(grantee=role, actions=actions, resource_arns=list(resources))
