"""Models on devices: an ONNX model as a component of AWS IoT Greengrass V2.

SageMaker Edge Manager is gone; Greengrass brings models to devices, and ONNX Runtime runs them there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from aws_cdk import Stack
from aws_cdk import aws_greengrassv2 as greengrass
from aws_cdk import aws_iam as iam
from aws_cdk import aws_iot as iot
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge_inline_policy
from cdk_data_science._validation import Problems, is_token
from cdk_data_science.data_lake import IZone

_NAME = re.compile(r"[a-zA-Z0-9-_.]{1,128}")
_VERSION = re.compile(r"(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEY = re.compile(r"[A-Za-z0-9!_.()=/-]+")
_GROUP = re.compile(r"arn:[a-z-]+:iot:[a-z0-9-]+:\d{12}:(thing|thinggroup)/.+")
_CREDENTIALS = {"aws.greengrass.TokenExchangeService": ">=2.0.3 <3.0.0"}
_INSTALL_SECONDS = 300

Architecture = Literal["aarch64", "amd64", "arm"]


@dataclass(frozen=True, kw_only=True, slots=True)
class EdgeFile:
    """A file of the lake that devices download, with what it has to be."""

    zone: IZone
    key: str
    sha256: str
    """64 hexadecimal digits. A device that has got anything else does not install the component."""

    @property
    def name(self) -> str:
        """The file's name on the device."""
        return self.key.rpartition("/")[2]

    def check(self, problems: Problems, ending: str) -> None:
        """Report what no device could download and check."""
        problems.check(
            not is_token(self.key) and _KEY.fullmatch(self.key) is not None and self.key.endswith(ending),
            given=f"key={self.key!r}",
            allowed=f"the key of a {ending} file, known now",
            write=f'key="models/reviews/1/model{ending}"',
        )
        problems.check(
            _SHA256.fullmatch(self.sha256) is not None,
            given=f"sha256={self.sha256!r}",
            allowed="64 hexadecimal digits in small letters, as sha256sum prints them",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class EdgeProgram:
    """What runs the model on the device: a ``.zip`` archive, unpacked beside it."""

    archive: EdgeFile
    run: str
    """Command, in the unpacked archive: ``python3 -u serve.py``. It finds the model's path in the variable
    ``MODEL``."""
    install: str | None = None
    """Command before that, in the unpacked archive: ``python3 -m pip install -r requirements.txt``. Default:
    nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EdgeRollout:
    """Which devices get the component, and how fast."""

    target: str
    """ARN of a thing, or of a group of things."""
    per_minute: int = 50
    """Devices that are told in a minute, 1 to 1000."""
    abort_percent: float = 10
    """Share of failed devices from which on the others are told no more: more than 0, at most 100."""
    abort_after: int = 5
    """Devices that have to have tried before that counts, 1 or more."""
    other_components: Mapping[str, str] = field(default_factory=dict)
    """Versions of the other components by their names: a deployment is all that a device has, and takes away
    what it does not name."""


class EdgeModel(Construct):
    """An ONNX model of the lake as a component of Greengrass V2, for devices that check what they got.

    The recipe names the model's object in the lake; devices download it with their own credentials, compare
    its SHA-256, and install nothing where it differs. With a ``program`` it is run; without one the component
    brings the model alone, and others depend on it: they find it below
    ``/greengrass/v2/packages/artifacts/<name>/<version>/``.

    A version of a component never changes: whatever changes in it needs another ``version``. CloudFormation
    makes that beside the old one, which goes afterwards.

    Devices need a role for their credentials (token exchange) that may read these objects and nothing else:
    ``role``, made here with its IoT role alias if none is given. Give the alias to the Greengrass nucleus
    (``iotRoleAlias``). Whoever deploys has to be able to read the objects, too: Greengrass does it in their
    name.

    At rest it costs nothing; Greengrass costs 0.16 USD a month for a device that is connected.

    Example:
        ```python
        from cdk_data_science import DataLake
        from cdk_data_science.serving import EdgeFile, EdgeModel

        lake = DataLake(self, "Lake")
        EdgeModel(
            self,
            "Defects",
            component_name="com.example.Defects",
            version="1.4.0",
            model=EdgeFile(
                zone=lake.models,
                key="models/defects/7/model.onnx",
                sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            ),
        )
        ```

    Args:
        component_name: 1 to 128 letters, digits, hyphens, underscores and dots; of your own, not ``aws.…``.
        version: ``major.minor.patch``.
        model: The ``.onnx`` file.
        program: What runs it. Default: nothing.
        architectures: Processors of the devices. Default: all, where the files are the same for each.
        dependencies: Versions of other components that it needs, by their names: ``>=2.0.0 <3.0.0``.
        rollout: Devices that get it. Default: none; deploy it as part of your own deployment.
        role: Role of the devices' credentials. Default: a new one.
        publisher: Who is shown as its maker.
        description: What is shown beside it.

    Raises:
        ConfigurationError: values that Greengrass would refuse, all of them at once.

    See https://docs.aws.amazon.com/greengrass/v2/developerguide/component-recipe-reference.html
    """

    component: greengrass.CfnComponentVersion
    """The version of the component."""

    role: iam.IRole
    """Role of the devices' credentials."""

    deployment: greengrass.CfnDeployment | None
    """What brings it to devices, if asked for."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        component_name: str,
        version: str,
        model: EdgeFile,
        program: EdgeProgram | None = None,
        architectures: Sequence[Architecture] = (),
        dependencies: Mapping[str, str] | None = None,
        rollout: EdgeRollout | None = None,
        role: iam.IRole | None = None,
        publisher: str | None = None,
        description: str | None = None,
    ) -> None:
        super().__init__(scope, id)
        problems = Problems("EdgeModel", self)
        _check_component(problems, component_name, version)
        model.check(problems, ".onnx")
        if program is not None:
            program.archive.check(problems, ".zip")
            problems.check(
                bool(program.run.strip()),
                given=f"run={program.run!r}",
                allowed="a command",
                write='run="python3 -u serve.py"',
            )
        if rollout is not None:
            _check_rollout(problems, rollout)
        problems.raise_if_any()
        self.component_name, self.version = component_name, version
        self._files = [model] if program is None else [model, program.archive]
        self.role = role if role is not None else self._make_role()
        self.grant_download(self.role)
        recipe = _recipe(
            component_name,
            version,
            model,
            program,
            architectures,
            dependencies or {},
            publisher=publisher,
            description=description,
        )
        self.component = greengrass.CfnComponentVersion(
            self, "Component", inline_recipe=Stack.of(self).to_json_string(recipe)
        )
        self.node.default_child = self.component
        self.deployment = None if rollout is None else self._deploy(rollout)

    def grant_download(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let devices whose credentials are of this role download the files of the component."""
        first, *others = (each.zone.grant_read(grantee, each.key) for each in self._files)
        for other in others:
            first = first.combine(other)
        return first

    def _make_role(self) -> iam.Role:
        role = iam.Role(
            self,
            "Devices",
            description=f"Credentials of devices: the files of {self.component_name}",
            assumed_by=iam.ServicePrincipal("credentials.iot.amazonaws.com"),
        )
        acknowledge_inline_policy(role)
        self.role_alias = iot.CfnRoleAlias(self, "RoleAlias", role_arn=role.role_arn)
        return role

    def _deploy(self, rollout: EdgeRollout) -> greengrass.CfnDeployment:
        components = {self.component_name: self.version, **rollout.other_components}
        made = greengrass.CfnDeployment(
            self,
            "Deployment",
            target_arn=rollout.target,
            deployment_name=f"{self.component_name} {self.version}"[:256],
            components={
                name: greengrass.CfnDeployment.ComponentDeploymentSpecificationProperty(
                    component_version=version
                )
                for name, version in components.items()
            },
            deployment_policies=greengrass.CfnDeployment.DeploymentPoliciesProperty(
                failure_handling_policy="ROLLBACK"
            ),
            iot_job_configuration=greengrass.CfnDeployment.DeploymentIoTJobConfigurationProperty(
                job_executions_rollout_config=greengrass.CfnDeployment.IoTJobExecutionsRolloutConfigProperty(
                    maximum_per_minute=rollout.per_minute
                ),
                abort_config=greengrass.CfnDeployment.IoTJobAbortConfigProperty(
                    criteria_list=[
                        greengrass.CfnDeployment.IoTJobAbortCriteriaProperty(
                            action="CANCEL",
                            failure_type="ALL",
                            min_number_of_executed_things=rollout.abort_after,
                            threshold_percentage=rollout.abort_percent,
                        )
                    ]
                ),
            ),
        )
        made.add_resource_dependency(self.component)
        return made


def _recipe(
    name: str,
    version: str,
    model: EdgeFile,
    program: EdgeProgram | None,
    architectures: Sequence[str],
    dependencies: Mapping[str, str],
    *,
    publisher: str | None,
    description: str | None,
) -> dict[str, Any]:
    needs = _CREDENTIALS | dict(dependencies)
    platforms: list[dict[str, str]] = [{"os": "linux", "architecture": each} for each in architectures]
    said = {
        "ComponentDescription": description
        if description is not None
        else f"ONNX model {model.name}, SHA-256 {model.sha256}",
        "ComponentPublisher": publisher,
    }
    return {
        "RecipeFormatVersion": "2020-01-25",
        "ComponentName": name,
        "ComponentVersion": version,
        **{key: value for key, value in said.items() if value is not None},
        "ComponentConfiguration": {
            "DefaultConfiguration": {"model": model.name, "sha256": model.sha256},
        },
        "ComponentDependencies": {
            each: {"VersionRequirement": wanted, "DependencyType": "HARD"} for each, wanted in needs.items()
        },
        "Manifests": [
            {
                "Platform": platform,
                "Lifecycle": _lifecycle(model, program),
                "Artifacts": _artifacts(model, program),
            }
            for platform in platforms or [{"os": "linux"}]
        ],
    }


def _artifacts(model: EdgeFile, program: EdgeProgram | None) -> list[dict[str, Any]]:
    found = [{"URI": model.zone.uri(model.key), "Unarchive": "NONE", "Permission": {"Read": "ALL"}}]
    if program is not None:
        archive = program.archive
        found.append(
            {"URI": archive.zone.uri(archive.key), "Unarchive": "ZIP", "Permission": {"Read": "OWNER"}}
        )
    return found


def _lifecycle(model: EdgeFile, program: EdgeProgram | None) -> dict[str, Any]:
    checks = [f"echo '{model.sha256}  {{artifacts:path}}/{model.name}' | sha256sum -c -"]
    if program is None:
        return {"Install": {"Script": " && ".join(checks), "Timeout": _INSTALL_SECONDS}}
    archive = program.archive
    checks.append(f"echo '{archive.sha256}  {{artifacts:path}}/{archive.name}' | sha256sum -c -")
    folder = f"{{artifacts:decompressedPath}}/{archive.name.removesuffix('.zip')}"
    if program.install is not None:
        checks.append(f"cd {folder} && {program.install}")
    return {
        "Setenv": {"MODEL": f"{{artifacts:path}}/{model.name}"},
        "Install": {"Script": " && ".join(checks), "Timeout": _INSTALL_SECONDS},
        "Run": {"Script": f"cd {folder} && exec {program.run}"},
    }


def _check_component(problems: Problems, name: str, version: str) -> None:
    problems.check(
        not is_token(name) and _NAME.fullmatch(name) is not None and not name.startswith("aws."),
        given=f"component_name={name!r}",
        allowed="1 to 128 letters, digits, hyphens, underscores and dots, which do not begin with aws.",
        write='component_name="com.example.Reviews"',
    )
    problems.check(
        not is_token(version) and _VERSION.fullmatch(version) is not None,
        given=f"version={version!r}",
        allowed="major.minor.patch",
        write='version="1.0.0"',
    )


def _check_rollout(problems: Problems, rollout: EdgeRollout) -> None:
    problems.check(
        is_token(rollout.target) or _GROUP.fullmatch(rollout.target) is not None,
        given=f"target={rollout.target!r}",
        allowed="the ARN of a thing or of a group of things",
        write='target="arn:aws:iot:eu-west-1:111122223333:thinggroup/cameras"',
    )
    for name, value, least, most in (
        ("per_minute", rollout.per_minute, 1, 1000),
        ("abort_after", rollout.abort_after, 1, 2**31 - 1),
    ):
        problems.check(
            is_token(value) or least <= value <= most,
            given=f"{name}={value}",
            allowed=f"{least} to {most}",
        )
    problems.check(
        is_token(rollout.abort_percent) or 0 < rollout.abort_percent <= 100,
        given=f"abort_percent={rollout.abort_percent}",
        allowed="more than 0, at most 100",
        write="abort_percent=10",
    )
