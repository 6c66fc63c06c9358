"""A SageMaker pipeline as a step of a state machine, which waits for its end."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_data_science._tasks import Task
from cdk_data_science._validation import Problems, is_token
from cdk_data_science.training import checks
from cdk_data_science.training.kinds import PIPELINE_EXECUTION
from cdk_data_science.training.tasks.polled import create_retries
from cdk_data_science.training.tasks.polling import JobStates, Watched

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,255}")
_DISPLAY_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,81}")
_PARAMETER = re.compile(r"[A-Za-z0-9\-_]{1,256}")


class StartPipelineTask(JobStates):
    """States that start an execution of a SageMaker pipeline and wait for its end, for any state machine.

    The start carries a token made of the execution and the state, so that a call whose answer was lost starts
    no second execution when it is made again. In a loop, where one state starts several executions, give
    ``token`` an expression that differs from turn to turn. The states look at the execution twice a minute
    or, for long ones, less often, and stop it when its time is over. Step Functions does not stop it when its
    own execution is stopped.

    The state machine's role may start this one pipeline, describe and stop its executions, and nothing else.
    What the pipeline does, it does in its own role.

    At rest it costs nothing.

    Example:
        ```python
        import aws_cdk as cdk
        from aws_cdk import aws_stepfunctions as sfn
        from cdk_data_science.training import StartPipelineTask

        stack = cdk.Stack(cdk.App(), "Churn")
        start = StartPipelineTask(
            stack,
            "Retrain",
            pipeline_name="churn-training",
            parameters={"InputData": "{% 's3://my-lake/' & $states.input.key %}"},
            max_runtime=cdk.Duration.hours(6),
        )
        sfn.StateMachine(
            stack,
            "Machine",
            definition_body=sfn.DefinitionBody.from_chainable(start),
            query_language=sfn.QueryLanguage.JSONATA,
        )
        ```

    Args:
        pipeline_name: Name of the pipeline, of this account and region.
        max_runtime: Longest time of the execution, after which it is stopped.
        parameters: Values of the pipeline's parameters, as texts or JSONata expressions; at most 200 of up to
            1024 characters.
        display_name: Name of the execution: 1 to 82 letters, digits and hyphens, or an expression.
        description: Of the execution, at most 3072 characters.
        max_parallel_steps: Steps at a time, 1 or more; the pipeline's own limit if not given.
        selected_steps: Run only these steps again, 1 to 50, of an earlier execution.
        source_execution: ARN of that execution, or an expression for it; the latest if not given.
        token: Expression for what makes two starts the same one, 32 to 128 characters.
        on_failure: Where to go when the execution cannot be had or fails, with the variable ``failure`` set
            to ``{"error", "cause", "state"}``; a Fail state with the original error if not given.
        assign: Variables to set from ``$states.result``, which is that of ``DescribePipelineExecution``.

    Raises:
        ConfigurationError: a value that SageMaker would refuse.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        pipeline_name: str,
        max_runtime: Duration,
        parameters: Mapping[str, str] | None = None,
        display_name: str | None = None,
        description: str | None = None,
        max_parallel_steps: int | None = None,
        selected_steps: Sequence[str] = (),
        source_execution: str | None = None,
        token: str | None = None,
        on_failure: sfn.State | None = None,
        assign: Mapping[str, Any] | None = None,
    ) -> None:
        problems = Problems(f"StartPipelineTask {id!r}", scope)
        _check(problems, pipeline_name, parameters or {}, display_name, description)
        checks.check_number(problems, "max_parallel_steps", max_parallel_steps, 1)
        problems.check(
            len(selected_steps) <= 50 and (bool(selected_steps) or source_execution is None),
            given=f"{len(selected_steps)} selected_steps, source_execution={source_execution!r}",
            allowed="1 to 50 steps where an execution is to be repeated in part",
        )
        problems.raise_if_any()
        identity = (
            "{% $hash($states.context.Execution.Id & $states.context.Execution.StartTime"
            " & $states.context.State.Name, 'SHA-256') %}"
        )
        arguments: dict[str, Any] = {
            "PipelineName": pipeline_name,
            "ClientRequestToken": token if token is not None else identity,
        }
        if parameters:
            arguments["PipelineParameters"] = [
                {"Name": name, "Value": value} for name, value in parameters.items()
            ]
        if display_name is not None:
            arguments["PipelineExecutionDisplayName"] = display_name
        if description is not None:
            arguments["PipelineExecutionDescription"] = description
        if max_parallel_steps is not None:
            arguments["ParallelismConfiguration"] = {"MaxParallelExecutionSteps": max_parallel_steps}
        if selected_steps:
            selective: dict[str, Any] = {"SelectedSteps": [{"StepName": name} for name in selected_steps]}
            if source_execution is not None:
                selective["SourcePipelineExecutionArn"] = source_execution
            arguments["SelectiveExecutionConfig"] = selective
        pipeline = _arn(Stack.of(scope), pipeline_name)
        create = Task(
            scope,
            id,
            integration="aws-sdk:sagemaker:startPipelineExecution",
            arguments=arguments,
            timeout=Duration.minutes(15),
            statements=[
                iam.PolicyStatement(actions=["sagemaker:StartPipelineExecution"], resources=[pipeline])
            ],
            retry=create_retries(),
            output="{% $states.result %}",
        )
        super().__init__(
            scope,
            id,
            create=create,
            waits=False,
            job=Watched(
                kind=PIPELINE_EXECUTION,
                name=f"{{% $states.input.{PIPELINE_EXECUTION.name_member} %}}",
                arns=[f"{pipeline}/execution/*"],
                limit=max_runtime,
                stop_after_limit=True,
                task_id=id,
            ),
            on_failure=on_failure,
            assign=assign,
        )


def _arn(stack: Stack, name: str) -> str:
    return stack.format_arn(
        service="sagemaker",
        resource="pipeline",
        resource_name=name if is_token(name) else name.lower(),
        arn_format=ArnFormat.SLASH_RESOURCE_NAME,
    )


def _check(
    problems: Problems,
    pipeline_name: str,
    parameters: Mapping[str, str],
    display_name: str | None,
    description: str | None,
) -> None:
    problems.check(
        is_token(pipeline_name) or _NAME.fullmatch(pipeline_name) is not None,
        given=f"pipeline_name={pipeline_name!r}",
        allowed="the name of a pipeline, which its permissions are for: 1 to 256 letters, digits and hyphens",
        write='pipeline_name="churn-training"',
    )
    checks.check_map(problems, "parameters", parameters, entries=200, key=256, value=1024)
    for name in parameters:
        problems.check(
            is_token(name) or _PARAMETER.fullmatch(name) is not None,
            given=f"parameter {name!r}",
            allowed="1 to 256 letters, digits, hyphens and underscores",
        )
    problems.check(
        display_name is None
        or is_token(display_name)
        or checks.is_expression(display_name)
        or _DISPLAY_NAME.fullmatch(display_name) is not None,
        given=f"display_name={display_name!r}",
        allowed="1 to 82 letters, digits and hyphens",
    )
    problems.check(
        description is None or is_token(description) or len(description) <= 3072,
        given="a description that is too long",
        allowed="at most 3072 characters",
    )
