"""A domain: what it is set to, what of it cannot change, and what happens when it ends."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from cdk_data_science import ConfigurationError
from cdk_data_science.security import Persona
from cdk_data_science.studio import (
    CustomImage,
    IdleShutdown,
    LifecycleScript,
    StudioActivity,
    StudioDomain,
    StudioLifecycleConfig,
    StudioTeam,
    StudioUser,
)
from tests.constructs import support
from tests.constructs.studio import example
from tests.constructs.studio.schemas import create_only

ISOLATED = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)


def the_domain() -> dict[str, Any]:
    return example.of_type("AWS::SageMaker::Domain")


def test_a_domain_is_in_the_vpc_and_encrypted_and_says_who_calls() -> None:
    given = the_domain()["Properties"]
    assert given["AppNetworkAccessType"] == "VpcOnly"
    assert given["AuthMode"] == "IAM"
    assert given["VpcId"] == "vpc-0123456789abcdef0"
    assert given["SubnetIds"] == ["subnet-0aaaaaaaaaaaaaaaa", "subnet-0bbbbbbbbbbbbbbbb"]
    assert given["KmsKeyId"]["Fn::GetAtt"][0].startswith("StudioKey")
    assert given["DomainSettings"] == {
        "DockerSettings": {"EnableDockerAccess": "DISABLED"},
        "ExecutionRoleIdentityConfig": "USER_PROFILE_NAME",
    }
    assert given["TagPropagation"] == "ENABLED"
    assert given["DefaultUserSettings"]["SharingSettings"] == {"NotebookOutputOption": "Disabled"}


def test_idle_apps_of_both_kinds_end_and_people_cannot_put_it_off_for_ever() -> None:
    settings = the_domain()["Properties"]["DefaultUserSettings"]
    idle = {
        "LifecycleManagement": "ENABLED",
        "IdleTimeoutInMinutes": 90,
        "MaxIdleTimeoutInMinutes": 240,
    }
    for app in ("JupyterLabAppSettings", "CodeEditorAppSettings"):
        assert settings[app]["AppLifecycleManagement"] == {"IdleSettings": idle}
    shared = the_domain()["Properties"]["DefaultSpaceSettings"]["JupyterLabAppSettings"]
    assert shared["AppLifecycleManagement"] == {"IdleSettings": idle}


def test_canvas_is_hidden_unless_it_is_asked_for() -> None:
    hidden = the_domain()["Properties"]["DefaultUserSettings"]["StudioWebPortalSettings"]["HiddenAppTypes"]
    assert {"Canvas", "JupyterServer"} <= {*hidden}
    with_canvas = example.domain(support.stack(), canvas=True)
    assert "Canvas" not in with_canvas.profiles.hidden_apps


def test_the_lock_comes_before_the_domain_and_has_all_that_cloudformation_cannot_change() -> None:
    lock_id, lock = next(
        (key, each) for key, each in example.resources().items() if each["Type"] == "Custom::StudioDomainLock"
    )
    assert lock_id in the_domain()["DependsOn"]
    locked = lock["Properties"]["CreateOnly"]
    given = the_domain()["Properties"]
    assert {name: given[name] for name in locked} == locked
    # The rest of it is about RStudio, which this domain does not have.
    assert {*locked} == {name for name in create_only("AWS::SageMaker::Domain") if "RStudio" not in name}
    assert lock["Properties"]["MayBeReplaced"] == "false"


def test_a_domain_that_is_replaced_all_the_same_is_kept() -> None:
    assert the_domain()["UpdateReplacePolicy"] == "Retain"
    assert the_domain()["DeletionPolicy"] == "RetainExceptOnCreate"


def test_everything_ends_before_what_it_hangs_on() -> None:
    found = example.resources()
    (end_id,) = [key for key, each in found.items() if each["Type"] == "Custom::StudioDomainEnd"]
    (domain_id,) = [key for key, each in found.items() if each["Type"] == "AWS::SageMaker::Domain"]
    assert domain_id in found[end_id]["DependsOn"]
    assert any(key.startswith("StudioEndingPermissions") for key in found[end_id]["DependsOn"])
    for resource in found.values():
        if resource["Type"] == "AWS::SageMaker::UserProfile":
            assert end_id in resource["DependsOn"]
        if resource["Type"] == "AWS::SageMaker::Space":
            (profile,) = resource["DependsOn"]
            assert found[profile]["Type"] == "AWS::SageMaker::UserProfile"
    # A user's apps end before CloudFormation deletes the spaces that they are in.
    ends = {
        each["Properties"]["UserProfileName"]: {
            found[key]["Properties"].get("SpaceName") or found[key]["Properties"]["UserProfileName"]
            for key in each["DependsOn"]
        }
        for each in found.values()
        if each["Type"] == "Custom::StudioUserEnd"
    }
    assert ends == {
        "ann": {"ann", "ann-lab"},
        "ben": {"ben", "reviews-board"},
        "cay": {"cay"},
        "dot": {"dot"},
    }


@pytest.mark.parametrize(
    ("context", "destroy", "lost"),
    [({}, True, False), (example.DESTROY, False, False), (example.DESTROY, True, True)],
    ids=["the property alone", "the context alone", "both keys"],
)
def test_files_are_kept_unless_both_keys_say_otherwise(
    context: dict[str, Any], destroy: bool, lost: bool
) -> None:
    studio = example.domain(support.stack(context=context), destroy=destroy, home_file_system=False)
    assert studio.destroy is lost
    key = studio.key.node.default_child
    assert isinstance(key, kms.CfnKey)
    kept = key.cfn_options.deletion_policy is cdk.CfnDeletionPolicy.RETAIN
    assert kept is not lost


def test_what_ends_things_is_told_whether_files_may_be_lost() -> None:
    for kind in ("Custom::StudioDomainEnd", "Custom::StudioUserEnd"):
        found = [each for each in example.resources().values() if each["Type"] == kind]
        assert {each["Properties"]["Destroy"] for each in found} == {"false"}
    stack = support.stack(context=example.DESTROY)
    example.domain(stack, destroy=True, home_file_system=False)
    end = support.only(support.resources(stack, "Custom::StudioDomainEnd"))["Properties"]
    assert end["Destroy"] == "true"
    # Without home directories there is no file system to end.
    assert "HomeEfsFileSystemId" not in end
    domain = support.only(support.resources(stack, "AWS::SageMaker::Domain"))["Properties"]
    assert domain["HomeEfsFileSystemCreation"] == "Disabled"


def test_what_ends_a_domain_may_touch_this_domain_alone() -> None:
    (policy,) = [
        each
        for key, each in example.resources().items()
        if key.startswith("StudioEndingPermissions") and each["Type"] == "AWS::IAM::Policy"
    ]
    by_action = {
        action: statement
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        for action in (
            statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        )
    }
    for action in ("DeleteApp", "DeleteSpace", "DeleteUserProfile", "DeleteDomain"):
        assert "DomainId" in str(by_action[f"sagemaker:{action}"]["Resource"]), action
    assert "HomeEfsFileSystemId" in str(by_action["elasticfilesystem:DeleteFileSystem"]["Resource"])
    for action in ("DeleteNetworkInterface", "DeleteSecurityGroup"):
        vpc = str(by_action[f"ec2:{action}"]["Condition"]["ArnLike"]["ec2:Vpc"])
        # In a VPC that is shared with this account the ARN has its owner's.
        assert ":*:vpc/vpc-0123456789abcdef0" in vpc
    # Of the VPC's security groups those that SageMaker made for this domain.
    for action in ("DeleteSecurityGroup", "RevokeSecurityGroupIngress"):
        (owner,) = by_action[f"ec2:{action}"]["Condition"]["StringEquals"].items()
        assert owner[0] == "aws:ResourceTag/ManagedByAmazonSageMakerResource"
        assert "DomainId" in str(owner[1]) and ":domain/" in str(owner[1])
    unlimited = {action for action, statement in by_action.items() if statement["Resource"] == "*"}
    assert all(action.partition(":")[2].startswith(("List", "Describe")) for action in unlimited)


def test_a_given_key_and_groups_are_used() -> None:
    stack = support.stack()
    key = kms.Key.from_key_arn(stack, "Key", f"arn:aws:kms:{support.REGION}:{support.ACCOUNT}:key/1234")
    group = ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-0123456789abcdef0")
    studio = example.domain(stack, key=key, security_groups=[group], name="research")
    assert studio.key is key
    assert studio.defaults.security_groups == ["sg-0123456789abcdef0"]
    assert studio.domain.domain_name == "research"


# Scripts and images


def test_a_script_has_another_name_when_its_content_or_its_tags_change() -> None:
    def name(content: str, **tags: str) -> str:
        stack = support.stack()
        for key, value in tags.items():
            cdk.Tags.of(stack).add(key, value)
        StudioLifecycleConfig(stack, "Script", script=LifecycleScript(name="proxy", content=content))
        found = support.only(support.resources(stack, "AWS::SageMaker::StudioLifecycleConfig"))
        written: str = found["Properties"]["StudioLifecycleConfigName"]
        return written

    # Tags are create-only too: under the same name CloudFormation could not make the new one.
    assert "Tags" in create_only("AWS::SageMaker::StudioLifecycleConfig")
    names = [name("#!/bin/bash\n"), name("#!/bin/bash\necho\n"), name("#!/bin/bash\n", owner="ann")]
    assert len({*names}) == 3
    assert names[0] == name("#!/bin/bash\n")
    assert all(each.startswith("proxy-") and len(each) <= 63 for each in names)


def test_a_script_is_the_apps_own_and_arrives_as_it_was_written() -> None:
    found = example.of_type("AWS::SageMaker::StudioLifecycleConfig")["Properties"]
    assert base64.b64decode(found["StudioLifecycleConfigContent"]).decode() == example.SCRIPT.content
    assert found["StudioLifecycleConfigAppType"] == "JupyterLab"
    settings = the_domain()["Properties"]["DefaultUserSettings"]
    (arn,) = settings["JupyterLabAppSettings"]["LifecycleConfigArns"]
    assert arn["Fn::GetAtt"][1] == "StudioLifecycleConfigArn"
    assert "LifecycleConfigArns" not in settings["CodeEditorAppSettings"]


def test_an_image_can_be_chosen_by_everybody_and_is_read_with_a_role_of_its_own() -> None:
    image = example.of_type("AWS::SageMaker::Image")["Properties"]
    config = example.of_type("AWS::SageMaker::AppImageConfig")["Properties"]
    chosen = {"AppImageConfigName": config["AppImageConfigName"], "ImageName": image["ImageName"]}
    settings = the_domain()["Properties"]["DefaultUserSettings"]
    assert settings["JupyterLabAppSettings"]["CustomImages"] == [chosen]
    user = example.of_type("AWS::SageMaker::UserProfile", UserProfileName="ann")["Properties"]["UserSettings"]
    assert user["JupyterLabAppSettings"]["CustomImages"] == [chosen]
    container = config["JupyterLabAppImageConfig"]["ContainerConfig"]
    assert container["ContainerEnvironmentVariables"] == [{"Key": "TEAM", "Value": "reviews"}]
    version = example.of_type("AWS::SageMaker::ImageVersion")
    assert version["Properties"]["BaseImage"] == example.IMAGE.image
    assert version["DependsOn"]


class Tracking:
    """An MLflow app of another stack."""

    arn = f"arn:aws:sagemaker:{support.REGION}:{support.ACCOUNT}:mlflow-app/app-ABCDEFGHIJKL"
    environment: Mapping[str, str] = {}

    def grant_log(self, grantee: iam.IGrantable) -> iam.Grant:
        return self._grant(grantee, "sagemaker:CallMlflowAppApi")

    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        return self._grant(grantee, "sagemaker:DescribeMlflowApp")

    def _grant(self, grantee: iam.IGrantable, action: str) -> iam.Grant:
        return iam.Grant.add_to_principal(grantee=grantee, actions=[action], resource_arns=[self.arn])


def test_notebooks_find_mlflow_and_those_who_train_record_there() -> None:
    stack = support.stack(env=support.environment())
    studio = example.domain(stack, mlflow=Tracking(), home_file_system=False)
    people = {Persona.DATA_SCIENTIST: "ann", Persona.ML_ENGINEER: "ben", Persona.APPROVER: "cay"}
    users = [StudioUser(name=name, persona=persona) for persona, name in people.items()]
    StudioTeam(stack, "Team", domain=studio, name="reviews", cost_center="4711", users=users)
    scripts = support.resources(stack, "AWS::SageMaker::StudioLifecycleConfig").values()
    apps = {each["Properties"]["StudioLifecycleConfigAppType"] for each in scripts}
    assert apps == {"JupyterLab", "CodeEditor"}
    for script in scripts:
        told = script["Properties"]["StudioLifecycleConfigContent"]["Fn::Base64"]
        assert f'setdefault("MLFLOW_TRACKING_URI", "{Tracking.arn}")' in told
        assert script["Properties"]["StudioLifecycleConfigName"].endswith("-app-ABCDEFGHIJKL")
        assert len(script["Properties"]["StudioLifecycleConfigName"]) <= 63
    policies = support.resources(stack, "AWS::IAM::Policy").values()

    def holders(action: str) -> set[str]:
        return {policy["Properties"]["Roles"][0]["Ref"][4:-8] for policy in policies if action in str(policy)}

    assert holders("sagemaker:CallMlflowAppApi") == {"DataScientist", "MlEngineer"}
    # Who only looks is the app's to say: an MLflow app does not tell reading from recording.
    assert holders("sagemaker:DescribeMlflowApp") == set()


# Who runs what


def test_the_dashboard_shows_metrics_that_are_published_and_the_log_of_owners() -> None:
    dashboard = str(example.of_type("AWS::CloudWatch::Dashboard")["Properties"]["DashboardBody"])
    for name in ("RunningApps", "Owners", "LongestRunHours", "app.owner", "CdkDataScience/Studio"):
        assert name in dashboard
    rule = example.of_type("AWS::Events::Rule")["Properties"]
    assert rule["ScheduleExpression"] == "rate(5 minutes)"
    assert "DeadLetterConfig" in rule["Targets"][0]


# What cannot work


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"idle": IdleShutdown(minutes=30)}, r"minutes=30\); allowed: 60 to 525600"),
        ({"idle": IdleShutdown(minutes=525_601)}, "60 to 525600"),
        ({"idle": IdleShutdown(minutes=120, longest_minutes=60)}, "at most longest_minutes"),
        ({"name": "Research"}, 'write: "research"'),
        ({"name": "-x-"}, "letter or digit first and last"),
        ({"name": "x" * 64}, "1 to 63"),
        ({"security_groups": []}, "given 0 security groups; allowed: 1 to 5"),
        ({"volume_gb": 4}, "volume_gb=4; allowed: 5 to 16384 GB"),
        ({"volume_gb": 200}, "at most largest_volume_gb"),
        ({"scripts": [LifecycleScript(name="x", content="echo")]}, "names the interpreter"),
        ({"scripts": [LifecycleScript(name="x", content="#!/bin/sh\r\n")]}, "line feeds alone"),
        ({"scripts": [LifecycleScript(name="x", content="#!/bin/sh\n" + "#" * 12_288)]}, "16384 in base64"),
        ({"scripts": [example.SCRIPT, example.SCRIPT]}, "allowed: each name once"),
        ({"images": [CustomImage(name="x", image="docker.io/library/python:3")]}, "URI of an image in ECR"),
        ({"images": [CustomImage(name="X y", image=example.IMAGE.image)]}, "1 to 30 lower-case"),
    ],
)
def test_what_cannot_work_is_told_at_construction(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        example.domain(support.stack(), **given)


def no_subnets(stack: cdk.Stack) -> StudioDomain:
    return StudioDomain(
        stack,
        "Studio",
        vpc=ec2.Vpc.from_vpc_attributes(
            stack, "Vpc", vpc_id="vpc-1", availability_zones=["eu-west-1a", "eu-west-1b"]
        ),
        subnets=ISOLATED,
    )


def one_zone(stack: cdk.Stack) -> StudioDomain:
    return StudioDomain(stack, "Studio", vpc=example.vpc(stack, zones=1), subnets=ISOLATED)


def public(stack: cdk.Stack) -> StudioDomain:
    vpc = ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-1",
        availability_zones=["eu-west-1a", "eu-west-1b"],
        public_subnet_ids=["subnet-1", "subnet-2"],
    )
    return StudioDomain(stack, "Studio", vpc=vpc, subnets=ec2.SubnetSelection(subnets=vpc.public_subnets))


@pytest.mark.parametrize(
    ("make", "message"),
    [(no_subnets, "given no subnets"), (one_zone, "in one zone"), (public, "given public subnets")],
)
def test_a_domain_needs_private_subnets_in_two_zones(
    make: Callable[[cdk.Stack], StudioDomain], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make(support.stack())


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError, match="StudioDomain at Test/Studio: 3 problems"):
        example.domain(support.stack(), name="A B", volume_gb=1, idle=IdleShutdown(minutes=1))


def test_activity_is_listed_every_minute_at_most() -> None:
    stack = support.stack()
    with pytest.raises(ConfigurationError, match="minutes=0; allowed: 1 to 60"):
        StudioActivity(stack, "Activity", domain=example.domain(stack), minutes=0)
