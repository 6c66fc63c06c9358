"""What a new user writes wrongly is told in words, with what to write instead, and not by a traceback."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from cdk_data_science import ConfigurationError, DataLake, Pipeline, SourceCode, SpotTraining
from cdk_data_science.pipelines import Train, Tune
from cdk_data_science.training import (
    CapacityRetry,
    CategoricalRange,
    Channel,
    ContinuousRange,
    IntegerRange,
    LustreForRuns,
    LustreLink,
    LustreScratch,
    Objective,
    RunName,
    Search,
    TrainingWatch,
    TuningDefinition,
    TuningJobTask,
)
from tests.constructs import support
from tests.constructs.training.stacks import IMAGE

HOURS = cdk.Duration.hours(8)
OBJECTIVE, SEARCH = Objective("auroc"), Search(trials=8, max_runtime=HOURS)
RANGES = [ContinuousRange("alpha", 0.1, 10)]
ROWS = Channel(name="train", uri="s3://rows/train/")


class User:
    """Somebody with a lake, a VPC and a training, who writes further constructs."""

    def __init__(self) -> None:
        self.stack = support.stack()
        self.lake = DataLake(self.stack, "Lake", zones=["raw", "features", "models"])
        self.vpc = ec2.Vpc(self.stack, "Vpc", max_azs=1)
        self._tries = 0
        self.trained = self.training()
        self.link = LustreLink(zone=self.lake.features, prefix="train/", directory="/train")
        self.lustre = LustreForRuns(self.stack, "Lustre", vpc=self.vpc, links=[self.link])
        self.scratch = LustreScratch(self.stack, "Scratch", vpc=self.vpc)

    def scope(self) -> Construct:
        self._tries += 1
        return Construct(self.stack, f"Try{self._tries}")

    def training(self, **options: Any) -> SpotTraining:
        needed: dict[str, Any] = {
            "image": IMAGE,
            "checkpoints": self.lake.models,
            "output": self.lake.models,
            "max_runtime": HOURS,
            "max_wait": HOURS,
        }
        return SpotTraining(self.scope(), "Training", **{**needed, **options})

    def tuning(self, *, search: Search = SEARCH, definitions: Any = None, **options: Any) -> None:
        needed: dict[str, Any] = {
            "job": self.trained.job,
            "objective": OBJECTIVE,
            "ranges": RANGES,
            "channels": [ROWS],
            "output_uri": "s3://models/tuned/",
        }
        TuningJobTask(
            self.scope(),
            "Tune",
            definitions=[TuningDefinition(**{**needed, **options})] if definitions is None else definitions,
            search=search,
            job_name=RunName("tune"),
        )

    def pipeline(self, *steps: Any) -> None:
        lake = self.lake
        Pipeline(self.scope(), "Pipeline", data=lake.raw, prefix="a/", work=lake.features, steps=steps)


@pytest.fixture(scope="module")
def user() -> User:
    return User()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda u: u.training(instance_type="m5.xlarge"), 'write: instance_type="ml.m5.xlarge"'),
        (lambda u: u.training(instance_type=None), 'write: instance_type="ml.m5.xlarge"'),
        (lambda u: u.training(image=None), "given image=None; allowed: str"),
        (lambda u: u.training(metrics="auroc"), 'write: metrics={"name": "value"}'),
        (lambda u: u.training(environment=["A=b"]), "given environment=list(…); allowed: Mapping"),
        (lambda u: u.training(capacity_retry="twice"), "write: capacity_retry=CapacityRetry()"),
        (lambda u: u.training(instance_count="2"), "given instance_count='2'; allowed: a number"),
        (lambda u: u.training(max_runtime=3600), "given max_runtime=3600; allowed: a Duration"),
        (lambda u: u.training(max_wait="2h"), "given max_wait='2h'; allowed: a Duration"),
        (lambda u: u.training(output="s3://models/"), "write: output=lake.models"),
        (lambda u: u.training(checkpoints=u.lake.models.bucket), "write: checkpoints=lake.models"),
        (lambda u: u.training(source="s3://models/train.py"), "write: source=SourceCode("),
        (
            lambda u: u.training(capacity_retry=CapacityRetry(fallback_types="ml.m5.2xlarge")),
            "given fallback_types='ml.m5.2xlarge'; allowed: a list, also of one alone",
        ),
        (
            lambda u: u.training(capacity_retry=CapacityRetry(fallback_types=["ml.m5.xlarge"])),
            "'ml.m5.xlarge', which is tried first anyway",
        ),
        (
            lambda u: u.training(capacity_retry=CapacityRetry(attempts="2")),
            "given CapacityRetry(attempts='2'); allowed: 0 to 100",
        ),
        (
            lambda u: u.tuning(job=replace(u.trained.job, entrypoint="python3 train.py")),
            "allowed: a list, also of one alone; write: entrypoint=['python3', 'train.py']",
        ),
        (
            lambda u: u.trained.step(u.scope(), "T", channels=ROWS),
            "given channels=Channel(…); allowed: a list",
        ),
        (lambda u: u.trained.step(u.scope(), "T", channels=[{"name": "train"}]), "write: Channel(name="),
        (
            lambda u: u.trained.step(u.scope(), "T", channels=[Channel(name="train", uri="rows/")]),
            'write: uri="s3://bucket/prefix/"',
        ),
        (lambda u: u.scratch.channel("train", directory="train"), 'write: directory="/train"'),
        (lambda u: u.lustre.channel("train", directory="/trian"), "allowed: what a link shows: /train"),
        (
            lambda u: LustreScratch(u.scope(), "Scratch", vpc=u.vpc, capacity_gib="1200"),
            "given capacity_gib='1200'; allowed: 1200, or a multiple of 2400; write: capacity_gib=1200",
        ),
        (
            lambda u: LustreScratch(u.scope(), "Scratch", vpc=u.vpc, links=["train/"]),
            "given links with 'train/'; allowed: LustreLink; write: links=[LustreLink(",
        ),
        (
            lambda u: LustreScratch(u.scope(), "Scratch", vpc=u.vpc, links=u.link),
            "given links=LustreLink(…); allowed: a list",
        ),
        (lambda u: u.tuning(ranges=[ContinuousRange("a", 5, 5)]), 'write: hyperparameters={"a": "5"}'),
        (lambda u: u.tuning(ranges=[IntegerRange("a", 5, 1)]), "write: IntegerRange('a', 1, 5)"),
        (lambda u: u.tuning(ranges=[IntegerRange("a", 0.5, 3)]), "allowed: whole numbers"),
        (lambda u: u.tuning(ranges=[ContinuousRange("a", "1", "9")]), "allowed: numbers"),
        (lambda u: u.tuning(ranges=[CategoricalRange("a", "adam")]), "given values='adam'; allowed: a list"),
        (lambda u: u.tuning(ranges=RANGES[0]), "given ranges=ContinuousRange(…); allowed: a list"),
        (lambda u: u.tuning(objective="auroc"), 'write: objective=Objective("auroc")'),
        (lambda u: u.tuning(objective=Objective("auroc", "max")), 'write: type="Maximize"'),
        (lambda u: u.tuning(job=u.trained), "write: job=training.job"),
        (lambda u: u.tuning(search=Search(trials="8", max_runtime=HOURS)), "given trials='8'"),
        (lambda u: u.tuning(search=Search(trials=8, max_runtime=3600)), "allowed: a Duration"),
        (lambda u: u.tuning(definitions=RANGES[0]), "write: definitions=[TuningDefinition("),
        (lambda u: u.pipeline(u.trained), "a training is one by Train(training)"),
        (lambda u: Train(u.trained.job), "write: training=SpotTraining("),
        (
            lambda u: Tune(u.trained.job, objective=OBJECTIVE, ranges=RANGES, search=SEARCH),
            "write: training=SpotTraining(",
        ),
        (lambda u: TrainingWatch(u.scope(), "Watch", jobs=u.trained.job), "write: jobs=training"),
    ],
)
def test_a_mistake_is_told_with_what_to_write(user: User, wrong: Callable[[User], object], told: str) -> None:
    with pytest.raises(ConfigurationError) as failure:
        wrong(user)
    assert told in str(failure.value)


def test_a_search_needs_a_metric_of_the_program_that_it_runs(user: User) -> None:
    # GIVEN a training in script mode, of whose program SageMaker knows no metric
    training = user.training(hyperparameters={"epochs": "3"})
    user.tuning(job=training.job)  # a container of one's own may print what its algorithm is known for
    source = SourceCode(zone=user.lake.models, key="source/sourcedir.tar.gz", entry_point="train.py")
    script = user.training(source=source)
    # WHEN it is searched with, THEN the metric's expression is asked for
    with pytest.raises(ConfigurationError, match=r'write: metrics=\{"auroc": r"auroc='):
        user.tuning(job=script.job)


def test_a_directory_above_or_in_a_links_is_a_channel(user: User) -> None:
    for directory in ("/", "/train", "/train/2026"):
        user.lustre.channel("train", directory=directory)
