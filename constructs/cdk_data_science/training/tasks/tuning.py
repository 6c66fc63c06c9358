"""The tuning task that CDK lacks, and the states that go on with its best model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct, IConstruct

from cdk_data_science._tasks import Task
from cdk_data_science._validation import Problems
from cdk_data_science.training.checks import listed
from cdk_data_science.training.jobs.tuning_definition import TuningDefinition
from cdk_data_science.training.jobs.tuning_values import Search
from cdk_data_science.training.kinds import TRAINING, TUNING, Naming, RunName, pass_role
from cdk_data_science.training.tasks.capacity import TRIES_VARIABLE
from cdk_data_science.training.tasks.job_task import JobTask
from cdk_data_science.training.tasks.polling import FAILURE, JobStates, sdk_retries
from cdk_data_science.training.tasks.report import NOTHING_SPENT, SPENT_VARIABLE
from cdk_data_science.training.tasks.training import warn_of_lost_work

_MOST_DEFINITIONS = 10

TUNING_REPORT = (
    '{% ($job := $states.result; {"name": $job.HyperParameterTuningJobName,'
    ' "arn": $job.HyperParameterTuningJobArn,'
    ' "strategy": $job.HyperParameterTuningJobConfig.Strategy,'
    ' "trials": $job.TrainingJobStatusCounters,'
    ' "best": $job.BestTrainingJob.TrainingJobName,'
    ' "hyperparameters": $job.BestTrainingJob.TunedHyperParameters,'
    ' "metric": $job.BestTrainingJob.FinalHyperParameterTuningJobObjectiveMetric.MetricName,'
    ' "value": $job.BestTrainingJob.FinalHyperParameterTuningJobObjectiveMetric.Value,'
    ' "seconds": $job.ConsumedResources.RuntimeInSeconds}) %}'
)
"""Expression for ``assign`` of a tuning task: how many trials there were, the best of them with its
hyperparameters and its value, and the seconds of all of them."""


class TuningJobTask(JobTask):
    """A Step Functions task that searches for good hyperparameters and waits for its end.

    All strategies (Bayesian, random, grid, Hyperband), managed Spot for the trials, early stopping, warm
    starts, completion criteria, several algorithms in one search. It works in any state machine, alone. The
    state machine's role gets what ``.sync`` needs and no more: create, describe, stop and tag tuning jobs of
    the given name pattern, pass the trials' roles to SageMaker, and the event rule that Step Functions
    manages. The state's result is that of ``DescribeHyperParameterTuningJob``; :data:`TUNING_REPORT` has the
    best of it.

    At rest it costs nothing; a run costs what the instances of all trials cost for the billed seconds.

    Example:
        ```python
        import aws_cdk as cdk
        from aws_cdk import aws_iam as iam
        from aws_cdk import aws_stepfunctions as sfn
        from cdk_data_science.training import (
            Channel,
            ContinuousRange,
            IntegerRange,
            Objective,
            RunName,
            Search,
            TrainingJob,
            TuningDefinition,
            TuningJobTask,
        )

        stack = cdk.Stack(cdk.App(), "Churn")
        role = iam.Role(stack, "JobRole", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
        tune = TuningJobTask(
            stack,
            "Tune",
            definitions=[
                TuningDefinition(
                    job=TrainingJob(
                        role=role,
                        image="683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1",
                        max_runtime=cdk.Duration.hours(1),
                        max_wait=cdk.Duration.hours(2),
                        hyperparameters={"objective": "binary:logistic", "num_round": "100"},
                    ),
                    objective=Objective("validation:auc"),
                    ranges=[
                        ContinuousRange("eta", 0.01, 0.5, "Logarithmic"),
                        IntegerRange("max_depth", 2, 10),
                    ],
                    channels=[
                        Channel(name="train", uri="s3://my-lake/churn/train/"),
                        Channel(name="validation", uri="s3://my-lake/churn/validation/"),
                    ],
                    output_uri="s3://my-lake/churn/models/",
                )
            ],
            search=Search(trials=20, parallel=4, max_runtime=cdk.Duration.hours(8), early_stopping=True),
            job_name=RunName("churn"),
        )
        sfn.StateMachine(stack, "Machine", definition_body=sfn.DefinitionBody.from_chainable(tune))
        ```

    Args:
        definitions: 1 to 10 makes of training job; several are compared by objectives of one type.
        search: Strategy, limits and end of the search.
        job_name: Name of the tuning job, 1 to 32 letters, digits and hyphens, a JSONata expression that gives
            one, or a :class:`RunName`. The trials' names begin with it.
        job_name_pattern: The pattern of names that the state machine may use, for its permissions, in lower
            case because SageMaker's ARNs are. The job's name if that is no expression, a RunName's own if it
            is one.
        tags: Tags of the tuning job, which its trials get, too.
        tags_of: A construct whose tags they get too, as they stand at synthesis; the state's own place in the
            app if not given.
        timeout: Limit of the state; the search's own limit plus 30 minutes if not given.
        assign: Variables to set from ``$states.result``.
        output: What the next state has as its input; an empty object if not given.
        parameters: Parameters of ``CreateHyperParameterTuningJob`` by their own names, in place of what the
            other arguments say, for what has no argument here. They are not checked.

    Raises:
        ConfigurationError: a value that SageMaker would refuse.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        definitions: Sequence[TuningDefinition],
        search: Search,
        job_name: str | RunName,
        job_name_pattern: str | None = None,
        tags: Mapping[str, str] | None = None,
        tags_of: IConstruct | None = None,
        timeout: Duration | None = None,
        assign: Mapping[str, Any] | None = None,
        output: Any = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        naming = Naming(TUNING, job_name, job_name_pattern)
        problems = naming.problems(scope, f"TuningJobTask {id!r}")
        search.check(problems)
        _check_definitions(problems, definitions, search, region=Stack.of(scope).region)
        problems.raise_if_any()
        for each in definitions:
            warn_of_lost_work(scope, id, each.job, each.checkpoint_uri)
        super().__init__(
            scope,
            id,
            naming=naming,
            arguments=_arguments(definitions, search),
            role=None,
            tags=tags if tags is not None else {},
            tags_of=tags_of,
            limit=search.max_runtime,
            timeout=timeout,
            assign=assign,
            output=output,
            parameters=parameters,
        )
        roles = {each.job.role.role_arn: each.job.role for each in definitions}
        self._statements += [pass_role(role) for role in roles.values()]


class TuningStep(JobStates):
    """States that tune, find the tuning job again if its answer was lost, and describe its best trial.

    Args:
        definitions: As for :class:`TuningJobTask`.
        search: As for :class:`TuningJobTask`.
        job_name: As for :class:`TuningJobTask`; a RunName, or an expression whose pattern is given.
        on_failure: Where to go when the job cannot be had or fails, with the variable ``failure`` set to
            ``{"error", "cause", "state"}``; a Fail state with the original error if not given.
        assign: Variables to set from ``$states.result``, the tuning job's description: :data:`TUNING_REPORT`.
        assign_best: Variables to set from ``$states.result``, the description of the best trial, a training
            job: its archive, or :data:`REPORT`.

    Raises:
        ConfigurationError: a value that SageMaker would refuse.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        definitions: Sequence[TuningDefinition],
        search: Search,
        job_name: str | RunName,
        job_name_pattern: str | None = None,
        tags: Mapping[str, str] | None = None,
        tags_of: IConstruct | None = None,
        on_failure: sfn.State | None = None,
        assign: Mapping[str, Any] | None = None,
        assign_best: Mapping[str, Any] | None = None,
    ) -> None:
        naming = Naming(TUNING, job_name, job_name_pattern)
        task = TuningJobTask(
            scope,
            id,
            definitions=definitions,
            search=search,
            job_name=job_name,
            job_name_pattern=job_name_pattern,
            tags=tags,
            tags_of=tags_of,
            output="{% $states.result %}",
        )
        super().__init__(
            scope,
            id,
            create=task,
            waits=True,
            job=task.watched,
            on_failure=on_failure,
            # What a training job's report counts on: the best trial stands for itself.
            assign={TRIES_VARIABLE: 0, SPENT_VARIABLE: NOTHING_SPENT, **(assign or {})},
            output="{% $states.input %}",
        )
        best = _describe_best(scope, f"{id}: describe the best", naming, assign_best)
        best.add_catch(self.failed, errors=["States.ALL"], assign=FAILURE, outputs={})
        self.found.next(best)
        self._ends = [best]


def _describe_best(scope: Construct, id: str, naming: Naming, assign: Mapping[str, Any] | None) -> Task:
    """Look at the training job that a tuning job calls its best."""
    return Task(
        scope,
        id,
        integration=f"aws-sdk:sagemaker:{TRAINING.describe}",
        arguments={TRAINING.name_member: "{% $states.input.BestTrainingJob.TrainingJobName %}"},
        timeout=Duration.minutes(1),
        statements=[
            iam.PolicyStatement(
                actions=["sagemaker:DescribeTrainingJob"],
                resources=[TRAINING.arn(Stack.of(scope), naming.pattern_of_children)],
            )
        ],
        retry=sdk_retries(),
        assign=assign,
    )


def _arguments(definitions: Sequence[TuningDefinition], search: Search) -> dict[str, Any]:
    config = search.render()
    arguments: dict[str, Any] = {"HyperParameterTuningJobConfig": config}
    if len(definitions) == 1:
        (only,) = definitions
        config["HyperParameterTuningJobObjective"] = only.objective.render()
        if ranges := only.render_ranges():
            config["ParameterRanges"] = ranges
        arguments["TrainingJobDefinition"] = only.render(several=False)
    else:
        arguments["TrainingJobDefinitions"] = [each.render(several=True) for each in definitions]
    if search.warm_start is not None:
        arguments["WarmStartConfig"] = search.warm_start.render()
    if search.autotune:
        arguments["Autotune"] = {"Mode": "Enabled"}
    return arguments


def _check_definitions(
    problems: Problems, definitions: Sequence[TuningDefinition], search: Search, *, region: str
) -> None:
    definitions = listed(problems, "definitions", definitions, write="[TuningDefinition(…)]")
    problems.check(
        1 <= len(definitions) <= _MOST_DEFINITIONS,
        given=f"{len(definitions)} definitions",
        allowed=f"1 to {_MOST_DEFINITIONS}",
    )
    for each in definitions:
        each.check(problems, region=region, search=search)
    if len(definitions) < 2:
        return
    names = [each.name for each in definitions]
    problems.check(
        None not in names and len(set(names)) == len(names),
        given=f"definitions named {names}",
        allowed="a name for each, where there are several",
    )
    types = {each.objective.type for each in definitions}
    problems.check(
        len(types) == 1,
        given=f"objectives of types {sorted(types)}",
        allowed="one type: the models are compared with each other",
    )
    problems.check(
        search.warm_start is None and not search.autotune,
        given=f"warm_start or autotune with {len(definitions)} definitions",
        allowed="searches with one definition",
    )
