"""Data-science infrastructure on AWS as CDK constructs.

The names here are what most apps need. Each domain's package (``cdk_data_science.pipelines`` and so on) has
the pieces to compose your own from.
"""

from cdk_data_science._assets import BUILD_FOR_HOST_CONTEXT
from cdk_data_science._validation import ConfigurationError
from cdk_data_science.cost import (
    AcceleratorStop,
    AnomalyDetection,
    Commitment,
    CommitmentBudget,
    CostBudget,
    CostGuardrails,
    CostReport,
    RequiredTags,
    SlackChannel,
    TeamsChannel,
    WorkingHours,
)
from cdk_data_science.data_lake import (
    DataLake,
    FolderExpiry,
    LakeFormation,
    ObjectLock,
    Zone,
    ZoneAttributes,
    ZoneDefinition,
)
from cdk_data_science.monitoring import AlertTopic
from cdk_data_science.network import NetworkFeature, ResearchNetwork
from cdk_data_science.pipelines import (
    ModelRegistry,
    Pipeline,
    PipelineOptions,
    QualityRules,
    Split,
    TrainingPipeline,
)
from cdk_data_science.security.checks import DataScienceChecks
from cdk_data_science.serving import (
    Artifact,
    Canary,
    DataCapture,
    FunctionNetwork,
    InstanceVariant,
    Model,
    ModelEndpoint,
    ModelPackage,
    Scaling,
    ServerlessInference,
    ServerlessVariant,
    TrackInvocations,
)
from cdk_data_science.training import SourceCode, SpotTraining

__all__ = [
    "BUILD_FOR_HOST_CONTEXT",
    "AcceleratorStop",
    "AlertTopic",
    "AnomalyDetection",
    "Artifact",
    "Canary",
    "Commitment",
    "CommitmentBudget",
    "ConfigurationError",
    "CostBudget",
    "CostGuardrails",
    "CostReport",
    "DataCapture",
    "DataLake",
    "DataScienceChecks",
    "FolderExpiry",
    "FunctionNetwork",
    "InstanceVariant",
    "LakeFormation",
    "Model",
    "ModelEndpoint",
    "ModelPackage",
    "ModelRegistry",
    "NetworkFeature",
    "ObjectLock",
    "Pipeline",
    "PipelineOptions",
    "QualityRules",
    "RequiredTags",
    "ResearchNetwork",
    "Scaling",
    "ServerlessInference",
    "ServerlessVariant",
    "SlackChannel",
    "SourceCode",
    "Split",
    "SpotTraining",
    "TeamsChannel",
    "TrackInvocations",
    "TrainingPipeline",
    "WorkingHours",
    "Zone",
    "ZoneAttributes",
    "ZoneDefinition",
]
