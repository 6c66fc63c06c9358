"""Where data scientists work: a Studio domain, its teams and people, who runs what, and what was recorded."""

from cdk_data_science._tracking import IExperimentTracking
from cdk_data_science.studio._domain_base import IStudioDomain
from cdk_data_science.studio._names import StudioIdentity
from cdk_data_science.studio._profile_defaults import AttachedImage
from cdk_data_science.studio.activity import StudioActivity
from cdk_data_science.studio.domain import StudioDomain
from cdk_data_science.studio.entry import StudioEntry
from cdk_data_science.studio.idle import IdleShutdown
from cdk_data_science.studio.images import CustomImage, StudioImage
from cdk_data_science.studio.instances import LIMITS, InstanceLimit
from cdk_data_science.studio.lifecycle import LifecycleScript, StudioLifecycleConfig
from cdk_data_science.studio.mlflow import Mlflow, TrackingServer
from cdk_data_science.studio.team import StudioTeam
from cdk_data_science.studio.users import PrivateSpace, SharedSpace, SpaceApp, StudioUser

__all__ = [
    "LIMITS",
    "AttachedImage",
    "CustomImage",
    "IExperimentTracking",
    "IStudioDomain",
    "IdleShutdown",
    "InstanceLimit",
    "LifecycleScript",
    "Mlflow",
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
    "TrackingServer",
]
