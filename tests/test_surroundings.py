"""A test draws the same in each run, whatever its worker has loaded, and its process knows no account."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture import providers

from tests import surroundings


def drawn() -> str:
    """What a test of these strategies draws."""
    found: list[Any] = []

    @settings(derandomize=True, max_examples=300, deadline=None)
    @given(st.tuples(st.text(max_size=9), st.integers(), st.floats(), st.binary(max_size=9)))
    def each(values: Any) -> None:
        found.append(values)

    each()
    return repr(found)


def load(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Load a module of constants that lies beside the project, as its own modules do."""
    constants = "\n".join(f'C{n} = ({n}.125, {7919 * n}, "word {n}", b"byte {n}")' for n in range(100, 200))
    (folder / "of_constants.py").write_text(constants, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("of_constants", folder / "of_constants.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "of_constants", module)


@pytest.mark.parametrize("left_out", [True, False])
def test_what_is_drawn_is_the_same_whatever_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, left_out: bool
) -> None:
    # GIVEN constants of the modules that are loaded, which Hypothesis would draw if it was let
    drawing = surroundings.no_constants if left_out else surroundings.CONSTANTS_OF_MODULES
    monkeypatch.setattr(providers, "_get_local_constants", drawing)
    providers.CONSTANTS_CACHE.cache.clear()
    before = drawn()
    # WHEN one more is loaded
    load(tmp_path, monkeypatch)
    # THEN that changes what is drawn only where they are not left out
    assert (drawn() == before) is left_out
    providers.CONSTANTS_CACHE.cache.clear()


def test_draws_are_fixed_unless_somebody_searches(pytestconfig: pytest.Config) -> None:
    searching = pytestconfig.getoption("--hypothesis-profile") == surroundings.SEARCH
    assert hypothesis.settings.default is not None
    assert hypothesis.settings.default.derandomize is not searching
    assert (providers._get_local_constants is surroundings.no_constants) is not searching
    assert surroundings.examples(30) == (150 if searching else 30)


def test_no_account_and_no_repository_of_the_shell_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "GIT_DIR", "CDK_OUTDIR", "FORCE_COLOR"):
        monkeypatch.setenv(name, "of-the-shell")
    monkeypatch.setenv("CDK_DATA_SCIENCE_CACHE", "/kept")
    monkeypatch.setenv("NO_PROXY", "example.com")
    surroundings.settle_variables()
    assert "of-the-shell" not in os.environ.values()
    assert os.environ["CDK_DATA_SCIENCE_CACHE"] == "/kept"
    assert os.environ["NO_PROXY"].split(",") == ["example.com", "127.0.0.1", "localhost"]
