"""What may go through the endpoints of a network: our principals to our resources, and little else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aws_cdk import Aws, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science.network.features import NetworkFeature

_PULL = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]


def gateway_policy(
    scope: Construct, *, accounts: Sequence[str], features: Iterable[NetworkFeature], vpc_id: str
) -> dict[str, list[iam.PolicyStatement]]:
    """The statements of the S3 and the DynamoDB endpoint, by service."""
    region = Stack.of(scope).region
    ours = _ours(accounts, resources_may_be_unknown=False)
    s3 = [ours]
    if NetworkFeature.CONTAINERS in features:
        # ECR signs the addresses of layers with an account of its own: no condition on the principal holds.
        s3.append(
            iam.PolicyStatement(
                sid="ImageLayersOfEcr",
                principals=[iam.AnyPrincipal()],
                actions=["s3:GetObject"],
                resources=[f"arn:{Aws.PARTITION}:s3:::prod-{region}-starport-layer-bucket/*"],
                conditions={"StringEquals": {"aws:SourceVpc": vpc_id}},
            )
        )
    if NetworkFeature.JUMPSTART in features:
        bucket = f"arn:{Aws.PARTITION}:s3:::jumpstart-cache-prod-{region}"
        s3.append(
            iam.PolicyStatement(
                sid="ModelsOfJumpStart",
                principals=[iam.AnyPrincipal()],
                actions=["s3:GetObject", "s3:ListBucket"],
                resources=[bucket, f"{bucket}/*"],
                conditions={"StringEquals": {"aws:PrincipalAccount": list(accounts)}},
            )
        )
    return {"s3": s3, "dynamodb": [_ours(accounts, resources_may_be_unknown=False)]}


def interface_policy(name: str, *, accounts: Sequence[str]) -> list[iam.PolicyStatement]:
    """The statements of one interface endpoint."""
    statements = [_ours(accounts, resources_may_be_unknown=True)]
    if name.startswith("ecr."):
        # SageMaker's own images are in accounts of AWS, another one in each region. They can be read only.
        statements.append(
            iam.PolicyStatement(
                sid="ImagesOfOthers",
                principals=[iam.AnyPrincipal()],
                actions=_PULL,
                resources=["*"],
                conditions={"StringEquals": {"aws:PrincipalAccount": list(accounts)}},
            )
        )
    return statements


def _ours(accounts: Sequence[str], *, resources_may_be_unknown: bool) -> iam.PolicyStatement:
    """Our principals to our resources.

    Actions without a resource, such as `sts:GetCallerIdentity`, have no account of the resource. S3 and
    DynamoDB always name one.
    """
    principal = {"aws:PrincipalAccount": list(accounts)}
    resource = {"aws:ResourceAccount": list(accounts)}
    conditions: dict[str, dict[str, list[str]]] = (
        {"StringEquals": principal, "StringEqualsIfExists": resource}
        if resources_may_be_unknown
        else {"StringEquals": principal | resource}
    )
    return iam.PolicyStatement(
        sid="OurPrincipalsToOurResources",
        principals=[iam.AnyPrincipal()],
        actions=["*"],
        resources=["*"],
        conditions=conditions,
    )
