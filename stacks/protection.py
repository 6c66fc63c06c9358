"""Who may do what, and how it is recorded."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science import AlertTopic, DataLake, SpotTraining
from cdk_data_science.security import AuditLock, AuditTrail, DataAccess, LockMode, Persona, Personas
from settings.audit import Audit
from settings.model import Security, Settings


class ProtectionStack(cdk.Stack):
    """The roles of people and the audit trail. Nothing stands on it."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        lake: DataLake,
        training: SpotTraining | None,
        alerts: AlertTopic | None,
        env: cdk.Environment,
    ) -> None:
        super().__init__(
            scope,
            id,
            env=env,
            description="Protection: the roles of people, the audit trail",
            termination_protection=settings.audit is not None and not settings.platform.destroy_data,
        )
        self.personas = self.audit = None
        if settings.security is not None:
            self.personas = self._people(settings, settings.security, lake, training)
        if settings.audit is not None:
            self.audit = self._trail(settings, settings.audit, lake, alerts)

    def _people(
        self, settings: Settings, security: Security, lake: DataLake, training: SpotTraining | None
    ) -> Personas:
        work = f"work/{settings.platform.name}/"
        people = Personas(
            self,
            "People",
            team=settings.platform.name,
            people={Persona(name): _principal(arns) for name, arns in security.people.items()} or None,
            data=[
                DataAccess(zone=lake.raw),
                DataAccess(zone=lake.curated),
                DataAccess(zone=lake.features, prefix=work, write=True),
                *(
                    DataAccess(
                        zone=lake.features, prefix=left, personas=[Persona.ML_ENGINEER, Persona.APPROVER]
                    )
                    for left in ("runs/", "evaluations/")
                ),
                DataAccess(zone=lake.features, prefix="runs-train/", personas=[Persona.ML_ENGINEER]),
            ],
            job_roles=[] if training is None else [training.role],
            in_network=training is not None and training.network is not None,
        )
        for persona, role in people.roles.items():
            cdk.CfnOutput(
                self,
                f"{role.node.id}RoleArn",
                value=role.role_arn,
                description=f"Role of the {persona}, assumed with the tags team and cost-center",
            )
        return people

    def _trail(
        self, settings: Settings, audit: Audit, lake: DataLake, alerts: AlertTopic | None
    ) -> AuditTrail:
        mode = LockMode.COMPLIANCE if audit.compliance_lock else LockMode.GOVERNANCE
        trail = AuditTrail(
            self,
            "Audit",
            buckets=[zone.bucket for zone in lake.zones.values()],
            management_events=audit.management_events,
            lock=None if audit.lock_days == 0 else AuditLock(days=audit.lock_days, mode=mode),
            alerts=None if alerts is None else alerts.topic,
            analyzer=audit.access_analyzer,
            config_rules=audit.config_rules,
            destroy=settings.platform.destroy_data,
        )
        cdk.CfnOutput(
            self,
            "AuditBucket",
            value=trail.bucket.bucket_name,
            description="Where the audit trail is kept, locked",
        )
        return trail


def _principal(arns: Sequence[str]) -> iam.IPrincipal:
    """Whoever has one of these roles."""
    principals = [iam.ArnPrincipal(arn) for arn in arns]
    return principals[0] if len(principals) == 1 else iam.CompositePrincipal(*principals)
