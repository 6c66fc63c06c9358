"""What models on Inferentia and Trainium need beside their weights: what the compiler made of them."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import aws_iam as iam

from cdk_data_science._validation import FOLDER, Problems, is_token
from cdk_data_science.data_lake import IZone
from cdk_data_science.hardware import InstanceFacts

# Cores that one device shows to a program. Trainium2 has eight, which the driver pairs to four.
# https://awsdocs-neuron.readthedocs-hosted.com/en/latest/about-neuron/arch/neuron-hardware/index.html
_CORES = {"inf1": 4, "inf2": 2, "trn1": 2, "trn1n": 2, "trn2": 4}


def cores(known: InstanceFacts) -> int:
    """How many NeuronCores a program sees on one instance; 0 where there are none."""
    if not known.neuron or known.accelerator is None:
        return 0
    return _CORES.get(known.family, 1) * known.accelerator.count


@dataclass(frozen=True, kw_only=True, slots=True)
class Compiled:
    """Says that the artifact holds what the Neuron compiler made, and for what: it runs as that and not
    otherwise."""

    cores: int
    """NeuronCores that the model is spread over (``--num_cores``, ``tp_degree``)."""
    batch_size: int = 1
    """Requests at once."""
    sequence_length: int
    """Tokens of a request and its answer together."""
    dtype: str = "bf16"
    """Type of the weights: ``bf16``, ``fp16`` or ``fp32``."""

    def check(self, problems: Problems, known: InstanceFacts | None) -> None:
        """Report what no instance of the type runs."""
        for name, value in (
            ("cores", self.cores),
            ("batch_size", self.batch_size),
            ("sequence_length", self.sequence_length),
        ):
            problems.check(
                is_token(value) or value >= 1, given=f"Compiled {name}={value}", allowed="1 or more"
            )
        problems.check(
            self.dtype in ("bf16", "fp16", "fp32"),
            given=f"Compiled dtype={self.dtype!r}",
            allowed="bf16, fp16, fp32",
            write='dtype="bf16"',
        )
        if known is not None and known.neuron and not is_token(self.cores) and self.cores >= 1:
            there = cores(known)
            problems.check(
                self.cores <= there and there % self.cores == 0,
                given=f"a model compiled for {self.cores} cores on {known.name}",
                allowed=f"a divisor of its {there} NeuronCores",
                write=f"cores={there}, and compile it for that",
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class NeuronCache:
    """Where the compiler keeps what it made: the first container compiles, for up to an hour; all others load
    it. Containers read and write it themselves, so that they need a way to S3."""

    zone: IZone
    prefix: str = "neuron-cache/"
    """A folder of the zone."""
    batch_size: int = 1
    """Requests at once, which is compiled for."""
    sequence_length: int
    """Tokens of a request and its answer together, which is compiled for."""
    dtype: str = "bf16"
    """Type of the weights: ``bf16``, ``fp16`` or ``fp32``."""

    def check(self, problems: Problems, *, isolated: bool) -> None:
        """Report a cache that cannot be reached."""
        problems.check(
            not isolated,
            given="NeuronCache with network_isolation=True",
            allowed="containers that reach S3, or a model that was compiled before",
            write="network_isolation=False with a vpc, or compiled=Compiled(…)",
        )
        problems.check(
            is_token(self.prefix) or FOLDER.fullmatch(self.prefix) is not None,
            given=f"NeuronCache prefix={self.prefix!r}",
            allowed="a folder of the zone: no slash at the start, one at the end",
            write='prefix="neuron-cache/"',
        )
        for name, value in (("batch_size", self.batch_size), ("sequence_length", self.sequence_length)):
            problems.check(
                is_token(value) or value >= 1, given=f"NeuronCache {name}={value}", allowed="1 or more"
            )
        problems.check(
            self.dtype in ("bf16", "fp16", "fp32"),
            given=f"NeuronCache dtype={self.dtype!r}",
            allowed="bf16, fp16, fp32",
            write='dtype="bf16"',
        )

    def grant(self, role: iam.IRole) -> None:
        """Let a model's containers read and write it."""
        self.zone.grant_read_write(role, self.prefix)

    @property
    def uri(self) -> str:
        """Its S3 URI."""
        return self.zone.uri(self.prefix.rstrip("/"))
