"""What every construct test needs: an app with the project's own feature flags, a stack, and its template."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk.assertions import Template

CDK_JSON = Path(__file__).parents[2] / "cdk.json"
ACCOUNT = "111122223333"
REGION = "eu-west-1"
SUBNET = "subnet-0123456789abcdef0"
GROUP = "sg-0123456789abcdef0"
# What `to_json` said, as text: it takes ten milliseconds for a hundred resources. Each reader has a
# dictionary of its own: what one test changes in it is no other's affair.
_DOCUMENTS: WeakKeyDictionary[Template, str] = WeakKeyDictionary()


@functools.cache
def feature_flags() -> dict[str, Any]:
    """The context of cdk.json: tests see the templates that ``cdk synth`` writes."""
    context: dict[str, Any] = json.loads(CDK_JSON.read_text(encoding="utf-8"))["context"]
    return context


def app(context: dict[str, Any] | None = None, *, outdir: str | Path | None = None) -> cdk.App:
    """An app with the project's feature flags, without the parts of an assembly that no test reads."""
    return cdk.App(
        context={**feature_flags(), **(context or {})},
        outdir=None if outdir is None else str(outdir),
        analytics_reporting=False,
        tree_metadata=False,
    )


def stack(
    scope: cdk.App | None = None,
    id: str = "Test",
    *,
    env: cdk.Environment | None = None,
    context: dict[str, Any] | None = None,
) -> cdk.Stack:
    """A stack without a fixed environment, in an app of its own unless one is given."""
    return cdk.Stack(scope if scope is not None else app(context), id, env=env)


def environment(account: str = ACCOUNT, region: str = REGION) -> cdk.Environment:
    """A concrete account and region."""
    return cdk.Environment(account=account, region=region)


def network(stack: cdk.Stack) -> dict[str, Any]:
    """A subnet and a security group of another app: SUBNET and GROUP."""
    subnet = ec2.Subnet.from_subnet_attributes(
        stack, "JobSubnet", subnet_id=SUBNET, route_table_id="rtb-0123456789abcdef0"
    )
    return {
        "subnets": [subnet],
        "security_groups": [ec2.SecurityGroup.from_security_group_id(stack, "JobGroup", GROUP)],
    }


def synth(stack: cdk.Stack) -> Template:
    """The template of a stack. The first call synthesizes the whole app, later ones read that result."""
    return Template.from_stack(stack)


def document(template: Template | cdk.Stack) -> dict[str, Any]:
    """A template as a plain dictionary; that of a stack is read from the file that was synthesized."""
    if isinstance(template, Template):
        if template not in _DOCUMENTS:
            _DOCUMENTS[template] = json.dumps(template.to_json())
        text = _DOCUMENTS[template]
    else:
        stage = cdk.Stage.of(template)
        assert stage is not None
        file = Path(stage.synth().directory) / template.template_file
        text = file.read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


def resources(template: Template | cdk.Stack, type: str | None = None) -> dict[str, dict[str, Any]]:
    """A template's resources by logical id, of one type if given, as plain dictionaries."""
    found: dict[str, dict[str, Any]] = document(template).get("Resources", {})
    return {key: value for key, value in found.items() if type is None or value["Type"] == type}


def only(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The one resource of a selection."""
    assert len(found) == 1, f"expected exactly one resource, found {sorted(found)}"
    return next(iter(found.values()))
