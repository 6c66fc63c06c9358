"""Wrong settings are told by file, key and what is allowed; nothing is guessed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from cdk_data_science.network import NetworkFeature
from cdk_data_science.security import Persona
from settings.model import FOLDER, Security, SettingsError, environments, load
from settings.network import Network

DOCS = Path(__file__).parents[2] / "docs"
DEV = (FOLDER / "dev.toml").read_text(encoding="utf-8")


def message(folder: Path, text: str | bytes, name: str = "dev") -> str:
    """What is said about a settings file with this content."""
    settings = folder / "settings"
    settings.mkdir()
    (settings / f"{name}.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SettingsError) as caught:
        load(name, folder=settings)
    return str(caught.value)


@pytest.mark.parametrize("environment", environments())
def test_the_settings_in_the_repository_are_right(environment: str) -> None:
    assert load(environment).environment == environment


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("[functions]", "[function]", ["function: unknown key", "allowed here", "functions", "training"]),
        ("memory_mb =", "memory =", ["inference.memory: unknown key", "memory_mb", "timeout_seconds"]),
        ("memory_mb = 1024", "memory_mb = 64", ["inference.memory_mb", "greater than or equal to 256", "64"]),
        ('"us-east-1b"]', '"us-east-1"]', ["network.zones.1", "match pattern", "'us-east-1'"]),
        (
            'zones = ["us-east-1a"',
            'features = ["studios"]\nzones = ["us-east-1a"',
            ["network.features.0", "'studio'", "'studios'"],
        ),
        ("[security]", "[security]\npeople = { boss = [] }", ["security.people.boss", "'data-scientist'"]),
        ("[security]", '[mlflow]\nmaintenance = "daily"', ["mlflow.maintenance", "'daily'"]),
        ("[security]", '[mlflow]\nserver = "Huge"', ["mlflow.server", "'Small', 'Medium' or 'Large'"]),
        ("[security]", "[mlflow]\n[security]", ["cannot reach the managed MLflow app", "nat_gateways"]),
        (
            "[security]",
            '[mlflow]\nserver = "Small"\n[security]',
            ["reaches the MLflow server by endpoints", 'add "mlflow" to network.features'],
        ),
        ("[security]", "[audit]\nlock_days = -1", ["audit.lock_days", "greater than or equal to 0"]),
        ("holdout = 0.2", "holdout = 2", ["pipeline.holdout", "less than 1", "given: 2"]),
        ("holdout = 0.2", 'holdout = "much"', ["pipeline.holdout", "valid number", "'much'"]),
        ('name = "ds-dev"', 'name = "DS dev"', ["platform.name", "match pattern", "'DS dev'"]),
        ('python = "3.13"', 'python = "2.7"', ["functions.python", "'3.12', '3.13' or '3.14'", "'2.7'"]),
        (
            'architecture = "arm64"',
            'architecture = "riscv"',
            ["functions.architecture", "'arm64' or 'x86_64'"],
        ),
        (
            "max_wait_minutes = 120",
            "max_wait_minutes = 5",
            ["max_wait_minutes is 5", "max_runtime_minutes (60)"],
        ),
        ('prefix = "reviews/"', 'prefix = "/reviews"', ["pipeline.prefix", "given: '/reviews'"]),
        ('prefix = "reviews/"', 'prefix = "my reviews/"', ["pipeline.prefix", "given: 'my reviews/'"]),
        (
            "holdout = 0.2",
            "queue_timeout_minutes = 0",
            ["pipeline.queue_timeout_minutes", "greater than or equal to 1"],
        ),
        ("data-platform@example.com", "nobody", ["alert_emails.0", "given: 'nobody'"]),
        (
            'alert_emails = ["data-platform@example.com"]',
            "",
            ["nobody would hear of the alerts of ['inference', 'pipeline', 'cost']", "alert_emails = []"],
        ),
        ("auroc = 0.8", "auroc = 1.5", ["pipeline.minimum.auroc", "less than or equal to 1", "given: 1.5"]),
        ("{ auroc = 0.8", "{ auc = 0.8", ["pipeline.minimum.auc", "'auroc' or 'accuracy'"]),
        (
            "checkpoints_expire_days = 30",
            "checkpoints_expire_days = 0",
            ["lake.checkpoints_expire_days", "greater than or equal to 1"],
        ),
        (
            "max_wait_minutes = 120",
            "max_wait_minutes = 40320\nentry_point = '../train.py'",
            ["training.entry_point", "given: '../train.py'"],
        ),
        ("monthly_limit_usd = 200", "monthly_limit_usd = -1", ["cost.monthly_limit_usd", "greater than 0"]),
        ('model = "review-sentiment"', "", ["pipeline.model", "Field required"]),
        ('owner = "data-platform"', 'owner = ""', ["tags.owner", "at least 1 character"]),
        ('owner = "data-platform"', "", ["[tags] lacks ['owner']", 'required_tags = ["cost-centre"]']),
    ],
)
def test_a_wrong_setting_is_told_by_file_key_and_what_is_allowed(
    tmp_path: Path, old: str, new: str, expected: list[str]
) -> None:
    assert old in DEV
    text = message(tmp_path, DEV.replace(old, new, 1))
    assert text.startswith("settings/dev.toml cannot be used:")
    for part in expected:
        assert part in text


def test_other_tags_may_be_what_bills_are_read_by(tmp_path: Path) -> None:
    text = 'required_tags = ["application"]\n' + DEV.replace('owner = "data-platform"', "")
    (tmp_path / "dev.toml").write_text(text, encoding="utf-8")
    assert "owner" not in load("dev", folder=tmp_path).tags


def test_an_empty_list_says_that_something_else_is_subscribed(tmp_path: Path) -> None:
    (tmp_path / "dev.toml").write_text(DEV.replace('["data-platform@example.com"]', "[]"), encoding="utf-8")
    assert load("dev", folder=tmp_path).alert_emails == ()


def test_a_lake_alone_tells_nobody_anything(tmp_path: Path) -> None:
    text = DEV.replace('alert_emails = ["data-platform@example.com"]', "").split("[training]")[0]
    (tmp_path / "dev.toml").write_text(text, encoding="utf-8")
    assert load("dev", folder=tmp_path).alert_emails is None


def test_administrators_of_nothing_are_refused(tmp_path: Path) -> None:
    role = "arn:aws:iam::111122223333:role/lake-admin"
    lake = f'[lake]\nadministrators = ["{role}"]\nlake_formation = false'
    assert "there is nothing to administer" in message(tmp_path, DEV.replace("[lake]", lake))


def test_an_image_of_another_region_is_refused(tmp_path: Path) -> None:
    text = DEV.replace("destroy_data = false", 'destroy_data = false\nregion = "eu-west-1"')
    said = message(tmp_path, text)
    assert "training.image is in us-east-1, but platform.region is eu-west-1" in said


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ('["ham", "spam"]\n', "labels are either words or numbers"),
        ('["ham"] #', "pipeline.label_names"),
        ('["ham", "ham"] #', "label_names has 'ham' twice"),
    ],
)
def test_labels_are_words_or_numbers_of_two_classes(tmp_path: Path, names: str, expected: str) -> None:
    said = message(tmp_path, DEV.replace("positive_above", f"label_names = {names} positive_above"))
    assert expected in said


def test_labels_may_be_words(tmp_path: Path) -> None:
    text = DEV.replace("positive_above = 0", 'label_names = ["ham", "spam"]')
    (tmp_path / "dev.toml").write_text(text, encoding="utf-8")
    pipeline = load("dev", folder=tmp_path).pipeline
    assert pipeline is not None
    assert (pipeline.label_names, pipeline.positive_above) == (("ham", "spam"), None)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = message(tmp_path, DEV.replace("holdout = 0.2", "holdout = 2").replace("memory_mb =", "memory ="))
    assert "pipeline.holdout" in text
    assert "inference.memory" in text


def test_a_pipeline_without_its_stages_is_refused(tmp_path: Path) -> None:
    before, rest = DEV.split("[inference]")
    text = message(tmp_path, before + "[pipeline]" + rest.split("[pipeline]")[1])
    assert "needs the tables ['inference']" in text


def test_a_table_that_is_no_table_is_refused(tmp_path: Path) -> None:
    assert "cost" in message(tmp_path, "cost = 3\n" + DEV.split("[cost]")[0])


@pytest.mark.parametrize(
    "text", ["[platform\nname = 1", "a = 1\na = 2", b"name = '\xff'"], ids=["syntax", "twice", "bytes"]
)
def test_a_file_that_is_no_toml_is_told_with_its_place(tmp_path: Path, text: str | bytes) -> None:
    assert message(tmp_path, text).startswith("settings/dev.toml is not valid TOML: ")


def test_an_environment_without_a_file_names_those_that_have_one(tmp_path: Path) -> None:
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings" / "dev.toml").touch()
    with pytest.raises(
        SettingsError, match=r"no settings file settings/stage\.toml; the environments there are: dev$"
    ):
        load("stage", folder=tmp_path / "settings")


@pytest.mark.parametrize("environment", ["../settings/dev", "", "Dev"])
def test_a_strange_name_of_an_environment_is_refused(environment: str) -> None:
    with pytest.raises(SettingsError):
        load(environment)


def test_settings_never_change_after_reading() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load("dev").environment = "prod"


def test_zones_of_another_region_are_refused(tmp_path: Path) -> None:
    text = DEV.replace('name = "ds-dev"', 'name = "ds-dev"\nregion = "us-west-2"')
    text = text.replace(".us-east-1.amazonaws.com", ".us-west-2.amazonaws.com")
    told = message(tmp_path, text)
    assert "network.zones names ['us-east-1a', 'us-east-1b'], but platform.region is us-west-2" in told


@pytest.mark.parametrize(
    ("network", "reaches"),
    [
        ("", False),
        ("nat_gateways = 1", True),
        ('nat_gateways = 1\nallowed_domains = ["pypi.org", "files.pythonhosted.org"]', True),
        ('nat_gateways = 1\nallowed_domains = [".example.com"]', False),
        ('inside = ["inference"]', True),
        ('inside = ["training"]', False),
    ],
)
def test_training_reaches_a_package_index_unless_it_is_inside_without_a_way_out(
    tmp_path: Path, network: str, *, reaches: bool
) -> None:
    (tmp_path / "dev.toml").write_text(DEV.replace("[network]", f"[network]\n{network}"), encoding="utf-8")
    assert load("dev", folder=tmp_path).training_reaches_internet is reaches


def test_allowed_domains_need_a_way_out(tmp_path: Path) -> None:
    told = message(tmp_path, DEV.replace("[network]", '[network]\nallowed_domains = ["pypi.org"]'))
    assert "allowed_domains needs a way out: write nat_gateways = 1" in told


def test_without_a_region_zones_and_image_have_to_be_in_the_same_one(tmp_path: Path) -> None:
    told = message(tmp_path, DEV.replace(".us-east-1.amazonaws.com", ".us-west-2.amazonaws.com"))
    assert "network.zones names ['us-east-1a', 'us-east-1b'], but training.image is in us-west-2" in told


def test_the_settings_know_every_feature_of_a_network_and_every_persona() -> None:
    features = Network.model_fields["features"].annotation
    assert set(get_args(get_args(features)[0])) == set(NetworkFeature)
    personas = Security.model_fields["people"].annotation
    assert set(get_args(get_args(personas)[0])) == set(Persona)


def examples() -> list[tuple[str, str]]:
    """The settings that the pages on the lake show."""
    return [
        (page, block)
        for page in ("catalog", "data-lake", "etl")
        for block in re.findall(r"```toml\n(.*?)```", (DOCS / f"{page}.md").read_text("utf-8"), re.DOTALL)
    ]


@pytest.mark.parametrize(("page", "block"), examples())
def test_what_the_pages_on_the_lake_show_can_be_written(tmp_path: Path, page: str, block: str) -> None:
    beside = """
        required_tags = ["owner"]
        alert_emails = []
        platform = { name = "ds-docs" }
        tags = { owner = "data-platform", application = "reviews" }
        network = { zones = ["us-east-1a"], nat_gateways = 1 }
    """
    (tmp_path / f"{page}.toml").write_text(beside + block, encoding="utf-8")
    assert load(page, folder=tmp_path).environment == page
