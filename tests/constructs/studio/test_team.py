"""A team: its people, their places, and how much of it fits where."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from cdk_data_science import ConfigurationError
from cdk_data_science.hardware import InstanceUse, instance_types
from cdk_data_science.security import Persona
from cdk_data_science.studio import (
    LIMITS,
    InstanceLimit,
    PrivateSpace,
    SharedSpace,
    StudioIdentity,
    StudioTeam,
    StudioUser,
)
from tests.constructs import support
from tests.constructs.security.simulator import Simulator
from tests.constructs.studio import example

MOST_BYTES, MOST_RESOURCES = 1_000_000, 500


def profile(name: str) -> dict[str, Any]:
    found: dict[str, Any] = example.of_type("AWS::SageMaker::UserProfile", UserProfileName=name)["Properties"]
    return found


def tags(properties: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in properties["Tags"]}


def team(stack: cdk.Stack, **given: Any) -> StudioTeam:
    """A team in a domain of its own, with further options."""
    identity = given.pop("identity", StudioIdentity.IAM)
    defaults = {"name": "reviews", "cost_center": "4711", "users": [StudioUser(name="ann")]}
    return StudioTeam(
        stack, "Team", **({"domain": example.domain(stack, identity=identity)} | defaults | given)
    )


def test_a_profile_has_the_role_and_the_instances_of_its_persona() -> None:
    ann, ben = profile("ann")["UserSettings"], profile("ben")["UserSettings"]
    assert ann["ExecutionRole"]["Fn::GetAtt"][0].startswith("ReviewsDataScientist")
    assert ben["ExecutionRole"]["Fn::GetAtt"][0].startswith("ReviewsMlEngineer")
    for settings, expected in ((ann, "ml.t3.medium"), (ben, "ml.g5.xlarge")):
        for app in ("JupyterLabAppSettings", "CodeEditorAppSettings"):
            assert settings[app]["DefaultResourceSpec"] == {"InstanceType": expected}


def test_what_is_hidden_is_what_is_denied() -> None:
    hidden = {*profile("ann")["UserSettings"]["StudioWebPortalSettings"]["HiddenInstanceTypes"]}
    (limit,) = [
        each for key, each in example.resources().items() if key.startswith("ReviewsDataScientistSpacesLimit")
    ]
    (denied,) = limit["Properties"]["PolicyDocument"]["Statement"]
    allowed = {*denied["Condition"]["ForAnyValue:StringNotEquals"]["sagemaker:InstanceTypes"]}
    assert allowed - {"system"} == instance_types(InstanceUse.STUDIO) - hidden
    assert {"ml.g5.12xlarge", "ml.p4d.24xlarge", "ml.m5.24xlarge"} <= hidden
    assert {"ml.t3.medium", "ml.g5.xlarge", "ml.m5.4xlarge"} <= allowed


def test_a_profile_says_who_pays() -> None:
    assert tags(profile("ann")) == {"team": "reviews", "cost-center": "4711", "studio-user": "ann"}
    assert tags(profile("dot")) == {"team": "payments", "cost-center": "0815", "studio-user": "dot"}


def test_a_private_space_belongs_to_its_user_and_a_shared_one_to_the_team() -> None:
    mine = example.of_type("AWS::SageMaker::Space", SpaceName="ann-lab")["Properties"]
    assert mine["OwnershipSettings"] == {"OwnerUserProfileName": "ann"}
    assert mine["SpaceSharingSettings"] == {"SharingType": "Private"}
    assert mine["SpaceSettings"]["SpaceStorageSettings"] == {"EbsStorageSettings": {"EbsVolumeSizeInGb": 20}}
    assert mine["SpaceSettings"]["RemoteAccess"] == "DISABLED"
    board = example.of_type("AWS::SageMaker::Space", SpaceName="reviews-board")["Properties"]
    assert board["SpaceSharingSettings"] == {"SharingType": "Shared"}
    assert board["SpaceSettings"]["AppType"] == "CodeEditor"


def test_the_volume_of_a_space_outlives_a_mistake() -> None:
    for resource in example.resources().values():
        if resource["Type"] == "AWS::SageMaker::Space":
            assert resource["DeletionPolicy"] == "RetainExceptOnCreate"
            assert resource["UpdateReplacePolicy"] == "Retain"


def test_identity_center_knows_its_people_by_their_names_there() -> None:
    stack = support.stack()
    made = team(
        stack,
        identity=StudioIdentity.IDENTITY_CENTER,
        users=[StudioUser(name="ann", identity="ann@example.com")],
    )
    assert made.profiles["ann"].single_sign_on_user_identifier == "UserName"
    assert made.profiles["ann"].single_sign_on_user_value == "ann@example.com"


def test_a_limit_can_be_wider_and_name_single_types() -> None:
    wide = InstanceLimit(vcpus=2, memory_gib=8, also=("ml.p3.2xlarge",))
    assert "ml.p3.2xlarge" in wide.allowed
    assert "ml.p3.8xlarge" in wide.hidden
    assert {*wide.allowed}.isdisjoint(wide.hidden)
    made = team(
        support.stack(),
        limits={Persona.DATA_SCIENTIST: wide},
        users=[StudioUser(name="ann", instance_type="ml.p3.2xlarge")],
    )
    assert made.profiles["ann"].user_profile_name == "ann"


def test_a_team_goes_on_in_another_construct() -> None:
    stack = support.stack()
    first = team(stack)
    more = StudioTeam(
        stack,
        "More",
        domain=first._domain,
        name="reviews",
        cost_center="4711",
        users=[StudioUser(name="ben")],
    )
    assert {*first.profiles, *more.profiles} == {"ann", "ben"}


def test_a_persona_that_is_not_there_has_no_role() -> None:
    with pytest.raises(ConfigurationError, match="given ml-engineer; allowed: data-scientist"):
        team(support.stack()).role(Persona.ML_ENGINEER)


# What cannot work


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"users": []}, "given no users"),
        ({"users": [StudioUser(name="ann"), StudioUser(name="ann")]}, "given user 'ann' 2 times"),
        ({"users": [StudioUser(name="Ann Lee")]}, "given user 'Ann Lee'.*write: \"ann-lee\""),
        ({"users": [StudioUser(name="ann_lee")]}, "lower-case letters, digits and hyphens"),
        ({"users": [StudioUser(name="x" * 64)]}, "1 to 63"),
        ({"users": [StudioUser(name="ann", persona=Persona.AUDITOR)]}, "an auditor sees no data"),
        ({"users": [StudioUser(name="ann", identity="ann")]}, "in a domain that is entered with IAM"),
        (
            {"identity": StudioIdentity.IDENTITY_CENTER},
            "identity=None; allowed: a user name of IAM Identity Center",
        ),
        (
            {"users": [StudioUser(name="ann", instance_type="ml.g5.xlarg")]},
            r"an instance type that Studio offers; write: \"ml.g5.",
        ),
        (
            {"users": [StudioUser(name="ann", instance_type="ml.trn1.32xlarge")]},
            "instance_type='ml.trn1.32xlarge'",
        ),
        (
            {"users": [StudioUser(name="ann", instance_type="ml.g5.48xlarge")]},
            "within the limit of a data-scientist",
        ),
        (
            {"users": [StudioUser(name="ann", spaces=[PrivateSpace(name="lab"), PrivateSpace(name="lab")])]},
            "allowed: each name once",
        ),
        (
            {"users": [StudioUser(name="ann", spaces=[PrivateSpace(name="lab", volume_gb=3)])]},
            "5 to 16384 GB",
        ),
        ({"shared_spaces": [SharedSpace(name="board", owner="zoe")]}, "owner='zoe'.*write: owner=\"ann\""),
        ({"joined_spaces": ["Board"]}, "joined space 'reviews-Board'"),
        (
            {"shared_spaces": [SharedSpace(name="board", owner="ann")], "joined_spaces": ["board"]},
            r"joined_spaces \['board'\], which this team makes",
        ),
        ({"joined_spaces": [f"board-{n}" for n in range(21)]}, "21 shared spaces; allowed: 20 for a team"),
        (
            {"users": [StudioUser(name="ann", spaces=[PrivateSpace(name="lab", volume_gb=500)])]},
            "space 'lab' of ann: volume_gb=500; allowed: at most the domain's largest_volume_gb, 100",
        ),
        (
            {"shared_spaces": [SharedSpace(name="board", owner="ann", volume_gb=500)]},
            "space 'board' of reviews: volume_gb=500",
        ),
        ({"name": "R"}, "2 to 20 lower-case letters"),
        ({"cost_center": ""}, "1 to 128 characters of a tag"),
        ({"limits": {Persona.DATA_SCIENTIST: InstanceLimit(vcpus=0, memory_gib=1)}}, "1 or more virtual"),
        (
            {"users": [StudioUser(name=f"user-{number}") for number in range(201)]},
            "402 resources; allowed: 400 in one construct.*in another stack",
        ),
    ],
)
def test_what_cannot_work_is_told_at_construction(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        team(support.stack(), **given)


def test_a_user_is_in_one_team_of_a_domain() -> None:
    stack = support.stack()
    first = team(stack)
    with pytest.raises(ConfigurationError, match="given user 'ann', who is in Test/Team too"):
        StudioTeam(
            stack,
            "Other",
            domain=first._domain,
            name="payments",
            cost_center="0815",
            users=[StudioUser(name="ann")],
        )


@pytest.mark.parametrize(("first", "second"), [("reviews", "reviews-eu"), ("reviews-eu", "reviews")])
def test_the_name_of_a_team_does_not_begin_with_that_of_another(first: str, second: str) -> None:
    """Policies know a team by how names begin: who may stop reviews-* may stop reviews-eu-*."""
    stack = support.stack()
    made = team(stack, name=first)
    with pytest.raises(ConfigurationError, match="do not begin with 'reviews' and a hyphen"):
        StudioTeam(
            stack,
            "Other",
            domain=made._domain,
            name=second,
            cost_center="0815",
            users=[StudioUser(name="ben")],
        )


def test_the_space_of_a_user_does_not_have_the_name_of_another_teams() -> None:
    stack = support.stack()
    made = team(stack, shared_spaces=[SharedSpace(name="board", owner="ann")])
    with pytest.raises(ConfigurationError, match="given space 'reviews-board', which is in Test/Team too"):
        StudioTeam(
            stack,
            "Other",
            domain=made._domain,
            name="payments",
            cost_center="0815",
            users=[StudioUser(name="reviews", spaces=[PrivateSpace(name="board")])],
        )


def test_a_part_of_a_team_works_in_the_shared_spaces_of_the_other() -> None:
    stack = support.stack(env=support.environment())
    first = team(stack, shared_spaces=[SharedSpace(name="board", owner="ann")])
    StudioTeam(
        stack,
        "More",
        domain=first._domain,
        name="reviews",
        cost_center="4711",
        users=[StudioUser(name="ben")],
        joined_spaces=["board"],
    )
    resources = support.resources(stack)
    (number,) = [key for key, each in resources.items() if each["Type"] == "AWS::SageMaker::Domain"]
    when = {
        "aws:RequestedRegion": support.REGION,
        "aws:ResourceAccount": support.ACCOUNT,
        "aws:SourceIdentity": "ben",
        "sagemaker:UserProfileName": "ben",
        "sagemaker:OwnerUserProfileArn": f"arn:aws:sagemaker:::user-profile/{number}.DomainId/ann",
        "sagemaker:SpaceSharingType": "Shared",
    }
    more = Simulator(resources, "MoreDataScientist")
    for space, allowed in (("reviews-board", True), ("reviews-other", False)):
        app = (
            f"arn:aws:sagemaker:{support.REGION}:{support.ACCOUNT}:app/{number}.DomainId/{space}/jupyterlab/x"
        )
        assert more.allows("sagemaker:CreateApp", app, when=when) is allowed, space


def test_the_names_of_twenty_shared_spaces_fit_into_a_policy() -> None:
    stack = support.stack()
    team(stack, name="r" * 20, joined_spaces=[f"{n:02}-" + "x" * 39 for n in range(20)])
    for key, resource in support.resources(stack).items():
        if resource["Type"] == "AWS::IAM::ManagedPolicy":
            assert example.policy_length(resource["Properties"]["PolicyDocument"]) <= 6144, key


# Two hundred users in ten teams


def company(users: dict[str, list[str]]) -> dict[str, dict[str, Any]]:
    """Templates by stack: a domain, and a stack for each team."""
    app = support.app()
    base = cdk.Stack(app, "studio", env=support.environment())
    studio = example.domain(base)
    stacks = [base]
    for name, people in users.items():
        stack = cdk.Stack(app, f"studio-{name}", env=support.environment())
        StudioTeam(
            stack,
            "Team",
            domain=studio,
            name=name,
            cost_center="4711",
            users=[
                StudioUser(
                    name=each,
                    persona=(Persona.DATA_SCIENTIST, Persona.ML_ENGINEER)[index % 2],
                    spaces=[PrivateSpace(name="lab")],
                )
                for index, each in enumerate(people)
            ],
        )
        stacks.append(stack)
    folder = Path(app.synth().directory)
    return {stack.stack_name: json.loads((folder / stack.template_file).read_text()) for stack in stacks}


def teams(count: int, size: int) -> dict[str, list[str]]:
    return {f"team-{t}": [f"user-{t}-{number}" for number in range(size)] for t in range(count)}


Measured = tuple[dict[str, dict[str, Any]], int]


def measured(users: dict[str, list[str]]) -> Measured:
    """The templates, and how many calls of functions they took: that is the same on each machine."""
    calls = 0

    def count(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    others = sys.getprofile()
    sys.setprofile(count)
    try:
        templates = company(users)
    finally:
        sys.setprofile(others)
    return templates, calls


@pytest.fixture(scope="module")
def small() -> Measured:
    return measured(teams(2, 10))


def test_two_hundred_users_in_ten_teams_fit_into_eleven_stacks_in_linear_time(small: Measured) -> None:
    templates, calls = measured(teams(10, 20))
    assert len(templates) == 11
    for name, template in templates.items():
        assert len(template["Resources"]) <= MOST_RESOURCES, name
        assert len(json.dumps(template)) <= MOST_BYTES, name
    profiles = [
        each
        for template in templates.values()
        for each in template["Resources"].values()
        if each["Type"] == "AWS::SageMaker::UserProfile"
    ]
    assert len(profiles) == 200
    # Ten times the users of the small one: were each compared with each, it would be a hundred times.
    assert calls <= 10 * small[1]


def test_adding_and_removing_a_user_touches_that_users_resources_alone(small: Measured) -> None:
    before, _ = small
    # GIVEN two users less at the front of a team, and two more in the middle of another
    changed = teams(2, 10)
    del changed["team-0"][0:2]  # two, so that the others keep their personas
    changed["team-1"][4:4] = ["zoe", "zac"]
    after = company(changed)
    assert after.keys() == before.keys()
    touched = {
        (stack, each.get("Properties", {}).get("UserProfileName") or each["Properties"].get("SpaceName"))
        for stack, template in after.items()
        for one, other in ((before[stack], template), (template, before[stack]))
        for key, each in one["Resources"].items()
        if other["Resources"].get(key) != each
    }
    assert touched == {
        ("studio-team-0", "user-0-0"),
        ("studio-team-0", "user-0-0-lab"),
        ("studio-team-0", "user-0-1"),
        ("studio-team-0", "user-0-1-lab"),
        ("studio-team-1", "zoe"),
        ("studio-team-1", "zoe-lab"),
        ("studio-team-1", "zac"),
        ("studio-team-1", "zac-lab"),
    }


def test_every_limit_leaves_something_to_work_on() -> None:
    for persona, limit in LIMITS.items():
        assert "ml.t3.medium" in limit.allowed, persona
        assert limit.hidden, persona
