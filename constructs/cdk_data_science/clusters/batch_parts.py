"""How a Batch cluster launches its instances, and what its jobs are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import Duration, Fn, Stack
from aws_cdk import aws_batch as batch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct, IConstruct

from cdk_data_science._tags import tag_specifications
from cdk_data_science.clusters.network import ClusterNetwork
from cdk_data_science.clusters.reservation import CapacityReservation
from cdk_data_science.clusters.topology import adapters
from cdk_data_science.hardware import InstanceFacts

SHARED = "/fsx"
"""Where instances and containers find the shared file system."""

_LAUNCHED = ("instance", "volume", "network-interface")
"""What a launch makes that can carry tags."""

_SHARED_MEMORY = 0.5
_USED_MEMORY = 0.9
_VERBS = "/dev/infiniband/uverbs"


def launch_template(
    scope: Construct,
    id: str,
    *,
    known: InstanceFacts,
    network: ClusterNetwork,
    reservation: CapacityReservation | None,
    volume_gb: int,
    mount: str | None,
    tags_of: IConstruct | None,
) -> ec2.CfnLaunchTemplate:
    """How instances are launched: their adapters, their volume, where their capacity comes from, whose tags
    they carry."""
    template = ec2.CfnLaunchTemplate
    groups = [each.security_group_id for each in network.security_groups]
    data = template.LaunchTemplateDataProperty(
        network_interfaces=[
            template.NetworkInterfaceProperty(
                network_card_index=card,
                device_index=device,
                interface_type=kind,
                subnet_id=network.subnet.subnet_id,
                groups=groups,
                delete_on_termination=True,
                associate_public_ip_address=False if (card, device) == (0, 0) else None,
            )
            for card, device, kind in adapters(known)
        ],
        block_device_mappings=[
            template.BlockDeviceMappingProperty(
                device_name="/dev/xvda",
                ebs=template.EbsProperty(
                    volume_size=volume_gb,
                    volume_type="gp3",
                    encrypted=True,
                    delete_on_termination=True,
                ),
            )
        ],
        metadata_options=template.MetadataOptionsProperty(http_tokens="required"),
        capacity_reservation_specification=None
        if reservation is None
        else template.CapacityReservationSpecificationProperty(
            capacity_reservation_target=template.CapacityReservationTargetProperty(
                capacity_reservation_id=reservation.id
            )
        ),
        instance_market_options=template.InstanceMarketOptionsProperty(market_type="capacity-block")
        if reservation is not None and reservation.block
        else None,
        user_data=None if mount is None else Fn.base64(_user_data(mount)),
    )
    made = template(scope, id, launch_template_data=data)
    # CDK's structs take no tags that are known only when the template is written.
    for where, kinds in (
        ("LaunchTemplateData.TagSpecifications", _LAUNCHED),
        ("TagSpecifications", ("launch-template",)),
    ):
        made.add_property_override(where, tag_specifications(kinds, tags_of))
    return made


def _user_data(mount: str) -> str:
    """Batch takes user data in MIME's multipart form."""
    return "\n".join(
        (
            'Content-Type: multipart/mixed; boundary="=="',
            "MIME-Version: 1.0",
            "",
            "--==",
            'Content-Type: text/x-shellscript; charset="us-ascii"',
            "",
            "#!/bin/bash",
            "amazon-linux-extras install -y lustre || dnf install -y lustre-client",
            mount,
            "--==--",
            "",
        )
    )


def job_definition(
    scope: Construct,
    id: str,
    *,
    known: InstanceFacts,
    nodes: int,
    image: str,
    command: Sequence[str],
    variables: Mapping[str, str],
    roles: tuple[iam.IRole, iam.IRole],
    log_group: logs.ILogGroup,
    timeout: Duration | None,
    attempts: int,
    mounted: bool,
) -> batch.CfnJobDefinition:
    """A multi-node parallel job, whose containers have the whole of an instance each.

    Args:
        roles: That of the program, and that which starts its containers.
        mounted: Whether the instances have the shared file system.
    """
    definition = batch.CfnJobDefinition
    job_role, execution_role = roles
    memory = int(known.memory_gib * 1024 * _USED_MEMORY)
    requirements = [("VCPU", known.vcpus), ("MEMORY", memory)]
    if known.cuda and known.accelerator is not None:
        requirements.append(("GPU", known.accelerator.count))
    properties = definition.ContainerPropertiesProperty(
        image=image,
        command=list(command) or None,
        job_role_arn=job_role.role_arn,
        execution_role_arn=execution_role.role_arn,
        environment=[
            definition.EnvironmentProperty(name=name, value=value) for name, value in variables.items()
        ],
        resource_requirements=[
            definition.ResourceRequirementProperty(type=kind, value=str(value))
            for kind, value in requirements
        ],
        linux_parameters=definition.LinuxParametersProperty(
            devices=[
                definition.DeviceProperty(
                    host_path=path, container_path=path, permissions=["READ", "WRITE", "MKNOD"]
                )
                for path in _devices(known)
            ],
            shared_memory_size=int(memory * _SHARED_MEMORY),
        ),
        # Adapters pin what they send from in memory.
        ulimits=[definition.UlimitProperty(name="memlock", soft_limit=-1, hard_limit=-1)],
        volumes=[
            definition.VolumesProperty(name="fsx", host=definition.VolumesHostProperty(source_path=SHARED))
        ]
        if mounted
        else None,
        mount_points=[definition.MountPointsProperty(source_volume="fsx", container_path=SHARED)]
        if mounted
        else None,
        log_configuration=definition.LogConfigurationProperty(
            log_driver="awslogs",
            options={
                "awslogs-group": log_group.log_group_name,
                "awslogs-region": Stack.of(scope).region,
                "awslogs-stream-prefix": "job",
            },
        ),
    )
    return definition(
        scope,
        id,
        type="multinode",
        platform_capabilities=["EC2"],
        propagate_tags=True,
        node_properties=definition.NodePropertiesProperty(
            main_node=0,
            num_nodes=nodes,
            node_range_properties=[
                definition.NodeRangePropertyProperty(
                    target_nodes=f"0:{nodes - 1}",
                    container=properties,
                    instance_types=[known.name.removeprefix("ml.")],
                )
            ],
        ),
        retry_strategy=definition.RetryStrategyProperty(
            attempts=attempts,
            evaluate_on_exit=[
                definition.EvaluateOnExitProperty(action="RETRY", on_status_reason="Host EC2*"),
                definition.EvaluateOnExitProperty(action="EXIT", on_reason="*"),
            ],
        )
        if attempts > 1
        else None,
        timeout=None
        if timeout is None
        else definition.TimeoutProperty(attempt_duration_seconds=int(timeout.to_seconds())),
    )


def _devices(known: InstanceFacts) -> list[str]:
    """What the container sees of the host: its adapters, and Neuron's devices, which have no resource."""
    found = [f"{_VERBS}{number}" for number in range(known.efa_interfaces)]
    if known.neuron and known.accelerator is not None:
        found += [f"/dev/neuron{number}" for number in range(known.accelerator.count)]
    return found
