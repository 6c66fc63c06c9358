"""What this project mends or adds in ministack, from outside, each in a module of its own."""

from __future__ import annotations


def install(*, schedules: bool) -> None:
    """Register everything. Raises HookError when the installed ministack is not the one that we know.

    Without ``schedules`` nothing fires by the clock.
    """
    from local_aws import budget_actions
    from local_aws.cloudformation import types
    from local_aws.emulator import (
        call_log,
        custom_resources,
        event_targets,
        functions,
        hooks,
        iceberg,
        identity,
        injection,
        log_events,
        object_events,
        object_keys,
        policy_variables,
        query_results,
        request_conditions,
        role_boundaries,
        roles,
        services,
        stack_operations,
        step_functions,
        studio_access,
    )

    hooks.require_all()
    services.install()
    identity.install()
    request_conditions.install()
    studio_access.install()
    policy_variables.install()
    budget_actions.install()
    call_log.install()
    step_functions.install()
    injection.install_kills()
    functions.install()
    custom_resources.install()
    object_events.install()
    object_keys.install()
    query_results.install()
    iceberg.install()
    log_events.install()
    event_targets.install()
    roles.install()
    stack_operations.install()
    types.install()
    role_boundaries.install()
    if not schedules:
        stop_the_clock()
    injection.install()  # the last: what others wrap can fail, too


def stop_the_clock() -> None:
    """Let no rule and no schedule fire by the time of day."""
    from ministack.services import eventbridge, scheduler

    eventbridge.start_scheduler = scheduler.start_scheduler = lambda: None


def shut_down() -> None:
    """End what the emulator's process started."""
    from ministack.core import lambda_runtime

    from local_aws import moto_backend
    from local_aws.sagemaker import children

    children.end_all()
    moto_backend.shut_down()
    lambda_runtime.reset()
