"""The table ``[network]``: where jobs and functions run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from settings.section import Section


class Network(Section):
    """A VPC without internet for jobs and functions. Gateway endpoints cost nothing; each interface endpoint
    costs 0.01 USD an hour in each zone, a NAT gateway 0.045 USD an hour (us-east-1, November 2026)."""

    zones: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d[a-z]$")], ...], Field(min_length=1)
    ]
    """Availability zones, for example us-east-1a. Add further ones at the end."""
    cidr: str = "10.0.0.0/16"
    """The VPC's private range, /16 to /22, with room for four zones."""
    inside: tuple[Literal["training", "inference", "endpoint", "pipeline"], ...] = ("training", "inference")
    """What runs in it. Training and inference reach S3 alone, so that the source archive has to bring the
    packages that training needs (``make source-archive``). The pipeline's functions call four services more,
    by as many interface endpoints, unless there is a NAT gateway that leads everywhere."""
    features: tuple[
        Literal[
            "studio",
            "sagemaker-api",
            "endpoint-clients",
            "feature-store",
            "mlflow",
            "query",
            "containers",
            "orchestration",
            "streaming",
            "secrets",
            "logging",
            "jumpstart",
        ],
        ...,
    ] = ()
    """What else is done in it; docs/network.md says which endpoints each takes."""
    nat_gateways: Annotated[int, Field(ge=0, le=8)] = 0
    """A way out to the internet, at most one in each zone; 0 is none."""
    allowed_domains: tuple[str, ...] = ()
    """Hosts that the way out leads to, such as pypi.org or .example.com, past a firewall for each NAT
    gateway, which costs more than 250 USD a month each. Without them it leads everywhere."""
    largest_cluster: Annotated[int, Field(ge=1, le=5000)] = 1
    """Training instances at the same time in one zone, to check that their addresses fit."""
    flow_logs: bool = True
    """Record all traffic for a year, at 0.50 USD a GB of records."""

    @property
    def reaches_aws(self) -> bool:
        """Whether there is a way to every service of AWS."""
        # With the dot in front, it is the domain with all below it; without, one host.
        open_to = self.allowed_domains
        return self.nat_gateways > 0 and (not open_to or ".amazonaws.com" in open_to)

    @model_validator(mode="after")
    def _domains_need_a_way_out(self) -> Network:
        if self.allowed_domains and not self.nat_gateways:
            raise ValueError("allowed_domains needs a way out: write nat_gateways = 1 or more beside it")
        return self
