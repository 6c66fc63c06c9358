"""EventBridge and Firehose deliver in the roles that they were given.

Runs: a state machine is started over HTTP in the target's role, retried while it is throttled or the service
fails, and what cannot be delivered goes to the target's dead-letter queue, with the error as attributes, as
in AWS. Firehose writes its objects in its destination's role. Not there: the resource policies of functions,
queues and topics as targets are not asked.
"""

from __future__ import annotations

import contextvars
import json
import logging
import threading
import time
from typing import Any

from local_aws import context, identity
from local_aws.emulator import trust

_log = logging.getLogger("local_aws")
_target: contextvars.ContextVar[tuple[dict[str, Any], dict[str, Any]] | None] = contextvars.ContextVar(
    "local_aws_event_target", default=None
)
_delivery_role: contextvars.ContextVar[str | None] = contextvars.ContextVar(
    "local_aws_delivery_role", default=None
)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0
_ATTEMPTS = 12
"""AWS tries for 24 hours; a laptop's person does not wait for that."""
_RETRIED = {"ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown"}


def install() -> None:
    from ministack.services import eventbridge, firehose

    invoke, deliver = eventbridge._invoke_target, firehose._deliver_to_s3

    def invoke_remembering(
        target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None
    ) -> Any:
        token = _target.set((target, rule))
        try:
            return invoke(target, event, rule, view)
        finally:
            _target.reset(token)

    def deliver_remembering(stream: Any, dest: dict[str, Any], *more: Any, **options: Any) -> Any:
        token = _delivery_role.set(dest["config"].get("RoleARN"))
        try:
            return deliver(stream, dest, *more, **options)
        finally:
            _delivery_role.reset(token)

    eventbridge._invoke_target = invoke_remembering
    eventbridge._dispatch_to_stepfunctions = _start_execution
    firehose._deliver_to_s3 = deliver_remembering
    firehose._put_s3_object = _put_object


def _start_execution(arn: str, payload: str) -> None:
    here = _target.get()
    target, rule = here if here is not None else ({"Arn": arn}, {})
    ctx = contextvars.copy_context()
    name = f"event-target-{target.get('Id', '')}"
    threading.Thread(
        target=ctx.run, args=(_deliver, target, rule, arn, payload), daemon=True, name=name
    ).start()


def _deliver(target: dict[str, Any], rule: dict[str, Any], arn: str, payload: str) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    attempts = min(_ATTEMPTS, int((target.get("RetryPolicy") or {}).get("MaximumRetryAttempts", 185)) + 1)
    pause = _FIRST_PAUSE
    code, message = "", ""
    for attempt in range(1, attempts + 1):
        try:
            states = context.client("stepfunctions", _credentials(target, rule))
            states.start_execution(stateMachineArn=arn, input=payload)
        except (ClientError, BotoCoreError, trust.NotTrusted) as error:
            code, message = _described(error)
            if not _may_pass(error) or attempt == attempts:
                break
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        else:
            return
    _log.warning("EventBridge did not deliver to %s (%s): %s: %s", arn, rule.get("Name"), code, message)
    _send_to_dead_letters(target, rule, payload, code, message)


def _credentials(target: dict[str, Any], rule: dict[str, Any]) -> dict[str, str]:
    role = target.get("RoleArn") or rule.get("RoleArn")
    if not role:
        message = f"the target {target.get('Id')} of the rule {rule.get('Name')} has no role"
        raise trust.NotTrusted(message, "events")
    return identity.assume(role, "events", rule.get("Name", "events")[:64], rule.get("Arn"))


def _may_pass(error: Exception) -> bool:
    """Whether another try may succeed: throttled, or the service failed."""
    response = getattr(error, "response", None)
    if response is None:
        return not isinstance(error, trust.NotTrusted)
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status >= 500 or response["Error"].get("Code") in _RETRIED


def _described(error: Exception) -> tuple[str, str]:
    details = getattr(error, "response", {}).get("Error", {})
    return details.get("Code", type(error).__name__), details.get("Message", str(error))


def _send_to_dead_letters(
    target: dict[str, Any], rule: dict[str, Any], payload: str, code: str, message: str
) -> None:
    queue = (target.get("DeadLetterConfig") or {}).get("Arn")
    if not queue:
        return
    values = {
        "ERROR_CODE": "NO_PERMISSIONS" if code in ("AccessDeniedException", "NotTrusted") else code,
        "ERROR_MESSAGE": message[:1000],
        "RULE_ARN": rule.get("Arn", ""),
        "TARGET_ARN": target["Arn"],
    }
    sqs = context.client("sqs")
    url = sqs.get_queue_url(QueueName=queue.rsplit(":", 1)[-1])["QueueUrl"]
    attributes = {name: {"DataType": "String", "StringValue": value or "-"} for name, value in values.items()}
    sqs.send_message(QueueUrl=url, MessageBody=payload, MessageAttributes=attributes)


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
