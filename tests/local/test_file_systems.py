"""Channels that read a file system: FSx for Lustre with its links to S3, and EFS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.conftest import LocalAws, allow
from tests.local.jobs import Workbench
from tests.local.test_resource_types import Stack

VPC = {"Subnets": ["subnet-0123456789abcdef0"], "SecurityGroupIds": ["sg-0123456789abcdef0"]}
# Prints what the channel holds, and writes into it where it may.
READS = """
    import os, pathlib
    channel = pathlib.Path(os.environ["SM_CHANNEL_DATA"])
    for path in sorted(p for p in channel.rglob("*") if p.is_file()):
        print(path.relative_to(channel), path.read_text(), oct(path.stat().st_mode & 0o777), flush=True)
"""
WRITES = """
    import os, pathlib
    channel = pathlib.Path(os.environ["SM_CHANNEL_DATA"])
    (channel / "new.txt").write_text("made by the job")
    (channel / "a.csv").write_text("changed by the job")
"""


@pytest.fixture(scope="module")
def bench(local_aws: LocalAws) -> Workbench:
    """The role may use file systems and its own models, and cannot read the lake."""
    bucket = local_aws.bucket()
    own = [f"arn:aws:s3:::{bucket}/{folder}/*" for folder in ("source", "output")]
    role = local_aws.role(
        "sagemaker",
        allow("s3:GetObject", "s3:PutObject", resource=own),
        allow("logs:*"),
        allow("fsx:DescribeFileSystems", "elasticfilesystem:DescribeMountTargets"),
    )
    return Workbench(local_aws, bucket, role)


@dataclass(frozen=True)
class Lake:
    """A file system that a stack has linked to prefixes of a bucket."""

    bench: Workbench
    id: str
    mount: str

    def channel(self, path: str = "", mode: str = "ro", kind: str = "FSxLustre") -> list[dict[str, Any]]:
        return channel(self.id, f"/{self.mount}{path}", mode, kind)

    def read(self, path: str = "", script: str = READS, mode: str = "ro", **changes: Any) -> dict[str, Any]:
        request = {"InputDataConfig": self.channel(path, mode), "VpcConfig": VPC} | changes
        return self.bench.run(self.bench.request(script, **request))

    def files(self, path: str = "") -> list[str]:
        """What a script finds in a directory: names and contents."""
        described = self.read(path)
        assert described["TrainingJobStatus"] == "Completed", described["FailureReason"]
        log = self.bench.log(described["TrainingJobName"])
        return [line.rpartition(" ")[0] for line in log]


def channel(number: str, path: str, mode: str = "ro", kind: str = "FSxLustre") -> list[dict[str, Any]]:
    source = {
        "FileSystemId": number,
        "FileSystemType": kind,
        "FileSystemAccessMode": mode,
        "DirectoryPath": path,
    }
    return [{"ChannelName": "data", "DataSource": {"FileSystemDataSource": source}}]


def file_system(**lustre: Any) -> dict[str, Any]:
    properties = {
        "FileSystemType": "LUSTRE",
        "StorageCapacity": 1200,
        "SubnetIds": VPC["Subnets"],
        "LustreConfiguration": lustre,
    }
    return {"Type": "AWS::FSx::FileSystem", "Properties": properties}


def link(bench: Workbench, path: str, prefix: str, **more: Any) -> dict[str, Any]:
    properties = {
        "FileSystemId": {"Ref": "Lustre"},
        "FileSystemPath": path,
        "DataRepositoryPath": f"s3://{bench.bucket}/{prefix}",
    }
    return {"Type": "AWS::FSx::DataRepositoryAssociation", "Properties": properties | more}


PERSISTENT = file_system(DeploymentType="PERSISTENT_2", PerUnitStorageThroughput=125)
OUTPUTS = {"Id": {"Ref": "Lustre"}, "Mount": {"Fn::GetAtt": ["Lustre", "LustreMountName"]}}


@pytest.fixture(scope="module")
def stack(local_aws: LocalAws) -> Stack:
    return Stack(local_aws)


def linked(bench: Workbench, **silent: Any) -> dict[str, Any]:
    """A stack's resources: a file system and three links."""
    both: dict[str, Any] = {
        "AutoImportPolicy": {"Events": ["NEW", "CHANGED", "DELETED"]},
        "AutoExportPolicy": {"Events": ["NEW", "CHANGED", "DELETED"]},
    }
    return {
        "Lustre": PERSISTENT,
        "Raw": link(bench, "/lake/raw", "raw", BatchImportMetaDataOnCreate=True),
        "Features": link(bench, "/lake/features", "features/", S3=both),
        "Silent": link(bench, "/silent", "other") | silent,
    }


@pytest.fixture(scope="module")
def lake(bench: Workbench, stack: Stack) -> Lake:
    for key, body in (("raw/a.csv", "1"), ("raw/deep/b.csv", "2"), ("features/c.csv", "3"), ("other/d", "4")):
        bench.put(key, body)
    outputs = stack.deploy(linked(bench), OUTPUTS)
    return Lake(bench, outputs["Id"], outputs["Mount"])


def test_a_directory_holds_the_prefix_that_it_is_linked_to(lake: Lake) -> None:
    assert lake.files("/lake/raw") == ["a.csv 1", "deep/b.csv 2"]


def test_a_directory_below_a_link_holds_what_lies_below_the_prefix(lake: Lake) -> None:
    assert lake.files("/lake/raw/deep") == ["b.csv 2"]


def test_a_directory_above_links_holds_all_of_them(lake: Lake) -> None:
    assert lake.files("/lake")[-2:] == ["raw/a.csv 1", "raw/deep/b.csv 2"]


def test_a_read_only_channel_has_no_permission_to_write_and_changes_nothing(lake: Lake) -> None:
    described = lake.read("/lake/raw")
    modes = {line.rpartition(" ")[2] for line in lake.bench.log(described["TrainingJobName"])}
    assert modes == {"0o444"}
    lake.read("/lake/raw", WRITES)  # fails, or writes into its own copy as the machine's root
    assert lake.files("/lake/raw") == ["a.csv 1", "deep/b.csv 2"]


def test_what_a_job_writes_stays_in_the_file_system_and_goes_where_the_link_exports(lake: Lake) -> None:
    lake.bench.put("features/a.csv", "first")
    for path in ("/lake/raw", "/lake/features"):
        described = lake.read(path, WRITES, "rw")
        assert described["TrainingJobStatus"] == "Completed", described["FailureReason"]
        assert "new.txt made by the job" in lake.files(path)
    assert lake.bench.get("features/new.txt") == b"made by the job"
    assert lake.bench.get("features/a.csv") == b"changed by the job"
    assert lake.bench.get("raw/a.csv") == b"1"
    assert "raw/new.txt" not in lake.bench.keys("raw/")


def test_changes_and_deletions_in_s3_come_in_where_the_link_imports_them(lake: Lake) -> None:
    lake.bench.put("features/moving", "old")
    assert "moving old" in lake.files("/lake/features")
    lake.bench.put("features/moving", "new")
    assert "moving new" in lake.files("/lake/features")
    lake.bench.aws.client("s3").delete_object(Bucket=lake.bench.bucket, Key="features/moving")
    assert not [name for name in lake.files("/lake/features") if name.startswith("moving")]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (
            "/nowhere",
            "has no directory /nowhere. Data repository associations that import: /lake/features -> s3://",
        ),
        ("/silent", "neither by BatchImportMetaDataOnCreate nor by an AutoImportPolicy: /silent -> s3://"),
        ("/../../..", "would leave the file system"),
    ],
)
def test_a_channel_that_no_association_serves_says_what_is_missing(lake: Lake, path: str, told: str) -> None:
    described = lake.read(path)
    assert described["TrainingJobStatus"] == "Failed"
    assert told in described["FailureReason"]


def test_a_path_begins_with_the_mount_name(lake: Lake) -> None:
    described = lake.read(InputDataConfig=channel(lake.id, "/fsx/lake"))
    assert f"must begin with its mount name: /{lake.mount}" in described["FailureReason"]


def test_a_file_system_that_is_not_there_is_named(lake: Lake) -> None:
    described = lake.read(InputDataConfig=channel("fs-00000000000000000", "/fsx"))
    assert "FileSystemNotFound for the file system fs-00000000000000000" in described["FailureReason"]


def test_the_jobs_role_must_be_allowed_to_find_the_file_system(lake: Lake) -> None:
    own = f"arn:aws:s3:::{lake.bench.bucket}/*"
    role = lake.bench.aws.role("sagemaker", allow("s3:GetObject", "s3:PutObject", resource=own))
    described = lake.read("/lake/raw", RoleArn=role)
    assert "AccessDenied" in described["FailureReason"]
    assert "fsx:DescribeFileSystems" in described["FailureReason"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"VpcConfig": None}, "VpcConfig is required for a FileSystemDataSource"),
        ({"InputDataConfig": channel("fs-12345678", "fsx/lake")}, "DirectoryPath must be an absolute path"),
        ({"InputDataConfig": channel("fs-12345678", "/fsx", kind="NFS")}, "fileSystemType"),
        ({"InputDataConfig": channel("fs-12345678", "/fsx", mode="wr")}, "fileSystemAccessMode"),
    ],
)
def test_what_sagemaker_refuses_of_a_file_system_is_refused(
    lake: Lake, changes: dict[str, Any], message: str
) -> None:
    request = {"InputDataConfig": lake.channel("/lake/raw"), "VpcConfig": VPC} | changes
    given = {name: value for name, value in request.items() if value is not None}
    with pytest.raises(ClientError, match=message) as caught:
        lake.bench.start(lake.bench.request(READS, **given))
    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_a_scratch_file_system_holds_its_import_path(bench: Workbench, local_aws: LocalAws) -> None:
    bench.put("imported/e.csv", "5")
    stack = Stack(local_aws)
    scratch = file_system(ImportPath=f"s3://{bench.bucket}/imported")
    outputs = stack.deploy({"Lustre": scratch}, OUTPUTS)
    lake = Lake(bench, outputs["Id"], outputs["Mount"])
    assert lake.mount == "fsx"
    assert lake.files() == ["e.csv 5"]
    folder = local_aws.state_dir / "file-systems" / lake.id
    assert folder.is_dir()
    stack.delete()
    assert not folder.exists()


def test_a_directory_of_efs_is_a_folder_of_this_machine(bench: Workbench) -> None:
    efs = bench.aws.client("efs")
    number = efs.create_file_system()["FileSystemId"]
    without_target = bench.run(
        bench.request(READS, InputDataConfig=channel(number, "/data", kind="EFS"), VpcConfig=VPC)
    )
    assert f"{number} has no mount target" in without_target["FailureReason"]
    subnet = bench.aws.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
    efs.create_mount_target(FileSystemId=number, SubnetId=subnet)
    root = bench.aws.state_dir / "file-systems" / number
    empty = bench.run(
        bench.request(READS, InputDataConfig=channel(number, "/data", kind="EFS"), VpcConfig=VPC)
    )
    assert f"has no directory /data. Its files lie in {root}" in empty["FailureReason"]
    (root / "data").mkdir()
    (root / "data" / "f.csv").write_text("6")
    written = bench.request(WRITES, InputDataConfig=channel(number, "/data", "rw", "EFS"), VpcConfig=VPC)
    assert bench.run(written)["TrainingJobStatus"] == "Completed"
    assert (root / "data" / "new.txt").read_text() == "made by the job"
    read = bench.request(READS, InputDataConfig=channel(number, "/data", kind="EFS"), VpcConfig=VPC)
    bench.run(read)
    assert "f.csv 6 0o444" in bench.log(read["TrainingJobName"])


REFUSED = {
    "overlap": ("/lake", "elsewhere", "overlaps with /lake/features"),
    "twice": ("/again", "raw/", "is linked to /lake/raw already"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_links_that_fsx_refuses_are_refused(lake: Lake, name: str) -> None:
    path, prefix, message = REFUSED[name]
    fsx = lake.bench.aws.client("fsx")
    uri = f"s3://{lake.bench.bucket}/{prefix}"
    with pytest.raises(fsx.exceptions.BadRequest, match=message):
        fsx.create_data_repository_association(
            FileSystemId=lake.id, FileSystemPath=path, DataRepositoryPath=uri
        )


def test_associations_are_described_tagged_updated_and_replaced(lake: Lake, stack: Stack) -> None:
    fsx = lake.bench.aws.client("fsx")
    only = [{"Name": "file-system-id", "Values": [lake.id]}]
    known = fsx.describe_data_repository_associations(Filters=only)["Associations"]
    links = {each["FileSystemPath"]: each for each in known}
    assert links.keys() == {"/lake/raw", "/lake/features", "/silent"}
    silent = links["/silent"]
    assert silent["AssociationId"] == stack.physical_id("Silent")
    fsx.tag_resource(ResourceARN=silent["ResourceARN"], Tags=[{"Key": "zone", "Value": "raw"}])
    assert fsx.list_tags_for_resource(ResourceARN=silent["ResourceARN"])["Tags"][0]["Value"] == "raw"
    heard = link(lake.bench, "/silent", "other", S3={"AutoImportPolicy": {"Events": ["NEW"]}})
    faster = file_system(DeploymentType="PERSISTENT_2", PerUnitStorageThroughput=250)
    outputs = stack.deploy(linked(lake.bench, **heard) | {"Lustre": faster}, OUTPUTS)
    assert outputs == {"Id": lake.id, "Mount": lake.mount}
    assert stack.physical_id("Silent") == silent["AssociationId"]
    assert lake.files("/silent") == ["d 4"]
    moved = link(lake.bench, "/moved", "other", BatchImportMetaDataOnCreate=True)
    stack.deploy(linked(lake.bench, **moved) | {"Lustre": faster}, OUTPUTS)
    assert stack.physical_id("Silent") != silent["AssociationId"]
    assert lake.files("/moved") == ["d 4"]
    with pytest.raises(fsx.exceptions.DataRepositoryAssociationNotFound):
        fsx.delete_data_repository_association(AssociationId=silent["AssociationId"])


def test_a_scratch_1_file_system_takes_no_association(lake: Lake) -> None:
    fsx = lake.bench.aws.client("fsx")
    created = fsx.create_file_system(FileSystemType="LUSTRE", StorageCapacity=1200, SubnetIds=VPC["Subnets"])[
        "FileSystem"
    ]
    with pytest.raises(fsx.exceptions.UnsupportedOperation, match="SCRATCH_1"):
        fsx.create_data_repository_association(
            FileSystemId=created["FileSystemId"],
            FileSystemPath="/a",
            DataRepositoryPath=f"s3://{lake.bench.bucket}/a",
        )
