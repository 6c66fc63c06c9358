"""The example's command, from the data to the tables, against an account in memory."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from examples.review_sentiment import run
from examples.review_sentiment.data import DataUnavailableError, Reviews
from examples.review_sentiment.deployed import NotDeployedError, Platform, find_platform
from examples.review_sentiment.predictions import PredictionError, predict
from examples.review_sentiment.runs import (
    RunNotFoundError,
    State,
    explain,
    find_runs,
    follow,
    run_names,
    wait_for_new_run,
)
from examples.review_sentiment.uploads import SOURCE, SOURCE_FILES, Upload, source_archive
from settings.model import FOLDER, load
from settings.training import Training
from tests.examples.fake_aws import OUTPUTS, SUCCESS, FakeAws, history


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeAws:
    """The platform is deployed in it; the reviews are a small file."""
    aws = FakeAws()
    reviews = tmp_path / "amazon-reviews.csv"
    reviews.write_text("sentence_id,text\n1_1,good\n")
    monkeypatch.setattr(run, "connect", lambda *_: aws)
    monkeypatch.setattr(run, "fetch_reviews", lambda: Reviews(path=reviews, from_cache=True))
    monkeypatch.setenv("COLUMNS", "200")
    return aws


def test_a_first_run_uploads_trains_and_predicts(
    account: FakeAws, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main([]) == 0
    shown = capsys.readouterr().out
    assert account.puts == ["s3://models/source/sourcedir.tar.gz", "s3://raw/reviews/amazon-reviews.csv"]
    for said in (
        "Reviews from the cache",
        "QualityGate 1.0 s",
        "Do not waste your money on this piece of junk.",
        "0.938",
        "0.831 (95 % interval 0.800 to 0.860)",
        "240 and 60",
        "s3://models/m/model.onnx",
        "arn:aws:sagemaker:::model-package/reviews/1",
        "reviews:live, version 7",
    ):
        assert said in shown


def test_a_second_run_of_the_same_data_starts_nothing_and_shows_the_same(
    account: FakeAws, capsys: pytest.CaptureFixture[str]
) -> None:
    run.main([])
    account.puts.clear()
    capsys.readouterr()
    assert run.main([]) == 0
    shown = capsys.readouterr().out
    assert account.puts == []
    assert len(account.executions) == 1
    assert "already trained on" in shown
    assert "0.831 (95 % interval 0.800 to 0.860)" in shown


def test_a_run_that_goes_on_already_is_followed_instead_of_started_again(account: FakeAws) -> None:
    run.main([])
    account.executions[0].status = "RUNNING"
    account.puts.clear()

    def finish() -> None:
        account.executions[0].status = "SUCCEEDED"

    account.on_history = finish
    assert run.main([]) == 0
    assert account.puts == []


def test_new_training_code_is_uploaded_and_told(
    account: FakeAws, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run.main([])
    account.puts.clear()
    monkeypatch.setattr("examples.review_sentiment.uploads.source_archive", lambda **_: b"new code")
    assert run.main([]) == 0
    assert account.puts == ["s3://models/source/sourcedir.tar.gz"]
    assert "The training code is new" in capsys.readouterr().out


def test_in_an_account_whose_jobs_have_no_internet_the_code_brings_its_packages(
    account: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed: list[Training] = []

    def pack(_files: dict[str, bytes], training: Training) -> bytes:
        packed.append(training)
        return b"with wheels"

    monkeypatch.setattr("examples.review_sentiment.uploads.for_training", pack)
    run.main([])
    assert packed == []  # the local AWS's jobs have this machine's network
    account.endpoint = None
    run.main([])
    assert packed == [load("local").training]


def test_a_failed_run_shows_state_cause_and_report_and_is_tried_again_by_the_next_command(
    account: FakeAws, capsys: pytest.CaptureFixture[str]
) -> None:
    cause = json.dumps({"errorType": "QualityGateFailed", "errorMessage": "RowCount > 1000 (observed 2)"})
    failed = history(("Prepare", {}), failure=("QualityGate", "QualityGateFailed", cause))
    account.next_run = ("FAILED", failed)
    assert run.main([]) == 1
    shown = capsys.readouterr().out
    assert "failed in QualityGate: QualityGateFailed" in shown
    assert "RowCount > 1000 (observed 2)" in shown
    assert "Report: s3://work/reports/" in shown
    assert "What is deployed was left as it is." in shown

    account.next_run = ("SUCCEEDED", SUCCESS)
    assert run.main([]) == 0
    assert [execution.name[28:] for execution in account.executions] == ["", "-1234abcd"]


def test_an_upload_that_starts_nothing_ends_with_where_to_look(
    account: FakeAws, capsys: pytest.CaptureFixture[str]
) -> None:
    account.next_run = None
    assert run.main(["--patience", "0"]) == 1
    assert "started no run within 0 s. Look at the pipeline's start function" in capsys.readouterr().out


def test_ctrl_c_leaves_cleanly_and_says_that_the_run_goes_on(
    account: FakeAws, capsys: pytest.CaptureFixture[str]
) -> None:
    account.next_run = ("RUNNING", SUCCESS[:2])
    polls = iter(range(2))

    def interrupt() -> None:
        if next(polls) == 1:
            raise KeyboardInterrupt

    account.on_history = interrupt
    assert run.main([]) == 130
    shown = capsys.readouterr().out
    assert "Interrupted." in shown
    assert "goes on without this command" in shown
    assert account.executions[0].arn in shown


def test_predict_asks_only_the_model(account: FakeAws, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--predict", "lovely [bold]", "--predict", "awful"]) == 0
    shown = capsys.readouterr().out
    assert "lovely [bold]" in shown
    assert "awful" in shown
    assert account.puts == []


def test_the_errors_of_the_model_name_the_fields(
    account: FakeAws, capsys: pytest.CaptureFixture[str]
) -> None:
    fields = [{"path": "instances[0].text", "message": "longer than 5000"}]
    account.answer = {"error": {"type": "ValidationError", "message": "1 field", "fields": fields}}
    assert run.main(["--predict", "x"]) == 1
    assert "ValidationError: 1 field\n  instances[0].text: longer than 5000" in capsys.readouterr().out


def test_timings_are_written_for_benchmarks_even_of_a_failed_run(account: FakeAws, tmp_path: Path) -> None:
    assert run.main(["--json", str(tmp_path / "a.json")]) == 0
    content = json.loads((tmp_path / "a.json").read_text())
    assert list(content["steps"]) == ["lookup", "data", "source", "upload", "start", "pipeline", "predict"]
    assert content["states"]["Deploy"] == 1.0
    assert content["metrics"]["auroc"] == 0.8312
    account.executions[0].status = "FAILED"
    account.next_run = ("FAILED", history(failure=("Train", "States.Timeout", "")))
    assert run.main(["--json", str(tmp_path / "b.json")]) == 1
    assert json.loads((tmp_path / "b.json").read_text())["status"] == "FAILED"


def test_data_that_cannot_be_had_is_told_without_a_traceback(
    account: FakeAws, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Reviews:
        raise DataUnavailableError("not to be had; do this")

    monkeypatch.setattr(run, "fetch_reviews", fail)
    assert run.main([]) == 1
    assert "not to be had; do this" in capsys.readouterr().out
    assert account.puts == []


def test_a_local_aws_that_is_down_is_told_with_the_command_that_starts_it(
    nobody: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{nobody}")
    assert run.main([]) == 1
    assert "`make local`" in capsys.readouterr().out


def test_outputs_are_found_over_all_stacks_of_the_platform() -> None:
    platform = find_platform(FakeAws().cloudformation, "ds-local")
    assert platform.raw_bucket == "raw"
    assert platform.function_url is None


def test_missing_outputs_are_named_with_the_stacks_that_were_seen() -> None:
    outputs = {name: value for name, value in OUTPUTS.items() if name != "ds-local-Serving"}
    with pytest.raises(NotDeployedError, match=r"ds-local-Lake, .*no output FunctionName, AliasName"):
        find_platform(FakeAws(outputs=outputs).cloudformation, "ds-local")
    with pytest.raises(NotDeployedError, match="it has no stack"):
        find_platform(FakeAws(outputs={}).cloudformation, "ds-local")


def test_two_platforms_that_cannot_be_told_apart_are_refused() -> None:
    outputs = {**OUTPUTS, "ds-local-two-Lake": {"RawBucket": "other"}}
    with pytest.raises(NotDeployedError, match="Both ds-local-Lake and ds-local-two-Lake"):
        find_platform(FakeAws(outputs=outputs).cloudformation, "ds-local")


def test_the_archive_of_the_code_has_the_same_bytes_whatever_the_files_dates_are(tmp_path: Path) -> None:
    for name in SOURCE_FILES:
        (tmp_path / name).write_bytes((SOURCE / name).read_bytes())
        os.utime(tmp_path / name, (1, 1))
        (tmp_path / name).chmod(0o755)
    (tmp_path / "__pycache__").mkdir()
    assert source_archive(tmp_path) == source_archive()
    assert source_archive()[4:8] == bytes(4)  # gzip's own time
    (tmp_path / "train.py").write_text("changed")
    assert source_archive(tmp_path) != source_archive()


def test_runs_are_named_as_the_platforms_start_function_names_them() -> None:
    # In a process of its own: the function's modules have names that other functions' modules have, too.
    upload = Upload.of("raw", "reviews/a.csv", b"content")
    script = f"""
import base64, hashlib, sys
sys.path.insert(0, {str(FOLDER.parent / "lambda" / "pipeline")!r})
import start
class S3:
    def head_object(self, **_):
        checksum = base64.b64encode(hashlib.sha256(b"content").digest()).decode()
        return {{"ContentLength": 7, "ChecksumSHA256": checksum, "ChecksumType": "FULL_OBJECT"}}
class StepFunctions:
    def start_execution(self, name, **_):
        print("NAME", name)
        return {{"executionArn": "arn"}}
start.s3, start.stepfunctions = S3, StepFunctions
detail = {{"bucket": {{"name": "raw"}}, "object": {{"key": "reviews/a.csv", "version-id": "1"}}}}
class Context:
    function_name = memory_limit_in_mb = invoked_function_arn = aws_request_id = "x"
start.handler({{"detail-type": "Object Created", "detail": detail}}, Context())
"""
    environment = {"PATH": os.environ["PATH"], "STATE_MACHINE_ARN": "arn", "AWS_DEFAULT_REGION": "us-east-1"}
    environment |= {"POWERTOOLS_METRICS_NAMESPACE": "x", "POWERTOOLS_SERVICE_NAME": "x"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert f"NAME {run_names(upload)[0]}\n" in done.stdout, done.stderr


def test_the_newest_run_of_the_data_comes_first_and_those_of_other_data_not_at_all() -> None:
    aws, upload = FakeAws(), Upload.of("raw", "k", b"content")
    for body in (b"content", b"other", b"content"):
        aws.s3.put_object(Bucket="raw", Key="k", Body=body, Metadata={}, ChecksumAlgorithm="SHA256")
    name = run_names(upload)[0]
    assert [r.name for r in find_runs(aws.stepfunctions, "arn", upload)] == [f"{name}-1234abcd", name]


def test_a_state_in_a_loop_is_one_line_with_the_time_of_all_visits() -> None:
    aws = FakeAws(next_run=("SUCCEEDED", history(("Check", {}), ("Shift", {}), ("Check", {"healthy": True}))))
    aws.s3.put_object(Bucket="raw", Key="k", Body=b"", Metadata={}, ChecksumAlgorithm="SHA256")
    (found,) = find_runs(aws.stepfunctions, "arn", Upload.of("raw", "k", b""))
    (progress,) = follow(aws.stepfunctions, found, poll=0)
    check = progress.states[-1]
    assert (check.name, check.visits, check.seconds(check.started)) == ("Check", 2, 2.0)
    assert [state.name for state in progress.states] == ["Shift", "Check"]


def test_a_task_that_a_retry_mended_is_not_the_failure() -> None:
    events = history(("Prepare", {}))
    broken: dict[str, Any] = {"type": "TaskFailed", "taskFailedEventDetails": {"error": "Throttled"}}
    events.insert(2, {**broken, "timestamp": events[1]["timestamp"]})
    aws = FakeAws(next_run=("SUCCEEDED", events))
    aws.s3.put_object(Bucket="raw", Key="k", Body=b"", Metadata={}, ChecksumAlgorithm="SHA256")
    (found,) = find_runs(aws.stepfunctions, "arn", Upload.of("raw", "k", b""))
    (progress,) = follow(aws.stepfunctions, found, poll=0)
    assert [state.error for state in progress.states] == [None]


def test_waiting_for_a_run_ignores_those_that_were_there_before() -> None:
    aws, upload = FakeAws(), Upload.of("raw", "k", b"")
    aws.s3.put_object(Bucket="raw", Key="k", Body=b"", Metadata={}, ChecksumAlgorithm="SHA256")
    known = {aws.executions[0].arn}
    with pytest.raises(RunNotFoundError):
        wait_for_new_run(lambda: find_runs(aws.stepfunctions, "arn", upload), known, timeout=0)


def test_a_wrapped_cause_is_unwrapped_for_people() -> None:
    inner = json.dumps({"errorMessage": "auroc 0.71 is below 0.80", "stackTrace": []})
    assert explain(json.dumps({"Cause": inner})) == "auroc 0.71 is below 0.80"
    assert explain("plain words") == "plain words"
    assert explain(None) == "no cause was given"


@pytest.fixture
def function_url() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """An endpoint that keeps the headers of what it was asked, and answers one prediction."""
    asked: list[dict[str, str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            digest = hashlib.sha256(body).hexdigest()
            asked.append({**dict(self.headers.items()), "path": self.path, "digest": digest})
            answer: Any = {"predictions": [{"label": "negative", "probabilities": {"negative": 0.75}}]}
            answer["model"] = {"sha256": "abc", "version": "3"}
            content = b"<html>" if "broken" in body.decode() else json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def test_the_functions_url_is_asked_with_a_signature_for_its_own_host(
    function_url: tuple[str, list[dict[str, str]]],
) -> None:
    endpoint, asked = function_url
    aws: Any = FakeAws(endpoint=endpoint)
    aws.session = boto3.Session(aws_access_key_id="AKID", aws_secret_access_key="secret")
    platform = replace(_platform(), function_url="https://abc.lambda-url.us-east-1.on.aws/")
    answer = predict(aws, platform, ["awful"])
    assert (answer.predictions[0].label, answer.predictions[0].probability) == ("negative", 0.75)
    assert answer.function_version == "3"
    assert asked[0]["Host"] == "abc.lambda-url.us-east-1.on.aws"
    assert "/us-east-1/lambda/aws4_request" in asked[0]["Authorization"]
    assert asked[0]["path"] == "/"
    with pytest.raises(PredictionError, match="HTTP 200 without JSON"):
        predict(aws, platform, ["broken"])


def _platform() -> Platform:
    return find_platform(FakeAws().cloudformation, "ds-local")


def test_a_state_that_goes_on_is_timed_until_now() -> None:
    events = history(("A", {}))
    state = State(name="A", started=events[0]["timestamp"])
    assert state.seconds(events[-1]["timestamp"]) == 1.5
