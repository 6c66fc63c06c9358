"""Each persona may do its own work, and is denied what it must not do: tried with the session of a person."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.conftest import ACCOUNT, REGION
from tests.platform.deployed import Deployed, Run
from tests.platform.test_permissions import (
    DENIED,
    Call,
    Clients,
    Part,
    World,
    configure,
    delete_package,
    delete_version,
    read,
    replace_code,
    start_run,
    take_a_role,
    update_alias,
    write,
    write_new,
)

pytestmark = pytest.mark.xdist_group("platform")

TEAM = "ds-local"
TAGS = [{"Key": "team", "Value": TEAM}, {"Key": "cost-center", "Value": "4711"}]
ADMIN = f"arn:aws:iam::{ACCOUNT}:role/tests-personas-admin"
TRAIL = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/tests-personas"
GROUP = f"{TEAM}-tried"
PUBLIC = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}
ROLES = {
    "data scientist": "DataScientistRoleArn",
    "ML engineer": "MlEngineerRoleArn",
    "approver": "ApproverRoleArn",
    "auditor": "AuditorRoleArn",
}


def train(
    *,
    name: str = f"{TEAM}-tried",
    role: str | None = None,
    in_network: bool = True,
    tagged: bool = True,
) -> Call:
    """Start a training job like that of the run."""

    def call(world: World, clients: Clients) -> Any:
        sagemaker = world.platform.aws.client("sagemaker")
        known = sagemaker.describe_training_job(TrainingJobName=world.run.output["trainingJob"]["name"])
        names = ("AlgorithmSpecification", "OutputDataConfig", "ResourceConfig", "StoppingCondition")
        request = {
            **{each: known[each] for each in names},
            "TrainingJobName": f"{name}-{uuid.uuid4().hex[:8]}",
            "RoleArn": role or world.platform.outputs["TrainingRoleArn"],
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        }
        if in_network:
            request["VpcConfig"] = {"Subnets": ["subnet-12345678"], "SecurityGroupIds": ["sg-12345678"]}
        if tagged:
            request["Tags"] = TAGS
        return clients("sagemaker").create_training_job(**request)

    return call


def make_endpoint(world: World, clients: Clients) -> Any:
    return clients("sagemaker").create_endpoint(
        EndpointName=f"{TEAM}-tried", EndpointConfigName=f"{TEAM}-tried", Tags=TAGS
    )


def open_function(world: World, clients: Clients) -> Any:
    return clients("lambda").create_function_url_config(**world.inference, AuthType="NONE")


def let_the_world_invoke(world: World, clients: Clients) -> Any:
    return clients("lambda").add_permission(
        **world.inference, StatementId="open", Action="lambda:InvokeFunction", Principal="*"
    )


def open_bucket(world: World, clients: Clients) -> Any:
    statement = PUBLIC | {"Resource": f"arn:aws:s3:::{world.platform.features}/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return clients("s3").put_bucket_policy(Bucket=world.platform.features, Policy=policy)


def open_group(world: World, clients: Clients) -> Any:
    anybody = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    group = world.platform.aws.client("ec2").describe_security_groups()["SecurityGroups"][0]["GroupId"]
    return clients("ec2").authorize_security_group_ingress(GroupId=group, IpPermissions=[anybody])


def stop_trail(world: World, clients: Clients) -> Any:
    return clients("cloudtrail").stop_logging(Name=TRAIL)


def narrow_trail(world: World, clients: Clients) -> Any:
    selector = {"Name": "nothing", "FieldSelectors": [{"Field": "eventCategory", "Equals": ["Insight"]}]}
    return clients("cloudtrail").put_event_selectors(TrailName=TRAIL, AdvancedEventSelectors=[selector])


def read_trail(world: World, clients: Clients) -> Any:
    return clients("s3").get_object(Bucket=world.platform.outputs["AuditBucket"], Key="AWSLogs/any")


def end_key(world: World, clients: Clients) -> Any:
    return clients("kms").schedule_key_deletion(KeyId=world.platform.outputs["KeyArn"])


def widen(world: World, clients: Clients) -> Any:
    """Give the own role everything."""
    anything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [anything]})
    role = name_of(world, "data scientist")
    return clients("iam").put_role_policy(RoleName=role, PolicyName="wider", PolicyDocument=policy)


def lose_the_boundary(world: World, clients: Clients) -> Any:
    return clients("iam").delete_role_permissions_boundary(RoleName=name_of(world, "data scientist"))


def become(persona: str) -> Call:
    def call(world: World, clients: Clients) -> Any:
        role = world.platform.outputs[ROLES[persona]]
        return clients("sts").assume_role(RoleArn=role, RoleSessionName="somebody-else", Tags=TAGS)

    return call


def register(status: str) -> Call:
    def call(world: World, clients: Clients) -> Any:
        return clients("sagemaker").create_model_package(
            ModelPackageGroupName=GROUP, ModelPackageDescription="tried", ModelApprovalStatus=status
        )

    return call


def approve(status: str = "Approved") -> Call:
    """Set the status that the run's package has, or another."""

    def call(world: World, clients: Clients) -> Any:
        package = world.run.output["modelPackage"]["model_package_arn"]
        return clients("sagemaker").update_model_package(ModelPackageArn=package, ModelApprovalStatus=status)

    return call


def describe_package(world: World, clients: Clients) -> Any:
    package = world.run.output["modelPackage"]["model_package_arn"]
    return clients("sagemaker").describe_model_package(ModelPackageName=package)


def read_report(world: World, clients: Clients) -> Any:
    """What the registry says that the model was judged by."""
    package = describe_package(world, world.platform.aws.client)
    bucket, _, key = package["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"][5:].partition("/")
    return clients("s3").get_object(Bucket=bucket, Key=key)["Body"].read()


def see_a_role(world: World, clients: Clients) -> Any:
    return clients("iam").get_role(RoleName=name_of(world, "data scientist"))


def see_trails(world: World, clients: Clients) -> Any:
    return clients("cloudtrail").describe_trails()


def name_of(world: World, persona: str) -> str:
    return world.platform.outputs[ROLES[persona]].rpartition("/")[2]


# What the boundary denies by name, whatever else is attached to a role.
NOBODY: dict[str, Call] = {
    "open the function to the internet": open_function,
    "let everybody invoke it": let_the_world_invoke,
    "make a bucket public": open_bucket,
    "open a security group": open_group,
    "turn off the trail": stop_trail,
    "narrow the trail": narrow_trail,
    "end the lake's key": end_key,
    "widen a role": widen,
    "lose the boundary": lose_the_boundary,
}
EVERYBODY: dict[str, Call] = NOBODY | {
    "read the trail's files": read_trail,
    "pass an admin role": train(role=ADMIN),
    "start another team's job": train(name="payments"),
    "write the data": write("source"),
    "delete a version of the data": delete_version("source"),
    "write a served model": write("model"),
    "write the pointer": write("pointer"),
    "move the alias": update_alias,
    "configure the function": configure,
    "replace its code": replace_code,
    "delete a package": delete_package,
}

PERSONAS: dict[str, Part] = {
    "data scientist": Part(
        allowed={
            "read the data": read("source"),
            "write the team's work": write_new("features", f"work/{TEAM}/tried.csv"),
            "start a job in the network": train(),
            "read the registry": describe_package,
        },
        denied={
            "read another zone": read("model"),
            "read training code": read("training_source"),
            "read the held-out labels": read("labels"),
            "write another team's work": write_new("features", "work/payments/tried.csv"),
            "start a job with internet": train(in_network=False),
            "start a job that nobody pays for": train(tagged=False),
            "make an endpoint": make_endpoint,
            "register a model": register("PendingManualApproval"),
            "approve a model": approve(),
            "start a run": start_run,
            "read roles": take_a_role,
            "become an ML engineer": become("ML engineer"),
        },
    ),
    "ML engineer": Part(
        allowed={
            "read training rows": read("train"),
            "read the held-out labels": read("labels"),
            "start a job in the network": train(),
            "register a model that waits": register("PendingManualApproval"),
        },
        denied={
            "register an approved model": register("Approved"),
            "approve a model": approve(),
            "start a job with internet": train(in_network=False),
            "read another zone": read("model"),
            "read roles": take_a_role,
            "become an approver": become("approver"),
        },
    ),
    "approver": Part(
        allowed={
            "read the registry": describe_package,
            "read the evaluation": read_report,
            "approve a model": approve(),
        },
        denied={
            "put a model back to wait": approve("PendingManualApproval"),
            "register a model": register("PendingManualApproval"),
            "read the data": read("source"),
            "read training rows": read("train"),
            "start a job": train(),
            "start a run": start_run,
            "make an endpoint": make_endpoint,
            "become a data scientist": become("data scientist"),
        },
    ),
    "auditor": Part(
        allowed={
            "see a role": see_a_role,
            "see the trails": see_trails,
            "read the registry": describe_package,
        },
        denied={
            "read the data": read("source"),
            "read another zone": read("model"),
            "read the evaluation": read_report,
            "start a job": train(),
            "start a run": start_run,
            "approve a model": approve(),
            "register a model": register("PendingManualApproval"),
            "become a data scientist": become("data scientist"),
        },
    ),
}


@pytest.fixture(scope="module")
def world(platform: Deployed, first_run: Run) -> World:
    return World(platform, first_run)


@pytest.fixture(scope="module")
def person(platform: Deployed) -> Iterator[Clients]:
    """Somebody of the account who may take roles and nothing else."""
    iam, name = platform.aws.client("iam"), "tests-personas-person"
    taking = {"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [taking]})
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="roles", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    yield lambda service: platform.aws._client(service, keys)
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName=name, PolicyName="roles")
    iam.delete_user(UserName=name)


@pytest.fixture(scope="module", autouse=True)
def reachable(platform: Deployed) -> Iterator[None]:
    """What there is to reach for, so that nothing is refused because it is not there."""
    iam, sagemaker = platform.aws.client("iam"), platform.aws.client("sagemaker")
    name = ADMIN.rpartition("/")[2]
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "sagemaker.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)
    sagemaker.create_model_package_group(ModelPackageGroupName=GROUP)
    # The local AWS makes no trail from a template.
    trails = platform.aws.client("cloudtrail")
    trails.create_trail(Name=TRAIL.rpartition("/")[2], S3BucketName=platform.outputs["AuditBucket"])
    yield
    trails.delete_trail(Name=TRAIL)
    for package in sagemaker.list_model_packages(ModelPackageGroupName=GROUP)["ModelPackageSummaryList"]:
        sagemaker.delete_model_package(ModelPackageName=package["ModelPackageArn"])
    sagemaker.delete_model_package_group(ModelPackageGroupName=GROUP)
    iam.delete_role(RoleName=name)


def session(world: World, person: Clients, persona: str, tags: list[dict[str, str]] = TAGS) -> Clients:
    """The clients of a person who has taken a persona's role."""
    role = world.platform.outputs[ROLES[persona]]
    given = person("sts").assume_role(RoleArn=role, RoleSessionName="tried", Tags=tags)["Credentials"]
    keys = {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }
    return lambda service: world.platform.aws._client(service, keys)


def is_denied(call: Call, world: World, clients: Clients) -> bool:
    try:
        call(world, clients)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        assert code in DENIED | {"UnauthorizedOperation"}, f"{code}: {error}"
        return True
    return False


@pytest.mark.parametrize("persona", PERSONAS)
def test_each_persona_may_do_its_work(world: World, person: Clients, persona: str) -> None:
    clients = session(world, person, persona)
    for call in PERSONAS[persona].allowed.values():
        call(world, clients)


@pytest.mark.parametrize("persona", PERSONAS)
def test_no_persona_may_do_what_it_must_not(world: World, person: Clients, persona: str) -> None:
    clients = session(world, person, persona)
    tried = EVERYBODY | PERSONAS[persona].denied
    assert [what for what, call in tried.items() if not is_denied(call, world, clients)] == []


def test_the_boundary_holds_for_somebody_who_was_given_everything(world: World, person: Clients) -> None:
    iam, role = world.platform.aws.client("iam"), name_of(world, "data scientist")
    widen(world, world.platform.aws.client)
    try:
        clients = session(world, person, "data scientist")
        assert read("model")(world, clients)
        assert [what for what, call in NOBODY.items() if not is_denied(call, world, clients)] == []
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="wider")


@pytest.mark.parametrize(
    "tags",
    [[], TAGS[:1], TAGS[1:], [{"Key": "team", "Value": "payments"}, TAGS[1]]],
    ids=["none", "no cost center", "no team", "another team"],
)
def test_a_role_is_taken_with_the_tags_of_its_team(
    world: World, person: Clients, tags: list[dict[str, str]]
) -> None:
    for persona in PERSONAS:
        with pytest.raises(ClientError, match="AccessDenied"):
            session(world, person, persona, tags)
