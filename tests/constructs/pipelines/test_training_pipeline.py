"""TrainingPipeline: its state machine, its failure path, its trigger, what each function may do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from cdk_data_science import (
    Canary,
    ConfigurationError,
    DataLake,
    QualityRules,
    ServerlessInference,
    Split,
    SpotTraining,
)
from cdk_data_science._validation import Problems
from cdk_data_science.pipelines import (
    METRICS,
    Evaluate,
    ModelRegistry,
    Output,
    Pipeline,
    PipelineOptions,
    Prepare,
    QualityGate,
    States,
    Step,
    StepContext,
    Train,
    TrainingPipeline,
    outputs,
)
from cdk_data_science.training import Channel
from tests.compliance import task_parameters
from tests.constructs import machines, nag, support

RULES = QualityRules("Rules = [ RowCount > 0 ]")
SPLIT = Split(
    id_column="sentence_id",
    group_column="review_id",
    label_column="rating",
    feature_columns=["text"],
    positive_above=0,
)


def pipeline(stack: cdk.Stack, **options: Any) -> TrainingPipeline:
    lake = DataLake(stack, "Lake", zones=["raw", "features", "models"])
    training = SpotTraining(
        stack,
        "Training",
        image="683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
        checkpoints=lake.models,
        output=lake.models,
        max_runtime=cdk.Duration.hours(1),
        max_wait=cdk.Duration.hours(2),
    )
    further: Sequence[Channel] = options.pop("further_channels", ())
    defaults: dict[str, Any] = {
        "data": lake.raw,
        "prefix": "reviews/",
        "work": lake.features,
        "models": lake.models,
        "training": Train(training, further_channels=further) if further else training,
        "rules": RULES,
        "split": SPLIT,
        "minimum": {"auroc": 0.8},
        "deploy_to": ServerlessInference(stack, "Inference", models=lake.models),
        "rollout": Canary(percent=10, bake=cdk.Duration.minutes(10)),
    }
    return TrainingPipeline(stack, "Pipeline", **{**defaults, **options})


@pytest.fixture(scope="module")
def deployed() -> cdk.Stack:
    # GIVEN everything by default
    stack = support.stack()
    built = pipeline(stack)
    built.grant_start(iam.Role(stack, "Starter", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com")))
    return stack


@pytest.fixture(scope="module")
def states(deployed: cdk.Stack) -> dict[str, Any]:
    found: dict[str, Any] = machines.definition(deployed)["States"]
    return found


def path(states: dict[str, Any], start: str) -> list[str]:
    """The states from one on, without choices."""
    found = [start]
    while "Next" in states[found[-1]]:
        found.append(states[found[-1]]["Next"])
    return found


def test_the_steps_follow_each_other(states: dict[str, Any]) -> None:
    assert path(states, "Begin") == ["Begin", "Wait for turn", "Wait for turn: is it?"]
    assert path(states, states["Wait for turn: is it?"]["Default"]) == [
        "QualityGate",
        "Prepare",
        "Train: name the job",
        "Train",
        "Train: has the job ended?",
    ]
    completed, *_ = states["Train: has the job ended?"]["Choices"]
    assert path(states, completed["Next"]) == [
        "Train: take its result",
        "Package",
        "Score",
        "Evaluate",
        "Register",
        "Deploy: begin",
        "Deploy: stage",
        "Deploy: what is live?",
    ]


def test_every_task_has_a_timeout_a_retry_and_a_catch_of_everything(states: dict[str, Any]) -> None:
    tasks = {name: state for name, state in states.items() if state["Type"] == "Task"}
    assert all(state["TimeoutSeconds"] > 0 and state["Retry"] for state in tasks.values())
    assert all(state["Catch"][-1]["ErrorEquals"] == ["States.ALL"] for state in tasks.values())


def test_what_a_person_must_mend_is_never_retried(states: dict[str, Any]) -> None:
    named = {
        "QualityGateFailed",
        "InvalidData",
        "InvalidConfiguration",
        "ModelBelowThreshold",
        "ModelRejected",
        "DeploymentFailed",
        "States.ALL",
        "States.TaskFailed",
        "States.Timeout",
        "QueueTimeout",
    }
    retried = {e for s in states.values() for rule in s.get("Retry", ()) for e in rule["ErrorEquals"]}
    assert not retried & named


@pytest.mark.parametrize(
    "step",
    ["QualityGate", "Prepare", "Train", "Package", "Score", "Evaluate", "Register", "Deploy: rollback"],
)
def test_a_failing_step_is_recorded_then_told_then_fails(states: dict[str, Any], step: str) -> None:
    after = states[step]["Catch"][-1]["Next"]
    assert path(states, after) == ["RecordFailure", "NotifyFailure", "Failed"]


@pytest.mark.parametrize("step", ["Deploy: stage", "Deploy: shift", "Deploy: check", "Deploy: promote"])
def test_a_failing_deployment_goes_back_first(states: dict[str, Any], step: str) -> None:
    (catch,) = states[step]["Catch"]
    assert catch["Assign"]["failure"]["error"] == "{% $states.errorOutput.Error %}"
    assert path(states, catch["Next"]) == ["Deploy: rollback", "RecordFailure", "NotifyFailure", "Failed"]


def test_a_failing_rollback_is_recorded_beside_the_first_failure(states: dict[str, Any]) -> None:
    (catch,) = states["Deploy: rollback"]["Catch"]
    assert set(catch["Assign"]) == {"rollback"}
    assert states["RecordFailure"]["Arguments"]["Body"]["rollback"] == "{% $rollback %}"


def test_a_record_holds_what_a_person_needs(states: dict[str, Any]) -> None:
    arguments = states["RecordFailure"]["Arguments"]
    assert arguments["Key"] == "{% 'failures/' & $run & '.json' %}"
    assert {"run", "state", "error", "cause", "data", "execution", "console"} <= set(arguments["Body"])


def test_a_record_that_cannot_be_written_hides_nothing(states: dict[str, Any]) -> None:
    assert states["RecordFailure"]["Catch"][0]["Next"] == "NotifyFailure"
    assert states["NotifyFailure"]["Catch"][-1]["Next"] == "Failed"


def test_a_cause_that_cannot_be_taken_apart_is_told_as_it_is(states: dict[str, Any]) -> None:
    catch, everything_else = states["NotifyFailure"]["Catch"]
    assert (catch["ErrorEquals"], catch["Next"]) == (
        ["States.QueryEvaluationError"],
        "NotifyFailure: as it is",
    )
    # Anything else may have happened after the message was sent.
    assert everything_else["Next"] == "Failed"
    plain = states["NotifyFailure: as it is"]
    assert "$parse" not in json.dumps(plain)
    assert (plain["Next"], plain["Catch"][0]["Next"]) == ("Failed", "Failed")


def test_a_record_that_is_refused_does_not_hold_up_the_message(states: dict[str, Any]) -> None:
    refused = [r for r in states["RecordFailure"]["Retry"] if "S3.S3Exception" in r["ErrorEquals"]]
    assert [rule["MaxAttempts"] for rule in refused] == [1]


@pytest.mark.parametrize("message", ["NotifyFailure", "NotifyFailure: as it is"])
def test_a_message_is_sent_again_only_if_it_was_refused(states: dict[str, Any], message: str) -> None:
    (rule,) = states[message]["Retry"]
    assert all("thrott" in error.lower() for error in rule["ErrorEquals"])


def test_the_run_fails_under_the_name_of_its_error(states: dict[str, Any]) -> None:
    assert states["Failed"]["Error"] == "{% $failure.error %}"
    assert "$failure.cause" in states["Failed"]["Cause"]


def test_an_input_without_data_is_a_recorded_failure(states: dict[str, Any]) -> None:
    check = states["Check input"]
    assert check["Choices"][0]["Next"] == "Begin"
    assert states[check["Default"]]["Assign"]["failure"]["error"] == "InvalidInput"
    assert path(states, check["Default"])[1:] == ["RecordFailure", "NotifyFailure", "Failed"]


def test_a_model_that_is_live_changes_nothing_and_the_first_one_is_promoted_at_once(
    states: dict[str, Any],
) -> None:
    live = states["Deploy: what is live?"]
    assert [choice["Next"] for choice in live["Choices"]] == ["Deploy: done", "Deploy: shift"]
    assert live["Default"] == "Deploy: promote"


def test_the_report_of_the_evaluation_lies_apart_from_what_a_run_leaves(
    deployed: cdk.Stack, states: dict[str, Any]
) -> None:
    payload = states["Evaluate"]["Arguments"]["Payload"]
    assert payload["report"]["key"] == "evaluations/"
    resources = str(machines.statements(deployed, "PipelineEvaluate"))
    assert "/evaluations/*" in resources
    assert "s3:PutObject" in resources


def test_a_deployment_knows_which_data_its_model_comes_from(states: dict[str, Any]) -> None:
    assert states["Deploy: begin"]["Assign"]["deployRequest"]["data"] == "{% $data %}"


def test_a_canary_is_checked_every_minute_and_promoted_or_rolled_back(states: dict[str, Any]) -> None:
    assert states["Deploy: bake"]["Seconds"] == 60
    healthy = states["Deploy: healthy?"]
    assert [choice["Next"] for choice in healthy["Choices"]] == ["Deploy: unhealthy", "Deploy: bake"]
    assert "$checks < 10" in healthy["Choices"][1]["Condition"]
    assert states["Deploy: unhealthy"]["Assign"]["failure"]["error"] == "DeploymentFailed"
    assert states["Deploy: unhealthy"]["Next"] == "Deploy: rollback"


def test_the_parameters_of_all_tasks_are_those_of_the_apis(deployed: cdk.Stack) -> None:
    assert task_parameters.faults(machines.definition(deployed)) == []


def test_the_machine_is_traced_logged_and_ends_in_time(deployed: cdk.Stack) -> None:
    machine = support.only(support.resources(deployed, "AWS::StepFunctions::StateMachine"))["Properties"]
    assert machine["TracingConfiguration"] == {"Enabled": True}
    assert machine["LoggingConfiguration"]["Level"] == "ERROR"
    assert machine["LoggingConfiguration"]["IncludeExecutionData"] is True
    definition = machines.definition(deployed)
    assert definition["QueryLanguage"] == "JSONata"
    # The wait for its turn, and training with all its tries.
    assert definition["TimeoutSeconds"] > 86_400 + 4 * 7200


def test_every_log_group_is_encrypted_and_ends(deployed: cdk.Stack) -> None:
    groups = support.resources(deployed, "AWS::Logs::LogGroup").values()
    assert all(g["Properties"]["RetentionInDays"] == 365 and g["Properties"]["KmsKeyId"] for g in groups)


def test_the_machines_log_fills_no_policy_of_the_account_and_has_a_new_name_in_a_new_stack(
    deployed: cdk.Stack,
) -> None:
    groups = support.resources(deployed, "AWS::Logs::LogGroup")
    (group,) = (g for key, g in groups.items() if key.startswith("PipelineLogs"))
    _, parts = group["Properties"]["LogGroupName"]["Fn::Join"]
    assert parts[0].startswith("/aws/vendedlogs/states/Test-Pipeline-")
    assert parts[-1] == {"Fn::Select": [2, {"Fn::Split": ["/", {"Ref": "AWS::StackId"}]}]}
    # Kept with its stack's end, so that the name stays taken.
    assert group["DeletionPolicy"] == "Retain"


def test_the_machine_invokes_functions_by_their_exact_arn(deployed: cdk.Stack) -> None:
    found = machines.statements(deployed, "PipelineStateMachineRole")
    (invoke,) = (s for s in found if s["Action"] == "lambda:InvokeFunction")
    assert all("Fn::GetAtt" in resource for resource in invoke["Resource"])
    assert len(invoke["Resource"]) == 11


def test_the_machine_writes_records_of_failures_and_nothing_else(deployed: cdk.Stack) -> None:
    found = machines.statements(deployed, "PipelineStateMachineRole")
    (write,) = (s for s in found if "s3:PutObject" in machines.actions([s]))
    assert write["Action"] == "s3:PutObject"
    assert json.dumps(write["Resource"]).endswith('"/failures/*"]]}')


def test_training_code_reads_nothing_that_its_model_is_judged_by(deployed: cdk.Stack) -> None:
    read = [
        json.dumps(statement["Resource"])
        for statement in machines.statements(deployed, "TrainingRole")
        if any(action.startswith("s3:GetObject") for action in machines.actions([statement]))
    ]
    assert sum("/runs-train/*" in resources for resources in read) == 1
    assert not [resources for resources in read if "/runs/" in resources or "LakeRaw" in resources]
    told = machines.definition(deployed)["States"]["Prepare"]["Arguments"]["Payload"]
    assert told["train_output"]["key"] == "{% 'runs-train/' & $run & '/' %}"
    assert told["output"]["key"] == "{% 'runs/' & $run & '/' %}"


@pytest.mark.parametrize(
    ("role", "needed"),
    [
        ("PipelineRegister", {"sagemaker:CreateModelPackage", "sagemaker:ListModelPackages"}),
        (
            "PipelineDeployStage",
            {"lambda:UpdateFunctionConfiguration", "lambda:PublishVersion", "lambda:GetAlias"},
        ),
        ("PipelineDeployShift", {"lambda:GetAlias", "lambda:UpdateAlias"}),
        ("PipelineDeployCheck", {"cloudwatch:DescribeAlarms", "lambda:InvokeFunction", "lambda:GetAlias"}),
        (
            "PipelineDeployPromote",
            {"lambda:UpdateAlias", "lambda:UpdateFunctionConfiguration", "s3:PutObject"},
        ),
        (
            "PipelineDeployRollback",
            {"lambda:UpdateAlias", "lambda:UpdateFunctionConfiguration", "s3:PutObject"},
        ),
    ],
)
def test_each_function_may_do_what_its_step_does(deployed: cdk.Stack, role: str, needed: set[str]) -> None:
    assert needed <= machines.actions(machines.statements(deployed, role))


@pytest.mark.parametrize(
    ("role", "forbidden"),
    [
        ("PipelineQualityGate", {"lambda:UpdateAlias", "sagemaker:CreateModelPackage"}),
        (
            "PipelineDeployShift",
            {"lambda:UpdateFunctionConfiguration", "lambda:PublishVersion", "s3:PutObject"},
        ),
        ("PipelineDeployCheck", {"lambda:UpdateAlias", "lambda:UpdateFunctionConfiguration", "s3:PutObject"}),
        ("PipelineDeployPromote", {"lambda:UpdateFunctionCode", "lambda:PublishVersion"}),
        ("PipelineRegister", {"s3:GetObject", "s3:PutObject"}),
    ],
)
def test_no_function_may_do_what_another_step_does(
    deployed: cdk.Stack, role: str, forbidden: set[str]
) -> None:
    found = machines.actions(machines.statements(deployed, role))
    assert found
    assert not found & forbidden


def test_new_objects_with_both_the_prefix_and_the_suffix_start_the_pipeline(deployed: cdk.Stack) -> None:
    rule = support.only(support.resources(deployed, "AWS::Events::Rule"))["Properties"]
    assert rule["EventPattern"]["detail-type"] == ["Object Created"]
    assert rule["EventPattern"]["detail"]["object"] == {"key": [{"wildcard": "reviews/*.csv"}]}
    (target,) = rule["Targets"]
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 21600, "MaximumRetryAttempts": 8}
    assert "DeadLetterConfig" in target


def test_an_event_that_is_lost_is_kept_and_told(deployed: cdk.Stack) -> None:
    alarms = support.resources(deployed, "AWS::CloudWatch::Alarm")
    (lost,) = (a["Properties"] for key, a in alarms.items() if key.startswith("PipelineTriggerLostEvents"))
    assert lost["MetricName"] == "ApproximateNumberOfMessagesVisible"
    assert lost["AlarmActions"]


def test_the_start_function_may_send_to_its_encrypted_queue(deployed: cdk.Stack) -> None:
    found = machines.actions(machines.statements(deployed, "PipelineTriggerStart"))
    assert {
        "sqs:SendMessage",
        "kms:GenerateDataKey",
        "states:StartExecution",
        "states:DescribeExecution",
    } <= found


@pytest.mark.parametrize("end", ["ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted"])
def test_no_run_ends_badly_without_a_message(deployed: cdk.Stack, end: str) -> None:
    # A failure that the machine has told of comes a second time: it cannot tell of every failure itself.
    alarms = support.resources(deployed, "AWS::CloudWatch::Alarm")
    (found,) = (a["Properties"] for a in alarms.values() if a["Properties"]["MetricName"] == end)
    (action,) = found["AlarmActions"]
    assert action["Ref"].startswith("PipelineAlertsTopic")


def test_others_may_start_it(deployed: cdk.Stack) -> None:
    assert machines.actions(machines.statements(deployed, "Starter")) == {"states:StartExecution"}


def test_the_registry_survives_its_stack(deployed: cdk.Stack) -> None:
    group = support.only(support.resources(deployed, "AWS::SageMaker::ModelPackageGroup"))
    # Not where its own creation fails: its name would be in the way of the next attempt.
    assert group["DeletionPolicy"] == "RetainExceptOnCreate"
    assert group["UpdateReplacePolicy"] == "Retain"


def test_a_group_that_a_deleted_stack_left_is_used_again() -> None:
    # GIVEN a group that exists
    stack = support.stack()
    registry = ModelRegistry.from_group_name(stack, "Registry", "review-sentiment")
    # WHEN a pipeline registers its models there
    built = pipeline(stack, registry=registry)
    # THEN nothing makes it anew, and the step may add versions to this group alone
    assert built.registry is registry
    assert support.resources(stack, "AWS::SageMaker::ModelPackageGroup") == {}
    (create,) = (
        s
        for s in machines.statements(stack, "PipelineRegister")
        if "sagemaker:CreateModelPackage" in machines.actions([s])
    )
    resources = json.dumps(create["Resource"])
    assert resources.count(":model-package-group/review-sentiment") == 1
    assert resources.count(":model-package/review-sentiment/*") == 1
    assert '"*"' not in resources


def test_the_logical_ids_of_what_is_stateful_stay(deployed: cdk.Stack) -> None:
    ids = {
        key
        for kind in ("AWS::SageMaker::ModelPackageGroup", "AWS::KMS::Key")
        for key in support.resources(deployed, kind)
        if not key.startswith("Lake")
    }
    # Lost otherwise: the record of all models; what the keys encrypt (logs, dead letters).
    assert ids == {"PipelineRegisterRegistryGroup678FF320", "PipelineKeyF48EE773", "InferenceKey8CC7CFB0"}


def test_no_rule_pack_finds_anything_that_is_not_acknowledged() -> None:
    app = support.app()
    pipeline(support.stack(app))
    assert nag.unacknowledged(app) == []


@pytest.fixture(scope="module")
def only_registered() -> dict[str, Any]:
    # GIVEN a pipeline that deploys nothing, and trains on a pretrained model beside the rows
    stack = support.stack()
    pretrained = Channel(name="pretrained", uri="s3://models/base/")
    pipeline(stack, deploy_to=None, further_channels=[pretrained])
    found: dict[str, Any] = machines.definition(stack)["States"]
    return found


def test_without_a_function_the_model_is_registered_only(only_registered: dict[str, Any]) -> None:
    assert only_registered["Register"]["Next"] == "Succeeded"


def test_training_has_further_channels_beside_the_rows(only_registered: dict[str, Any]) -> None:
    rows, further = only_registered["Train"]["Arguments"]["InputDataConfig"]
    assert (rows["ChannelName"], rows["ContentType"]) == ("train", "text/csv")
    assert further["ChannelName"] == "pretrained"
    assert further["DataSource"]["S3DataSource"]["S3Uri"] == "s3://models/base/"


def test_a_step_can_be_left_out_and_another_one_added() -> None:
    class Announce(Step):
        def __init__(self, topic: sns.ITopic) -> None:
            self._topic = topic

        @property
        def name(self) -> str:
            return "Announce"

        def states(self, scope: Construct, context: StepContext) -> States:
            publish = tasks.SnsPublish.jsonata(
                scope, self.name, topic=self._topic, message=sfn.TaskInput.from_text("new data is good")
            )
            context.fails_into(publish)
            return States(publish, [publish])

    stack = support.stack()
    lake = DataLake(stack, "Lake", zones=["raw", "features", "models"])
    built = Pipeline(
        stack,
        "Pipeline",
        data=lake.raw,
        prefix="reviews/",
        work=lake.features,
        steps=[QualityGate(RULES), Announce(sns.Topic(stack, "Topic"))],
    )
    states = machines.definition(stack)["States"]
    assert states["Wait for turn: is it?"]["Default"] == "QualityGate"
    assert path(states, "QualityGate") == ["QualityGate", "Announce", "Succeeded"]
    assert states["Announce"]["Catch"][0]["Next"] == "RecordFailure"
    assert built.trigger is not None


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([], "no steps"),
        ([Evaluate(minimum={"auroc": 0.8})], "without scores, labels"),
        ([QualityGate(RULES), QualityGate(RULES)], "two steps named 'QualityGate'"),
        (
            [Prepare(Split(id_column="", group_column="g", label_column="l", feature_columns=[]))],
            "2 problems",
        ),
        (
            [Prepare(Split(id_column="i", group_column="g", label_column="l", feature_columns=["l"]))],
            "the answer",
        ),
    ],
)
def test_steps_that_do_not_fit_are_refused(steps: Sequence[Step], message: str) -> None:
    stack = support.stack()
    lake = DataLake(stack, "Lake", zones=["raw", "features", "models"])
    with pytest.raises(ConfigurationError, match=message):
        Pipeline(stack, "Pipeline", data=lake.raw, prefix="reviews/", work=lake.features, steps=steps)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prefix": "reviews"}, "one at the end"),
        ({"prefix": "rev*/"}, "no wildcards"),
        ({"prefix": "bob's/"}, "quotes"),
        ({"options": PipelineOptions(suffix="*.csv")}, "without wildcards"),
        ({"options": PipelineOptions(work_prefix="/x")}, "no slash at the start"),
        ({"options": PipelineOptions(work_prefix="bob's/")}, "a folder of the zone"),
        ({"options": PipelineOptions(max_parallel_runs=0)}, "1 to 200"),
        ({"options": PipelineOptions(queue_timeout=cdk.Duration.seconds(59))}, "a minute to 30 days"),
        ({"options": PipelineOptions(queue_timeout=cdk.Duration.days(31))}, "a minute to 30 days"),
        ({"minimum": {}}, "at least one"),
        ({"minimum": {"aurok": 0.8}}, "'auroc' or 'accuracy'"),
        ({"minimum": {"auroc": 80}}, "0 to 1"),
        ({"maximum": {"brier": 1.5}}, "0 to 1"),
        ({"maximum": {"log_loss": 101}}, "0 to 100"),
        ({"maximum": {"log_loss": -0.1}}, "0 to 100"),
        (
            {"split": replace(SPLIT, label_names=("a", "b"))},
            "labels that are words, or labels that are numbers",
        ),
        ({"split": replace(SPLIT, positive_above=None, label_names=("a", "a"))}, "the negative class first"),
        ({"rollout": Canary(percent=0)}, "more than 0, less than 100"),
        ({"rollout": Canary(bake=cdk.Duration.days(2))}, "one day"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        pipeline(support.stack(), **options)


def test_a_partition_may_start_a_pipeline() -> None:
    stack = support.stack()
    lake = DataLake(stack, "Lake", zones=["raw", "features", "models"])
    Pipeline(
        stack, "P", data=lake.raw, prefix="reviews/day=1/", work=lake.features, steps=[QualityGate(RULES)]
    )
    rule = support.only(support.resources(stack, "AWS::Events::Rule"))["Properties"]
    assert rule["EventPattern"]["detail"]["object"] == {"key": [{"wildcard": "reviews/day=1/*.csv"}]}


def test_a_log_loss_may_be_above_one() -> None:
    problems = Problems("Evaluate")
    Evaluate(minimum={}, maximum={"log_loss": 1.5}).check(problems)
    problems.raise_if_any()


def test_a_short_bake_is_one_check_after_whole_seconds() -> None:
    canary = Canary(bake=cdk.Duration.millis(1200))
    assert (canary.checks, canary.interval.to_seconds()) == (1, 2)


@pytest.mark.parametrize("name", ["", "Model", "my model", "run", "states", "failure", "turn"])
def test_an_output_needs_a_name_of_its_own(name: str) -> None:
    with pytest.raises(ValueError, match="given name"):
        Output(name)


@pytest.mark.parametrize("name", ["Upper", "-x", "x" * 64])
def test_a_registry_name_that_sagemaker_refuses_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="group_name"):
        ModelRegistry(support.stack(), "Registry", group_name=name)
    with pytest.raises(ConfigurationError, match="group_name"):
        ModelRegistry.from_group_name(support.stack(), "Registry", name)


def test_no_output_has_the_name_of_a_variable_of_the_pipeline(states: dict[str, Any]) -> None:
    assigned = {
        name
        for state in states.values()
        for part in (state, *state.get("Catch", ()), *state.get("Choices", ()))
        for name in part.get("Assign", {})
    }
    given = {output.name for output in vars(outputs).values() if isinstance(output, Output)}
    for name in assigned - given:
        with pytest.raises(ValueError, match="given name"):
            Output(name)


def test_an_output_is_read_by_its_variable() -> None:
    assert METRICS.expression == "{% $metrics %}"


def test_training_alone_needs_its_rows() -> None:
    stack = support.stack()
    lake = DataLake(stack, "Lake", zones=["raw", "features", "models"])
    training = SpotTraining(
        stack,
        "Training",
        image="683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
        checkpoints=lake.models,
        output=lake.models,
        max_runtime=cdk.Duration.hours(1),
        max_wait=cdk.Duration.hours(1),
    )
    with pytest.raises(ConfigurationError, match="without train"):
        Pipeline(stack, "P", data=lake.raw, prefix="a/", work=lake.features, steps=[Train(training)])
