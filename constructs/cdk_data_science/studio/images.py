"""Images of one's own for JupyterLab and Code Editor."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from aws_cdk import ArnFormat, Names, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge_inline_policy
from cdk_data_science._images import allow_pull, check_image, repository_arn
from cdk_data_science._validation import Problems, is_token
from cdk_data_science.studio.users import SpaceApp

_VERSION = re.compile(r"[:@][^/]+$")
_NAME = re.compile(r"[a-z0-9](-?[a-z0-9]){0,29}")


@dataclass(frozen=True, kw_only=True, slots=True)
class CustomImage:
    """A container image that people can choose beside SageMaker's own."""

    name: str
    """What people see: 1 to 30 lower-case letters, digits and hyphens."""
    image: str
    """Its URI in ECR, in the domain's region, with a tag or digest."""
    app: SpaceApp = SpaceApp.JUPYTER_LAB
    """Where it can be chosen. Default: JupyterLab."""
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Variables of its containers, at most 25. Default: none."""

    def check(self, problems: Problems, region: str) -> None:
        """Record what cannot work in this image."""
        what = f"image {self.name!r}"
        problems.check_kind(f"{what}: app", self.app, SpaceApp, write="app=SpaceApp.JUPYTER_LAB")
        for variable, value in self.environment.items():
            problems.check_kind(f"{what}: environment[{variable!r}]", value, str, write='"1"')
        problems.check(
            is_token(self.image) or repository_arn(self.image) is None or bool(_VERSION.search(self.image)),
            given=f"{what}: {self.image!r}",
            allowed="an image with a tag or digest: a version of an image in Studio stays what it is",
            write=f'image="{self.image}:1"',
        )
        problems.check(
            bool(_NAME.fullmatch(self.name)),
            given=what,
            allowed="1 to 30 lower-case letters, digits and hyphens",
            write='name="team-image"',
        )
        problems.check(
            len(self.environment) <= 25, given=f"{what}: {len(self.environment)} variables", allowed="25"
        )
        problems.check(
            is_token(self.image) or repository_arn(self.image) is not None,
            given=f"{what}: {self.image!r}",
            allowed="the URI of an image in ECR",
            write='image="111122223333.dkr.ecr.us-east-1.amazonaws.com/studio:1"',
        )
        if not is_token(self.image):
            check_image(self.image, problems, region=region)


class StudioImage(Construct):
    """An image, its version and how apps run it.

    Another URI makes a new version, to which the domain turns before the old one is deleted. Apps that run
    keep theirs until they are started again.

    Costs nothing beside what ECR keeps.

    ```python
    from cdk_data_science.studio import CustomImage, StudioImage

    StudioImage(
        self,
        "Image",
        image=CustomImage(
            name="reviews", image="111122223333.dkr.ecr.us-east-1.amazonaws.com/studio:1"
        ),
    )
    ```

    Args:
        image: The image.

    Raises:
        ConfigurationError: For values that cannot work, all of them at once.

    Follows https://docs.aws.amazon.com/sagemaker/latest/dg/studio-updated-byoi-specs.html.
    """

    image: sagemaker.CfnImage
    version: sagemaker.CfnImageVersion
    config: sagemaker.CfnAppImageConfig

    def __init__(self, scope: Construct, id: str, *, image: CustomImage) -> None:
        super().__init__(scope, id)
        problems = Problems("StudioImage", self)
        image.check(problems, Stack.of(self).region)
        problems.raise_if_any()
        self.app = image.app
        name = Names.unique_resource_name(self, max_length=63, separator="-").strip("-")
        self.image = sagemaker.CfnImage(
            self,
            "Image",
            image_name=name,
            image_display_name=image.name,
            image_role_arn=self._role(image).role_arn,
        )
        self.version = sagemaker.CfnImageVersion(self, "Version", image_name=name, base_image=image.image)
        self.version.node.add_dependency(self.image)
        environment = [
            sagemaker.CfnAppImageConfig.CustomImageContainerEnvironmentVariableProperty(key=key, value=value)
            for key, value in sorted(image.environment.items())
        ]
        container = sagemaker.CfnAppImageConfig.ContainerConfigProperty(
            container_environment_variables=environment or None
        )
        if image.app is SpaceApp.JUPYTER_LAB:
            lab = sagemaker.CfnAppImageConfig.JupyterLabAppImageConfigProperty(container_config=container)
            self.config = sagemaker.CfnAppImageConfig(
                self, "Config", app_image_config_name=name, jupyter_lab_app_image_config=lab
            )
        else:
            editor = sagemaker.CfnAppImageConfig.CodeEditorAppImageConfigProperty(container_config=container)
            self.config = sagemaker.CfnAppImageConfig(
                self, "Config", app_image_config_name=name, code_editor_app_image_config=editor
            )

    def _role(self, image: CustomImage) -> iam.Role:
        stack = Stack.of(self)
        role = iam.Role(
            self,
            "Role",
            description=f"SageMaker reads the image {image.name}",
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
        acknowledge_inline_policy(role)
        allow_pull(role, image.image)
        return role
