"""Instances of a test's own, beside the one that its worker shares."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.local.conftest import local_aws_command


def up(state_dir: Path, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return local_aws_command("up", "--state-dir", str(state_dir), *arguments, **options)


def processes_of(state_dir: Path) -> list[int]:
    instance = json.loads((state_dir / "instance.json").read_text())["instance"]
    mark = f"LOCAL_AWS_INSTANCE={instance}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue
    return found
