"""The wheel as a stranger gets it: installed in an empty environment, used from another folder."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from uv import find_uv_bin

from tests.compliance.assembly import ROOT, Assembly
from tests.conftest import Once


def uv(*arguments: str | Path) -> None:
    # Compiling all of aws_cdk takes longer than the few modules of it that an app imports.
    variables = {name: value for name, value in os.environ.items() if name != "UV_COMPILE_BYTECODE"}
    done = subprocess.run(
        [find_uv_bin(), *map(str, arguments)],
        capture_output=True,
        text=True,
        env=variables,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def wheel(once: Once) -> Path:
    folder = once("wheel", lambda folder: uv("build", "--quiet", "--wheel", "--out-dir", folder, ROOT))
    [file] = folder.glob("*.whl")
    return file


@pytest.fixture(scope="session")
def content(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="session")
def interpreter(wheel: Path, once: Once) -> Path:
    """The Python of an environment that holds the wheel and what it requires, and nothing else."""

    def install(folder: Path) -> None:
        uv("venv", "--quiet", "--python", sys.executable, folder)
        # The tested versions of the dependencies: what is newest today must not decide over this test.
        constraints = folder / "constraints.txt"
        constraints.write_text(
            "".join(
                f"{distribution.metadata['Name']}=={distribution.version}\n"
                for distribution in importlib.metadata.distributions()
                if distribution.metadata["Name"] != "cdk-data-science"
            ),
            encoding="utf-8",
        )
        python = folder / "bin" / "python"
        uv("pip", "install", "--quiet", "--python", python, "--constraints", constraints, wheel)

    return once("installed", install) / "bin" / "python"


@pytest.fixture(scope="session")
def synthesized_elsewhere(interpreter: Path, once: Once) -> Assembly:
    """The ten-line app, synthesized in a folder of its own with the installed wheel."""

    def synthesize(folder: Path) -> None:
        folder.mkdir()
        shutil.copyfile(ROOT / "examples" / "ten_lines" / "app.py", folder / "app.py")
        kept = {"HOME", "PATH", "LANG", "TMPDIR", "JSII_NODE", "XDG_CACHE_HOME", "CDK_DATA_SCIENCE_CACHE"}
        variables = {
            name: value
            for name, value in os.environ.items()
            if name in kept or name.startswith(("UV_", "PIP_", "SSL_"))
        }
        done = subprocess.run(
            [interpreter, "app.py"],
            cwd=folder,
            env=variables | {"CDK_OUTDIR": str(folder / "cdk.out")},
            capture_output=True,
            text=True,
            timeout=1800,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    return Assembly(once("elsewhere", synthesize) / "cdk.out")


def test_every_module_of_the_library_is_in_the_wheel(content: dict[str, bytes]) -> None:
    source = ROOT / "constructs"
    expected = {
        path.relative_to(source).as_posix(): path.read_bytes()
        for path in (source / "cdk_data_science").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name: content.get(name) for name in expected} == expected


def test_every_lambda_source_is_in_the_wheel(content: dict[str, bytes]) -> None:
    source = ROOT / "lambda"
    expected = {
        f"cdk_data_science/_lambda/{path.relative_to(source).as_posix()}": path.read_bytes()
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name: content.get(name) for name in expected} == expected


def test_the_wheel_is_typed_and_licensed(content: dict[str, bytes]) -> None:
    assert "cdk_data_science/py.typed" in content
    [licence] = [name for name in content if name.endswith(".dist-info/licenses/LICENSE")]
    assert content[licence] == (ROOT / "LICENSE").read_bytes()


def test_nothing_else_is_in_the_wheel(content: dict[str, bytes]) -> None:
    tops = {name.partition("/")[0] for name in content}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"cdk_data_science"}
    odd = [name for name in content if "__pycache__" in name or name.endswith(".pyc") or "/tests/" in name]
    assert odd == []


def test_the_wheel_needs_no_more_than_it_says(content: dict[str, bytes]) -> None:
    [metadata] = [text.decode() for name, text in content.items() if name.endswith(".dist-info/METADATA")]
    required = [
        line for line in metadata.splitlines() if line.startswith("Requires-Dist") and "extra ==" not in line
    ]
    assert {line.split()[1].split("<")[0].split(">")[0] for line in required} == {
        "aws-cdk-lib",
        "constructs",
        "uv",
    }


def test_a_ten_line_app_synthesizes_with_the_installed_wheel(synthesized_elsewhere: Assembly) -> None:
    types = {resource.type for resource in synthesized_elsewhere.platform.resources()}
    assert types >= {"AWS::S3::Bucket", "AWS::KMS::Key", "AWS::Lambda::Function"}


def test_its_functions_are_complete(synthesized_elsewhere: Assembly) -> None:
    functions = list(python_functions(synthesized_elsewhere))
    assert functions
    for handler, _, archive in functions:
        with zipfile.ZipFile(archive) as asset:
            names = set(asset.namelist())
        assert f"{handler.rpartition('.')[0]}.py" in names
        assert {name.partition("/")[0] for name in names} >= modules_required("inference")
        assert not {name for name in names if name.startswith(("boto3/", "botocore/"))}


def test_its_functions_carry_bytecode_of_their_own_python(synthesized_elsewhere: Assembly) -> None:
    for handler, version, archive in python_functions(synthesized_elsewhere):
        module = handler.rpartition(".")[0]
        with zipfile.ZipFile(archive) as asset:
            compiled = [name for name in asset.namelist() if name.startswith(f"__pycache__/{module}.")]
            magic = magic_number(version)
            if magic is None:
                assert compiled == [], f"no Python {version} is here to compile with"
                continue
            [name] = compiled
            bytecode = asset.read(name)
        assert name == f"__pycache__/{module}.cpython-{version.replace('.', '')}.pyc"
        assert bytecode[:4] == magic
        assert bytecode[4] == 0b01, "hash-based and unchecked, so that file times do not matter"


def python_functions(assembly: Assembly) -> Iterator[tuple[str, str, Path]]:
    """Handler, Python version and zip file of each function that is one of ours."""
    for function in assembly.platform.resources("AWS::Lambda::Function"):
        runtime = str(function.properties.get("Runtime", ""))
        code: dict[str, Any] = function.properties["Code"]
        if runtime.startswith("python") and "S3Key" in code:
            archive = assembly.asset(code["S3Key"])
            if archive.is_file():
                yield function.properties["Handler"], runtime.removeprefix("python"), archive


def modules_required(asset: str) -> set[str]:
    """Top-level names that the direct requirements of an asset bring along."""
    text = (ROOT / "lambda" / asset / "requirements.in").read_text(encoding="utf-8")
    return {name.replace("-", "_") for name in re.findall(r"^[\w-]+", text, re.MULTILINE)}


def magic_number(version: str) -> bytes | None:
    """The first bytes of this Python version's bytecode, if there is such a Python here."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return importlib.util.MAGIC_NUMBER
    found = subprocess.run(
        [find_uv_bin(), "python", "find", "--no-project", "--no-python-downloads", version],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    if not found:
        return None
    command = [found, "-c", "import importlib.util as u; print(u.MAGIC_NUMBER.hex())"]
    return bytes.fromhex(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
