"""The private hooks of the emulator: what an upgrade of it would break is told by name."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / "local" / ".venv" / "bin" / "python"


def problems_after(change: str) -> list[str]:
    """What the doctor says of an emulator that was changed."""
    script = (
        f"import json\n{change}\nfrom local_aws.emulator import hooks\nprint(json.dumps(hooks.problems()))"
    )
    done = subprocess.run([str(PYTHON), "-c", script], capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(answer, list)
    return answer


def test_the_pinned_emulator_has_every_hook() -> None:
    assert problems_after("") == []


def test_a_hook_that_is_gone_is_named_with_what_it_is_for() -> None:
    change = "from ministack.services import stepfunctions; del stepfunctions._invoke_resource"
    (problem,) = problems_after(change)
    assert problem.startswith("ministack.services.stepfunctions._invoke_resource: not found")
    assert problem.endswith("(used for: tasks run in the state machine's role)")


def test_a_hook_with_other_parameters_is_named_with_both() -> None:
    change = (
        "from ministack.services import lambda_svc\nlambda_svc._publish_version = lambda function, body: None"
    )
    (problem,) = problems_after(change)
    assert "expected parameters (name, data), found (function, body)" in problem


def test_a_mapping_that_became_something_else_is_named() -> None:
    change = "from ministack import app; app.SERVICE_HANDLERS = None"
    (problem,) = problems_after(change)
    assert "SERVICE_HANDLERS: expected a mapping, found NoneType" in problem


def test_a_number_that_became_something_else_is_named() -> None:
    change = "from ministack.services import lambda_svc; lambda_svc._LAMBDA_STATE_TRANSITION_DELAY = None"
    (problem,) = problems_after(change)
    assert "_LAMBDA_STATE_TRANSITION_DELAY: expected a number, found NoneType" in problem


def test_a_worker_script_that_reports_errors_otherwise_is_named() -> None:
    change = "from ministack.core import lambda_runtime; lambda_runtime._PYTHON_WORKER_SCRIPT = ''"
    (problem,) = problems_after(change)
    assert "_PYTHON_WORKER_SCRIPT" in problem


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
