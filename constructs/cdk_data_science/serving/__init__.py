"""Serving: where models answer."""

from cdk_data_science._functions import FunctionNetwork
from cdk_data_science.serving.inference import ServerlessInference

__all__ = ["FunctionNetwork", "ServerlessInference"]
