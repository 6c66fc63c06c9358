"""The project's own rules: each takes the templates of one environment and lists what breaks it."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.compliance import cloudformation, iam, sdk, state_machines
from tests.compliance.templates import Platform, Resource, as_list, walk

_ASYNCHRONOUS = ("AWS::Events::Rule", "AWS::SNS::Subscription", "AWS::Scheduler::Schedule", "AWS::S3::Bucket")

# Actions whose reach is limited by a condition key of their own rather than by a resource.
_BOUND_BY_CONDITION = {"cloudwatch:PutMetricData": "cloudwatch:namespace"}

# --- IAM ---------------------------------------------------------------------------------------------------


def unknown_actions(platform: Platform) -> Iterator[str]:
    """Actions that IAM does not know grant nothing: `kms:ReEncrypt` looks right and is denied at run time."""
    for statement in iam.statements(platform):
        for action in statement.actions:
            if not iam.matching_actions(action):
                yield f"{statement.holder}: IAM knows no action {action}"


def wildcard_actions(platform: Platform) -> Iterator[str]:
    """No identity may do everything, or everything in a service."""
    for statement in iam.statements(platform):
        if statement.identity and statement.allows:
            for action in statement.actions:
                if action == "*" or action.endswith(":*"):
                    yield f"{statement.holder}: allows {action}"


def wildcard_resources(platform: Platform, tolerated: Mapping[str, str]) -> Iterator[str]:
    """`*` only for actions that cannot be limited to a resource, or whose reason is written down."""
    for statement in iam.statements(platform):
        if statement.identity and statement.allows and "*" in statement.resources:
            for action in statement.actions:
                bound = _BOUND_BY_CONDITION.get(action)
                if bound is not None and f'"{bound}"' in statement.conditions:
                    continue
                if iam.can_be_limited(action) and action not in tolerated:
                    yield f"{statement.holder}: allows {action} on *, and it can be limited to some resources"


def public_policies(platform: Platform) -> Iterator[str]:
    """No resource may be open to everybody."""
    for statement in iam.statements(platform):
        if statement.allows and not statement.conditions and "AWS:*" in statement.principals:
            yield f"{statement.holder}: is open to every AWS account"


def full_access_policies(platform: Platform) -> Iterator[str]:
    """A managed policy such as AmazonSageMakerFullAccess is the opposite of least privilege."""
    for role in platform.resources("AWS::IAM::Role"):
        for policy in iam.managed_policies(platform, role):
            if policy.endswith(("FullAccess", "AdministratorAccess", "PowerUserAccess")):
                yield f"{role}: has the managed policy {policy}"


# --- State machines ----------------------------------------------------------------------------------------


def careless_tasks(platform: Platform, refusals: Iterable[str]) -> Iterator[str]:
    """Every task ends in time, retries what may pass, never what a person has to mend, and is caught.

    What runs last on the way to a failure (the notification) has nowhere left to be caught.
    """
    never_retried = {"States.ALL", "States.TaskFailed", "States.Runtime", "Exception", *refusals}
    for machine in state_machines.machines(platform):
        failing = machine.error_path()
        for task in machine.tasks():
            where = f"{machine.resource}: task {task.name!r}"
            if not {"TimeoutSeconds", "TimeoutSecondsPath"} & set(task.document):
                yield f"{where} has no timeout"
            if not task.document.get("Retry"):
                yield f"{where} has no Retry"
            for error in sorted(state_machines.errors(task.document.get("Retry")) & never_retried):
                yield f"{where} retries {error}, which no retry can mend"
            after = state_machines.onward(task.siblings, task.name) - {task.name}
            last = task.name in failing and not any(task.siblings[name]["Type"] == "Task" for name in after)
            if not last and "States.ALL" not in state_machines.errors(task.document.get("Catch")):
                yield f"{where} has no Catch for States.ALL"


def silent_failures(platform: Platform) -> Iterator[str]:
    """What is caught is told to somebody and ends the execution as failed."""
    for machine in state_machines.machines(platform):
        tells = {
            state.name
            for state in machine.tasks()
            if state.integration.startswith(("sns:publish", "events:putEvents"))
        }
        # Where telling itself fails, there is nobody left to tell.
        for task in (task for task in machine.tasks() if task.name not in tells & machine.error_path()):
            for rule in task.document.get("Catch", ()):
                after = state_machines.onward(task.siblings, rule["Next"])
                where = f"{machine.resource}: what task {task.name!r} catches"
                if not after & tells:
                    yield f"{where} is told to nobody"
                if not any(task.siblings[name]["Type"] == "Fail" for name in after):
                    yield f"{where} does not end in a failed execution"


def swapped_topics(platform: Platform) -> Iterator[str]:
    """The topic of successes is not the topic of failures."""
    for machine in state_machines.machines(platform):
        failing = machine.error_path()
        topics: dict[bool, set[str]] = {True: set(), False: set()}
        for task in machine.tasks():
            if task.integration.startswith("sns:publish"):
                topics[task.name in failing].add(task.text("TopicArn"))
        for topic in sorted(topics[True] & topics[False]):
            yield f"{machine.resource}: tells successes and failures to the same topic {topic}"


def missing_permissions(platform: Platform) -> Iterator[str]:
    """A state machine's role is sufficient for its tasks."""
    for machine in state_machines.machines(platform):
        granted = iam.statements_of(platform, _role(platform, machine.resource))
        for need in state_machines.needs(platform, machine):
            if need.required and not iam.allowed(granted, need.action, need.resource):
                yield f"{machine.resource}: {need.why} needs {need.action} on {need.resource}"


def unused_permissions(platform: Platform) -> Iterator[str]:
    """A state machine's role holds nothing that its tasks do not need."""
    for machine in state_machines.machines(platform):
        needs = state_machines.needs(platform, machine)
        for statement in iam.statements_of(platform, _role(platform, machine.resource)):
            for action, resource in itertools.product(statement.actions, statement.resources):
                used = any(
                    iam.overlap(action.lower(), need.action.lower()) and _covers(resource, need.resource)
                    for need in needs
                )
                if statement.allows and not used:
                    yield f"{statement.holder}: no task of {machine.resource} needs {action} on {resource}"


def _covers(pattern: str, resource: str) -> bool:
    # A grant to invoke a function names its versions too: `<stack/Function.Arn>:*`.
    return iam.overlap(pattern, resource) or iam.overlap(pattern.removesuffix(":*"), resource)


def _role(platform: Platform, machine: Resource) -> Resource:
    role = platform.target(machine.stack, machine.properties["RoleArn"])
    assert role is not None, f"{machine}: its role is not in the templates"
    return role


# --- Lambda functions --------------------------------------------------------------------------------------


def careless_functions(platform: Platform) -> Iterator[str]:
    """Every function has a timeout, a log group with retention, and no wildcard in its variables."""
    for function in platform.resources("AWS::Lambda::Function"):
        if "Timeout" not in function.properties:
            yield f"{function}: has no timeout"
        variables = function.properties.get("Environment", {}).get("Variables", {})
        for name, value in variables.items():
            if "*" in platform.text(function.stack, value):
                yield f"{function}: the variable {name} holds a wildcard"
        group = _log_group(platform, function)
        if group is None:
            yield f"{function}: has no log group in the templates, so its logs are kept for ever"
        elif "RetentionInDays" not in group.properties:
            yield f"{function}: its log group {group} keeps logs for ever"


def lost_invocations(platform: Platform) -> Iterator[str]:
    """Asynchronous invocations that fail go to a dead-letter queue or an on-failure destination."""
    for caller in platform.resources(*_ASYNCHRONOUS):
        for function in _invoked_by(platform, caller):
            if "DeadLetterConfig" not in function.properties and not _has_failure_destination(
                platform, function
            ):
                yield f"{function}: is invoked by {caller} and what fails there is lost"


def lost_events(platform: Platform) -> Iterator[str]:
    """An event rule's targets have a dead-letter queue for what cannot be delivered."""
    for rule in platform.resources("AWS::Events::Rule"):
        for target in rule.properties.get("Targets", ()):
            if "DeadLetterConfig" not in target:
                yield f"{rule}: the target {target.get('Id')} has no dead-letter queue"


def _log_group(platform: Platform, function: Resource) -> Resource | None:
    named = function.properties.get("LoggingConfig", {}).get("LogGroup")
    if named is not None:
        return platform.target(function.stack, named)
    wanted = f"/aws/lambda/<{function.stack}/{function.logical_id}.Ref>"
    for group in platform.resources("AWS::Logs::LogGroup"):
        if platform.text(group.stack, group.properties.get("LogGroupName", "")) == wanted:
            return group
    return None


def _invoked_by(platform: Platform, caller: Resource) -> Iterator[Resource]:
    # A bucket tells functions through its notifications alone; its other properties name none.
    holder = (
        caller.properties.get("NotificationConfiguration", {}) if caller.type == "AWS::S3::Bucket" else None
    )
    for value in walk(caller.properties if holder is None else holder):
        target = platform.target(caller.stack, value) if isinstance(value, dict) else None
        if target is None:
            continue
        if target.type in ("AWS::Lambda::Alias", "AWS::Lambda::Version"):
            target = platform.target(target.stack, target.properties["FunctionName"])
        if target is not None and target.type == "AWS::Lambda::Function":
            yield target


def _has_failure_destination(platform: Platform, function: Resource) -> bool:
    return any(
        platform.target(config.stack, config.properties["FunctionName"]) == function
        and "OnFailure" in config.properties.get("DestinationConfig", {})
        for config in platform.resources("AWS::Lambda::EventInvokeConfig")
    )


# --- Data at rest and on its way ---------------------------------------------------------------------------


def careless_buckets(platform: Platform, without_log: Mapping[str, str]) -> Iterator[str]:
    """Every bucket is encrypted, private, logged, and speaks TLS alone."""
    for bucket in platform.resources("AWS::S3::Bucket"):
        properties = bucket.properties
        if "BucketEncryption" not in properties:
            yield f"{bucket}: is not encrypted"
        block = properties.get("PublicAccessBlockConfiguration", {})
        if not all(
            block.get(key) is True
            for key in ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
        ):
            yield f"{bucket}: public access is not blocked in all four ways"
        if not _refuses_plain_http(platform, bucket):
            yield f"{bucket}: answers requests without TLS"
        logged = "DestinationBucketName" in properties.get("LoggingConfiguration", {})
        if not logged and not any(bucket.path.endswith(path) for path in without_log):
            yield f"{bucket}: access to it is not logged"


def _refuses_plain_http(platform: Platform, bucket: Resource) -> bool:
    for policy in platform.resources("AWS::S3::BucketPolicy"):
        if platform.target(policy.stack, policy.properties["Bucket"]) != bucket:
            continue
        for statement in as_list(policy.properties["PolicyDocument"]["Statement"]):
            refused = statement.get("Condition", {}).get("Bool", {}).get("aws:SecureTransport")
            if (
                statement["Effect"] == "Deny"
                and str(refused).lower() == "false"
                and "*" in walk(statement["Principal"])
            ):
                return True
    return False


def still_keys(platform: Platform) -> Iterator[str]:
    """Every symmetric key rotates."""
    for key in platform.resources("AWS::KMS::Key"):
        symmetric = key.properties.get("KeySpec", "SYMMETRIC_DEFAULT") == "SYMMETRIC_DEFAULT"
        if symmetric and key.properties.get("EnableKeyRotation") is not True:
            yield f"{key}: does not rotate"


def plain_messages(platform: Platform) -> Iterator[str]:
    """Every topic and every queue is encrypted."""
    for topic in platform.resources("AWS::SNS::Topic"):
        if "KmsMasterKeyId" not in topic.properties:
            yield f"{topic}: is not encrypted"
    for queue in platform.resources("AWS::SQS::Queue"):
        if (
            "KmsMasterKeyId" not in queue.properties
            and queue.properties.get("SqsManagedSseEnabled") is not True
        ):
            yield f"{queue}: is not encrypted"


# --- Tags and names ----------------------------------------------------------------------------------------


def missing_tags(platform: Platform, required: Mapping[str, str]) -> Iterator[str]:
    """Whatever can carry tags carries the required ones with their values."""
    for resource in platform.resources():
        holder = cloudformation.tag_property(resource.type)
        if holder is not None:
            present = _tags(resource.properties.get(holder))
            for key, value in required.items():
                if present.get(key) != value:
                    yield f"{resource}: {key} is {present.get(key)!r}, not {value!r}"


def _tags(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    return {entry["Key"]: entry["Value"] for entry in value or ()}


def fixed_names(platform: Platform, tolerated: Mapping[str, str]) -> Iterator[str]:
    """No names on what an update may have to replace: the new one could not be made beside the old."""
    for resource in platform.resources():
        for name in sorted(cloudformation.physical_names(resource.type)):
            if name in resource.properties and f"{resource.type}.{name}" not in tolerated:
                fixed = platform.text(resource.stack, resource.properties[name])
                if platform.by_placeholder(fixed) is not None:
                    continue  # it goes with the resource that it names
                yield f"{resource}: {name} is fixed to {fixed!r}"


def changing_names(platform: Platform) -> Iterator[str]:
    """No time and no uuid in anything that is deployed: it would be new with every synthesis."""
    uuid = re.compile(
        r"\b[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b", re.IGNORECASE
    )
    time = re.compile(r"\b20\d\d-?[01]\d-?[0-3]\d[T_ -]?[0-2]\d:?[0-5]\d")
    for resource in platform.resources():
        for value in (resource.logical_id, *walk(resource.properties)):
            if isinstance(value, str) and (uuid.search(value) or time.search(value)):
                yield f"{resource}: {value[:120]!r} looks like a uuid or a time"


# --- What watches, and what governs ------------------------------------------------------------------------

# For the namespaces of AWS services: metrics that are published, and the sets of dimensions they come with.
_METRICS: dict[str, tuple[set[str], list[set[str]]]] = {
    "AWS/Lambda": (
        {
            "Invocations", "Errors", "Throttles", "Duration", "ConcurrentExecutions", "DeadLetterErrors",
            "DestinationDeliveryFailures", "ProvisionedConcurrencySpilloverInvocations", "AsyncEventsDropped",
            "AsyncEventAge", "AsyncEventsReceived", "IteratorAge", "UrlRequestCount", "Url4xxCount",
            "Url5xxCount", "UrlRequestLatency",
        },
        [{"FunctionName"}, {"FunctionName", "Resource"}, {"FunctionName", "Resource", "ExecutedVersion"}],
    ),
    "AWS/States": (
        {
            "ExecutionsStarted", "ExecutionsSucceeded", "ExecutionsFailed", "ExecutionsTimedOut",
            "ExecutionsAborted", "ExecutionThrottled", "ExecutionTime",
        },
        [{"StateMachineArn"}],
    ),
    "AWS/SQS": (
        {
            "ApproximateNumberOfMessagesVisible", "ApproximateNumberOfMessagesNotVisible",
            "ApproximateAgeOfOldestMessage", "NumberOfMessagesSent", "NumberOfMessagesReceived",
            "NumberOfMessagesDeleted",
        },
        [{"QueueName"}],
    ),
    "AWS/SNS": (
        {"NumberOfMessagesPublished", "NumberOfNotificationsDelivered", "NumberOfNotificationsFailed"},
        [{"TopicName"}],
    ),
    "AWS/Events": (
        {"Invocations", "FailedInvocations", "TriggeredRules", "MatchedEvents", "ThrottledRules",
         "InvocationsSentToDlq", "InvocationsFailedToBeSentToDlq"},
        [{"RuleName"}, {"EventBusName"}, {"EventBusName", "RuleName"}],
    ),
}  # fmt: skip


def blind_alarms(platform: Platform) -> Iterator[str]:
    """Every alarm watches a metric that is published, with the dimensions that it is published with."""
    for alarm in platform.resources("AWS::CloudWatch::Alarm"):
        for metric in _metrics(alarm.properties):
            namespace, name = str(metric.get("Namespace")), str(metric.get("MetricName"))
            dimensions = {entry["Name"] for entry in metric.get("Dimensions", ())}
            if not dimensions:
                yield f"{alarm}: {namespace} {name} without dimensions never sees data"
            if namespace not in _METRICS:
                if namespace.startswith("AWS/"):
                    yield f"{alarm}: the metrics of {namespace} are not written down in {__name__}; add them"
                continue
            published, combinations = _METRICS[namespace]
            if name not in published:
                yield f"{alarm}: {namespace} publishes no metric {name}"
            if dimensions and dimensions not in combinations:
                yield f"{alarm}: {namespace} {name} is not published by {sorted(dimensions)}"


def _metrics(alarm: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "MetricName" in alarm:
        yield alarm
    for query in alarm.get("Metrics", ()):
        if "MetricStat" in query:
            yield query["MetricStat"]["Metric"]


def odd_lake_permissions(platform: Platform) -> Iterator[str]:
    """Lake Formation grants mean what they say: no table named `*`, no table right on a database."""
    table_rights = {"SELECT", "INSERT", "DELETE"}
    for grant in platform.resources(
        "AWS::LakeFormation::PrincipalPermissions", "AWS::LakeFormation::Permissions"
    ):
        resource = grant.properties.get("Resource", {})
        table = resource.get("Table", resource.get("TableResource", {}))
        if table.get("Name") == "*":
            yield f"{grant}: grants on a table that is named '*'; all tables are TableWildcard"
        database = {"Database", "DatabaseResource"} & set(resource)
        rights = set(grant.properties.get("Permissions", ())) & table_rights
        if database and rights:
            yield f"{grant}: gives {sorted(rights)} on a database, which has no such right"


def encrypted_local_disks(platform: Platform, instances_with_nvme: Iterable[str]) -> Iterator[str]:
    """Jobs on instances with local NVMe name no key for their volume: the API refuses it."""
    local = set(instances_with_nvme)
    for machine in state_machines.machines(platform):
        clusters = [(task.name, part) for task in machine.tasks() for part in walk(task.arguments)]
        for name, cluster in clusters:
            if isinstance(cluster, dict) and "VolumeKmsKeyId" in cluster:
                instance = str(cluster.get("InstanceType", ""))
                if instance.removeprefix("ml.") in local:
                    yield f"{machine.resource}: {name!r} sets VolumeKmsKeyId on {instance}"


def unknown_calls(platform: Platform) -> Iterator[str]:
    """Tasks that call an API which botocore does not know."""
    for machine in state_machines.machines(platform):
        try:
            state_machines.needs(platform, machine)
        except sdk.UnknownCall as error:
            yield f"{machine.resource}: {error}"


def strong_references(platform: Platform) -> Iterator[str]:
    """A stack never holds another one's update back: no exports, no imports."""
    for name, template in platform.templates.items():
        for key, output in template.get("Outputs", {}).items():
            if "Export" in output:
                yield f"{name}: the output {key} is exported"
        if "Fn::ImportValue" in json.dumps(template):
            yield f"{name}: imports a value"
