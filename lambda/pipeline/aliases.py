"""A function's alias: where it points, and moving it only from where it is believed to be.

Two things guard a move. The alias must point to what the deployment last saw; and the update carries the
revision of that very reading, so that Lambda refuses it if somebody else was faster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from clients import lambda_
from errors import DeploymentFailed

if TYPE_CHECKING:
    from mypy_boto3_lambda.type_defs import AliasConfigurationResponseTypeDef, UpdateAliasRequestTypeDef


@dataclass(frozen=True, slots=True)
class Target:
    """Where an alias sends its calls: all to one version, or a share of them to another one."""

    version: str
    weights: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        shares = "".join(f" and {weight:.0%} to version {other}" for other, weight in self.weights.items())
        return f"version {self.version}{shares}"


@dataclass(frozen=True, slots=True)
class Alias:
    """An alias as it was read."""

    function: str
    name: str
    target: Target
    revision: str | None

    def __str__(self) -> str:
        return f"the alias {self.name} of {self.function}"


def code_of(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")


def read(function: str, name: str) -> Alias:
    try:
        answer = lambda_().get_alias(FunctionName=function, Name=name)
    except ClientError as error:
        if code_of(error) == "ResourceNotFoundException":
            raise DeploymentFailed(f"the alias {name} of {function} does not exist") from error
        raise
    return _alias(function, answer)


def move(alias: Alias, target: Target) -> Alias:
    """Point the alias to another target, if nobody has touched it since it was read.

    Raises:
        DeploymentFailed: somebody has; the alias is as they left it.
    """
    request: UpdateAliasRequestTypeDef = {
        "FunctionName": alias.function,
        "Name": alias.name,
        "FunctionVersion": target.version,
        "RoutingConfig": {"AdditionalVersionWeights": dict(target.weights)},
    }
    if alias.revision:
        request["RevisionId"] = alias.revision
    try:
        answer = lambda_().update_alias(**request)
    except ClientError as error:
        if code_of(error) == "PreconditionFailedException":
            # Where the answer to this move was lost, the SDK has asked again: the alias is there already.
            now = read(alias.function, alias.name)
            if now.target == target:
                return now
            raise DeploymentFailed(
                f"{alias} was changed by somebody else meanwhile; it is left as it is"
            ) from error
        raise
    return _alias(alias.function, answer)


def _alias(function: str, answer: AliasConfigurationResponseTypeDef) -> Alias:
    weights = answer.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
    # A weight of zero routes nothing.
    routed = {version: weight for version, weight in weights.items() if weight}
    return Alias(
        function, answer["Name"], Target(answer["FunctionVersion"], routed), answer.get("RevisionId")
    )
