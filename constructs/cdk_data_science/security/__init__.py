"""Who may do what, with which keys, and how it is recorded."""

from cdk_data_science.security.boundary import PermissionBoundary
from cdk_data_science.security.duties import Persona
from cdk_data_science.security.job_role import JobKind, JobRole
from cdk_data_science.security.keys import DEFAULT_CLASSES, DataClass, DataKeys, KeyUser
from cdk_data_science.security.personas import DataAccess, Personas

__all__ = [
    "DEFAULT_CLASSES",
    "DataAccess",
    "DataClass",
    "DataKeys",
    "JobKind",
    "JobRole",
    "KeyUser",
    "PermissionBoundary",
    "Persona",
    "Personas",
]
