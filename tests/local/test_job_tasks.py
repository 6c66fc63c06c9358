"""The job tasks in deployed state machines, under their own roles: what they run, find again and miss."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_data_science.security import JobKind, JobRole
from cdk_data_science.training import (
    REPORT,
    TUNING_REPORT,
    AutoMLChannel,
    AutoMLJobTask,
    CandidateLimits,
    CategoricalRange,
    Channel,
    CompilationJobTask,
    ContainerRepository,
    ContinuousRange,
    Objective,
    ProcessingCode,
    ProcessingInput,
    ProcessingJob,
    ProcessingOutput,
    ProcessingStep,
    RunName,
    Search,
    StartPipelineTask,
    TabularProblem,
    TrainingJob,
    TransformJob,
    TransformStep,
    TuningDefinition,
    TuningStep,
)
from examples.review_sentiment.data import fetch_reviews
from tests.local.assembly import deploy, new_stack
from tests.local.conftest import LocalAws, unique
from tests.local.jobs import archive
from tests.local.test_hosting import IMAGE, Host

LONG = cdk.Duration.hours(1)
BASE = "/opt/ml/processing"
# Parts the rows by their sign, and leaves an output empty for which there are none.
CLEANS = """
import pathlib, sys
source, target = map(pathlib.Path, sys.argv[1:])
rows = (source / "rows.csv").read_text().splitlines()
for name, wanted in (("good", "+"), ("bad", "-")):
    found = [row for row in rows if row.startswith(wanted)]
    if found:
        (target / name / "rows.csv").write_text("\\n".join(found))
"""
# Naive Bayes over words in the standard library: a trial takes a fraction of a second.
CLASSIFIES = """
import argparse, collections, csv, math, os, pathlib, re

given = argparse.ArgumentParser()
given.add_argument("--smoothing", type=float, default=1.0)
given.add_argument("--ngrams", type=int, default=1)
options, _ = given.parse_known_args()


def words(text):
    found = re.findall("[a-z0-9]+", text.lower())
    longest = range(1, options.ngrams + 1)
    return {" ".join(found[i : i + n]) for n in longest for i in range(len(found) - n + 1)}


rows = list(csv.DictReader(open(pathlib.Path(os.environ["SM_CHANNEL_TRAIN"], "train.csv"))))
held = [row for row in rows if int(row["group"]) % 4 == 0]
counts = {"positive": collections.Counter(), "negative": collections.Counter()}
for row in rows:
    if int(row["group"]) % 4:
        counts[row["label"]].update(words(row["text"]))
totals = {label: sum(each.values()) + options.smoothing * len(each) for label, each in counts.items()}


def score(text):
    return sum(
        math.log((counts["positive"][w] + options.smoothing) / totals["positive"])
        - math.log((counts["negative"][w] + options.smoothing) / totals["negative"])
        for w in words(text)
        if w in counts["positive"] or w in counts["negative"]
    )


ranked = sorted(held, key=lambda row: score(row["text"]))
ranks = [place for place, row in enumerate(ranked, 1) if row["label"] == "positive"]
least = len(ranks) * (len(ranks) + 1) / 2
print(f"auroc={(sum(ranks) - least) / len(ranks) / (len(ranked) - len(ranks)):.6f}", flush=True)
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.txt").write_text(str(options))
"""


class Machines:
    """State machines of one stack, deployed, with a bucket and the roles of their jobs."""

    def __init__(self, aws: LocalAws, folder: Path) -> None:
        self.aws, self.host = aws, Host(aws)
        self.bucket = self.host.bench.bucket
        self.name = unique("j")[:10]
        self._stack = new_stack(folder, "jobs")
        self._roles = {
            kind: JobRole(self._stack, kind, kind=kind, name_prefix=f"{self.name}-").role
            for kind in (JobKind.PROCESSING, JobKind.TRAINING)
        }
        for role in self._roles.values():
            bucket = f"arn:aws:s3:::{self.bucket}"
            role.add_to_policy(iam.PolicyStatement(actions=["s3:*"], resources=[bucket, f"{bucket}/*"]))
        makers: dict[str, Callable[[Construct], sfn.IChainable]] = {
            "Clean": self._clean,
            "Tune": self._tune,
            "Predict": self._predict,
            "Compile": self._compile,
            "Start": self._start,
            "Find": self._find,
        }
        for name, maker in makers.items():
            self._machine(name, maker)
        images = ContainerRepository(self._stack, "Images")
        cdk.CfnOutput(self._stack, "Repository", value=images.repository.repository_name)
        self.arns = deploy(aws, self._stack)
        self.repository = self.arns.pop("Repository")
        for arn in self.arns.values():
            self._hurry(arn)

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"

    def run(self, machine: str, given: Any = None, **options: Any) -> dict[str, Any]:
        """An execution from its start to its end."""
        return self.aws.execute(self.arns[machine], given, **{"seconds": 60, **options})

    def _machine(self, name: str, maker: Callable[[Construct], sfn.IChainable]) -> None:
        scope = Construct(self._stack, f"{name}Machine")
        done = sfn.Pass.jsonata(scope, f"{name} done", outputs="{% $result %}")
        machine = sfn.StateMachine(
            scope,
            "Machine",
            definition_body=sfn.DefinitionBody.from_chainable(sfn.Chain.start(maker(scope)).next(done)),
            query_language=sfn.QueryLanguage.JSONATA,
        )
        cdk.CfnOutput(self._stack, name, value=machine.state_machine_arn)

    def _hurry(self, arn: str) -> None:
        """Look again after a second: what a job here takes."""
        states = self.aws.client("stepfunctions")
        definition = json.loads(states.describe_state_machine(stateMachineArn=arn)["definition"])
        for state in definition["States"].values():
            if state["Type"] == "Wait":
                state["Seconds"] = 1
        states.update_state_machine(stateMachineArn=arn, definition=json.dumps(definition))

    def _clean(self, scope: Construct) -> sfn.IChainable:
        return ProcessingStep(
            scope,
            "Clean",
            job=ProcessingJob(
                role=self._roles[JobKind.PROCESSING],
                image=IMAGE,
                code=ProcessingCode(uri=self.uri("code/clean.py"), file="clean.py"),
                arguments=[f"{BASE}/input/raw", f"{BASE}/output"],
                max_runtime=LONG,
            ),
            job_name=RunName(self.name),
            inputs=[ProcessingInput(name="raw", uri="{% $states.context.Execution.Input.raw %}")],
            outputs=[
                ProcessingOutput(
                    name=name,
                    uri=f"{{% 's3://{self.bucket}/clean/' & $states.context.Execution.Name & '/{name}' %}}",
                )
                for name in ("good", "bad")
            ],
            assign={"result": "{% $states.result.ProcessingJobName %}"},
        )

    def _tune(self, scope: Construct) -> sfn.IChainable:
        job = TrainingJob(
            role=self._roles[JobKind.TRAINING],
            image=IMAGE,
            max_runtime=LONG,
            max_wait=LONG,
            metrics={"auroc": r"auroc=([0-9.]+)"},
            hyperparameters={
                "sagemaker_program": "train.py",
                "sagemaker_submit_directory": self.uri("code/classify.tar.gz"),
            },
        )
        return TuningStep(
            scope,
            "Tune",
            definitions=[
                TuningDefinition(
                    job=job,
                    objective=Objective("auroc"),
                    ranges=[
                        ContinuousRange("smoothing", 0.02, 2, "Logarithmic"),
                        CategoricalRange("ngrams", ["1", "2"]),
                    ],
                    channels=[Channel(name="train", uri=self.uri("reviews/"))],
                    output_uri=self.uri("models/"),
                    checkpoint_uri=self.uri("checkpoints/"),
                )
            ],
            search=Search(trials=8, parallel=2, max_runtime=LONG, random_seed=3),
            job_name=RunName(self.name),
            assign={"result": TUNING_REPORT},
            assign_best={
                "result": {
                    "tuning": "{% $result %}",
                    "model": "{% $states.result.ModelArtifacts.S3ModelArtifacts %}",
                    "report": REPORT,
                }
            },
        )

    def _predict(self, scope: Construct) -> sfn.IChainable:
        return TransformStep(
            scope,
            "Predict",
            job=TransformJob(
                max_runtime=LONG,
                content_type="text/csv",
                accept="text/csv",
                split="Line",
                assemble_lines=True,
            ),
            job_name=RunName(self.name),
            model_name="{% $states.context.Execution.Input.model %}",
            input_uri=self.uri("numbers/"),
            output_uri=self.uri("predicted/"),
            assign={"result": "{% $states.result.TransformJobStatus %}"},
        )

    def _compile(self, scope: Construct) -> sfn.IChainable:
        return CompilationJobTask(
            scope,
            "Compile",
            role=self._roles[JobKind.TRAINING],
            job_name=RunName(self.name),
            framework="ONNX",
            model_uri=self.uri("model.tar.gz"),
            inputs={"input": [1, 2]},
            output_uri=self.uri("compiled/"),
            device="ml_c5",
            assign={"result": "{% $states.result.CompilationJobName %}"},
        )

    def _start(self, scope: Construct) -> sfn.IChainable:
        return StartPipelineTask(
            scope,
            "Start",
            pipeline_name=self.name,
            parameters={"Data": "{% $states.input.data %}"},
            max_runtime=LONG,
            assign={"result": "{% $states.result.PipelineExecutionArn %}"},
        )

    def _find(self, scope: Construct) -> sfn.IChainable:
        return AutoMLJobTask(
            scope,
            "Find",
            role=self._roles[JobKind.TRAINING],
            problem=TabularProblem(target="label", problem_type="BinaryClassification"),
            objective="F1",
            limits=CandidateLimits(max_runtime=cdk.Duration.seconds(2)),
            job_name=RunName(self.name),
            channels=[AutoMLChannel(uri=self.uri("reviews/"))],
            output_uri=self.uri("automl/"),
            assign={"result": "found"},
        )


@pytest.fixture(scope="module")
def machines(local_aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Machines:
    made = Machines(local_aws, tmp_path_factory.mktemp("jobs"))
    bench = made.host.bench
    bench.put("code/clean.py", CLEANS)
    bench.put("code/classify.tar.gz", archive({"train.py": CLASSIFIES}))
    return made


def reviews() -> str:
    """The product reviews as a training script gets them, without their neutral sentences."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("id", "group", "label", "text"))
    with fetch_reviews().path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            label = "positive" if float(row["rating"]) > 0 else "negative"
            writer.writerow((row["sentence_id"], row["review_id"], label, row["text"]))
    return text.getvalue()


def test_a_search_of_eight_trials_finds_a_better_model_than_the_default(machines: Machines) -> None:
    # GIVEN the reviews, and how good the script's own hyperparameters are
    bench = machines.host.bench
    bench.put("reviews/train.csv", reviews())
    request = bench.request(CLASSIFIES)
    request["InputDataConfig"] = [
        {
            "ChannelName": "train",
            "DataSource": {
                "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bench.bucket}/reviews/"}
            },
        }
    ]
    request["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "auroc", "Regex": "auroc=([0-9.]+)"}]
    default = bench.run(request)["FinalMetricDataList"][0]["Value"]
    # WHEN
    done = machines.run("Tune", seconds=120)
    # THEN
    assert done["status"] == "SUCCEEDED", done.get("cause")
    tuning = done["output"]["tuning"]
    assert tuning["trials"]["Completed"] == 8
    assert tuning["value"] > default + 0.005, (tuning, default)
    assert done["output"]["model"].endswith(f"{tuning['best']}/output/model.tar.gz")
    assert done["output"]["report"]["name"] == tuning["best"]
    assert done["output"]["report"]["spot"] is True


def test_the_outputs_of_a_processing_job_arrive(machines: Machines) -> None:
    machines.host.bench.put("raw/rows.csv", "+one\n-two\n+three")
    name = unique("run")
    done = machines.run("Clean", {"raw": machines.uri("raw/")}, name=name)
    assert done["status"] == "SUCCEEDED", done.get("cause")
    assert machines.host.bench.get(f"clean/{name}/good/rows.csv") == b"+one\n+three"
    assert machines.host.bench.get(f"clean/{name}/bad/rows.csv") == b"-two"


def test_the_failure_says_which_output_is_missing(machines: Machines) -> None:
    machines.host.bench.put("only-good/rows.csv", "+one")
    name = unique("run")
    done = machines.run("Clean", {"raw": machines.uri("only-good/")}, name=name)
    assert done["status"] == "FAILED"
    assert done["error"] == "ProcessingOutputMissing"
    place = machines.uri(f"clean/{name}/bad")
    assert done["cause"] == f"The job succeeded and left nothing for bad ({place})"


def test_a_failing_job_fails_with_what_it_said(machines: Machines) -> None:
    done = machines.run("Clean", {"raw": machines.uri("nothing/")})
    assert done["status"] == "FAILED"
    assert "No S3 objects found" in done["cause"]


def test_a_job_whose_answer_was_lost_is_waited_for_and_not_made_twice(machines: Machines) -> None:
    machines.host.bench.put("raw/rows.csv", "+one\n-two")
    fault = machines.aws.fault("sagemaker:CreateProcessingJob", code="InternalFailure", after=True)
    name = unique("lost")
    done = machines.run("Clean", {"raw": machines.uri("raw/")}, name=name)
    assert done["status"] == "SUCCEEDED", done.get("cause")
    assert machines.aws.fault_hits(fault) == 1
    machines.aws.admin("faults/clear")
    listed = machines.aws.client("sagemaker").list_processing_jobs(NameContains=name)
    assert len(listed["ProcessingJobSummaries"]) == 1


def test_a_batch_is_predicted(machines: Machines) -> None:
    machines.host.bench.put("numbers/a.csv", "1\n2\n")
    done = machines.run("Predict", {"model": machines.host.model(3)})
    assert (done["status"], done.get("output")) == ("SUCCEEDED", "Completed"), done
    assert machines.host.bench.get("predicted/a.csv.out").split() == [b"3.0", b"6.0"]


def test_a_pipeline_is_started_once_and_waited_for(machines: Machines) -> None:
    sagemaker = machines.aws.client("sagemaker")
    sagemaker.create_pipeline(
        PipelineName=machines.name,
        PipelineDefinition=json.dumps({"Version": "2020-12-01", "Steps": []}),
        ClientRequestToken="t" * 32,
        RoleArn=machines.host.bench.role,
    )
    done = machines.run("Start", {"data": machines.uri("raw/")})
    assert done["status"] == "SUCCEEDED", done.get("cause")
    listed = sagemaker.list_pipeline_executions(PipelineName=machines.name)["PipelineExecutionSummaries"]
    assert [each["PipelineExecutionArn"] for each in listed] == [done["output"]]


def test_no_other_pipeline_may_be_started(machines: Machines) -> None:
    # GIVEN the machine with its role, and the name of another pipeline in its definition
    states = machines.aws.client("stepfunctions")
    described = states.describe_state_machine(stateMachineArn=machines.arns["Start"])
    definition = json.loads(described["definition"])
    definition["States"]["Start"]["Arguments"]["PipelineName"] = "of-somebody-else"
    del definition["States"]["Start"]["Retry"]
    made = states.create_state_machine(
        name=unique("denied"), roleArn=described["roleArn"], definition=json.dumps(definition)
    )
    done = machines.aws.execute(made["stateMachineArn"], {"data": machines.uri("raw/")})
    assert done["status"] == "FAILED"
    assert "sagemaker:StartPipelineExecution" in done["cause"]


def test_a_model_is_compiled(machines: Machines) -> None:
    done = machines.run("Compile")
    assert done["status"] == "SUCCEEDED", done.get("cause")
    assert done["output"].startswith(f"{machines.name}--")


def test_a_job_that_takes_too_long_is_stopped(machines: Machines) -> None:
    done = machines.run("Find")
    assert (done["status"], done["error"]) == ("FAILED", "States.Timeout"), done["cause"]
    sagemaker = machines.aws.client("sagemaker")
    (job,) = sagemaker.list_auto_ml_jobs(NameContains=machines.name)["AutoMLJobSummaries"]
    assert job["AutoMLJobStatus"] == "Stopped"


def test_a_registry_for_own_containers_is_there(machines: Machines) -> None:
    ecr = machines.aws.client("ecr")
    (made,) = ecr.describe_repositories(repositoryNames=[machines.repository])["repositories"]
    assert made["imageTagMutability"] == "IMMUTABLE"
    assert made["imageScanningConfiguration"] == {"scanOnPush": True}
