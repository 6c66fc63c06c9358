"""One key for what a construct writes about itself: its logs, its alerts, its dead letters."""

from __future__ import annotations

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct


def operations_key(scope: Construct, id: str, *, description: str) -> kms.Key:
    """Make a rotating key that CloudWatch Logs, alarms and event rules of this account may use."""
    key = kms.Key(scope, id, description=description, enable_key_rotation=True)
    allow_log_groups(key)
    allow_publishers(key)
    return key


def allow_log_groups(key: kms.IKey) -> None:
    """Let CloudWatch Logs use the key, for log groups of this account and region alone."""
    stack = Stack.of(key)
    log_groups = stack.format_arn(
        service="logs", resource="log-group", resource_name="*", arn_format=ArnFormat.COLON_RESOURCE_NAME
    )
    key.add_to_resource_policy(
        iam.PolicyStatement(
            sid="LogGroupsOfThisAccount",
            principals=[iam.ServicePrincipal(f"logs.{stack.region}.amazonaws.com")],
            actions=[
                "kms:Encrypt*",
                "kms:Decrypt*",
                "kms:ReEncrypt*",
                "kms:GenerateDataKey*",
                "kms:Describe*",
            ],
            resources=["*"],
            conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": log_groups}},
        )
    )


def allow_publishers(key: kms.IKey) -> None:
    """Let alarms and event rules of this account send through topics and queues that the key encrypts."""
    key.add_to_resource_policy(
        iam.PolicyStatement(
            sid="AlarmsAndRulesOfThisAccount",
            principals=[
                iam.ServicePrincipal("cloudwatch.amazonaws.com"),
                iam.ServicePrincipal("events.amazonaws.com"),
            ],
            actions=["kms:Decrypt", "kms:GenerateDataKey*"],
            resources=["*"],
            conditions={"StringEquals": {"aws:SourceAccount": Stack.of(key).account}},
        )
    )
