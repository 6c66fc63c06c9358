"""Copies of another bucket's objects into a folder of the lake."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_datasync as datasync
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge_wildcards
from cdk_data_science._validation import FOLDER, Problems, is_token
from cdk_data_science.data_lake._failure_rule import tell_of_failures
from cdk_data_science.data_lake._scheduled_call import call_by_schedule, check_schedule
from cdk_data_science.data_lake._service_role import service_role
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
_ACCOUNT = re.compile(r"[0-9]{12}")
_ROLE_NAME = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)


class BucketCopy(Construct):
    """Copies what is new or changed in another bucket into a folder of a zone, by DataSync, and checks each
    copy against its original.

    The reading role may read the folder of the source, the writing one may write the folder of the zone, and
    neither may delete: what goes in the source stays in the lake. A copy that fails is told of.

    A source of another account has to admit the reading role in the policies of its bucket and its key, and
    before the copy is deployed, since DataSync tries the role when it is told of the bucket. So the role has
    a name then, and :meth:`bucket_admission` and :meth:`key_admission` are the statements to add there: they
    name this account, and in a condition the role, which a policy that names it as its principal could not
    do before the role is there. The source is read only while that account owns it: somebody else who takes
    the name of a bucket that was deleted cannot bring objects in.

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
    partner = BucketCopy(
        self,
        "Partner",
        source=s3.Bucket.from_bucket_name(self, "PartnerExports", "partner-exports"),
        source_account="444455556666",
        reader_name="lake-copies-partner-exports",
        to=ZoneFolder(zone=lake.raw, prefix="partner/"),
    )
    partner.bucket_admission()  # for the owner of the bucket
    ```

    Args:
        source: The other bucket, of this account or another one, in this region. If its key is known, the
            reading role may decrypt with it.
        source_account: The account that owns the source, if it is another one. Needs ``reader_name``.
        reader_name: Name of the reading role, by which the other account's policies know it before it is
            there; at most 64 characters. Default: CloudFormation names it.
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
        source_account: str | None = None,
        reader_name: str | None = None,
        source_prefix: str | None = None,
        schedule: str | None = None,
        timezone: str = "UTC",
        overwrite: bool = True,
        exclude: Sequence[str] = (),
        alerts: AlertTopic | None = None,
    ) -> None:
        super().__init__(scope, id)
        problems = Problems("BucketCopy", self)
        problems.check_list("exclude", exclude)
        problems.check_kind("to", to, ZoneFolder, write='ZoneFolder(zone=lake.raw, prefix="shop/")')
        problems.check(
            not isinstance(source, str),
            given=f"source={source!r}",
            allowed="a bucket",
            write=f's3.Bucket.from_bucket_name(self, "Source", "{source}")',
        )
        problems.raise_if_any()
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
        _check_owner(problems, source_account, reader_name)
        for pattern in exclude:
            problems.check(
                bool(pattern) and "|" not in pattern,
                given=f"exclude with {pattern!r}",
                allowed="one pattern each, without |, which joins them",
            )
        check_schedule(problems, schedule, timezone)
        problems.raise_if_any()

        self._source, self._prefix, self._reader_name = source, source_prefix, reader_name
        self.reader = self._role(
            "Reader",
            source,
            source_prefix,
            _READ,
            "Reads one folder of a source",
            name=reader_name,
            owner=source_account,
        )
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

    def bucket_admission(self) -> list[iam.PolicyStatement]:
        """What the policy of a source in another account has to have: statements that admit the reading role
        and nobody else."""
        objects = self._source.arn_for_objects(f"{self._prefix or ''}*")
        return [
            self._admission("List", _BUCKET, self._source.bucket_arn),
            self._admission("Read", _READ, objects),
        ]

    def key_admission(self) -> iam.PolicyStatement:
        """What the policy of that source's key has to have, if it has one that AWS does not manage."""
        return self._admission("Decrypt", ("kms:Decrypt", "kms:DescribeKey"), "*")

    def _admission(self, sid: str, actions: Sequence[str], resource: str) -> iam.PolicyStatement:
        return iam.PolicyStatement(
            sid=f"Lake{sid}",
            principals=[iam.AccountPrincipal(Stack.of(self).account)],
            actions=list(actions),
            resources=[resource],
            conditions={"ArnEquals": {"aws:PrincipalArn": self._reader_arn()}},
        )

    def _reader_arn(self) -> str:
        if self._reader_name is None:
            return self.reader.role_arn
        return Stack.of(self).format_arn(
            service="iam", region="", resource="role", resource_name=self._reader_name
        )

    def _role(
        self,
        id: str,
        bucket: s3.IBucket,
        prefix: str | None,
        objects: Sequence[str],
        description: str,
        *,
        name: str | None = None,
        owner: str | None = None,
    ) -> iam.Role:
        role = service_role(
            self,
            "datasync",
            description,
            id=id,
            name=name,
            source=Stack.of(self).format_arn(
                service="datasync", resource="*", arn_format=ArnFormat.NO_RESOURCE_NAME
            ),
        )
        pattern = bucket.arn_for_objects(f"{prefix or ''}*")
        owned = None if owner is None else {"StringEquals": {"aws:ResourceAccount": owner}}
        for actions, resource in ((_BUCKET, bucket.bucket_arn), (objects, pattern)):
            role.add_to_policy(
                iam.PolicyStatement(actions=list(actions), resources=[resource], conditions=owned)
            )
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


def _check_owner(problems: Problems, account: str | None, name: str | None) -> None:
    problems.check(
        account is None or is_token(account) or bool(_ACCOUNT.fullmatch(account)),
        given=f"source_account={account!r}",
        allowed="12 digits",
        write='source_account="444455556666"',
    )
    problems.check(
        account is None or name is not None,
        given="source_account without reader_name",
        allowed="both: the other account has to admit the role before it is there, so it needs a name",
        write='reader_name="lake-copies-shop"',
    )
    problems.check(
        name is None or is_token(name) or bool(_ROLE_NAME.fullmatch(name)),
        given=f"reader_name={name!r}",
        allowed="1 to 64 letters, digits and _ + = , . @ -",
    )
