"""Who may do what, with which keys, and how it is recorded."""

from cdk_data_science.security._duty_policy import grant_duties
from cdk_data_science.security.audit import CONFIG_RULES, AuditLock, AuditTrail, LockMode
from cdk_data_science.security.boundary import PermissionBoundary
from cdk_data_science.security.duties import Persona
from cdk_data_science.security.job_role import JobKind, JobRole
from cdk_data_science.security.keys import DEFAULT_CLASSES, DataClass, DataKeys, KeyUser
from cdk_data_science.security.personas import DataAccess, Personas

__all__ = [
    "CONFIG_RULES",
    "DEFAULT_CLASSES",
    "AuditLock",
    "AuditTrail",
    "DataAccess",
    "DataClass",
    "DataKeys",
    "JobKind",
    "JobRole",
    "KeyUser",
    "LockMode",
    "PermissionBoundary",
    "Persona",
    "Personas",
    "grant_duties",
]
