"""The programs behind the Makefile's targets start."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys

import pytest

from tests.compliance.assembly import ROOT

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PROGRAMS = sorted(set(re.findall(r"\bpython -m ([\w.]+)", MAKEFILE)))


def test_targets_run_modules_from_the_projects_folder() -> None:
    # A program that is run by its path puts its own folder before the standard library.
    assert re.findall(r"\bpython (?!-m )\S+", MAKEFILE) == []
    assert {"tools.run_local", "tools.type_check", "benchmarks"} <= set(PROGRAMS)
    assert [name for name in PROGRAMS if importlib.util.find_spec(name) is None] == []


@pytest.mark.parametrize(
    "folder", ["tools", "benchmarks", "lambda/pipeline", "lambda/inference", "local/local_aws"]
)
def test_no_module_takes_the_name_of_one_of_the_standard_library(folder: str) -> None:
    names = {path.stem for path in (ROOT / folder).glob("*.py")} - {"__init__", "__main__"}
    assert names
    assert names & set(sys.stdlib_module_names) == set()


@pytest.mark.parametrize("program", ["tools.run_local", "tools.lineage", "tools.source_archive"])
def test_a_program_says_what_it_takes(program: str) -> None:
    assert program in PROGRAMS
    done = subprocess.run(
        [sys.executable, "-m", program, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: ")
