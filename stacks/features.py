"""Groups of features over the lake's features zone, and functions that write rows into them."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

from cdk_data_science import AlertTopic, DataLake
from cdk_data_science.feature_store import FeatureGroup, FeatureIngestion, OfflineStore, OnlineStore
from settings.features import FeatureGroup as Group
from settings.features import Features
from settings.model import Settings
from stacks.serving import architecture, python_runtime


class FeaturesStack(cdk.Stack):
    """Feature groups and their ingestion, as far as the settings name them."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        features: Features,
        lake: DataLake,
        alerts: AlertTopic,
        env: cdk.Environment,
    ) -> None:
        super().__init__(scope, id, env=env, description="Feature Store: groups, and what fills them")
        self._settings, self._lake, self._alerts = settings, lake, alerts
        self.ingestions: list[FeatureIngestion] = []
        self.groups = {name: self._group(name, group) for name, group in features.groups.items()}

    def _group(self, name: str, group: Group) -> FeatureGroup:
        made = FeatureGroup(
            self,
            "".join(part.capitalize() for part in name.split("-")),
            name=f"{self._settings.platform.name}-{name}",
            schema=group.columns,
            record_id=group.record_id,
            event_time=group.event_time,
            online=None
            if not group.online
            else OnlineStore(ttl=None if group.ttl_days is None else cdk.Duration.days(group.ttl_days)),
            offline=OfflineStore(zone=self._lake.features),
            destroy=self._settings.platform.destroy_data,
        )
        cdk.CfnOutput(
            self,
            f"{made.node.id}Name",
            value=made.feature_group_name,
            description=f"Name of the feature group {name!r}, for PutRecord and GetRecord",
        )
        if group.ingest is not None:
            zone, _, folder = group.ingest.partition("/")
            ingestion = FeatureIngestion(
                self,
                f"{made.node.id}Ingestion",
                group=made,
                alerts=self._alerts,
                runtime=python_runtime(self._settings),
                architecture=architecture(self._settings),
            )
            ingestion.add_objects(self._lake.zone(zone), folder)
            self.ingestions.append(ingestion)
        return made
