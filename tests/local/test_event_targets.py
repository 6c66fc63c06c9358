"""EventBridge reaches a target in its role or by the target's own policy, and in no other way."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.local.conftest import ACCOUNT, REGION, TRUST, LocalAws, allow, eventually, service, unique

SENDS = """
import boto3, os
def handler(event, context):
    boto3.client("sqs").send_message(QueueUrl=os.environ["QUEUE"], MessageBody=str(event["detail"]["n"]))
"""
PASS = {"Pass": {"Type": "Pass", "End": True}}


@dataclass(frozen=True)
class Target:
    """Something that a rule can send to."""

    arn: str
    received: Callable[[], bool]
    action: str
    let: Callable[[str], None] | None = None
    """Lets EventBridge call it for a rule, by its own policy; None where it has none."""


def function(aws: LocalAws) -> Target:
    url, _ = aws.queue()
    environment = {"Variables": {"QUEUE": url}}
    name = aws.function(SENDS, aws.role("lambda", allow("sqs:SendMessage")), Environment=environment)

    def let(rule: str) -> None:
        aws.client("lambda").add_permission(
            FunctionName=name,
            StatementId="events",
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
            SourceArn=rule,
        )

    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
    return Target(arn, lambda: has_message(aws, url), "lambda:InvokeFunction", let)


def queue(aws: LocalAws) -> Target:
    url, arn = aws.queue()

    def let(rule: str) -> None:
        policy = for_rule("sqs:SendMessage", arn, rule)
        aws.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})

    return Target(arn, lambda: has_message(aws, url), "sqs:SendMessage", let)


def topic(aws: LocalAws) -> Target:
    sns = aws.client("sns")
    arn = sns.create_topic(Name=unique("topic"))["TopicArn"]
    url, subscriber = aws.queue("sns")
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=subscriber)

    def let(rule: str) -> None:
        policy = for_rule("sns:Publish", arn, rule)
        sns.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)

    return Target(arn, lambda: has_message(aws, url), "sns:Publish", let)


def machine(aws: LocalAws) -> Target:
    states = aws.client("stepfunctions")
    arn = aws.machine(aws.role("states"), PASS, "Pass")

    def started() -> bool:
        return bool(states.list_executions(stateMachineArn=arn)["executions"])

    return Target(arn, started, "states:StartExecution")


def stream(aws: LocalAws) -> Target:
    kinesis, name = aws.client("kinesis"), unique("stream")
    kinesis.create_stream(StreamName=name, ShardCount=1)
    shard = {"ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"}

    def received() -> bool:
        iterator = kinesis.get_shard_iterator(StreamName=name, **shard)["ShardIterator"]
        return bool(kinesis.get_records(ShardIterator=iterator)["Records"])

    return Target(f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{name}", received, "kinesis:PutRecord")


def delivery_stream(aws: LocalAws) -> Target:
    bucket, name = aws.bucket(), unique("stream")
    writes = aws.role("firehose", allow("s3:PutObject"))
    destination = {"RoleARN": writes, "BucketARN": f"arn:aws:s3:::{bucket}"}
    arn = aws.client("firehose").create_delivery_stream(
        DeliveryStreamName=name, ExtendedS3DestinationConfiguration=destination
    )["DeliveryStreamARN"]
    s3 = aws.client("s3")
    return Target(arn, lambda: s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1, "firehose:PutRecord")


def for_rule(action: str, arn: str, rule: str) -> str:
    condition = {"ArnEquals": {"aws:SourceArn": rule}}
    statement = allow(action, resource=arn) | {"Principal": service("events"), "Condition": condition}
    return json.dumps(TRUST | {"Statement": [statement]})


def has_message(aws: LocalAws, url: str) -> bool:
    return "Messages" in aws.client("sqs").receive_message(QueueUrl=url, VisibilityTimeout=0)


@dataclass(frozen=True)
class Rule:
    """A rule to one target, and the dead letters of it."""

    aws: LocalAws
    source: str
    arn: str
    dead: str

    @classmethod
    def to(
        cls, aws: LocalAws, arn: str, role: str | None = None, dead: tuple[str, str] | None = None
    ) -> Rule:
        events, source, name = aws.client("events"), unique("source"), unique("rule")
        url, queue_arn = dead or aws.queue("events")
        rule = events.put_rule(Name=name, EventPattern=json.dumps({"source": [source]}))["RuleArn"]
        target: dict[str, Any] = {"Id": "1", "Arn": arn, "DeadLetterConfig": {"Arn": queue_arn}}
        events.put_targets(Rule=name, Targets=[target | ({"RoleArn": role} if role else {})])
        return cls(aws, source, rule, url)

    def send(self) -> None:
        entry = {"Source": self.source, "DetailType": "t", "Detail": '{"n": 1}'}
        self.aws.client("events").put_events(Entries=[entry])

    def refusal(self) -> str:
        """Why the event could not be delivered, of which the dead letter tells."""
        (message,) = self.aws.messages(self.dead)
        assert json.loads(message["Body"])["detail"] == {"n": 1}
        attributes = message["MessageAttributes"]
        assert attributes["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS", attributes
        return str(attributes["ERROR_MESSAGE"]["StringValue"])


WITH_POLICIES = [function, queue, topic]
ALL = [*WITH_POLICIES, machine, stream, delivery_stream]


@pytest.mark.parametrize("kind", ALL)
def test_a_target_is_reached_in_a_role_that_may(local_aws: LocalAws, kind: Callable[..., Target]) -> None:
    target = kind(local_aws)
    rule = Rule.to(local_aws, target.arn, local_aws.role("events", allow(target.action, resource=target.arn)))
    rule.send()
    eventually(target.received, 15, "the event")


@pytest.mark.parametrize("kind", ALL)
def test_a_target_is_not_reached_in_a_role_that_may_not(
    local_aws: LocalAws, kind: Callable[..., Target]
) -> None:
    target = kind(local_aws)
    rule = Rule.to(local_aws, target.arn, local_aws.role("events", allow("ec2:*")))
    rule.send()
    assert target.action in rule.refusal()
    assert not target.received()


@pytest.mark.parametrize("kind", ALL)
def test_a_target_without_a_role_is_reached_by_its_policy_alone(
    local_aws: LocalAws, kind: Callable[..., Target]
) -> None:
    target = kind(local_aws)
    rule = Rule.to(local_aws, target.arn)
    rule.send()
    assert ("policy" if target.let else "needs a role") in rule.refusal()
    assert not target.received()
    if target.let:
        target.let(rule.arn)
        rule.send()
        eventually(target.received, 15, "the event")


def test_a_policy_for_one_rule_lets_no_other(local_aws: LocalAws) -> None:
    target = queue(local_aws)
    other, rule = (Rule.to(local_aws, target.arn) for _ in range(2))
    assert target.let is not None
    target.let(other.arn)
    rule.send()
    assert rule.arn in rule.refusal()


def test_dead_letters_need_the_permission_of_their_queue_too(local_aws: LocalAws) -> None:
    closed = local_aws.queue()
    Rule.to(local_aws, queue(local_aws).arn, dead=closed).send()
    log = local_aws.state_dir / "emulator.log"
    lost = f"EventBridge lost an event for .*No policy of {closed[1]} lets events.amazonaws.com"
    eventually(lambda: bool(re.search(lost, log.read_text())), 10, "the loss in the log")
    assert not has_message(local_aws, closed[0])


def test_a_function_that_a_rule_calls_is_tried_again_when_it_fails(local_aws: LocalAws) -> None:
    """EventBridge invokes asynchronously: Lambda's retries and dead letters are those of the function."""
    url, arn = local_aws.queue()
    role = local_aws.role("lambda", allow("sqs:SendMessage"))
    source = "def handler(event, context): raise RuntimeError(str(event['detail']['n']))"
    name = local_aws.function(source, role, DeadLetterConfig={"TargetArn": arn})
    local_aws.client("lambda").put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
    invokes = local_aws.role("events", allow("lambda:InvokeFunction"))
    Rule.to(local_aws, f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}", invokes).send()
    (message,) = local_aws.messages(url)
    assert json.loads(message["Body"])["detail"] == {"n": 1}
