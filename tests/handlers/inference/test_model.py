"""Where a model is found, and what is refused before it serves."""

import json
from typing import Any

import pytest
from handlers.inference import models
from handlers.inference.asset import manifest, model, ort, shelf
from handlers.inference.asset import s3 as s3_module
from handlers.inference.conftest import put
from handlers.inference.fake_s3 import FakeS3, Fault


def keeper(environment: dict[str, str], clock: list[float] | None = None) -> shelf.Keeper:
    times = clock or [0.0]
    return shelf.Keeper(environment, now=lambda: times[0])


def reason(environment: dict[str, str]) -> str:
    with pytest.raises((model.NoModel, model.ModelUnavailable)) as caught:
        keeper(environment).get()
    return f"{caught.type.__name__}: {caught.value}"


def by_pointer(store: FakeS3, pointer: object) -> dict[str, str]:
    store.objects["lake/current.json"] = (
        pointer if isinstance(pointer, bytes) else json.dumps(pointer).encode()
    )
    return store.environment(MODEL_POINTER_BUCKET="lake", MODEL_POINTER_KEY="current.json")


def pointer_of(environment: dict[str, str]) -> dict[str, str]:
    return {
        "bucket": environment["MODEL_BUCKET"],
        "key": environment["MODEL_KEY"],
        "sha256": environment["MODEL_SHA256"],
        "version": "6",
        "run": "run-1",
    }


def test_a_version_without_a_model_of_its_own_serves_what_the_pointer_names(s3: FakeS3) -> None:
    pointer = pointer_of(put(s3, models.tabular()))
    assert keeper(by_pointer(s3, pointer)).get().sha256 == models.tabular().sha256


def test_the_model_of_a_version_comes_before_the_pointer(s3: FakeS3) -> None:
    own = put(s3, models.tabular())
    other = pointer_of(put(s3, models.text()))
    assert keeper({**by_pointer(s3, other), **own}).get().sha256 == models.tabular().sha256


def test_no_pointer_yet_means_no_model_yet(s3: FakeS3) -> None:
    environment = s3.environment(MODEL_POINTER_BUCKET="lake", MODEL_POINTER_KEY="current.json")
    assert reason(environment).startswith("NoModel: no model has been deployed yet")
    s3.faults.append(Fault(403))
    assert reason(environment).startswith("NoModel: no model has been deployed yet")


@pytest.mark.parametrize("pointer", [b"", b"no json", b"[]", b"null", {"bucket": "lake", "key": "k"}])
def test_a_broken_pointer_is_told(s3: FakeS3, pointer: object) -> None:
    assert "s3://lake/current.json is no pointer" in reason(by_pointer(s3, pointer))


def test_a_model_without_a_hash_is_not_loaded(s3: FakeS3) -> None:
    environment = put(s3, models.tabular())
    del environment["MODEL_SHA256"]
    assert "MODEL_SHA256 is not set" in reason(environment)
    assert s3.requests == []


def test_a_model_with_another_hash_is_not_loaded(s3: FakeS3) -> None:
    environment = put(s3, models.tabular())
    s3.objects[f"lake/{environment['MODEL_KEY']}"] += b"x"
    assert f"expected {models.tabular().sha256}" in reason(environment)


def test_a_manifest_of_another_model_is_not_taken(s3: FakeS3) -> None:
    assert "belongs to another model" in reason(put(s3, models.tabular(), sha256="f" * 64))


@pytest.mark.parametrize("name", ["model.onnx", "model.json"])
def test_a_missing_file_is_told_with_its_address(s3: FakeS3, name: str) -> None:
    environment = put(s3, models.tabular())
    address = environment["MODEL_KEY"].replace("model.onnx", name)
    del s3.objects[f"lake/{address}"]
    assert f"s3://lake/{address}: 404" in reason(environment)


def test_bytes_that_are_no_model_are_told(s3: FakeS3) -> None:
    broken = models.Artifact(b"no onnx", models.tabular().manifest)
    assert reason(put(s3, broken)).startswith("ModelUnavailable: OrtError")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"inputs": [{"name": "age", "type": "float"}]}, "'input' has the shape [-1, 2], expected [rows, 1]"),
        ({"inputs": [{"name": "age", "type": "string"}]}, "has an input 'age' that the model lacks"),
        ({"tensor": "other"}, "the model has an input 'input' that model.json lacks"),
        ({"classes": ["a", "b", "c"]}, "'probabilities' has the shape [-1, 2], expected [rows, 3]"),
        ({"outputs": {"probabilities": "p"}}, "the model has no output 'p'"),
        ({"outputs": {"probabilities": "label"}}, "'label' is of int64, expected float"),
        ({"outputs": {"label": "l"}}, "the model has no output 'l'"),
        ({"outputs": {"label": "probabilities"}}, "'probabilities' must be a tensor of int64 or string"),
    ],
)
def test_a_manifest_that_does_not_fit_its_model_is_refused(s3: FakeS3, changes: Any, fault: str) -> None:
    assert fault in reason(put(s3, models.tabular(), **changes))


def test_a_variable_that_is_no_number_is_told(s3: FakeS3) -> None:
    assert "MAX_ROWS must be a positive whole number, got '0'" in reason(
        {**put(s3, models.tabular()), "MAX_ROWS": "0"}
    )


def test_a_failed_load_is_tried_again_after_pauses_that_grow(s3: FakeS3) -> None:
    environment = put(s3, models.tabular())
    content = s3.objects.pop(f"lake/{environment['MODEL_KEY']}")
    clock = [0.0]
    kept = keeper(environment, clock)
    tries = []
    for second in range(120):
        clock[0] = float(second)
        before = len(s3.requests)
        with pytest.raises(model.ModelUnavailable):
            kept.get()
        if len(s3.requests) > before:
            tries.append(second)
    assert tries == [0, 1, 3, 7, 15, 31, 63]

    s3.objects[f"lake/{environment['MODEL_KEY']}"] = content
    clock[0] += 60
    assert kept.get() is kept.get()


def test_labels_that_are_numbers_are_the_numbers_and_others_are_found_by_index(s3: FakeS3) -> None:
    for classes, expected in ((["1", "0"], "1"), (["no", "yes"], "yes")):
        loaded = keeper(put(s3, models.tabular(), classes=classes)).get()
        batch = loaded.contract.check({"instances": [{"age": 9, "income (k$)": 9}]})
        assert loaded.predict(batch).labels == [expected]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"schema": 2}, "schema 2 is not known here"),
        ({"inputs": []}, "inputs is empty"),
        ({"classes": []}, "classes is not a list of at least two names"),
        ({"classes": ["a", "a"]}, "two classes have the same name"),
        ({"inputs": [{"name": "a", "type": "float"}] * 2}, "two inputs have the same name"),
        ({"inputs": [{"name": "a", "type": "date"}]}, "input 'a': type 'date' is not one of string, float"),
        (
            {"inputs": [{"name": "a", "type": "string", "transform": "stem"}]},
            "transform 'stem' is not one of",
        ),
        (
            {"inputs": [{"name": "a", "type": "string", "minimum": 1}]},
            "minimum and maximum belong to numbers",
        ),
        ({"inputs": [{"name": "a", "type": "float", "max_length": 1}]}, "belong to strings"),
        ({"inputs": [{"name": "a", "type": "string", "max_length": 0}]}, "max_length must be at least 1"),
        (
            {"inputs": [{"name": "a", "type": "float", "minimum": 2, "maximum": 1}]},
            "minimum is above maximum",
        ),
        ({"inputs": [{"name": "a", "type": "float", "pattern": "x"}]}, "unknown field `pattern`"),
        ({"inputs": 5}, "Expected `array`"),
    ],
)
def test_a_wrong_manifest_is_refused(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(manifest.InvalidModel) as caught:
        manifest.read(models.tabular().manifest_json(**changes))
    assert fault in str(caught.value)


def test_what_training_writes_beside_is_left_alone() -> None:
    read = manifest.read(
        models.tabular().manifest_json(parity={"max_abs_diff": 1e-7, "rows": 9}, anything=[1])
    )
    assert read.classes == ["no", "yes"]


def test_the_library_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort.sys, "path", [])
    with pytest.raises(ort.OrtError, match="build the asset again"):
        ort.library_path()


def test_the_client_is_closed_after_a_load(s3: FakeS3, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []
    monkeypatch.setattr(s3_module.Client, "close", lambda self: closed.append(self))
    keeper(put(s3, models.tabular())).get()
    assert closed


def test_many_texts_are_predicted_in_parts_which_bounds_their_memory(s3: FakeS3) -> None:
    # GIVEN more texts than become rows as wide as the vocabulary at once
    found = keeper(put(s3, models.text())).get()
    texts = [{"text": f"great phone {number}" if number % 3 else "bad battery"} for number in range(250)]
    batch = found.contract.check({"instances": texts})
    sizes: list[int] = []
    run = found._run
    found._run = lambda columns, rows: sizes.append(rows) or run(columns, rows)
    # THEN each is answered as if it were alone, in its order
    whole = found.predict(batch)
    assert sizes == [100, 100, 50]
    alone = [found.predict(found.contract.check({"instances": [text]})) for text in texts]
    assert whole.labels == [each.labels[0] for each in alone]
    assert whole.probabilities == pytest.approx([value for each in alone for value in each.probabilities])
