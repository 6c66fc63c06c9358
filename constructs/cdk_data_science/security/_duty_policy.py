"""What a persona may do, written into the policy of a role."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import IConstruct

from cdk_data_science._acknowledgements import acknowledge, acknowledge_wildcards
from cdk_data_science.security.duties import Duty, Persona, Scope, duties


def add_duties(role: iam.Role, owner: IConstruct, persona: Persona, scope: Scope) -> None:
    """Give a role the duties of a persona.

    Args:
        role: The role.
        owner: A construct of the stack that the scope's ARNs belong to.
        persona: Whose duties.
        scope: What there is to work on.
    """
    for duty in duties(persona, scope):
        _add(role, owner, duty)


def grant_duties(
    role: iam.Role,
    persona: Persona,
    *,
    team: str,
    job_roles: Sequence[iam.IRole] = (),
    pipelines: Sequence[sfn.IStateMachine] = (),
    workgroups: Sequence[str] = (),
    in_network: bool = False,
) -> None:
    """Give a role what a persona of a team may do, as :class:`~cdk_data_science.security.Personas` has it.

    What the role starts has to carry the team and the cost center of its session. A role whose sessions have
    no tags of their own, such as that of an app in Studio, is tagged with both itself.

    Args:
        role: The role.
        persona: Whose duties.
        team: The team's name, with which the names of its jobs and models begin.
        job_roles: Roles that its jobs may have. Default: none, so that no job can be started.
        pipelines: State machines that ML engineers run. Default: none.
        workgroups: ARNs of Athena workgroups for queries. Default: none.
        in_network: Refuse jobs and models outside of a VPC. Default: no.
    """
    scope = Scope(
        stack=Stack.of(role),
        team=team,
        job_roles=[each.role_arn for each in job_roles],
        pipelines=[machine.state_machine_arn for machine in pipelines],
        workgroups=workgroups,
        in_network=in_network,
    )
    add_duties(role, role, persona, scope)


def _add(role: iam.Role, owner: IConstruct, duty: Duty) -> None:
    role.add_to_policy(
        iam.PolicyStatement(
            sid=duty.id,
            actions=list(duty.actions),
            resources=list(duty.resources),
            conditions={operator: dict(keys) for operator, keys in duty.conditions.items()} or None,
        )
    )
    for resource in duty.resources:
        if resource == "*":
            acknowledge(
                role,
                ["AwsSolutions-IAM5[Resource::*]"],
                "IAM has no resource for these actions: lists, look-ups, answers to a waiting task by "
                "its token. Lists hold names; what they name is described under a limit of its own.",
            )
        elif "*" in resource:
            acknowledge_wildcards(
                role,
                owner,
                [resource],
                "Jobs, models and runs are named when they are made. The pattern holds those of one "
                "team; for auditors, the configuration of one kind, which they cannot change.",
            )
