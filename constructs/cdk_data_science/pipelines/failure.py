"""The one place where every failure of a pipeline ends: recorded, notified, and failed by its own name."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_data_science._tasks import Task, retry
from cdk_data_science.data_lake import IZone
from cdk_data_science.monitoring import AlertTopic
from cdk_data_science.pipelines.message import message_task
from cdk_data_science.training.tasks.polling import FAILURE

ROLLBACK_VARIABLE = "rollback"
# Step Functions takes at most 32,768 characters as the cause of a failed execution.
_LONGEST_CAUSE = 30_000
_LONGEST_MAIL = 4_000

_EXECUTION = "$states.context.Execution.Id"
_CONSOLE = (
    f"'https://' & $split({_EXECUTION}, ':')[3] & '.console.'"
    f" & ($split({_EXECUTION}, ':')[1] = 'aws-cn' ? 'amazonaws.cn' : 'aws.amazon.com')"
    f" & '/states/home?region=' & $split({_EXECUTION}, ':')[3] & '#/v2/executions/details/' & {_EXECUTION}"
)
# Lambda and SageMaker wrap what a person wants to read in JSON, which is cut off where it is very long.
# JSONata cannot ask whether a text is JSON: what only looks like it fails the evaluation, and is told as is.
_EXPLANATION = (
    "($cause := $failure.cause;"
    " $whole := $substring($cause, 0, 1) = '{' and $substring($cause, -1) = '}';"
    " $details := $whole ? $parse($cause) : {};"
    " $exists($details.errorMessage) ? $details.errorMessage"
    " : $exists($details.FailureReason) ? $details.FailureReason : $cause)"
)


class FailurePath(Construct):
    """States that record a failure in the work zone, send one message, and fail with the original error.

    Every task's Catch leads here, with the variable ``failure``. Neither a record that cannot be written nor
    a message that cannot be sent hides the failure itself. The pipeline's alarm on failed runs does not rely
    on this path.
    """

    def __init__(self, scope: Construct, id: str, *, work: IZone, prefix: str, alerts: AlertTopic) -> None:
        super().__init__(scope, id)
        self._prefix = prefix
        self.records_arn = work.bucket.arn_for_objects(f"{prefix}*")
        failed = sfn.Fail.jsonata(
            self,
            "Failed",
            error="{% $failure.error %}",
            cause=f"{{% $substring($failure.cause, 0, {_LONGEST_CAUSE}) %}}",
        )
        notify = self._notify(
            "NotifyFailure",
            alerts,
            subject="{% $replace($substring('Pipeline failed: ' & $failure.error & ' in ' & $failure.state, "
            "0, 99), /[^ -~]/, '?') %}",
            cause=_EXPLANATION,
        )
        plainly = self._notify(
            "NotifyFailure: as it is", alerts, subject="Pipeline failed", cause="$failure.cause"
        )
        # Evaluated before anything is sent: there are never two messages.
        notify.add_catch(plainly, errors=["States.QueryEvaluationError"], outputs={})
        for message in (notify, plainly):
            message.next(failed)
            message.add_catch(failed, errors=["States.ALL"], outputs={})
        self.entry: sfn.State = self._record(work)
        self.entry.next(notify)
        self.entry.add_catch(
            notify,
            errors=["States.ALL"],
            assign={"record": "{% 'not written: ' & $states.errorOutput.Error %}"},
            outputs={},
        )

    def _record(self, work: IZone) -> Task:
        key = f"{{% '{self._prefix}' & $run & '.json' %}}"
        return Task(
            self,
            "RecordFailure",
            comment="What failed, where, on which data; one object for each failed run",
            integration="aws-sdk:s3:putObject",
            arguments={
                "Bucket": work.bucket.bucket_name,
                "Key": key,
                "ContentType": "application/json",
                "Body": {
                    "run": "{% $run %}",
                    "state": "{% $failure.state %}",
                    "error": "{% $failure.error %}",
                    "cause": "{% $failure.cause %}",
                    "data": "{% $data %}",
                    "rollback": f"{{% ${ROLLBACK_VARIABLE} %}}",
                    "execution": f"{{% {_EXECUTION} %}}",
                    "console": f"{{% {_CONSOLE} %}}",
                    "started": "{% $states.context.Execution.StartTime %}",
                },
            },
            timeout=Duration.minutes(1),
            statements=self._may_write(work),
            # The same object under the same key: writing it again changes nothing.
            retry=[
                retry(["S3.SdkClientException"], attempts=4, interval=Duration.seconds(2)),
                # Being throttled and being refused have this one name. The message waits for the record.
                retry(["S3.S3Exception"], attempts=1, interval=Duration.seconds(2)),
            ],
            assign={"record": f"{{% 's3://{work.bucket.bucket_name}/{self._prefix}' & $run & '.json' %}}"},
        )

    def _may_write(self, work: IZone) -> list[iam.PolicyStatement]:
        """One object for each run: less than the zone's own grant, which lets a writer delete as well."""
        statements = [iam.PolicyStatement(actions=["s3:PutObject"], resources=[self.records_arn])]
        if work.key is not None:
            statements.append(
                iam.PolicyStatement(actions=["kms:GenerateDataKey"], resources=[work.key.key_arn])
            )
        return statements

    def _notify(self, id: str, alerts: AlertTopic, *, subject: str, cause: str) -> Task:
        lines = (
            "'Error: ' & $failure.error",
            f"'Cause: ' & $substring({cause}, 0, {_LONGEST_MAIL})",
            "'State: ' & $failure.state",
            "'Run: ' & $run",
            f"'Rollback: ' & $string(${ROLLBACK_VARIABLE})",
            "'Record: ' & $record",
            f"'Console: ' & {_CONSOLE}",
        )
        return message_task(self, id, alerts=alerts, subject=subject, lines=lines)


__all__ = ["FAILURE", "ROLLBACK_VARIABLE", "FailurePath"]
