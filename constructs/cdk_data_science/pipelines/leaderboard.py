"""The best candidates of an AutoML job become versions of a model in the registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jsii
from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_data_science._tasks import Task
from cdk_data_science._validation import Problems, is_whole
from cdk_data_science.pipelines.registry import IModelRegistry
from cdk_data_science.training import RunName
from cdk_data_science.training.kinds import AUTOML, Naming
from cdk_data_science.training.tasks.polling import FAILURE, fail, sdk_retries

_MOST_CANDIDATES = 20
# An aws-sdk integration names what has acronyms as the SDK for Java does: it is looked up in any case.
_METRIC = "$lookup($c, $keys($c)[$lowercase($) = 'finalautomljobobjectivemetric'])"
_CONTAINERS = (
    "$exists($c.InferenceContainers) ? $c.InferenceContainers"
    " : $lookup($c.InferenceContainerDefinitions, 'CPU')"
)


class RegisterCandidates(sfn.StateMachineFragment):
    """States that register the best candidates of an AutoML job, each as a version that waits for a person.

    They list the candidates in the order of their objective and register the best ones, the very best last:
    it is the newest version. Each version has the candidate's containers, and its rank, objective and job in
    its metadata. A call that is made again finds the version that it made before, by its token.

    The state machine's role may list the candidates of jobs of the pattern and add versions to this group,
    and nothing else.

    At rest it costs nothing, and a run the transitions of its states.

    ```python
    import aws_cdk as cdk
    from aws_cdk import aws_iam as iam
    from aws_cdk import aws_stepfunctions as sfn
    from cdk_data_science.pipelines import ModelRegistry, RegisterCandidates
    from cdk_data_science.training import (
        AutoMLChannel,
        AutoMLJobTask,
        CandidateLimits,
        RunName,
        TabularProblem,
    )

    find = AutoMLJobTask(
        self,
        "Find",
        role=iam.Role(self, "JobRole", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com")),
        problem=TabularProblem(target="churned", problem_type="BinaryClassification"),
        objective="AUC",
        limits=CandidateLimits(max_runtime=cdk.Duration.hours(4), candidates=20),
        job_name=RunName("churn"),
        channels=[AutoMLChannel(uri="s3://my-lake/churn/", content_type="text/csv;header=present")],
        output_uri="s3://my-lake/churn/automl/",
    )
    register = RegisterCandidates(
        self,
        "Register",
        registry=ModelRegistry(self, "Registry", group_name="churn"),
        job_name=RunName("churn"),
        content_types=["text/csv"],
    )
    sfn.StateMachine(
        self,
        "Machine",
        definition_body=sfn.DefinitionBody.from_chainable(sfn.Chain.start(find).next(register)),
        query_language=sfn.QueryLanguage.JSONATA,
    )
    ```

    Args:
        registry: The model's group.
        job_name: The AutoML job's name, as its task has it.
        content_types: What the model takes and answers.
        candidates: How many are registered, 1 to 20.
        smaller_is_better: The objective is an error: the least value comes first.
        job_name_pattern: The pattern of the job's names, as its task has it.
        on_failure: Where to go when a call cannot be made, with the variable ``failure`` set to ``{"error",
            "cause", "state"}``; a Fail state with the original error if not given.
        assign: Variables to set from ``$states.result``, the list of ``{"ModelPackageArn"}``, the best last.

    Raises:
        ConfigurationError: values that SageMaker would refuse.

    See https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListCandidatesForAutoMLJob.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        registry: IModelRegistry,
        job_name: str | RunName,
        content_types: Sequence[str],
        candidates: int = 3,
        smaller_is_better: bool = False,
        job_name_pattern: str | None = None,
        on_failure: sfn.State | None = None,
        assign: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(scope, f"{id} states")
        naming = Naming(AUTOML, job_name, job_name_pattern)
        problems = naming.problems(self, f"RegisterCandidates {id!r}")
        _check(problems, content_types, candidates)
        problems.raise_if_any()
        stack = Stack.of(self)
        failed = on_failure if on_failure is not None else fail(self, f"{id}: failed")
        self._list = Task(
            self,
            f"{id}: list candidates",
            comment="The best ones, in order, as little of each as the registry needs",
            integration="aws-sdk:sagemaker:listCandidatesForAutoMLJob",
            arguments={
                "AutoMLJobName": naming.name,
                "StatusEquals": "Completed",
                "SortBy": "FinalObjectiveMetricValue",
                "SortOrder": "Ascending" if smaller_is_better else "Descending",
                "MaxResults": candidates,
            },
            timeout=Duration.minutes(1),
            statements=[
                iam.PolicyStatement(
                    actions=["sagemaker:ListCandidatesForAutoMLJob"],
                    resources=[AUTOML.arn(stack, naming.pattern)],
                )
            ],
            retry=sdk_retries(),
            output={"job": naming.name, "candidates": f"{{% {_ranked()} %}}"},
        )
        register = Task(
            self,
            f"{id}: register",
            integration="aws-sdk:sagemaker:createModelPackage",
            arguments=_version(registry.group_name, content_types),
            timeout=Duration.minutes(1),
            statements=[
                iam.PolicyStatement(
                    actions=["sagemaker:CreateModelPackage"],
                    resources=[
                        registry.group_arn,
                        stack.format_arn(
                            service="sagemaker",
                            resource="model-package",
                            resource_name=f"{registry.group_name}/*",
                        ),
                    ],
                )
            ],
            retry=sdk_retries(),
            output="{% {'ModelPackageArn': $states.result.ModelPackageArn} %}",
        )
        self._each = sfn.Map.jsonata(
            self,
            f"{id}: each candidate",
            # One after the other: versions are numbered as they come.
            max_concurrency=1,
            items=sfn.ProvideItems.jsonata("{% $states.input.candidates %}"),
            outputs={},
            assign=dict(assign) if assign else None,
        )
        self._each.item_processor(register)
        self._list.add_catch(failed, errors=["States.ALL"], assign=FAILURE, outputs={})
        self._each.add_catch(failed, errors=["States.ALL"], assign=FAILURE, outputs={})
        self._list.next(self._each)

    @property
    @jsii.member(jsii_name="startState")
    def start_state(self) -> sfn.State:
        """The first state."""
        return self._list

    @property
    @jsii.member(jsii_name="endStates")
    def end_states(self) -> list[sfn.INextable]:
        """The state after which the candidates are registered."""
        return [self._each]


def _ranked() -> str:
    """The expression for the candidates, the best one last, with what a version is made of."""
    candidate = (
        f"($metric := {_METRIC}; {{"
        "'name': $c.CandidateName, 'rank': $string($i + 1), "
        "'metric': $metric.MetricName, 'value': $string($metric.Value), "
        f"'containers': [({_CONTAINERS}).{{"
        "'Image': Image, 'ModelDataUrl': ModelDataUrl, 'Environment': Environment}]})"
    )
    return f"[$reverse([$map($states.result.Candidates, function($c, $i) {{ {candidate} }})])]"


def _version(group: str, content_types: Sequence[str]) -> dict[str, Any]:
    """The parameters of ``CreateModelPackage`` for the candidate that is the input."""
    types = list(content_types)
    return {
        "ModelPackageGroupName": group,
        "ModelPackageDescription": "{% 'AutoML candidate ' & $states.input.name %}",
        "ModelApprovalStatus": "PendingManualApproval",
        "ClientToken": "{% $substring($hash("
        "$states.context.Execution.Id & $states.input.name, 'SHA-256'), 0, 32) %}",
        "InferenceSpecification": {
            "Containers": "{% $states.input.containers %}",
            "SupportedContentTypes": types,
            "SupportedResponseMIMETypes": types,
        },
        "CustomerMetadataProperties": {
            "candidate": "{% $states.input.name %}",
            "rank": "{% $states.input.rank %}",
            "metric": "{% $states.input.metric %}",
            "value": "{% $states.input.value %}",
        },
    }


def _check(problems: Problems, content_types: Sequence[str], candidates: int) -> None:
    problems.check(
        not isinstance(content_types, str) and bool(content_types) and all(content_types),
        given=f"content_types={content_types!r}",
        allowed="a list of one media type or more",
        write='content_types=["text/csv"]',
    )
    problems.check(
        is_whole(candidates, 1) and candidates <= _MOST_CANDIDATES,
        given=f"candidates={candidates!r}",
        allowed=f"1 to {_MOST_CANDIDATES}",
        write="candidates=3",
    )
