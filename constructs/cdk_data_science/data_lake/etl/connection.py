"""What a job reaches beside AWS services: a VPC, and a database in it."""

from __future__ import annotations

import re
from typing import Any

import jsii
from aws_cdk import Names, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge
from cdk_data_science._validation import Problems, is_token

_PACKS = ("NIST.800.53.R5", "HIPAA.Security", "PCI.DSS.321")
_ENGINES = ("postgresql", "mysql", "mariadb", "sqlserver", "oracle", "redshift", "db2")
_URL = re.compile(rf"jdbc:(?:{'|'.join(_ENGINES)}):.+")
_CREDENTIALS = re.compile(r"(?i)(?:[?&;](?:user|username|password|uid|pwd)=)|(?:oracle:thin:[^@/]+/[^@]+@)")


@jsii.implements(ec2.IConnectable)
class JobConnection(Construct):
    """A connection of Glue jobs to one subnet of a VPC. What is to be reached lets it in:
    ``database.connections.allow_default_port_from(connection)``.

    Jobs with it have no other way out than that of the subnet: S3 needs a gateway endpoint there, and all
    that the job calls beside it an interface endpoint or a NAT gateway (Glue, KMS, CloudWatch Logs; Secrets
    Manager for databases). Jobs with several connections need them in one availability zone.

    **Costs at rest**: nothing.

    ```python
    from aws_cdk import aws_ec2 as ec2
    from cdk_data_science import DataLake, JobConnection, ScriptObject, SparkJob

    lake = DataLake(self, "Lake")
    vpc = ec2.Vpc(self, "Vpc", max_azs=2)
    inside = JobConnection(self, "Inside", vpc=vpc)
    SparkJob(
        self, "Load", script=ScriptObject(zone=lake.raw, key="jobs/load.py"), connections=[inside]
    )
    ```

    Args:
        vpc: The network.
        subnet: A private subnet of it. Default: the first one that has a way out.
        security_group: What the interfaces of jobs get. It has to let all TCP ports in from itself, by which
            the workers of a job talk, and nothing else. Default: a new one, which lets out HTTPS and what
            databases let in.

    Follows https://docs.aws.amazon.com/glue/latest/dg/start-connecting.html and
    https://docs.aws.amazon.com/glue/latest/dg/setup-vpc-for-glue-access.html.
    """

    connection: glue.CfnConnection
    """The resource."""

    name: str
    """The connection's name, for the script."""

    security_group: ec2.ISecurityGroup
    """What the interfaces of jobs get."""

    subnet: ec2.ISubnet
    """Where they are."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        vpc: ec2.IVpc,
        subnet: ec2.ISubnet | None = None,
        security_group: ec2.ISecurityGroup | None = None,
    ) -> None:
        super().__init__(scope, id)
        self._connect("NETWORK", {}, vpc, subnet, security_group)

    @property
    def connections(self) -> ec2.Connections:
        """What lets jobs into other security groups, and them into databases."""
        return self._connections

    def grant_use(self, role: iam.IRole) -> iam.Grant:
        """Let the role of a job look the connection up. What it needs to use the network is the job's matter.

        Args:
            role: The job's.
        """
        stack = Stack.of(self)
        return iam.Grant.add_to_principal(
            grantee=role,
            actions=["glue:GetConnection"],
            resource_arns=[
                stack.format_arn(service="glue", resource="catalog"),
                stack.format_arn(service="glue", resource="connection", resource_name=self.name),
            ],
        )

    def _connect(
        self,
        kind: str,
        properties: dict[str, Any],
        vpc: ec2.IVpc,
        subnet: ec2.ISubnet | None,
        security_group: ec2.ISecurityGroup | None,
    ) -> None:
        if subnet is None:
            problems = Problems(type(self).__name__, self)
            problems.check(
                bool(vpc.private_subnets),
                given="a VPC without a private subnet that has a way out",
                allowed="a subnet of it: the way to AWS services is by endpoints there",
                write="subnet=vpc.isolated_subnets[0]",
            )
            problems.raise_if_any()
            subnet = vpc.select_subnets(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS).subnets[0]
        self.subnet = subnet
        self.security_group = self._group(vpc) if security_group is None else security_group
        self._connections = ec2.Connections(security_groups=[self.security_group])
        self.connection = glue.CfnConnection(
            self,
            "Resource",
            catalog_id=Stack.of(self).account,
            connection_input=glue.CfnConnection.ConnectionInputProperty(
                # CloudFormation gives no name to it.
                name=Names.unique_resource_name(self, max_length=200, separator="-"),
                connection_type=kind,
                connection_properties=properties,
                physical_connection_requirements=(
                    glue.CfnConnection.PhysicalConnectionRequirementsProperty(
                        availability_zone=subnet.availability_zone,
                        subnet_id=subnet.subnet_id,
                        security_group_id_list=[self.security_group.security_group_id],
                    )
                ),
            ),
        )
        acknowledge(
            self.connection,
            ["CloudFormation-Validate::W3010"],
            "Glue asks for the zone of the connection's subnet, and the app names its zones.",
        )
        self.name = self.connection.ref
        self.node.default_child = self.connection

    def _group(self, vpc: ec2.IVpc) -> ec2.SecurityGroup:
        group = ec2.SecurityGroup(
            self,
            "SecurityGroup",
            vpc=vpc,
            description="Workers of Glue jobs: nothing in but from each other",
            allow_all_outbound=False,
        )
        between = ec2.Port.all_tcp()
        group.add_ingress_rule(group, between, "between the workers of a job")
        group.add_egress_rule(group, between, "between the workers of a job")
        group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "to AWS services")
        acknowledge(
            group,
            (f"{pack}-EC2RestrictedCommonPorts" for pack in _PACKS),
            "Glue asks for all TCP ports between the workers of a job, and only members of this group are "
            "let in (https://docs.aws.amazon.com/glue/latest/dg/setup-vpc-for-glue-access.html).",
        )
        return group


class DatabaseConnection(JobConnection):
    """A connection of Glue jobs to a database in a VPC, over TLS, with its credentials in Secrets Manager.

    A job with it may read this secret and no other one. The secret has ``username`` and ``password``, as RDS
    and Redshift keep theirs.

    **Costs at rest**: nothing beside the secret.

    ```python
    from aws_cdk import aws_ec2 as ec2
    from aws_cdk import aws_secretsmanager as secretsmanager
    from cdk_data_science import DatabaseConnection, DataLake, ScriptObject, SparkJob, ZoneFolder

    lake = DataLake(self, "Lake")
    orders = DatabaseConnection(
        self,
        "Orders",
        url="jdbc:postgresql://orders.shop.internal:5432/shop",
        secret=secretsmanager.Secret(self, "Reader"),
        vpc=ec2.Vpc(self, "Vpc", max_azs=2),
    )
    SparkJob(
        self,
        "Load",
        script=ScriptObject(zone=lake.raw, key="jobs/load_orders.py"),
        arguments={"--connection": orders.name},
        connections=[orders],
        writes=[ZoneFolder(zone=lake.raw, prefix="orders/")],
        schedule="cron(30 2 * * ? *)",
    )
    ```

    Args:
        url: JDBC address of PostgreSQL, MySQL, MariaDB, SQL Server, Oracle, Db2 or Redshift, without
            credentials.
        secret: User name and password.
        vpc: The network.
        subnet: A private subnet from which the database is reached. Default: the first one that has a way
            out.
        security_group: As in :class:`JobConnection`.

    Raises:
        ConfigurationError: For an address that Glue does not know, or with credentials in it.

    Follows https://docs.aws.amazon.com/glue/latest/dg/connection-properties-secrets-manager.html.
    """

    secret: secretsmanager.ISecret
    """User name and password."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        url: str,
        secret: secretsmanager.ISecret,
        vpc: ec2.IVpc,
        subnet: ec2.ISubnet | None = None,
        security_group: ec2.ISecurityGroup | None = None,
    ) -> None:
        Construct.__init__(self, scope, id)
        problems = Problems("DatabaseConnection", self)
        known = is_token(url) and "jdbc:" not in url
        problems.check(
            known or bool(_URL.fullmatch(url)),
            given=f"url={_without_credentials(url)!r}",
            allowed=f"a JDBC address of {', '.join(_ENGINES)}",
            write='url="jdbc:postgresql://host:5432/shop"',
        )
        problems.check(
            not _CREDENTIALS.search(url),
            given="a url with credentials in it",
            allowed="an address alone: it can be read in the template and in the console",
            write="secret=…",
        )
        problems.raise_if_any()
        self.secret = secret
        properties = {"JDBC_CONNECTION_URL": url, "SECRET_ID": secret.secret_arn, "JDBC_ENFORCE_SSL": "true"}
        self._connect("JDBC", properties, vpc, subnet, security_group)

    def grant_use(self, role: iam.IRole) -> iam.Grant:
        """Let the role of a job look the connection up and read its secret.

        Args:
            role: The job's.
        """
        return super().grant_use(role).combine(self.secret.grant_read(role))


def _without_credentials(url: str) -> str:
    """What may be shown of an address: not what stands before an @ or behind a ?."""
    return re.split(r"[?;]", url.rpartition("@")[2])[0]
