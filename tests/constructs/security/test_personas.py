"""Personas: each does its work, and is denied what it must not do, by its policies and by its boundary."""

from __future__ import annotations

import json
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam

from cdk_data_science import ConfigurationError, DataLake
from cdk_data_science.security import DataAccess, Persona, Personas
from tests.compliance import iam as catalogue
from tests.compliance.templates import as_list
from tests.constructs import nag, support
from tests.constructs.security import example
from tests.constructs.security.simulator import Simulator

REGION, ACCOUNT = support.REGION, support.ACCOUNT
SESSION = {
    "aws:PrincipalTag/team": "reviews",
    "aws:PrincipalTag/cost-center": "4711",
    "aws:RequestedRegion": REGION,
    "aws:ResourceAccount": ACCOUNT,
}
TAGGED = SESSION | {"aws:RequestTag/team": "reviews", "aws:RequestTag/cost-center": "4711"}
IN_VPC = TAGGED | {"sagemaker:VpcSubnets": "subnet-1", "sagemaker:VpcSecurityGroupIds": "sg-1"}


@pytest.fixture(scope="module")
def resources() -> dict[str, dict[str, Any]]:
    return support.resources(example.build())


@pytest.fixture(scope="module")
def scientist(resources: dict[str, dict[str, Any]]) -> Simulator:
    return Simulator(resources, "PeopleDataScientist")


@pytest.fixture(scope="module")
def engineer(resources: dict[str, dict[str, Any]]) -> Simulator:
    return Simulator(resources, "PeopleMlEngineer")


@pytest.fixture(scope="module")
def approver(resources: dict[str, dict[str, Any]]) -> Simulator:
    return Simulator(resources, "PeopleApprover")


@pytest.fixture(scope="module")
def auditor(resources: dict[str, dict[str, Any]]) -> Simulator:
    return Simulator(resources, "PeopleAuditor")


def sagemaker(name: str) -> str:
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{name}"


JOB = sagemaker("training-job/reviews-1")

# What nobody may do: action, resource, context beside the session's.
FORBIDDEN: dict[str, tuple[str, str, dict[str, str]]] = {
    "read another team's lake": ("s3:GetObject", "arn:aws:s3:::payments-lake-curated/customers.csv", {}),
    "start another team's job": ("sagemaker:CreateTrainingJob", sagemaker("training-job/payments-1"), IN_VPC),
    "pass an admin role": (
        "iam:PassRole",
        f"arn:aws:iam::{ACCOUNT}:role/Admin",
        {"iam:PassedToService": "sagemaker.amazonaws.com"},
    ),
    "make a role": ("iam:CreateRole", f"arn:aws:iam::{ACCOUNT}:role/Mine", {}),
    "lose the boundary": (
        "iam:DeleteRolePermissionsBoundary",
        f"arn:aws:iam::{ACCOUNT}:role/DataScientist",
        {},
    ),
    "become somebody else": ("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/Admin", {}),
    "open a function to the internet": (
        "lambda:CreateFunctionUrlConfig",
        f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:inference",
        {"lambda:FunctionUrlAuthType": "NONE"},
    ),
    "open a security group": (
        "ec2:AuthorizeSecurityGroupIngress",
        f"arn:aws:ec2:{REGION}:{ACCOUNT}:security-group/sg-1",
        {},
    ),
    "make a notebook with internet": (
        "sagemaker:CreateNotebookInstance",
        sagemaker("notebook-instance/reviews-1"),
        {"sagemaker:DirectInternetAccess": "Enabled"},
    ),
    "make a bucket public": ("s3:PutBucketPolicy", "arn:aws:s3:::lake-curated", {}),
    "turn off the trail": (
        "cloudtrail:StopLogging",
        f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/audit",
        {},
    ),
    "narrow the trail": (
        "cloudtrail:PutEventSelectors",
        f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/audit",
        {},
    ),
    "delete a log": ("logs:DeleteLogGroup", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:audit", {}),
    "end a key": ("kms:ScheduleKeyDeletion", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1", {}),
    "grant in the lake": ("lakeformation:GrantPermissions", "*", {}),
}

# Of these, what AdministratorAccess would give and the boundary still denies.
BEYOND_THE_BOUNDARY = [
    what
    for what in FORBIDDEN
    if what not in ("read another team's lake", "start another team's job", "pass an admin role")
]


@pytest.mark.parametrize("persona", ["DataScientist", "MlEngineer", "Approver", "Auditor"])
@pytest.mark.parametrize("what", FORBIDDEN)
def test_nobody_may(resources: dict[str, dict[str, Any]], persona: str, what: str) -> None:
    action, resource, more = FORBIDDEN[what]
    assert not Simulator(resources, f"People{persona}").allows(action, resource, when=SESSION | more)


@pytest.mark.parametrize("what", BEYOND_THE_BOUNDARY)
def test_not_even_an_administrator_under_the_boundary_may(
    resources: dict[str, dict[str, Any]], what: str
) -> None:
    action, resource, more = FORBIDDEN[what]
    administrator = Simulator(resources, "PeopleDataScientist", administrator=True)
    assert not administrator.allows(action, resource, when=SESSION | more)
    assert administrator.denies(action, resource, when=SESSION | more)
    assert administrator.allows("s3:GetObject", "arn:aws:s3:::anything/else", when=SESSION)


def test_nothing_is_possible_in_another_region_or_account(resources: dict[str, dict[str, Any]]) -> None:
    administrator = Simulator(resources, "PeopleDataScientist", administrator=True)
    elsewhere = SESSION | {"aws:RequestedRegion": "us-west-2"}
    assert not administrator.allows("sagemaker:CreateTrainingJob", JOB, when=elsewhere)
    foreign = SESSION | {"aws:ResourceAccount": "999999999999"}
    assert not administrator.allows("s3:PutObject", "arn:aws:s3:::foreign/secrets", when=foreign)


def test_a_data_scientist_starts_jobs_of_the_team_in_the_network_for_the_sessions_cost_center(
    scientist: Simulator,
) -> None:
    assert scientist.allows("sagemaker:CreateTrainingJob", JOB, when=IN_VPC)
    assert not scientist.allows("sagemaker:CreateTrainingJob", JOB, when=TAGGED)
    untagged = {key: value for key, value in IN_VPC.items() if not key.startswith("aws:RequestTag")}
    assert not scientist.allows("sagemaker:CreateTrainingJob", JOB, when=untagged)
    others = IN_VPC | {"aws:RequestTag/cost-center": "0815"}
    assert not scientist.allows("sagemaker:CreateTrainingJob", JOB, when=others)


def test_a_data_scientist_passes_job_roles_to_sagemaker_and_to_nothing_else(scientist: Simulator) -> None:
    role = scientist.arn("TrainingJobsRole")
    passed = {"iam:PassedToService": "sagemaker.amazonaws.com"}
    assert scientist.allows("iam:PassRole", role, when=SESSION | passed)
    assert not scientist.allows(
        "iam:PassRole", role, when=SESSION | {"iam:PassedToService": "lambda.amazonaws.com"}
    )
    assert not scientist.allows("iam:PassRole", scientist.arn("CrawlerJobsRole"), when=SESSION | passed)


def test_a_data_scientist_reads_the_teams_data_and_writes_its_work(scientist: Simulator) -> None:
    curated, features = scientist.arn("LakeCuratedBucket"), scientist.arn("LakeFeaturesBucket")
    assert scientist.allows("s3:GetObject", f"{curated}/reviews.parquet", when=SESSION)
    assert not scientist.allows("s3:PutObject", f"{curated}/reviews.parquet", when=SESSION)
    assert scientist.allows("s3:PutObject", f"{features}/work/reviews/1.csv", when=SESSION)
    assert not scientist.allows("s3:PutObject", f"{features}/runs/1/scores.csv", when=SESSION)


def test_rows_are_those_that_the_sessions_tag_names(scientist: Simulator) -> None:
    raw = scientist.arn("LakeRawBucket")
    session = SESSION | {"aws:PrincipalTag/country": "fr"}
    assert scientist.allows("s3:GetObject", f"{raw}/reviews/fr/1.csv", when=session)
    assert not scientist.allows("s3:GetObject", f"{raw}/reviews/de/1.csv", when=session)
    assert not scientist.allows("s3:GetObject", f"{raw}/reviews/fr/1.csv", when=SESSION)
    listing = session | {"s3:prefix": "reviews/fr/"}
    assert scientist.allows("s3:ListBucket", raw, when=listing)
    assert not scientist.allows("s3:ListBucket", raw, when=session | {"s3:prefix": "reviews/de/"})


def test_a_data_scientist_deploys_and_approves_nothing(scientist: Simulator) -> None:
    for action, resource in (
        ("sagemaker:CreateEndpoint", "endpoint/reviews-1"),
        ("sagemaker:UpdateEndpoint", "endpoint/reviews-1"),
        ("sagemaker:CreateModelPackage", "model-package/reviews-1/1"),
        ("sagemaker:UpdateModelPackage", "model-package/reviews-1/1"),
    ):
        assert not scientist.allows(action, sagemaker(resource), when=IN_VPC)


def test_an_engineer_registers_what_waits_for_approval_and_approves_nothing(engineer: Simulator) -> None:
    package = sagemaker("model-package/reviews-sentiment/1")
    waiting = SESSION | {"sagemaker:ModelApprovalStatus": "PendingManualApproval"}
    approved = SESSION | {"sagemaker:ModelApprovalStatus": "Approved"}
    assert engineer.allows("sagemaker:CreateModelPackage", package, when=waiting)
    assert not engineer.allows("sagemaker:CreateModelPackage", package, when=approved)
    assert not engineer.allows("sagemaker:UpdateModelPackage", package, when=approved)


def test_an_engineer_runs_the_teams_pipelines_and_operates_its_endpoints(engineer: Simulator) -> None:
    states = f"arn:aws:states:{REGION}:{ACCOUNT}"
    assert engineer.allows("states:StartExecution", f"{states}:stateMachine:reviews", when=SESSION)
    assert not engineer.allows("states:StartExecution", f"{states}:stateMachine:payments", when=SESSION)
    assert engineer.allows("states:StopExecution", f"{states}:execution:reviews:1", when=SESSION)
    assert not engineer.allows("states:StopExecution", f"{states}:execution:payments:1", when=SESSION)
    assert engineer.allows("sagemaker:CreateEndpoint", sagemaker("endpoint/reviews-1"), when=TAGGED)
    assert engineer.allows("sagemaker:DeleteEndpoint", sagemaker("endpoint/reviews-1"), when=SESSION)
    assert not engineer.allows("sagemaker:DeleteEndpoint", sagemaker("endpoint/payments-1"), when=SESSION)


def test_an_approver_reads_evaluations_and_decides_and_does_nothing_else(approver: Simulator) -> None:
    package = sagemaker("model-package/reviews-sentiment/1")
    features = approver.arn("LakeFeaturesBucket")
    assert approver.allows("s3:GetObject", f"{features}/evaluations/1/evaluation.json", when=SESSION)
    assert approver.allows(
        "sagemaker:UpdateModelPackage", package, when=SESSION | {"sagemaker:ModelApprovalStatus": "Approved"}
    )
    assert not approver.allows("sagemaker:UpdateModelPackage", package, when=SESSION)
    curated = approver.arn("LakeCuratedBucket")
    assert not approver.allows("s3:GetObject", f"{curated}/reviews.parquet", when=SESSION)
    assert not approver.allows("sagemaker:CreateTrainingJob", JOB, when=IN_VPC)
    assert not approver.allows(
        "states:StartExecution", f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:reviews", when=SESSION
    )


def test_an_auditor_sees_everything_but_data_and_changes_nothing(auditor: Simulator) -> None:
    assert auditor.allows("cloudtrail:LookupEvents", when=SESSION)
    assert auditor.allows("iam:GetRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/Admin", when=SESSION)
    assert auditor.allows("kms:GetKeyPolicy", auditor.arn("LakeKey"), when=SESSION)
    for zone in ("Raw", "Curated", "Features", "Models"):
        bucket = auditor.arn(f"Lake{zone}Bucket")
        assert not auditor.allows("s3:GetObject", f"{bucket}/x", when=SESSION)
    changing = (
        "Create",
        "Put",
        "Update",
        "Delete",
        "Start",
        "Stop",
        "Send",
        "Pass",
        "Add",
        "Decrypt",
        "Invoke",
    )
    actions = [action for s in auditor.statements() for action in as_list(s["Action"])]
    assert actions
    assert not [action for action in actions if action.partition(":")[2].startswith(changing)]


def test_every_role_is_bounded_and_assumed_with_the_teams_tag_and_a_cost_center(
    resources: dict[str, dict[str, Any]],
) -> None:
    roles = [
        found["Properties"]
        for key, found in resources.items()
        if key.startswith("People") and found["Type"] == "AWS::IAM::Role"
    ]
    assert len(roles) == 4
    for role in roles:
        assert "PermissionsBoundary" in role
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert set(trust["Action"]) == {"sts:AssumeRole", "sts:TagSession"}
        assert trust["Condition"]["StringEquals"] == {"aws:RequestTag/team": "reviews"}
        assert trust["Condition"]["StringLike"] == {"aws:RequestTag/cost-center": "?*"}


def test_nobody_opens_rows_with_a_tag_that_is_not_his(resources: dict[str, dict[str, Any]]) -> None:
    own = {f"aws:RequestTag/{tag}": f"${{aws:PrincipalTag/{tag}, '-'}}" for tag in ("country", "studio-user")}
    (scientist,) = (role for key, role in resources.items() if key[:-8] == "PeopleDataScientist")
    (trust,) = scientist["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"]["StringEqualsIfExists"] == own


def test_an_identity_provider_writes_the_tags_that_open_rows() -> None:
    stack = support.stack(env=support.environment())
    provider = f"arn:aws:iam::{ACCOUNT}:saml-provider/people"
    federated = iam.FederatedPrincipal(
        provider,
        {"StringEquals": {"SAML:aud": "https://signin.aws.amazon.com/saml"}},
        "sts:AssumeRoleWithSAML",
    )
    Personas(
        stack,
        "People",
        team="reviews",
        people={Persona.DATA_SCIENTIST: federated},
        data=[
            DataAccess(
                zone=DataLake(stack, "Lake", zones=["raw"]).raw, prefix="reviews/", rows_by_tag="country"
            )
        ],
    )
    (role,) = (r for k, r in support.resources(stack).items() if k[:-8] == "PeopleDataScientist")
    (trust,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert set(trust["Action"]) == {"sts:AssumeRoleWithSAML", "sts:TagSession"}
    assert set(trust["Condition"]) == {"StringEquals", "StringLike"}
    assert "aws:RequestTag/team" in trust["Condition"]["StringEquals"]


def test_no_action_is_a_wildcard_and_none_that_can_be_limited_is_allowed_everywhere(
    resources: dict[str, dict[str, Any]],
) -> None:
    for persona in ("DataScientist", "MlEngineer", "Approver", "Auditor"):
        for statement in Simulator(resources, f"People{persona}").statements():
            for action in as_list(statement["Action"]):
                assert "*" not in action
                assert catalogue.matching_actions(action), f"IAM knows no action {action}"
                if "*" in as_list(statement["Resource"]):
                    assert not catalogue.can_be_limited(action), f"{action} can be limited"


def test_iam_knows_every_action_of_the_boundary(resources: dict[str, dict[str, Any]]) -> None:
    (boundary,) = [r for r in resources.values() if r["Type"] == "AWS::IAM::ManagedPolicy"]
    document = boundary["Properties"]["PolicyDocument"]
    for statement in document["Statement"]:
        for action in as_list(statement["Action"]):
            assert catalogue.matching_actions(action), f"IAM knows no action {action}"
    # A managed policy holds 6,144 characters.
    assert len(json.dumps(document, separators=(",", ":"))) < 6_000


def test_only_the_personas_that_are_asked_for_are_made_for_those_who_may_assume_them() -> None:
    stack = support.stack(env=support.environment())
    people = {Persona.AUDITOR: iam.ArnPrincipal(f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso/Audit")}
    personas = Personas(stack, "People", team="reviews", people=people)
    assert list(personas.roles) == [Persona.AUDITOR]
    with pytest.raises(ConfigurationError, match="allowed: auditor"):
        personas.role(Persona.APPROVER)
    role = support.only(support.resources(stack, "AWS::IAM::Role"))["Properties"]
    assert "aws-reserved/sso/Audit" in json.dumps(role["AssumeRolePolicyDocument"])


def test_all_mistakes_are_told_at_once() -> None:
    stack = support.stack()
    lake = DataLake(stack, "Lake")
    with pytest.raises(ConfigurationError, match="5 problems") as failure:
        Personas(
            stack,
            "People",
            team="The Reviews",
            people={},
            longest_session=cdk.Duration.hours(13),
            data=[
                DataAccess(zone=lake.raw, personas=[Persona.AUDITOR]),
                DataAccess(zone=lake.raw, rows_by_tag="country"),
            ],
        )
    for part in ("team='The Reviews'", "one persona or more", "1 to 12 hours", "auditors", "a prefix"):
        assert part in str(failure.value)


def test_no_rule_pack_finds_anything() -> None:
    app = support.app()
    example.build(app)
    assert nag.unacknowledged(app) == []
