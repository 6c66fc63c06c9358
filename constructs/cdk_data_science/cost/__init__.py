"""What it costs: tags that are enforced, budgets that act."""

from cdk_data_science.cost.accelerator_stop import AcceleratorStop
from cdk_data_science.cost.anomalies import AnomalyDetection
from cdk_data_science.cost.budgets import Commitment, CommitmentBudget, CostBudget
from cdk_data_science.cost.chat import SlackChannel, TeamsChannel
from cdk_data_science.cost.cost_guardrails import CostGuardrails
from cdk_data_science.cost.report import CostReport
from cdk_data_science.cost.required_tags import RequiredTags
from cdk_data_science.cost.working_hours import WorkingHours

__all__ = [
    "AcceleratorStop",
    "AnomalyDetection",
    "Commitment",
    "CommitmentBudget",
    "CostBudget",
    "CostGuardrails",
    "CostReport",
    "RequiredTags",
    "SlackChannel",
    "TeamsChannel",
    "WorkingHours",
]
