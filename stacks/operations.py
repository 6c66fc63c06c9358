"""Who hears of what goes wrong."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

from cdk_data_science import AlertTopic
from settings.model import Settings


class OperationsStack(cdk.Stack):
    """One topic for the alerts of all stacks, so that a person is subscribed once and to everything."""

    def __init__(self, scope: Construct, id: str, *, settings: Settings, env: cdk.Environment) -> None:
        super().__init__(scope, id, env=env, description="Operations: the topic of all alerts")
        self.alerts = AlertTopic(
            self,
            "Alerts",
            emails=settings.alert_emails if settings.alert_emails is not None else (),
            display_name=f"Alerts of {settings.platform.name}",
        )
        cdk.CfnOutput(
            self,
            "AlertTopicArn",
            value=self.alerts.topic.topic_arn,
            description="Topic of failed runs, alarms and budgets; subscribe a chat or a pager to it",
        )
