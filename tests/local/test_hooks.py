"""The private hooks of the emulator: what an upgrade of it would break is told by name."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / "local" / ".venv" / "bin" / "python"
CHANGES = {
    "nothing": "",
    "gone": "from ministack.services import stepfunctions; del stepfunctions._invoke_resource",
    "parameters": (
        "from ministack.services import lambda_svc\nlambda_svc._publish_version = lambda function, body: None"
    ),
    "mapping": "from ministack import app; app.SERVICE_HANDLERS = None",
    "number": ("from ministack.services import lambda_svc; lambda_svc._LAMBDA_STATE_TRANSITION_DELAY = None"),
    "script": "from ministack.core import lambda_runtime; lambda_runtime._PYTHON_WORKER_SCRIPT = ''",
}
# Importing the emulator takes longest: each change is made in a child of one process that has.
ASK = """
import json, os, sys
from local_aws.emulator import hooks
hooks.problems()
for name, change in json.loads(sys.argv[1]).items():
    if not os.fork():
        exec(change)
        print(json.dumps([name, hooks.problems()]), flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.fixture(scope="module")
def problems() -> dict[str, list[str]]:
    """What the doctor says of an emulator after each change."""
    command = [str(PYTHON), "-c", ASK, json.dumps(CHANGES)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(line) for line in done.stdout.splitlines() if line.startswith("["))


def test_the_pinned_emulator_has_every_hook(problems: dict[str, list[str]]) -> None:
    assert problems["nothing"] == []


def test_a_hook_that_is_gone_is_named_with_what_it_is_for(problems: dict[str, list[str]]) -> None:
    (problem,) = problems["gone"]
    assert problem.startswith("ministack.services.stepfunctions._invoke_resource: not found")
    assert problem.endswith("(used for: tasks run in the state machine's role)")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("parameters", "expected parameters (name, data), found (function, body)"),
        ("mapping", "SERVICE_HANDLERS: expected a mapping, found NoneType"),
        ("number", "_LAMBDA_STATE_TRANSITION_DELAY: expected a number, found NoneType"),
        ("script", "_PYTHON_WORKER_SCRIPT"),
    ],
)
def test_a_hook_that_became_something_else_is_named(
    problems: dict[str, list[str]], change: str, told: str
) -> None:
    (problem,) = problems[change]
    assert told in problem


def test_each_hook_is_missed_by_its_name_and_purpose() -> None:
    script = """
import importlib, json
from local_aws.emulator import hooks
silent, every = [], hooks.HOOKS
for hook in every:
    module = importlib.import_module(f"ministack.{hook.module}")
    kept = getattr(module, hook.name)
    delattr(module, hook.name)
    told = f"ministack.{hook.module}.{hook.name}: not found (used for: {hook.used_for})"
    hooks.HOOKS = (hook,)
    if told not in hooks.problems():
        silent.append(told)
    setattr(module, hook.name, kept)
print(json.dumps([len(every), silent]))
"""
    done = subprocess.run([str(PYTHON), "-c", script], capture_output=True, text=True, check=True)
    count, silent = json.loads(done.stdout.splitlines()[-1])
    assert count > 80
    assert silent == []
