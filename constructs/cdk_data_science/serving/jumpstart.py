"""Models of SageMaker JumpStart, by what a command has noted of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aws_cdk import Duration, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science._validation import ConfigurationError, Problems, is_token
from cdk_data_science.serving.artifact import HubArtifact
from cdk_data_science.serving.model import Model
from cdk_data_science.serving.scaling import Scaling
from cdk_data_science.serving.variants import InstanceVariant

_COMMAND = "python -m cdk_data_science.serving jumpstart"


@dataclass(frozen=True, kw_only=True, slots=True)
class JumpStartEntry:
    """What JumpStart said of one version of a model in one region, kept beside the app and reviewed with it.

    ``python -m cdk_data_science.serving jumpstart MODEL_ID --region REGION > chat.json`` asks JumpStart and
    writes such a file; nothing is asked at synthesis.
    """

    model_id: str
    version: str
    region: str
    license: str | None
    """Where the licence can be read that has to be accepted; None if there is none."""
    bucket: str
    network_isolation: bool
    """Whether the model runs without network."""
    startup_seconds: int | None
    download_seconds: int | None
    default_instance_type: str
    instances: Mapping[str, Mapping[str, Any]]
    """Image, key of the artifact and variables, by the types that the model is offered on."""

    @staticmethod
    def read(path: str | Path) -> JumpStartEntry:
        """Read a file that the command has written.

        Args:
            path: Found relative to your own file: ``Path(__file__).with_name("chat.json")``.

        Raises:
            ConfigurationError: there is no such file, or it is none of the command's.
        """
        place = Path(path)
        try:
            return JumpStartEntry(**json.loads(place.read_text(encoding="utf-8")))
        except (OSError, TypeError, ValueError) as error:
            raise ConfigurationError(
                f"JumpStartEntry: given {place.name}, which cannot be read ({error}); allowed: what the "
                f"command writes; write: {_COMMAND} MODEL_ID --region REGION > {place.name}"
            ) from error


class JumpStartModel(Model):
    """A model that SageMaker JumpStart offers, with the image, artifact and variables that it says for the
    instance type.

    Its licence has to be accepted by name: ``accept_license=True`` is what you say to SageMaker
    (``AcceptEula``) after you have read it. A model without one takes None.

    At rest it costs nothing; an endpoint of it costs its instances.

    Example:
        ```python
        from cdk_data_science import ModelEndpoint
        from cdk_data_science.serving import JumpStartEntry, JumpStartModel

        # In your app: JumpStartEntry.read(Path(__file__).with_name("chat.json"))
        entry = JumpStartEntry(
            model_id="meta-textgeneration-llama-3-1-8b-instruct",
            version="2.0.0",
            region="us-east-1",
            license="https://jumpstart-cache-prod-us-east-1.s3.us-east-1.amazonaws.com/fmhMetadata/eula/x.txt",
            bucket="jumpstart-private-cache-prod-us-east-1",
            network_isolation=True,
            startup_seconds=1200,
            download_seconds=1200,
            default_instance_type="ml.g5.4xlarge",
            instances={
                "ml.g5.4xlarge": {
                    "image": "763104351884.dkr.ecr.us-east-1.amazonaws.com/djl-inference:0.31.0-cu124",
                    "key": "meta-textgeneration/llama-3-1-8b-instruct/artifacts/inference-prepack/v2.0.0/",
                    "environment": {"HF_MODEL_ID": "/opt/ml/model"},
                }
            },
        )
        chat = JumpStartModel(self, "Chat", entry=entry, accept_license=True)
        ModelEndpoint(self, "Endpoint", variants=[chat.variant(name="main")])
        ```

    Args:
        entry: What JumpStart said of the model.
        accept_license: True: you have read the licence at ``entry.license`` and accept it. None, where there
            is none.
        instance_type: One that the model is offered on. Default: JumpStart's.
        environment: More variables; they win over those of the entry.
        hub_content_arn: The model's ARN in a private hub, where your account may use it only through one.
        vpc: As of :class:`Model`.
        subnets: As of :class:`Model`.
        security_groups: As of :class:`Model`.
        role: As of :class:`Model`.

    Raises:
        ConfigurationError: a licence that is not accepted, another region, or an instance type that the model
            is not offered on.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/jumpstart-foundation-models-choose-eula.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        entry: JumpStartEntry,
        accept_license: bool | None = None,
        instance_type: str | None = None,
        environment: Mapping[str, str] | None = None,
        hub_content_arn: str | None = None,
        vpc: ec2.IVpc | None = None,
        subnets: ec2.SubnetSelection | None = None,
        security_groups: Sequence[ec2.ISecurityGroup] | None = None,
        role: iam.IRole | None = None,
    ) -> None:
        chosen = instance_type if instance_type is not None else entry.default_instance_type
        _check(scope, id, entry, accept_license, chosen)
        how = entry.instances[chosen]
        super().__init__(
            scope,
            id,
            image=how["image"],
            artifact=HubArtifact(
                bucket=entry.bucket,
                key=how["key"],
                accept_license=True if entry.license is not None else None,
                hub_content_arn=hub_content_arn,
            ),
            environment=dict(how["environment"]) | dict(environment or {}),
            vpc=vpc,
            subnets=subnets,
            security_groups=security_groups,
            network_isolation=entry.network_isolation,
            role=role,
        )
        self.entry, self.instance_type = entry, chosen

    def variant(
        self,
        *,
        name: str,
        instance_count: int = 2,
        weight: float = 1,
        volume_size_gb: int | None = None,
        scaling: Scaling | None = None,
    ) -> InstanceVariant:
        """The model on its instances, with the time that JumpStart says it takes to start.

        Args:
            name: As of :class:`InstanceVariant`.
            instance_count: As of :class:`InstanceVariant`.
            weight: As of :class:`InstanceVariant`.
            volume_size_gb: As of :class:`InstanceVariant`.
            scaling: As of :class:`InstanceVariant`.
        """
        startup, download = self.entry.startup_seconds, self.entry.download_seconds
        return InstanceVariant(
            name=name,
            model=self,
            instance_type=self.instance_type,
            instance_count=instance_count,
            weight=weight,
            volume_size_gb=volume_size_gb,
            startup_timeout=None if startup is None else Duration.seconds(startup),
            download_timeout=None if download is None else Duration.seconds(download),
            scaling=scaling,
        )


def _check(
    scope: Construct, id: str, entry: JumpStartEntry, accept_license: bool | None, instance_type: str
) -> None:
    problems = Problems(f"JumpStartModel {id!r}")
    region = Stack.of(scope).region
    problems.check(
        is_token(region) or region == entry.region,
        given=f"an entry of {entry.region} in a stack of region {region}",
        allowed="one of the stack's own region: image and artifact are there",
        write=f"{_COMMAND} {entry.model_id} --region {region}",
    )
    if entry.license is None:
        problems.check(
            accept_license is None,
            given=f"accept_license={accept_license}",
            allowed=f"None: {entry.model_id} has no licence that would have to be accepted",
            write="accept_license=None",
        )
    else:
        problems.check(
            accept_license is True,
            given=f"accept_license={accept_license}",
            allowed=f"True, once you have read the licence at {entry.license} and accept it",
            write="accept_license=True",
        )
    problems.check(
        instance_type in entry.instances,
        given=f"instance_type={instance_type!r}",
        allowed=f"what {entry.model_id} is offered on: {', '.join(entry.instances)}",
        write=f'instance_type="{entry.default_instance_type}"',
    )
    problems.raise_if_any()
