"""Tables of the settings are tables of the lake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cdk_data_science import ConfigurationError
from settings.model import FOLDER, Settings, SettingsError, load
from stacks.lake import LakeStack
from tests.constructs import support

TABLE = """
[lake.tables.reviews]
zone = "raw"
format = "csv"
columns = { review_id = "int", text = "string" }
"""


def settings(folder: Path, text: str) -> Settings:
    (folder / "settings").mkdir()
    content = (FOLDER / "dev.toml").read_text(encoding="utf-8")
    (folder / "settings" / "dev.toml").write_text(content + text, encoding="utf-8")
    return load("dev", folder=folder / "settings")


def lake(folder: Path, text: str) -> dict[str, dict[str, Any]]:
    stack = LakeStack(support.app(), "lake", settings=settings(folder, text), env=support.environment())
    return support.resources(stack, "AWS::Glue::Table")


def test_a_table_of_the_settings_is_over_its_folder_of_its_zone(tmp_path: Path) -> None:
    table = support.only(lake(tmp_path, TABLE))
    assert table["DeletionPolicy"] == "Retain"
    assert table["Properties"]["DatabaseName"]["Ref"].startswith("LakeRawDatabase")
    definition = table["Properties"]["TableInput"]
    assert definition["Name"] == "reviews"
    assert definition["StorageDescriptor"]["Location"]["Fn::Join"][1][-1] == "/reviews/"
    assert definition["StorageDescriptor"]["Columns"] == [
        {"Name": "review_id", "Type": "int"},
        {"Name": "text", "Type": "string"},
    ]
    assert definition["Parameters"]["classification"] == "csv"


def test_there_is_no_table_without_one_in_the_settings(tmp_path: Path) -> None:
    assert lake(tmp_path, "") == {}


def test_wrong_tables_are_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"lake\.tables\.reviews\.zone"):
        settings(tmp_path, TABLE.replace('"raw"', '"rough"'))
    (tmp_path / "types").mkdir()
    with pytest.raises(ConfigurationError, match="'int' in place of 'integer'"):
        lake(tmp_path / "types", TABLE.replace('"int"', '"integer"'))
