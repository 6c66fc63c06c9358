"""The platform with work places: what its stacks are, and that they keep every rule of the others."""

from __future__ import annotations

import base64
import re
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from cdk_data_science.cost import at_rest
from settings.model import FOLDER, Settings, SettingsError, load
from stacks import checks
from stacks.platform import compose
from tests.compliance import rules, test_boundaries, test_cfn_lint, test_platform
from tests.compliance.assembly import ROOT, Assembly
from tests.compliance.templates import Resource, as_list
from tests.constructs import support
from tests.stacks import stateful

STUDIO = """
[mlflow]
server = "Small"

[studio]
idle_minutes = 90

[studio.teams.reviews]
cost_center = "4711"

[studio.teams.payments]
cost_center = "0815"
spaces.board = { owner = "dot", app = "CodeEditor", volume_gb = 20 }
spaces.model = { owner = "eve" }

[studio.scripts.proxy]
content = '''
#!/bin/bash
set -eu
printf 'started\\n'
'''

[studio.images.team-image]
image = "222222222222.dkr.ecr.us-east-1.amazonaws.com/studio:1"
app = "CodeEditor"
environment = { TEAM = "all" }

[studio.users]
ann = { team = "reviews", spaces.lab = { volume_gb = 50 } }
ben = { team = "reviews", persona = "ml-engineer", instance_type = "ml.g5.xlarge" }
cay = { team = "reviews", persona = "approver" }
dot = { team = "payments" }
eve = { team = "payments", stack = 2 }
"""
NAME = "ds-prod"
OURS = ("studio", "studio-reviews", "studio-payments", "studio-payments-2")


def settings(studio: str = STUDIO, **network: str) -> dict[str, Any]:
    """The production platform with work places, and a network that has what they need."""
    content = tomllib.loads((FOLDER / "prod.toml").read_text(encoding="utf-8") + studio)
    content["network"] |= {"features": ["mlflow", "studio"]} | network
    return {"environment": "prod", **content}


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    folder = tmp_path_factory.mktemp("studio")
    app = support.app(outdir=folder)
    compose(app, Settings.model_validate(settings()))
    checks.attach(app)
    app.synth()  # four packs and ours: a finding fails it
    return Assembly(folder)


def profiles(composed: Assembly, name: str) -> list[Resource]:
    found = composed.platform.resources("AWS::SageMaker::UserProfile")
    return [each for each in found if each.properties["UserProfileName"] == name]


def sharing(space: Resource) -> str:
    return str(space.properties["SpaceSharingSettings"]["SharingType"])


def test_a_stack_for_the_domain_and_one_for_each_part_of_a_team(composed: Assembly) -> None:
    found = {name.removeprefix(f"{NAME}-") for name in composed.templates}
    assert {*OURS} <= found
    people = {
        stack: {
            resource["Properties"]["UserProfileName"]
            for resource in composed.templates[f"{NAME}-{stack}"]["Resources"].values()
            if resource["Type"] == "AWS::SageMaker::UserProfile"
        }
        for stack in OURS[1:]
    }
    assert people == {
        "studio-reviews": {"ann", "ben", "cay"},
        "studio-payments": {"dot"},
        "studio-payments-2": {"eve"},
    }


def test_the_stacks_stand_three_deep_and_nothing_stands_on_people(composed: Assembly) -> None:
    def depth(stack: str) -> int:
        return 1 + max((depth(other) for other in composed.dependencies[stack]), default=0)

    assert max(depth(stack) for stack in composed.dependencies) <= 3
    for stack in ("studio-reviews", "studio-payments-2"):
        assert not any(f"{NAME}-{stack}" in others for others in composed.dependencies.values())
    assert f"{NAME}-network" in composed.dependencies[f"{NAME}-studio"]


def test_what_holds_files_is_kept_and_the_stack_is_protected(composed: Assembly) -> None:
    found = {
        resource.type: resource.document
        for resource in composed.platform.resources(*stateful.WHAT_IS_LOST)
        if resource.stack == f"{NAME}-studio"
    }
    assert {*found} == {"AWS::KMS::Key", "AWS::SageMaker::Domain"}
    for document in found.values():
        assert document["UpdateReplacePolicy"] == "Retain"
        assert document["DeletionPolicy"] in ("Retain", "RetainExceptOnCreate")
    artifact = composed.manifest["artifacts"][f"{NAME}-studio"]["properties"]
    assert artifact["terminationProtection"] is True


def test_every_output_says_what_it_is(composed: Assembly) -> None:
    outputs = {
        name: output.get("Description", "")
        for stack in OURS
        for name, output in composed.templates[f"{NAME}-{stack}"].get("Outputs", {}).items()
        if not name.startswith("PublishOutput")
    }
    assert {*outputs} >= {"DomainId", "StudioUrl", "ActivityDashboard", "EntryRoleArn", "JobRoleArn"}
    assert all(len(description) > 10 for description in outputs.values())


def test_idle_apps_end_when_the_settings_say(composed: Assembly) -> None:
    (domain,) = composed.platform.resources("AWS::SageMaker::Domain")
    lab = domain.properties["DefaultUserSettings"]["JupyterLabAppSettings"]["AppLifecycleManagement"]
    assert lab["IdleSettings"]["IdleTimeoutInMinutes"] == 90


def test_a_script_runs_at_each_start_as_it_was_written(composed: Assembly) -> None:
    (domain,) = composed.platform.resources("AWS::SageMaker::Domain")
    lab = domain.properties["DefaultUserSettings"]["JupyterLabAppSettings"]
    scripts = [composed.platform.target(domain.stack, arn) for arn in lab["LifecycleConfigArns"]]
    (proxy,) = [s for s in scripts if s is not None and "Scriptproxy" in s.logical_id]
    written = base64.b64decode(proxy.properties["StudioLifecycleConfigContent"]).decode()
    assert written == "#!/bin/bash\nset -eu\nprintf 'started\\n'\n"
    (ann,) = profiles(composed, "ann")
    assert len(ann.properties["UserSettings"]["JupyterLabAppSettings"]["LifecycleConfigArns"]) == 2


def test_an_image_can_be_chosen_where_it_is_for(composed: Assembly) -> None:
    (image,) = composed.platform.resources("AWS::SageMaker::Image")
    assert image.properties["ImageDisplayName"] == "team-image"
    (version,) = composed.platform.resources("AWS::SageMaker::ImageVersion")
    assert version.properties["BaseImage"] == "222222222222.dkr.ecr.us-east-1.amazonaws.com/studio:1"
    (config,) = composed.platform.resources("AWS::SageMaker::AppImageConfig")
    container = config.properties["CodeEditorAppImageConfig"]["ContainerConfig"]
    assert container["ContainerEnvironmentVariables"] == [{"Key": "TEAM", "Value": "all"}]
    for settings in (
        next(composed.platform.resources("AWS::SageMaker::Domain")).properties["DefaultUserSettings"],
        profiles(composed, "dot")[0].properties["UserSettings"],
    ):
        assert len(settings["CodeEditorAppSettings"]["CustomImages"]) == 1
        assert "CustomImages" not in settings["JupyterLabAppSettings"]


def test_places_are_there_from_the_start(composed: Assembly) -> None:
    spaces = {
        each.properties["SpaceName"]: each for each in composed.platform.resources("AWS::SageMaker::Space")
    }
    assert {name: (space.stack, sharing(space)) for name, space in spaces.items()} == {
        "ann-lab": (f"{NAME}-studio-reviews", "Private"),
        "payments-board": (f"{NAME}-studio-payments", "Shared"),
        "payments-model": (f"{NAME}-studio-payments-2", "Shared"),
    }
    board = spaces["payments-board"].properties["SpaceSettings"]
    assert board["AppType"] == "CodeEditor"
    assert board["SpaceStorageSettings"] == {"EbsStorageSettings": {"EbsVolumeSizeInGb": 20}}


def test_all_parts_of_a_team_work_in_its_shared_spaces_and_other_teams_in_none(composed: Assembly) -> None:
    shared = {
        policy.stack: {resource.rpartition(":")[2] for resource in resources}
        for policy in composed.platform.resources("AWS::IAM::ManagedPolicy")
        for statement in policy.properties["PolicyDocument"]["Statement"]
        if statement.get("Sid") == "RunAppsInSharedSpaces"
        for resources in [[composed.platform.text(policy.stack, r) for r in as_list(statement["Resource"])]]
    }
    assert {*shared} == {f"{NAME}-studio-payments", f"{NAME}-studio-payments-2"}
    for resources in shared.values():
        assert {resource.split("/", 2)[-1].split("/", 1)[1] for resource in resources} == {
            "payments-board/*",
            "payments-model/*",
        }


def test_what_runs_in_a_shared_space_reads_data_and_writes_none(composed: Assembly) -> None:
    allowed = {
        action
        for policy in composed.platform.resources("AWS::IAM::Policy")
        if policy.stack == f"{NAME}-studio" and policy.logical_id.startswith("StudioSharedRole")
        for statement in policy.properties["PolicyDocument"]["Statement"]
        for action in as_list(statement["Action"])
    }
    assert "s3:GetObject*" in allowed or "s3:GetObject" in allowed
    assert not [action for action in allowed if re.match(r"s3:(Put|Delete|Abort)", action)]


@pytest.mark.parametrize("rule", test_platform.RULES, ids=lambda rule: rule.__name__)
def test_the_rules_of_the_platform_hold(composed: Assembly, rule: Callable[[Any], Iterable[str]]) -> None:
    test_platform.none(rule(composed.platform))


def test_what_can_carry_tags_carries_them_and_nothing_has_every_resource(composed: Assembly) -> None:
    test_platform.none(rules.missing_tags(composed.platform, load("prod").tags))
    test_platform.none(rules.wildcard_resources(composed.platform, test_platform.ANY_RESOURCE))


def test_names_are_fixed_where_the_service_asks_for_them_and_nowhere_else(composed: Assembly) -> None:
    asked = {
        "AWS::SageMaker::Domain.DomainName": "create-only, and locked",
        "AWS::SageMaker::UserProfile.UserProfileName": "the person's own",
    }
    test_platform.none(rules.fixed_names(composed.platform, {**test_platform.FIXED_NAMES, **asked}))


def test_cloudformation_finds_nothing(composed: Assembly) -> None:
    for stack in OURS[:2]:
        assert test_cfn_lint.problems(composed.templates[f"{NAME}-{stack}"]) == [], stack


def test_every_role_is_bounded_and_its_boundary_holds_what_it_needs(composed: Assembly) -> None:
    """A stack's roles have its own boundaries: the functions' is another than the people's."""
    for stack in OURS[:3]:
        template = composed.templates[f"{NAME}-{stack}"]
        for key, role in test_boundaries.roles(template).items():
            assert "PermissionsBoundary" in role["Properties"], key
            assert test_boundaries.missing(template, key) == set(), key


def test_the_functions_may_do_what_they_call_and_nothing_else(composed: Assembly) -> None:
    services = {"efs": "elasticfilesystem"}
    called = {"lambda:invokefunction"}
    for path in (ROOT / "lambda" / "studio").glob("*.py"):
        source = path.read_text(encoding="utf-8")
        for service, operation in re.findall(r"\b(sagemaker|efs|ec2)\.([a-z]+_[a-z_]+)", source):
            if operation != "get_paginator":
                called.add(f"{services.get(service, service)}:{operation.replace('_', '')}")
        of_lists = "ec2" if path.stem == "network" else "sagemaker"
        for operation in re.findall(r'"((?:list|describe)_[a-z_]+)"', source):
            called.add(f"{of_lists}:{operation.replace('_', '')}")
    allowed = {
        action.lower()
        for policy in composed.platform.resources("AWS::IAM::Policy")
        if policy.stack == f"{NAME}-studio" and policy.logical_id.startswith(("StudioEnding", "Activity"))
        for statement in policy.properties["PolicyDocument"]["Statement"]
        for action in as_list(statement["Action"])
        if not action.startswith(("kms:", "logs:", "sqs:"))
    }
    assert allowed == called


def test_at_rest_it_costs_what_the_page_says(composed: Assembly) -> None:
    lines = [line for line in at_rest.assembly_lines(composed.folder) if f"{NAME}-studio" in line.path]
    # What is unknown are volumes of the domain's default size, and ann's has 50 GB, dot's 20 GB at 0.112 USD.
    assert {line.type for line in lines if line.monthly_usd is None} == {"AWS::SageMaker::Space"}
    spaces = [line.monthly_usd for line in lines if line.type == "AWS::SageMaker::Space"]
    assert sorted(usd for usd in spaces if usd is not None) == pytest.approx([2.24, 5.6])
    assert sum(line.monthly_usd or 0 for line in lines) == pytest.approx(5.1 + 7.84, abs=0.05)


# Settings that cannot work


@pytest.mark.parametrize(
    ("studio", "network", "message"),
    [
        (STUDIO.replace("90", "30"), {}, "studio.idle_minutes"),
        (STUDIO.replace('"ml-engineer"', '"auditor"'), {}, "studio.users.ben.persona"),
        (STUDIO.replace('dot = { team = "payments"', 'dot = { team = "search"'), {}, r"teams \['search'\]"),
        (STUDIO.replace("dot = {", "Dot = {"), {}, "studio.users.Dot"),
        (STUDIO.replace('"payments"', '"reviews"'), {}, r"teams \['payments'\] have no user"),
        (STUDIO.replace("idle_minutes = 90", "identity_center = true"), {}, "users.ann needs an identity"),
        (STUDIO + 'zoe = { team = "reviews", identity = "zoe" }', {}, "users.zoe has an identity"),
        (STUDIO.replace("idle_minutes = 90", "volume_gb = 200"), {}, "largest_volume_gb is 100"),
        (STUDIO.replace("90", "90\nlongest_idle_minutes = 60"), {}, "less than idle_minutes"),
        (STUDIO.replace("#!/bin", "!/bin"), {}, "studio.scripts.proxy.content"),
        (STUDIO.replace("[studio.scripts.proxy]", "[studio.scripts.a_b]"), {}, "studio.scripts.a_b"),
        (
            STUDIO.replace("ecr.us-east-1", "ecr.eu-west-1"),
            {},
            "studio.images.team-image.image is in eu-west-1",
        ),
        (
            STUDIO.replace('owner = "dot"', 'owner = "ann"'),
            {},
            r"spaces.board.owner is 'ann'.*\['dot', 'eve'\]",
        ),
        (
            STUDIO.replace("volume_gb = 50", "volume_gb = 500"),
            {},
            "users.ann.spaces.lab.volume_gb is 500, more",
        ),
        (STUDIO.replace("payments", "reviews-eu"), {}, r"teams \['reviews-eu'\] begin with the name"),
        (STUDIO, {"features": ["mlflow"]}, r'write features = \["studio"\] in \[network\]'),
        (STUDIO, {"zones": ["us-east-1a"]}, "zones of two zones or more"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_advice(
    tmp_path: Path, studio: str, network: dict[str, Any], message: str
) -> None:
    with pytest.raises((SettingsError, ValueError), match=message):
        Settings.model_validate(settings(studio, **network))


def test_a_value_where_a_table_is_meant_is_told_how_to_write_one(tmp_path: Path) -> None:
    text = (FOLDER / "prod.toml").read_text(encoding="utf-8") + "[studio.teams]\nreviews = '4711'\n"
    (tmp_path / "prod.toml").write_text(text, encoding="utf-8")
    with pytest.raises(
        SettingsError, match=r"a table is meant, written as \[studio.teams.reviews\] with its"
    ):
        load("prod", folder=tmp_path)


def test_studio_without_a_network_is_refused() -> None:
    content = settings()
    del content["network"], content["mlflow"]
    with pytest.raises(ValueError, match=r"studio needs a table \[network\]"):
        Settings.model_validate(content)


def test_a_user_cannot_be_written_twice() -> None:
    with pytest.raises(tomllib.TOMLDecodeError, match="Cannot overwrite a value"):
        settings(STUDIO + 'ann = { team = "payments" }')
