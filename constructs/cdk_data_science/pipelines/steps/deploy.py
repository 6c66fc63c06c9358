"""Put the model into service: a few per cent of the traffic first, and back if it does not do well."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge, acknowledge_wildcards
from cdk_data_science._functions import PlatformFunction
from cdk_data_science._tasks import Task
from cdk_data_science._validation import Problems
from cdk_data_science.pipelines.failure import ROLLBACK_VARIABLE
from cdk_data_science.pipelines.outputs import (
    DATA,
    DEPLOYMENT,
    HOLDOUT,
    MANIFEST,
    MODEL,
    SCORES,
    SHA256,
    Output,
)
from cdk_data_science.pipelines.step import RUN, States, Step, StepContext, allow_existence_checks
from cdk_data_science.serving import Canary, CanaryGuard, ServerlessInference

# Lambda ends a function at its limit without a word, in the middle of what it does: each is above what its
# handler may wait for the inference function's updates, and for its answers while it loads a model.
TIMEOUT_MINUTES = {"Stage": 14, "Shift": 1, "Check": 10, "Promote": 10, "Rollback": 14}

# What all tasks of the deployment send: what was asked for, and what is known of it so far.
_REQUEST = "deployRequest"
_EVENT = f"{{% $merge([${_REQUEST}, {DEPLOYMENT.variable}]) %}}"


class Deploy(Step):
    """Publishes a version of the inference function that serves the model, and moves the alias to it.

    The version is tested with held-out rows before it gets any traffic. It then gets the canary's share, is
    checked every minute or a little more (the function's alarms that were quiet before, its errors against
    its budget, how it compares with the version that is live, the test again), and is promoted at the end of
    the bake. A model that is live already changes nothing, and the
    first model of a function is promoted at once. A model whose data were uploaded before those of the live
    one is refused, unless the run's input has ``"allowOlderData": true``. Any failure goes back to the
    version that was live before the run fails.

    Args:
        to: The function that serves.
        rollout: The canary's share and time.
        guard: How much worse than the live version the new one may be.
    """

    name = "Deploy"

    def __init__(
        self, to: ServerlessInference, *, rollout: Canary | None = None, guard: CanaryGuard | None = None
    ) -> None:
        self._inference = to
        self._rollout = rollout if rollout is not None else Canary()
        self._guard = guard if guard is not None else CanaryGuard()

    @property
    def needs(self) -> Sequence[Output]:
        """The data, the model, and rows with known scores to test it with."""
        return (DATA, MODEL, SHA256, MANIFEST, HOLDOUT, SCORES)

    @property
    def gives(self) -> Sequence[Output]:
        """The versions before and after."""
        return (DEPLOYMENT,)

    @property
    def longest(self) -> Duration:
        """The bake, and an hour for the calls around it."""
        rollout = self._rollout
        check = 60 * (TIMEOUT_MINUTES["Check"] + 1)
        return Duration.seconds(rollout.checks * (rollout.interval.to_seconds() + check) + 3600)

    @property
    def events(self) -> int:
        """A wait, a task and a choice for each check, and what is around them."""
        return self._rollout.checks * 9 + super().events

    def check(self, problems: Problems) -> None:
        """Check the rollout."""
        self._rollout.check(problems)
        self._guard.check(problems)

    def states(self, scope: Construct, context: StepContext) -> States:
        """Make the functions, tasks and choices of the rollout."""
        return _Rollout(
            scope, context, inference=self._inference, rollout=self._rollout, guard=self._guard
        ).states()


class _Rollout:
    """Builds the states of one deployment."""

    def __init__(
        self,
        scope: Construct,
        context: StepContext,
        *,
        inference: ServerlessInference,
        rollout: Canary,
        guard: CanaryGuard,
    ) -> None:
        self._scope = scope
        self._context = context
        self._inference = inference
        self._rollout = rollout
        self._guard = guard

    def states(self) -> States:
        begin = self._begin()
        rollback = self._rollback()
        stage = self._task(
            "Deploy: stage",
            self._function("Stage", "Publishes and tests a version with the new model"),
            assign={DEPLOYMENT.name: "{% $states.result.Payload %}"},
            undo=rollback,
        )
        shift = self._task(
            "Deploy: shift",
            self._function("Shift", "Gives the new version a share of the traffic"),
            assign={DEPLOYMENT.name: f"{{% $merge([{DEPLOYMENT.variable}, $states.result.Payload]) %}}"},
            undo=rollback,
        )
        check = self._task(
            "Deploy: check",
            self._function("Check", "Says whether the new version does well"),
            assign={
                "health": "{% $states.result.Payload %}",
                "checks": "{% $checks + 1 %}",
                # What it has spent is in the run's output, and in the record of a rollback.
                DEPLOYMENT.name: (
                    f"{{% $merge([{DEPLOYMENT.variable}, {{'budget': $states.result.Payload.budget}}]) %}}"
                ),
            },
            undo=rollback,
        )
        promote = self._task(
            "Deploy: promote",
            self._function("Promote", "Gives the new version all of the traffic"),
            assign={DEPLOYMENT.name: f"{{% $merge([{DEPLOYMENT.variable}, $states.result.Payload]) %}}"},
            undo=rollback,
        )
        done = sfn.Pass.jsonata(self._scope, "Deploy: done")
        unhealthy = self._unhealthy()
        bake = sfn.Wait.jsonata(
            self._scope, "Deploy: bake", time=sfn.WaitTime.duration(self._rollout.interval)
        )

        begin.next(stage)
        stage.next(
            sfn.Choice.jsonata(self._scope, "Deploy: what is live?")
            .when(_condition("$deployment.unchanged = true"), done)
            # The first model has nobody to share the traffic with.
            .when(_condition("$type($deployment.previous) = 'string'"), shift)
            .otherwise(promote)
        )
        shift.next(bake)
        bake.next(check)
        check.next(
            sfn.Choice.jsonata(self._scope, "Deploy: healthy?")
            .when(_condition("$health.healthy != true"), unhealthy)
            .when(_condition(f"$checks < {self._rollout.checks}"), bake)
            .otherwise(promote)
        )
        unhealthy.next(rollback)
        promote.next(done)
        return States(begin, [done])

    def _begin(self) -> sfn.Pass:
        inference = self._inference
        return sfn.Pass.jsonata(
            self._scope,
            "Deploy: begin",
            assign={
                _REQUEST: {
                    "run": RUN,
                    "data": DATA.expression,
                    "function": inference.function.function_name,
                    "alias": inference.alias.alias_name,
                    "model": MODEL.expression,
                    "sha256": SHA256.expression,
                    "manifest": MANIFEST.expression,
                    "golden": {"rows": HOLDOUT.expression, "scores": SCORES.expression},
                    "pointer": {
                        "bucket": inference.models.bucket.bucket_name,
                        "key": inference.models_prefix,
                    },
                    "percent": self._rollout.percent,
                    "alarms": [alarm.alarm_name for alarm in inference.alarms],
                    "metrics": {
                        "namespace": inference.metrics_namespace,
                        "service": inference.metrics_service,
                    },
                    "guard": self._guard.as_event(),
                    "begun": "{% $states.context.State.EnteredTime %}",
                    "allow_older_data": "{% $states.context.Execution.Input.allowOlderData = true %}",
                },
                DEPLOYMENT.name: {},
                "checks": 0,
            },
        )

    def _unhealthy(self) -> sfn.Pass:
        return sfn.Pass.jsonata(
            self._scope,
            "Deploy: unhealthy",
            assign={
                "failure": {
                    "error": "DeploymentFailed",
                    "cause": "{% 'The new version does not do well: ' & $join($health.reasons, '; ') %}",
                    "state": "Deploy: check",
                }
            },
        )

    def _rollback(self) -> Task:
        """Undo whatever the deployment did, then go on to the failure path; a failing undo is recorded
        there."""
        function = self._function("Rollback", "Goes back to the version that was live")
        task = self._context.invoke(
            self._scope,
            "Deploy: rollback",
            function=function,
            payload=_EVENT,
            assign={ROLLBACK_VARIABLE: "{% $states.result.Payload %}"},
            catch=False,
        )
        task.add_catch(
            self._context.failure,
            errors=["States.ALL"],
            assign={
                ROLLBACK_VARIABLE: {
                    "rolled_back": False,
                    "error": "{% $states.errorOutput.Error %}",
                    "cause": "{% $exists($states.errorOutput.Cause) ? $states.errorOutput.Cause : '' %}",
                }
            },
            outputs={},
        )
        task.next(self._context.failure)
        return task

    def _task(self, id: str, function: PlatformFunction, *, assign: dict[str, str], undo: sfn.State) -> Task:
        return self._context.invoke(
            self._scope, id, function=function, payload=_EVENT, assign=assign, fails_into=undo
        )

    def _function(self, id: str, description: str) -> PlatformFunction:
        function = self._context.function(
            self._scope,
            id,
            handler=f"deploy.{id.lower()}",
            description=description,
            timeout=Duration.minutes(TIMEOUT_MINUTES[id]),
        )
        role = function.role
        self._allow_alias(
            role, move=id in ("Shift", "Promote", "Rollback"), reads_versions=id not in ("Shift", "Check")
        )
        if id in ("Stage", "Promote", "Rollback"):
            self._allow_latest(role, publish=id == "Stage")
        if id in ("Stage", "Check"):
            self._allow_test(role)
        if id == "Stage":
            self._allow_age_of_data(role)
        if id in ("Stage", "Check"):
            self._allow_health(role, errors=id == "Check")
        if id in ("Promote", "Rollback"):
            self._inference.models.grant_write(role, self._inference.pointer_key)
        if id not in ("Shift", "Check"):
            # Versions that CloudFormation published follow the pointer, which may not be there yet.
            self._inference.models.grant_read(role, self._inference.pointer_key)
            allow_existence_checks(role, self._inference.models)
        return function

    def _allow_alias(self, role: iam.Role, *, move: bool, reads_versions: bool) -> None:
        function = self._inference.function
        actions = ["lambda:GetAlias"]
        if move:
            actions.append("lambda:UpdateAlias")
        self._allow(role, actions, [function.function_arn, self._inference.alias.function_arn])
        if not reads_versions:
            return
        # A version's configuration says which model it serves.
        self._allow(
            role, ["lambda:GetFunctionConfiguration"], [function.function_arn, f"{function.function_arn}:*"]
        )
        self._acknowledge_versions(role)

    def _allow_latest(self, role: iam.Role, *, publish: bool) -> None:
        actions = ["lambda:UpdateFunctionConfiguration"]
        if publish:
            actions.append("lambda:PublishVersion")
        self._allow(role, actions, [self._inference.function.function_arn])
        if not self._inference.function.is_bound_to_vpc:
            return
        # Lambda asks them of whoever attaches a function to a VPC. Its pages do not say that an update of
        # other settings is exempt.
        self._allow(role, ["ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"], ["*"])
        acknowledge(
            role,
            ["AwsSolutions-IAM5[Resource::*]"],
            "ec2:DescribeSecurityGroups, ec2:DescribeSubnets and ec2:DescribeVpcs have no resource-level "
            "permissions; they read how a network is laid out and change nothing. Lambda asks them of "
            "whoever configures a function in a VPC.",
        )

    def _allow_test(self, role: iam.Role) -> None:
        """Invoke a version by its number, with rows and scores that the run left."""
        self._context.grant_read(role, MANIFEST, HOLDOUT, SCORES)
        function = self._inference.function
        self._allow(role, ["lambda:InvokeFunction"], [f"{function.function_arn}:*"])
        self._acknowledge_versions(role)

    def _allow_age_of_data(self, role: iam.Role) -> None:
        """See when an object was uploaded: S3 asks for the permission to read it, though not for its key."""
        data = self._context.data
        objects = data.zone.bucket.arn_for_objects(f"{data.prefix}*")
        self._allow(role, ["s3:GetObject", "s3:GetObjectVersion"], [objects])
        # Data that were withdrawn are missing, and not forbidden.
        allow_existence_checks(role, data.zone)
        acknowledge_wildcards(
            role,
            data.zone.bucket,
            [objects],
            "Whoever uploads data names the objects; the wildcard stands for those below the prefix of the "
            "pipeline's data.",
        )

    def _allow_health(self, role: iam.Role, *, errors: bool) -> None:
        actions = ["cloudwatch:DescribeAlarms"]
        if errors:
            actions.append("cloudwatch:GetMetricStatistics")
        # CloudWatch answers a request that may concern composite alarms only where it is allowed on all.
        self._allow(role, actions, ["*"])
        acknowledge(
            role,
            ["AwsSolutions-IAM5[Resource::*]"],
            "cloudwatch:GetMetricStatistics has no resource-level permissions, and cloudwatch:DescribeAlarms "
            "none that cover composite alarms; they read numbers and states, no contents.",
        )

    def _acknowledge_versions(self, role: iam.Role) -> None:
        function = self._inference.function
        acknowledge_wildcards(
            role,
            function,
            [f"{function.function_arn}:*"],
            "Lambda numbers the versions of a function; the wildcard stands for those of this one function.",
        )

    def _allow(self, role: iam.Role, actions: list[str], resources: list[str]) -> None:
        iam.Grant.add_to_principal(grantee=role, actions=actions, resource_arns=resources)


def _condition(expression: str) -> sfn.Condition:
    return sfn.Condition.jsonata(f"{{% {expression} %}}")
