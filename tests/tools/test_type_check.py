"""The type checker reads all of aws_cdk that has a part in what is checked."""

from __future__ import annotations

import ast
import tomllib
from importlib.util import find_spec
from pathlib import Path

from tools import type_check


def services_named_by(module: Path) -> set[str]:
    """The services that a module of aws_cdk imports anywhere in its code."""
    found = set[str]()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        found |= {parts[1] for name in names if len(parts := name.split(".")) == 2 and parts[0] == "aws_cdk"}
    return found


def test_what_is_used_and_what_it_is_annotated_with_is_read() -> None:
    unused = type_check.unused_services()
    assert {"aws_quicksight", "aws_medialive"} <= unused  # the largest two
    assert not unused & {"aws_s3", "aws_sagemaker", "aws_stepfunctions_tasks", "aws_elasticloadbalancingv2"}
    spec = find_spec("aws_cdk")
    assert spec is not None and spec.origin is not None
    for service in ("aws_sqs", "aws_scheduler", "aws_kinesisfirehose"):
        named = services_named_by(Path(spec.origin).parent / service / "__init__.py")
        assert named, service
        assert not named & unused, service


def test_the_rest_of_the_configuration_is_that_of_the_project() -> None:
    config = tomllib.loads(type_check.configuration())
    [skipped] = config["tool"]["mypy"].pop("overrides")
    assert config == tomllib.loads((type_check.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert skipped["follow_imports"] == "skip"
    assert skipped["module"] == [f"aws_cdk.{service}.*" for service in sorted(type_check.unused_services())]
