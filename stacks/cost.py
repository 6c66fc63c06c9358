"""What it may cost, and who is told."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

from cdk_data_science import AlertTopic, AnomalyDetection, CostGuardrails
from settings.model import Cost, Settings


class CostStack(cdk.Stack):
    """A monthly budget for what carries the platform's tags, with alerts and anomaly detection."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        cost: Cost,
        alerts: AlertTopic,
        env: cdk.Environment,
    ) -> None:
        super().__init__(scope, id, env=env, description="Cost: budget, alerts, anomaly detection")
        anomalies = AnomalyDetection(minimum_impact_usd=cost.anomaly_minimum_usd)
        self.guardrails = CostGuardrails(
            self,
            "Guardrails",
            monthly_limit_usd=cost.monthly_limit_usd,
            alert_emails=cost.alert_emails,
            topic=alerts.topic,
            tags={key: [settings.tags[key]] for key in cost.tag_keys},
            anomalies=anomalies if cost.anomaly_detection else None,
        )
        cdk.CfnOutput(
            self,
            "BudgetName",
            value=self.guardrails.budget.ref,
            description="The monthly budget; its alerts go to the platform's alert topic",
        )
