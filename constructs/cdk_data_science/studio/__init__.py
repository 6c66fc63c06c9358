"""Where data scientists work: a Studio domain, its teams and people, and who runs what."""

from cdk_data_science.studio.activity import StudioActivity
from cdk_data_science.studio.domain import StudioDomain, StudioIdentity
from cdk_data_science.studio.entry import StudioEntry
from cdk_data_science.studio.idle import IdleShutdown
from cdk_data_science.studio.images import CustomImage, StudioImage
from cdk_data_science.studio.instances import LIMITS, InstanceLimit
from cdk_data_science.studio.lifecycle import LifecycleScript, StudioLifecycleConfig
from cdk_data_science.studio.team import StudioTeam
from cdk_data_science.studio.users import PrivateSpace, SharedSpace, SpaceApp, StudioUser

__all__ = [
    "LIMITS",
    "CustomImage",
    "IdleShutdown",
    "InstanceLimit",
    "LifecycleScript",
    "PrivateSpace",
    "SharedSpace",
    "SpaceApp",
    "StudioActivity",
    "StudioDomain",
    "StudioEntry",
    "StudioIdentity",
    "StudioImage",
    "StudioLifecycleConfig",
    "StudioTeam",
    "StudioUser",
]
