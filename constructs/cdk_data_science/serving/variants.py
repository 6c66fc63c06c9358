"""What answers behind an endpoint: models on instances, or without any."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal, Protocol

from aws_cdk import Duration
from aws_cdk import aws_sagemaker as sagemaker

from cdk_data_science._validation import Problems, is_token
from cdk_data_science.hardware import (
    InstanceFacts,
    InstanceUse,
    facts,
    has_local_storage,
    instance_types,
    similar_types,
)
from cdk_data_science.serving._image_kinds import check_architecture, check_kind
from cdk_data_science.serving._limits import (
    NAME,
    SHORTEST_PROVISION,
    SHORTEST_TIMEOUT,
    check_timeout,
    seconds,
)
from cdk_data_science.serving.capture import CoreDumps
from cdk_data_science.serving.model import IModel
from cdk_data_science.serving.scaling import ConcurrencyScaling, Scaling

_LARGEST_VOLUME_GB = 512
_RESERVATION = re.compile(r"arn:aws[a-z-]*:sagemaker:[a-z0-9-]*:\d{12}:[a-z0-9-]{1,14}/.+")
_AMI = re.compile(r"al(2|2023)-ami-sagemaker-inference-(?P<devices>gpu|neuron)-[\d-]+")
_MOST_CONCURRENCY = 200
SERVERLESS_MEMORY_MB = (1024, 2048, 3072, 4096, 5120, 6144)

Property = sagemaker.CfnEndpointConfig.ProductionVariantProperty


class Variant(Protocol):
    """What every kind of variant has."""

    @property
    def name(self) -> str:
        """Its name in the endpoint."""

    @property
    def model(self) -> IModel:
        """What it serves."""

    @property
    def weight(self) -> float:
        """Its share of the traffic."""

    def check(self, problems: Problems) -> None:
        """Report what SageMaker would refuse."""

    def render(self) -> Property:
        """Return the variant as CloudFormation has it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InstanceVariant:
    """A model on instances of its own."""

    name: str
    """1 to 63 letters, digits and hyphens. A changed name is another variant: SageMaker rolls out no endpoint
    whose variants are renamed."""
    model: IModel
    instance_type: str
    """A type of the endpoint API, such as ``ml.m6i.large``."""
    instance_count: int = 2
    """Instances to start with. From two on, SageMaker spreads them over the model's subnets' zones."""
    weight: float = 1
    """Share of the traffic, relative to the other variants; 0 takes only requests that name the variant."""
    volume_size_gb: int | None = None
    """GB of the instances' volume: 1 to 512. Default: as SageMaker chooses. Types with local disks have these
    in its place."""
    download_timeout: Duration | None = None
    """For loading the artifact: one minute to one hour. Default: SageMaker's."""
    startup_timeout: Duration | None = None
    """For the container's first healthy answer: one minute to one hour. Default: SageMaker's."""
    provision_timeout: Duration | None = None
    """For getting instances: five minutes to one hour. Default: SageMaker's."""
    routing: Literal["LEAST_OUTSTANDING_REQUESTS", "RANDOM"] | None = None
    """Which instance a request goes to. Default: SageMaker's choice."""
    core_dumps: CoreDumps | None = None
    """Keep the memory of crashed containers. Default: no."""
    reservation_arn: str | None = None
    """ARN of an ML capacity reservation: instances are started in it and nowhere else, as P4d and P5 often
    are. Default: wherever there are some."""
    ami_version: str | None = None
    """Drivers of the instances, as SageMaker names them: ``al2023-ami-sagemaker-inference-gpu-4-1`` and
    others. Default: SageMaker's."""
    scaling: Scaling | None = None
    """How the number of instances follows the load. Default: it stays."""

    @property
    def facts(self) -> InstanceFacts | None:
        """What is known of the instance type; None for tokens and types without facts."""
        if is_token(self.instance_type) or self.instance_type not in instance_types(InstanceUse.ENDPOINT):
            return None
        return facts(self.instance_type)

    @property
    def fewest(self) -> int:
        """The fewest instances that it has in service."""
        return self.instance_count if self.scaling is None else min(self.instance_count, self.scaling.lowest)

    def check(self, problems: Problems, *, least_instances: int = 1) -> None:
        """Report what SageMaker would refuse.

        Args:
            least_instances: The fewest that it may be scaled to; 0 behind an asynchronous endpoint.
        """
        _check_name(problems, self.name, self.weight)
        if not is_token(self.instance_type):
            close = similar_types(self.instance_type, InstanceUse.ENDPOINT)
            problems.check(
                self.instance_type in instance_types(InstanceUse.ENDPOINT),
                given=f"instance_type={self.instance_type!r} of variant {self.name!r}",
                allowed="an instance type of endpoints" + (f", such as {', '.join(close)}" if close else ""),
                write=f'instance_type="{close[0] if close else "ml.m6i.large"}"',
            )
            check_volume(problems, self.instance_type, self.volume_size_gb, where=f"of variant {self.name!r}")
        problems.check(
            is_token(self.instance_count) or self.instance_count >= 1,
            given=f"instance_count={self.instance_count} of variant {self.name!r}",
            allowed="1 or more",
            write="instance_count=2",
        )
        for name, value, least in (
            ("download_timeout", self.download_timeout, SHORTEST_TIMEOUT),
            ("startup_timeout", self.startup_timeout, SHORTEST_TIMEOUT),
            ("provision_timeout", self.provision_timeout, SHORTEST_PROVISION),
        ):
            check_timeout(problems, name, value, least)
        self._check_hosts(problems)
        check_kind(problems, self.model.made_for, self.facts, self.name)
        check_architecture(problems, self.model.images, self.facts, self.name)
        if self.core_dumps is not None:
            self.core_dumps.check(problems)
        if self.scaling is not None:
            self.scaling.check(
                problems,
                self.name,
                count=self.instance_count,
                instance_type=self.instance_type,
                known=self.facts,
                least=least_instances,
                backlog=least_instances == 0,
            )

    def _check_hosts(self, problems: Problems) -> None:
        arn, ami, known = self.reservation_arn, self.ami_version, self.facts
        problems.check(
            arn is None or is_token(arn) or _RESERVATION.fullmatch(arn) is not None,
            given=f"reservation_arn={arn!r} of variant {self.name!r}",
            allowed="the ARN of a capacity reservation of SageMaker",
            write='reservation_arn="arn:aws:sagemaker:us-east-1:111122223333:training-plan/p5"',
        )
        if ami is None or is_token(ami):
            return
        match = _AMI.fullmatch(ami)
        problems.check(
            match is not None,
            given=f"ami_version={ami!r} of variant {self.name!r}",
            allowed="a name such as al2023-ami-sagemaker-inference-gpu-4-1",
            write="ami_version=None",
        )
        if match is not None and known is not None:
            there = "gpu" if known.cuda else "neuron" if known.neuron else "none"
            problems.check(
                match["devices"] == there,
                given=f"ami_version={ami!r} on {known.name}",
                allowed="drivers of the accelerators that the type has"
                if there != "none"
                else "none for types without accelerators",
                write="ami_version=None",
            )

    def render(self) -> Property:
        """Return the variant as CloudFormation has it."""
        routing = None
        if self.routing is not None:
            routing = sagemaker.CfnEndpointConfig.RoutingConfigProperty(routing_strategy=self.routing)
        return Property(
            variant_name=self.name,
            model_name=self.model.model_name,
            instance_type=self.instance_type,
            initial_instance_count=self.instance_count,
            initial_variant_weight=self.weight,
            volume_size_in_gb=self.volume_size_gb,
            model_data_download_timeout_in_seconds=seconds(self.download_timeout),
            container_startup_health_check_timeout_in_seconds=seconds(self.startup_timeout),
            variant_instance_provision_timeout_in_seconds=seconds(self.provision_timeout),
            routing_config=routing,
            core_dump_config=None if self.core_dumps is None else self.core_dumps.render(),
            inference_ami_version=self.ami_version,
            capacity_reservation_config=None
            if self.reservation_arn is None
            else sagemaker.CfnEndpointConfig.CapacityReservationConfigProperty(
                capacity_reservation_preference="capacity-reservations-only",
                ml_reservation_arn=self.reservation_arn,
            ),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerlessVariant:
    """A model that runs while it is asked: nothing to pay between requests, and a cold start after a pause.

    On processors, without a VPC, network isolation, data capture, multi-model or a second variant: SageMaker
    has none of these for it.
    """

    name: str
    """1 to 63 letters, digits and hyphens."""
    model: IModel
    memory_mb: int = 2048
    """1024 to 6144 MB in steps of 1024; processors come with it."""
    max_concurrency: int = 20
    """Requests that run at once: 1 to 200, of the account's quota. More are refused."""
    provisioned_concurrency: int | None = None
    """Requests that are answered without a cold start, billed all the time: 1 to ``max_concurrency``."""
    scaling: ConcurrencyScaling | None = None
    """How the provisioned concurrency follows the load. Default: it stays."""

    @property
    def weight(self) -> float:
        """All of the traffic."""
        return 1

    def check(self, problems: Problems) -> None:
        """Report what SageMaker would refuse."""
        _check_name(problems, self.name, self.weight)
        problems.check(
            is_token(self.memory_mb) or self.memory_mb in SERVERLESS_MEMORY_MB,
            given=f"memory_mb={self.memory_mb} of variant {self.name!r}",
            allowed=", ".join(map(str, SERVERLESS_MEMORY_MB)),
            write="memory_mb=2048",
        )
        problems.check(
            is_token(self.max_concurrency) or 1 <= self.max_concurrency <= _MOST_CONCURRENCY,
            given=f"max_concurrency={self.max_concurrency} of variant {self.name!r}",
            allowed=f"1 to {_MOST_CONCURRENCY}",
            write="max_concurrency=20",
        )
        provisioned = self.provisioned_concurrency
        if provisioned is not None and not is_token(provisioned) and not is_token(self.max_concurrency):
            problems.check(
                1 <= provisioned <= self.max_concurrency,
                given=f"provisioned_concurrency={provisioned} of variant {self.name!r}",
                allowed=f"1 to max_concurrency ({self.max_concurrency})",
                write="provisioned_concurrency=None",
            )
        for given, wrong, write in (
            ("a model in a VPC", self.model.in_vpc, "Model(…) without vpc"),
            ("a model without network", self.model.isolated, "Model(…, network_isolation=False)"),
            ("a multi-model model", self.model.multi_model, "InstanceVariant(…)"),
            ("a model of several containers", self.model.several, "InstanceVariant(…)"),
        ):
            problems.check(
                not wrong,
                given=f"{given} for the serverless variant {self.name!r}",
                allowed="what SageMaker serves without instances",
                write=write,
            )
        if self.scaling is not None:
            self.scaling.check(
                problems, self.name, provisioned=provisioned, max_concurrency=self.max_concurrency
            )

    def render(self) -> Property:
        """Return the variant as CloudFormation has it."""
        return Property(
            variant_name=self.name,
            model_name=self.model.model_name,
            initial_variant_weight=self.weight,
            serverless_config=sagemaker.CfnEndpointConfig.ServerlessConfigProperty(
                memory_size_in_mb=self.memory_mb,
                max_concurrency=self.max_concurrency,
                provisioned_concurrency=self.provisioned_concurrency,
            ),
        )


def _check_name(problems: Problems, name: str, weight: float) -> None:
    problems.check(
        not is_token(name) and NAME.fullmatch(name) is not None,
        given=f"variant name {name!r}",
        allowed="1 to 63 letters, digits and hyphens, with a letter or digit at both ends, known now",
        write='name="main"',
    )
    problems.check(
        is_token(weight) or 0 <= weight < math.inf,
        given=f"weight={weight} of variant {name!r}",
        allowed="0 or more",
        write="weight=1",
    )


def check_volume(problems: Problems, instance_type: str, size_gb: int | None, *, where: str) -> None:
    """Report a volume that SageMaker does not make."""
    if size_gb is None or is_token(size_gb):
        return
    problems.check(
        1 <= size_gb <= _LARGEST_VOLUME_GB,
        given=f"volume_size_gb={size_gb} {where}",
        allowed=f"1 to {_LARGEST_VOLUME_GB} GB",
        write="volume_size_gb=64",
    )
    if instance_type in instance_types(InstanceUse.ENDPOINT):
        problems.check(
            not has_local_storage(instance_type),
            given=f"volume_size_gb with instance_type={instance_type!r}",
            allowed="no size for types with local NVMe disks, which are used as they are",
            write="volume_size_gb=None",
        )
