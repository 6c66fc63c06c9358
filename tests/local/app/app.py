"""A plain CDK app, of nobody's library: a lake and, in another stack, what works on it."""

from __future__ import annotations

import os

import aws_cdk as cdk
from aws_cdk import aws_cloudtrail as cloudtrail
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn

COUNTS = """
import os, boto3
def handler(event, context):
    listed = boto3.client("s3").list_objects_v2(Bucket=os.environ["BUCKET"], Prefix="in/")
    return {"objects": listed["KeyCount"], "version": context.function_version}
"""


class Lake(cdk.Stack):
    def __init__(self, scope: cdk.App, id: str, *, env: cdk.Environment) -> None:
        super().__init__(scope, id, env=env)
        key = kms.Key(self, "Key", enable_key_rotation=True, removal_policy=cdk.RemovalPolicy.DESTROY)
        self.bucket = s3.Bucket(
            self,
            "Raw",
            encryption=s3.BucketEncryption.KMS,
            encryption_key=key,
            versioned=True,
            enforce_ssl=True,
            event_bridge_enabled=True,
            auto_delete_objects=True,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        cloudtrail.CfnTrail(self, "Trail", is_logging=True, s3_bucket_name=self.bucket.bucket_name)
        cdk.CfnOutput(self, "Bucket", value=self.bucket.bucket_name)


class Work(cdk.Stack):
    def __init__(self, scope: cdk.App, id: str, lake: Lake, *, env: cdk.Environment) -> None:
        super().__init__(scope, id, env=env)
        function = lambda_.Function(
            self,
            "Count",
            runtime=lambda_.Runtime.PYTHON_3_11,
            handler="index.handler",
            code=lambda_.Code.from_inline(COUNTS),
            environment={"BUCKET": lake.bucket.bucket_name, "REVISION": os.environ.get("REVISION", "1")},
            timeout=cdk.Duration.seconds(20),
            on_failure=destinations.SqsDestination(sqs.Queue(self, "Failed", enforce_ssl=True)),
        )
        lake.bucket.grant_read(function)
        version = function.current_version
        # Kept when the next one is made, gone with the function.
        version.apply_removal_policy(cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE)
        alias = lambda_.Alias(self, "Live", alias_name="live", version=version)
        url = alias.add_function_url(auth_type=lambda_.FunctionUrlAuthType.AWS_IAM)
        failures = sns.Topic(self, "Failures", enforce_ssl=True)
        alarm = function.metric_errors().create_alarm(self, "Errors", threshold=1, evaluation_periods=1)
        cloudwatch.CompositeAlarm(
            self,
            "Unhealthy",
            alarm_rule=cloudwatch.AlarmRule.from_alarm(alarm, cloudwatch.AlarmState.ALARM),
        )
        invoke = sfn.CustomState(
            self,
            "Invoke",
            state_json={
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke",
                "Arguments": {"FunctionName": alias.function_arn, "Payload": "{% $states.input %}"},
                "Output": "{% $states.result.Payload %}",
            },
        )
        machine = sfn.StateMachine(
            self,
            "Machine",
            definition_body=sfn.DefinitionBody.from_chainable(invoke),
            query_language=sfn.QueryLanguage.JSONATA,
            timeout=cdk.Duration.minutes(5),
        )
        alias.grant_invoke(machine)
        rule = events.Rule(
            self,
            "Uploaded",
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={
                    "bucket": {"name": [lake.bucket.bucket_name]},
                    "object": {"key": [{"prefix": "in/"}]},
                },
            ),
        )
        rule.add_target(targets.SfnStateMachine(machine))
        cdk.CfnOutput(self, "Function", value=function.function_name)
        cdk.CfnOutput(self, "MachineArn", value=machine.state_machine_arn)
        cdk.CfnOutput(self, "Url", value=url.url)
        cdk.CfnOutput(self, "Topic", value=failures.topic_arn)
        if os.environ.get("BROKEN"):
            broken = lambda_.Function(
                self,
                "BrokenHandler",
                runtime=lambda_.Runtime.PYTHON_3_11,
                handler="index.handler",
                code=lambda_.Code.from_inline("def handler(event, context):\n    return undefined_name\n"),
            )
            cdk.CustomResource(self, "Broken", service_token=broken.function_arn)


app = cdk.App(
    outdir=os.environ.get("CDK_OUTDIR"), context={"@aws-cdk/core:defaultCrossStackReferences": "weak"}
)
env = cdk.Environment(account="000000000000", region="us-east-1")
Work(app, "Work", Lake(app, "Lake", env=env), env=env)
app.synth()
