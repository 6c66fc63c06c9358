"""`python app.py` with what cannot be deployed: a message, no traceback, a failure code, nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compliance import assembly
from tests.conftest import copy_tree

DEV = (assembly.ROOT / "settings" / "dev.toml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tree") / "project"
    copy_tree(root)
    return root


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            DEV.replace("memory_mb =", "memory ="),
            ["settings/wrong.toml", "inference.memory", "memory_mb"],
        ),
        (DEV.replace("RowCount > 1000", "RowCont > 1000"), ["RowCont"]),
    ],
    ids=["settings", "quality rule"],
)
def test_the_app_says_what_is_wrong_and_stops(
    tree: Path, tmp_path: Path, text: str, expected: list[str]
) -> None:
    (tree / "settings" / "wrong.toml").write_text(text, encoding="utf-8")
    out = tmp_path / "cdk.out"
    done = assembly.run(["app.py"], out, assembly.context("wrong"), root=tree)
    assert done.returncode == 1
    for part in expected:
        assert part in done.stderr
    assert "Traceback" not in done.stderr
    # Lambda code may have been copied before a later construct refused; nothing of it can be deployed.
    files = [path.relative_to(out) for path in out.rglob("*") if path.is_file()]
    assert [path for path in files if not path.parts[0].startswith("asset.")] == []


def test_without_an_environment_it_is_dev(tmp_path: Path, tree: Path) -> None:
    (tree / "settings" / "dev.toml").write_text("[platform", encoding="utf-8")
    context = assembly.context("dev")
    del context["environment"]
    done = assembly.run(["app.py"], tmp_path / "cdk.out", context, root=tree)
    assert "settings/dev.toml is not valid TOML" in done.stderr
