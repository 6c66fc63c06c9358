"""The C library gives what the Python package of ONNX Runtime gives."""

from array import array
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from handlers.inference import models
from handlers.inference.asset import ort
from hypothesis import given
from hypothesis import strategies as st

ENGINE = ort.Engine()
numbers = st.floats(-100, 100, width=32)


def test_inputs_and_outputs_are_read_from_the_model() -> None:
    session = ort.Session(ENGINE, models.tabular().model)
    assert session.inputs == (("input", ort.FLOAT, (-1, 2)),)
    assert session.outputs == (("label", ort.INT64, (-1,)), ("probabilities", ort.FLOAT, (-1, 2)))


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=20))
def test_numbers_give_what_the_python_package_gives(rows: list[tuple[float, float]]) -> None:
    table = np.array(rows, dtype=np.float32)
    expected = _python(models.tabular().model).run(["label", "probabilities"], {"input": table})

    label, probabilities = _runner(models.tabular().model, "input")([array("f", table.ravel())], len(rows))

    assert label == expected[0].tolist()
    assert probabilities == expected[1].ravel().tolist()


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), min_size=1, max_size=10))
def test_texts_give_what_the_python_package_gives(texts: list[str]) -> None:
    column = np.array([[text] for text in texts], dtype=object)
    expected = _python(models.text().model).run(["label", "probabilities"], {"text": column})

    label, probabilities = _runner(models.text().model, "text")(
        [[text.encode() for text in texts]], len(texts)
    )

    assert label == expected[0].tolist()
    assert probabilities == expected[1].ravel().tolist()


def test_a_wrong_shape_raises_what_the_engine_said_and_leaves_the_session_usable() -> None:
    run = _runner(models.tabular().model, "input")
    with pytest.raises(ort.OrtError, match="Got: 3 Expected: 2"):
        run([array("f", [1, 2, 3])], 1)
    with pytest.raises(ort.OrtError, match="Unexpected input data type"):
        run([[b"text", b"text"]], 1)
    assert len(run([array("f", [1, 2])], 1)) == 2


def test_sessions_come_and_go_without_memory_growing() -> None:
    def come_and_go() -> None:
        for _ in range(75):
            _runner(models.tabular().model, "input")([array("f", [1, 2])], 1)

    assert _least_growth_kb(come_and_go) < 2_000


def test_calls_do_not_make_memory_grow() -> None:
    run = _runner(models.text().model, "text")
    rows = [b"great phone " * 50] * 50

    def call() -> None:
        for _ in range(125):
            run([rows], 50)

    assert _least_growth_kb(call) < 2_000


def _least_growth_kb(work: Callable[[], None]) -> int:
    """By how much the process grows while this is done: a leak lets it grow each time, and nothing else."""
    grown = []
    for _ in range(5):
        before = _resident_kb()
        work()
        grown.append(_resident_kb() - before)
    return min(grown[1:])


def _resident_kb() -> int:
    return int(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0])


def _runner(model: bytes, name: str) -> ort.Runner:
    return ort.Session(ENGINE, model).bind([name], ["label", "probabilities"])


def _python(model: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
