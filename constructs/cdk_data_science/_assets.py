"""Builds the Lambda assets: for the function's own platform, without Docker, with bytecode, reproducibly.

An asset is one folder under ``lambda/``: its modules, a ``requirements.txt`` with hashes, and optionally an
``exclude.txt`` with glob patterns of installed files that the function does not need. The result is a zip
file in a per-user cache, named by the hash of everything that went into it, so that a machine builds it once.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aws_cdk import Annotations, Stack
from aws_cdk import aws_lambda as lambda_
from constructs import Construct
from uv import find_uv_bin

_BUILDER_VERSION = "1"  # part of every hash: raise it when the steps below change what comes out
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest time that a zip entry can carry
_MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
_HOST = f"{sys.version_info.major}.{sys.version_info.minor}"

BUILD_FOR_HOST_CONTEXT = "cdk-data-science:buildFunctionsForHost"
"""Context key: build for this machine and its Python, for a local AWS that runs functions in them."""
_NOT_SHIPPED = ("requirements.in", "requirements.txt", "exclude.txt")


class AssetBuildError(RuntimeError):
    """A Lambda asset could not be built; the message tells what the installer said and what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Recipe:
    """Everything that decides what is in an asset."""

    source: Path
    python: str  # "3.13"
    platform: str  # a uv --python-platform, or empty for that of this machine
    compiler: str | None  # an interpreter of that Python version, to compile bytecode with

    @property
    def files(self) -> list[Path]:
        return sorted(path for path in self.source.rglob("*") if path.is_file() and not self._is_cache(path))

    def _is_cache(self, path: Path) -> bool:
        """What tools leave beside the code (`.mypy_cache`, `__pycache__`) is no part of it."""
        parts = path.relative_to(self.source).parts
        return any(part.startswith(".") or part == "__pycache__" for part in parts)

    def hash(self) -> str:
        digest = hashlib.sha256()
        platform = self.platform or sysconfig.get_platform()
        for part in (_BUILDER_VERSION, self.python, platform, "pyc" if self.compiler else "py"):
            digest.update(part.encode() + b"\0")
        for path in self.files:
            digest.update(path.relative_to(self.source).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()


def function_code(
    scope: Construct,
    name: str,
    *,
    runtime: lambda_.Runtime,
    architecture: lambda_.Architecture,
) -> lambda_.Code:
    """Return the code of the asset folder ``lambda/<name>``, installed for one runtime and architecture.

    The first build on a machine downloads the pinned dependencies; later ones come from the cache, which
    ``CDK_DATA_SCIENCE_CACHE`` moves (default: ``$XDG_CACHE_HOME/cdk-data-science``).

    Raises:
        AssetBuildError: the folder does not exist or its dependencies cannot be installed.
    """
    for_host = scope.node.try_get_context(BUILD_FOR_HOST_CONTEXT) in (True, "true")
    python = _HOST if for_host else runtime.name.removeprefix("python")
    recipe = _Recipe(
        source=_asset_folder(name),
        python=python,
        platform="" if for_host else _platform(python, architecture),
        compiler=_interpreter(python),
    )
    if recipe.compiler is None:
        _tell_of_missing_bytecode(scope, python)
    # The hash of the inputs names the asset: compressors differ between machines, what is inside does not.
    key = recipe.hash()
    return lambda_.Code.from_asset(str(_built(recipe, key)), asset_hash=key)


def _tell_of_missing_bytecode(scope: Construct, python: str) -> None:
    """Say it once a stack, which may have many functions."""
    stack = Stack.of(scope)
    message = (
        f"Lambda functions are shipped without bytecode, for want of a Python {python} to make it with; cold "
        f"starts take two to three times as long. `uv python install {python}` mends it."
    )
    if not any(str(entry.data).startswith(message) for entry in stack.node.metadata):
        Annotations.of(stack).add_info(message)


def _platform(python: str, architecture: lambda_.Architecture) -> str:
    """The wheels that the runtime's system can load; Python 3.11's is Amazon Linux 2, with glibc 2.26."""
    glibc = "2014" if python == "3.11" else "_2_28"
    return f"{_MACHINES[architecture.name]}-manylinux{glibc}"


def _asset_folder(name: str) -> Path:
    package = Path(__file__).resolve().parent
    # In a wheel the folders lie inside the package; in a checkout two levels above the source root.
    for candidate in (package / "_lambda" / name, package.parents[1] / "lambda" / name):
        if (candidate / "requirements.txt").is_file():
            return candidate
    raise AssetBuildError(
        f"There is no Lambda asset {name!r} beside {package}. Is the installation complete?"
    )


@functools.cache
def _interpreter(python: str) -> str | None:
    """Find an interpreter of exactly this version: bytecode of another one is of no use."""
    if python == _HOST:
        return sys.executable
    found = subprocess.run(
        [find_uv_bin(), "python", "find", "--no-project", "--no-python-downloads", python],
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() or None


def _cache_folder() -> Path:
    chosen = os.environ.get("CDK_DATA_SCIENCE_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "cdk-data-science"


def _built(recipe: _Recipe, key: str) -> Path:
    folder = _cache_folder() / "assets"
    target = folder / f"{recipe.source.name}-{key}.zip"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / f"{recipe.source.name}-{key}.lock"):
        if not target.exists():  # another process may have built it meanwhile
            with tempfile.TemporaryDirectory(dir=folder, prefix="build-") as scratch:
                root = Path(scratch) / "root"
                _assemble(recipe, root)
                partial = Path(scratch) / "asset.zip"
                _zip(root, partial)
                partial.replace(target)
    return target


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process build at a time, where the system has file locks; elsewhere the last one wins."""
    with path.open("w") as handle:
        with contextlib.suppress(ImportError):
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _assemble(recipe: _Recipe, root: Path) -> None:
    _install_requirements(recipe, root)
    for path in recipe.files:
        if path.name not in _NOT_SHIPPED:
            destination = root / path.relative_to(recipe.source)
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, destination)
    _drop_excluded(recipe.source / "exclude.txt", root)
    if recipe.compiler is not None:
        _compile(recipe.compiler, root)


def _install_requirements(recipe: _Recipe, root: Path) -> None:
    command = [find_uv_bin(), "pip", "install", "--quiet", "--no-config", "--require-hashes", "--no-compile"]
    command += ["--only-binary", ":all:", "--target", str(root)]
    if recipe.platform:
        command += ["--python-version", recipe.python, "--python-platform", recipe.platform]
    else:
        command += ["--python", sys.executable]
    command += ["--requirement", str(recipe.source / "requirements.txt")]
    # A compile wish of the caller's environment would compile with the caller's Python, not the function's.
    environment = {k: v for k, v in os.environ.items() if k not in ("UV_COMPILE_BYTECODE", "PYTHONPATH")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise AssetBuildError(
            f"The dependencies of the Lambda asset {recipe.source.name!r} could not be installed for Python "
            f"{recipe.python} on {recipe.platform or 'this machine'}. Is the package index reachable? "
            f"The installer said:\n{done.stderr.strip()}"
        )


def _drop_excluded(patterns: Path, root: Path) -> None:
    lines = patterns.read_text(encoding="utf-8").splitlines() if patterns.is_file() else []
    chosen = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    # Console scripts and the installer's lock file are of no use in a function.
    for pattern in [*chosen, "bin", ".lock", "**/__pycache__"]:
        for path in sorted(root.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            elif path.exists():
                path.unlink()


def _compile(interpreter: str, root: Path) -> None:
    command = [interpreter, "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash"]
    # The recorded file names are those in Lambda, not those of the scratch folder; set order is fixed too.
    command += ["-s", str(root), "-p", "/var/task", str(root)]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    # A package may carry files for other Python versions that do not compile: they are never imported.
    subprocess.run(command, capture_output=True, check=False, env=environment)


def _zip(root: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for path in sorted(root.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(path.relative_to(root).as_posix(), _EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = (0o755 if os.access(path, os.X_OK) else 0o644) << 16
                archive.writestr(entry, path.read_bytes())
