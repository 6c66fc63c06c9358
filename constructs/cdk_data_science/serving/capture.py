"""What endpoints keep in the lake: requests and answers, and the memory of crashed containers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker

from cdk_data_science._validation import FOLDER, Problems, is_token
from cdk_data_science.data_lake import IZone

_CONTENT_TYPE = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*/[a-zA-Z0-9](-*[a-zA-Z0-9.])*")
_MOST_CONTENT_TYPES = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class DataCapture:
    """Keeps requests and answers of an endpoint as JSON lines, below
    ``<prefix><endpoint>/<variant>/<year>/<month>/<day>/<hour>/``."""

    zone: IZone
    prefix: str = "captured/"
    """A folder of the zone."""
    percent: int = 100
    """Share of the requests that is kept: 0 to 100. Less where traffic is high."""
    inputs: bool = True
    """Keep the requests."""
    outputs: bool = True
    """Keep the answers."""
    json_types: Sequence[str] = ("application/json",)
    """Content types that are written as they are, as JSON; what is in neither list is written in Base64."""
    csv_types: Sequence[str] = ("text/csv",)
    """Content types that are written as they are, as CSV."""

    def check(self, problems: Problems) -> None:
        """Report what SageMaker would refuse."""
        _check_folder(problems, "DataCapture", self.prefix)
        problems.check(
            is_token(self.percent) or (self.percent == int(self.percent) and 0 <= self.percent <= 100),
            given=f"DataCapture percent={self.percent}",
            allowed="a whole number, 0 to 100",
            write="percent=100",
        )
        problems.check(
            self.inputs or self.outputs,
            given="DataCapture of neither inputs nor outputs",
            allowed="one of them, or both",
            write="data_capture=None",
        )
        for name in ("json_types", "csv_types"):
            types = getattr(self, name)
            problems.check(
                len(types) <= _MOST_CONTENT_TYPES and all(_CONTENT_TYPE.fullmatch(each) for each in types),
                given=f"DataCapture {name}={list(types)!r}",
                allowed=f"at most {_MOST_CONTENT_TYPES} content types of letters, digits, hyphens and dots",
            )
        both = sorted(set(self.json_types) & set(self.csv_types))
        problems.check(
            not both,
            given=f"DataCapture with {', '.join(both)} as JSON and as CSV",
            allowed="each content type in one list",
        )

    def grant(self, role: iam.IRole) -> None:
        """Let a model's containers write what is captured."""
        self.zone.grant_write(role, self.prefix)

    def render(self) -> sagemaker.CfnEndpointConfig.DataCaptureConfigProperty:
        """Return the configuration as CloudFormation has it."""
        modes = [mode for mode, wanted in (("Input", self.inputs), ("Output", self.outputs)) if wanted]
        headers = None
        if self.json_types or self.csv_types:
            headers = sagemaker.CfnEndpointConfig.CaptureContentTypeHeaderProperty(
                json_content_types=list(self.json_types) or None,
                csv_content_types=list(self.csv_types) or None,
            )
        return sagemaker.CfnEndpointConfig.DataCaptureConfigProperty(
            enable_capture=True,
            initial_sampling_percentage=self.percent,
            destination_s3_uri=self.zone.uri(self.prefix.rstrip("/")),
            kms_key_id=None if self.zone.key is None else self.zone.key.key_arn,
            capture_options=[
                sagemaker.CfnEndpointConfig.CaptureOptionProperty(capture_mode=mode) for mode in modes
            ],
            capture_content_type_header=headers,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class CoreDumps:
    """Keeps the memory of a container that crashed. It holds what the container knew: requests, too."""

    zone: IZone
    prefix: str = "core-dumps/"
    """A folder of the zone."""

    def check(self, problems: Problems) -> None:
        """Report what SageMaker would refuse."""
        _check_folder(problems, "CoreDumps", self.prefix)

    def grant(self, role: iam.IRole) -> None:
        """Let a model's containers write their dumps."""
        self.zone.grant_write(role, self.prefix)
        if self.zone.key is not None:
            # CreateEndpointConfig asks it of the execution role.
            self.zone.key.grant(role, "kms:Encrypt")

    def render(self) -> sagemaker.CfnEndpointConfig.CoreDumpConfigProperty:
        """Return the configuration as CloudFormation has it."""
        return sagemaker.CfnEndpointConfig.CoreDumpConfigProperty(
            destination_s3_uri=self.zone.uri(self.prefix.rstrip("/")),
            kms_key_id=None if self.zone.key is None else self.zone.key.key_arn,
        )


def _check_folder(problems: Problems, what: str, prefix: str) -> None:
    problems.check(
        is_token(prefix) or FOLDER.fullmatch(prefix) is not None,
        given=f"{what} prefix={prefix!r}",
        allowed="a folder of the zone: no slash at the start, one at the end",
        write='prefix="captured/"',
    )
