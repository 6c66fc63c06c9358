"""What a domain gives to each of its profiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from aws_cdk.aws_sagemaker import CfnUserProfile

from cdk_data_science.studio.instances import InstanceLimit
from cdk_data_science.studio.users import SpaceApp

_OLD_APPS = ("JupyterServer", "TensorBoard", "DetailedProfiler", "RStudioServerPro")
"""Apps of Studio Classic, and RStudio, which needs a license."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AttachedImage:
    """An image that a domain has already."""

    image_name: str
    """Its name in SageMaker."""
    config_name: str
    """The name of the app image configuration that says how apps run it."""
    app: SpaceApp = SpaceApp.JUPYTER_LAB
    """Where it can be chosen. Default: JupyterLab."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProfileDefaults:
    """What all profiles of a domain have in common.

    A profile's settings of an app take the place of the domain's, with their scripts and images: they are
    repeated in each.
    """

    security_groups: Sequence[str] = ()
    canvas: bool = False
    scripts: Mapping[SpaceApp, Sequence[str]] = field(default_factory=lambda: MappingProxyType({}))
    """ARNs of lifecycle configurations."""
    images: Sequence[AttachedImage] = ()

    @property
    def hidden_apps(self) -> list[str]:
        """Apps that Studio does not show."""
        return [*_OLD_APPS] if self.canvas else [*_OLD_APPS, "Canvas"]

    def of_user(
        self, role_arn: str, instance_type: str, limit: InstanceLimit
    ) -> CfnUserProfile.UserSettingsProperty:
        """What differs for a user. Idle times are the domain's: CloudFormation has none for a profile."""
        spec = CfnUserProfile.ResourceSpecProperty(instance_type=instance_type)
        lab, editor = SpaceApp.JUPYTER_LAB, SpaceApp.CODE_EDITOR
        return CfnUserProfile.UserSettingsProperty(
            execution_role=role_arn,
            security_groups=[*self.security_groups] or None,
            jupyter_lab_app_settings=CfnUserProfile.JupyterLabAppSettingsProperty(
                default_resource_spec=spec,
                custom_images=self._images(lab),
                lifecycle_config_arns=self._scripts(lab),
            ),
            code_editor_app_settings=CfnUserProfile.CodeEditorAppSettingsProperty(
                default_resource_spec=spec,
                custom_images=self._images(editor),
                lifecycle_config_arns=self._scripts(editor),
            ),
            studio_web_portal_settings=CfnUserProfile.StudioWebPortalSettingsProperty(
                hidden_app_types=self.hidden_apps, hidden_instance_types=limit.hidden
            ),
        )

    def _images(self, app: SpaceApp) -> list[CfnUserProfile.CustomImageProperty] | None:
        return [
            CfnUserProfile.CustomImageProperty(
                app_image_config_name=each.config_name, image_name=each.image_name
            )
            for each in self.images
            if each.app is app
        ] or None

    def _scripts(self, app: SpaceApp) -> list[str] | None:
        return [*self.scripts.get(app, ())] or None
