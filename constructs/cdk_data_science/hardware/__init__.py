"""Facts about SageMaker's instance types that every domain asks, and advice that is built on them.

Which types each API takes comes from botocore's service model, what a type is made of from EC2's own answers
to ``DescribeInstanceTypes``. One command writes both into ``instances.json``:
``python tools/instance_facts.py``. A test compares the file with botocore, so that a new type is noticed. The
file is read when somebody asks for it.
"""

from cdk_data_science.hardware.choice import Recommendation
from cdk_data_science.hardware.instances import Accelerator, InstanceFacts, facts, has_local_storage
from cdk_data_science.hardware.recommendation import recommend_inference, recommend_training
from cdk_data_science.hardware.uses import InstanceUse, family, instance_types, similar_types

__all__ = [
    "Accelerator",
    "InstanceFacts",
    "InstanceUse",
    "Recommendation",
    "facts",
    "family",
    "has_local_storage",
    "instance_types",
    "recommend_inference",
    "recommend_training",
    "similar_types",
]
