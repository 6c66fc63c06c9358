"""Serving: where models answer."""

from cdk_data_science._functions import FunctionNetwork
from cdk_data_science._images import PrivateRegistry
from cdk_data_science.serving._endpoint_base import IModelEndpoint
from cdk_data_science.serving.artifact import Artifact, HubArtifact, ModelPackage
from cdk_data_science.serving.async_endpoint import AsyncEndpoint, Backlog
from cdk_data_science.serving.batch_transform import BatchTransform
from cdk_data_science.serving.capture import CoreDumps, DataCapture
from cdk_data_science.serving.captured_table import CapturedTable
from cdk_data_science.serving.component import InferenceComponent
from cdk_data_science.serving.component_endpoint import ComponentEndpoint, ManagedInstances
from cdk_data_science.serving.containers import Container
from cdk_data_science.serving.copies import Compute, CopyScaling
from cdk_data_science.serving.edge import EdgeFile, EdgeModel, EdgeProgram, EdgeRollout
from cdk_data_science.serving.endpoint import ModelEndpoint
from cdk_data_science.serving.guard import CanaryGuard
from cdk_data_science.serving.http_api import Jwt, PredictionApi
from cdk_data_science.serving.inference import ServerlessInference
from cdk_data_science.serving.jumpstart import JumpStartEntry, JumpStartModel
from cdk_data_science.serving.large_model import HuggingFaceModel
from cdk_data_science.serving.model import IModel, Model
from cdk_data_science.serving.neuron import Compiled, NeuronCache
from cdk_data_science.serving.payloads import PayloadsInS3
from cdk_data_science.serving.prediction_queue import PredictionQueue
from cdk_data_science.serving.prediction_stream import PredictionStream
from cdk_data_science.serving.predictions import Predictions
from cdk_data_science.serving.rollout import AllAtOnce, Canary, Linear, Rolling
from cdk_data_science.serving.scaling import (
    ConcurrencyScaling,
    Scaling,
    Steps,
    TrackConcurrency,
    TrackInvocations,
    TrackUtilization,
)
from cdk_data_science.serving.schedules import ScheduledCapacity
from cdk_data_science.serving.shadow_experiment import ShadowExperiment
from cdk_data_science.serving.variants import InstanceVariant, ServerlessVariant

__all__ = [
    "AllAtOnce",
    "Artifact",
    "AsyncEndpoint",
    "Backlog",
    "BatchTransform",
    "Canary",
    "CanaryGuard",
    "CapturedTable",
    "Compiled",
    "ComponentEndpoint",
    "Compute",
    "ConcurrencyScaling",
    "Container",
    "CopyScaling",
    "CoreDumps",
    "DataCapture",
    "EdgeFile",
    "EdgeModel",
    "EdgeProgram",
    "EdgeRollout",
    "FunctionNetwork",
    "HubArtifact",
    "HuggingFaceModel",
    "IModel",
    "IModelEndpoint",
    "InferenceComponent",
    "InstanceVariant",
    "JumpStartEntry",
    "JumpStartModel",
    "Jwt",
    "Linear",
    "ManagedInstances",
    "Model",
    "ModelEndpoint",
    "ModelPackage",
    "NeuronCache",
    "PayloadsInS3",
    "PredictionApi",
    "PredictionQueue",
    "PredictionStream",
    "Predictions",
    "PrivateRegistry",
    "Rolling",
    "Scaling",
    "ScheduledCapacity",
    "ServerlessInference",
    "ServerlessVariant",
    "ShadowExperiment",
    "Steps",
    "TrackConcurrency",
    "TrackInvocations",
    "TrackUtilization",
]
