"""Scripts that run when an app starts."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jsii
from aws_cdk import IStableStringProducer, Lazy, Stack
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from cdk_data_science._validation import Problems
from cdk_data_science.studio.users import SpaceApp

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,39}")
_LONGEST = 16_384


@dataclass(frozen=True, kw_only=True, slots=True)
class LifecycleScript:
    """A script that runs at each start of an app. It has five minutes, or the app does not start."""

    name: str
    """1 to 40 letters, digits and hyphens."""
    content: str
    """The script: begins with ``#!``, ends its lines with a line feed alone, at most 12 KiB."""
    app: SpaceApp = SpaceApp.JUPYTER_LAB
    """The apps that it runs in. Default: JupyterLab."""

    @property
    def encoded(self) -> str:
        """The content as the API takes it."""
        return base64.b64encode(self.content.encode()).decode()

    def check(self, problems: Problems) -> None:
        """Record what cannot work in this script."""
        what = f"script {self.name!r}"
        problems.check_kind(f"{what}: content", self.content, str, write='content="#!/bin/bash…"')
        problems.check_kind(f"{what}: app", self.app, SpaceApp, write="app=SpaceApp.JUPYTER_LAB")
        problems.raise_if_any()
        problems.check(
            bool(_NAME.fullmatch(self.name)),
            given=what,
            allowed="1 to 40 letters, digits and hyphens, a letter or digit first and last",
        )
        problems.check(
            self.content.startswith("#!"),
            given=f"{what} beginning with {self.content[:20]!r}",
            allowed="a first line that names the interpreter",
            write="#!/bin/bash",
        )
        problems.check(
            "\r" not in self.content,
            given=f"{what} with carriage returns",
            allowed="line feeds alone: bash takes a carriage return for a part of the command",
            write='content.replace("\\r\\n", "\\n")',
        )
        problems.check(
            len(self.encoded) <= _LONGEST,
            given=f"{what} of {len(self.content.encode())} bytes, {len(self.encoded)} in base64",
            allowed=f"{_LONGEST} in base64, 12288 bytes: keep the rest in S3 and let the script fetch it",
        )


class _Owner(Protocol):
    @property
    def resource(self) -> sagemaker.CfnStudioLifecycleConfig: ...


@jsii.implements(IStableStringProducer)
class ContentName:
    """A name that changes with all that cannot be changed under the same name: content, app and tags.

    CloudFormation makes the new configuration before it deletes the old one. Tags are among what cannot be
    changed, and come from the whole app: the name is known when all of it is there.
    """

    def __init__(self, owner: _Owner, prefix: str, content: Sequence[str]) -> None:
        self._owner, self._prefix, self._content = owner, prefix, content

    def produce(self) -> str:
        """The name."""
        resource = self._owner.resource
        stack = Stack.of(resource)
        tags: Any = stack.resolve(resource.cdk_tag_manager.render_tags())
        content = json.dumps([stack.stack_name, *self._content, tags], sort_keys=True)
        return f"{self._prefix}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


class StudioLifecycleConfig(Construct):
    """A script as a lifecycle configuration of Studio.

    All of a configuration is create-only: with another content it is another one, under a name that is made
    from the content, and the old one is deleted after the domain has the new one.

    Costs nothing.

    ```python
    from cdk_data_science.studio import LifecycleScript, StudioLifecycleConfig

    StudioLifecycleConfig(
        self,
        "Proxy",
        script=LifecycleScript(name="proxy", content="#!/bin/bash\\nset -eu\\necho started\\n"),
    )
    ```

    Args:
        script: The script.

    Raises:
        ConfigurationError: For a script that the API refuses, or that could not run.

    Follows https://docs.aws.amazon.com/sagemaker/latest/dg/jl-lcc.html.
    """

    resource: sagemaker.CfnStudioLifecycleConfig
    """The configuration."""

    def __init__(self, scope: Construct, id: str, *, script: LifecycleScript) -> None:
        super().__init__(scope, id)
        problems = Problems("StudioLifecycleConfig", self)
        script.check(problems)
        problems.raise_if_any()
        self.app = script.app
        self.resource = sagemaker.CfnStudioLifecycleConfig(
            self,
            "Resource",
            studio_lifecycle_config_app_type=script.app.value,
            studio_lifecycle_config_content=script.encoded,
            studio_lifecycle_config_name=Lazy.string(
                ContentName(self, script.name, [script.app, script.content])
            ),
        )
        self.node.default_child = self.resource

    @property
    def arn(self) -> str:
        """Its ARN."""
        return self.resource.attr_studio_lifecycle_config_arn
