"""What is set for the apps of a domain's users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk.aws_sagemaker import CfnDomain, CfnSpace

from cdk_data_science.studio._profile_defaults import AttachedImage, ProfileDefaults
from cdk_data_science.studio.idle import IdleShutdown
from cdk_data_science.studio.images import StudioImage
from cdk_data_science.studio.lifecycle import StudioLifecycleConfig
from cdk_data_science.studio.mlflow_startup import MlflowStartup
from cdk_data_science.studio.users import PrivateSpace, SharedSpace, SpaceApp


@dataclass(frozen=True, kw_only=True, slots=True)
class AppDefaults:
    """What all users of a domain have in common."""

    idle: IdleShutdown | None
    scripts: Sequence[StudioLifecycleConfig | MlflowStartup]
    images: Sequence[StudioImage]
    canvas: bool
    volume_gb: int
    largest_volume_gb: int
    security_groups: Sequence[str]
    home_file_system: bool

    @property
    def profiles(self) -> ProfileDefaults:
        """What of it each profile has too."""
        return ProfileDefaults(
            security_groups=self.security_groups,
            canvas=self.canvas,
            scripts={app: self._scripts(app) for app in SpaceApp},
            images=[
                AttachedImage(
                    image_name=each.image.image_name,
                    config_name=each.config.app_image_config_name,
                    app=each.app,
                )
                for each in self.images
            ],
        )

    def of_domain(self, role_arn: str) -> CfnDomain.UserSettingsProperty:
        """The defaults, as the domain has them."""
        lab, editor = (self._scripts(app) for app in SpaceApp)
        return CfnDomain.UserSettingsProperty(
            execution_role=role_arn,
            security_groups=[*self.security_groups],
            studio_web_portal="ENABLED",
            default_landing_uri="studio::",
            auto_mount_home_efs="Enabled" if self.home_file_system else "Disabled",
            sharing_settings=CfnDomain.SharingSettingsProperty(notebook_output_option="Disabled"),
            space_storage_settings=self._storage(),
            studio_web_portal_settings=CfnDomain.StudioWebPortalSettingsProperty(
                hidden_app_types=self.profiles.hidden_apps
            ),
            jupyter_lab_app_settings=self._lab(lab),
            code_editor_app_settings=CfnDomain.CodeEditorAppSettingsProperty(
                app_lifecycle_management=self._idle(),
                custom_images=self._images(SpaceApp.CODE_EDITOR),
                lifecycle_config_arns=editor or None,
            ),
        )

    def of_spaces(self, role_arn: str) -> CfnDomain.DefaultSpaceSettingsProperty:
        """The defaults of shared spaces, as the domain has them."""
        return CfnDomain.DefaultSpaceSettingsProperty(
            execution_role=role_arn,
            security_groups=[*self.security_groups],
            space_storage_settings=self._storage(),
            jupyter_lab_app_settings=self._lab(self._scripts(SpaceApp.JUPYTER_LAB)),
        )

    def _lab(self, scripts: list[str]) -> CfnDomain.JupyterLabAppSettingsProperty:
        return CfnDomain.JupyterLabAppSettingsProperty(
            app_lifecycle_management=self._idle(),
            custom_images=self._images(SpaceApp.JUPYTER_LAB),
            lifecycle_config_arns=scripts or None,
        )

    def _storage(self) -> CfnDomain.DefaultSpaceStorageSettingsProperty:
        return CfnDomain.DefaultSpaceStorageSettingsProperty(
            default_ebs_storage_settings=CfnDomain.DefaultEbsStorageSettingsProperty(
                default_ebs_volume_size_in_gb=self.volume_gb,
                maximum_ebs_volume_size_in_gb=self.largest_volume_gb,
            )
        )

    def _idle(self) -> CfnDomain.AppLifecycleManagementProperty | None:
        if self.idle is None:
            return None
        return CfnDomain.AppLifecycleManagementProperty(
            idle_settings=CfnDomain.IdleSettingsProperty(
                lifecycle_management="ENABLED",
                idle_timeout_in_minutes=self.idle.minutes,
                max_idle_timeout_in_minutes=self.idle.most,
            )
        )

    def _images(self, app: SpaceApp) -> list[CfnDomain.CustomImageProperty] | None:
        return [
            CfnDomain.CustomImageProperty(
                app_image_config_name=image.config.app_image_config_name, image_name=image.image.image_name
            )
            for image in self.images
            if image.app is app
        ] or None

    def _scripts(self, app: SpaceApp) -> list[str]:
        return [config.arn for config in self.scripts if config.app is app]


def space_settings(space: PrivateSpace | SharedSpace, default_type: str) -> CfnSpace.SpaceSettingsProperty:
    """What a space is for, and what it runs on."""
    spec = CfnSpace.ResourceSpecProperty(
        instance_type=space.instance_type if space.instance_type is not None else default_type
    )
    lab = space.app is SpaceApp.JUPYTER_LAB
    return CfnSpace.SpaceSettingsProperty(
        app_type=space.app.value,
        remote_access="DISABLED",
        jupyter_lab_app_settings=CfnSpace.SpaceJupyterLabAppSettingsProperty(default_resource_spec=spec)
        if lab
        else None,
        code_editor_app_settings=None
        if lab
        else CfnSpace.SpaceCodeEditorAppSettingsProperty(default_resource_spec=spec),
        space_storage_settings=None
        if space.volume_gb is None
        else CfnSpace.SpaceStorageSettingsProperty(
            ebs_storage_settings=CfnSpace.EbsStorageSettingsProperty(ebs_volume_size_in_gb=space.volume_gb)
        ),
    )
