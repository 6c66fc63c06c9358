"""Training code brings the packages that it needs, for jobs that reach no package index."""

from __future__ import annotations

import io
import os
import platform
import re
import socket
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from uv import find_uv_bin

from examples.review_sentiment.uploads import SOURCE, SOURCE_FILES
from settings.model import load
from tools import source_archive
from tools.source_archive import ArchiveError, pack, source_files, with_wheels

# Small ones that need no compiler, of those that the example pins with hashes.
PINNED = {
    name: block
    for block in re.split(r"\n(?=\S)", (SOURCE / "requirements.txt").read_text(encoding="utf-8"))
    for name in ("threadpoolctl", "typing-extensions")
    if block.startswith(f"{name}==")
}
HOST = f"{sys.version_info.major}.{sys.version_info.minor}"
MACHINE = {"arm64": "aarch64"}.get(platform.machine(), platform.machine())


def only_where(marker: str, name: str) -> str:
    """A pinned requirement that is for some Pythons only."""
    first, rest = PINNED[name].split(" \\\n", 1)
    return f"{first} ; {marker} \\\n{rest}"


def requirements(*blocks: str) -> dict[str, bytes]:
    return {"requirements.txt": ("\n".join(blocks) + "\n").encode()}


def test_the_packages_are_installed_from_the_archive_without_an_index(tmp_path: Path) -> None:
    # GIVEN code that needs a package, in an archive for this machine
    code = {"train.py": b"import threadpoolctl; print(threadpoolctl.__version__)"}
    code |= requirements(PINNED["threadpoolctl"])
    files = with_wheels(code, python=HOST, machine=MACHINE)
    assert pack(files) == pack(with_wheels(code, python=HOST, machine=MACHINE))
    folder = tmp_path / "code"
    with tarfile.open(fileobj=io.BytesIO(pack(files)), mode="r:gz") as tar:
        tar.extractall(folder, filter="data")
    # WHEN it is installed in an empty environment as script mode does it, where no index answers
    python = tmp_path / "empty" / "bin" / "python"
    subprocess.run(
        [find_uv_bin(), "venv", "--quiet", "--python", sys.executable, str(tmp_path / "empty")], check=True
    )
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        offline = {
            **os.environ,
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": f"http://127.0.0.1:{closed.getsockname()[1]}/",
            "PIP_RETRIES": "0",
            "PIP_NO_CACHE_DIR": "1",
        }
        pip = [sys.executable, "-m", "pip", "--python", str(python)]
        subprocess.run(
            [*pip, "install", "--quiet", "-r", "requirements.txt"], cwd=folder, env=offline, check=True
        )
    # THEN the code finds it
    done = subprocess.run([str(python), "train.py"], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "3.8.0"


@pytest.mark.parametrize(("python", "wheel"), [("3.11", "threadpoolctl"), ("3.13", "typing_extensions")])
def test_the_wheels_are_those_of_the_images_python(python: str, wheel: str) -> None:
    asked = requirements(
        only_where("python_full_version < '3.12'", "threadpoolctl"),
        only_where("python_full_version >= '3.12'", "typing-extensions"),
    )
    made = with_wheels(asked, python=python, machine="x86_64")
    assert [name.split("-")[0] for name in made if name.startswith("wheels/")] == [f"wheels/{wheel}"]


def test_a_package_that_nobody_has_is_told() -> None:
    with pytest.raises(ArchiveError, match=r"training\.python in the settings"):
        with_wheels(requirements("threadpoolctl==0.0.0.dev0"), python="3.12", machine="x86_64")


def test_code_without_requirements_brings_nothing() -> None:
    assert with_wheels({"train.py": b""}, python="3.12", machine="x86_64") == {"train.py": b""}


def test_the_command_packs_the_files_that_the_example_uploads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []
    monkeypatch.setattr(source_archive, "with_wheels", lambda files, **of: asked.append(of) or files)
    output = tmp_path / "sourcedir.tar.gz"
    assert source_archive.main(["--environment", "dev", "--output", str(output)]) == 0
    with tarfile.open(output) as tar:
        assert sorted(tar.getnames()) == sorted(SOURCE_FILES) == sorted(source_files(SOURCE))
    training = load("dev").training
    assert training is not None
    assert asked == [{"python": training.python, "machine": "x86_64"}]
    assert "MB, for Python 3.12 on x86_64" in capsys.readouterr().out


def test_code_without_the_script_that_trains_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert source_archive.main(["--source", str(tmp_path), "--output", str(tmp_path / "archive")]) == 1
    assert "has no train.py" in capsys.readouterr().err
    assert not (tmp_path / "archive").exists()
