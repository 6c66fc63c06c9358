"""A crawler that finds tables in a zone of the lake."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aws_cdk import Names, Stack
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from cdk_data_science._encryption import operations_key
from cdk_data_science._validation import Problems
from cdk_data_science.data_lake._crawler_checks import (
    ON_CHANGE,
    ON_DELETE,
    RECRAWL,
    OnChange,
    OnDelete,
    Recrawl,
    check_place,
    check_policies,
)
from cdk_data_science.data_lake._crawler_events import CrawlerEvents
from cdk_data_science.data_lake._crawler_role import crawler_role
from cdk_data_science.data_lake._scheduled_call import call_by_schedule, check_schedule
from cdk_data_science.data_lake.data_lake import DataLakeBase
from cdk_data_science.data_lake.zone import Zone
from cdk_data_science.data_lake.zone_base import ZoneBase


@dataclass(frozen=True, kw_only=True, slots=True)
class CrawlerOutput:
    """How a crawler makes tables of what it finds."""

    merge_new_columns: bool = True
    """Add columns to a table that is there, and take none away. Default: yes."""

    inherit_partitions: bool = True
    """Give partitions the columns of their table, so that they do not drift apart. Default: yes."""

    combine_schemas: bool = False
    """Make one table of folders whose schemas fit together. Default: one for each folder."""

    table_level: int | None = None
    """Depth of the folders that are tables, counted from the bucket, which is 1. Default: Glue decides."""

    def json(self) -> str:
        """Glue's configuration."""
        output: dict[str, Any] = {}
        if self.inherit_partitions:
            output["Partitions"] = {"AddOrUpdateBehavior": "InheritFromTable"}
        if self.merge_new_columns:
            output["Tables"] = {"AddOrUpdateBehavior": "MergeNewColumns"}
        grouping: dict[str, Any] = {}
        if self.combine_schemas:
            grouping["TableGroupingPolicy"] = "CombineCompatibleSchemas"
        if self.table_level is not None:
            grouping["TableLevelConfiguration"] = self.table_level
        found = {"CrawlerOutput": output, "Grouping": grouping}
        return json.dumps({"Version": 1.0, **{name: value for name, value in found.items() if value}})


class LakeCrawler(Construct):
    """A Glue crawler over folders of a zone, which writes tables to the zone's database.

    Its role reads these folders and this database's definitions, changes them, writes its log, and nothing
    else. The log is encrypted. Where Lake Formation governs the zone, the role may create tables at its
    location. The schedule is a resource of its own (EventBridge Scheduler), so that it can be changed and
    taken away again.

    **Costs at rest**: 1 USD a month for the key of the log, if none is given. A crawl costs 0.44 USD for each
    hour of a processing unit, 10 minutes at least.

    ```python
    from cdk_data_science.data_lake import DataLake, LakeCrawler

    lake = DataLake(self, "Lake")
    LakeCrawler(
        self,
        "Partner",
        lake=lake,
        zone="raw",
        prefixes=["partner/"],
        table_prefix="partner_",
        schedule="cron(15 4 * * ? *)",
    )
    ```

    Args:
        lake: The lake.
        zone: A zone of that lake, or its name.
        prefixes: Folders, each ending in ``/``, where no table of the zone is defined otherwise.
        table_prefix: Beginning of the names of tables, at most 128 lower-case letters, digits and
            underscores. Default: none.
        schedule: ``cron(Minutes Hours Day-of-month Month Day-of-week Year)``, at least 5 minutes apart.
            Default: none, started by hand.
        timezone: Of the schedule, such as ``Europe/Berlin``. Default: UTC.
        recrawl: ``everything``; ``new_folders`` alone, which cannot change tables; or ``events``, what S3
            told by a queue, for one folder of a zone that was made in this stack. Default: ``everything``.
        on_change: ``update`` tables, or ``log`` that they differ. Default: ``update``, and ``log`` for new
            folders.
        on_delete: ``deprecate`` tables without objects, ``delete`` them, or ``log``. Default: ``deprecate``,
            and ``log`` for new folders.
        output: How tables are made.
        exclusions: Glob patterns of keys that are left out. Default: none.
        sample_size: Files of each folder that are read, 1 to 249. Default: all.
        log_key: Encrypts the log; it has to admit CloudWatch Logs. Default: a new one.

    Raises:
        ConfigurationError: For a zone outside the lake, and for policies that Glue would refuse together.

    Follows https://docs.aws.amazon.com/glue/latest/dg/add-crawler.html and
    https://docs.aws.amazon.com/glue/latest/dg/incremental-crawls.html.
    """

    crawler: glue.CfnCrawler
    """The resource."""

    role: iam.Role
    """What it works as."""

    events: CrawlerEvents | None
    """Its queue, if it crawls by events."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        lake: DataLakeBase[Any],
        zone: ZoneBase | str,
        prefixes: Sequence[str],
        table_prefix: str = "",
        schedule: str | None = None,
        timezone: str = "UTC",
        recrawl: Recrawl = "everything",
        on_change: OnChange | None = None,
        on_delete: OnDelete | None = None,
        output: CrawlerOutput = CrawlerOutput(),
        exclusions: Sequence[str] = (),
        sample_size: int | None = None,
        log_key: kms.IKey | None = None,
    ) -> None:
        super().__init__(scope, id)
        home = lake.zone(zone) if isinstance(zone, str) else zone
        logs_alone = recrawl == "new_folders"
        on_change = on_change or ("log" if logs_alone else "update")
        on_delete = on_delete or ("log" if logs_alone else "deprecate")
        problems = Problems("LakeCrawler", self)
        check_place(problems, lake, home, prefixes, table_prefix)
        check_policies(problems, self, home, recrawl, on_change, on_delete, prefixes, sample_size)
        check_schedule(problems, schedule, timezone)
        problems.raise_if_any()

        self.events = None
        if recrawl == "events" and isinstance(home, Zone):
            self.events = CrawlerEvents(self, "Events", zone=home, prefix=prefixes[0])
        if log_key is None:
            log_key = operations_key(self, "Key", description=f"Log of {self.node.path}")
        security = glue.CfnSecurityConfiguration(
            self,
            "Security",
            # CloudFormation gives no name to it.
            name=Names.unique_resource_name(self, max_length=200, separator="-"),
            encryption_configuration=glue.CfnSecurityConfiguration.EncryptionConfigurationProperty(
                cloud_watch_encryption=glue.CfnSecurityConfiguration.CloudWatchEncryptionProperty(
                    cloud_watch_encryption_mode="SSE-KMS", kms_key_arn=log_key.key_arn
                )
            ),
        )
        self.role = crawler_role(self, home, prefixes, delete=on_delete == "delete", events=self.events)
        self.crawler = glue.CfnCrawler(
            self,
            "Resource",
            role=self.role.role_arn,
            database_name=home.database_name,
            table_prefix=table_prefix or None,
            crawler_security_configuration=security.ref,
            configuration=output.json(),
            recrawl_policy=glue.CfnCrawler.RecrawlPolicyProperty(recrawl_behavior=RECRAWL[recrawl]),
            schema_change_policy=glue.CfnCrawler.SchemaChangePolicyProperty(
                update_behavior=ON_CHANGE[on_change], delete_behavior=ON_DELETE[on_delete]
            ),
            targets=glue.CfnCrawler.TargetsProperty(
                s3_targets=[
                    glue.CfnCrawler.S3TargetProperty(
                        path=home.uri(prefix),
                        exclusions=list(exclusions) or None,
                        sample_size=sample_size,
                        event_queue_arn=None if self.events is None else self.events.queue.queue_arn,
                        dlq_event_queue_arn=None
                        if self.events is None
                        else self.events.dead_letters.queue_arn,
                    )
                    for prefix in prefixes
                ]
            ),
        )
        self.crawler.node.add_dependency(self.role)
        self.node.default_child = self.crawler
        if schedule is not None:
            call_by_schedule(
                self,
                schedule=schedule,
                timezone=timezone,
                service="glue",
                call="startCrawler",
                input={"Name": self.crawler.ref},
                resource=Stack.of(self).format_arn(
                    service="glue", resource="crawler", resource_name=self.crawler.ref
                ),
                starts="crawler",
            )
