"""Reviews in, predictions out: `python -m examples.review_sentiment.run`.

Puts the training code and the reviews where the deployed platform expects them, follows the pipeline that the
upload starts, asks the model that it deployed, and shows what came out. Run again with nothing changed, it
starts nothing and shows the same.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.markup import escape

from examples.review_sentiment import display, runs
from examples.review_sentiment.aws import Aws, connect
from examples.review_sentiment.data import DataUnavailableError, fetch_reviews
from examples.review_sentiment.deployed import NotDeployedError, Platform, find_platform
from examples.review_sentiment.predictions import Answer, PredictionError, predict
from examples.review_sentiment.runs import Outcome, Progress, Run, RunNotFoundError
from examples.review_sentiment.uploads import Upload, upload, upload_source
from settings.model import Settings, SettingsError, environments, load
from tools.source_archive import ArchiveError

OBJECT_NAME = "amazon-reviews.csv"
EXIT_INTERRUPTED = 130

SENTENCES = (
    "The battery lasts for days and the screen is gorgeous.",
    "It stopped working after two weeks and support never answered.",
    "Easy to set up, sounds great, and my kids love it.",
    "Do not waste your money on this piece of junk.",
    "The manual is poor, but the pictures are excellent.",
    "I returned it because the remote never worked.",
)


class RunFailedError(RuntimeError):
    """The pipeline ended without a deployed model."""


@dataclass(kw_only=True, slots=True)
class Story:
    """What happened, in the order in which it is shown."""

    steps: dict[str, float] = field(default_factory=dict)
    progress: Progress | None = None
    outcome: Outcome | None = None
    source: Upload | None = None
    data: Upload | None = None
    answer: Answer | None = None
    reused: bool = False

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.steps[step] = self.steps.get(step, 0.0) + time.perf_counter() - began


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    console = Console(soft_wrap=not sys.stdout.isatty())
    story = Story()
    try:
        settings = load(options.environment)
        aws = connect(options.environment, settings.platform.region)
        with story.timed("lookup"):
            platform = find_platform(aws.cloudformation, settings.platform.name)
        if not options.predict:
            _train(aws, platform, settings, console, story, patience=options.patience)
        with story.timed("predict"):
            story.answer = predict(aws, platform, options.predict or SENTENCES)
    except KeyboardInterrupt:
        _tell_interrupted(console, story)
        return EXIT_INTERRUPTED
    except (
        SettingsError,
        DataUnavailableError,
        ArchiveError,
        NotDeployedError,
        RunNotFoundError,
        RunFailedError,
        PredictionError,
    ) as error:
        console.print(f"[red]{escape(str(error))}[/]", highlight=False)
        return 1
    except (BotoCoreError, ClientError, OSError) as error:
        console.print(f"[red]{escape(_advice(error, options.environment))}[/]", highlight=False)
        return 1
    finally:
        if options.json:
            _write_json(options.json, story)
    _show(console, platform, story)
    return 0


def _train(
    aws: Aws, platform: Platform, settings: Settings, console: Console, story: Story, *, patience: float
) -> None:
    """From the data to a finished run; `story` has what happened so far if it fails."""
    if settings.pipeline is None:
        raise NotDeployedError(f"settings/{settings.environment}.toml has no table [pipeline].")
    with story.timed("data"):
        reviews = fetch_reviews()
    origin = "from the cache" if reviews.from_cache else "fetched"
    console.print(f"Reviews {origin}: {reviews.path}", highlight=False, soft_wrap=True)

    # The local AWS's jobs have this machine's network, whatever the settings say of theirs.
    offline = settings.training if not aws.endpoint and not settings.training_reaches_internet else None
    if offline is not None:
        console.print("Fetching what the training code needs, for jobs without internet …", highlight=False)
    with story.timed("source"):
        story.source = upload_source(aws.s3, platform.training_source_prefix, training=offline)
    if story.source.uploaded:
        console.print(f"Training code uploaded: {story.source.uri}", highlight=False)

    key = f"{settings.pipeline.prefix}{OBJECT_NAME}"
    content = reviews.path.read_bytes()
    data = story.data = Upload.of(platform.raw_bucket, key, content)

    def find() -> list[Run]:
        return runs.find_runs(aws.stepfunctions, platform.state_machine_arn, data)

    earlier = find()
    run = next((run for run in earlier if run.status not in runs.FAILED), None)
    if run is None:
        with story.timed("upload"):
            upload(aws.s3, platform.raw_bucket, key, content, always=True)
        console.print(f"Reviews uploaded: {data.uri}", highlight=False)
        with story.timed("start"):
            run = runs.wait_for_new_run(find, {run.arn for run in earlier}, timeout=patience)
    elif run.status == "SUCCEEDED":
        story.reused = True
        console.print(
            f"This data was already trained on, by {run.name}: nothing is started, nothing changes.",
            highlight=False,
        )
        if story.source.uploaded:
            console.print("The training code is new, though: the next new data will be trained with it.")
    _follow(aws, run, console, story)


def _follow(aws: Aws, run: Run, console: Console, story: Story) -> None:
    poll = 0.4 if aws.endpoint else 2.0  # a real account's history is read at a rate that it allows
    with story.timed("pipeline"):
        if story.reused:
            for story.progress in runs.follow(aws.stepfunctions, run, poll=poll):
                pass
        else:
            console.print(f"Pipeline run {run.name}", highlight=False)
            with display.RunProgress(console) as shown:
                for story.progress in runs.follow(aws.stepfunctions, run, poll=poll):
                    shown.show(story.progress)
    progress = story.progress
    if progress is None or progress.run.status != "SUCCEEDED":
        raise RunFailedError(_why(progress) if progress else f"Run {run.name} cannot be read.")
    story.outcome = runs.outcome(progress)


def _why(progress: Progress) -> str:
    """The failed state, its cause and where to read on."""
    state = runs.failed_state(progress)
    lines = [f"Run {progress.run.name} {progress.run.status.lower().replace('_', ' ')}"]
    if state:
        lines[0] += f" in {state.name}: {state.error}"
        cause = runs.explain(state.cause or progress.cause)
        lines.append(cause)
        report = runs.report_of(state)
        if report and report not in cause:
            lines.append(f"Report: {report}")
    else:
        lines.append(f"{progress.error or 'no error name'}: {runs.explain(progress.cause)}")
    lines.append(f"Run: {progress.run.arn}")
    lines.append("What is deployed was left as it is.")
    return "\n".join(lines)


def _show(console: Console, platform: Platform, story: Story) -> None:
    answer, outcome, data, source = story.answer, story.outcome, story.data, story.source
    if answer:
        console.print(display.predictions_table(answer))
    if outcome and data and source and answer and story.progress:
        console.print(display.quality_table(outcome))
        places = {
            "reviews": data.uri,
            "training code": source.uri,
            "model": outcome.model,
            "model package": outcome.model_package_arn,
            "evaluation": outcome.report,
            "run": story.progress.run.arn,
            "function": f"{platform.function_name}:{platform.alias_name}, version {answer.function_version}",
            "predictions by": answer.via,
        }
        console.print(display.places_table(places))
        console.print(display.timing_table(story.steps, story.progress.states, runs.now()))


def _tell_interrupted(console: Console, story: Story) -> None:
    console.print("Interrupted.", style="yellow")
    if story.progress and not story.progress.ended:
        console.print(
            "The run goes on without this command; start it again to go on watching.\n"
            f"{story.progress.run.arn}",
            highlight=False,
        )


def _advice(error: Exception, environment: str) -> str:
    if environment == "local" and "connect" in str(error).lower():
        return f"The local AWS does not answer: {error}\nStart it and deploy the platform with `make local`."
    return f"{type(error).__name__}: {error}"


def _write_json(path: Path, story: Story) -> None:
    """Timings and results for benchmarks."""
    now = runs.now()
    states = story.progress.states if story.progress else []
    content: dict[str, Any] = {
        "reused": story.reused,
        "status": story.progress.run.status if story.progress else None,
        "steps": {name: round(seconds, 4) for name, seconds in story.steps.items()},
        "states": {state.name: round(state.seconds(now), 4) for state in states},
        "metrics": story.outcome.metrics if story.outcome else {},
        "predict_seconds": round(story.answer.seconds, 4) if story.answer else None,
        "model_sha256": story.answer.model_sha256 if story.answer else None,
    }
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.review_sentiment.run", description=__doc__)
    parser.add_argument(
        "--environment", default="local", choices=environments(), help="a file in settings/ (default: local)"
    )
    parser.add_argument(
        "--predict", action="append", metavar="TEXT", help="only ask the deployed model; may be repeated"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write timings and results to this file")
    parser.add_argument(
        "--patience", type=float, default=120, metavar="SECONDS", help="wait for the run to start (120)"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
