"""Training jobs on managed Spot capacity: their role, their places in the lake, their limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from aws_cdk import Duration, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_data_science._images import PrivateRegistry
from cdk_data_science._tracking import IExperimentTracking
from cdk_data_science._validation import Problems, is_token, is_whole
from cdk_data_science.data_lake import IZone
from cdk_data_science.hardware import InstanceUse, facts, instance_types
from cdk_data_science.training import network
from cdk_data_science.training.jobs.training_job import TrainingJob
from cdk_data_science.training.spot import places
from cdk_data_science.training.spot.named_jobs import NamedJobs
from cdk_data_science.training.spot.recording import check_tracking, recorded
from cdk_data_science.training.spot.role import allow_registry, allow_volume_key, job_role
from cdk_data_science.training.spot.step import TrainingStep, most_events
from cdk_data_science.training.tasks.capacity import CapacityPlan, CapacityRetry
from cdk_data_science.training.values import Channel, SourceCode

_TENSORBOARD = "tensorboard"


def _has_efa(instance_type: str) -> bool:
    if is_token(instance_type) or instance_type not in instance_types(InstanceUse.TRAINING):
        return False
    known = facts(instance_type)
    return known is not None and known.efa_interfaces > 0


class SpotTraining(NamedJobs):
    """How a model is trained: on managed Spot capacity, from its last checkpoint if it is interrupted.

    Builds the role of the jobs with what they need and nothing more: their log, their metrics, their image,
    the source archive, the output and checkpoint prefixes. It trusts SageMaker in this account only. A
    pipeline or any state machine runs the jobs (:meth:`step`); access to further data is granted to
    :attr:`role`.

    The jobs' log streams go to SageMaker's own log group ``/aws/sagemaker/TrainingJobs``, which all jobs of
    the account and region share and the first one makes, without a retention and without a key of yours. It
    is no part of any stack: the account's owner sets both on it, once.

    At rest it costs nothing. A run costs the billed seconds of its instances, on Spot up to 90 % less than
    on demand.

    Example:
        ```python
        import aws_cdk as cdk
        from cdk_data_science import DataLake, SourceCode, SpotTraining

        stack = cdk.Stack(cdk.App(), "Training")
        lake = DataLake(stack, "Lake")
        training = SpotTraining(
            stack,
            "Training",
            image="683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
            source=SourceCode(zone=lake.models, key="source/sourcedir.tar.gz", entry_point="train.py"),
            checkpoints=lake.models,
            output=lake.models,
            max_runtime=cdk.Duration.hours(4),
            max_wait=cdk.Duration.hours(8),
            metrics={"auroc": r"auroc=([0-9.]+)"},
        )
        lake.curated.grant_read(training.role)
        ```

    Args:
        image: URI of the training image, at most 255 characters: in ECR of the stack's own region, where the
            role may pull it, or in a ``private_registry``.
        checkpoints: Zone of the checkpoints, which each run keeps under ``<checkpoints_prefix><job>/``.
        output: Zone of the model archives, which each run keeps under ``<output_prefix><job>/output/``.
        max_runtime: Longest time that a job may run, one second to 28 days.
        max_wait: Longest time from creation to end, waiting for Spot capacity included; at least
            ``max_runtime``.
        source: Script-mode source archive; none for images that hold their own program.
        instance_type: One that SageMaker's training API knows.
        instance_count: Instances of a job, 1 or more.
        volume_size_gb: Size of each instance's volume, 1 to 16384 GB.
        volume_key: Key of the volumes; the key of ``output`` if not given. Types with local NVMe disks get
            none, because the API refuses it there and hardware encrypts those disks; giving one is an error.
        hyperparameters: At most 100; keys to 256 and values to 2500 characters.
        environment: Variables of the container, at most 100; keys and values to 512 characters.
        metrics: At most 40 names with the regular expression, of one group, that finds the value in the log.
        tags: Tags of the jobs, besides those of this construct, which every job gets when it is created.
        vpc: VPC that the containers are attached to; it needs a way to S3.
        subnets: The VPC's private subnets with a way out if not given.
        security_groups: A new one that lets nothing in if not given, and lets several instances use their
            Elastic Fabric Adapters where their type has some.
        encrypt_between_containers: Encrypt traffic between instances; on if there are several in a VPC.
        network_isolation: Give the containers no network; only for programs that call nothing.
        capacity_retry: Waits, other instance types and On-Demand for when SageMaker has no capacity.
        checkpoints_prefix: Folder of the checkpoints, ending in a slash, below one where the zone lets an
            upload leave out its key's name (``unnamed_key_prefixes``): SageMaker's API takes none for them.
        output_prefix: Folder of the model archives, ending in a slash.
        private_registry: Says that the image is not in ECR but in a registry that ``vpc`` reaches.
        internal_error_retries: How often SageMaker starts a job again after an internal error of its own, 0
            to 30.
        tensorboard: Keep what the program writes into ``/opt/ml/output/tensorboard``, a profiler's traces for
            example, under ``<checkpoints_prefix>tensorboard/``: the API takes no key for it either.
        job_name_prefix: Beginning of the job names: 1 to 22 lower-case letters, digits and single hyphens,
            used by no other construct of the account and region. Two hyphens end it, so that the permissions
            for ``reviews`` never hold jobs of ``reviews-prod``. Made from the construct's place in the app if
            not given.
        tracking: Where the program records its runs, such as :class:`~cdk_data_science.Mlflow`: its variables
            are given to the containers, and the role may record there. Containers in a VPC need a way to it.
        experiment: The experiment that runs belong to (``MLFLOW_EXPERIMENT_NAME``), at most 256 characters;
            ``job_name_prefix`` if not given.

    Raises:
        ConfigurationError: values that SageMaker would refuse, all of them at once.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/model-managed-spot-training.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        image: str,
        checkpoints: IZone,
        output: IZone,
        max_runtime: Duration,
        max_wait: Duration,
        source: SourceCode | None = None,
        instance_type: str = "ml.m5.xlarge",
        instance_count: int = 1,
        volume_size_gb: int = 30,
        volume_key: kms.IKey | None = None,
        hyperparameters: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        metrics: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        vpc: ec2.IVpc | None = None,
        subnets: ec2.SubnetSelection | None = None,
        security_groups: Sequence[ec2.ISecurityGroup] | None = None,
        encrypt_between_containers: bool | None = None,
        network_isolation: bool = False,
        capacity_retry: CapacityRetry | None = None,
        checkpoints_prefix: str = "checkpoints/",
        output_prefix: str = "training/",
        private_registry: PrivateRegistry | None = None,
        internal_error_retries: int = 0,
        tensorboard: bool = False,
        job_name_prefix: str | None = None,
        tracking: IExperimentTracking | None = None,
        experiment: str | None = None,
    ) -> None:
        super().__init__(scope, id, job_name_prefix=job_name_prefix)
        places.check_places(self, checkpoints=checkpoints, output=output, source=source)
        kinds = Problems("SpotTraining", self)
        kinds.check_kind("image", image, str, write='Image.xgboost(self, "1.7-1")')
        for option, given in {
            "hyperparameters": hyperparameters,
            "environment": environment,
            "metrics": metrics,
            "tags": tags,
        }.items():
            kinds.check_kind(option, given or {}, Mapping, write='{"name": "value"}')
        if capacity_retry is not None:
            kinds.check_kind("capacity_retry", capacity_retry, CapacityRetry, write="CapacityRetry()")
        kinds.raise_if_any()
        environment = dict(environment or {})
        recording = {} if tracking is None else recorded(tracking, experiment or self.job_name_prefix)
        self.output = output
        self.checkpoints = checkpoints
        self.source = source
        self.capacity_retry = capacity_retry if capacity_retry is not None else CapacityRetry()
        self._output_prefix = output_prefix
        self._checkpoints_prefix = checkpoints_prefix
        self._volume_key = volume_key if volume_key is not None else output.key

        problems = Problems("SpotTraining", self)
        self._check(problems)
        places.check_source(source, hyperparameters or {}, problems)
        problems.check(
            vpc is not None or (subnets is None and security_groups is None),
            given="subnets or security_groups without vpc",
            allowed="both belong to a VPC",
            write="vpc=vpc",
        )
        check_tracking(
            problems, recording, experiment=experiment, given=environment, isolated=network_isolation
        )
        self.role = job_role(self, "Role", job_names=self.job_names, image=image)
        self.network = (
            None
            if vpc is None
            else network.attach(
                self,
                self.role,
                vpc=vpc,
                subnets=subnets,
                security_groups=security_groups,
                efa=instance_count != 1 and _has_efa(instance_type),
            )
        )
        self.security_groups = [] if self.network is None else list(self.network.security_groups)
        several = is_whole(instance_count, 2)
        job = TrainingJob(
            role=self.role,
            image=image,
            private_registry=private_registry,
            instance_type=instance_type,
            instance_count=instance_count,
            volume_size_gb=volume_size_gb,
            volume_key=volume_key,
            internal_error_retries=internal_error_retries,
            tensorboard_uri=f"{self.checkpoints_uri}{_TENSORBOARD}/" if tensorboard else None,
            max_runtime=max_runtime,
            max_wait=max_wait,
            hyperparameters={
                **(hyperparameters or {}),
                **places.script_mode(source, Stack.of(self).region),
            },
            environment={**environment, **recording},
            metrics=metrics or {},
            network=self.network,
            network_isolation=network_isolation,
            encrypt_between_containers=(
                several and vpc is not None
                if encrypt_between_containers is None
                else encrypt_between_containers
            ),
            tags=tags or {},
        )
        # A type that is known only at deployment may have local disks, where a key makes the API refuse the
        # job.
        self.job = replace(job, volume_key=self._volume_key) if job.may_have_volume_key else job
        plan = self._plan
        self.job.check(problems, region=Stack.of(self).region)
        plan.check(problems)
        problems.raise_if_any()
        places.grant(
            self.role,
            output=output,
            output_prefix=output_prefix,
            checkpoints=checkpoints,
            checkpoints_prefix=checkpoints_prefix,
            source=source,
        )
        if tracking is not None:
            tracking.grant_log(self.role)
        if private_registry is not None:
            allow_registry(self.role, private_registry)
        for key in plan.volume_keys:
            allow_volume_key(self.role, key)

    @property
    def history_events(self) -> int:
        """The most events that :meth:`step` adds to the history of a run."""
        return most_events(self._plan.tries)

    @property
    def longest(self) -> Duration:
        """The longest time that a run takes, all its tries and the waits between them included."""
        return self._plan.longest

    @property
    def output_uri(self) -> str:
        """S3 prefix under which each job leaves its archive: ``<output_uri><job>/output/model.tar.gz``."""
        return self.output.uri(self._output_prefix)

    @property
    def output_prefix(self) -> str:
        """The key prefix of :attr:`output_uri` in the output zone."""
        return self._output_prefix

    @property
    def checkpoints_uri(self) -> str:
        """S3 prefix under which each run keeps its checkpoints, in a folder of its own."""
        return self.checkpoints.uri(self._checkpoints_prefix)

    def step(
        self,
        scope: Construct,
        id: str,
        *,
        channels: Sequence[Channel],
        on_failure: sfn.State | None = None,
        assign: Mapping[str, Any] | None = None,
    ) -> TrainingStep:
        """Return the states that run one job, for any state machine in JSONata.

        Args:
            channels: Inputs of the job. Grant :attr:`role` to read them.
            on_failure: Where to go when the job cannot be had or fails, with the variable ``failure`` set to
                ``{"error", "cause", "state"}``; a Fail state with the original error if not given.
            assign: Variables to set from ``$states.result``, which is that of ``DescribeTrainingJob``;
                :data:`REPORT` is an expression for what the run took and what is billed.
        """
        return TrainingStep(
            scope,
            id,
            job=self.job,
            job_name_prefix=self.job_name_prefix,
            channels=channels,
            output_uri=self.output_uri,
            output_key=self.output.key,
            volume_key=self._volume_key,
            checkpoints_uri=self.checkpoints_uri,
            capacity_retry=self.capacity_retry,
            tags_of=self.role.node.default_child,
            on_failure=on_failure,
            assign=assign,
        )

    @property
    def _plan(self) -> CapacityPlan:
        return CapacityPlan(self.job, self.capacity_retry, volume_key=self._volume_key)

    def _check(self, problems: Problems) -> None:
        self._check_prefix(problems)
        places.check_folder("output_prefix", self._output_prefix, problems)
        places.check_folder("checkpoints_prefix", self._checkpoints_prefix, problems)
        places.check_unnamed_key("checkpoints_prefix", self._checkpoints_prefix, self.checkpoints, problems)
