"""A domain of another app, or one that somebody made by hand, with teams of this app in it."""

from __future__ import annotations

import functools
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from cdk_data_science import ConfigurationError, DataScienceChecks
from cdk_data_science.security import Persona
from cdk_data_science.studio import (
    AttachedImage,
    SharedSpace,
    SpaceApp,
    StudioActivity,
    StudioDomain,
    StudioEntry,
    StudioIdentity,
    StudioTeam,
    StudioUser,
)
from tests.constructs import nag, support
from tests.constructs.security.simulator import Simulator

DOMAIN = "d-abcdefghijkl"
ARN = f"arn:aws:sagemaker:{support.REGION}:{support.ACCOUNT}"
SCRIPT = f"{ARN}:studio-lifecycle-config/proxy"
KEY = f"arn:aws:kms:{support.REGION}:{support.ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@functools.cache
def app() -> tuple[cdk.App, cdk.Stack]:
    """A team, the way in and the dashboard, in a domain that another app owns."""
    made = support.app()
    stack = cdk.Stack(made, "Test", env=support.environment())
    studio = StudioDomain.from_domain_attributes(
        stack,
        "Studio",
        domain_id=DOMAIN,
        key=kms.Key.from_key_arn(stack, "Key", KEY),
        shared_role=iam.Role.from_role_arn(stack, "Shared", f"arn:aws:iam::{support.ACCOUNT}:role/shared"),
        scripts={SpaceApp.JUPYTER_LAB: [SCRIPT]},
        images=[AttachedImage(image_name="team", config_name="team-1", app=SpaceApp.CODE_EDITOR)],
    )
    StudioTeam(
        stack,
        "Reviews",
        domain=studio,
        name="reviews",
        cost_center="4711",
        users=[StudioUser(name="ann")],
        shared_spaces=[SharedSpace(name="board", owner="ann")],
    )
    StudioEntry(stack, "Entry", domain=studio)
    StudioActivity(stack, "Activity", domain=studio)
    return made, stack


@functools.cache
def resources() -> dict[str, dict[str, Any]]:
    return support.resources(app()[1])


def of_type(kind: str) -> dict[str, Any]:
    found: dict[str, Any] = support.only({k: r for k, r in resources().items() if r["Type"] == kind})
    return found


def bare(stack: cdk.Stack, **given: Any) -> Any:
    return StudioDomain.from_domain_attributes(stack, "Studio", **({"domain_id": DOMAIN} | given))


def test_the_domain_stays_the_owners_and_people_are_put_into_it() -> None:
    kinds = {each["Type"] for each in resources().values()}
    assert kinds.isdisjoint(
        {
            "AWS::SageMaker::Domain",
            "Custom::StudioDomainEnd",
            "Custom::StudioDomainLock",
            "AWS::EC2::SecurityGroup",
        }
    )
    profile = of_type("AWS::SageMaker::UserProfile")["Properties"]
    assert (profile["DomainId"], profile["UserProfileName"]) == (DOMAIN, "ann")
    assert of_type("AWS::SageMaker::Space")["Properties"]["DomainId"] == DOMAIN


def test_a_profile_has_the_scripts_and_images_that_were_named_and_the_groups_of_the_domain() -> None:
    settings = of_type("AWS::SageMaker::UserProfile")["Properties"]["UserSettings"]
    assert settings["JupyterLabAppSettings"]["LifecycleConfigArns"] == [SCRIPT]
    assert settings["CodeEditorAppSettings"]["CustomImages"] == [
        {"ImageName": "team", "AppImageConfigName": "team-1"}
    ]
    assert "CustomImages" not in settings["JupyterLabAppSettings"]
    assert "SecurityGroups" not in settings


def test_a_user_who_is_removed_ends_by_a_function_that_may_do_nothing_else() -> None:
    end = of_type("Custom::StudioUserEnd")
    assert end["Properties"]["DomainId"] == DOMAIN
    # Its permissions are there until the last user has ended.
    assert any(key.startswith("StudioEndingPermissions") for key in end["DependsOn"])
    function = Simulator(resources(), "StudioEndingHandlerRole")
    when = {"aws:RequestedRegion": support.REGION, "aws:ResourceAccount": support.ACCOUNT}
    for action, place, allowed in (
        ("sagemaker:DeleteApp", f"app/{DOMAIN}/ann-lab/jupyterlab/default", True),
        ("sagemaker:DeleteSpace", f"space/{DOMAIN}/ann-lab", True),
        ("sagemaker:DeleteSpace", "space/d-zzzzzzzzzzzz/ann-lab", False),
        ("sagemaker:DeleteDomain", f"domain/{DOMAIN}", False),
        ("sagemaker:DeleteUserProfile", f"user-profile/{DOMAIN}/ann", False),
    ):
        assert function.allows(action, f"{ARN}:{place}", when=when) is allowed, (action, place)


def test_people_work_in_their_own_places_of_it_and_not_in_those_of_others() -> None:
    role = Simulator(resources(), "ReviewsDataScientist")
    session = {
        "aws:RequestedRegion": support.REGION,
        "aws:ResourceAccount": support.ACCOUNT,
        "sagemaker:UserProfileName": "ann",
        "sagemaker:SpaceSharingType": "Private",
    }
    for owner, allowed in (("ann", True), ("ben", False)):
        when = session | {"sagemaker:OwnerUserProfileArn": f"{ARN}:user-profile/{DOMAIN}/{owner}"}
        assert role.allows("sagemaker:CreateSpace", f"{ARN}:space/{DOMAIN}/x", when=when) is allowed
    lent = {"kms:GrantIsForAWSResource": "true"} | session
    assert role.allows("kms:CreateGrant", KEY, when=lent)


def test_a_domain_with_a_key_of_aws_grants_none() -> None:
    stack = support.stack()
    StudioTeam(
        stack, "Team", domain=bare(stack), name="reviews", cost_center="4711", users=[StudioUser(name="ann")]
    )
    found = support.resources(stack)
    scientist = Simulator(found, "TeamDataScientist")
    assert not any("kms:" in str(statement) for statement in scientist.statements())


def test_without_teams_nothing_is_made_for_it() -> None:
    assert bare(support.stack()).node.children == []


def test_a_team_may_be_in_another_stack_than_the_domain() -> None:
    made = support.app()
    base, people = (cdk.Stack(made, name, env=support.environment()) for name in ("base", "people"))
    StudioTeam(
        people, "Team", domain=bare(base), name="reviews", cost_center="4711", users=[StudioUser(name="ann")]
    )
    made.synth()
    assert people.dependencies == [base]


def test_identity_center_is_the_way_in_if_it_is_the_domains() -> None:
    stack = support.stack()
    studio = bare(stack, identity=StudioIdentity.IDENTITY_CENTER)
    with pytest.raises(ConfigurationError, match="entered with IAM Identity Center"):
        StudioEntry(stack, "Entry", domain=studio)
    team = {"domain": studio, "name": "reviews", "cost_center": "4711"}
    with pytest.raises(ConfigurationError, match="identity=None"):
        StudioTeam(stack, "Team", **team, users=[StudioUser(name="ann")])  # type: ignore[arg-type]


def test_shared_spaces_need_the_role_of_their_apps() -> None:
    stack = support.stack()
    with pytest.raises(
        ConfigurationError, match=r"no role for their apps.*shared_role=iam.Role.from_role_arn"
    ):
        StudioTeam(
            stack,
            "Team",
            domain=bare(stack),
            name="reviews",
            cost_center="4711",
            users=[StudioUser(name="ann")],
            shared_spaces=[SharedSpace(name="board", owner="ann")],
        )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"domain_id": "research"}, "given domain_id='research'; allowed: the id of a domain"),
        ({"domain_id": f"{ARN}:domain/{DOMAIN}"}, 'neither its name nor its ARN; write: domain_id="d-'),
        ({"scripts": {SpaceApp.JUPYTER_LAB: ["proxy"]}}, "scripts with 'proxy'; allowed: ARNs"),
    ],
)
def test_what_names_no_domain_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        bare(support.stack(), **given)


@pytest.mark.parametrize("name", ["url", "domain"])
def test_what_only_the_owner_knows_is_told_so(name: str) -> None:
    with pytest.raises(AttributeError, match=f"{name} of a domain that something else owns"):
        getattr(bare(support.stack()), name)


def test_no_pack_and_no_rule_of_ours_finds_anything() -> None:
    made, _ = app()
    DataScienceChecks(made)
    assert nag.unacknowledged(made) == []


def test_its_id_may_be_known_at_deployment_alone() -> None:
    made = support.app()
    stack = cdk.Stack(made, "Test", env=support.environment())
    team = StudioTeam(
        stack,
        "Team",
        domain=bare(stack, domain_id=cdk.Fn.import_value("studio")),
        name="reviews",
        cost_center="4711",
        users=[StudioUser(name="ann")],
    )
    assert team.role(Persona.DATA_SCIENTIST)
    DataScienceChecks(made)
    assert nag.unacknowledged(made) == []
