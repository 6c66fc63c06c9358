"""Every example in a docstring of the library runs, in a stack, and synthesizes."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from typing import Any

import aws_cdk as cdk
import pytest

import cdk_data_science
from cdk_data_science.cost import RequiredTags, at_rest
from tests.constructs import support

EXAMPLE = re.compile(r"```python\n(.*?)```", re.DOTALL)


def modules() -> Iterator[Any]:
    yield cdk_data_science
    for module in pkgutil.walk_packages(cdk_data_science.__path__, f"{cdk_data_science.__name__}."):
        if "._lambda" not in module.name:
            yield importlib.import_module(module.name)


def documented() -> Iterator[tuple[str, str]]:
    """Name and docstring of each module, and of each public class and function and their public members."""
    for module in modules():
        yield module.__name__, module.__doc__ or ""
        for name, thing in vars(module).items():
            if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
                continue
            yield f"{module.__name__}.{name}", getattr(thing, "__doc__", None) or ""
            if inspect.isclass(thing):
                for member, value in vars(thing).items():
                    function = getattr(value, "fget", None) or getattr(value, "__func__", value)
                    if not member.startswith("_") and inspect.isfunction(function):
                        yield f"{module.__name__}.{name}.{member}", function.__doc__ or ""


def examples() -> Iterator[Any]:
    for name, docstring in documented():
        for number, source in enumerate(EXAMPLE.findall(inspect.cleandoc(docstring))):
            yield pytest.param(textwrap.dedent(source), id=f"{name}-{number}")


@pytest.mark.parametrize("source", list(examples()))
def test_an_example_runs_inside_a_stack_and_synthesizes(source: str) -> None:
    # GIVEN a stack, as `self`, in an app with the recommended flags; an example may also make its own app
    stack = support.stack(id="Example")
    cdk.CfnWaitConditionHandle(stack, "NeverEmpty")
    namespace: dict[str, Any] = {"self": stack, "__name__": "example"}
    # WHEN
    exec(compile(source, "<docstring>", "exec"), namespace)
    # THEN every app that it made or used synthesizes
    for value in list(namespace.values()):
        if isinstance(value, cdk.Stack):
            # AND what it made carries required tags, in the template and in what is made at run time
            RequiredTags(value, {"cost-center": "4711"})
            # AND everything that the library makes is known to the list of costs at rest
            made = {resource["Type"] for resource in support.resources(value).values()}
            assert {name for name in made if at_rest.kind(name) is at_rest.Kind.UNCLASSIFIED} == set()
        elif isinstance(value, cdk.App):
            value.synth()


def test_examples_are_found_where_they_are() -> None:
    found = [parameter.id for parameter in examples()]
    assert "cdk_data_science.data_lake.data_lake.DataLake-0" in found
    assert "cdk_data_science.data_lake.data_lake.DataLake.from_zones-0" in found
    assert "cdk_data_science.cost.required_tags.RequiredTags-0" in found
