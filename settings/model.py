"""What a platform engineer may set, and what the values may be.

Every environment is one TOML file in this folder; ``load("dev")`` reads ``dev.toml``.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, ValidationError, model_validator

from settings.access import Access
from settings.async_endpoint import AsyncEndpoint
from settings.audit import Audit
from settings.batch_transform import BatchPrediction
from settings.clusters import Clusters
from settings.containers import Containers
from settings.edge import EdgeModel
from settings.endpoint import Endpoint
from settings.etl import Etl
from settings.features import Features
from settings.files import Files
from settings.hosting import HostedModel, HostedName
from settings.inference import Guard, Inference
from settings.lake import Lake
from settings.mlflow import Mlflow
from settings.network import Network
from settings.places import told_apart
from settings.section import Section
from settings.shared_endpoint import SharedEndpoint
from settings.sources import missing_ways
from settings.studio import Studio, missing_network
from settings.training import Training
from settings.tuning import Tuning

FOLDER = Path(__file__).resolve().parent

Email = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
Share = Annotated[float, Field(ge=0, le=1)]

SPEAKING = (
    "inference",
    "endpoint",
    "async_endpoint",
    "shared_endpoint",
    "batch_transform",
    "etl",
    "features",
    "pipeline",
    "cost",
    "studio",
    "containers",
    "files",
    "clusters",
)
"""Tables whose parts have something to tell people."""

PACKAGE_INDEX = {"files.pythonhosted.org", "pypi.org"}
"""The hosts that pip installs from."""

_ECR_IMAGE = re.compile(r"^\d{12}\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com")


class SettingsError(Exception):
    """A settings file cannot be used; the message names the file, the keys and what is allowed."""


class Platform(Section):
    """Where the platform lives and what it is called."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,19}$")]
    """Prefix of every stack's name: lower-case letters, digits and hyphens, 2 to 20 characters."""
    account: Annotated[str, Field(pattern=r"^\d{12}$")] | None = None
    """The account to deploy to; without it, that of the credentials at hand."""
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")] | None = None
    """The region to deploy to; without it, that of the credentials at hand."""
    destroy_data: bool = False
    """First of the two keys that let a deleted stack delete its data; the second is the context key
    ``cdk-data-science:destroyData``."""


class Functions(Section):
    """The Python and the processor of the platform's Lambda functions."""

    python: Literal["3.12", "3.13", "3.14"] = "3.13"
    """Python 3.11 is left out: Lambda runs it on a system that ONNX Runtime cannot be loaded on."""
    architecture: Literal["arm64", "x86_64"] = "arm64"
    build_for_host: bool = False
    """Build the functions for this machine, for a local AWS that runs them in its own Python."""


class Pipeline(Section):
    """The pipeline from new data to a deployed model."""

    model: Annotated[str, Field(pattern=r"^[a-z0-9](-?[a-z0-9]){0,40}$")]
    """Name of the model, of its registry group and of its folders in the lake."""
    prefix: Annotated[str, Field(pattern=r"^([A-Za-z0-9!_.()=-]+/)+$")]
    """New objects under this prefix of the raw zone start the pipeline; ends with a slash."""
    rules: Annotated[str, Field(min_length=1)]
    """Quality rules (a subset of Glue's DQDL, see docs/quality-rules.md)."""
    id_column: str
    group_column: str
    """Rows of one group are never split between training and evaluation."""
    label_column: str
    feature_columns: Annotated[tuple[str, ...], Field(min_length=1)]
    positive_above: float | None = None
    """Labels are numbers, and positive above this one. Without it and ``label_names`` they are 0 or 1, false
    or true, negative or positive."""
    label_names: tuple[Annotated[str, Field(min_length=1)], Annotated[str, Field(min_length=1)]] | None = None
    """Labels are words: that of the negative class, then that of the positive one."""
    holdout: Annotated[float, Field(gt=0, lt=1)] = 0.2
    minimum: dict[Literal["auroc", "accuracy"], Share] = Field({"auroc": 0.8})
    """What a model must reach on held-out rows to be registered and deployed."""
    maximum: dict[Literal["log_loss", "brier"], Annotated[float, Field(ge=0)]] = Field({})
    """What it must not exceed there."""
    import_registry: bool = False
    """Go on with the registry group that an earlier deployment left, instead of making one."""
    approval_minutes: Annotated[int, Field(ge=1, le=30 * 24 * 60)] | None = None
    """A person has to approve each model within this time, before it is deployed; without it, the thresholds
    decide alone."""
    max_parallel_runs: Annotated[int, Field(ge=1, le=200)] = 1
    """Runs that go on at a time; the others wait for their turn, the oldest first."""
    queue_timeout_minutes: Annotated[int, Field(ge=1, le=30 * 24 * 60)] = 24 * 60
    """How long a run waits for its turn before it fails."""
    canary_percent: Annotated[int, Field(ge=1, le=99)] = 10
    bake_minutes: Annotated[float, Field(ge=0, le=24 * 60)] = 10
    guard: Guard = Guard()
    """How much worse than the live version a canary may be."""
    tuning: Tuning | None = None
    """Search for hyperparameters in each run; without it, train once with those of the training."""

    @model_validator(mode="after")
    def _labels_are_of_one_kind(self) -> Pipeline:
        if self.label_names is not None and self.positive_above is not None:
            raise ValueError("label_names and positive_above are given: labels are either words or numbers")
        if self.label_names is not None and self.label_names[0] == self.label_names[1]:
            raise ValueError(f"label_names has {self.label_names[0]!r} twice: the classes need two names")
        return self


class BudgetPart(Section):
    """A budget of a part of the costs: what has the tags and is of the services."""

    monthly_limit_usd: Annotated[float, Field(gt=0, le=100_000_000)]
    tags: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = Field({})
    """Count only what has one of these values for each of these keys."""
    services: tuple[str, ...] = ()
    """Count only these, named as in Cost Explorer: Amazon SageMaker."""

    @model_validator(mode="after")
    def _is_a_part(self) -> BudgetPart:
        if not self.tags and not self.services:
            raise ValueError("give tags or services; the whole is cost.monthly_limit_usd")
        return self


class StopAccelerators(Section):
    """What the budget does when it is spent: it denies starting accelerators to some roles."""

    personas: tuple[Literal["data-scientist", "ml-engineer", "approver", "auditor"], ...] = ()
    """People's roles of this platform that are concerned: those of ``[security]``, and those in Studio."""
    roles: Annotated[
        tuple[Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/.+")], ...],
        Field(max_length=90),
    ] = ()
    """ARNs of further roles, in this account."""
    at_percent: Annotated[float, Field(gt=0, le=1000)] = 100
    allowed_accelerators: Annotated[int, Field(ge=0, le=15)] = 0
    """Instances with so many accelerators may still be started."""

    @model_validator(mode="after")
    def _concerns_somebody(self) -> StopAccelerators:
        if not self.personas and not self.roles:
            raise ValueError("name the personas or the roles that it concerns")
        return self


class Slack(Section):
    """A Slack channel that shows the alerts of costs. Authorize the workspace once in the console."""

    workspace_id: Annotated[str, Field(pattern=r"^[A-Z0-9]+$")]
    channel_id: Annotated[str, Field(pattern=r"^[A-Z0-9]+$")]


class Cost(Section):
    """What may be spent, who is told, and what happens then."""

    monthly_limit_usd: Annotated[float, Field(gt=0, le=100_000_000)]
    alert_emails: tuple[Email, ...] = ()
    """Further people, who are told of costs alone; AWS Budgets writes to them itself."""
    tag_keys: tuple[str, ...] = ("application",)
    """The budget counts what carries the platform's values of these tags; none counts the whole account.
    They have to be active cost allocation tags. Anomaly detection can follow one key only."""
    anomaly_detection: bool = False
    """Follow unusual spending too. Monitors of tagged costs can be made in the management account only."""
    anomaly_minimum_usd: Annotated[float, Field(ge=0)] = 10
    budgets: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,40}$")], BudgetPart] = Field({})
    """Further budgets by name, each of a part of the costs: a team, a person, a service."""
    savings_plans_coverage_percent: Annotated[float, Field(gt=0, le=100)] | None = None
    """Alert when Savings Plans cover less of what they could. Set it once there are some."""
    savings_plans_utilization_percent: Annotated[float, Field(gt=0, le=100)] | None = None
    """Alert when less of the Savings Plans is used."""
    stop_accelerators: StopAccelerators | None = None
    slack: Slack | None = None
    allowed_tag_values: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = Field({})
    """Values that a required tag may have where a construct overrides it; any for the others."""
    tag_patterns: dict[str, str] = Field({})
    """Regular expressions for the values of required tags, where a list would be too long."""


Persona = Literal["data-scientist", "ml-engineer", "approver", "auditor"]


class Security(Section):
    """The roles of the people who work with the platform. They cost nothing."""

    people: dict[
        Persona,
        Annotated[
            tuple[Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:.+")], ...], Field(min_length=1)
        ],
    ] = Field({})
    """Who may assume which role, by ARN. Without any, all four roles are there for identities of the account
    that IAM permits to assume them."""


class Settings(Section):
    """One environment of the platform. Leave a table out and its stack is not made."""

    environment: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,20}$")]
    """Name of the settings file without its ending."""
    platform: Platform
    tags: dict[str, Annotated[str, Field(min_length=1, max_length=256)]]
    """The required tags and their values, on every resource that can carry tags."""
    required_tags: tuple[str, ...] = ("business-unit", "application", "environment", "owner")
    """Keys that [tags] has to have: what the bill is read by. Others may be added there."""
    alert_emails: tuple[Email, ...] | None = None
    """Who is told of failed runs, alarms and budgets; each has to confirm the first message. An empty list
    says that something else is subscribed to the alert topic."""
    lake: Lake = Lake()
    functions: Functions = Functions()
    training: Training | None = None
    inference: Inference | None = None
    endpoint: Endpoint | None = None
    async_endpoint: AsyncEndpoint | None = None
    shared_endpoint: SharedEndpoint | None = None
    batch_transform: Annotated[dict[HostedName, BatchPrediction], AfterValidator(told_apart)] = Field({})
    edge: Annotated[dict[HostedName, EdgeModel], AfterValidator(told_apart)] = Field({})
    etl: Etl | None = None
    features: Features | None = None
    pipeline: Pipeline | None = None
    cost: Cost | None = None
    network: Network | None = None
    security: Security | None = None
    access: Access | None = None
    audit: Audit | None = None
    mlflow: Mlflow | None = None
    studio: Studio | None = None
    containers: Containers | None = None
    files: Files | None = None
    clusters: Clusters | None = None

    @property
    def training_reaches_internet(self) -> bool:
        """Whether training jobs reach a package index; in a VPC without a NAT gateway they reach S3 alone."""
        network = self.network
        if network is None or "training" not in network.inside:
            return True
        allowed = set(network.allowed_domains)
        return network.nat_gateways > 0 and (not allowed or allowed >= PACKAGE_INDEX)

    @model_validator(mode="after")
    def _required_tags_are_given(self) -> Settings:
        missing = [key for key in self.required_tags if key not in self.tags]
        if missing:
            raise ValueError(
                f"[tags] lacks {missing}: give them values there, or name the keys that your bills are read "
                'by above the first table, as in required_tags = ["cost-centre"]'
            )
        return self

    @model_validator(mode="after")
    def _budget_counts_known_tags(self) -> Settings:
        unknown = sorted(set(self.cost.tag_keys) - set(self.tags)) if self.cost is not None else []
        if unknown:
            raise ValueError(f"cost.tag_keys names {unknown}, but [tags] has only {sorted(self.tags)}")
        return self

    @model_validator(mode="after")
    def _stopped_personas_are_there(self) -> Settings:
        stop = self.cost.stop_accelerators if self.cost is not None else None
        in_studio = (
            {user.persona for user in self.studio.users.values()} if self.studio is not None else set()
        )
        nobody = sorted({*stop.personas} - in_studio) if stop is not None and self.security is None else []
        if nobody:
            raise ValueError(
                f"cost.stop_accelerators.personas names {nobody}, of whom there are roles only with a table "
                "[security] or users in [studio]: add one of them, or name roles"
            )
        return self

    @model_validator(mode="after")
    def _somebody_is_told(self) -> Settings:
        speaking = [name for name in SPEAKING if getattr(self, name)]
        speaking += ["training.watch"] if self.training is not None and self.training.watch else []
        speaking += ["lake.quality"] if self.lake.quality is not None else []
        if speaking and self.alert_emails is None:
            raise ValueError(
                f"alert_emails is missing, so nobody would hear of the alerts of {speaking}: write "
                'alert_emails = ["you@example.com"] above the first table, or alert_emails = [] if something '
                "else will be subscribed to the alert topic"
            )
        return self

    @model_validator(mode="after")
    def _image_is_in_the_region(self) -> Settings:
        for name, given in self._images().items():
            image = _ECR_IMAGE.match(given)
            if image and self.platform.region and image["region"] != self.platform.region:
                raise ValueError(
                    f"{name}.image is in {image['region']}, but platform.region is {self.platform.region}: "
                    "SageMaker takes images from its own region only; name that region's image (the account "
                    "in front may be another one too)"
                )
        return self

    def _images(self) -> dict[str, str]:
        """The containers' URIs, by the tables that name them."""
        hosted: dict[str, HostedModel | Training | None] = {
            "training": self.training,
            "endpoint": self.endpoint,
            "async_endpoint": self.async_endpoint,
            **{f"batch_transform.{name}": each for name, each in self.batch_transform.items()},
        }
        if self.shared_endpoint is not None:
            models = self.shared_endpoint.models
            hosted |= {f"shared_endpoint.models.{name}": each for name, each in models.items()}
        found = {name: part.image for name, part in hosted.items() if part is not None}
        if self.studio is not None:
            found |= {f"studio.images.{name}": each.image for name, each in self.studio.images.items()}
        shadow = self.endpoint.shadow if self.endpoint is not None else None
        return found if shadow is None or shadow.image is None else found | {"endpoint.shadow": shadow.image}

    @model_validator(mode="after")
    def _zones_are_in_the_region(self) -> Settings:
        region, where = self.platform.region, "platform.region is"
        if region is None and self.training is not None and (image := _ECR_IMAGE.match(self.training.image)):
            region, where = image["region"], "training.image is in"
        elsewhere = [zone for zone in self.network.zones if zone[:-1] != region] if self.network else []
        if region and elsewhere:
            raise ValueError(f"network.zones names {elsewhere}, but {where} {region}")
        return self

    @model_validator(mode="after")
    def _jobs_reach_mlflow(self) -> Settings:
        # A local AWS brings jobs to its MLflow whatever their network is.
        studio = self.studio is not None and (self.network is None or not self.network.nat_gateways)
        far = studio or not self.training_reaches_internet
        if self.mlflow is not None and far and not self.functions.build_for_host:
            self.mlflow.check_reach(() if self.network is None else self.network.features)
        return self

    @model_validator(mode="after")
    def _studio_has_its_network(self) -> Settings:
        net = self.network
        lacks = (
            missing_network(len(net.zones), net.features, net.nat_gateways) if net else "a table [network]"
        )
        if self.studio is not None and lacks is not None:
            raise ValueError(lacks if net else f"studio needs {lacks}")
        return self

    @model_validator(mode="after")
    def _access_is_of_this_lake(self) -> Settings:
        if self.access is not None:
            self.access.check_lake(governed=self.lake.governed, account=self.platform.account)
        return self

    @model_validator(mode="after")
    def _connections_have_their_network(self) -> Settings:
        if self.etl is not None and self.etl.connections:
            net = self.network
            lacks = (
                missing_ways(net.features, nat=net.reaches_aws)
                if net
                else "etl.connections needs a table [network]"
            )
            if lacks is not None:
                raise ValueError(lacks)
        return self

    @model_validator(mode="after")
    def _training_has_what_it_names(self) -> Settings:
        network = self.network
        if self.pipeline is not None and self.pipeline.tuning is not None and self.training is not None:
            self.pipeline.tuning.check_training(self.training)
        if self.files is not None:
            inside = None if network is None else network.inside
            self.files.check_places(network=inside, pipeline=self.pipeline is not None)
        if self.clusters is not None:
            self.clusters.check_places(
                zones=() if network is None else network.zones,
                way_out=network is not None and network.reaches_aws,
                folders=set() if self.files is None else set(self.files.folders),
            )
        return self

    @model_validator(mode="after")
    def _pipeline_has_its_stages(self) -> Settings:
        missing = [name for name in ("training", "inference") if getattr(self, name) is None]
        if self.pipeline is not None and missing:
            raise ValueError(f"a pipeline needs the tables {missing} too: it trains, then deploys")
        return self


def environments() -> list[str]:
    """Return the names of the environments that have a settings file."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load(environment: str, *, folder: Path = FOLDER) -> Settings:
    """Read and check one environment's settings.

    Raises:
        SettingsError: no such file, not TOML, or keys and values that are not allowed.
    """
    path = folder / f"{environment}.toml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.toml"))) or "none"
        raise SettingsError(f"There is no settings file {_shown(path)}; the environments there are: {known}")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{_shown(path)} is not valid TOML: {error}") from error
    try:
        return Settings.model_validate({"environment": environment, **content})
    except ValidationError as error:
        problems = "".join(f"\n  - {_problem(problem)}" for problem in error.errors())
        raise SettingsError(f"{_shown(path)} cannot be used:{problems}") from error


def _shown(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _problem(problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"]) or "the file"
    if problem["type"] == "extra_forbidden":
        return f"{where}: unknown key; allowed here: {', '.join(_allowed_keys(problem['loc'][:-1]))}"
    if problem["type"] in ("dict_type", "model_type"):
        meant = f"a table is meant, written as [{where}] with its keys below it"
        return f"{where}: {meant} (given: {problem['input']!r})"
    given = problem.get("input")
    shown = f" (given: {given!r})" if isinstance(given, str | int | float | bool) else ""
    return f"{where}: {problem['msg'].removeprefix('Value error, ')}{shown}"


def _allowed_keys(location: tuple[str | int, ...]) -> list[str]:
    section: type[BaseModel] = Settings
    parts = iter(location)
    for part in parts:
        annotation = section.model_fields[str(part)].annotation
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        section = next(c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel))
        if getattr(annotation, "__origin__", None) in (dict, tuple):
            next(parts)  # the name of an entry, such as a budget's, or its number
    return sorted(set(section.model_fields) - {"environment"})
