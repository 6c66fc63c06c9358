"""One key for what a construct writes about itself: its logs, its alerts, its dead letters."""

from __future__ import annotations

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct


def operations_key(scope: Construct, id: str, *, description: str) -> kms.Key:
    """Make a rotating key for log groups, for topics that alarms publish to, and for queues that event rules
    send to, all of this account."""
    key = kms.Key(scope, id, description=description, enable_key_rotation=True)
    allow_log_groups(key)
    allow_alarms(key)
    allow_rules_into_queues(key)
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


def allow_alarms(key: kms.IKey) -> None:
    """Let alarms of this account publish to topics that the key encrypts.

    See https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
    """
    _allow_service(key, "AlarmsOfThisAccount", "cloudwatch.amazonaws.com")


def allow_rules_into_queues(key: kms.IKey) -> None:
    """Let event rules of this account send to queues that the key encrypts, dead-letter queues among them.

    Topics are another matter: EventBridge names no source when SNS uses a key for it, so that this condition
    would refuse every message (https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html). With
    queues it does
    (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html).
    """
    _allow_service(key, "RulesOfThisAccountIntoQueues", "events.amazonaws.com")


def _allow_service(key: kms.IKey, sid: str, service: str) -> None:
    key.add_to_resource_policy(
        iam.PolicyStatement(
            sid=sid,
            principals=[iam.ServicePrincipal(service)],
            actions=["kms:Decrypt", "kms:GenerateDataKey*"],
            resources=["*"],
            conditions={"StringEquals": {"aws:SourceAccount": Stack.of(key).account}},
        )
    )
