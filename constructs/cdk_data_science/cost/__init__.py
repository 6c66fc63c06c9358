"""What it costs: tags that are enforced, budgets that alert."""

from cdk_data_science.cost.cost_guardrails import AnomalyDetection, CostGuardrails
from cdk_data_science.cost.required_tags import RequiredTags

__all__ = ["AnomalyDetection", "CostGuardrails", "RequiredTags"]
