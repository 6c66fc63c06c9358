"""Lambda assets: the same input gives the same file, a build that fails says why and leaves nothing."""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_lambda as lambda_

from cdk_data_science import _assets
from cdk_data_science._assets import AssetBuildError, _Recipe
from tests.constructs import support

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
# A small one without dependencies, pinned as the real ones are.
HASH = "a5663118de4908c91729bea0acadca56526eb2698e83de10cd116ae0f4e97c64"
REQUIREMENTS = f"jmespath==1.1.0 --hash=sha256:{HASH}\n"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("CDK_DATA_SCIENCE_CACHE", str(folder))
    return folder / "assets"


def source(folder: Path, **changes: str | None) -> Path:
    """An asset folder with two modules and one requirement."""
    files: dict[str, str | None] = {
        "step.py": "import helper\n\ndef handler(event, context):\n    return helper.ANSWER\n",
        "helper.py": "ANSWER = 42\n",
        "requirements.in": "jmespath\n",
        "requirements.txt": REQUIREMENTS,
    }
    folder.mkdir(parents=True)
    for name, text in {**files, **{key.replace("__", "."): value for key, value in changes.items()}}.items():
        if text is not None:
            (folder / name).write_text(text, encoding="utf-8")
    return folder


def recipe(folder: Path, *, python: str = HERE, platform: str = "x86_64-manylinux_2_28") -> _Recipe:
    compiler = sys.executable if python == HERE else None
    return _Recipe(source=folder, python=python, platform=platform, compiler=compiler)


def build(made_of: _Recipe) -> Path:
    return _assets._built(made_of, made_of.hash())


def test_what_tools_leave_beside_the_code_is_no_part_of_it(tmp_path: Path) -> None:
    folder = source(tmp_path / "asset")
    before = recipe(folder).hash()
    for cache in (".mypy_cache", "__pycache__"):
        (folder / cache).mkdir()
        (folder / cache / "left.json").write_text("{}", encoding="utf-8")
    assert recipe(folder).hash() == before
    (folder / "new.py").write_text("", encoding="utf-8")
    assert recipe(folder).hash() != before


def test_the_same_input_gives_the_same_bytes_in_two_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []
    for place in ("one", "another/place"):
        monkeypatch.setenv("CDK_DATA_SCIENCE_CACHE", str(tmp_path / place / "cache"))
        folder = source(tmp_path / place / "asset")
        # Times of files do not matter.
        os.utime(folder / "step.py", (len(built) * 10**8, len(built) * 10**8))
        built.append(build(recipe(folder)))
    assert built[0].name == built[1].name
    assert built[0].read_bytes() == built[1].read_bytes()


def test_an_asset_holds_modules_requirements_and_bytecode(tmp_path: Path, cache: Path) -> None:
    with zipfile.ZipFile(build(recipe(source(tmp_path / "asset")))) as archive:
        names = set(archive.namelist())
        code = archive.read(f"__pycache__/step.cpython-{HERE.replace('.', '')}.pyc")
        modes = {entry.external_attr >> 16 & 0o777 for entry in archive.infolist()}
    assert {"step.py", "helper.py", "jmespath/__init__.py"} <= names
    assert not names & {"requirements.in", "requirements.txt", "exclude.txt"}
    assert str(tmp_path).encode() not in code
    assert b"/var/task" in code
    assert modes <= {0o644, 0o755}


def test_what_exclude_txt_names_is_left_out(tmp_path: Path, cache: Path) -> None:
    folder = source(tmp_path / "asset", exclude__txt="# not needed\njmespath/functions.py\n*.dist-info\n")
    with zipfile.ZipFile(build(recipe(folder))) as archive:
        names = archive.namelist()
    assert "jmespath/parser.py" in names
    assert "jmespath/functions.py" not in names
    assert not [name for name in names if ".dist-info" in name]


@pytest.mark.parametrize(
    "changes",
    [
        {"step__py": "def handler(event, context):\n    return 43\n"},
        {"requirements__txt": REQUIREMENTS + "# another\n"},
        {"exclude__txt": "jmespath/functions.py\n"},
        {"helper__py": None},
    ],
    ids=["source", "requirements", "exclusions", "fewer files"],
)
def test_other_input_gives_another_name(tmp_path: Path, changes: dict[str, str | None]) -> None:
    assert recipe(source(tmp_path / "a")).hash() != recipe(source(tmp_path / "b", **changes)).hash()


def test_another_python_or_platform_gives_another_name(tmp_path: Path) -> None:
    folder = source(tmp_path / "asset")
    recipes = [
        recipe(folder),
        recipe(folder, python="3.99"),
        recipe(folder, platform="aarch64-manylinux_2_28"),
    ]
    assert len({each.hash() for each in recipes}) == 3


def test_leftovers_of_python_do_not_matter(tmp_path: Path) -> None:
    folder = source(tmp_path / "asset")
    before = recipe(folder).hash()
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "step.pyc").write_bytes(b"x")
    assert recipe(folder).hash() == before


def test_an_asset_is_built_once(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_of = recipe(source(tmp_path / "asset"))
    first = build(made_of)
    monkeypatch.setattr(_assets, "_assemble", lambda *_: pytest.fail("built again"))
    assert build(made_of) == first


def test_a_wrong_hash_is_refused_and_leaves_nothing_behind(tmp_path: Path, cache: Path) -> None:
    folder = source(tmp_path / "asset", requirements__txt=REQUIREMENTS.replace(HASH, "0" * 64))
    with pytest.raises(AssetBuildError, match=f"'asset' could not be installed for Python {HERE}") as caught:
        build(recipe(folder))
    assert "hash" in str(caught.value).lower()
    assert [path for path in cache.iterdir() if path.suffix != ".lock"] == []


def test_a_requirement_without_a_hash_is_refused(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(AssetBuildError, match=r"(?i)hash"):
        build(recipe(source(tmp_path / "asset", requirements__txt="jmespath==1.1.0\n")))


def test_an_index_that_does_not_answer_is_told(
    nobody: int, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{nobody}/simple")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    for variable in ("UV_FIND_LINKS", "UV_INDEX", "UV_EXTRA_INDEX_URL"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(AssetBuildError, match="Is the package index reachable"):
        build(recipe(source(tmp_path / "asset")))


def test_an_asset_that_does_not_exist_is_told() -> None:
    with pytest.raises(AssetBuildError, match="no Lambda asset 'nonsense'"):
        _assets.function_code(
            support.stack(),
            "nonsense",
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
        )


def test_missing_bytecode_is_told_at_synthesis(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = source(tmp_path / "asset")
    monkeypatch.setattr(_assets, "_asset_folder", lambda name: folder)
    monkeypatch.setattr(_assets, "_interpreter", lambda python: None)
    stack = support.stack()
    cdk.CfnWaitConditionHandle(stack, "Nothing")
    for _ in range(2):
        _assets.function_code(
            stack, "asset", runtime=lambda_.Runtime.PYTHON_3_13, architecture=lambda_.Architecture.X86_64
        )
    [told] = cdk.assertions.Annotations.from_stack(stack).find_info("*", cdk.assertions.Match.any_value())
    assert "without bytecode" in str(told.entry.data)


def test_a_local_aws_gets_what_this_machine_can_run_whatever_the_function_says(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = source(tmp_path / "asset")
    built: list[_assets._Recipe] = []
    monkeypatch.setattr(_assets, "_asset_folder", lambda name: folder)
    monkeypatch.setattr(_assets, "_built", lambda recipe, key: built.append(recipe) or folder)
    for context in ({}, {_assets.BUILD_FOR_HOST_CONTEXT: True}):
        _assets.function_code(
            support.stack(context=context),
            "asset",
            runtime=lambda_.Runtime.PYTHON_3_14,
            architecture=lambda_.Architecture.ARM_64,
        )
    lambdas, ours = built
    assert (lambdas.python, lambdas.platform) == ("3.14", "aarch64-manylinux_2_28")
    assert (ours.python, ours.platform) == (f"{sys.version_info.major}.{sys.version_info.minor}", "")
    assert ours.compiler == sys.executable


def test_python_3_11_gets_wheels_for_the_older_system_that_lambda_runs_it_on() -> None:
    assert _assets._platform("3.11", lambda_.Architecture.X86_64) == "x86_64-manylinux2014"
    assert _assets._platform("3.12", lambda_.Architecture.X86_64) == "x86_64-manylinux_2_28"


def test_the_cache_may_be_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CDK_DATA_SCIENCE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert (
        build(recipe(source(tmp_path / "asset"))).parent == tmp_path / "xdg" / "cdk-data-science" / "assets"
    )
    shutil.rmtree(tmp_path / "xdg")
