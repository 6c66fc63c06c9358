"""Images of jobs and models: where they may come from, and what it takes to pull them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from aws_cdk import Aws, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_

from cdk_data_science._acknowledgements import acknowledge, acknowledge_wildcards
from cdk_data_science._validation import Problems, is_token

_ECR_IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr(-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?/(?P<repository>[^:@]+)"
)
# What CDK writes in the place of a part that is known only at deployment.
_LATER = r"\$\{Token\[[^\]]+\]\}"
_COMPOSED_IMAGE = re.compile(
    rf"(?P<account>\d{{12}}|{_LATER})\.dkr\.ecr(-fips)?\.(?P<region>[a-z0-9-]+|{_LATER})"
    rf"\.(amazonaws\.com(\.cn)?|{_LATER})/(?P<repository>[^:@]+)"
)
_PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
_LONGEST_URI = 255


@dataclass(frozen=True, kw_only=True, slots=True)
class PrivateRegistry:
    """Says that the image is in a Docker registry which the job or model reaches through its VPC, not in ECR.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/docker-containers-adapt-your-own-private-registry.html
    """

    credentials: lambda_.IFunction | None = None
    """Function that gives SageMaker the registry's user name and password. Default: none are asked for."""

    def render(self) -> dict[str, Any]:
        """Return the ``TrainingImageConfig`` of the SageMaker API, for a training job."""
        config: dict[str, Any] = {"TrainingRepositoryAccessMode": "Vpc"}
        if self.credentials is not None:
            config["TrainingRepositoryAuthConfig"] = {
                "TrainingRepositoryCredentialsProviderArn": self.credentials.function_arn
            }
        return config


def repository_arn(image: str) -> str | None:
    """Return the ARN of the ECR repository that an image's URI names, or None if it names none.

    The URI of an image in a repository of an app is composed of parts that are known only at deployment; each
    of them can be told from the others all the same.
    """
    match = _COMPOSED_IMAGE.match(image)
    if match is None:
        return None
    return f"arn:{Aws.PARTITION}:ecr:{match['region']}:{match['account']}:repository/{match['repository']}"


def allow_pull(role: iam.IRole, image: str) -> None:
    """Let a role pull an image from its repository in ECR; images of other registries need nothing here."""
    repository = repository_arn(image)
    if repository is None:
        if not is_token(image):
            return
        repository = Stack.of(role).format_arn(service="ecr", resource="repository", resource_name="*")
        acknowledge_wildcards(
            role,
            role,
            [repository],
            "The image's URI as a whole is known only at deployment, such as a parameter of the stack: its "
            "repository is one of this account and region. The URI of a ContainerRepository, or one that is "
            "written out, names the repository here.",
        )
    acknowledge(
        role,
        ["AwsSolutions-IAM5[Resource::*]"],
        "IAM knows no resource of ECR's GetAuthorizationToken. It opens nothing by itself: another statement "
        "says what may be pulled.",
    )
    for actions, resource in ((["ecr:GetAuthorizationToken"], "*"), ([*_PULL], repository)):
        iam.Grant.add_to_principal(grantee=role, actions=actions, resource_arns=[resource])


def check_image(
    image: str,
    problems: Problems,
    *,
    region: str,
    registry: PrivateRegistry | None = None,
    in_vpc: bool = False,
) -> None:
    """Report an image that SageMaker in this region would not pull.

    ECR images have to be in its own region, as SageMaker says of all its containers. What is not in ECR is
    pulled through the VPC of the job or model, and only if that is said.
    """
    problems.check(
        registry is None or in_vpc,
        given="a private registry without a VPC",
        allowed="SageMaker reaches private registries through the VPC alone",
        write="vpc=vpc",
    )
    if is_token(image):
        return
    if not 0 < len(image) <= _LONGEST_URI:
        problems.check(
            False,
            given=f"image of {len(image)} characters",
            allowed="the URI of an image, 1 to 255 characters",
        )
        return
    match = _ECR_IMAGE.match(image)
    if match is None:
        problems.check(
            registry is not None,
            given=f"image={image!r}",
            allowed="an image in ECR, <account>.dkr.ecr.<region>.amazonaws.com/<repository>:<tag>, or one in "
            "a private registry that the VPC reaches",
            write="private_registry=PrivateRegistry(), with a VPC",
        )
        return
    problems.check(
        registry is None,
        given=f"private_registry with the ECR image {image!r}",
        allowed="an image of the private registry, or no private_registry",
    )
    here = image.replace(f".{match['region']}.", f".{region}.")
    problems.check(
        is_token(region) or match["region"] == region,
        given=f"image={image!r} in a stack of region {region}",
        allowed="an image of the stack's own region: SageMaker pulls none from another one",
        write=f'image="{here}", with the account that publishes the image there',
    )
