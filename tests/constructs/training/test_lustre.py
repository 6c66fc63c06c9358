"""LustreScratch: what FSx takes, who reaches it, and what it shows of the lake."""

from __future__ import annotations

import json
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_stepfunctions as sfn

from cdk_data_science import AlertTopic, ConfigurationError, DataLake
from cdk_data_science.training import LustreLink, LustreScratch
from tests.compliance import iam, task_parameters
from tests.constructs import machines, nag, support
from tests.constructs.training.stacks import training

PORTS = {(988, 988), (1018, 1023)}


@pytest.fixture(scope="module")
def deployed() -> cdk.Stack:
    # GIVEN a scratch file system over two zones, and a training that reads from it
    stack = support.stack()
    lake = DataLake(stack, "Lake", zones=["features", "models"])
    vpc = ec2.Vpc(stack, "Vpc", max_azs=2)
    lustre = LustreScratch(
        stack,
        "Scratch",
        vpc=vpc,
        links=[
            LustreLink(zone=lake.features, prefix="train/", directory="/train"),
            LustreLink(zone=lake.models, directory="/models", imports=False, exports=True),
        ],
    )
    spot = training(stack, lake, vpc=vpc)
    lustre.grant_mount(spot.role, security_groups=spot.security_groups)
    step = spot.step(stack, "Train", channels=[lustre.channel("train", directory="/train")])
    sfn.StateMachine(stack, "Machine", definition_body=sfn.DefinitionBody.from_chainable(step))
    return stack


def file_system(stack: cdk.Stack) -> dict[str, Any]:
    return support.only(support.resources(stack, "AWS::FSx::FileSystem"))


def test_it_is_a_small_compressed_scratch_system_in_one_private_subnet(deployed: cdk.Stack) -> None:
    found = file_system(deployed)
    properties = found["Properties"]
    assert properties["StorageCapacity"] == 1200
    assert properties["FileSystemTypeVersion"] == "2.15"
    assert properties["LustreConfiguration"] == {"DeploymentType": "SCRATCH_2", "DataCompressionType": "LZ4"}
    (subnet,) = properties["SubnetIds"]
    assert "PrivateSubnet1" in subnet["Ref"]
    assert found["DeletionPolicy"] == "Delete"


def test_directories_show_prefixes_of_zones(deployed: cdk.Stack) -> None:
    links = {
        link["Properties"]["FileSystemPath"]: link["Properties"]
        for link in support.resources(deployed, "AWS::FSx::DataRepositoryAssociation").values()
    }
    changes = {"Events": ["NEW", "CHANGED", "DELETED"]}
    assert links["/train"]["S3"] == {"AutoImportPolicy": changes}
    assert links["/models"]["S3"] == {"AutoExportPolicy": changes}
    assert json.dumps(links["/train"]["DataRepositoryPath"]).endswith('"/train/"]]}')
    assert all(link["BatchImportMetaDataOnCreate"] is True for link in links.values())


def test_links_are_made_one_after_the_other(deployed: cdk.Stack) -> None:
    first, second = support.resources(deployed, "AWS::FSx::DataRepositoryAssociation").items()
    assert first[0] in second[1]["DependsOn"]


def test_fsx_may_use_the_zones_key_through_s3_alone(deployed: cdk.Stack) -> None:
    statements = [
        statement
        for key in support.resources(deployed, "AWS::KMS::Key").values()
        for statement in key["Properties"]["KeyPolicy"]["Statement"]
        if statement.get("Sid") == "LustreFileSystemsOfThisAccount"
    ]
    assert statements
    for statement in statements:
        assert "AWSServiceRoleForFSxS3Access_fs-*" in json.dumps(statement["Condition"]["ArnLike"])
        assert "kms:ViaService" in statement["Condition"]["StringEquals"]


def rules(stack: cdk.Stack, kind: str) -> set[tuple[int, int]]:
    """The port ranges of rules between two groups, and of a group's own."""
    return {
        (each["Properties"]["FromPort"], each["Properties"]["ToPort"])
        for each in support.resources(stack, f"AWS::EC2::SecurityGroup{kind}").values()
        if each["Properties"].get("IpProtocol") == "tcp"
    }


@pytest.mark.parametrize("kind", ["Ingress", "Egress"])
def test_lustre_is_open_on_all_its_ports_both_ways_and_on_no_other(deployed: cdk.Stack, kind: str) -> None:
    assert rules(deployed, kind) == PORTS
    groups = support.resources(deployed, "AWS::EC2::SecurityGroup")
    (servers,) = (each for name, each in groups.items() if name.startswith("Scratch"))
    assert "0.0.0.0/0" not in json.dumps(servers["Properties"].get("SecurityGroupEgress", "")).replace(
        "255.255.255.255/32", ""
    )


def test_a_training_reads_from_it(deployed: cdk.Stack) -> None:
    definition = machines.definition(deployed)
    assert task_parameters.faults(definition) == []
    (channel,) = definition["States"]["Train"]["Arguments"]["InputDataConfig"]
    source = channel["DataSource"]["FileSystemDataSource"]
    assert source["FileSystemType"] == "FSxLustre"
    assert source["DirectoryPath"].endswith("/train")
    (describe,) = (
        statement
        for statement in machines.statements(deployed, "TrainingRole")
        if "fsx:DescribeFileSystems" in machines.actions([statement])
    )
    # IAM knows no resource of this action: a policy that names one allows nothing.
    assert not iam.can_be_limited("fsx:DescribeFileSystems")
    assert describe["Resource"] == "*"


def test_a_notebook_mounts_it_by_its_own_name() -> None:
    stack = support.stack()
    lustre = LustreScratch(stack, "Scratch", vpc=ec2.Vpc(stack, "Vpc", max_azs=1))
    cdk.CfnOutput(stack, "Mount", value=lustre.mount_command(at="/mnt/scratch"))
    command = json.dumps(support.document(stack)["Outputs"]["Mount"]["Value"])
    assert "mount -t lustre -o relatime,flock " in command
    assert "DNSName" in command
    assert "LustreMountName" in command


def test_alarms_see_this_file_system(deployed: cdk.Stack) -> None:
    alarms = [each["Properties"] for each in support.resources(deployed, "AWS::CloudWatch::Alarm").values()]
    (number,) = support.resources(deployed, "AWS::FSx::FileSystem")
    for each in alarms:
        assert each["Dimensions"] == [{"Name": "FileSystemId", "Value": {"Ref": number}}]
        assert (each["Namespace"], each["Statistic"], each["Period"]) == ("AWS/FSx", "Sum", 60)
    space, throughput = alarms
    assert space["ComparisonOperator"] == "LessThanOrEqualToThreshold"
    assert space["Threshold"] == 120 * 1024**3
    # 95 % of 200 MB/s for each of 1.17 TiB, for a minute
    assert throughput["Threshold"] == 234_375_000 * 60 * 0.95


def test_no_rule_pack_finds_anything_that_is_not_acknowledged() -> None:
    app = support.app()
    stack = support.stack(app)
    vpc = ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-0123456789abcdef0",
        availability_zones=["eu-west-1a"],
        private_subnet_ids=["subnet-0123456789abcdef0"],
        private_subnet_route_table_ids=["rtb-0123456789abcdef0"],
    )
    lustre = LustreScratch(stack, "Scratch", vpc=vpc)
    AlertTopic(stack, "Alerts").notify(*lustre.alarms)
    assert nag.unacknowledged(app) == []


def test_a_persistent_system_is_kept_and_has_the_least_throughput() -> None:
    stack = support.stack()
    key = kms.Key(stack, "Key")
    vpc = ec2.Vpc(stack, "Vpc", max_azs=1)
    LustreScratch(stack, "Kept", vpc=vpc, deployment="PERSISTENT_2", key=key, backup_days=7)
    found = file_system(stack)
    assert found["DeletionPolicy"] == "Retain"
    assert found["Properties"]["LustreConfiguration"]["PerUnitStorageThroughput"] == 125
    assert found["Properties"]["LustreConfiguration"]["AutomaticBackupRetentionDays"] == 7
    assert "KmsKeyId" in found["Properties"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"deployment": "SCRATCH_3"}, "SCRATCH_2, PERSISTENT_1, PERSISTENT_2"),
        ({"capacity_gib": 3600}, "capacity_gib=2400 or 4800"),
        ({"capacity_gib": 0}, "1200, or a multiple of 2400"),
        ({"throughput": 200}, "none: scratch systems have 200"),
        ({"deployment": "PERSISTENT_2", "throughput": 50}, "125, 250, 500, 1000 MB/s"),
        ({"deployment": "PERSISTENT_1", "throughput": 125}, "50, 100, 200 MB/s"),
        ({"backup_days": 7}, "0 for scratch systems"),
        ({"deployment": "PERSISTENT_1", "backup_days": 91}, "0 to 90"),
    ],
)
def test_what_fsx_would_refuse_is_refused_at_construction(options: dict[str, Any], message: str) -> None:
    stack = support.stack()
    vpc = ec2.Vpc(stack, "Vpc", max_azs=1)
    with pytest.raises(ConfigurationError, match=message):
        LustreScratch(stack, "Scratch", vpc=vpc, **options)


@pytest.mark.parametrize(
    ("directories", "prefix", "message"),
    [
        (["train"], "", 'directory="/train"'),
        (["/train", "/train/images"], "", "do not contain each other"),
        (["/", "/train"], "", "do not contain each other"),
        (["/train"], "train", 'prefix="train/"'),
        ([f"/{n}" for n in range(9)], "", "at most 8"),
    ],
)
def test_links_that_fsx_would_refuse_are_refused(directories: list[str], prefix: str, message: str) -> None:
    stack = support.stack()
    zone = DataLake(stack, "Lake", zones=["features", "models"]).features
    links = [LustreLink(zone=zone, directory=directory, prefix=prefix) for directory in directories]
    with pytest.raises(ConfigurationError, match=message):
        LustreScratch(stack, "Scratch", vpc=ec2.Vpc(stack, "Vpc", max_azs=1), links=links)


def test_a_scratch_system_takes_no_key() -> None:
    stack = support.stack()
    with pytest.raises(ConfigurationError, match="FSx encrypts scratch systems with its own"):
        LustreScratch(stack, "Scratch", vpc=ec2.Vpc(stack, "Vpc", max_azs=1), key=kms.Key(stack, "Key"))
