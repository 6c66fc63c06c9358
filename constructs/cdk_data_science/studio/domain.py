"""A Studio domain: where data scientists work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import CfnDeletionPolicy, CustomResource, Names, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from cdk_data_science._encryption import operations_key
from cdk_data_science._retention import destruction_allowed, removal_policy
from cdk_data_science._tracking import IExperimentTracking
from cdk_data_science._validation import Problems, in_order
from cdk_data_science.monitoring import AlertTopic
from cdk_data_science.security import PermissionBoundary
from cdk_data_science.studio import _roles
from cdk_data_science.studio._domain_base import IStudioDomain, StudioDomainBase
from cdk_data_science.studio._ending import StudioEnding
from cdk_data_science.studio._imported_domain import DomainFunctions, ImportedStudioDomain
from cdk_data_science.studio._names import NamesInDomain, StudioIdentity
from cdk_data_science.studio._profile_defaults import AttachedImage, ProfileDefaults
from cdk_data_science.studio._settings import AppDefaults
from cdk_data_science.studio._subnets import apps_group, choose_subnets
from cdk_data_science.studio.idle import IdleShutdown
from cdk_data_science.studio.images import CustomImage, StudioImage
from cdk_data_science.studio.lifecycle import LifecycleScript, StudioLifecycleConfig
from cdk_data_science.studio.mlflow_startup import MlflowStartup
from cdk_data_science.studio.users import SpaceApp, check_name, check_volume

_MOST_GROUPS = 5


class StudioDomain(StudioDomainBase):
    """A Studio domain without internet, encrypted with a key of its own, whose idle apps end.

    Teams are added to it, each in any stack, as :class:`StudioTeam`. Every persona of a team has a role; what
    is a user's own is decided by the name in the session, so that people who share a role cannot open each
    other's spaces. ``CreatePresignedDomainUrl`` is granted by :meth:`grant_open`.

    What cannot be changed, the name, the key, the VPC and how people enter, is locked: an update that changes
    one is refused before it reaches the domain, which CloudFormation would replace by an empty one.

    When the stack is deleted, a function ends the apps, and the domain with its interfaces and security
    groups. Spaces have volumes with files: if there are any, the deletion stops there, unless both
    ``destroy`` and the context key ``cdk-data-science:destroyData`` were deployed before. The same two keys
    delete the home file system, which otherwise stays, without mount targets.

    **Costs at rest**: 2 USD a month for two keys, 0.10 USD for an alarm. The home file system costs for what
    is in it, and a space 0.112 USD a month for each GB of its volume, whether it runs or not. In a VPC
    without internet, Studio needs the interface endpoints of ``NetworkFeature.STUDIO``, which cost by the
    hour.

    ```python
    from cdk_data_science import ResearchNetwork, StudioDomain, StudioTeam, StudioUser
    from cdk_data_science.network import NetworkFeature

    network = ResearchNetwork(
        self, "Network", zones=["us-east-1a", "us-east-1b"], features=[NetworkFeature.STUDIO]
    )
    studio = StudioDomain(
        self,
        "Studio",
        vpc=network.vpc,
        subnets=network.jobs,
        security_groups=[network.security_groups.workload],
    )
    StudioTeam(
        self, "Reviews", domain=studio, name="reviews", cost_center="4711", users=[StudioUser(name="ann")]
    )
    ```

    Args:
        vpc: Where apps are, and the home file system.
        subnets: Subnets in two zones or more, at most 16. Default: the VPC's private ones.
        security_groups: Groups of the apps, 1 to 5. Default: a new one that lets HTTPS out and nothing in.
        identity: How people enter. Default: with IAM.
        name: The domain's name: 1 to 63 lower-case letters, digits and hyphens. Default: one from the path.
        key: Encrypts the home file system and the volumes of spaces. Default: a new one.
        log_key: Encrypts logs and dead letters; CloudWatch Logs has to be allowed to use it. Default: a new
            one.
        alerts: Where the alarm on failed calls of the functions goes. Default: nowhere; the alarm is
            ``ending.alarm``.
        idle: When idle apps end. Default: after two hours; people may set up to eight. None: never.
        scripts: Run at each start of an app. Default: none.
        images: Can be chosen beside SageMaker's own. Default: none.
        mlflow: Where runs are recorded. Notebooks find it, and those who train may use it. Default: none.
        canvas: Offer Canvas, which costs 1.90 USD an hour while somebody is logged in. Default: no.
        volume_gb: The volume of a new space, 5 to 16384 GB. Default: 10.
        largest_volume_gb: The most that a person may set, 5 to 16384 GB. Default: 100.
        home_file_system: Have a home directory for each user on EFS. Default: yes.
        boundary: The boundary of the roles. Default: a new one.
        may_be_replaced: Let an update replace the domain. Default: no.
        destroy: Let files be lost with the stack. Works only together with the context key
            ``cdk-data-science:destroyData``. Default: no.
        runtime: Python of the functions. Default: 3.13.
        architecture: Processor of the functions. Default: arm64.

    Raises:
        ConfigurationError: For values that cannot work, all of them at once.

    Follows https://docs.aws.amazon.com/sagemaker/latest/dg/studio-updated-and-internet-access.html,
    https://docs.aws.amazon.com/sagemaker/latest/dg/studio-updated-jl-admin-guide-permissions.html and
    https://docs.aws.amazon.com/sagemaker/latest/dg/gs-studio-delete-domain.html.
    """

    domain: sagemaker.CfnDomain
    """The domain."""

    subnets: Sequence[ec2.ISubnet]
    """Where the apps are."""

    security_groups: Sequence[ec2.ISecurityGroup]
    """The groups of the apps."""

    key: kms.IKey
    """What encrypts the home file system and the volumes."""

    boundary: PermissionBoundary
    """What bounds the roles of apps."""

    shared_role: iam.Role
    """The role of apps in shared spaces, whoever runs them. It may do nothing until something is granted."""

    end: CustomResource
    """Ends the domain with all that is in it, before CloudFormation deletes it."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        vpc: ec2.IVpc,
        subnets: ec2.SubnetSelection | None = None,
        security_groups: Sequence[ec2.ISecurityGroup] | None = None,
        identity: StudioIdentity = StudioIdentity.IAM,
        name: str | None = None,
        key: kms.IKey | None = None,
        log_key: kms.IKey | None = None,
        alerts: AlertTopic | None = None,
        idle: IdleShutdown | None = IdleShutdown(),  # noqa: B008 -- immutable
        scripts: Sequence[LifecycleScript] = (),
        images: Sequence[CustomImage] = (),
        mlflow: IExperimentTracking | None = None,
        canvas: bool = False,
        volume_gb: int = 10,
        largest_volume_gb: int = 100,
        home_file_system: bool = True,
        boundary: PermissionBoundary | None = None,
        may_be_replaced: bool = False,
        destroy: bool = False,
        runtime: lambda_.Runtime | None = None,
        architecture: lambda_.Architecture | None = None,
    ) -> None:
        super().__init__(scope, id)
        problems = Problems("StudioDomain", self)
        problems.check_constructs("vpc", vpc, write='ec2.Vpc.from_vpc_attributes(self, "Vpc", …)')
        if subnets is not None:
            problems.check_kind("subnets", subnets, ec2.SubnetSelection, write="ec2.SubnetSelection(…)")
        problems.check_each_construct(
            "security_groups", security_groups or (), write="ec2.SecurityGroup.from_security_group_id(…)"
        )
        problems.check_kind("identity", identity, StudioIdentity, write="StudioIdentity.IDENTITY_CENTER")
        if idle is not None:
            problems.check_kind("idle", idle, IdleShutdown, write="IdleShutdown(minutes=120)")
        problems.check_each("scripts", scripts, LifecycleScript, write="LifecycleScript(…)")
        problems.check_each("images", images, CustomImage, write="CustomImage(…)")
        if mlflow is not None:
            problems.check_constructs("mlflow", mlflow, write='Mlflow.from_arn(self, "Mlflow", …)')
        problems.raise_if_any()
        chosen = choose_subnets(problems, vpc, subnets)
        if name is not None:
            check_name(problems, name, "domain name")
        problems.check(
            security_groups is None or 1 <= len(security_groups) <= _MOST_GROUPS,
            given=f"{len(security_groups or ())} security groups",
            allowed=f"1 to {_MOST_GROUPS}",
        )
        if idle is not None:
            idle.check(problems)
        check_volume(problems, volume_gb, "volume_gb")
        check_volume(problems, largest_volume_gb, "largest_volume_gb")
        problems.check(
            in_order(volume_gb, largest_volume_gb),
            given=f"volume_gb={volume_gb}, largest_volume_gb={largest_volume_gb}",
            allowed="a volume_gb that is at most largest_volume_gb",
        )
        for each in scripts:
            each.check(problems)
        for image in images:
            image.check(problems, Stack.of(self).region)
        for what, names in (("scripts", [s.name for s in scripts]), ("images", [i.name for i in images])):
            problems.check(len({*names}) == len(names), given=f"{what} {names}", allowed="each name once")
        problems.raise_if_any()

        self.identity, self.mlflow, self.names = identity, mlflow, NamesInDomain()
        self.largest_volume_gb = largest_volume_gb
        self.destroy = destruction_allowed(self, destroy=destroy)
        self.name = name if name is not None else _name(self)
        self.boundary = boundary if boundary is not None else PermissionBoundary(self, "Boundary")
        self.key = key if key is not None else self._own_key(destroy=destroy)
        self.log_key = (
            log_key
            if log_key is not None
            else operations_key(self, "LogKey", description=f"Logs of Studio {self.node.path}")
        )
        self.runtime = runtime if runtime is not None else lambda_.Runtime.PYTHON_3_13
        self.architecture = architecture if architecture is not None else lambda_.Architecture.ARM_64
        self.subnets = chosen.subnets
        self.security_groups = security_groups if security_groups is not None else [apps_group(self, vpc)]
        self.defaults = AppDefaults(
            idle=idle,
            scripts=[
                *(StudioLifecycleConfig(self, f"Script-{s.name}", script=s) for s in scripts),
                *(
                    MlflowStartup(self, f"Mlflow{app.value}", app=app, mlflow=mlflow)
                    for app in SpaceApp
                    if mlflow is not None
                ),
            ],
            images=[StudioImage(self, f"Image-{image.name}", image=image) for image in images],
            canvas=canvas,
            volume_gb=volume_gb,
            largest_volume_gb=largest_volume_gb,
            security_groups=[group.security_group_id for group in self.security_groups],
            home_file_system=home_file_system,
        )
        self.profiles = self.defaults.profiles
        self.ending = StudioEnding(
            self,
            "Ending",
            log_key=self.log_key,
            runtime=self.runtime,
            architecture=self.architecture,
            alerts=alerts,
        )
        self.shared_role = _roles.execution_role(
            self, "SharedRole", description=f"Apps in shared spaces of {self.name}", boundary=self.boundary
        )
        _roles.use_volumes(self.shared_role, self.key)
        self.domain = self._make(vpc, chosen, may_be_replaced=may_be_replaced)
        self.node.default_child = self.domain
        self.end = self.ending.end_domain(
            self,
            "End",
            domain_id=self.domain.attr_domain_id,
            vpc_id=vpc.vpc_id,
            file_system=self.domain.attr_home_efs_file_system_id if home_file_system else None,
            destroy=self.destroy,
        )
        self.end.node.add_dependency(self.domain)

    @staticmethod
    def from_domain_attributes(
        scope: Construct,
        id: str,
        *,
        domain_id: str,
        identity: StudioIdentity = StudioIdentity.IAM,
        key: kms.IKey | None = None,
        shared_role: iam.IRole | None = None,
        security_groups: Sequence[ec2.ISecurityGroup] = (),
        scripts: Mapping[SpaceApp, Sequence[str]] | None = None,
        images: Sequence[AttachedImage] = (),
        canvas: bool = False,
        mlflow: IExperimentTracking | None = None,
        boundary: PermissionBoundary | None = None,
        alerts: AlertTopic | None = None,
        log_key: kms.IKey | None = None,
        destroy: bool = False,
        runtime: lambda_.Runtime | None = None,
        architecture: lambda_.Architecture | None = None,
    ) -> IStudioDomain:
        """Use a domain of this account and region that something else owns: another app, or a person.

        Teams, the way in and the dashboard stand on it as on one of this app. The domain itself stays as it
        is, and what belongs to it alone is not asked for here: subnets, idle times, volumes, and its end. Two
        of its settings are what keeps people's places apart, and have to be there:
        ``ExecutionRoleIdentityConfig`` with ``USER_PROFILE_NAME`` and ``TagPropagation`` with ``ENABLED``
        (``aws sagemaker describe-domain``).

        The first team makes a function that ends the apps and spaces of a user who is removed, an alarm on
        it and a key for its log: 1.10 USD a month, less with ``log_key``.

        ```python
        from cdk_data_science import StudioDomain, StudioTeam, StudioUser

        studio = StudioDomain.from_domain_attributes(self, "Studio", domain_id="d-abcdefghijkl")
        StudioTeam(
            self, "Reviews", domain=studio, name="reviews", cost_center="4711", users=[StudioUser(name="ann")]
        )
        ```

        Args:
            domain_id: Its id: ``d-`` and 12 letters and digits.
            identity: How people enter. Default: with IAM.
            key: Encrypts the volumes of its spaces. Default: a key of AWS, so that none is granted.
            shared_role: The role of apps in its shared spaces (``DefaultSpaceSettings``). Teams can have
                shared spaces only where there is one. Default: none.
            security_groups: Further groups of the apps; those of the domain stay. Default: none.
            scripts: ARNs of lifecycle configurations that each profile of a team has. Default: none.
            images: Of those that the domain has, what each profile of a team can choose. Default: none.
            canvas: Whether it offers Canvas. Default: no.
            mlflow: Where those who train record their runs. Default: nowhere.
            boundary: The boundary of the teams' roles. Default: a new one.
            alerts: Where the alarm on failed calls of the functions goes. Default: nowhere.
            log_key: Encrypts logs and dead letters; CloudWatch Logs has to be allowed to use it. Default: a
                new one.
            destroy: Let the files of a removed user be lost, together with the context key
                ``cdk-data-science:destroyData``. Default: no.
            runtime: Python of the functions. Default: 3.13.
            architecture: Processor of the functions. Default: arm64.

        Raises:
            ConfigurationError: For values that cannot work, all of them at once.
        """
        problems = Problems("StudioDomain.from_domain_attributes", scope)
        problems.check_kind("domain_id", domain_id, str, write='"d-abcdefghijkl"')
        problems.check_kind("identity", identity, StudioIdentity, write="StudioIdentity.IDENTITY_CENTER")
        problems.check_each_construct(
            "security_groups", security_groups, write="ec2.SecurityGroup.from_security_group_id(…)"
        )
        problems.check_kind(
            "scripts", scripts or {}, Mapping, write="{SpaceApp.JUPYTER_LAB: [StudioLifecycleConfig(…).arn]}"
        )
        problems.check_each("images", images, AttachedImage, write="AttachedImage(…)")
        if key is not None:
            problems.check_constructs("key", key, write='kms.Key.from_key_arn(self, "Key", …)')
        if shared_role is not None:
            problems.check_constructs(
                "shared_role", shared_role, write='iam.Role.from_role_arn(self, "SharedRole", …)'
            )
        problems.raise_if_any()
        return ImportedStudioDomain(
            scope,
            id,
            domain_id=domain_id,
            identity=identity,
            key=key,
            shared_role=shared_role,
            mlflow=mlflow,
            profiles=ProfileDefaults(
                security_groups=[group.security_group_id for group in security_groups],
                canvas=canvas,
                scripts=dict(scripts or {}),
                images=[*images],
            ),
            functions=DomainFunctions(
                alerts=alerts, log_key=log_key, runtime=runtime, architecture=architecture
            ),
            boundary=boundary,
            destroy=destroy,
        )

    @property
    def domain_id(self) -> str:
        """The domain's id."""
        return self.domain.attr_domain_id

    @property
    def url(self) -> str:
        """Where Studio is."""
        return self.domain.attr_url

    def _make(
        self, vpc: ec2.IVpc, chosen: ec2.SelectedSubnets, *, may_be_replaced: bool
    ) -> sagemaker.CfnDomain:
        nobody = _roles.execution_role(
            self,
            "DefaultRole",
            description=f"Profiles of {self.name} without a role of their own: it may do nothing",
            boundary=self.boundary,
        )
        create_only = {
            "AuthMode": self.identity.value,
            "DomainName": self.name,
            "KmsKeyId": self.key.key_arn,
            "VpcId": vpc.vpc_id,
        }
        lock = self.ending.lock(self, "Lock", create_only=create_only, may_be_replaced=may_be_replaced)
        domain = sagemaker.CfnDomain(
            self,
            "Resource",
            auth_mode=create_only["AuthMode"],
            domain_name=create_only["DomainName"],
            kms_key_id=create_only["KmsKeyId"],
            vpc_id=create_only["VpcId"],
            subnet_ids=chosen.subnet_ids,
            app_network_access_type="VpcOnly",
            default_user_settings=self.defaults.of_domain(nobody.role_arn),
            default_space_settings=self.defaults.of_spaces(self.shared_role.role_arn),
            domain_settings=sagemaker.CfnDomain.DomainSettingsProperty(
                execution_role_identity_config="USER_PROFILE_NAME",
                docker_settings=sagemaker.CfnDomain.DockerSettingsProperty(enable_docker_access="DISABLED"),
            ),
            home_efs_file_system_creation="Enabled" if self.defaults.home_file_system else "Disabled",
            tag_propagation="ENABLED",
        )
        # What `end` has not ended, because files would be lost, CloudFormation does not end either.
        domain.cfn_options.update_replace_policy = CfnDeletionPolicy.RETAIN
        domain.cfn_options.deletion_policy = (
            CfnDeletionPolicy.DELETE if self.destroy else CfnDeletionPolicy.RETAIN_EXCEPT_ON_CREATE
        )
        domain.node.add_dependency(lock, self.shared_role, nobody)
        return domain

    def _own_key(self, *, destroy: bool) -> kms.Key:
        return kms.Key(
            self,
            "Key",
            description=f"Home directories and volumes of Studio {self.node.path}",
            enable_key_rotation=True,
            removal_policy=removal_policy(self, destroy=destroy),
        )


def _name(scope: Construct) -> str:
    return Names.unique_resource_name(scope, max_length=63, separator="-").strip("-").lower()
