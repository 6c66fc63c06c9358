"""Several models in one function, found by name, replaced without a cold start, and put away."""

import json
from typing import Any

import pytest
from handlers.inference import models
from handlers.inference.asset import app, shelf
from handlers.inference.conftest import put
from handlers.inference.fake_s3 import FakeS3, Fault
from handlers.inference.test_app import CONTEXT, metric_lines, post, send

NUMBERS = {"instances": [{"age": 1, "income (k$)": 1}]}
TEXT = {"instances": [{"text": "great"}]}


def point(store: FakeS3, artifact: models.Artifact, *, name: str | None = None) -> None:
    """What a promotion writes."""
    folder = "models/" if name is None else f"models/{name}/"
    environment = put(store, artifact, prefix=folder)
    pointer = {"bucket": "lake", "key": environment["MODEL_KEY"], "sha256": artifact.sha256}
    store.objects[f"lake/{folder}current.json"] = json.dumps(pointer).encode()


def following(store: FakeS3, **more: str) -> dict[str, str]:
    return store.environment(
        MODEL_POINTER_BUCKET="lake", MODEL_POINTER_KEY="models/current.json", SERVICE="reviews", **more
    )


def asked(function: app.Function, path: str, body: object) -> tuple[int, dict[str, Any]]:
    return send(function, post(body, rawPath=path))


@pytest.fixture
def several(s3: FakeS3) -> app.Function:
    """A function with a model of its own and one named churn."""
    point(s3, models.text())
    point(s3, models.tabular(), name="churn")
    return app.Function(following(s3, MODEL_NAMES="churn,other"))


def test_a_model_is_asked_for_by_its_name(several: app.Function) -> None:
    # GIVEN a function with two models WHEN each is asked THEN each answers its own kind of rows
    assert asked(several, "/", TEXT)[1]["model"]["sha256"] == models.text().sha256
    status, answer = asked(several, "/models/churn", NUMBERS)
    assert (status, answer["model"]["sha256"]) == (200, models.tabular().sha256)
    direct: Any = several({"model": "churn", **NUMBERS}, CONTEXT)
    assert direct["predictions"] == answer["predictions"]


def test_each_model_has_the_contract_of_its_own_manifest(several: app.Function) -> None:
    status, answer = asked(several, "/models/churn", TEXT)
    assert status == 422
    assert {field["path"] for field in answer["error"]["fields"]} >= {"instances[0].age", "instances[0].text"}


def test_a_version_is_asked_for_by_its_hash(several: app.Function, s3: FakeS3) -> None:
    # GIVEN a model that was promoted, and another one after it
    old = models.tabular()
    point(s3, models.tabular(2.0), name="churn")
    # WHEN the old version is asked for by its hash THEN it answers, beside the new one
    assert asked(several, f"/models/churn@{old.sha256}", NUMBERS)[1]["model"]["sha256"] == old.sha256
    assert asked(several, "/models/churn", NUMBERS)[1]["model"]["sha256"] == models.tabular(2.0).sha256


@pytest.mark.parametrize(
    "name",
    ["unknown", "", "churn@", "churn@abc", "churn@" + "G" * 64, "../churn", "churn/x", "a" * 500],
)
def test_a_name_that_was_not_configured_is_never_looked_for(
    several: app.Function, s3: FakeS3, name: str
) -> None:
    s3.requests.clear()
    status, answer = asked(several, f"/models/{name}", NUMBERS)
    assert (status, answer["error"]["type"]) == (404, "UnknownModel")
    assert "churn, other" in answer["error"]["message"]
    assert s3.requests == []


def test_a_name_that_has_no_model_yet_is_503_and_the_others_answer(several: app.Function) -> None:
    status, answer = asked(several, "/models/other", NUMBERS)
    assert (status, answer["error"]["type"]) == (503, "NoModel")
    assert asked(several, "/models/churn", NUMBERS)[0] == 200


def test_a_direct_call_for_an_unknown_model_is_told(several: app.Function) -> None:
    unknown: Any = several({"model": "unknown", **NUMBERS}, CONTEXT)
    wrong: Any = several({"model": 5, **NUMBERS}, CONTEXT)
    assert (unknown["error"]["type"], wrong["error"]["type"]) == ("UnknownModel", "UnknownEvent")


def test_the_model_that_was_not_asked_for_longest_makes_room(s3: FakeS3) -> None:
    point(s3, models.tabular(), name="a")
    point(s3, models.tabular(2.0), name="b")
    point(s3, models.text(), name="c")
    known = shelf.Shelf(following(s3, MODEL_NAMES="a,b,c", MAX_MODELS="2"))
    for name in ("a", "b", "a", "c"):
        known.get(name)
    s3.requests.clear()
    known.get("a")
    assert s3.requests == []
    known.get("b")
    assert len(s3.requests) == 3  # pointer, manifest, model
    assert len(known.keepers) == 3  # with the version's own


def test_a_model_that_replaced_another_answers_without_a_new_start(s3: FakeS3) -> None:
    # GIVEN a function that looks for its model every minute
    point(s3, models.tabular())
    clock = [0.0]
    keeper = shelf.Keeper(following(s3, MODEL_REFRESH_SECONDS="60"), now=lambda: clock[0])
    assert keeper.get().sha256 == models.tabular().sha256
    # WHEN another model is promoted THEN it answers after that minute and not before
    point(s3, models.tabular(2.0))
    clock[0] = 59.0
    s3.requests.clear()
    assert keeper.get().sha256 == models.tabular().sha256
    assert s3.requests == []
    clock[0] = 60.0
    assert keeper.get().sha256 == models.tabular(2.0).sha256
    assert keeper.loads == 2


def test_looking_for_a_model_that_did_not_change_reads_the_pointer_alone(s3: FakeS3) -> None:
    point(s3, models.tabular())
    clock = [0.0]
    keeper = shelf.Keeper(following(s3, MODEL_REFRESH_SECONDS="60"), now=lambda: clock[0])
    model = keeper.get()
    s3.requests.clear()
    clock[0] = 61.0
    assert keeper.get() is model
    assert len(s3.requests) == 1
    assert keeper.get() is model
    assert len(s3.requests) == 1


@pytest.mark.parametrize("fault", ["pointer", "model", "store"])
def test_what_cannot_be_loaded_replaces_nothing(
    s3: FakeS3, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    point(s3, models.tabular())
    clock = [0.0]
    keeper = shelf.Keeper(following(s3, MODEL_REFRESH_SECONDS="60"), now=lambda: clock[0])
    model = keeper.get()
    point(s3, models.tabular(2.0))
    if fault == "pointer":
        s3.objects["lake/models/current.json"] = b"no json"
    elif fault == "model":
        s3.objects[f"lake/models/{models.tabular(2.0).sha256}/model.onnx"] = b"no model"
    else:
        s3.faults = [Fault(403)]
    clock[0] = 60.0
    assert keeper.get() is model
    assert keeper.failures == 1
    assert "ModelNotReplaced" in capsys.readouterr().out


def test_the_model_of_a_published_version_is_never_looked_for_again(s3: FakeS3) -> None:
    clock = [0.0]
    environment = {**following(s3, MODEL_REFRESH_SECONDS="1"), **put(s3, models.tabular())}
    keeper = shelf.Keeper(environment, now=lambda: clock[0])
    keeper.get()
    s3.requests.clear()
    clock[0] = 1e6
    keeper.get()
    assert s3.requests == []


def test_loads_of_named_models_are_measured(
    several: app.Function, capsys: pytest.CaptureFixture[str]
) -> None:
    several.prepare()
    capsys.readouterr()
    asked(several, "/models/churn", NUMBERS)
    asked(several, "/models/churn", NUMBERS)
    first, second = metric_lines(capsys.readouterr().out)
    assert first["ModelLoad"] > 0
    assert "ModelLoad" not in second


def test_the_confidence_of_an_answer_is_measured(
    several: app.Function, capsys: pytest.CaptureFixture[str]
) -> None:
    two = {"instances": [{"age": 1, "income (k$)": 1}, {"age": 0, "income (k$)": 0}]}
    _, answer = asked(several, "/models/churn", two)
    [line] = metric_lines(capsys.readouterr().out)
    likeliest = [max(each["probabilities"].values()) for each in answer["predictions"]]
    assert line["Confidence"] == pytest.approx(sum(likeliest) / 2)
