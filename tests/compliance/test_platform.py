"""Every environment against the project's own rules. What is tolerated stands here, each with its reason."""

from __future__ import annotations

import ast
import functools
import gzip
import json
from collections.abc import Callable, Iterable
from importlib import resources

import pytest

from settings.model import load
from tests.compliance import rules
from tests.compliance.assembly import ROOT
from tests.compliance.templates import Platform

# Actions that IAM can limit to a resource and that are allowed on `*` all the same.
ANY_RESOURCE = {
    "cloudwatch:DescribeAlarms": "CloudWatch answers a request that may concern composite alarms only where "
    "it is allowed on all; the answer holds states, no data",
    **dict.fromkeys(
        (
            "ec2:AssignPrivateIpAddresses",
            "ec2:CreateNetworkInterface",
            "ec2:DeleteNetworkInterface",
            "ec2:UnassignPrivateIpAddresses",
        ),
        "Lambda makes network interfaces with the role of a function in a VPC and asks for all resources; a "
        "statement beside it denies them to the code of functions",
    ),
}

# Buckets, by the end of their path, whose access nobody logs.
NOT_LOGGED = {
    "/Lake/AccessLogs/Resource": "it holds the access logs: logging access to it would never end",
    "/Audit/BucketAccessLogs/Resource": "it holds access logs too: logging access to it would never end",
}

# Names that are set on purpose, although an update that replaces the resource would collide with itself.
FIXED_NAMES: dict[str, str] = {
    "AWS::Logs::LogGroup.LogGroupName": "only another name replaces a log group, and the name that Step "
    "Functions' log deliveries ask for holds the id of the stack",
}

RULES: list[Callable[[Platform], Iterable[str]]] = [
    rules.unknown_actions,
    rules.wildcard_actions,
    rules.public_policies,
    rules.full_access_policies,
    rules.silent_failures,
    rules.swapped_topics,
    rules.missing_permissions,
    rules.unused_permissions,
    rules.unknown_calls,
    rules.careless_functions,
    rules.lost_invocations,
    rules.lost_events,
    rules.still_keys,
    rules.plain_messages,
    rules.changing_names,
    rules.blind_alarms,
    rules.odd_lake_permissions,
    rules.strong_references,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_platform_keeps_the_rule(platform: Platform, rule: Callable[[Platform], Iterable[str]]) -> None:
    none(rule(platform))


def test_no_identity_has_every_resource_where_some_would_do(platform: Platform) -> None:
    none(rules.wildcard_resources(platform, ANY_RESOURCE))


def test_every_bucket_is_encrypted_private_logged_and_speaks_tls(platform: Platform) -> None:
    none(rules.careless_buckets(platform, NOT_LOGGED))


def test_every_task_has_a_timeout_a_retry_and_a_catch(platform: Platform) -> None:
    none(rules.careless_tasks(platform, named_refusals()))


def test_what_can_carry_tags_carries_the_required_ones(platform: Platform, environment: str) -> None:
    none(rules.missing_tags(platform, load(environment).tags))


def test_nothing_that_may_be_replaced_has_a_fixed_name(platform: Platform) -> None:
    none(rules.fixed_names(platform, FIXED_NAMES))


def test_jobs_on_instances_with_local_nvme_name_no_key_for_their_volume(platform: Platform) -> None:
    none(rules.encrypted_local_disks(platform, instances_with_nvme()))


def test_the_platform_has_what_these_rules_are_about(platform: Platform) -> None:
    """A rule that finds nothing to look at would pass for ever."""
    present = {resource.type for resource in platform.resources()}
    assert present >= {
        "AWS::CloudWatch::Alarm",
        "AWS::Events::Rule",
        "AWS::IAM::Policy",
        "AWS::KMS::Key",
        "AWS::LakeFormation::Resource",
        "AWS::Lambda::Function",
        "AWS::Logs::LogGroup",
        "AWS::S3::Bucket",
        "AWS::SNS::Topic",
        "AWS::SQS::Queue",
        "AWS::StepFunctions::StateMachine",
    }


def test_errors_that_a_person_must_read_are_known() -> None:
    assert named_refusals() >= {
        "QualityGateFailed",
        "InvalidData",
        "ModelBelowThreshold",
        "ModelRejected",
        "DeploymentFailed",
    }


def none(findings: Iterable[str]) -> None:
    found = sorted(set(findings))
    assert not found, "\n" + "\n".join(found)


def named_refusals() -> set[str]:
    """The error names that handlers raise for a person to read, from the module that defines them."""
    tree = ast.parse((ROOT / "lambda" / "pipeline" / "errors.py").read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


@functools.cache
def instances_with_nvme() -> set[str]:
    """What EC2 says about each of its types, as moto recorded it; Inf1 and Inf2 have none."""
    file = resources.files("moto.ec2.resources") / "instance_types.json.gz"
    types = json.loads(gzip.decompress(file.read_bytes()))
    return {name for name, facts in types.items() if facts.get("InstanceStorageSupported")}
