"""The archive of training code for SageMaker's script mode, with the wheels that it needs in it.

    python -m tools.source_archive --environment dev

Training jobs in a VPC without internet reach no package index, so that what `requirements.txt` asks for has
to come with the code. The wheels are those of the image's Python and processor, whatever this machine is; pip
takes them from the archive and asks nobody.
"""

from __future__ import annotations

import argparse
import gzip
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from cdk_data_science.hardware import facts
from settings.model import SettingsError, load
from settings.training import Training

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "review_sentiment" / "source"
ARCHIVE = "sourcedir.tar.gz"
REQUIREMENTS = "requirements.txt"
WHEELS = "wheels"

# Oldest and newest glibc of the wheels that are taken: SageMaker's framework images have 2.34 and newer.
_GLIBC = range(28, 4, -1)
_TIMEOUT_SECONDS = 900


class ArchiveError(RuntimeError):
    """The archive cannot be made; the message says what to do."""


def pack(files: Mapping[str, bytes]) -> bytes:
    """The files as script mode takes them; equal files give equal bytes."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)  # no owner, no time: only what the code says
            entry.size = len(content)
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(tar.getvalue(), compresslevel=6, mtime=0)


def source_files(folder: Path) -> dict[str, bytes]:
    """What of a folder of training code goes into the archive, by its place there: all but what is hidden,
    bytecode, and the files that requirements are compiled from."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
        and path.suffix != ".in"
        and not any(part.startswith(".") or part == "__pycache__" for part in path.relative_to(folder).parts)
    }


def with_wheels(files: Mapping[str, bytes], *, python: str, machine: str) -> dict[str, bytes]:
    """The files, and the wheels that their `requirements.txt` asks for on Linux with this Python.

    Script mode runs `pip install -r requirements.txt` in the folder of the code, so that the wheels are named
    by their place in it. All of them are pinned with hashes: an equal file of pinned requirements gives equal
    bytes.

    Args:
        files: The code, by its place in the archive.
        python: Python of the image, for example ``3.12``.
        machine: ``x86_64`` or ``aarch64``.

    Raises:
        ArchiveError: a requirement has no wheel for this Python, or the index does not answer.
    """
    asked = files.get(REQUIREMENTS)
    if asked is None:
        return dict(files)
    with tempfile.TemporaryDirectory(prefix="cdk-data-science-") as scratch:
        given, pinned, wheels = Path(scratch, "given.txt"), Path(scratch, "pinned.txt"), Path(scratch, WHEELS)
        given.write_bytes(asked)
        # First for the image's Python alone: pip would judge markers by the Python of this machine.
        _run(
            [
                *(_uv(), "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--generate-hashes"),
                *("--only-binary", ":all:", "--python-version", python),
                *("--python", sys.executable),
                *("--python-platform", f"{machine}-manylinux_2_{_GLIBC[0]}"),
                *(str(given), "--output-file", str(pinned)),
            ]
        )
        _run(
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
                *("--require-hashes", "--no-deps", "--only-binary", ":all:"),
                *("--implementation", "cp", "--python-version", python),
                *(part for glibc in _GLIBC for part in ("--platform", f"manylinux_2_{glibc}_{machine}")),
                *("--platform", f"manylinux2014_{machine}"),
                *("--dest", str(wheels), "--requirement", str(pinned)),
            ]
        )
        requirements = f"--no-index\n--find-links {WHEELS}\n".encode() + pinned.read_bytes()
        found = {f"{WHEELS}/{wheel.name}": wheel.read_bytes() for wheel in wheels.iterdir()}
    return {**files, REQUIREMENTS: requirements, **found}


def commit_of(folder: Path) -> str | None:
    """The commit that a folder of code is at, with ``+changes`` where it was changed since; None outside of
    git."""
    git = shutil.which("git")
    if git is None:
        return None
    asked = ["rev-parse", "HEAD"], ["status", "--porcelain", "--", "."]
    said = []
    for command in asked:
        done = subprocess.run(
            [git, *command], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode:
            return None
        said.append(done.stdout.strip())
    commit, changes = said
    return f"{commit}+changes" if changes else commit


def machine_of(instance_type: str) -> str:
    """The processor of an instance type, as wheels name it."""
    known = facts(instance_type)
    return "aarch64" if known is not None and known.arm64 else "x86_64"


def for_training(files: Mapping[str, bytes], training: Training) -> bytes:
    """The archive for jobs of these settings.

    Raises:
        ArchiveError: as `with_wheels`.
    """
    return pack(with_wheels(files, python=training.python, machine=machine_of(training.instance_type)))


def _uv() -> str:
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        raise ArchiveError("uv is not installed: run `make setup`.")
    return uv


def _run(command: list[str]) -> None:
    try:
        subprocess.run(
            command,
            check=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
        )
    except subprocess.CalledProcessError as error:
        said = "\n".join(line for line in error.stderr.splitlines() if not line.startswith("WARNING"))
        raise ArchiveError(
            f"The wheels cannot be had:\n{said.strip()}\nA requirement needs a wheel for the image's Python "
            f"(training.python in the settings), and this machine a package index."
        ) from None
    except subprocess.TimeoutExpired:
        raise ArchiveError(f"The package index took longer than {_TIMEOUT_SECONDS} s.") from None


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.source_archive", description=__doc__)
    parser.add_argument("--environment", default="dev", help="a file in settings/ (default: dev)")
    parser.add_argument(
        "--source", type=Path, default=EXAMPLE, help="folder of the code (default: the example's)"
    )
    parser.add_argument(
        "--output", type=Path, default=Path(ARCHIVE), help=f"file to write (default: {ARCHIVE})"
    )
    options = parser.parse_args(arguments)
    try:
        training = load(options.environment).training
        if training is None:
            raise ArchiveError(f"settings/{options.environment}.toml has no table [training].")
        files = source_files(options.source)
        if training.entry_point not in files:
            raise ArchiveError(
                f"{options.source} has no {training.entry_point}, the settings' training.entry_point."
            )
        archive = for_training(files, training)
    except (ArchiveError, SettingsError) as error:
        print(error, file=sys.stderr)
        return 1
    options.output.write_bytes(archive)
    print(
        f"{options.output}: {len(archive) / 1e6:.1f} MB, for Python {training.python} "
        f"on {machine_of(training.instance_type)}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
