"""Copies of another bucket's objects into a folder of the lake."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_datasync as datasync
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge_inline_policy, acknowledge_wildcards
from cdk_data_science._validation import FOLDER, Problems, is_token
from cdk_data_science.data_lake._failure_rule import tell_of_failures
from cdk_data_science.data_lake._scheduled_call import call_by_schedule, check_schedule
from cdk_data_science.data_lake.zone_folder import ZoneFolder
from cdk_data_science.monitoring.alerts import AlertTopic

# https://docs.aws.amazon.com/datasync/latest/userguide/create-s3-location.html
_BUCKET = ("s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads")
_READ = (
    "s3:GetObject",
    "s3:GetObjectTagging",
    "s3:GetObjectVersion",
    "s3:GetObjectVersionTagging",
    "s3:ListMultipartUploadParts",
)
_WRITE = (
    "s3:AbortMultipartUpload",
    "s3:GetObject",
    "s3:GetObjectTagging",
    "s3:ListMultipartUploadParts",
    "s3:PutObject",
    "s3:PutObjectTagging",
)


class BucketCopy(Construct):
    """Copies what is new or changed in another bucket into a folder of a zone, by DataSync, and checks each
    copy against its original.

    The reading role may read the folder of the source, the writing one may write the folder of the zone, and
    neither may delete: what goes in the source stays in the lake. A copy that fails is told of. A source of
    another account has to admit ``copy.reader`` in its bucket policy and in its key's policy.

    **Costs at rest**: nothing, or 1 USD a month for the key of a topic that is not given. A copy costs 0.55
    USD and 0.015 USD for each GB (us-east-1, November 2026).

    ```python
    from aws_cdk import aws_s3 as s3
    from cdk_data_science import AlertTopic, BucketCopy, DataLake, ZoneFolder

    lake = DataLake(self, "Lake")
    BucketCopy(
        self,
        "Shop",
        source=s3.Bucket.from_bucket_name(self, "Exports", "shop-exports"),
        source_prefix="orders/",
        to=ZoneFolder(zone=lake.raw, prefix="shop/orders/"),
        schedule="cron(0 3 * * ? *)",
        alerts=AlertTopic(self, "Alerts"),
    )
    ```

    Args:
        source: The other bucket, of this account or another one. If its key is known, the reading role may
            decrypt with it.
        source_prefix: Folder of it, ending in ``/``. Default: the whole bucket.
        to: Where in the lake.
        schedule: ``cron(Minutes Hours Day-of-month Month Day-of-week Year)``, 5 minutes apart or more.
            Default: none; ``aws datasync start-task-execution`` starts it.
        timezone: Of the schedule. Default: UTC.
        overwrite: Replace copies whose originals changed; the zone's versions keep the older ones. Default:
            yes.
        exclude: Patterns of keys that are left out, such as ``*/_temporary/*``. Default: none.
        alerts: Who is told of copies that failed. Default: a new topic.

    Raises:
        ConfigurationError: For folders and schedules that cannot work, and a copy of a zone into itself.

    Follows https://docs.aws.amazon.com/datasync/latest/userguide/tutorial_s3-s3-cross-account-transfer.html.
    """

    reader: iam.Role
    """What reads the source."""

    writer: iam.Role
    """What writes the folder of the zone."""

    task: datasync.CfnTask
    """The resource."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        source: s3.IBucket,
        to: ZoneFolder,
        source_prefix: str | None = None,
        schedule: str | None = None,
        timezone: str = "UTC",
        overwrite: bool = True,
        exclude: Sequence[str] = (),
        alerts: AlertTopic | None = None,
    ) -> None:
        super().__init__(scope, id)
        problems = Problems("BucketCopy", self)
        problems.check(
            source_prefix is None or is_token(source_prefix) or bool(FOLDER.fullmatch(source_prefix)),
            given=f"source_prefix={source_prefix!r}",
            allowed="a folder relative to the bucket, of the characters that S3 recommends, ending in /",
            write='source_prefix="orders/"',
        )
        problems.check(
            source is not to.zone.bucket,
            given=f"zone {to.zone.name!r} as source and as target",
            allowed="another bucket: each copy would find the copies before it",
        )
        for pattern in exclude:
            problems.check(
                bool(pattern) and "|" not in pattern,
                given=f"exclude with {pattern!r}",
                allowed="one pattern each, without |, which joins them",
            )
        check_schedule(problems, schedule)
        problems.raise_if_any()

        self.reader = self._role("Reader", source, source_prefix, _READ, "Reads one folder of a source")
        if source.encryption_key is not None:
            source.encryption_key.grant(self.reader, "kms:Decrypt", "kms:DescribeKey")
        self.writer = self._role("Writer", to.zone.bucket, to.prefix, _WRITE, "Writes one folder of a zone")
        if to.zone.key is not None:
            to.zone.key.grant(self.writer, "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey")
        self.task = datasync.CfnTask(
            self,
            "Resource",
            source_location_arn=self._location("Source", source, source_prefix, self.reader),
            destination_location_arn=self._location("Target", to.zone.bucket, to.prefix, self.writer),
            task_mode="ENHANCED",
            excludes=[
                datasync.CfnTask.FilterRuleProperty(filter_type="SIMPLE_PATTERN", value="|".join(exclude))
            ]
            if exclude
            else None,
            options=datasync.CfnTask.OptionsProperty(
                verify_mode="ONLY_FILES_TRANSFERRED",
                transfer_mode="CHANGED",
                overwrite_mode="ALWAYS" if overwrite else "NEVER",
                preserve_deleted_files="PRESERVE",
                object_tags="PRESERVE",
                log_level="BASIC",
                # Objects have neither owners nor permissions of a file system.
                uid="NONE",
                gid="NONE",
                posix_permissions="NONE",
            ),
        )
        tell_of_failures(
            self,
            AlertTopic(self, "Alerts") if alerts is None else alerts,
            description=f"Failed copies of {self.node.path}",
            source="aws.datasync",
            detail_type="DataSync Task Execution State Change",
            detail={"State": ["ERROR"]},
            resources=events.Match.prefix(f"{self.task.attr_task_arn}/"),
            message=f"A copy of {self.node.path} failed. Its log is in the group /aws/datasync.",
        )
        if schedule is not None:
            call_by_schedule(
                self,
                schedule=schedule,
                timezone=timezone,
                service="datasync",
                call="startTaskExecution",
                input={"TaskArn": self.task.attr_task_arn},
                resource=self.task.attr_task_arn,
                starts="copy",
            )
        self.node.default_child = self.task

    def _role(
        self, id: str, bucket: s3.IBucket, prefix: str | None, objects: Sequence[str], description: str
    ) -> iam.Role:
        stack = Stack.of(self)
        role = iam.Role(
            self,
            id,
            description=description,
            assumed_by=iam.ServicePrincipal(
                "datasync.amazonaws.com",
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnLike": {
                        "aws:SourceArn": stack.format_arn(
                            service="datasync", resource="*", arn_format=ArnFormat.NO_RESOURCE_NAME
                        )
                    },
                },
            ),
        )
        acknowledge_inline_policy(role)
        pattern = bucket.arn_for_objects(f"{prefix or ''}*")
        role.add_to_policy(iam.PolicyStatement(actions=list(_BUCKET), resources=[bucket.bucket_arn]))
        role.add_to_policy(iam.PolicyStatement(actions=list(objects), resources=[pattern]))
        acknowledge_wildcards(
            role,
            bucket,
            [pattern],
            "Object keys are not known before. The wildcard stands for the objects of one folder, for named "
            "actions without wildcards, none of which deletes.",
        )
        return role

    def _location(self, id: str, bucket: s3.IBucket, prefix: str | None, role: iam.Role) -> str:
        location = datasync.CfnLocationS3(
            self,
            id,
            s3_bucket_arn=bucket.bucket_arn,
            subdirectory=f"/{prefix or ''}",
            s3_config=datasync.CfnLocationS3.S3ConfigProperty(bucket_access_role_arn=role.role_arn),
        )
        # DataSync tries the role when the location is made.
        location.node.add_dependency(role)
        return location.attr_location_arn
