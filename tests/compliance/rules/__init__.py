"""The project's own rules: each takes the templates of one environment and lists what breaks it."""

from tests.compliance.rules.data import careless_buckets, odd_lake_permissions, plain_messages, still_keys
from tests.compliance.rules.functions import careless_functions, lost_events, lost_invocations
from tests.compliance.rules.identity import (
    full_access_policies,
    public_policies,
    unknown_actions,
    wildcard_actions,
    wildcard_resources,
)
from tests.compliance.rules.machines import (
    careless_tasks,
    encrypted_local_disks,
    missing_permissions,
    silent_failures,
    swapped_topics,
    unknown_calls,
    unused_permissions,
)
from tests.compliance.rules.names import changing_names, fixed_names, missing_tags, strong_references
from tests.compliance.rules.watching import blind_alarms

__all__ = [
    "blind_alarms",
    "careless_buckets",
    "careless_functions",
    "careless_tasks",
    "changing_names",
    "encrypted_local_disks",
    "fixed_names",
    "full_access_policies",
    "lost_events",
    "lost_invocations",
    "missing_permissions",
    "missing_tags",
    "odd_lake_permissions",
    "plain_messages",
    "public_policies",
    "silent_failures",
    "still_keys",
    "strong_references",
    "swapped_topics",
    "unknown_actions",
    "unknown_calls",
    "unused_permissions",
    "wildcard_actions",
    "wildcard_resources",
]
