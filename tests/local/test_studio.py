"""Studio, deployed: people in their own places and out of those of others, and an end that leaves nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from botocore.exceptions import ClientError

from cdk_data_science.security import Persona
from cdk_data_science.studio import (
    LifecycleScript,
    PrivateSpace,
    SharedSpace,
    StudioActivity,
    StudioDomain,
    StudioEntry,
    StudioTeam,
    StudioUser,
)
from tests.local.assembly import deploy, new_stack
from tests.local.conftest import REGION, LocalAws, eventually

APP = {"AppType": "JupyterLab", "AppName": "default"}
ISOLATED = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)


class Office:
    """A VPC, and a stack with a domain and two people in it."""

    def __init__(self, aws: LocalAws, folder: Path, *, destroy: bool) -> None:
        self.aws, self.sagemaker = aws, aws.client("sagemaker")
        client = aws.client("ec2")
        self.vpc = client.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
        self.subnets = [
            client.create_subnet(
                VpcId=self.vpc, CidrBlock=f"10.7.{number}.0/24", AvailabilityZone=f"{REGION}{letter}"
            )["Subnet"]["SubnetId"]
            for number, letter in enumerate("ab")
        ]
        self.stack = self._stack(folder, destroy=destroy)
        self.outputs = deploy(aws, self.stack)
        self.domain = self.outputs["Domain"]

    def _stack(self, folder: Path, *, destroy: bool, **given: Any) -> cdk.Stack:
        stack = new_stack(folder, "studio")
        if destroy:
            stack.node.set_context("cdk-data-science:destroyData", True)
        studio = StudioDomain(
            stack,
            "Studio",
            vpc=ec2.Vpc.from_vpc_attributes(
                stack,
                "Vpc",
                vpc_id=self.vpc,
                availability_zones=[f"{REGION}a", f"{REGION}b"],
                isolated_subnet_ids=self.subnets,
                isolated_subnet_route_table_ids=["rtb-1", "rtb-2"],
            ),
            subnets=ISOLATED,
            scripts=[LifecycleScript(name="hello", content="#!/bin/bash\necho hello\n")],
            destroy=destroy,
            **given,
        )
        team = StudioTeam(
            stack,
            "Reviews",
            domain=studio,
            name="reviews",
            cost_center="4711",
            users=[
                StudioUser(name="ann"),
                StudioUser(name="ben", spaces=[PrivateSpace(name="lab")]),
                StudioUser(name="cay", persona=Persona.ML_ENGINEER),
            ],
            shared_spaces=[SharedSpace(name="board", owner="cay")],
        )
        activity = StudioActivity(stack, "Activity", domain=studio)
        for name, value in {
            "Domain": studio.domain_id,
            "Files": studio.domain.attr_home_efs_file_system_id,
            "Scientist": team.role(Persona.DATA_SCIENTIST).role_arn,
            "EntryRole": StudioEntry(stack, "Entry", domain=studio).role.role_arn,
            "Listing": activity.function.function_name,
            "Ending": studio.ending.function.function_name,
        }.items():
            cdk.CfnOutput(stack, name, value=value)
        return stack

    def studio_of(self, user: str) -> Any:
        """SageMaker, as Studio calls it in the name of a data scientist."""
        keys = self.aws.admin("credentials", role=self.outputs["Scientist"], user=user, domain=self.domain)
        return self.aws.client("sagemaker", **{name.lower(): value for name, value in keys.items()})

    def space(self, client: Any, name: str, owner: str, sharing: str = "Private") -> None:
        client.create_space(
            DomainId=self.domain,
            SpaceName=name,
            OwnershipSettings={"OwnerUserProfileName": owner},
            SpaceSharingSettings={"SharingType": sharing},
        )

    def app(self, client: Any, space: str, **more: Any) -> None:
        client.create_app(DomainId=self.domain, SpaceName=space, **APP, **more)

    def delete(self) -> str:
        """Delete the stack; the status that it ends in."""
        client = self.aws.client("cloudformation")
        name = client.describe_stacks(StackName=self.stack.stack_name)["Stacks"][0]["StackId"]
        client.delete_stack(StackName=self.stack.stack_name)

        def status() -> str:
            return str(client.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])

        eventually(lambda: status() != "DELETE_IN_PROGRESS", 120, "the stack's end")
        return status()

    def ask(self, **request: Any) -> dict[str, Any]:
        """Call the function as CloudFormation does; what it answers."""
        heard: list[dict[str, Any]] = []

        class Ear(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                heard.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        with HTTPServer(("127.0.0.1", 0), Ear) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            about = {
                "StackId": "s",
                "RequestId": "r",
                "LogicalResourceId": "l",
                "ResponseURL": f"http://127.0.0.1:{server.server_port}/answer",
            }
            self.aws.client("lambda").invoke(
                FunctionName=self.outputs["Ending"], Payload=json.dumps(about | request)
            )
            server.shutdown()
            thread.join()
        (answer,) = heard
        return answer

    def reasons(self) -> str:
        events = self.aws.client("cloudformation").describe_stack_events(StackName=self.stack.stack_name)
        return "\n".join(event.get("ResourceStatusReason", "") for event in events["StackEvents"])

    def left(self) -> list[str]:
        """What a domain leaves in its VPC."""
        client = self.aws.client("ec2")
        groups = client.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [self.vpc]}])
        found = [
            group["GroupName"] for group in groups["SecurityGroups"] if self.domain in group["GroupName"]
        ]
        interfaces = client.describe_network_interfaces()["NetworkInterfaces"]
        found += [each["Description"] for each in interfaces if self.domain in each["Description"]]
        targets = self.aws.client("efs").describe_mount_targets(FileSystemId=self.outputs["Files"])
        return found + [target["MountTargetId"] for target in targets["MountTargets"]]


def denied(call: Any) -> bool:
    try:
        call()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        assert code in ("AccessDenied", "AccessDeniedException"), error
        return True
    return False


@pytest.fixture(scope="module")
def office(local_aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    return Office(local_aws, tmp_path_factory.mktemp("studio"), destroy=True)


def test_a_domain_has_its_profiles_spaces_and_home_directories(office: Office) -> None:
    described = office.sagemaker.describe_domain(DomainId=office.domain)
    assert described["AppNetworkAccessType"] == "VpcOnly"
    assert described["HomeEfsFileSystemId"] == office.outputs["Files"]
    profiles = office.sagemaker.list_user_profiles(DomainIdEquals=office.domain)["UserProfiles"]
    assert [each["UserProfileName"] for each in profiles] == ["ann", "ben", "cay"]
    spaces = office.sagemaker.list_spaces(DomainIdEquals=office.domain)["Spaces"]
    assert {each["SpaceName"] for each in spaces} == {"ben-lab", "reviews-board"}
    assert len(office.left()) == 5  # two groups, an interface, two mount targets


@pytest.fixture(scope="module")
def at_work(office: Office) -> Any:
    """SageMaker in the name of ann, who has a space of her own and runs an app in it and in the team's."""
    ann = office.studio_of("ann")
    office.space(ann, "ann-notes", "ann")
    office.app(ann, "ann-notes", ResourceSpec={"InstanceType": "ml.t3.medium"})
    office.app(ann, "reviews-board")  # the team's
    return ann


def test_a_person_works_in_places_of_their_own(office: Office, at_work: Any) -> None:
    url = at_work.create_presigned_domain_url(DomainId=office.domain, UserProfileName="ann")
    assert url["AuthorizedUrl"].startswith("https://")
    apps = office.sagemaker.list_apps(DomainIdEquals=office.domain)["Apps"]
    assert {app["SpaceName"] for app in apps} == {"ann-notes", "reviews-board"}


def test_a_person_cannot_open_the_places_of_another(office: Office, at_work: Any) -> None:
    ann, here = office.studio_of("ann"), {"DomainId": office.domain}
    tried = {
        "open another's place": lambda: ann.create_presigned_domain_url(**here, UserProfileName="ben"),
        "see another's profile": lambda: ann.describe_user_profile(**here, UserProfileName="ben"),
        "run an app in another's space": lambda: office.app(ann, "ben-lab"),
        "delete another's space": lambda: ann.delete_space(**here, SpaceName="ben-lab"),
        "change another's space": lambda: ann.update_space(**here, SpaceName="ben-lab"),
        "make a space in another's name": lambda: office.space(ann, "trap", "ben"),
        "make a shared space": lambda: office.space(ann, "reviews-other", "ann", "Shared"),
        "start what is too large": lambda: office.app(
            ann, "ann-notes", ResourceSpec={"InstanceType": "ml.p4d.24xlarge"}
        ),
        "change the domain": lambda: ann.update_domain(**here),
        "delete a profile": lambda: ann.delete_user_profile(**here, UserProfileName="ann"),
    }
    assert [what for what, call in tried.items() if not denied(call)] == []


def test_people_enter_by_their_own_tag(office: Office) -> None:
    iam, name = office.aws.client("iam"), "tests-studio-ann"
    iam.create_user(UserName=name, Tags=[{"Key": "studio-user", "Value": "ann"}])
    try:
        taking = {"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"], "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [taking]})
        iam.put_user_policy(UserName=name, PolicyName="roles", PolicyDocument=policy)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        sts = office.aws.client(
            "sts", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"]
        )

        def enter(user: str) -> Any:
            given = sts.assume_role(
                RoleArn=office.outputs["EntryRole"],
                RoleSessionName="ann",
                Tags=[{"Key": "studio-user", "Value": user}],
            )["Credentials"]
            return office.aws.client(
                "sagemaker",
                aws_access_key_id=given["AccessKeyId"],
                aws_secret_access_key=given["SecretAccessKey"],
                aws_session_token=given["SessionToken"],
            )

        ann = enter("ann")
        assert ann.create_presigned_domain_url(DomainId=office.domain, UserProfileName="ann")
        assert denied(lambda: ann.create_presigned_domain_url(DomainId=office.domain, UserProfileName="ben"))
        assert denied(lambda: office.space(ann, "other", "ann"))
        assert denied(lambda: enter("ben"))
    finally:
        for key in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
            iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
        iam.delete_user_policy(UserName=name, PolicyName="roles")
        iam.delete_user(UserName=name)


def test_the_log_tells_who_runs_what(office: Office, at_work: Any) -> None:
    answer = office.aws.client("lambda").invoke(FunctionName=office.outputs["Listing"], Payload="{}")
    told = answer["Payload"].read()
    assert "FunctionError" not in answer, told
    assert b'"RunningApps": 2' in told
    assert b'"Owners": 2' in told  # the board is cay's


def test_people_of_another_app_work_in_the_domain_and_end_without_it(office: Office, tmp_path: Path) -> None:
    # GIVEN another app that puts a person into the domain
    stack = new_stack(tmp_path, "guests")
    stack.node.set_context("cdk-data-science:destroyData", True)
    studio = StudioDomain.from_domain_attributes(stack, "Studio", domain_id=office.domain, destroy=True)
    team = StudioTeam(
        stack, "Guests", domain=studio, name="guests", cost_center="0815", users=[StudioUser(name="eli")]
    )
    cdk.CfnOutput(stack, "Scientist", value=team.role(Persona.DATA_SCIENTIST).role_arn)
    role = deploy(office.aws, stack)["Scientist"]
    keys = office.aws.admin("credentials", role=role, user="eli", domain=office.domain)
    eli = office.aws.client("sagemaker", **{name.lower(): value for name, value in keys.items()})
    # WHEN that person works in it
    office.space(eli, "eli-notes", "eli")
    office.app(eli, "eli-notes")
    assert denied(lambda: office.app(eli, "ben-lab"))
    # THEN the end of that app ends what is theirs, and the domain goes on
    client = office.aws.client("cloudformation")
    number = client.describe_stacks(StackName=stack.stack_name)["Stacks"][0]["StackId"]
    client.delete_stack(StackName=stack.stack_name)
    eventually(
        lambda: client.describe_stacks(StackName=number)["Stacks"][0]["StackStatus"] == "DELETE_COMPLETE",
        60,
        "the end of the guests",
    )
    spaces = office.sagemaker.list_spaces(DomainIdEquals=office.domain)["Spaces"]
    assert "eli-notes" not in {each["SpaceName"] for each in spaces}
    profiles = office.sagemaker.list_user_profiles(DomainIdEquals=office.domain)["UserProfiles"]
    assert {each["UserProfileName"] for each in profiles} == {"ann", "ben", "cay"}
    assert office.sagemaker.describe_domain(DomainId=office.domain)["Status"] == "InService"


def test_an_update_that_would_replace_the_domain_is_refused_before_it(office: Office) -> None:
    client, name = office.aws.client("cloudformation"), office.stack.stack_name
    # GIVEN another name for the domain, which CloudFormation cannot change in place
    template = client.get_template(StackName=name)["TemplateBody"]
    document = json.loads(template) if isinstance(template, str) else template
    before = office.sagemaker.list_domains()["Domains"]
    for resource in document["Resources"].values():
        if resource["Type"] == "AWS::SageMaker::Domain":
            resource["Properties"]["DomainName"] = "another"
        if resource["Type"] == "Custom::StudioDomainLock":
            resource["Properties"]["CreateOnly"]["DomainName"] = "another"
    bucket = office.aws.bucket()
    office.aws.client("s3").put_object(Bucket=bucket, Key="t.json", Body=json.dumps(document).encode())
    # WHEN the stack is updated
    client.update_stack(
        StackName=name,
        TemplateURL=f"https://s3.{REGION}.amazonaws.com/{bucket}/t.json",
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )

    def status() -> str:
        return str(client.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])

    eventually(lambda: not status().endswith("IN_PROGRESS"), 120, "the update's end")
    # THEN it is rolled back, with the reason, and the domain is what it was
    assert status() == "UPDATE_ROLLBACK_COMPLETE"
    assert "would be replaced by an empty one: the update changes DomainName" in office.reasons()
    assert office.sagemaker.list_domains()["Domains"] == before


def test_an_end_that_is_throttled_and_delivered_late_leaves_nothing(office: Office) -> None:
    # GIVEN apps that run, and services that ask for patience
    office.app(office.studio_of("ben"), "ben-lab")
    for api in ("DeleteApp", "ListSpaces", "DeleteSpace", "DeleteUserProfile", "DeleteDomain"):
        office.aws.admin("faults/add", api=f"sagemaker:{api}", role="*Ending*", throttle=True, times=1)
    # WHEN
    try:
        status = office.delete()
    finally:
        office.aws.admin("faults/clear")
    # THEN
    assert status == "DELETE_COMPLETE", office.reasons()
    with pytest.raises(ClientError, match="ResourceNotFound"):
        office.sagemaker.describe_domain(DomainId=office.domain)
    with pytest.raises(ClientError, match="FileSystemNotFound"):
        office.aws.client("efs").describe_file_systems(FileSystemId=office.outputs["Files"])
    client = office.aws.client("ec2")
    groups = client.describe_security_groups()["SecurityGroups"]
    assert [group["GroupName"] for group in groups if office.domain in group["GroupName"]] == []
    interfaces = client.describe_network_interfaces()["NetworkInterfaces"]
    assert [each for each in interfaces if office.domain in each["Description"]] == []
    for subnet in office.subnets:
        client.delete_subnet(SubnetId=subnet)
    client.delete_vpc(VpcId=office.vpc)


def test_files_that_may_not_be_lost_hold_the_end_back(local_aws: LocalAws, tmp_path: Path) -> None:
    office = Office(local_aws, tmp_path, destroy=False)
    ann = office.studio_of("ann")
    office.space(ann, "ann-notes", "ann")
    office.app(ann, "ann-notes")
    # WHEN the end of ann is asked for, as CloudFormation does, THEN her apps end and her files are kept
    told = office.ask(
        RequestType="Delete",
        ResourceType="Custom::StudioUserEnd",
        PhysicalResourceId=f"{office.domain}/ann",
        ResourceProperties={"DomainId": office.domain, "UserProfileName": "ann", "Destroy": "false"},
    )
    assert told["Status"] == "FAILED"
    assert "have files that would be lost: ann-notes" in told["Reason"]
    apps = office.sagemaker.list_apps(DomainIdEquals=office.domain)["Apps"]
    assert {app["Status"] for app in apps} == {"Deleted"}
    assert office.sagemaker.describe_space(DomainId=office.domain, SpaceName="ann-notes")
    # AND WHEN the spaces are gone, THEN all ends, and the home directories stay without mount targets
    for space in office.sagemaker.list_spaces(DomainIdEquals=office.domain)["Spaces"]:
        office.sagemaker.delete_space(DomainId=office.domain, SpaceName=space["SpaceName"])
    assert office.delete() == "DELETE_COMPLETE", office.reasons()
    assert office.left() == []
    assert local_aws.client("efs").describe_file_systems(FileSystemId=office.outputs["Files"])["FileSystems"]
