"""EventBridge and Firehose deliver in the roles given to them; EventBridge also by the policies of targets.

Runs: a target with a role is called over HTTP in that role. A function, a queue or a topic without one is
called where its own policy lets ``events.amazonaws.com`` do so for this rule; a state machine or a stream
without one is not called. Deliveries are tried again while the target is throttled or its service fails, and
what cannot be delivered goes to the target's dead-letter queue, whose policy is asked too, with the error as
attributes, as in AWS. Firehose writes its objects in its destination's role. Not there: the policies of keys
that encrypt a queue or a topic, and partition keys of a stream by a path in the event.
"""

from __future__ import annotations

import contextvars
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from local_aws import context, identity
from local_aws.emulator import trust

_log = logging.getLogger("local_aws")
_delivery: contextvars.ContextVar[_Delivery | None] = contextvars.ContextVar(
    "local_aws_event_delivery", default=None
)
_delivery_role: contextvars.ContextVar[str | None] = contextvars.ContextVar(
    "local_aws_delivery_role", default=None
)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0
_ATTEMPTS = 12
"""AWS tries for 24 hours; a laptop's person does not wait for that."""
_RETRIED = {"ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown"}
_REFUSED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "NotAllowed", "NotTrusted"}


class NotAllowed(Exception):
    """EventBridge may not call the target; the message says what would let it."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """How targets of a service are called, and by which action a policy of theirs allows it."""

    call: Callable[[Any, dict[str, Any], str], Any]
    action: str | None = None
    """None where only a role will do."""
    client: str = ""


@dataclass(frozen=True, slots=True)
class _Delivery:
    target: dict[str, Any]
    rule: dict[str, Any]
    kind: _Kind
    service: str

    @property
    def arn(self) -> str:
        return str(self.target["Arn"])


def install() -> None:
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import eventbridge, firehose

    invoke, deliver = eventbridge._invoke_target, firehose._deliver_to_s3

    def invoke_delivering(
        target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None
    ) -> Any:
        parts = str(target.get("Arn", "")).split(":", 5)
        kind = _KINDS.get(parts[2]) if len(parts) == 6 else None
        if kind is None or parts[3:5] != [get_region(), get_account_id()]:
            return invoke(target, event, rule, view)
        token = _delivery.set(_Delivery(target, rule, kind, parts[2]))
        # ministack makes the target's input from the event; as a state machine's, it is handed to us.
        arn = f"arn:aws:states:{parts[3]}:{parts[4]}:stateMachine:any"
        try:
            return invoke(target | {"Arn": arn}, event, rule, view)
        finally:
            _delivery.reset(token)

    def deliver_remembering(stream: Any, dest: dict[str, Any], *more: Any, **options: Any) -> Any:
        token = _delivery_role.set(dest["config"].get("RoleARN"))
        try:
            return deliver(stream, dest, *more, **options)
        finally:
            _delivery_role.reset(token)

    eventbridge._invoke_target = invoke_delivering
    eventbridge._dispatch_to_stepfunctions = _start_delivery
    firehose._deliver_to_s3 = deliver_remembering
    firehose._put_s3_object = _put_object


def _start_delivery(_: str, payload: str) -> None:
    delivery = _delivery.get()
    if delivery is None:
        return  # another account's or region's, where nothing is deployed
    ctx = contextvars.copy_context()
    name = f"event-target-{delivery.target.get('Id', '')}"
    threading.Thread(target=ctx.run, args=(_deliver, delivery, payload), daemon=True, name=name).start()


def _deliver(delivery: _Delivery, payload: str) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    policy = delivery.target.get("RetryPolicy") or {}
    attempts = min(_ATTEMPTS, int(policy.get("MaximumRetryAttempts", 185)) + 1)
    pause = _FIRST_PAUSE
    code, message = "", ""
    for attempt in range(1, attempts + 1):
        try:
            client = context.client(delivery.kind.client or delivery.service, _credentials(delivery))
            delivery.kind.call(client, delivery.target, payload)
        except (ClientError, BotoCoreError, trust.NotTrusted, NotAllowed) as error:
            code, message = _described(error)
            if not _may_pass(error) or attempt == attempts:
                break
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        else:
            return
    _log.warning(
        "EventBridge did not deliver to %s (%s): %s: %s",
        delivery.arn,
        delivery.rule.get("Name"),
        code,
        message,
    )
    _send_to_dead_letters(delivery, payload, code, message)


def _credentials(delivery: _Delivery) -> dict[str, str] | None:
    """Those of the target's role, or of the account's root where the target's own policy allows the call."""
    role = delivery.target.get("RoleArn") or delivery.rule.get("RoleArn")
    if role:
        name, arn = delivery.rule.get("Name", "events")[:64], delivery.rule.get("Arn")
        return identity.assume(role, "events", name, arn)
    action = delivery.kind.action
    if action is None:
        message = f"The target {delivery.target.get('Id')} needs a role that lets EventBridge call it."
        raise NotAllowed(message)
    _require_policy(delivery.service, delivery.arn, action, delivery.rule)
    return None


def _require_policy(service: str, arn: str, action: str, rule: dict[str, Any]) -> None:
    """Raise NotAllowed unless the policy of the resource lets EventBridge act for the rule."""
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_account_id, get_region

    found = iam_evaluator._resource_policy(service, arn)
    if found is None:
        return  # that it does not exist, the call itself says
    call = iam_evaluator.EvalContext(
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action=action,
        resource_arn=arn,
        region=get_region(),
        service_context={
            "aws:sourcearn": rule.get("Arn", ""),
            "aws:sourceaccount": get_account_id(),
            "aws:principalservicename": "events.amazonaws.com",
        },
    )
    result = iam_evaluator.evaluate_resource_policy(found[0], call, service="events.amazonaws.com")
    if result.decision != "Allow":
        message = f"No policy of {arn} lets events.amazonaws.com perform {action} for {rule.get('Arn')}."
        raise NotAllowed(message)


def _may_pass(error: Exception) -> bool:
    """Whether another try may succeed: throttled, or the service failed."""
    response = getattr(error, "response", None)
    if response is None:
        return not isinstance(error, (trust.NotTrusted, NotAllowed))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status >= 500 or response["Error"].get("Code") in _RETRIED


def _described(error: Exception) -> tuple[str, str]:
    details = getattr(error, "response", {}).get("Error", {})
    return details.get("Code", type(error).__name__), details.get("Message", str(error))


def _send_to_dead_letters(delivery: _Delivery, payload: str, code: str, message: str) -> None:
    queue = (delivery.target.get("DeadLetterConfig") or {}).get("Arn")
    if not queue:
        return
    try:
        _require_policy("sqs", queue, "sqs:SendMessage", delivery.rule)
    except NotAllowed as error:
        _log.warning("EventBridge lost an event for %s: %s", delivery.arn, error)
        return
    values = {
        "ERROR_CODE": "NO_PERMISSIONS" if code in _REFUSED else code,
        "ERROR_MESSAGE": message[:1000],
        "RULE_ARN": delivery.rule.get("Arn", ""),
        "TARGET_ARN": delivery.arn,
    }
    sqs = context.client("sqs")
    attributes = {name: {"DataType": "String", "StringValue": value or "-"} for name, value in values.items()}
    sqs.send_message(QueueUrl=_url(sqs, queue), MessageBody=payload, MessageAttributes=attributes)


def _start_execution(client: Any, target: dict[str, Any], payload: str) -> None:
    client.start_execution(stateMachineArn=target["Arn"], input=payload)


def _invoke_function(client: Any, target: dict[str, Any], payload: str) -> None:
    client.invoke(FunctionName=target["Arn"], InvocationType="Event", Payload=payload.encode())


def _send_message(client: Any, target: dict[str, Any], payload: str) -> None:
    group = (target.get("SqsParameters") or {}).get("MessageGroupId")
    fifo = {"MessageGroupId": group} if group else {}
    # As root: a role that may send need not be allowed to look the queue's address up.
    url = _url(context.client("sqs"), target["Arn"])
    client.send_message(QueueUrl=url, MessageBody=payload, **fifo)


def _publish(client: Any, target: dict[str, Any], payload: str) -> None:
    client.publish(TopicArn=target["Arn"], Message=payload)


def _put_to_stream(client: Any, target: dict[str, Any], payload: str) -> None:
    client.put_record(StreamARN=target["Arn"], Data=payload.encode(), PartitionKey=str(uuid.uuid4()))


def _put_to_delivery_stream(client: Any, target: dict[str, Any], payload: str) -> None:
    name = target["Arn"].rpartition("/")[2]
    client.put_record(DeliveryStreamName=name, Record={"Data": payload.encode()})


_KINDS = {
    "states": _Kind(_start_execution, client="stepfunctions"),
    "lambda": _Kind(_invoke_function, "lambda:InvokeFunction"),
    "sqs": _Kind(_send_message, "sqs:SendMessage"),
    "sns": _Kind(_publish, "sns:Publish"),
    "kinesis": _Kind(_put_to_stream),
    "firehose": _Kind(_put_to_delivery_stream),
}


def _url(sqs: Any, arn: str) -> str:
    return str(sqs.get_queue_url(QueueName=arn.rsplit(":", 1)[-1])["QueueUrl"])


def _put_object(bucket: str, key: str, body: bytes) -> None:
    role = _delivery_role.get()
    ctx = contextvars.copy_context()
    args = (role, bucket, key, body)
    threading.Thread(target=ctx.run, args=(_put_in_role, *args), daemon=True, name="firehose").start()


def _put_in_role(role: str | None, bucket: str, key: str, body: bytes) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    pause = _FIRST_PAUSE
    for _ in range(_ATTEMPTS):
        try:
            credentials = identity.assume(role, "firehose", "firehose") if role else None
            context.client("s3", credentials).put_object(Bucket=bucket, Key=key, Body=body)
        except (ClientError, BotoCoreError, trust.NotTrusted) as error:
            if not _may_pass(error):
                _log.warning("Firehose did not deliver s3://%s/%s: %s", bucket, key, error)
                return
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        else:
            return
    _log.warning("Firehose gave s3://%s/%s up: %s", bucket, key, json.dumps({"bytes": len(body)}))
