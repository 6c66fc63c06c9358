"""Each private name of ministack that we rely on, with the shape that we expect of it.

An upgrade of ministack that renames or reshapes one of them is told by name: by ``local-aws doctor``, by the
contract tests and when the emulator starts.
"""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass
from typing import Any

MINISTACK = "1.5.33"


class HookError(Exception):
    """The installed ministack lacks hooks that this version relies on."""


@dataclass(frozen=True, slots=True)
class Hook:
    """A function with these parameters; without them a mapping, or a number."""

    module: str
    name: str
    used_for: str
    parameters: tuple[str, ...] | None = None
    number: bool = False

    def problem(self) -> str | None:
        """What is wrong with the hook in the installed ministack; None when nothing is."""
        try:
            found: Any = getattr(importlib.import_module(f"ministack.{self.module}"), self.name)
        except ImportError as error:
            return f"module not found ({error})"
        except AttributeError:
            return "not found"
        if self.number:
            return None if isinstance(found, float) else f"expected a number, found {type(found).__name__}"
        if self.parameters is None:
            mapping = all(hasattr(found, name) for name in ("get", "__getitem__", "__setitem__"))
            return None if mapping else f"expected a mapping, found {type(found).__name__}"
        if not callable(found):
            return f"expected a function, found {type(found).__name__}"
        names = tuple(inspect.signature(found).parameters)
        if names[: len(self.parameters)] != self.parameters:
            return f"expected parameters ({', '.join(self.parameters)}), found ({', '.join(names)})"
        return None


_ACTION = ("service", "method", "path", "headers", "body", "query_params")
HOOKS = (
    Hook("app", "app", "the ASGI application that serves requests", ("scope", "receive", "send")),
    Hook("app", "SERVICE_HANDLERS", "services that ministack lacks"),
    Hook(
        "app", "pin_request_origin", "loopback counts as secure transport", ("source_ip", "secure_transport")
    ),
    Hook("core.router", "SERVICE_PATTERNS", "requests of services that ministack lacks find their handler"),
    Hook(
        "core.iam_evaluator",
        "evaluate_trust_policy",
        "variables of trust policies",
        ("trust_doc", "caller_arn", "ctx"),
    ),
    Hook("core.iam_evaluator", "_principal_keys", "who a person in Studio is", ("credential",)),
    Hook("services.sts", "_sessions", "what a session of Studio carries"),
    Hook("services.efs", "_mount_targets", "the file system of a mount target"),
    Hook("services.ec2", "_security_groups", "the VPC of a security group"),
    Hook("services.ec2", "_network_interfaces", "the VPC of a network interface"),
    Hook("core.iam_actions", "SERVICE_TO_IAM_NAMESPACE", "IAM for services that ministack lacks"),
    Hook("core.iam_actions", "extract_resource_arn", "IAM on SageMaker's resources", (*_ACTION, "region")),
    Hook(
        "core.iam_actions",
        "_s3_object_context",
        "policies on the key that an upload names",
        ("iam_action", "query_params", "path", "headers"),
    ),
    Hook("core.iam_actions", "_lambda_action", "Lambda's actions by their own names", ("method", "path")),
    Hook("core.iam_actions", "_BOTOCORE_SERVICE_MAP", "Lambda's actions by botocore's routes"),
    Hook(
        "core.iam_actions",
        "_match_rest_action",
        "Lambda's actions by botocore's routes",
        ("service", "method", "path"),
    ),
    Hook(
        "core.iam_actions",
        "request_tag_context",
        "conditions on policies, instance types, networks and approvals",
        ("service", "iam_action", "body", "params"),
    ),
    Hook("core.iam_evaluator", "_first_match", "variables of policies", ("ctx", "stmts", "effect")),
    Hook("core.iam_evaluator", "_resolve_condition_key", "variables of policies", ("key", "ctx")),
    Hook("services.cloudwatch_logs", "_append_log_events", "ids of log events", ("stream", "events")),
    Hook("services.cloudwatch_logs", "_filter_log_events", "pages of log events", ("data",)),
    Hook("services.cloudwatch_logs", "_log_groups", "log streams by their prefix"),
    Hook("services.cloudwatch_logs", "_resolve_log_group_name", "log streams by their prefix", ("data",)),
    Hook("services.athena", "_executions", "the workgroup of a query"),
    Hook("services.athena", "_named_queries", "the workgroup of a saved query"),
    Hook("services.athena", "_arn_workgroup", "the workgroup of a query", ("name",)),
    Hook(
        "services.athena",
        "_rewrite_data_paths",
        "queries of Iceberg tables",
        ("query", "database", "catalog"),
    ),
    Hook("services.athena", "_table_references", "queries of Iceberg tables", ("query",)),
    Hook("services.glue", "_tables", "queries of Iceberg tables"),
    Hook("services.glue", "_iceberg_fetch_metadata", "queries of Iceberg tables", ("metadata_location",)),
    Hook("services.s3", "_get_object_data", "queries of Iceberg tables", ("bucket_name", "key")),
    Hook("services.athena", "_datum_text", "results of queries in S3", ("value",)),
    Hook("services.athena", "_save_query_results", "results of queries in S3", ("query_id",)),
    Hook(
        "services.s3",
        "_put_object",
        "results of queries in S3",
        ("bucket_name", "key", "body", "headers"),
    ),
    Hook("services.budgets", "_budgets", "actions of budgets"),
    Hook("services.s3", "_multipart_uploads", "the key of an upload in parts"),
    Hook(
        "core.iam_evaluator",
        "enforce",
        "iam:PassRole when a job is created",
        ("access_key_id", "iam_action", "service", "region", "resource_arn", "service_context"),
    ),
    Hook("core.iam_evaluator", "_conditions_met", "trust policies", ("conditions", "ctx")),
    Hook("core.iam_evaluator", "_service_principal_matches", "trust policies", ("principal", "service")),
    Hook("core.iam_evaluator", "fnmatch_iam", "trust policies", ("value", "pattern")),
    Hook("core.iam_evaluator", "fnmatch_iam_cs", "the report of roles", ("value", "pattern")),
    Hook("core.iam_evaluator", "_role_name_from_assumed_arn", "the log of calls", ("assumed_arn",)),
    Hook(
        "core.iam_evaluator",
        "_resolve_managed_policy_document",
        "the report of roles",
        ("policy_arn", "account_id"),
    ),
    Hook(
        "core.iam_evaluator",
        "EvalContext",
        "trust policies",
        ("principal_arn", "principal_type", "principal_account", "action", "resource_arn", "region"),
    ),
    Hook(
        "core.iam_evaluator",
        "_resource_policy",
        "targets by their policies",
        ("service", "resource_arn"),
    ),
    Hook(
        "core.iam_evaluator",
        "evaluate_resource_policy",
        "targets by their policies",
        ("doc", "ctx", "service"),
    ),
    Hook("services.iam", "_roles", "trust policies and the report of roles"),
    Hook("services.sts", "_sessions", "the log of calls"),
    Hook(
        "services.eventbridge",
        "_invoke_target",
        "targets in their roles",
        ("target", "event", "rule", "view"),
    ),
    Hook("services.eventbridge", "_dispatch_to_stepfunctions", "the input of a target", ("arn", "payload")),
    Hook("services.firehose", "_deliver_to_s3", "deliveries in their roles", ("stream", "dest")),
    Hook("services.firehose", "_put_s3_object", "deliveries in their roles", ("bucket", "key", "body")),
    Hook(
        "services.cloudformation.stacks",
        "_provision_resource",
        "iam:PassRole in stacks",
        ("resource_type", "logical_id", "props", "stack_name"),
    ),
    Hook(
        "services.cloudformation.stacks",
        "_update_resource",
        "iam:PassRole in stacks",
        ("resource_type", "physical_id", "old_props", "new_props"),
    ),
    Hook("services.sts", "register_session", "credentials of roles", ("access_key", "session")),
    Hook("services.eventbridge", "_put_events", "state changes as events", ("data",)),
    Hook("services.eventbridge", "start_scheduler", "no schedules", ()),
    Hook("services.scheduler", "start_scheduler", "no schedules", ()),
    Hook("services.stepfunctions", "_executions", "executions are found by ARN"),
    Hook("services.stepfunctions", "_state_machines", "the role of a state machine"),
    Hook("services.stepfunctions", "_start_execution", "idempotent StartExecution", ("data",)),
    Hook("services.stepfunctions", "_run_execution", "role, timeout and stop of executions", ("exec_arn",)),
    Hook(
        "services.stepfunctions",
        "_apply_output_path",
        "the JSONata Output of Succeed",
        ("state_def", "data", "ctx"),
    ),
    Hook(
        "services.stepfunctions",
        "_apply_jsonata_output",
        "the JSONata Output of Succeed",
        ("state_def", "raw_input", "ctx"),
    ),
    Hook(
        "services.stepfunctions",
        "_state_query_language",
        "the JSONata Output of Succeed",
        ("state_def", "ctx"),
    ),
    Hook(
        "services.stepfunctions",
        "_execute_task",
        "TimeoutSeconds as JSONata",
        ("state_def", "raw_input", "execution", "ctx"),
    ),
    Hook(
        "services.stepfunctions",
        "_invoke_resource",
        "tasks run in the state machine's role",
        ("resource", "input_data"),
    ),
    Hook(
        "services.stepfunctions",
        "_invoke_resource_with_timeout",
        "a timeout stops the task's job",
        ("resource", "input_data", "timeout"),
    ),
    Hook(
        "services.stepfunctions", "_call_lambda", "task tokens in the machine's role", ("func_ref", "event")
    ),
    Hook("services.stepfunctions", "_SERVICE_DISPATCH", "optimised integrations"),
    Hook(
        "services.stepfunctions",
        "_invoke_aws_sdk_integration",
        "aws-sdk integrations",
        ("resource", "input_data"),
    ),
    Hook(
        "services.stepfunctions",
        "_fail_execution",
        "a stopped execution stays stopped",
        ("execution", "error", "cause"),
    ),
    Hook(
        "services.stepfunctions",
        "_run_parallel_branches",
        "Parallel in JSONata",
        ("state_def", "raw_input", "execution", "ctx"),
    ),
    Hook(
        "services.stepfunctions",
        "_run_sub_machine",
        "variables of branches",
        ("states", "start_at", "input_data", "execution", "ctx"),
    ),
    Hook(
        "services.stepfunctions",
        "_apply_jsonata_arguments",
        "Parallel in JSONata",
        ("state_def", "raw_input", "ctx"),
    ),
    Hook(
        "services.stepfunctions",
        "_apply_jsonata_output",
        "Parallel in JSONata",
        ("state_def", "raw_input", "ctx", "result"),
    ),
    Hook(
        "services.stepfunctions",
        "_apply_state_assign",
        "Parallel in JSONata",
        ("state_def", "raw_input", "ctx", "result"),
    ),
    Hook("services.stepfunctions", "_state_query_language", "Parallel in JSONata", ("state_def", "ctx")),
    Hook("services.stepfunctions", "_next_or_end", "Parallel in JSONata", ("state_def",)),
    Hook("services.stepfunctions", "_scaled_sleep", "a stop ends a Wait", ("seconds",)),
    Hook("services.stepfunctions", "_add_event", "the end of a history", ("execution", "event_type")),
    Hook("services.stepfunctions", "_describe_execution", "an end is seen as a whole", ("data",)),
    Hook("services.stepfunctions", "_emit_execution_status_event", "TIMED_OUT executions", ("execution",)),
    Hook(
        "services.stepfunctions",
        "_jsonata_state_field",
        "TimeoutSeconds as JSONata",
        ("state_def", "field", "expected", "raw_input", "ctx"),
    ),
    Hook("services.stepfunctions", "_api_name_to_sfn_key", "names of aws-sdk results", ("name",)),
    Hook(
        "services.stepfunctions",
        "_ExecutionError",
        "errors with the names that AWS gives",
        ("error", "cause"),
    ),
    Hook("services.stepfunctions", "_AWS_SDK_ERROR_PREFIX", "errors with the names that AWS gives"),
    Hook("services.tagging", "_RESOURCE_TAG_COLLECTORS", "conditions on the tags of file systems"),
    Hook("services.cloudformation.provisioners", "_RESOURCE_HANDLERS", "resource types"),
    Hook(
        "services.cloudformation.provisioners",
        "_physical_name",
        "generated physical names",
        ("stack_name", "logical_id"),
    ),
    Hook(
        "services.cloudformation.stacks",
        "_runs_on_worker_thread",
        "our resource types may call the emulator",
        ("resource_type",),
    ),
    Hook(
        "services.cloudformation.engine",
        "_evaluate_conditions",
        "conditions on joined texts",
        ("template", "params"),
    ),
    Hook(
        "services.cloudformation.engine",
        "_resolve_refs",
        "conditions on joined texts",
        ("value", "resources", "params", "conditions", "mappings", "stack_name", "stack_id"),
    ),
    Hook(
        "services.cloudformation.stacks",
        "_fail_property_validation",
        "properties by their schema",
        (
            "stack",
            "stack_id",
            "stack_name",
            "resources_defs",
            "ordered",
            "param_values",
            "conditions",
            "mappings",
            "disable_rollback",
            "previous_stack",
        ),
    ),
    Hook(
        "services.cloudformation.stacks",
        "_validation_errors",
        "properties by their schema",
        ("resources_defs", "ordered"),
    ),
    Hook(
        "services.cloudformation.stacks",
        "_add_event",
        "properties by their schema",
        ("stack_id", "stack_name", "logical_id", "resource_type", "status", "reason"),
    ),
    Hook(
        "services.cloudformation.stacks",
        "_resolve_refs",
        "values that are known before a deployment",
        ("value", "resources", "params", "conditions", "mappings", "stack_name", "stack_id"),
    ),
    Hook(
        "services.cloudformation.stacks",
        "_intrinsic_references",
        "values that are known before a deployment",
        ("value",),
    ),
    Hook(
        "services.cloudformation.custom_resource",
        "deliver_response",
        "a crashed custom resource fails at once",
        ("token", "response"),
    ),
    Hook(
        "services.lambda_svc",
        "_execute_function_with_config_scope",
        "a crashed custom resource fails at once",
        ("func", "event"),
    ),
    Hook(
        "services.cloudwatch",
        "record_metric",
        "metrics in a function's log",
        ("namespace", "metric_name", "value", "unit", "dimensions"),
    ),
    Hook(
        "services.lambda_svc", "_LAMBDA_STATE_TRANSITION_DELAY", "functions that are soon ready", number=True
    ),
    Hook("services.lambda_svc", "_functions", "versions, aliases and their settings"),
    Hook(
        "services.lambda_svc",
        "_execute_function_warm",
        "errors by class name; bursts wait",
        ("func", "event", "request_id"),
    ),
    Hook(
        "services.lambda_svc",
        "_invoke",
        "weights of an alias",
        ("name", "event", "headers", "path_qualifier", "query_params"),
    ),
    Hook("services.lambda_svc", "_get_func_record_for_ref", "weights of an alias", ("function_ref",)),
    Hook("services.lambda_svc", "_publish_version", "guards of PublishVersion", ("name", "data")),
    Hook("services.lambda_svc", "_func_arn", "ARNs of functions", ("name",)),
    Hook(
        "services.lambda_svc", "_event_invoke_config", "retries of asynchronous calls", ("func", "qualifier")
    ),
    Hook(
        "services.lambda_svc", "invoke_async_with_retry", "retries of asynchronous calls", ("func", "event")
    ),
    Hook(
        "services.lambda_svc",
        "_route_async_failure",
        "dead letters",
        ("target_arn", "func_name", "event", "result"),
    ),
    Hook("core.lambda_runtime", "_workers", "killing functions in flight"),
    Hook(
        "core.iam_actions",
        "extract_iam_action",
        "faults by API",
        ("service", "method", "path", "headers", "body", "query_params"),
    ),
    Hook(
        "core.iam_actions",
        "access_denied_response",
        "faults in the protocol of their service",
        ("service", "action", "principal_arn", "request_id", "error_code", "message", "headers"),
    ),
    Hook("core.lambda_runtime", "Worker", "errors by class name", ("func_name", "config", "code_zip")),
    Hook(
        "services.s3",
        "_fire_s3_event",
        "events name the object's version",
        ("bucket_name", "key", "event_name"),
    ),
    Hook(
        "services.s3",
        "handle_request",
        "permissions for the key of an object",
        ("method", "path", "headers", "body", "query_params"),
    ),
    Hook(
        "services.s3",
        "_bucket_default_sse_headers",
        "permissions for the key of an object",
        ("bucket_name",),
    ),
    Hook("services.eventbridge", "_dispatch_event", "events name the object's version", ("event",)),
    Hook("services.cloudformation", "_stacks", "a stack operation that is soon over"),
    Hook("core.lambda_runtime", "reset", "functions end with the instance", ()),
)


def problems() -> list[str]:
    """One sentence for each hook that the installed ministack does not keep."""
    from importlib.metadata import version

    from local_aws.emulator import functions

    found = [
        f"ministack.{hook.module}.{hook.name}: {problem} (used for: {hook.used_for})"
        for hook in HOOKS
        if (problem := hook.problem()) is not None
    ]
    script = functions.script_problem()
    if script is not None:
        found.append(
            f"ministack.core.lambda_runtime._PYTHON_WORKER_SCRIPT: {script} (used for: errors by class name)"
        )
    if version("ministack") != MINISTACK:
        found.insert(0, f"ministack {version('ministack')} is installed, {MINISTACK} is the one that we know")
    return found


def require_all() -> None:
    found = problems()
    if found:
        raise HookError("\n".join(found))
