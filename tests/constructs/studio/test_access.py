"""A person works in their own places and in the team's shared ones, and cannot open anybody else's."""

from __future__ import annotations

from typing import Any

import pytest

from cdk_data_science import ConfigurationError
from cdk_data_science.security import Persona, Personas
from cdk_data_science.studio import StudioIdentity
from tests.constructs import nag, support
from tests.constructs.security.simulator import Simulator
from tests.constructs.studio import example

REGION, ACCOUNT = support.REGION, support.ACCOUNT
ROLES = {"ann": "ReviewsDataScientist", "ben": "ReviewsMlEngineer", "dot": "PaymentsDataScientist"}
OTHERS = {"ann": "ben", "ben": "ann", "dot": "ann"}
MAKE = ("sagemaker:CreateSpace", "sagemaker:UpdateSpace", "sagemaker:DeleteSpace")
RUN = ("sagemaker:CreateApp", "sagemaker:DeleteApp")


def domain_id() -> str:
    (key,) = [key for key, each in example.resources().items() if each["Type"] == "AWS::SageMaker::Domain"]
    return f"{key}.DomainId"


def arn(kind: str, *name: str) -> str:
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{'/'.join([kind, domain_id(), *name])}"


def session(user: str, *, source: bool = True) -> dict[str, str]:
    """What Studio's own sessions of a user carry."""
    found = {
        "aws:RequestedRegion": REGION,
        "aws:ResourceAccount": ACCOUNT,
        "sagemaker:DomainId": domain_id(),
        "sagemaker:UserProfileName": user,
        "aws:PrincipalTag/team": "reviews",
        "aws:PrincipalTag/cost-center": "4711",
    }
    return found | ({"aws:SourceIdentity": user} if source else {})


def place(owner: str, sharing: str = "Private") -> dict[str, str]:
    """What a request about a space says."""
    return {
        "sagemaker:OwnerUserProfileArn": arn("user-profile", owner),
        "sagemaker:SpaceSharingType": sharing,
    }


def simulator(user: str) -> Simulator:
    return Simulator(example.resources(), ROLES[user])


@pytest.mark.parametrize("source", [True, False], ids=["in an app", "in the user interface"])
@pytest.mark.parametrize("user", ROLES)
def test_a_person_makes_and_runs_spaces_of_their_own(user: str, source: bool) -> None:
    when = session(user, source=source) | place(user)
    for action in MAKE:
        assert simulator(user).allows(action, arn("space", "mine"), when=when), action
    for action in RUN:
        app = arn("app", "mine", "jupyterlab", "default")
        assert simulator(user).allows(action, app, when=when), action
    assert simulator(user).allows(
        "sagemaker:CreatePresignedDomainUrl", arn("user-profile", user), when=session(user)
    )


@pytest.mark.parametrize("source", [True, False], ids=["in an app", "in the user interface"])
@pytest.mark.parametrize("user", ROLES)
def test_a_person_cannot_touch_or_open_the_places_of_another(user: str, source: bool) -> None:
    other = OTHERS[user]
    when = session(user, source=source) | place(other)
    for action in MAKE:
        assert not simulator(user).allows(action, arn("space", f"{other}-lab"), when=when), action
    for action in RUN:
        app = arn("app", f"{other}-lab", "jupyterlab", "default")
        assert not simulator(user).allows(action, app, when=when), action
    assert not simulator(user).allows(
        "sagemaker:CreatePresignedDomainUrl", arn("user-profile", other), when=session(user)
    )
    assert not simulator(user).allows(
        "sagemaker:DescribeUserProfile", arn("user-profile", other), when=session(user)
    )


def test_somebody_who_was_given_everything_cannot_touch_the_places_of_another_from_an_app() -> None:
    given = Simulator(example.resources(), ROLES["ann"], administrator=True)
    when = session("ann") | place("ben")
    assert not given.allows("sagemaker:CreateApp", arn("app", "ben-lab", "jupyterlab", "default"), when=when)
    assert not given.allows("sagemaker:DeleteSpace", arn("space", "ben-lab"), when=when)
    assert given.allows("sagemaker:DeleteSpace", arn("space", "mine"), when=session("ann") | place("ann"))


def test_a_team_runs_apps_in_its_shared_spaces_and_not_in_those_of_another() -> None:
    shared = place("ben", "Shared")
    board = arn("app", "reviews-board", "codeeditor", "default")
    assert simulator("ann").allows("sagemaker:CreateApp", board, when=session("ann") | shared)
    assert not simulator("dot").allows("sagemaker:CreateApp", board, when=session("dot") | shared)
    for name in ("payments-board", "reviews-other", "reviews-board-2"):
        elsewhere = arn("app", name, "codeeditor", "default")
        assert not simulator("ann").allows("sagemaker:CreateApp", elsewhere, when=session("ann") | shared)


def test_who_approves_runs_nothing_where_the_others_work() -> None:
    """What runs in a shared space has the role of all of them, which may see data."""
    board, when = (
        arn("app", "reviews-board", "codeeditor", "default"),
        session("cay") | place("ben", "Shared"),
    )
    assert not Simulator(example.resources(), "ReviewsApprover").allows(
        "sagemaker:CreateApp", board, when=when
    )


def test_nobody_makes_shared_spaces_or_deletes_the_teams() -> None:
    when = session("ann") | place("ann", "Shared")
    for action in MAKE:
        assert not simulator("ann").allows(action, arn("space", "reviews-board"), when=when), action


def test_tags_are_set_on_what_is_being_made_and_not_afterwards() -> None:
    app = arn("app", "mine", "jupyterlab", "default")
    making = session("ann") | {"sagemaker:TaggingAction": "CreateApp"}
    assert simulator("ann").allows("sagemaker:AddTags", app, when=making)
    assert not simulator("ann").allows("sagemaker:AddTags", app, when=session("ann"))
    assert not simulator("ann").allows("sagemaker:AddTags", arn("user-profile", "ann"), when=making)


def test_apps_beyond_the_limit_of_a_persona_are_denied() -> None:
    app, own = arn("app", "mine", "jupyterlab", "default"), place("ann")

    def starts(user: str, instance_type: str) -> bool:
        when = session(user) | place(user) | {"sagemaker:InstanceTypes": instance_type}
        return simulator(user).allows("sagemaker:CreateApp", app, when=when)

    assert starts("ann", "ml.g5.xlarge")
    assert starts("ann", "system")
    assert not starts("ann", "ml.g5.12xlarge")
    assert starts("ben", "ml.g5.12xlarge")
    assert not starts("ben", "ml.p4d.24xlarge")
    large = session("ann") | own | {"sagemaker:InstanceTypes": "ml.p4d.24xlarge"}
    assert not simulator("ann").allows("sagemaker:UpdateSpace", arn("space", "mine"), when=large)


def test_a_persona_does_its_own_duties_in_studio_and_no_others() -> None:
    job = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:training-job/reviews-1"
    tagged = session("ann") | {"aws:RequestTag/team": "reviews", "aws:RequestTag/cost-center": "4711"}
    assert simulator("ann").allows("sagemaker:CreateTrainingJob", job, when=tagged)
    assert not simulator("ann").allows("sagemaker:CreateTrainingJob", job, when=session("ann"))
    endpoint = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/reviews-1"
    assert not simulator("ann").allows("sagemaker:CreateEndpoint", endpoint, when=tagged)
    assert simulator("ben").allows("sagemaker:CreateEndpoint", endpoint, when=tagged)
    for action in ("sagemaker:UpdateDomain", "sagemaker:CreateUserProfile", "sagemaker:UpdateUserProfile"):
        assert not simulator("ben").allows(action, arn("domain"), when=session("ben")), action


def test_a_role_tells_its_team_and_cost_center_and_takes_the_name_of_its_user() -> None:
    (role,) = [each for key, each in example.resources().items() if key[:-8] == ROLES["ann"]]
    tags = {tag["Key"]: tag["Value"] for tag in role["Properties"]["Tags"]}
    assert tags == {"team": "reviews", "cost-center": "4711"}
    statements = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert {statement["Action"] for statement in statements} == {"sts:AssumeRole", "sts:SetSourceIdentity"}
    for statement in statements:
        assert statement["Principal"] == {"Service": "sagemaker.amazonaws.com"}
        assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}


def test_apps_in_shared_spaces_and_profiles_without_a_role_may_do_nothing() -> None:
    default = Simulator(example.resources(), "StudioDefaultRole")
    assert default.statements() == []
    shared = Simulator(example.resources(), "StudioSharedRole")
    actions = {action for each in shared.statements() for action in _listed(each["Action"])}
    assert {action.partition(":")[0] for action in actions} == {"kms"}


def test_a_volume_borrows_the_key_and_a_person_does_not() -> None:
    (key,) = [name for name in example.resources() if name[:-8] == "StudioKey"]
    on = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{key}"
    lent = session("ann") | {"kms:GrantIsForAWSResource": "true"}
    assert simulator("ann").allows("kms:CreateGrant", on, when=lent)
    assert not simulator("ann").allows(
        "kms:CreateGrant", on, when=lent | {"kms:GrantIsForAWSResource": "false"}
    )


def test_people_open_their_own_profile_from_outside_by_the_tag_of_their_session() -> None:
    # GIVEN the roles of people, one of which may open Studio
    _, stack, studio = example.app()
    people = Personas(stack, "People", team="reviews")
    studio.grant_open(people.role(Persona.DATA_SCIENTIST))
    resources = support.resources(stack)
    person = Simulator(resources, "PeopleDataScientist")
    when = {
        "aws:RequestedRegion": REGION,
        "aws:ResourceAccount": ACCOUNT,
        "aws:PrincipalTag/studio-user": "ann",
    }
    # THEN ann opens ann's alone, and who has no tag opens nobody's
    opens = "sagemaker:CreatePresignedDomainUrl"
    assert person.allows(opens, arn("user-profile", "ann"), when=when)
    assert not person.allows(opens, arn("user-profile", "ben"), when=when)
    untagged = {key: value for key, value in when.items() if "PrincipalTag" not in key}
    assert not person.allows(opens, arn("user-profile", "ann"), when=untagged)
    # AND nobody gives a session another's tag
    (role,) = [each for key, each in resources.items() if key[:-8] == "PeopleDataScientist"]
    (trust,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"]["StringEqualsIfExists"] == {
        "aws:RequestTag/studio-user": "${aws:PrincipalTag/studio-user, '-'}"
    }


def test_who_enters_with_identity_center_needs_no_address() -> None:
    stack = support.stack()
    studio = example.domain(stack, identity=StudioIdentity.IDENTITY_CENTER)
    people = Personas(stack, "People", team="reviews")
    with pytest.raises(ConfigurationError, match="IAM Identity Center; allowed: assignments"):
        studio.grant_open(people.role(Persona.DATA_SCIENTIST))


def test_policies_fit_into_what_iam_takes() -> None:
    """6144 characters for a managed policy, 10240 for all inline ones of a role, without white space."""
    for key, resource in example.resources().items():
        if resource["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
            length = example.policy_length(resource["Properties"]["PolicyDocument"])
            assert length <= (6144 if "Managed" in resource["Type"] else 7500), key


def test_no_pack_and_no_rule_of_ours_finds_anything() -> None:
    from cdk_data_science import DataScienceChecks

    app, _, _ = example.app()
    DataScienceChecks(app)
    assert nag.unacknowledged(app) == []


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
