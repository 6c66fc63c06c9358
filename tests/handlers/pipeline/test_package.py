"""The training job's archive is not trusted: what is good is stored by its hash, all else is refused."""

import gzip
import io
import json
import tarfile
from hashlib import sha256
from typing import Any

import pytest
from handlers.pipeline.asset import errors, package
from handlers.pipeline.conftest import BUCKET, CONTEXT, RUN, Lake

MODEL = b"onnx bytes " * 100
DIGEST = sha256(MODEL).hexdigest()
MANIFEST: dict[str, Any] = {
    "schema": 1,
    "name": "review-sentiment",
    "sha256": DIGEST,
    "inputs": [{"name": "text", "type": "string", "transform": "lowercase", "max_length": 5000}],
    "outputs": {"label": "label", "probabilities": "probabilities"},
    "classes": ["negative", "positive"],
    "metrics": {"auroc": 0.83},
}


def member(name: str, content: bytes = b"x", **attributes: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for attribute, value in attributes.items():
        setattr(info, attribute, value)
    return info, content


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def good(**changes: Any) -> list[tuple[tarfile.TarInfo, bytes]]:
    return [
        member("./model.json", json.dumps(MANIFEST | changes).encode()),
        member("./model.onnx", MODEL),
        member("./metrics.txt", b"for people"),
    ]


def event(lake: Lake, content: bytes) -> dict[str, Any]:
    lake.put("jobs/output/model.tar.gz", content)
    return {
        "run": RUN,
        "artifact": {"uri": f"s3://{BUCKET}/jobs/output/model.tar.gz"},
        "output": {"bucket": BUCKET, "key": "models/reviews/"},
    }


def test_a_good_model_is_stored_under_its_hash(lake: Lake) -> None:
    result = package.handler(event(lake, archive(*good())), CONTEXT)
    assert result == {
        "model": {"bucket": BUCKET, "key": f"models/reviews/{DIGEST}/model.onnx"},
        "sha256": DIGEST,
        "manifest": {"bucket": BUCKET, "key": f"models/reviews/{DIGEST}/model.json"},
        "training": {"auroc": 0.83},
    }
    assert lake.get(result["model"]["key"]) == MODEL
    assert lake.json(result["manifest"]) == MANIFEST


def test_the_order_in_the_archive_does_not_matter(lake: Lake) -> None:
    assert package.handler(event(lake, archive(*reversed(good()))), CONTEXT)["sha256"] == DIGEST


def test_the_same_event_twice_stores_one_copy(lake: Lake) -> None:
    request = event(lake, archive(*good()))
    first = package.handler(request, CONTEXT), lake.everything()
    assert (package.handler(request, CONTEXT), lake.everything()) == first
    versions = lake.s3.list_object_versions(Bucket=BUCKET, Prefix="models/")["Versions"]
    assert len(versions) == 2


def test_an_upload_that_was_cut_off_is_completed(lake: Lake) -> None:
    lake.put(f"models/reviews/{DIGEST}/model.onnx", MODEL[:10])
    result = package.handler(event(lake, archive(*good())), CONTEXT)
    assert lake.get(result["model"]["key"]) == MODEL


def test_a_manifest_that_is_stored_never_changes_its_meaning(lake: Lake) -> None:
    package.handler(event(lake, archive(*good())), CONTEXT)
    with pytest.raises(errors.ModelRejected, match="with other inputs, outputs or classes"):
        package.handler(event(lake, archive(*good(classes=["positive", "negative"]))), CONTEXT)
    again = package.handler(event(lake, archive(*good(metrics={"auroc": 0.9}))), CONTEXT)
    assert again["training"] == {"auroc": 0.9}
    assert lake.json(again["manifest"]) == MANIFEST


NOT_A_FILE = "a link or not a plain file"


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([], "has no model.onnx and no model.json at its top; it holds nothing"),
        (good()[:1], "has no model.onnx at its top"),
        (good()[1:], "has no model.json at its top"),
        (
            [member("sub/model.onnx", MODEL), good()[0]],
            "has no model.onnx at its top; it holds model.json, sub/",
        ),
        ([*good(), member("../evil.py")], "a path that leaves the archive: '../evil.py'"),
        ([*good(), member("a/../../evil.py")], "a path that leaves the archive"),
        ([*good(), member("/etc/passwd")], "a path that leaves the archive"),
        ([*good(), member("..\\evil.py")], "a path that leaves the archive"),
        ([*good(), member("x", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd")], NOT_A_FILE),
        ([*good(), member("x", b"", type=tarfile.LNKTYPE, linkname="model.onnx")], NOT_A_FILE),
        ([*good(), member("x", b"", type=tarfile.CHRTYPE)], NOT_A_FILE),
        ([*good(), member("x", b"", type=tarfile.FIFOTYPE)], NOT_A_FILE),
        ([good()[0], member("model.onnx", b"", type=tarfile.SYMTYPE, linkname="/dev/zero")], NOT_A_FILE),
        ([*good(), member("model.onnx", b"other")], "holds model.onnx twice"),
        ([good()[0], member("model.onnx", b"")], "model.onnx has 0 bytes"),
        ([member("model.json", b"{" + b" " * 2_000_000), good()[1]], "model.json has 2000001 bytes"),
        ([member("model.json", b"{nope"), good()[1]], "model.json is not JSON"),
        ([member("model.json", b"\xff\xfe{"), good()[1]], "model.json is not JSON"),
        ([member("model.json", b"[1]"), good()[1]], "model.json is not a JSON object"),
        ([*good(), *(member(f"f{number}") for number in range(1000))], "holds more than 1000 files"),
        ([good()[0], member("model.onnx", b"other")], "but model.json says"),
    ],
)
def test_a_bad_archive_is_rejected_and_nothing_is_stored(
    lake: Lake, members: list[tuple[tarfile.TarInfo, bytes]], message: str
) -> None:
    request = event(lake, archive(*members))
    with pytest.raises(errors.ModelRejected) as caught:
        package.handler(request, CONTEXT)
    assert message in str(caught.value)
    assert lake.everything().keys() == {"jobs/output/model.tar.gz"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 2}, "schema is 2, known is 1"),
        ({"name": ""}, "name is missing"),
        ({"sha256": DIGEST.upper()}, "sha256 is not 64 lower-case"),
        ({"inputs": []}, "inputs is not a list of at least one"),
        ({"inputs": [{"name": "a", "type": "tensor"}]}, "inputs[0]: type 'tensor' is not string or float"),
        ({"inputs": [{"type": "string"}]}, "inputs[0] has no name"),
        ({"inputs": [{"name": "a", "type": "float"}] * 2}, "inputs[1]: the name 'a' occurs twice"),
        ({"classes": ["one"]}, "at least two names"),
        ({"classes": ["one", "one"]}, "named twice"),
        ({"classes": ["one", 2]}, "classes are not all names"),
        ({"outputs": {"probabilities": 5}}, "outputs.probabilities is not a name"),
        ({"outputs": {"probs": "p"}}, "outputs.probs is not known"),
        ({"inputs": [{"name": "a", "type": "float", "max": 1}]}, "inputs[0]: 'max' is not known"),
        ({"metrics": {"auroc": "good"}}, "metrics.auroc is not a finite number"),
        ({"metrics": {"auroc": float("nan")}}, "NaN is not allowed"),
    ],
)
def test_a_manifest_is_checked_before_anything_is_stored(
    lake: Lake, changes: dict[str, Any], message: str
) -> None:
    request = event(lake, archive(*good(**changes)))
    with pytest.raises(errors.ModelRejected) as caught:
        package.handler(request, CONTEXT)
    assert message in str(caught.value)
    assert lake.everything().keys() == {"jobs/output/model.tar.gz"}


def test_everything_that_is_wrong_with_a_manifest_is_told_at_once(lake: Lake) -> None:
    with pytest.raises(errors.ModelRejected, match=r"schema is 3.*; classes is not"):
        package.handler(event(lake, archive(*good(schema=3, classes=[]))), CONTEXT)


@pytest.mark.parametrize(
    "content",
    [b"", b"not an archive", gzip.compress(b"not a tar" * 100, mtime=0), archive(*good())[:-200]],
    ids=["empty", "text", "not a tar", "cut off"],
)
def test_a_damaged_archive_is_rejected(lake: Lake, content: bytes) -> None:
    request = event(lake, content)
    with pytest.raises(errors.ModelRejected, match=r"model\.tar\.gz"):
        package.handler(request, CONTEXT)
    assert lake.everything().keys() == {"jobs/output/model.tar.gz"}


def test_a_small_archive_that_unpacks_to_a_huge_one_is_stopped(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package, "_TOTAL_BYTES", 1_000_000)
    bomb = archive(member("padding", b"\0" * 3_000_000), *good())
    assert len(bomb) < 10_000
    with pytest.raises(errors.ModelRejected, match="unpacks to more than 1000000 bytes"):
        package.handler(event(lake, bomb), CONTEXT)


def test_a_model_larger_than_the_function_can_hold_is_rejected(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package, "_MODEL_BYTES", 1000)
    with pytest.raises(errors.ModelRejected, match=r"model\.onnx has 1100 bytes; allowed are 1 to 1000"):
        package.handler(event(lake, archive(*good())), CONTEXT)


@pytest.mark.parametrize("uri", ["s3://lake/gone.tar.gz", "https://lake/x", "s3://lake", ""])
def test_an_artifact_that_is_not_there_is_rejected(lake: Lake, uri: str) -> None:
    with pytest.raises(errors.ModelRejected, match=r"does not exist|is not an S3 URI"):
        package.handler(event(lake, b"") | {"artifact": {"uri": uri}}, CONTEXT)
