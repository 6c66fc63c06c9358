"""What it may cost, who is told, and what happens then."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science import (
    AcceleratorStop,
    AlertTopic,
    AnomalyDetection,
    Commitment,
    CommitmentBudget,
    CostBudget,
    CostGuardrails,
    SlackChannel,
    StudioTeam,
)
from cdk_data_science.cost.required_tags import activation_commands
from cdk_data_science.security import Persona, Personas
from settings.model import Cost, Settings
from stacks.serving import architecture, python_runtime


class CostStack(cdk.Stack):
    """Budgets for what carries the platform's tags and for parts of it, with alerts, an action that stops
    accelerators, and anomaly detection."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        cost: Cost,
        alerts: AlertTopic,
        personas: Personas | None = None,
        teams: Sequence[StudioTeam] = (),
        env: cdk.Environment,
    ) -> None:
        super().__init__(scope, id, env=env, description="Cost: budgets, alerts, what stops spending")
        anomalies = AnomalyDetection(minimum_impact_usd=cost.anomaly_minimum_usd)
        slack = cost.slack
        self.guardrails = CostGuardrails(
            self,
            "Guardrails",
            monthly_limit_usd=cost.monthly_limit_usd,
            alert_emails=cost.alert_emails,
            topic=alerts.topic,
            tags={key: [settings.tags[key]] for key in cost.tag_keys},
            budgets=[
                CostBudget(
                    name=name,
                    monthly_limit_usd=part.monthly_limit_usd,
                    tags=part.tags,
                    services=part.services,
                )
                for name, part in cost.budgets.items()
            ],
            commitments=_commitments(cost),
            stop_accelerators=self._stop(settings, cost, personas, teams),
            chat=None
            if slack is None
            else SlackChannel(workspace_id=slack.workspace_id, channel_id=slack.channel_id),
            anomalies=anomalies if cost.anomaly_detection else None,
        )
        cdk.CfnOutput(
            self,
            "BudgetName",
            value=self.guardrails.budget.ref,
            description="The monthly budget; its alerts go to the platform's alert topic",
        )

        counted = sorted({*cost.tag_keys, *(key for part in cost.budgets.values() for key in part.tags)})
        if counted:
            cdk.CfnOutput(
                self,
                "ActivateTags",
                value="; ".join(activation_commands(counted)),
                description="Run it in the management account a day after the first deployment: until these "
                "keys are active cost allocation tags, the budgets count nothing",
            )

    def _stop(
        self, settings: Settings, cost: Cost, personas: Personas | None, teams: Sequence[StudioTeam]
    ) -> AcceleratorStop | None:
        stop = cost.stop_accelerators
        if stop is None:
            return None
        # A persona has a role outside of Studio, and one in each team there.
        places = [{} if personas is None else personas.roles, *(team.roles for team in teams)]
        concerned = [Persona(name) for name in stop.personas]
        roles: list[iam.IRole] = [place[name] for place in places for name in concerned if name in place]
        roles += [
            iam.Role.from_role_arn(self, f"Stopped{index}", arn, mutable=False)
            for index, arn in enumerate(stop.roles)
        ]
        return AcceleratorStop(
            roles=roles,
            at_percent=stop.at_percent,
            allowed_accelerators=stop.allowed_accelerators,
            runtime=python_runtime(settings),
            architecture=architecture(settings),
        )


def _commitments(cost: Cost) -> list[CommitmentBudget]:
    asked = {
        Commitment.SAVINGS_PLANS_COVERAGE: cost.savings_plans_coverage_percent,
        Commitment.SAVINGS_PLANS_UTILIZATION: cost.savings_plans_utilization_percent,
    }
    return [
        CommitmentBudget(commitment=commitment, minimum_percent=percent)
        for commitment, percent in asked.items()
        if percent is not None
    ]
