"""The same tree gives the same bytes: from any folder, with any hash seed, acknowledged or not."""

from __future__ import annotations

import difflib

from tests.compliance.assembly import Assembly


def test_two_syntheses_from_two_folders_are_equal_to_the_byte(synthesized: Assembly, twin: Assembly) -> None:
    one, other = synthesized.files(), twin.files()
    assert sorted(one) == sorted(other)
    assert not "".join(differences(one, other))


def test_assets_are_named_by_their_content_alone(synthesized: Assembly, twin: Assembly) -> None:
    assert {path.name for path in synthesized.folder.glob("asset.*")} == {
        path.name for path in twin.folder.glob("asset.*")
    }


def test_a_difference_is_shown_line_by_line() -> None:
    shown = "".join(differences({"a.template.json": b"1\n2\n"}, {"a.template.json": b"1\n3\n"}))
    assert "-2" in shown
    assert "+3" in shown


def differences(one: dict[str, bytes], other: dict[str, bytes]) -> list[str]:
    return [
        line
        for name in sorted(one)
        if one[name] != other[name]
        for line in difflib.unified_diff(
            one[name].decode().splitlines(keepends=True),
            other[name].decode().splitlines(keepends=True),
            name,
            name,
        )
    ]
