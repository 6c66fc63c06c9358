"""Who may do what, with which keys, and how it is recorded."""

from cdk_data_science.security.keys import DEFAULT_CLASSES, DataClass, DataKeys, KeyUser

__all__ = ["DEFAULT_CLASSES", "DataClass", "DataKeys", "KeyUser"]
