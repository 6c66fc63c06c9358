"""Traps that show in the source, not in a template: nothing that makes one synthesis differ from the next."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compliance.assembly import ROOT

# Commands are no part of a synthesis, nor are the programs that jobs run.
LIBRARY = sorted(
    path
    for path in (ROOT / "constructs" / "cdk_data_science").rglob("*.py")
    if path.name != "__main__.py" and path.parent.name != "spark"
)
COMPOSITION = [*LIBRARY, *sorted((ROOT / "stacks").rglob("*.py")), ROOT / "app.py"]
NETWORK = {"boto3", "botocore", "requests", "urllib", "http", "socket", "urllib3"}
CONSTRUCTOR = "class A(Construct):\n def __init__(self, scope, id):\n  super().__init__(scope, id)\n  "
CHANGING = {"uuid", "random", "secrets", "time"}


def trees(paths: list[Path]) -> Iterator[tuple[Path, ast.Module]]:
    for path in paths:
        yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def children_outside_self(tree: ast.Module) -> Iterator[str]:
    """Constructs that a constructor creates in the scope that it was given: two instances of it collide."""
    for kind in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
        for method in kind.body:
            if not (isinstance(method, ast.FunctionDef) and method.name == "__init__"):
                continue
            names = [argument.arg for argument in method.args.args]
            if names[1:3] != ["scope", "id"]:
                continue
            for call in (node for node in ast.walk(method) if isinstance(node, ast.Call)):
                in_scope = (
                    bool(call.args) and isinstance(call.args[0], ast.Name) and call.args[0].id == "scope"
                )
                named = len(call.args) > 1 and not (
                    isinstance(call.args[1], ast.Name) and call.args[1].id == "id"
                )
                if in_scope and named and ast.unparse(call.func).rpartition(".")[2][0].isupper():
                    yield f"{kind.name}:{call.lineno}: {ast.unparse(call)[:80]}"


def lost_zeros(tree: ast.Module) -> Iterator[str]:
    """`weight or 1.0`, which turns a weight of 0 into 1."""
    for node in ast.walk(tree):
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
            last = node.values[-1]
            if isinstance(last, ast.Constant) and isinstance(last.value, int | float) and last.value:
                yield f"{node.lineno}: {ast.unparse(node)}"


def looks_at_clocks(tree: ast.Module) -> Iterator[str]:
    """What asks for the time of day: reading a date that was given is no such thing."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("now", "today", "utcnow"):
            yield f"{node.lineno}: {ast.unparse(node)}"


def instance_type_guesses(tree: ast.Module) -> Iterator[str]:
    """`'d' in instance_type`, which is true for "medium" and misses g6 and p5."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Compare)
            and isinstance(node.ops[0], ast.In | ast.NotIn)
            and isinstance(node.left, ast.Constant)
            and isinstance(node.left.value, str)
            and re.search(r"instance_?(type|class|family)$", ast.unparse(node.comparators[0]))
        ):
            yield f"{node.lineno}: {ast.unparse(node)}"


def test_the_library_is_there() -> None:
    assert len(LIBRARY) > 10


@pytest.mark.parametrize(
    "source",
    [
        CONSTRUCTOR + "Bucket(scope, 'B')",
        CONSTRUCTOR + "s3.Bucket(scope, f'{id}B')",
    ],
)
def test_a_child_in_the_given_scope_is_seen(source: str) -> None:
    assert list(children_outside_self(ast.parse(source)))


def test_children_in_self_are_fine() -> None:
    assert list(children_outside_self(ast.parse(CONSTRUCTOR + "Bucket(self, 'B')"))) == []


def test_no_construct_puts_children_into_the_scope_it_was_given() -> None:
    assert [f"{path}:{found}" for path, tree in trees(LIBRARY) for found in children_outside_self(tree)] == []


def test_no_call_to_aws_at_synthesis() -> None:
    assert [
        f"{path} imports {sorted(found)}"
        for path, tree in trees(COMPOSITION)
        if (found := {*imports(tree)} & NETWORK)
    ] == []


def test_no_time_no_uuid_and_no_dice_at_synthesis() -> None:
    assert [
        f"{path} imports {sorted(found)}"
        for path, tree in trees(COMPOSITION)
        if (found := {*imports(tree)} & CHANGING)
    ] == []
    assert [f"{path}:{found}" for path, tree in trees(COMPOSITION) for found in looks_at_clocks(tree)] == []


def test_a_look_at_the_clock_is_seen_and_the_reading_of_a_date_is_not() -> None:
    assert list(looks_at_clocks(ast.parse("x = datetime.now(UTC)")))
    assert list(looks_at_clocks(ast.parse("x = datetime.date.today()")))
    assert list(looks_at_clocks(ast.parse("x = datetime.strptime(text, pattern)"))) == []


def test_a_zero_is_not_taken_for_nothing() -> None:
    assert list(lost_zeros(ast.parse("x = weight or 1.0")))
    assert list(lost_zeros(ast.parse("x = weight or 0"))) == []
    assert [f"{path}:{found}" for path, tree in trees(COMPOSITION) for found in lost_zeros(tree)] == []


def test_instance_types_are_looked_up_not_guessed_from_letters() -> None:
    assert list(instance_type_guesses(ast.parse("x = 'd' in instance_type")))
    assert [
        f"{path}:{found}" for path, tree in trees(COMPOSITION) for found in instance_type_guesses(tree)
    ] == []


def test_nothing_is_found_relative_to_the_working_directory() -> None:
    pattern = re.compile(r"\b(Path\.cwd|os\.getcwd|os\.chdir)\b|from_asset\(\s*[\"']")
    sources = [path for path in COMPOSITION if pattern.search(path.read_text(encoding="utf-8"))]
    assert sources == []


def test_the_media_type_of_text_is_the_right_way_round() -> None:
    folders = ("constructs", "stacks", "lambda", "examples", "local/local_aws")
    wrong = [
        path.relative_to(ROOT)
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "plain/text" in path.read_text(encoding="utf-8")
    ]
    assert wrong == []


def test_the_library_knows_nothing_of_stacks_settings_and_the_local_aws() -> None:
    known = {"stacks", "settings", "local_aws", "cdk_nag", "pydantic"}
    assert [
        f"{path} imports {sorted(found)}"
        for path, tree in trees(LIBRARY)
        if (found := {*imports(tree)} & known)
    ] == []


def test_handlers_import_nothing_of_the_library() -> None:
    handlers = sorted((ROOT / "lambda").rglob("*.py"))
    known = {"cdk_data_science", "aws_cdk", "constructs", "stacks", "settings"}
    assert [
        f"{path} imports {sorted(found)}"
        for path, tree in trees(handlers)
        if (found := {*imports(tree)} & known)
    ] == []
