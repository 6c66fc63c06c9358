"""Models that take accelerators: the server's settings follow from the instance, which is held against the
model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from aws_cdk import Duration
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science._validation import Problems, is_token
from cdk_data_science.hardware import InstanceFacts, InstanceUse, facts, instance_types, similar_types
from cdk_data_science.serving import _servers
from cdk_data_science.serving._image_kinds import kind_of
from cdk_data_science.serving._limits import SHORTEST_TIMEOUT, check_timeout
from cdk_data_science.serving._servers import MODEL_FOLDER, Server
from cdk_data_science.serving.artifact import Artifact
from cdk_data_science.serving.model import Model
from cdk_data_science.serving.neuron import Compiled, NeuronCache, cores
from cdk_data_science.serving.scaling import Scaling
from cdk_data_science.serving.variants import InstanceVariant

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_GIB = 1024**3
_HEADROOM = 1.2
_ON_GPUS, _ON_NEURON = Duration.minutes(30), Duration.minutes(60)


class HuggingFaceModel(Model):
    """A model of the Hugging Face Hub in a server for large models (LMI or TGI), on GPUs or on Inferentia and
    Trainium.

    The weights come from a folder of the lake, whose containers need no network, or from the Hub when a
    container starts: then at one commit, and never with code that came with them. Nothing is looked up at
    synthesis. What is behind a gate at the Hub has to be brought into the lake first: a token in the
    environment of a container could be read by everybody who may describe the model.

    How the model is spread over the accelerators, how long it may take to start, and what it was compiled for
    follow from the instance type, which is refused where the model or its image does not fit it.

    At rest it costs nothing; an endpoint of it costs its instances.

    Example:
        ```python
        from cdk_data_science import Artifact, DataLake, ModelEndpoint
        from cdk_data_science.serving import HuggingFaceModel

        lake = DataLake(self, "Lake")
        chat = HuggingFaceModel(
            self,
            "Chat",
            model_id="mistralai/Mistral-7B-Instruct-v0.3",
            accept_license=True,
            image="763104351884.dkr.ecr.us-east-1.amazonaws.com/djl-inference:0.36.0-lmi18.0.0-cu128",
            artifact=Artifact(zone=lake.models, key="models/mistral-7b/1/"),
            instance_type="ml.g5.12xlarge",
            parameters=7.25e9,
            max_length=8192,
        )
        ModelEndpoint(self, "Endpoint", variants=[chat.variant(name="main")])
        ```

    Args:
        model_id: As the Hub names it: ``owner/name``.
        accept_license: True: you have read the model's licence, ``https://huggingface.co/<model_id>``, and
            may use it so. It has to be said.
        image: URI of an image of DJL Serving (LMI) or Text Generation Inference (TGI), for CUDA or Neuron.
        instance_type: What it is served on.
        artifact: A folder of the lake with the weights as the Hub has them. Default: they come from the Hub.
        revision: The commit that is taken from the Hub, 40 hexadecimal digits. Needed without ``artifact``.
        server: What the image has. Default: what the name of an image of AWS says.
        compiled: On Neuron: what the artifact was compiled for, or where the compiler keeps what it makes.
        tensor_parallel: Accelerators, or NeuronCores, that one copy of the model is spread over. Default:
            what it was compiled for, or all.
        parameters: Size of the model, to check that it fits the accelerators' memory. Default: not checked.
        bytes_per_parameter: 2 for weights in 16 bits, 1 for 8, 4 for 32.
        max_length: Tokens of a request and its answer together, on GPUs. Default: the model's own.
        environment: More variables; they win over what follows from the rest.
        startup_timeout: For the container's first healthy answer: one minute to one hour. Default: half an
            hour on GPUs, an hour on Neuron.
        download_timeout: For loading the artifact: one minute to one hour. Default: half an hour.
        vpc: As of :class:`Model`.
        subnets: As of :class:`Model`.
        security_groups: As of :class:`Model`.
        network_isolation: Give the containers no network. Default: True with an ``artifact``.
        role: As of :class:`Model`.

    Raises:
        ConfigurationError: what SageMaker, the server or the devices would refuse, all of it at once.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        model_id: str,
        accept_license: bool,
        image: str,
        instance_type: str,
        artifact: Artifact | None = None,
        revision: str | None = None,
        server: Server | None = None,
        compiled: Compiled | NeuronCache | None = None,
        tensor_parallel: int | None = None,
        parameters: float = 0,
        bytes_per_parameter: float = 2,
        max_length: int | None = None,
        environment: Mapping[str, str] | None = None,
        startup_timeout: Duration | None = None,
        download_timeout: Duration | None = None,
        vpc: ec2.IVpc | None = None,
        subnets: ec2.SubnetSelection | None = None,
        security_groups: Sequence[ec2.ISecurityGroup] | None = None,
        network_isolation: bool | None = None,
        role: iam.IRole | None = None,
    ) -> None:
        isolated = artifact is not None if network_isolation is None else network_isolation
        runs = server if server is not None or is_token(image) else _servers.server_of(image)
        kind = None if is_token(image) else kind_of(image)
        problems = Problems(f"HuggingFaceModel {id!r}")
        known = _check_type(problems, instance_type)
        _check_origin(problems, model_id, accept_license, artifact, revision, isolated=isolated)
        problems.check(
            runs is not None,
            given=f"image={image!r} without server",
            allowed="an image of LMI or TGI, or one of your own with its server named",
            write='server="lmi"',
        )
        _check_compiled(problems, compiled, kind, known, isolated=isolated)
        parallel = _check_parallel(problems, tensor_parallel, compiled, known)
        _check_memory(problems, parameters * bytes_per_parameter, parallel, known)
        neuron = kind == "neuron" or (known is not None and known.neuron)
        startup = startup_timeout if startup_timeout is not None else (_ON_NEURON if neuron else _ON_GPUS)
        check_timeout(problems, "startup_timeout", startup, SHORTEST_TIMEOUT)
        check_timeout(problems, "download_timeout", download_timeout, SHORTEST_TIMEOUT)
        problems.check(
            max_length is None or (max_length >= 2 and compiled is None),
            given=f"max_length={max_length}" + (" with compiled" if compiled is not None else ""),
            allowed="2 or more, and on GPUs alone: what is compiled has a length of its own",
            write="max_length=None",
        )
        problems.raise_if_any()
        assert runs is not None  # or there was a problem
        found = _servers.environment(
            runs,
            model=MODEL_FOLDER if artifact is not None else model_id,
            revision=None if artifact is not None else revision,
            parallel=parallel,
            max_length=max_length,
            compiled=compiled,
            startup_seconds=int(startup.to_seconds()),
        )
        super().__init__(
            scope,
            id,
            image=image,
            artifact=artifact,
            environment=found | dict(environment or {}),
            made_for=kind if kind is not None else ("neuron" if neuron else "cuda"),
            vpc=vpc,
            subnets=subnets,
            security_groups=security_groups,
            network_isolation=isolated,
            role=role,
        )
        self.instance_type = instance_type
        self._startup, self._download = startup, download_timeout
        if isinstance(compiled, NeuronCache):
            compiled.grant(self.role)

    def variant(
        self,
        *,
        name: str,
        instance_count: int = 2,
        weight: float = 1,
        volume_size_gb: int | None = None,
        scaling: Scaling | None = None,
    ) -> InstanceVariant:
        """The model on its instances, with the time that it takes to start.

        Args:
            name: As of :class:`InstanceVariant`.
            instance_count: As of :class:`InstanceVariant`.
            weight: As of :class:`InstanceVariant`.
            volume_size_gb: As of :class:`InstanceVariant`; large enough for the weights.
            scaling: As of :class:`InstanceVariant`.
        """
        return InstanceVariant(
            name=name,
            model=self,
            instance_type=self.instance_type,
            instance_count=instance_count,
            weight=weight,
            volume_size_gb=volume_size_gb,
            routing="LEAST_OUTSTANDING_REQUESTS",
            startup_timeout=self._startup,
            download_timeout=self._download if self._download is not None else Duration.minutes(30),
            scaling=scaling,
        )


def _check_type(problems: Problems, instance_type: str) -> InstanceFacts | None:
    if is_token(instance_type):
        problems.check(
            False,
            given="an instance_type that is known only at deployment",
            allowed="one that is known now: the model's settings follow from it",
            write='instance_type="ml.g5.xlarge"',
        )
        return None
    close = similar_types(instance_type, InstanceUse.ENDPOINT)
    there = instance_type in instance_types(InstanceUse.ENDPOINT)
    problems.check(
        there,
        given=f"instance_type={instance_type!r}",
        allowed="an instance type of endpoints" + (f", such as {', '.join(close)}" if close else ""),
        write=f'instance_type="{close[0] if close else "ml.g5.xlarge"}"',
    )
    if not there:
        return None
    known = facts(instance_type)
    problems.check(
        known is None or known.cuda or (known.neuron and known.family != "inf1"),
        given=f"instance_type={instance_type!r}",
        allowed="types with NVIDIA GPUs, or those of Inf2 and Trn: the servers run on nothing else",
        write='instance_type="ml.g5.xlarge"',
    )
    return known


def _check_origin(
    problems: Problems,
    model_id: str,
    accept_license: bool,
    artifact: Artifact | None,
    revision: str | None,
    *,
    isolated: bool,
) -> None:
    problems.check(
        _ID.fullmatch(model_id) is not None,
        given=f"model_id={model_id!r}",
        allowed="owner/name, as the Hub has it",
        write='model_id="mistralai/Mistral-7B-Instruct-v0.3"',
    )
    problems.check(
        accept_license is True,
        given=f"accept_license={accept_license}",
        allowed=f"True, once you have read the licence at https://huggingface.co/{model_id} and accept it",
        write="accept_license=True",
    )
    problems.check(
        artifact is None or artifact.folder,
        given="an artifact that is an archive",
        allowed="a folder of the weights as they are: unpacking them would take longer than loading them",
        write='artifact=Artifact(zone=lake.models, key="models/…/1/")',
    )
    if artifact is not None:
        problems.check(
            revision is None,
            given="revision with artifact",
            allowed="one of them: the folder is what it is",
            write="revision=None",
        )
        return
    problems.check(
        revision is not None and _COMMIT.fullmatch(revision) is not None,
        given=f"revision={revision!r} without artifact",
        allowed="a commit of the Hub, 40 hexadecimal digits: a branch may change between two instances",
        write='artifact=Artifact(…), or revision="<commit>"',
    )
    problems.check(
        not isolated,
        given="network_isolation=True without artifact",
        allowed="containers that reach the Hub, or weights in the lake",
        write="artifact=Artifact(…)",
    )


def _check_compiled(
    problems: Problems,
    compiled: Compiled | NeuronCache | None,
    kind: str | None,
    known: InstanceFacts | None,
    *,
    isolated: bool,
) -> None:
    neuron = known is not None and known.neuron
    if compiled is None:
        problems.check(
            not neuron,
            given=f"{known.name if known is not None else 'Neuron'} without compiled",
            allowed="what the artifact was compiled for, or a cache: else each container compiles by itself",
            write="compiled=Compiled(cores=…, sequence_length=…)",
        )
        return
    problems.check(
        known is None or neuron,
        given=f"compiled on {known.name if known is not None else ''}",
        allowed="types of Inf2 and Trn: nothing is compiled for GPUs",
        write="compiled=None",
    )
    problems.check(
        kind in (None, "neuron"),
        given=f"compiled with an image made for {kind}",
        allowed="an image for Neuron",
        write='image="763104351884.dkr.ecr.<region>.amazonaws.com/djl-inference:0.30.0-neuronx-sdk2.20.1"',
    )
    if isinstance(compiled, Compiled):
        compiled.check(problems, known)
    else:
        compiled.check(problems, isolated=isolated)


def _check_parallel(
    problems: Problems,
    wanted: int | None,
    compiled: Compiled | NeuronCache | None,
    known: InstanceFacts | None,
) -> int:
    if known is None or known.accelerator is None:
        return wanted if wanted is not None else 1
    there = cores(known) if known.neuron else known.accelerator.count
    if isinstance(compiled, Compiled):
        problems.check(
            wanted is None or wanted == compiled.cores,
            given=f"tensor_parallel={wanted} of a model that was compiled for {compiled.cores} cores",
            allowed="what it was compiled for",
            write="tensor_parallel=None",
        )
        return compiled.cores
    if wanted is None:
        return there
    problems.check(
        1 <= wanted <= there and there % wanted == 0,
        given=f"tensor_parallel={wanted} on {known.name}",
        allowed=f"a divisor of its {there} {'NeuronCores' if known.neuron else 'GPUs'}",
        write=f"tensor_parallel={there}",
    )
    return wanted


def _check_memory(problems: Problems, size: float, parallel: int, known: InstanceFacts | None) -> None:
    if not size or known is None or known.accelerator is None:
        return
    there = cores(known) if known.neuron else known.accelerator.count
    share = known.accelerator_memory_gib * min(parallel, there) / max(there, 1)
    needed = size / _GIB * _HEADROOM
    problems.check(
        needed <= share,
        given=f"a model of {needed:,.0f} GiB, a fifth for all else included, on {known.name}",
        allowed=f"at most the {share:,.0f} GiB of the accelerators that it is spread over",
        write="a larger type, or fewer bytes_per_parameter; hardware.recommend_inference(parameters=…) helps",
    )
