"""Models that answer on devices."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from constructs import Construct

from cdk_data_science import DataLake
from cdk_data_science.serving import EdgeFile, EdgeModel, EdgeProgram, EdgeRollout
from settings.edge import EdgeModel as Asked
from stacks.hosting import id_of


class EdgeStack(cdk.Stack):
    """Components of Greengrass, and the role that devices download them with."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        edge: Mapping[str, Asked],
        lake: DataLake,
        env: cdk.Environment,
    ) -> None:
        super().__init__(scope, id, env=env, description="Edge: ONNX models as components for devices")
        self._lake = lake
        self.models = {name: self._model(name, asked) for name, asked in edge.items()}

    def _model(self, name: str, asked: Asked) -> EdgeModel:
        program = asked.program
        made = EdgeModel(
            self,
            id_of(name),
            component_name=asked.component,
            version=asked.version,
            model=self._file(asked.model, asked.sha256),
            program=None
            if program is None
            else EdgeProgram(
                archive=self._file(program.archive, program.sha256),
                run=program.run,
                install=program.install,
            ),
            architectures=asked.architectures,
            rollout=None
            if asked.target is None
            else EdgeRollout(target=asked.target, per_minute=asked.devices_per_minute),
        )
        cdk.CfnOutput(
            self,
            f"{id_of(name)}-RoleArn",
            value=made.role.role_arn,
            description="Role of the devices' credentials",
        )
        return made

    def _file(self, key: str, sha256: str) -> EdgeFile:
        return EdgeFile(zone=self._lake.models, key=key, sha256=sha256)
