"""One zone, one subnet, and a group whose members may say everything to each other."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge
from cdk_data_science._interfaces import allow_interfaces
from cdk_data_science._validation import Problems, is_token
from cdk_data_science.training.network import TrainingNetwork


class ClusterNetwork(Construct):
    """Where the instances of a cluster are: one subnet, and a security group for their fabric adapters.

    Elastic Fabric Adapters do not reach into another availability zone, and they need rules from and to the
    group itself: a rule that lets everything out does not count for them. Nothing is let in from outside of
    the group.

    Costs nothing.

    ```python
    import aws_cdk as cdk
    from aws_cdk import aws_ec2 as ec2
    from aws_cdk import aws_iam as iam
    from cdk_data_science.clusters import ClusterNetwork
    from cdk_data_science.training import TrainingJob

    network = ClusterNetwork(self, "Cluster", vpc=ec2.Vpc(self, "Vpc", max_azs=2))
    role = iam.Role(self, "JobRole", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    network.grant_attach(role)
    TrainingJob(
        role=role,
        image="763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.5-gpu-py311",
        instance_type="ml.p5.48xlarge",
        instance_count=4,
        training_plan_arn="arn:aws:sagemaker:us-east-1:111122223333:training-plan/summer",
        max_runtime=cdk.Duration.days(2),
        network=network.network,
    )
    ```

    Args:
        vpc: The VPC.
        subnets: Exactly one subnet. Default: the first of the VPC's private subnets.
        security_groups: Further groups of the instances, for what else they reach; at most four.

    Raises:
        ConfigurationError: several subnets, or too many groups.

    Follows https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/efa-start.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        vpc: ec2.IVpc,
        subnets: ec2.SubnetSelection | None = None,
        security_groups: Sequence[ec2.ISecurityGroup] = (),
    ) -> None:
        super().__init__(scope, id)
        given = subnets if subnets is not None else ec2.SubnetSelection()
        chosen: list[ec2.ISubnet] = vpc.select_subnets(
            availability_zones=given.availability_zones,
            one_per_az=given.one_per_az,
            subnet_filters=given.subnet_filters,
            subnet_group_name=given.subnet_group_name,
            subnets=given.subnets,
            subnet_type=given.subnet_type,
        ).subnets
        problems = Problems("ClusterNetwork", self)
        zones = [subnet.availability_zone for subnet in chosen]
        problems.check(
            subnets is None or len(chosen) == 1,
            given=f"{len(chosen)} subnets, in {', '.join(each for each in zones if not is_token(each))}",
            allowed="one subnet: fabric adapters do not reach into another zone",
            write="subnets=ec2.SubnetSelection(subnets=[subnet])",
        )
        problems.check(
            len(security_groups) <= 4,
            given=f"{len(security_groups)} security_groups",
            allowed="at most four beside the cluster's own",
        )
        problems.raise_if_any()
        self.vpc = vpc
        self.subnet = chosen[0]
        self.security_group = ec2.SecurityGroup(
            self, "SecurityGroup", vpc=vpc, description="Instances of one cluster; nothing is let in else"
        )
        everything = ec2.Port.all_traffic()
        self.security_group.add_ingress_rule(self.security_group, everything, "between the instances")
        ec2.CfnSecurityGroupEgress(
            self,
            "BetweenInstances",
            group_id=self.security_group.security_group_id,
            destination_security_group_id=self.security_group.security_group_id,
            ip_protocol="-1",
            description="between the instances, over their fabric adapters",
        )
        self.security_groups: list[ec2.ISecurityGroup] = [self.security_group, *security_groups]
        acknowledge(
            self.security_group,
            [
                f"{pack}-EC2RestrictedCommonPorts"
                for pack in ("NIST.800.53.R5", "HIPAA.Security", "PCI.DSS.321")
            ],
            "Fabric adapters need all traffic between the instances of a cluster, and only members of this "
            "group are let in.",
        )

    @property
    def network(self) -> TrainingNetwork:
        """The network of a :class:`~cdk_data_science.training.TrainingJob`."""
        return TrainingNetwork(subnets=[self.subnet], security_groups=self.security_groups)

    def grant_attach(self, role: iam.Role) -> iam.Grant:
        """Let SageMaker, in a role, attach instances to the network."""
        return allow_interfaces(
            role, subnets=[self.subnet], security_groups=self.security_groups, detached=True
        )


def check_network(problems: Problems, network: object) -> None:
    """Record what is no network of a cluster, such as a VPC. Raise before it is used."""
    problems.check_kind(
        "network", network, ClusterNetwork, write='ClusterNetwork(self, "ClusterNetwork", vpc=vpc)'
    )
