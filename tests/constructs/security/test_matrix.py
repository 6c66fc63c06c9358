"""The matrix in the docs says what the roles are."""

from __future__ import annotations

from tests.constructs.security import matrix


def test_the_documented_matrix_is_current() -> None:
    found = matrix.written(matrix.PAGE.read_text(encoding="utf-8"))
    expected = matrix.written(f"{matrix.BEGIN}\n{matrix.render()}\n{matrix.END}")
    assert found == expected, "run `python -m tests.constructs.security.matrix`"
