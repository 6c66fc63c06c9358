"""EdgeModel: its recipe, what devices check and may read, how it is rolled out, what is refused."""

from __future__ import annotations

import functools
import hashlib
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam

from cdk_data_science import ConfigurationError
from cdk_data_science.security.checks import DataScienceChecks
from cdk_data_science.serving import EdgeFile, EdgeModel, EdgeProgram, EdgeRollout
from tests.compliance.test_cfn_lint import problems
from tests.constructs import nag, support
from tests.constructs.serving import endpoints

MODEL_SHA, PROGRAM_SHA = "a" * 64, "b" * 64
GROUP = "arn:aws:iot:eu-west-1:111122223333:thinggroup/cameras"
ROLLOUT = EdgeRollout(target=GROUP, other_components={"aws.greengrass.Cli": "2.12.0"})


def file(stack: cdk.Stack, **changes: Any) -> EdgeFile:
    given = {"zone": endpoints.lake(stack).models, "key": "models/7/model.onnx", "sha256": MODEL_SHA}
    return EdgeFile(**(given | changes))


def program(stack: cdk.Stack) -> EdgeProgram:
    archive = file(stack, key="edge/camera.zip", sha256=PROGRAM_SHA)
    return EdgeProgram(
        archive=archive, run="python3 -u serve.py", install="python3 -m pip install -r requirements.txt"
    )


def edge(stack: cdk.Stack, id: str = "Defects", **changes: Any) -> EdgeModel:
    given = {"component_name": "com.example.Defects", "version": "1.4.0", "model": file(stack)}
    return EdgeModel(stack, id, **(given | changes))


@pytest.fixture(scope="module")
def stack() -> cdk.Stack:
    # GIVEN a model with a program for two kinds of processors, deployed to a group of devices
    stack = support.stack()
    edge(
        stack,
        program=program(stack),
        architectures=["aarch64", "amd64"],
        dependencies={"aws.greengrass.Nucleus": ">=2.9.0 <3.0.0"},
        rollout=ROLLOUT,
        publisher="Vision",
    )
    return stack


def recipe(stack: cdk.Stack) -> dict[str, Any]:
    found = support.only(support.resources(stack, "AWS::GreengrassV2::ComponentVersion"))
    written = found["Properties"]["InlineRecipe"]
    joined = "".join(part if isinstance(part, str) else "BUCKET" for part in written["Fn::Join"][1])
    document: dict[str, Any] = json.loads(joined)
    return document


def test_the_recipe_is_of_this_version_and_says_what_it_needs(stack: cdk.Stack) -> None:
    document = recipe(stack)
    assert document["RecipeFormatVersion"] == "2020-01-25"
    assert (document["ComponentName"], document["ComponentVersion"]) == ("com.example.Defects", "1.4.0")
    assert document["ComponentPublisher"] == "Vision"
    assert sorted(document["ComponentDependencies"]) == [
        "aws.greengrass.Nucleus",
        "aws.greengrass.TokenExchangeService",
    ]
    platforms = [each["Platform"] for each in document["Manifests"]]
    assert platforms == [
        {"os": "linux", "architecture": "aarch64"},
        {"os": "linux", "architecture": "amd64"},
    ]


def test_devices_install_nothing_that_is_not_what_it_has_to_be(stack: cdk.Stack) -> None:
    lifecycle = recipe(stack)["Manifests"][0]["Lifecycle"]
    script = lifecycle["Install"]["Script"]
    assert script.startswith(f"echo '{MODEL_SHA}  {{artifacts:path}}/model.onnx' | sha256sum -c - && ")
    assert f"echo '{PROGRAM_SHA}  {{artifacts:path}}/camera.zip' | sha256sum -c - && cd" in script
    # AND what is installed or run comes after that
    assert script.index("sha256sum") < script.index("pip install")
    assert lifecycle["Run"]["Script"] == (
        "cd {artifacts:decompressedPath}/camera && exec python3 -u serve.py"
    )
    assert lifecycle["Setenv"] == {"MODEL": "{artifacts:path}/model.onnx"}


def test_the_installation_of_another_model_fails(tmp_path: Path) -> None:
    # GIVEN the script of a component whose model is the word "model"
    stack = support.stack()
    edge(stack, model=file(stack, sha256=hashlib.sha256(b"model").hexdigest()))
    (manifest,) = recipe(stack)["Manifests"]
    script = manifest["Lifecycle"]["Install"]["Script"].replace("{artifacts:path}", str(tmp_path))

    def install() -> int:
        return subprocess.run(["/bin/sh", "-c", script], check=False, capture_output=True).returncode

    # WHEN a device has got that, or something else
    (tmp_path / "model.onnx").write_bytes(b"model")
    assert install() == 0
    (tmp_path / "model.onnx").write_bytes(b"another")
    assert install() != 0


def test_artifacts_are_objects_of_the_lake(stack: cdk.Stack) -> None:
    model, archive = recipe(stack)["Manifests"][0]["Artifacts"]
    assert model["URI"] == "s3://BUCKET/models/7/model.onnx" and model["Unarchive"] == "NONE"
    assert archive["URI"] == "s3://BUCKET/edge/camera.zip" and archive["Unarchive"] == "ZIP"


def test_devices_may_read_these_objects_and_nothing_else(stack: cdk.Stack) -> None:
    policies = support.resources(stack, "AWS::IAM::Policy")
    (policy,) = [each for key, each in policies.items() if key.startswith("DefectsDevices")]
    said = json.dumps(policy["Properties"]["PolicyDocument"])
    assert "/models/7/model.onnx" in said and "/edge/camera.zip" in said
    assert "/*" not in said and "s3:PutObject" not in said
    roles = support.resources(stack, "AWS::IAM::Role")
    (role,) = [each for key, each in roles.items() if key.startswith("DefectsDevices")]
    trust = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust[0]["Principal"] == {"Service": "credentials.iot.amazonaws.com"}
    alias = support.only(support.resources(stack, "AWS::IoT::RoleAlias"))
    assert "DefectsDevices" in json.dumps(alias["Properties"]["RoleArn"])


def test_a_rollout_stops_by_itself_and_goes_back(stack: cdk.Stack) -> None:
    made = endpoints.properties(stack, "AWS::GreengrassV2::Deployment")
    assert made["TargetArn"] == GROUP
    assert made["Components"] == {
        "com.example.Defects": {"ComponentVersion": "1.4.0"},
        "aws.greengrass.Cli": {"ComponentVersion": "2.12.0"},
    }
    assert made["DeploymentPolicies"] == {"FailureHandlingPolicy": "ROLLBACK"}
    (criterion,) = made["IotJobConfiguration"]["AbortConfig"]["CriteriaList"]
    assert criterion == {
        "Action": "CANCEL",
        "FailureType": "ALL",
        "MinNumberOfExecutedThings": 5,
        "ThresholdPercentage": 10,
    }


def test_cfn_lint_accepts_it(stack: cdk.Stack) -> None:
    assert problems(support.document(stack)) == []


def test_a_model_alone_is_downloaded_and_checked_and_not_run() -> None:
    stack = support.stack()
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("credentials.iot.amazonaws.com"))
    edge(stack, role=role)
    (manifest,) = recipe(stack)["Manifests"]
    assert manifest["Platform"] == {"os": "linux"}
    assert "Run" not in manifest["Lifecycle"] and "sha256sum" in manifest["Lifecycle"]["Install"]["Script"]
    assert support.resources(stack, "AWS::IoT::RoleAlias") == {}
    assert support.resources(stack, "AWS::GreengrassV2::Deployment") == {}


@functools.cache
def workshop() -> cdk.Stack:
    """Where components are tried that are refused: nobody synthesizes it."""
    return support.stack()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"component_name": "aws.greengrass.Mine"}, "which do not begin with aws."),
        ({"component_name": "a b"}, "component_name='a b'"),
        ({"version": "1.4"}, "version='1.4'; allowed: major.minor.patch"),
        ({"model": lambda stack: file(stack, key="models/7/model.pkl")}, "the key of a .onnx file"),
        ({"model": lambda stack: file(stack, sha256="A" * 64)}, "64 hexadecimal digits in small letters"),
        (
            {"program": lambda stack: replace(program(stack), archive=file(stack))},
            "the key of a .zip file",
        ),
        ({"program": lambda stack: replace(program(stack), run=" ")}, "run=' '"),
        ({"rollout": replace(ROLLOUT, target="cameras")}, "a thing or of a group of things"),
        ({"rollout": replace(ROLLOUT, per_minute=0)}, "per_minute=0"),
        ({"rollout": replace(ROLLOUT, abort_percent=0)}, "abort_percent=0"),
        ({"rollout": replace(ROLLOUT, abort_after=0)}, "abort_after=0"),
    ],
)
def test_what_greengrass_refuses_is_refused(changes: dict[str, Any], expected: str) -> None:
    stack = workshop()
    given = {name: value(stack) if callable(value) else value for name, value in changes.items()}
    with pytest.raises(ConfigurationError) as failure:
        edge(stack, f"Try{len(stack.node.children)}", **given)
    assert expected in str(failure.value)


def test_the_packs_and_our_rules_find_nothing_that_is_not_acknowledged() -> None:
    app = support.app()
    stack = support.stack(app)
    edge(stack, program=program(stack), rollout=ROLLOUT)
    cdk.Tags.of(stack).add("owner", "ml@example.com")
    cdk.Validations.of(app).add_plugins(DataScienceChecks(app, leave_out=["DataScience-COST3"]))
    assert [each for each in nag.unacknowledged(app) if "/Defects" in each] == []
