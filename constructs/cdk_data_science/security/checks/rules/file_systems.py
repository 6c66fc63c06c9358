"""FSx for Lustre and EFS: scratch, datasets and home directories."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cdk_data_science.security.checks import iam
from cdk_data_science.security.checks.expectations import (
    at_least,
    but,
    enabled,
    example,
    expect,
    is_true,
    number,
    one_of,
    present,
    ref,
    resource,
)
from cdk_data_science.security.checks.intrinsics import UNKNOWN, is_unknown
from cdk_data_science.security.checks.rule import (
    Example,
    Problem,
    Rule,
    Severity,
    cloudformation,
    control,
    guide,
)
from cdk_data_science.security.checks.templates import Resource, as_list, walk

_FSX = "AWS::FSx::FileSystem"
_EFS = "AWS::EFS::FileSystem"
_POINT = "AWS::EFS::AccessPoint"
_MOUNT = "AWS::EFS::MountTarget"
_GROUP = "AWS::EC2::SecurityGroup"
_INGRESS = "AWS::EC2::SecurityGroupIngress"
_KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
_THROUGHPUT = {"PERSISTENT_1": {12, 40, 50, 100, 200}, "PERSISTENT_2": {125, 250, 500, 1000}}

_lustre = example(
    _FSX,
    FileSystemType="LUSTRE",
    SubnetIds=["subnet-1"],
    StorageCapacity=1200,
    KmsKeyId=_KEY,
    LustreConfiguration={
        "DeploymentType": "PERSISTENT_2",
        "PerUnitStorageThroughput": 250,
        "AutomaticBackupRetentionDays": 30,
        "CopyTagsToBackups": True,
        "LogConfiguration": {"Level": "WARN_ERROR"},
    },
)
_scratch: Example = {
    **but(_lustre, LustreConfiguration={"DeploymentType": "SCRATCH_2"}),
    "Link": resource(
        "AWS::FSx::DataRepositoryAssociation",
        FileSystemId=ref("Resource"),
        FileSystemPath="/data",
        DataRepositoryPath="s3://lake/data",
        S3={"AutoExportPolicy": {"Events": ["NEW", "CHANGED"]}},
    ),
}
_efs = example(
    _EFS,
    Encrypted=True,
    KmsKeyId=_KEY,
    BackupPolicy={"Status": "ENABLED"},
    FileSystemPolicy={
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny",
                "Principal": {"AWS": "*"},
                "Action": "*",
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    },
)
_point = example(
    _POINT,
    FileSystemId="fs-1",
    PosixUser={"Uid": "1000", "Gid": "1000"},
    RootDirectory={"Path": "/science"},
)


def _guarded(*ports: tuple[int, int], cidr: str = "10.0.0.0/16") -> Example:
    ingress = [
        {"IpProtocol": "tcp", "FromPort": first, "ToPort": last, "CidrIp": cidr} for first, last in ports
    ]
    group = resource(_GROUP, GroupDescription="Lustre", VpcId="vpc-1", SecurityGroupIngress=ingress)
    return {
        **but(_lustre, SecurityGroupIds=[{"Fn::GetAtt": ["Group", "GroupId"]}]),
        "Group": group,
    }


def _is_lustre(system: Resource) -> bool:
    return bool(system.get("FileSystemType") == "LUSTRE")


def _deployment(system: Resource) -> str:
    return str(system.get("LustreConfiguration.DeploymentType") or "SCRATCH_1")


def _persistent(system: Resource) -> bool:
    return _is_lustre(system) and _deployment(system).startswith("PERSISTENT")


def _linked(system: Resource) -> bool:
    """Whether its data is also in S3, or may be: a link can be to a file system that is not known."""
    if system.get("LustreConfiguration.ImportPath") is not None:
        return True
    for link in system.templates.resources("AWS::FSx::DataRepositoryAssociation"):
        linked = link.get("FileSystemId")
        target = system.templates.target(linked)
        if target == system or (target is None and is_unknown(linked)):
            return True
    return False


def _scratch_is_linked(system: Resource) -> Iterator[Problem]:
    if _is_lustre(system) and not _linked(system):
        if is_unknown(_deployment(system)):
            yield Problem(at="LustreConfiguration.DeploymentType", uncertain=True)
        elif _deployment(system).startswith("SCRATCH"):
            yield Problem(at="LustreConfiguration.DeploymentType")


def _backed_up(system: Resource) -> Iterator[Problem]:
    path = "LustreConfiguration.AutomaticBackupRetentionDays"
    if _persistent(system) and not _linked(system):
        yield from at_least(path, 1)(system)


def _throughput(system: Resource) -> Iterator[Problem]:
    path = "LustreConfiguration.PerUnitStorageThroughput"
    allowed, found = _THROUGHPUT.get(_deployment(system)), system.get(path)
    if not _is_lustre(system) or allowed is None or found is None:
        return
    if is_unknown(found):
        yield Problem(at=path, uncertain=True)
    elif number(found) not in allowed:
        kinds = ", ".join(map(str, sorted(allowed)))
        said = f"{_deployment(system)} knows {kinds} MB/s per TiB, not {found}"
        yield Problem(at=path, said=said)


def ingress(group: Resource) -> Iterator[dict[str, Any]]:
    """What a security group lets in, by its own rules and by those beside it, as far as they are known."""
    for rule in as_list(group.get("SecurityGroupIngress")):
        if isinstance(rule, dict):
            yield rule
    for beside in group.templates.resources(_INGRESS):
        if group.templates.target(beside.get("GroupId")) == group:
            yield beside.properties


def _groups(system: Resource) -> list[Resource]:
    found = (system.templates.target(name) for name in as_list(system.get("SecurityGroupIds")))
    return [group for group in found if group is not None and group.type == _GROUP]


def _ports(rule: dict[str, Any]) -> set[int]:
    if str(rule.get("IpProtocol")) == "-1":
        return {988, *range(1018, 1024)}
    first, last = number(rule.get("FromPort")), number(rule.get("ToPort"))
    wanted = {988, *range(1018, 1024)}
    return {port for port in wanted if first is not None and last is not None and first <= port <= last}


def _lustre_ports(system: Resource) -> Iterator[Problem]:
    groups = _groups(system)
    if not _is_lustre(system) or len(groups) != len(as_list(system.get("SecurityGroupIds"))):
        return
    rules = [rule for group in groups for rule in ingress(group)]
    given = [rule for group in groups for rule in as_list(group.get("SecurityGroupIngress"))]
    ends = [rule.get(end) for rule in rules for end in ("IpProtocol", "FromPort", "ToPort")]
    if any(is_unknown(part) for part in (*given, *ends)):
        yield Problem(at="SecurityGroupIds", uncertain=True)
        return
    open_ports = set().union(*(_ports(rule) for rule in rules)) if rules else set()
    missing = sorted({988, *range(1018, 1024)} - open_ports)
    if groups and missing:
        said = f"The security groups of the file system let in no traffic on {', '.join(map(str, missing))}"
        yield Problem(at="SecurityGroupIds", said=said)


def _not_public(system: Resource) -> Iterator[Problem]:
    for group in _groups(system):
        for rule in ingress(group):
            if rule.get("CidrIp") == "0.0.0.0/0" or rule.get("CidrIpv6") == "::/0":
                yield Problem(at="SecurityGroupIds", said=f"{group.path} lets the whole internet in")
                return


def _tls(system: Resource) -> Iterator[Problem]:
    policy = system.get("FileSystemPolicy")
    uncertain = policy is UNKNOWN
    for statement in as_list(policy.get("Statement")) if isinstance(policy, dict) else ():
        if not isinstance(statement, dict):
            uncertain = uncertain or is_unknown(statement)
            continue
        conditions, effect = statement.get("Condition"), statement.get("Effect")
        if not iam.may_look_at(conditions, "aws:securetransport"):
            continue
        wanted = "false" if effect == "Deny" else "true"
        values = list(walk(conditions))
        if any(str(value).lower() == wanted for value in values) and not is_unknown(effect):
            return
        uncertain = uncertain or any(is_unknown(value) for value in (effect, *values))
    yield Problem(at="FileSystemPolicy", uncertain=uncertain)


def _private_subnet(mount: Resource) -> Iterator[Problem]:
    subnet = mount.templates.target(mount.get("SubnetId"))
    public = subnet.get("MapPublicIpOnLaunch") if subnet is not None else None
    if public is not None and is_unknown(public):
        yield Problem(at="SubnetId", uncertain=True)
    elif is_true(public):
        yield Problem(at="SubnetId")


def _mounted(public: bool) -> Example:
    return {
        "Subnet": resource(
            "AWS::EC2::Subnet", VpcId="vpc-1", CidrBlock="10.0.0.0/24", MapPublicIpOnLaunch=public
        ),
        "Mount": resource(_MOUNT, FileSystemId="fs-1", SubnetId=ref("Subnet"), SecurityGroups=["sg-1"]),
    }


_PORTS = guide("fsx/latest/LustreGuide/cannot-create-fs")

RULES = (
    Rule(
        id="DataScience-FSX1",
        title="A file system is encrypted with your key",
        fails="The file system is encrypted with a key of AWS",
        why="Only the policy of a key of yours can say who may restore its backups elsewhere.",
        fix="Set KmsKeyId. Scratch file systems take none",
        severity=Severity.WARNING,
        follows=(cloudformation("aws-resource-fsx-filesystem"),),
        types=(_FSX,),
        check=present("KmsKeyId", when=lambda system: not _is_lustre(system) or _persistent(system)),
        compliant=_lustre,
        noncompliant=but(_lustre, KmsKeyId=None),
    ),
    Rule(
        id="DataScience-FSX2",
        title="What is on scratch is also in S3",
        fails="The scratch file system has no data repository",
        why="Scratch storage is not replicated: when a server fails, what is there is lost.",
        fix="Link it to S3 with a data repository association that exports, or use a persistent type",
        severity=Severity.WARNING,
        follows=(
            guide("fsx/latest/LustreGuide/using-fsx-lustre"),
            guide("fsx/latest/LustreGuide/create-dra-linked-data-repo"),
        ),
        types=(_FSX,),
        check=_scratch_is_linked,
        compliant=_scratch,
        noncompliant=but(_lustre, LustreConfiguration={"DeploymentType": "SCRATCH_2"}),
    ),
    Rule(
        id="DataScience-FSX3",
        title="A persistent file system is backed up or linked to S3",
        fails="The file system has neither automatic backups nor a data repository",
        why="A deleted folder cannot be brought back.",
        fix="Set LustreConfiguration.AutomaticBackupRetentionDays, or link it to S3",
        severity=Severity.WARNING,
        follows=(guide("fsx/latest/LustreGuide/using-backups-fsx"),),
        types=(_FSX,),
        check=_backed_up,
        compliant=_lustre,
        noncompliant=but(_lustre, LustreConfiguration__AutomaticBackupRetentionDays=0),
    ),
    Rule(
        id="DataScience-FSX4",
        title="Backups carry the tags of their file system",
        fails="Backups do not carry the file system's tags",
        why="Permissions and costs that go by tags miss them.",
        fix="Set LustreConfiguration.CopyTagsToBackups to true",
        severity=Severity.INFO,
        follows=(control("FSx.2"),),
        types=(_FSX,),
        check=enabled("LustreConfiguration.CopyTagsToBackups", when=_persistent),
        compliant=_lustre,
        noncompliant=but(_lustre, LustreConfiguration__CopyTagsToBackups=None),
    ),
    Rule(
        id="DataScience-FSX5",
        title="Failed imports and exports are logged",
        fails="The file system writes no log",
        why="A file that could not be exported is told of in the log alone.",
        fix='Set LustreConfiguration.LogConfiguration.Level to "WARN_ERROR"',
        severity=Severity.INFO,
        follows=(cloudformation("aws-properties-fsx-filesystem-lustreconfiguration"),),
        types=(_FSX,),
        check=expect(
            "LustreConfiguration.LogConfiguration.Level",
            lambda level: level != "DISABLED",
            when=_persistent,
        ),
        compliant=_lustre,
        noncompliant=but(_lustre, LustreConfiguration__LogConfiguration={"Level": "DISABLED"}),
    ),
    Rule(
        id="DataScience-FSX6",
        title="A Lustre file system takes all ports of the protocol",
        fails="The security groups of the file system do not let in all that Lustre needs",
        why="Clients need 988 and 1018 to 1023: with 988 alone mounts hang, later and not always.",
        fix="Let in TCP 988 and 1018-1023, from the clients' security group and from the group itself",
        severity=Severity.ERROR,
        follows=(_PORTS,),
        types=(_FSX,),
        check=_lustre_ports,
        compliant=_guarded((988, 988), (1018, 1023)),
        noncompliant=_guarded((988, 988)),
    ),
    Rule(
        id="DataScience-FSX7",
        title="A file system takes no traffic from the internet",
        fails="The file system's security group lets the whole internet in",
        why="Lustre itself asks nobody who they are.",
        fix="Let in the security groups of the clients",
        severity=Severity.ERROR,
        follows=(control("EC2.18"), _PORTS),
        types=(_FSX,),
        check=_not_public,
        compliant=_guarded((988, 988), (1018, 1023)),
        noncompliant=_guarded((988, 988), (1018, 1023), cidr="0.0.0.0/0"),
    ),
    Rule(
        id="DataScience-FSX8",
        title="A Lustre file system has a throughput that its type knows",
        fails="The throughput is none of those that the type knows",
        why="FSx refuses it, at deployment.",
        fix="PERSISTENT_2: 125, 250, 500 or 1000; PERSISTENT_1: 50, 100 or 200 on SSD, 12 or 40 on HDD",
        severity=Severity.ERROR,
        follows=(cloudformation("aws-properties-fsx-filesystem-lustreconfiguration"),),
        types=(_FSX,),
        check=_throughput,
        compliant=_lustre,
        noncompliant=but(_lustre, LustreConfiguration__PerUnitStorageThroughput=50),
    ),
    Rule(
        id="DataScience-EFS1",
        title="An EFS file system is encrypted",
        fails="The file system is not encrypted",
        why="It cannot be encrypted later without copying everything.",
        fix="Set Encrypted to true, and KmsKeyId",
        severity=Severity.ERROR,
        follows=(control("EFS.8"), control("EFS.1")),
        types=(_EFS,),
        check=enabled("Encrypted"),
        compliant=_efs,
        noncompliant=but(_efs, Encrypted=None),
    ),
    Rule(
        id="DataScience-EFS2",
        title="An EFS file system is backed up",
        fails="The file system has no automatic backups",
        why="Home directories hold work that is in no repository yet.",
        fix='Set BackupPolicy.Status to "ENABLED", or acknowledge which backup plan covers it',
        severity=Severity.WARNING,
        follows=(control("EFS.7"), control("EFS.2")),
        types=(_EFS,),
        check=one_of("BackupPolicy.Status", "ENABLED"),
        compliant=_efs,
        noncompliant=but(_efs, BackupPolicy=None),
    ),
    Rule(
        id="DataScience-EFS3",
        title="An EFS file system refuses clients without TLS",
        fails="Clients may mount the file system without TLS",
        why="Files then cross the network readably.",
        fix="Set a FileSystemPolicy that denies where aws:SecureTransport is false",
        severity=Severity.WARNING,
        follows=(guide("efs/latest/ug/iam-access-control-nfs-efs"),),
        types=(_EFS,),
        check=_tls,
        compliant=_efs,
        noncompliant=but(_efs, FileSystemPolicy=None),
    ),
    Rule(
        id="DataScience-EFS4",
        title="An EFS access point is a folder",
        fails="Through the access point the whole file system can be seen",
        why="Every team would read every other's files.",
        fix="Set RootDirectory.Path to a folder",
        severity=Severity.ERROR,
        follows=(control("EFS.3"),),
        types=(_POINT,),
        check=expect("RootDirectory.Path", lambda path: path != "/"),
        compliant=_point,
        noncompliant=but(_point, RootDirectory={"Path": "/"}),
    ),
    Rule(
        id="DataScience-EFS5",
        title="An EFS access point says who its clients are",
        fails="Clients of the access point may claim to be any user, root included",
        why="File permissions protect nothing then.",
        fix="Set PosixUser",
        severity=Severity.ERROR,
        follows=(control("EFS.4"),),
        types=(_POINT,),
        check=present("PosixUser.Uid"),
        compliant=_point,
        noncompliant=but(_point, PosixUser=None),
    ),
    Rule(
        id="DataScience-EFS6",
        title="EFS mount targets are in private subnets",
        fails="The mount target is in a subnet whose instances get public addresses",
        why="Whatever is started there next to it can be reached from the internet.",
        fix="Use private subnets",
        severity=Severity.WARNING,
        follows=(control("EFS.6"),),
        types=(_MOUNT,),
        check=_private_subnet,
        compliant=_mounted(public=False),
        noncompliant=_mounted(public=True),
    ),
)
