"""Deployed functions: their code is in the asset, and their role allows the AWS calls that the code makes."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator

import pytest

from tests.compliance import iam
from tests.compliance.assembly import ROOT, Assembly
from tests.compliance.handlers import Asset
from tests.compliance.templates import Platform, Resource

OWN_ASSETS = ("pipeline", "inference")

CLIENTS = """
import boto3

def s3():
    return boto3.client("s3")

def lambda_():
    return boto3.client("lambda")
"""


def asset(**modules: str) -> Asset:
    return Asset({"clients": CLIENTS, **modules})


def calls(source: Asset, handler: str = "step.handler") -> set[str]:
    return {f"{call.service}.{call.method}" for call in source.calls(handler)}


def test_a_call_on_a_client_is_seen() -> None:
    source = asset(
        step="from clients import s3\ndef handler(event, context):\n    s3().put_object(Bucket='b')"
    )
    assert calls(source) == {"s3.put_object"}


def test_a_call_behind_another_module_is_seen() -> None:
    source = asset(
        objects="""
from clients import s3
def put(x):
    s3().put_object()
def get(x):
    s3().get_object()
""",
        step="import objects\ndef handler(event, context):\n    objects.put(1)",
    )
    assert calls(source) == {"s3.put_object"}


def test_calls_behind_names_attributes_annotations_and_classes_are_seen() -> None:
    source = asset(
        step="""
from mypy_boto3_s3 import S3Client
from clients import lambda_, s3

def by_name():
    client = s3()
    client.delete_object()

def by_annotation(client: S3Client):
    client.copy_object()

class Keeper:
    def __init__(self):
        self._client = lambda_()
    def call(self):
        self._client.invoke()

def handler(event, context):
    by_name()
    by_annotation(s3())
    Keeper().call()
"""
    )
    assert calls(source) == {"s3.delete_object", "s3.copy_object", "lambda.invoke"}


def test_paginators_and_waiters_are_the_operations_behind_them() -> None:
    source = asset(
        step="""
from clients import lambda_, s3
def handler(event, context):
    s3().get_paginator("list_objects_v2").paginate()
    lambda_().get_waiter("function_updated_v2").wait()
"""
    )
    assert calls(source) == {"s3.list_objects_v2", "lambda.get_function"}


def test_what_another_handler_of_the_module_calls_is_not_taken_for_this_one_s() -> None:
    source = asset(
        step="""
from clients import s3
def handler(event, context):
    s3().get_object()
def other(event, context):
    s3().put_object()
"""
    )
    assert calls(source) == {"s3.get_object"}


def test_the_version_of_an_object_needs_an_action_of_its_own() -> None:
    source = asset(step="from clients import s3\ndef handler(e, c):\n    s3().get_object(VersionId='1')")
    [call] = source.calls("step.handler")
    assert call.actions() == {"s3:GetObject", "s3:GetObjectVersion"}


def test_a_call_on_something_unknown_is_told() -> None:
    assert asset(step="def handler(e, c):\n    e.put_object()").unclear() == ["step.py:2: e.put_object"]
    assert asset(step="import json\ndef handler(e, c):\n    json.loads(e)").unclear() == []


@pytest.mark.parametrize("name", OWN_ASSETS)
def test_every_aws_call_in_our_handlers_can_be_followed(name: str) -> None:
    assert Asset.in_folder(ROOT / "lambda" / name).unclear() == []


def test_every_handler_is_in_its_asset(synthesized: Assembly) -> None:
    missing = []
    for function in functions(synthesized.platform):
        module, _, name = function.properties["Handler"].rpartition(".")
        source = _python_source(synthesized, function, module)
        if source is None or not Asset({module: source}).has(f"{module}.{name}"):
            missing.append(f"{function}: {function.properties['Handler']}")
    assert missing == []


def test_our_functions_are_deployed_from_our_assets(synthesized: Assembly) -> None:
    assert {name for _, name in our_functions(synthesized)} == set(OWN_ASSETS)


def test_every_aws_call_is_allowed_to_the_function_that_makes_it(synthesized: Assembly) -> None:
    platform = synthesized.platform
    denied = []
    for function, name in our_functions(synthesized):
        granted = iam.statements_of(platform, role_of(platform, function))
        made = Asset.in_folder(ROOT / "lambda" / name).calls(function.properties["Handler"])
        denied += [
            f"{function}: {call.where} needs {action}"
            for call in sorted(made)
            for action in sorted(call.actions())
            if not iam.allowed(granted, action, "*")
        ]
    assert denied == []


def functions(platform: Platform) -> Iterator[Resource]:
    """The functions whose code is Python in an asset."""
    for function in platform.resources("AWS::Lambda::Function"):
        runtime = str(function.properties.get("Runtime", ""))
        if runtime.startswith("python") and "S3Key" in function.properties["Code"]:
            yield function


def our_functions(assembly: Assembly) -> Iterator[tuple[Resource, str]]:
    """The functions whose code is a folder under `lambda/`, with its name."""
    for function in functions(assembly.platform):
        handler = function.properties["Handler"].rpartition(".")[0]
        source = _python_source(assembly, function, handler)
        for name in OWN_ASSETS:
            own = ROOT / "lambda" / name / f"{handler.replace('.', '/')}.py"
            if own.exists() and own.read_text(encoding="utf-8") == source:
                yield function, name


def _python_source(assembly: Assembly, function: Resource, module: str) -> str | None:
    path = f"{module.replace('.', '/')}.py"
    code = assembly.asset(function.properties["Code"]["S3Key"])
    if code.is_dir():
        return (code / path).read_text(encoding="utf-8") if (code / path).exists() else None
    with zipfile.ZipFile(code) as archive:
        return archive.read(path).decode() if path in archive.namelist() else None


def role_of(platform: Platform, function: Resource) -> Resource:
    """The role of a function."""
    role = platform.target(function.stack, function.properties["Role"])
    assert role is not None, f"{function}: its role is not in the templates"
    return role
