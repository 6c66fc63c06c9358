"""What IAM would answer: a role's own policies, its boundary, conditions and variables included.

It decides as IAM documents it for calls within one account: an explicit denial wins; otherwise the role's
policies and its boundary both have to allow.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from tests.compliance.templates import as_list
from tests.constructs import support

Context = Mapping[str, str]
Template = dict[str, dict[str, Any]]

_VARIABLE = re.compile(r"\$\{([^}]+)\}")
_ARNS = {
    "AWS::ECR::Repository": f"arn:aws:ecr:{support.REGION}:{support.ACCOUNT}:repository/{{id}}",
    "AWS::S3::Bucket": "arn:aws:s3:::{id}",
    "AWS::KMS::Key": f"arn:aws:kms:{support.REGION}:{support.ACCOUNT}:key/{{id}}",
    "AWS::IAM::Role": f"arn:aws:iam::{support.ACCOUNT}:role/{{id}}",
}


@dataclass(frozen=True)
class Simulator:
    """The answers to calls of one role of a template's resources."""

    resources: Template
    role: str
    """The beginning of the role's logical id."""

    administrator: bool = False
    """As if somebody had attached AdministratorAccess."""

    def allows(self, action: str, resource: str = "*", *, when: Context) -> bool:
        """Whether a call goes through, ``when`` its condition keys have these values."""
        identity, boundary = list(self._identity()), list(self._boundary())
        statements = [*identity, *boundary]
        if any(_applies(s, action, resource, when) for s in statements if s["Effect"] == "Deny"):
            return False
        allowed = self.administrator or any(
            _applies(s, action, resource, when) for s in identity if s["Effect"] == "Allow"
        )
        return allowed and (
            not self._is_bounded()
            or any(_applies(s, action, resource, when) for s in boundary if s["Effect"] == "Allow")
        )

    def denies(self, action: str, resource: str = "*", *, when: Context) -> bool:
        """Whether a call is denied by name, whatever else is allowed."""
        statements = [*self._identity(), *self._boundary()]
        return any(_applies(s, action, resource, when) for s in statements if s["Effect"] == "Deny")

    def arn(self, prefix: str) -> str:
        """The ARN of the resource whose logical id begins like this."""
        (found,) = [key for key in self.resources if key.startswith(prefix) and key[:-8] == prefix]
        return _ARNS[self.resources[found]["Type"]].format(id=found)

    def text(self, value: Any) -> str:
        """A resolved value, with resources as the policies here name them."""
        return str(self._plain(value))

    def statements(self) -> list[dict[str, Any]]:
        """The statements of the role's own policies, as plain texts."""
        return list(self._identity())

    def _identity(self) -> Iterator[dict[str, Any]]:
        for resource in self.resources.values():
            properties = resource.get("Properties", {})
            roles = properties.get("Roles", ()) if "PolicyDocument" in properties else ()
            if any(str(role.get("Ref", "")).startswith(self.role) for role in roles):
                yield from self._read(resource["Properties"]["PolicyDocument"])

    def _boundary(self) -> Iterator[dict[str, Any]]:
        if self._is_bounded():
            boundary = self._itself()["Properties"]["PermissionsBoundary"]["Ref"]
            yield from self._read(self.resources[boundary]["Properties"]["PolicyDocument"])

    def _is_bounded(self) -> bool:
        return "PermissionsBoundary" in self._itself()["Properties"]

    def _itself(self) -> dict[str, Any]:
        (role,) = [r for key, r in self.resources.items() if key[:-8] == self.role]
        return role

    def _read(self, document: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for statement in document["Statement"]:
            yield self._plain(statement)

    def _plain(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._plain(each) for each in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((function, argument),) = value.items()
            if function == "Fn::Join":
                return argument[0].join(self._plain(part) for part in argument[1])
            if function == "Fn::Sub":
                return argument
            if function == "Fn::Split":
                return self._plain(argument[1]).split(argument[0])
            if function == "Fn::Select":
                return self._plain(argument[1])[int(argument[0])]
            if function == "Ref":
                return {"AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com"}.get(argument, argument)
            if function == "Fn::GetStackOutput":
                return argument["OutputName"]
            if function == "Fn::GetAtt":
                kind = self.resources[argument[0]]["Type"]
                return _ARNS[kind].format(id=argument[0]) if kind in _ARNS else ".".join(argument)
        return {key: self._plain(each) for key, each in value.items()}


def _applies(statement: dict[str, Any], action: str, resource: str, context: Context) -> bool:
    actions = any(fnmatchcase(action.lower(), each.lower()) for each in as_list(statement["Action"]))
    return (
        actions
        and any(_matches(each, resource, context) for each in as_list(statement["Resource"]))
        and all(
            _holds(operator, key, as_list(values), context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, values in keys.items()
        )
    )


def _matches(pattern: str, text: str, context: Context) -> bool:
    """A pattern whose variable has no value in the session matches nothing."""
    try:
        filled = _VARIABLE.sub(lambda variable: context[variable.group(1)], pattern)
    except KeyError:
        return False
    return fnmatchcase(text, filled.replace("[", "[[]"))


_OPERATORS: dict[str, Callable[[str, str, Context], bool]] = {
    "StringEquals": lambda value, wanted, context: (
        _matches(wanted.replace("*", "[*]"), value, context) if "${" in wanted else value == wanted
    ),
    "StringLike": lambda value, wanted, context: _matches(wanted, value, context),
    "ArnLike": lambda value, wanted, context: _matches(wanted, value, context),
    "ArnEquals": lambda value, wanted, context: _matches(wanted, value, context),
    "Bool": lambda value, wanted, context: value.lower() == wanted.lower(),
}


def _holds(operator: str, key: str, wanted: list[str], context: Context) -> bool:
    if operator == "Null":
        return (key not in context) == (str(wanted[0]).lower() == "true")
    if operator.startswith("ForAnyValue:"):  # a missing key has no value that could match
        return key in context and _holds(operator.removeprefix("ForAnyValue:"), key, wanted, context)
    if operator.startswith("ForAllValues:"):  # a missing key has no value that could fail to match
        return key not in context or _holds(operator.removeprefix("ForAllValues:"), key, wanted, context)
    base = operator.removesuffix("IfExists")
    if key not in context:
        return operator != base or "Not" in base
    positive = base.replace("Not", "")
    found = any(_OPERATORS[positive](context[key], str(each), context) for each in wanted)
    return found if positive == base else not found
