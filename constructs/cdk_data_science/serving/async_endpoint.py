"""Predictions that take their time, from a queue, on instances that are there only while it is not empty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from aws_cdk import Duration
from aws_cdk import aws_applicationautoscaling as appscaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk_data_science._validation import FOLDER, Problems, is_token
from cdk_data_science.data_lake import IZone
from cdk_data_science.monitoring import AlertTopic, alarm
from cdk_data_science.serving import _autoscaling, _widgets
from cdk_data_science.serving._built_endpoint import BuiltEndpoint, check_name
from cdk_data_science.serving._endpoint_base import refuse_targets
from cdk_data_science.serving._guardrails import Guardrails
from cdk_data_science.serving._kinds import Kinds
from cdk_data_science.serving.rollout import AllAtOnce, Rollout
from cdk_data_science.serving.variants import InstanceVariant

_MOST_CONCURRENT = 1000
_LONGEST_SECONDS = 3600


@dataclass(frozen=True, kw_only=True, slots=True)
class Backlog:
    """How many requests may wait for each instance before another one is started."""

    per_instance: float = 5
    """More than 0."""
    maximum: int = 2
    """The most instances."""
    minimum: int = 0
    """The fewest. With 0, the first request after a pause waits until an instance has started."""
    cooldown: Duration | None = None
    """Pause between changes. Default: five minutes."""

    def check(self, problems: Problems) -> None:
        """Report what Application Auto Scaling would refuse."""
        problems.check(
            is_token(self.per_instance) or 0 < self.per_instance < math.inf,
            given=f"Backlog per_instance={self.per_instance}",
            allowed="more than 0",
            write="per_instance=5",
        )
        problems.check(
            any(map(is_token, (self.minimum, self.maximum)))
            or (0 <= self.minimum <= self.maximum and self.maximum >= 1),
            given=f"Backlog from {self.minimum} to {self.maximum}",
            allowed="a minimum of 0 or more, and a maximum of 1 or more that is not below it",
            write="minimum=0, maximum=2",
        )


class AsyncEndpoint(BuiltEndpoint):
    """A SageMaker endpoint that takes requests from S3 into a queue, writes answers to S3, and has no
    instances while nothing waits.

    Requests are up to 1 GB and may take up to an hour. Instances follow the queue. From zero they start with
    the first request, for which a policy of its own watches: the backlog for each instance has no value
    without instances. Failures are told to the topic of failures, which is the alarms' topic if not given,
    answers to that of successes, if there is one.

    Builds the configuration, the endpoint, its autoscaling, and alarms on failures, on containers that are
    too slow, and on requests that wait too long.

    At rest it costs nothing for instances with a minimum of 0; 1 USD a month for a new key and about 0.40 USD
    for its alarms, beside the two of each tracked target.

    Example:
        ```python
        import aws_cdk as cdk
        from aws_cdk import aws_iam as iam
        from cdk_data_science import Artifact, AsyncEndpoint, DataLake, InstanceVariant, Model

        lake = DataLake(self, "Lake")
        model = Model(
            self,
            "Model",
            image="763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6-gpu-py312",
            artifact=Artifact(zone=lake.models, key="models/documents/1/model.tar.gz"),
        )
        documents = AsyncEndpoint(
            self,
            "Documents",
            variant=InstanceVariant(
                name="main", model=model, instance_type="ml.g5.xlarge", instance_count=1
            ),
            requests=lake.raw,
            requests_prefix="documents/requests/",
            answers=lake.curated,
            answers_prefix="documents/answers/",
        )
        documents.grant_invoke(
            iam.Role(self, "Reader", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
        )
        ```

    Args:
        variant: What answers. Its count is that of the first deployment.
        requests: Zone of the requests, which the containers' role may read.
        requests_prefix: Folder of the zone.
        answers: Zone of the answers and failures.
        answers_prefix: Folder of the answers.
        failures_prefix: Folder of what the containers said of failures.
        successes: Topic that is told of each answer. Default: nobody is told.
        failures: Topic that is told of each failure. Default: ``alerts``.
        concurrent_requests: Requests that an instance works on at once: 1 to 1000. Default: SageMaker's.
        backlog: How the number of instances follows the queue.
        endpoint_name: As of :class:`ModelEndpoint`.
        rollout: How an update takes over. Default: all at once, since there may be no instance.
        termination_wait: As of :class:`ModelEndpoint`.
        rollout_timeout: As of :class:`ModelEndpoint`.
        rollback_alarms: As of :class:`ModelEndpoint`.
        key: Key of the volumes and of a new topic. Default: a new one.
        alerts: Topic of the alarms. Default: a new one.
        slow: 99th percentile of the containers' time that sets off the alarm: at most an hour. Default: half
            an hour.
        waiting: Age of the oldest request that sets off the alarm. Default: an hour.

    Raises:
        ConfigurationError: values that SageMaker would refuse, all of them at once.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference.html
    """

    _actions = ("sagemaker:InvokeEndpointAsync",)

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        variant: InstanceVariant,
        requests: IZone,
        answers: IZone,
        requests_prefix: str = "requests/",
        answers_prefix: str = "answers/",
        failures_prefix: str = "failures/",
        successes: sns.ITopic | None = None,
        failures: sns.ITopic | None = None,
        concurrent_requests: int | None = None,
        backlog: Backlog | None = None,
        endpoint_name: str | None = None,
        rollout: Rollout | None = None,
        termination_wait: Duration | None = None,
        rollout_timeout: Duration | None = None,
        rollback_alarms: Sequence[cloudwatch.IAlarm] = (),
        key: kms.IKey | None = None,
        alerts: AlertTopic | None = None,
        slow: Duration | None = None,
        waiting: Duration | None = None,
    ) -> None:
        super().__init__(scope, id)
        kinds = Kinds("AsyncEndpoint", self).one("variant", variant, InstanceVariant)
        kinds.one("backlog", backlog, Backlog).one("rollout", rollout, *get_args(Rollout))
        kinds.one("alerts", alerts, AlertTopic).constructs("rollback_alarms", rollback_alarms)
        kinds.durations(
            termination_wait=termination_wait, rollout_timeout=rollout_timeout, slow=slow, waiting=waiting
        )
        kinds.raise_if_any()
        follows = backlog if backlog is not None else Backlog()
        guardrails = Guardrails(
            rollout=rollout if rollout is not None else AllAtOnce(),
            termination_wait=termination_wait,
            timeout=rollout_timeout,
        )
        problems = Problems("AsyncEndpoint", self)
        variant.check(problems)
        follows.check(problems)
        _check_variant(problems, variant, follows)
        guardrails.check(problems, [variant])
        problems.check(
            isinstance(guardrails.rollout, AllAtOnce) or is_token(follows.minimum) or follows.minimum >= 2,
            given=f"rollout={type(guardrails.rollout).__name__}(…) with a backlog that scales to "
            f"{follows.minimum}",
            allowed="AllAtOnce(), or 2 instances or more at all times: a step is an instance",
            write="rollout=AllAtOnce()",
        )
        _check_options(problems, concurrent_requests, slow)
        _check_topics(problems, successes, failures)
        for name, prefix in (
            ("requests_prefix", requests_prefix),
            ("answers_prefix", answers_prefix),
            ("failures_prefix", failures_prefix),
        ):
            problems.check(
                is_token(prefix) or FOLDER.fullmatch(prefix) is not None,
                given=f"{name}={prefix!r}",
                allowed="a folder of the zone: no slash at the start, one at the end",
                write=f'{name}="{name.partition("_")[0]}/"',
            )
        self._check_alarms(problems, 1, rollback_alarms)
        check_name(problems, endpoint_name)
        problems.raise_if_any()
        self.requests, self.requests_prefix = requests, requests_prefix
        self.answers, self.answers_prefixes = answers, (answers_prefix, failures_prefix)
        self._name(endpoint_name, [variant])
        self._make_key_and_alerts(key, alerts)
        self.failures: sns.ITopic = failures if failures is not None else self.alerts.topic
        self._extend_roles([variant])
        for role in self._roles([variant]):
            requests.grant_read(role, requests_prefix)
            for prefix in (answers_prefix, failures_prefix):
                answers.grant_write(role, prefix)
            for topic in (successes, self.failures):
                if topic is not None:
                    _allow_publish(role, topic)
        self.config = sagemaker.CfnEndpointConfig(
            self,
            "Config",
            production_variants=[variant.render()],
            kms_key_id=self.key.key_arn,
            async_inference_config=sagemaker.CfnEndpointConfig.AsyncInferenceConfigProperty(
                client_config=None
                if concurrent_requests is None
                else sagemaker.CfnEndpointConfig.AsyncInferenceClientConfigProperty(
                    max_concurrent_invocations_per_instance=concurrent_requests
                ),
                output_config=sagemaker.CfnEndpointConfig.AsyncInferenceOutputConfigProperty(
                    kms_key_id=None if answers.key is None else answers.key.key_arn,
                    s3_output_path=answers.uri(answers_prefix.rstrip("/")),
                    s3_failure_path=answers.uri(failures_prefix.rstrip("/")),
                    notification_config=sagemaker.CfnEndpointConfig.AsyncInferenceNotificationConfigProperty(
                        success_topic=None if successes is None else successes.topic_arn,
                        error_topic=self.failures.topic_arn,
                    ),
                ),
            ),
        )
        self._after_roles(self.config, [variant])
        rolling_back = self._make_alarms([variant.name], slow if slow is not None else Duration.minutes(30))
        self._make_endpoint(
            self.config, [variant], guardrails, [*rolling_back, *rollback_alarms], keep_capacity=True
        )
        # Not among the alarms that roll back: a queue is long for other reasons than a new model.
        self.waiting_alarm = alarm(
            self,
            "Waiting",
            self.metric_oldest_request(),
            description="A request has waited too long: instances are missing, or too few",
            threshold=float((waiting if waiting is not None else Duration.hours(1)).to_seconds()),
        )
        self.alerts.notify(self.waiting_alarm)
        self.scalable_target = self._scale(variant, follows)

    def grant_invoke(
        self,
        grantee: iam.IGrantable,
        *,
        target_models: Sequence[str] | None = None,
    ) -> iam.Grant:
        """Let a principal put requests into the zone and ask for their answers.

        Args:
            grantee: A role, user, account or service.
            target_models: Not for asynchronous endpoints: their calls name no model.

        Raises:
            ConfigurationError: models were given.
        """
        refuse_targets("AsyncEndpoint", self, target_models)
        asked = super().grant_invoke(grantee)
        return asked.combine(self.requests.grant_write(grantee, self.requests_prefix))

    def grant_read_answers(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal read the answers, and what was said of failures."""
        read, failed = (self.answers.grant_read(grantee, prefix) for prefix in self.answers_prefixes)
        return read.combine(failed)

    def metric_backlog(self) -> cloudwatch.Metric:
        """Requests that wait or are worked on."""
        return self._queue_metric("ApproximateBacklogSize", "Maximum")

    def metric_oldest_request(self) -> cloudwatch.Metric:
        """Seconds for which the oldest request has waited."""
        return self._queue_metric("ApproximateAgeOfOldestRequest", "Maximum")

    def _traffic_widgets(self) -> list[cloudwatch.IWidget]:
        """Of the queue: requests and overhead are not published."""
        answers = [("4xx", self.metric_client_errors), ("5xx", self.metric_server_errors)]
        latency = [("container, p99", self.metric_model_latency)]
        return [
            cloudwatch.GraphWidget(
                title="Queue",
                width=12,
                left=[self.metric_backlog().with_(label="requests")],
                right=[self.metric_oldest_request().with_(label="oldest, seconds")],
            ),
            _widgets.graph("Failures a minute", self._variants, answers),
            _widgets.graph("Latency", self._variants, latency, unit="microseconds"),
        ]

    def _queue_metric(self, name: str, statistic: str) -> cloudwatch.Metric:
        """The queue is the endpoint's: its metrics have no variant."""
        return cloudwatch.Metric(
            namespace="AWS/SageMaker",
            metric_name=name,
            dimensions_map={"EndpointName": self._metrics_name},
            statistic=statistic,
            period=Duration.minutes(1),
        )

    def _scale(self, variant: InstanceVariant, backlog: Backlog) -> appscaling.ScalableTarget:
        target = _autoscaling.scalable_target(
            self,
            "Scaling",
            resource_id=_autoscaling.variant_id(self.endpoint_name, variant.name),
            dimension=_autoscaling.INSTANCES,
            minimum=backlog.minimum,
            maximum=backlog.maximum,
        )
        _autoscaling.scale_on_backlog(
            target,
            backlog_per_instance=backlog.per_instance,
            metric=self._queue_metric,
            cooldown=backlog.cooldown if backlog.cooldown is not None else Duration.minutes(5),
        )
        return target


def _allow_publish(role: iam.IRole, topic: sns.ITopic) -> None:
    """What CDK grants for an encrypted topic has a wildcard in its actions."""
    iam.Grant.add_to_principal(grantee=role, actions=["sns:Publish"], resource_arns=[topic.topic_arn])
    if topic.master_key is not None:
        topic.master_key.grant(role, "kms:Decrypt", "kms:GenerateDataKey")


def _check_variant(problems: Problems, variant: InstanceVariant, backlog: Backlog) -> None:
    problems.check(
        variant.scaling is None,
        given=f"scaling of variant {variant.name!r}",
        allowed="the backlog's: SageMaker publishes no other metric to scale an asynchronous endpoint on",
        write="backlog=Backlog(…)",
    )
    known = variant.facts
    problems.check(
        known is None or not known.burstable,
        given=f"instance_type={variant.instance_type!r}",
        allowed="types that do not burst: SageMaker scales no others",
        write='instance_type="ml.m6i.large"',
    )
    problems.check(
        any(map(is_token, (variant.instance_count, backlog.minimum, backlog.maximum)))
        or max(backlog.minimum, 1) <= variant.instance_count <= backlog.maximum,
        given=f"instance_count={variant.instance_count} with a backlog that scales from {backlog.minimum} to "
        f"{backlog.maximum}",
        allowed="a first count between them, 1 or more",
        write="instance_count=1",
    )
    problems.check(
        is_token(variant.weight) or variant.weight > 0,
        given=f"weight={variant.weight} of the only variant",
        allowed="more than 0",
        write="weight=1",
    )
    problems.check(
        not variant.model.multi_model,
        given="a multi-model model",
        allowed="one model: a call of InvokeEndpointAsync names none",
        write="ModelEndpoint(…)",
    )


def _check_topics(problems: Problems, successes: sns.ITopic | None, failures: sns.ITopic | None) -> None:
    problems.check(
        successes is None or failures is None or successes.node.path != failures.node.path,
        given="the same topic for successes and failures",
        allowed="two topics: whoever watches for failures is not told of each answer",
        write="failures=None, which tells the alarms' topic",
    )


def _check_options(problems: Problems, concurrent: int | None, slow: Duration | None) -> None:
    problems.check(
        concurrent is None or is_token(concurrent) or 1 <= concurrent <= _MOST_CONCURRENT,
        given=f"concurrent_requests={concurrent}",
        allowed=f"1 to {_MOST_CONCURRENT}",
        write="concurrent_requests=None",
    )
    if slow is not None and not slow.is_unresolved():
        seconds = slow.to_seconds(integral=False)
        problems.check(
            0 < seconds <= _LONGEST_SECONDS,
            given=f"slow={seconds:g} s",
            allowed="more than zero, at most an hour",
            write="slow=Duration.minutes(30)",
        )
