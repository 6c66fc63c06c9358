"""The one place where every failure of a pipeline ends: recorded, notified, and failed by its own name."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_data_science._tasks import Task, retry
from cdk_data_science.data_lake import IZone
from cdk_data_science.monitoring import AlertTopic
from cdk_data_science.training.step import FAILURE

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
_EXPLANATION = (
    "($cause := $failure.cause;"
    " $whole := $substring($cause, 0, 1) = '{' and $substring($cause, -1) = '}';"
    " $details := $whole ? $parse($cause) : {};"
    " $exists($details.errorMessage) ? $details.errorMessage"
    " : $exists($details.FailureReason) ? $details.FailureReason : $cause)"
)


class FailurePath(Construct):
    """States that record a failure in the work zone, notify once, and fail with the original error.

    Every task's Catch leads here, with the variable ``failure``. Neither a record that cannot be written nor
    a message that cannot be sent hides the failure itself.
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
        notify = self._notify(alerts)
        notify.next(failed)
        notify.add_catch(failed, errors=["States.ALL"], outputs={})
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
                retry(
                    [
                        "S3.SdkClientException",
                        "S3.S3Exception",
                        "S3.SlowDownException",
                        "S3.InternalErrorException",
                    ],
                    attempts=4,
                    interval=Duration.seconds(2),
                )
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

    def _notify(self, alerts: AlertTopic) -> Task:
        lines = (
            "'Error: ' & $failure.error",
            f"'Cause: ' & $substring({_EXPLANATION}, 0, {_LONGEST_MAIL})",
            "'State: ' & $failure.state",
            "'Run: ' & $run",
            f"'Rollback: ' & $string(${ROLLBACK_VARIABLE})",
            "'Record: ' & $record",
            f"'Console: ' & {_CONSOLE}",
        )
        return Task(
            self,
            "NotifyFailure",
            integration="sns:publish",
            arguments={
                "TopicArn": alerts.topic.topic_arn,
                "Subject": "{% $substring('Pipeline failed: ' & $failure.error & ' in ' & $failure.state, "
                "0, 99) %}",
                "Message": f"{{% $join([{', '.join(lines)}], '\\n') %}}",
            },
            timeout=Duration.minutes(1),
            statements=[
                iam.PolicyStatement(actions=["sns:Publish"], resources=[alerts.topic.topic_arn]),
                iam.PolicyStatement(
                    actions=["kms:Decrypt", "kms:GenerateDataKey"], resources=[alerts.key.key_arn]
                ),
            ],
            # Only what SNS refused is sent again: a message that may have gone out is not, lest it come
            # twice.
            retry=[
                retry(
                    ["SNS.ThrottledException", "SNS.KmsThrottlingException", "SNS.KMSThrottlingException"],
                    attempts=4,
                    interval=Duration.seconds(2),
                )
            ],
        )


__all__ = ["FAILURE", "ROLLBACK_VARIABLE", "FailurePath"]
