"""The data lake: zones, their key, their logs and their governance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Generic, TypeVar

from aws_cdk import aws_kms as kms
from aws_cdk import aws_lakeformation as lakeformation
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk_data_science._retention import removal_policy
from cdk_data_science._validation import ConfigurationError, Problems
from cdk_data_science.data_lake import _bucket
from cdk_data_science.data_lake.lake_formation import LakeFormation, append_administrators
from cdk_data_science.data_lake.zone import Zone
from cdk_data_science.data_lake.zone_base import ZoneBase
from cdk_data_science.data_lake.zone_definition import DEFAULT_ZONES, ZoneAttributes, ZoneDefinition

_ZoneT = TypeVar("_ZoneT", bound=ZoneBase)

# Children of the lake that are not zones: a zone of such a name would collide with them.
_KEY, _ACCESS_LOGS, _ADMINISTRATORS = "Key", "AccessLogs", "Administrators"


class DataLakeBase(Construct, Generic[_ZoneT]):
    """How zones are found, in a lake that was built here and in an imported one."""

    zones: Mapping[str, _ZoneT]
    """All zones by name, in the order in which they were given."""

    def zone(self, name: str) -> _ZoneT:
        """The zone of that name.

        Raises:
            ConfigurationError: If the lake has no such zone; the message lists those that it has.
        """
        if name not in self.zones:
            known = ", ".join(repr(zone) for zone in self.zones)
            raise ConfigurationError(
                f"{self.node.path}: given zone {name!r}; allowed: {known}; write: "
                f"DataLake(…, zones=[…, {name!r}]) to add it"
            )
        return self.zones[name]

    @property
    def raw(self) -> _ZoneT:
        """What arrives, as it arrived."""
        return self.zone("raw")

    @property
    def curated(self) -> _ZoneT:
        """Cleaned and typed tables."""
        return self.zone("curated")

    @property
    def features(self) -> _ZoneT:
        """What models are trained on."""
        return self.zone("features")

    @property
    def models(self) -> _ZoneT:
        """Trained models, their checkpoints and reports."""
        return self.zone("models")


class DataLake(DataLakeBase[Zone]):
    """A governed data lake on S3: zones, one key, access logs, a Glue database a zone, Lake Formation.

    Each zone is a private bucket: encrypted with the lake's key (uploads with another one are refused), TLS
    1.2 or newer only, versioned, logged, cheap at rest by Intelligent-Tiering, with events on EventBridge.
    Its database and its location are registered with Lake Formation, and one call,
    ``lake.curated.grant_read(role)``, gives S3, KMS, Glue and Lake Formation permissions together. Grants to
    consumers in other stacks are written in the consumer's stack and leave the lake's template as it is.

    **Costs at rest**: 1 USD a month for the key; an empty lake costs nothing else. A key that CloudFormation
    made is rotated every year; each of the first two rotations adds 1 USD a month.

    ```python
    from aws_cdk import aws_iam as iam
    from cdk_data_science.data_lake import DataLake

    lake = DataLake(self, "Lake")
    analyst = iam.Role(self, "Analyst", assumed_by=iam.AccountRootPrincipal())
    lake.curated.grant_read(analyst)
    lake.raw.grant_read(analyst, prefix="reviews/")
    ```

    Args:
        zones: Names, or definitions where the defaults do not fit. A name of the default zones has that
            zone's definition. Default: raw, curated, features, models.
        key: Encrypts all zones. Default: a new key with yearly rotation.
        access_logs: Receives the zones' access logs below ``s3/<zone>/``; it has to admit S3's log delivery.
            Default: a new bucket that keeps them for 365 days.
        lake_formation: How Lake Formation governs the zones. None leaves them to IAM alone. Default:
            registered in hybrid mode; the account's own Lake Formation settings are not touched.
        destroy: Delete buckets with their objects, databases and key with the stack. Works only together with
            the context key ``cdk-data-science:destroyData``. Default: False, everything is retained.

    Raises:
        ConfigurationError: For zones or options that cannot work, all mistakes at once.

    Follows
    https://docs.aws.amazon.com/prescriptive-guidance/latest/defining-bucket-names-data-lakes/welcome.html and
    https://docs.aws.amazon.com/lake-formation/latest/dg/what-is-lake-formation.html.
    """

    key: kms.IKey
    """What encrypts all zones."""

    access_logs: s3.IBucket
    """Where the zones' access logs go."""

    settings: lakeformation.CfnDataLakeSettings | None
    """The account's Lake Formation administrators, if this lake appends to them."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        zones: Sequence[str | ZoneDefinition] = DEFAULT_ZONES,
        key: kms.IKey | None = None,
        access_logs: s3.IBucket | None = None,
        lake_formation: LakeFormation | None = LakeFormation(),  # noqa: B008 -- immutable
        destroy: bool = False,
    ) -> None:
        super().__init__(scope, id)
        problems = Problems("DataLake", self)
        problems.check_list("zones", zones)
        for given in zones:
            problems.check_kind("a zone", given, (str, ZoneDefinition), write='ZoneDefinition(name="raw")')
        problems.raise_if_any()
        definitions = [_defined(zone) if isinstance(zone, str) else zone for zone in zones]
        _check_names(problems, [definition.name for definition in definitions])
        for definition in definitions:
            definition.check(problems, destroy=destroy)
        if lake_formation is not None:
            lake_formation.check(problems)
        problems.raise_if_any()

        policy = removal_policy(self, destroy=destroy)
        self.key = key if key is not None else self._make_key(destroy=destroy)
        if access_logs is None:
            access_logs = _bucket.access_log_bucket(self, _ACCESS_LOGS, policy=policy)
        self.access_logs = access_logs
        self.zones = MappingProxyType(
            {
                definition.name: Zone(
                    self,
                    _construct_id(definition.name),
                    definition=definition,
                    key=self.key,
                    access_logs=access_logs,
                    lake_formation=lake_formation,
                    destroy=destroy,
                )
                for definition in definitions
            }
        )
        self.settings = None
        if lake_formation is not None and lake_formation.administer:
            self.settings = append_administrators(self, _ADMINISTRATORS, lake_formation.administrators)
            for zone in self.zones.values():
                zone.after_administrators(self.settings)

    @staticmethod
    def from_zones(scope: Construct, id: str, *, zones: Sequence[ZoneAttributes]) -> ImportedDataLake:
        """Import a lake that another app owns, zone by zone.

        ```python
        from cdk_data_science.data_lake import DataLake, ZoneAttributes

        lake = DataLake.from_zones(
            self,
            "Lake",
            zones=[
                ZoneAttributes(
                    name="raw",
                    bucket_arn="arn:aws:s3:::company-lake-raw",
                    database_name="company_raw",
                    key_arn="arn:aws:kms:eu-west-1:111122223333:key/1a2b3c4d-5e6f-7a8b-9c0d-1e2f3a4b5c6d",
                )
            ],
        )
        lake.raw.uri("reviews/")
        ```

        Args:
            zones: What is known of each zone.

        Raises:
            ConfigurationError: For no zone at all, or two of one name.
        """
        return ImportedDataLake(scope, id, zones=zones)

    def _make_key(self, *, destroy: bool) -> kms.Key:
        return kms.Key(
            self,
            _KEY,
            description=f"Data lake {self.node.path}",
            enable_key_rotation=True,
            removal_policy=removal_policy(self, destroy=destroy),
        )


class ImportedDataLake(DataLakeBase[ZoneBase]):
    """A lake that another app owns. Made by :meth:`DataLake.from_zones`."""

    def __init__(self, scope: Construct, id: str, *, zones: Sequence[ZoneAttributes]) -> None:
        super().__init__(scope, id)
        problems = Problems("DataLake.from_zones", self)
        _check_names(problems, [zone.name for zone in zones])
        problems.raise_if_any()
        self.zones = MappingProxyType(
            {zone.name: Zone.from_attributes(self, _construct_id(zone.name), zone) for zone in zones}
        )


def _defined(name: str) -> ZoneDefinition:
    return next((zone for zone in DEFAULT_ZONES if zone.name == name), ZoneDefinition(name=name))


def _check_names(problems: Problems, names: Sequence[str]) -> None:
    problems.check(bool(names), given="no zones", allowed="one zone or more", write='zones=["raw"]')
    taken: dict[str, str] = dict.fromkeys((_KEY, _ACCESS_LOGS, _ADMINISTRATORS), "a part of the lake")
    for name in names:
        part = _construct_id(name)
        problems.check(
            part not in taken,
            given=f"zone {name!r}",
            allowed=f"a name of its own; this one collides with {taken.get(part)}",
            write="another name",
        )
        taken[part] = f"zone {name!r}"


def _construct_id(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-"))
