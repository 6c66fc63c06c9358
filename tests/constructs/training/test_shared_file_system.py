"""SharedFileSystem: who reaches which folder, and how."""

from __future__ import annotations

import json
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn

from cdk_data_science import AlertTopic, ConfigurationError
from cdk_data_science.security.checks import DataScienceChecks
from cdk_data_science.training import SharedFileSystem, SharedFolder
from tests.compliance import task_parameters
from tests.constructs import machines, nag, support
from tests.constructs.security.simulator import Simulator
from tests.constructs.training.stacks import training

REVIEWS = SharedFolder(name="reviews", uid=1100, gid=1100, permissions="0755")
FRAUD = SharedFolder(name="fraud", uid=1200, gid=1200, secondary_gids=[1100])
MOUNT, WRITE, ROOT = (f"elasticfilesystem:Client{name}" for name in ("Mount", "Write", "RootAccess"))


def vpc_of(stack: cdk.Stack) -> ec2.IVpc:
    return ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-0123456789abcdef0",
        availability_zones=["eu-west-1a", "eu-west-1b"],
        private_subnet_ids=["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
        private_subnet_route_table_ids=["rtb-0123456789abcdef0", "rtb-0123456789abcdef1"],
    )


def shared(stack: cdk.Stack, vpc: ec2.IVpc | None = None, **options: Any) -> SharedFileSystem:
    defaults: dict[str, Any] = {"vpc": vpc or vpc_of(stack), "folders": [REVIEWS, FRAUD]}
    return SharedFileSystem(stack, "Files", **{**defaults, **options})


@pytest.fixture(scope="module")
def stack() -> cdk.Stack:
    # GIVEN two teams' folders, a reader and a writer of the first, and nobody of the second
    stack = support.stack()
    vpc = vpc_of(stack)
    files = shared(stack, vpc)
    clients = ec2.SecurityGroup(stack, "Clients", vpc=vpc, allow_all_outbound=False)
    for name, grant in (("Reader", files.grant_read), ("Writer", files.grant_read_write)):
        role = iam.Role(stack, name, assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
        grant("reviews", role, security_groups=[clients])
    cdk.CfnOutput(stack, "Mount", value=files.mount_command("reviews", at="/mnt/reviews"))
    return stack


@pytest.fixture(scope="module")
def for_jobs() -> cdk.Stack:
    # GIVEN a file system whose folders training jobs read, and a training that does
    stack = support.stack()
    vpc = vpc_of(stack)
    files = shared(stack, vpc, training_channels=True)
    spot = training(stack, vpc=vpc)
    files.grant_channel(spot.role, security_groups=spot.security_groups)
    step = spot.step(stack, "Train", channels=[files.channel("train", folder="reviews", directory="/may")])
    sfn.StateMachine(stack, "Machine", definition_body=sfn.DefinitionBody.from_chainable(step))
    return stack


def file_system(stack: cdk.Stack) -> dict[str, Any]:
    return support.only(support.resources(stack, "AWS::EFS::FileSystem"))


def policy(stack: cdk.Stack) -> dict[str, Any]:
    statements = file_system(stack)["Properties"]["FileSystemPolicy"]["Statement"]
    return {statement["Sid"]: statement for statement in statements}


def test_it_is_encrypted_backed_up_kept_and_moves_what_nobody_opens(stack: cdk.Stack) -> None:
    found = file_system(stack)
    properties = found["Properties"]
    assert properties["Encrypted"] is True
    assert properties["BackupPolicy"] == {"Status": "ENABLED"}
    assert properties["ThroughputMode"] == "elastic"
    assert properties["LifecyclePolicies"] == [
        {"TransitionToIA": "AFTER_30_DAYS"},
        {"TransitionToPrimaryStorageClass": "AFTER_1_ACCESS"},
    ]
    assert found["DeletionPolicy"] == "Retain"


def test_there_is_a_mount_target_in_each_private_subnet(stack: cdk.Stack) -> None:
    targets = support.resources(stack, "AWS::EFS::MountTarget").values()
    assert sorted(each["Properties"]["SubnetId"][-1] for each in targets) == ["0", "1"]


def test_nobody_mounts_without_tls_or_without_an_access_point_and_nobody_is_root(stack: cdk.Stack) -> None:
    found = policy(stack)
    assert {each["Effect"] for each in found.values()} == {"Deny"}
    assert found["TlsOnly"]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert found["AccessPointsOnly"]["Condition"] == {"Null": {"elasticfilesystem:AccessPointArn": "true"}}
    for sid in ("TlsOnly", "AccessPointsOnly"):
        assert set(found[sid]["Action"]) == {MOUNT, WRITE, ROOT}
        assert found[sid]["Principal"] == {"AWS": "*"}
    assert found["NobodyIsRoot"]["Action"] == ROOT
    assert "Condition" not in found["NobodyIsRoot"]


def test_an_access_point_is_a_folder_and_its_user(stack: cdk.Stack) -> None:
    points = support.resources(stack, "AWS::EFS::AccessPoint").values()
    found = {each["Properties"]["RootDirectory"]["Path"]: each["Properties"] for each in points}
    assert set(found) == {"/reviews", "/fraud"}
    assert found["/reviews"]["PosixUser"] == {"Uid": "1100", "Gid": "1100"}
    assert found["/reviews"]["RootDirectory"]["CreationInfo"] == {
        "OwnerUid": "1100", "OwnerGid": "1100", "Permissions": "0755",
    }  # fmt: skip
    assert found["/fraud"]["PosixUser"]["SecondaryGids"] == ["1100"]
    assert found["/fraud"]["RootDirectory"]["CreationInfo"]["Permissions"] == "0750"


@pytest.mark.parametrize(
    ("role", "action", "folder", "allowed"),
    [
        ("Reader", MOUNT, "reviews", True),
        ("Reader", WRITE, "reviews", False),
        ("Reader", MOUNT, "fraud", False),
        ("Writer", MOUNT, "reviews", True),
        ("Writer", WRITE, "reviews", True),
        ("Writer", WRITE, "fraud", False),
        ("Writer", ROOT, "reviews", False),
    ],
)
def test_a_grant_is_for_one_folder(
    stack: cdk.Stack, role: str, action: str, folder: str, allowed: bool
) -> None:
    resources = support.resources(stack)
    (system,) = (key for key, each in resources.items() if each["Type"] == "AWS::EFS::FileSystem")
    (point,) = (
        key
        for key, each in resources.items()
        if each["Type"] == "AWS::EFS::AccessPoint"
        and each["Properties"]["RootDirectory"]["Path"] == f"/{folder}"
    )
    when = {"elasticfilesystem:AccessPointArn": _arn(resources, stack, f"access-point/{point}", "Reader")}
    assert Simulator(resources, role).allows(action, f"{system}.Arn", when=when) is allowed


def _arn(resources: dict[str, Any], stack: cdk.Stack, end: str, role: str) -> str:
    """The access point's ARN as the simulator reads it in the statements of a role."""
    (statement,) = Simulator(resources, role).statements()
    known = str(statement["Condition"]["StringEquals"]["elasticfilesystem:AccessPointArn"])
    return known.rpartition("access-point/")[0] + end


def test_only_known_clients_are_let_in_and_only_on_nfs(stack: cdk.Stack) -> None:
    (rule,) = support.resources(stack, "AWS::EC2::SecurityGroupIngress").values()
    properties = rule["Properties"]
    assert (properties["FromPort"], properties["ToPort"]) == (2049, 2049)
    assert "Clients" in json.dumps(properties["SourceSecurityGroupId"])
    (out,) = support.resources(stack, "AWS::EC2::SecurityGroupEgress").values()
    assert (out["Properties"]["FromPort"], "Clients" in json.dumps(out["Properties"]["GroupId"])) == (
        2049,
        True,
    )


def test_a_notebook_mounts_with_tls_its_role_and_the_access_point(stack: cdk.Stack) -> None:
    command = json.dumps(support.document(stack)["Outputs"]["Mount"]["Value"])
    assert "mount -t efs -o tls,iam,accesspoint=" in command
    assert "'/mnt/reviews'" in command


def test_jobs_may_read_through_the_mount_targets_and_nothing_else_is_loosened(for_jobs: cdk.Stack) -> None:
    found = policy(for_jobs)
    allowed = found.pop("ChannelsOfTrainingJobs")
    assert (allowed["Effect"], allowed["Action"]) == ("Allow", MOUNT)
    assert allowed["Condition"] == {"Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"}}
    for sid in ("TlsOnly", "AccessPointsOnly"):
        assert set(found[sid]["Action"]) == {WRITE, ROOT}


def test_a_training_reads_a_folder_as_a_channel(for_jobs: cdk.Stack) -> None:
    definition = machines.definition(for_jobs)
    assert task_parameters.faults(definition) == []
    (channel,) = definition["States"]["Train"]["Arguments"]["InputDataConfig"]
    source = channel["DataSource"]["FileSystemDataSource"]
    assert (source["FileSystemType"], source["FileSystemAccessMode"]) == ("EFS", "ro")
    assert source["DirectoryPath"] == "/reviews/may"
    found = machines.actions(machines.statements(for_jobs, "TrainingRole"))
    assert {each for each in found if each.startswith("elasticfilesystem")} == {
        "elasticfilesystem:DescribeMountTargets"
    }


@pytest.mark.parametrize(
    ("options", "folder", "message"),
    [
        ({}, "reviews", "training_channels=True"),
        ({"training_channels": True}, "fraud", 'permissions="0755"'),
        ({"training_channels": True}, "search", "'reviews', 'fraud'"),
    ],
)
def test_a_channel_that_jobs_could_not_read_is_refused(
    options: dict[str, Any], folder: str, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        shared(support.stack(), **options).channel("train", folder=folder)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folders": []}, "one or more"),
        ({"folders": [REVIEWS, REVIEWS]}, "each name once"),
        ({"folders": [SharedFolder(name="Reviews", uid=1, gid=1)]}, "lower-case letters"),
        ({"folders": [SharedFolder(name="a/b", uid=1, gid=1)]}, "lower-case letters"),
        ({"folders": [SharedFolder(name="a", uid=0, gid=1)]}, "nobody is root"),
        ({"folders": [SharedFolder(name="a", uid=1, gid=1, secondary_gids=[0])]}, "nobody is root"),
        ({"folders": [SharedFolder(name="a", uid=1, gid=1, secondary_gids=range(1, 18))]}, "at most 16"),
        ({"folders": [SharedFolder(name="a", uid=1, gid=1, permissions="0799")]}, "octal"),
        ({"infrequent_after_days": 31}, "1, 7, 14, 30"),
        ({"archive_after_days": 30}, "later than they become infrequent"),
        ({"archive_after_days": 90, "throughput": "bursting"}, 'throughput="elastic"'),
        ({"throughput": "provisioned"}, "elastic, bursting"),
    ],
)
def test_what_efs_would_refuse_is_refused_at_construction(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        shared(support.stack(), **options)


def test_an_unknown_folder_is_named_with_those_there_are() -> None:
    stack = support.stack()
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    with pytest.raises(ConfigurationError, match="given folder 'search'; allowed: 'reviews', 'fraud'"):
        shared(stack).grant_read("search", role)


def test_no_rule_pack_finds_anything_that_is_not_acknowledged() -> None:
    app = support.app()
    for channels in (False, True):
        stack = support.stack(app, f"Channels{channels}")
        files = shared(stack, training_channels=channels, archive_after_days=90)
        AlertTopic(stack, "Alerts").notify(*files.alarms)
    cdk.Validations.of(app).add_plugins(DataScienceChecks(app))
    # A budget is for the whole app to have.
    assert [each for each in nag.unacknowledged(app) if "COST3" not in each] == []
