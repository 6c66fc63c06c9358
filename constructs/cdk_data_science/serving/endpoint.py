"""Real-time predictions from models behind one name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from aws_cdk import Duration, Stack
from aws_cdk import aws_applicationautoscaling as appscaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from cdk_data_science._validation import Problems, is_token
from cdk_data_science.monitoring import AlertTopic
from cdk_data_science.serving import _autoscaling
from cdk_data_science.serving._built_endpoint import BuiltEndpoint, check_name
from cdk_data_science.serving._checks import check_capture, check_shadow, check_slow, check_variants
from cdk_data_science.serving._endpoint_base import EndpointBase, IModelEndpoint
from cdk_data_science.serving._guardrails import Guardrails, default_rollout
from cdk_data_science.serving._kinds import Kinds
from cdk_data_science.serving.capture import DataCapture
from cdk_data_science.serving.rollout import Rollout
from cdk_data_science.serving.variants import InstanceVariant, ServerlessVariant


class ModelEndpoint(BuiltEndpoint):
    """A SageMaker endpoint: one or more variants behind one name, rolled out step by step, rolled back by
    alarms.

    Builds the endpoint configuration, which CloudFormation names and so can replace; the endpoint; alarms on
    errors and on slow answers, which roll a deployment back and are told to the topic; and, where a variant
    asks for it, its autoscaling. The execution role of each model gets the endpoint's log, its data capture
    and core dumps, and nothing more.

    An update takes the number of instances that autoscaling has chosen, not the template's, and the
    template's weights. A failed or alarming update goes back to the old fleet.

    The key encrypts the instances' volumes. Types with local NVMe disks encrypt these themselves, with keys
    of their hardware: it does not cover them.

    At rest it costs the instances of its variants, two if not said otherwise, and nothing for them if it is
    serverless; 1 USD a month for a new key, and 0.10 USD for each alarm.

    Example:
        ```python
        import aws_cdk as cdk
        from aws_cdk import aws_iam as iam
        from cdk_data_science import (
            Artifact,
            Canary,
            DataCapture,
            DataLake,
            InstanceVariant,
            Model,
            ModelEndpoint,
            Scaling,
            TrackInvocations,
        )

        lake = DataLake(self, "Lake")
        model = Model(
            self,
            "Model",
            image="683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3",
            artifact=Artifact(zone=lake.models, key="models/reviews/1/model.tar.gz"),
        )
        reviews = ModelEndpoint(
            self,
            "Reviews",
            variants=[
                InstanceVariant(
                    name="main",
                    model=model,
                    instance_type="ml.m6i.large",
                    scaling=Scaling(
                        maximum=6,
                        policies=[TrackInvocations.from_load_test(peak_per_second=40)],
                    ),
                )
            ],
            rollout=Canary(percent=10, bake=cdk.Duration.minutes(10)),
            data_capture=DataCapture(zone=lake.curated, percent=20),
            slow=cdk.Duration.millis(200),
        )
        shop = iam.Role(self, "Shop", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
        reviews.grant_invoke(shop)
        ```

    Args:
        variants: 1 to 10 :class:`InstanceVariant`, or one :class:`ServerlessVariant`.
        shadow: A variant that gets copies of the requests and whose answers nobody sees, beside one variant
            on instances. How many are copied follows from its weight.
        endpoint_name: At most 63 letters, digits and hyphens. Default: made from the construct's place, and
            not left to CloudFormation, because the alarms that roll back name the endpoint.
        rollout: How an update takes over. Default: a canary of 10 per cent for ten minutes; all at once where
            SageMaker has no canaries (serverless, Inf1) or a variant may have a single instance.
        termination_wait: How long the old fleet is kept after that, for going back at once; 0 s to one hour.
            Default: five minutes.
        rollout_timeout: Ten minutes to eight hours. Default: SageMaker's.
        rollback_alarms: Alarms that roll back beside the endpoint's own; ten together, which is all that
            SageMaker watches. Of six variants or more, those on errors roll back, not those on slow answers.
        data_capture: What is kept of requests and answers. Default: nothing.
        key: Key of the volumes and of a new topic. Default: a new one.
        alerts: Topic of the alarms. Default: a new one.
        slow: 99th percentile of the containers' time that sets off the alarm: more than zero, at most 60 s,
            which is all that SageMaker waits. Default: 30 s.

    Raises:
        ConfigurationError: values that SageMaker would refuse, or would leave out without a word, all of them
            at once.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        variants: Sequence[InstanceVariant | ServerlessVariant],
        shadow: InstanceVariant | None = None,
        endpoint_name: str | None = None,
        rollout: Rollout | None = None,
        termination_wait: Duration | None = None,
        rollout_timeout: Duration | None = None,
        rollback_alarms: Sequence[cloudwatch.IAlarm] = (),
        data_capture: DataCapture | None = None,
        key: kms.IKey | None = None,
        alerts: AlertTopic | None = None,
        slow: Duration | None = None,
    ) -> None:
        super().__init__(scope, id)
        kinds = Kinds("ModelEndpoint", self).many("variants", variants, InstanceVariant, ServerlessVariant)
        kinds.one("shadow", shadow, InstanceVariant).one("rollout", rollout, *get_args(Rollout))
        kinds.one("data_capture", data_capture, DataCapture).one("alerts", alerts, AlertTopic)
        kinds.constructs("rollback_alarms", rollback_alarms)
        kinds.durations(termination_wait=termination_wait, rollout_timeout=rollout_timeout, slow=slow)
        kinds.raise_if_any()
        everyone = [*variants, *([shadow] if shadow is not None else [])]
        guardrails = Guardrails(
            rollout=rollout if rollout is not None else default_rollout(everyone),
            termination_wait=termination_wait,
            timeout=rollout_timeout,
        )
        problems = Problems("ModelEndpoint", self)
        check_variants(problems, variants, shadow)
        if shadow is not None:
            check_shadow(problems, variants, shadow)
        if data_capture is not None:
            check_capture(problems, variants, data_capture)
        guardrails.check(problems, everyone)
        check_slow(problems, slow)
        self._check_alarms(problems, len(variants), rollback_alarms)
        check_name(problems, endpoint_name)
        problems.raise_if_any()
        on_instances = [each for each in everyone if isinstance(each, InstanceVariant)]
        self._name(endpoint_name, everyone)
        self._make_key_and_alerts(key, alerts)
        self._extend_roles(everyone)
        if data_capture is not None:
            for role in self._roles(everyone):
                data_capture.grant(role)
        self.config = sagemaker.CfnEndpointConfig(
            self,
            "Config",
            production_variants=[each.render() for each in variants],
            shadow_production_variants=None if shadow is None else [shadow.render()],
            data_capture_config=None if data_capture is None else data_capture.render(),
            kms_key_id=self.key.key_arn if on_instances else None,
        )
        self._after_roles(self.config, everyone)
        rolling_back = self._make_alarms(
            [each.name for each in variants], slow if slow is not None else Duration.seconds(30)
        )
        self._make_endpoint(
            self.config,
            everyone,
            guardrails,
            [*rolling_back, *rollback_alarms],
            keep_capacity=any(each.scaling is not None for each in variants),
        )
        self.scalable_targets = self._scale(variants)

    @staticmethod
    def from_endpoint_name(scope: Construct, id: str, endpoint_name: str) -> IModelEndpoint:
        """Use an endpoint of this account and region that something else owns.

        Its metrics take the name of their variant.

        Raises:
            ConfigurationError: a name that no endpoint can have.
        """
        return _ImportedEndpoint(scope, id, endpoint_name)

    def _scale(
        self, variants: Sequence[InstanceVariant | ServerlessVariant]
    ) -> dict[str, appscaling.ScalableTarget]:
        """By the names of their variants."""
        targets = {}
        for each in variants:
            if each.scaling is None:
                continue
            serverless = isinstance(each, ServerlessVariant)
            target = _autoscaling.scalable_target(
                self,
                f"Scaling{each.name}",
                resource_id=_autoscaling.variant_id(self.endpoint_name, each.name),
                dimension=_autoscaling.PROVISIONED_CONCURRENCY if serverless else _autoscaling.INSTANCES,
                minimum=each.scaling.minimum,
                maximum=each.scaling.maximum,
            )
            if isinstance(each, ServerlessVariant):
                _autoscaling.scale_concurrency(target, each.scaling)
            else:
                _autoscaling.scale_instances(target, each.scaling, each, self._metric_of(each.name))
            targets[each.name] = target
        return targets

    def _metric_of(self, variant: str) -> _autoscaling.VariantMetric:
        return lambda namespace, name, statistic: self.metric(
            name, variant=variant, statistic=statistic, namespace=namespace
        )


class _ImportedEndpoint(EndpointBase):
    """An endpoint that something else owns."""

    def __init__(self, scope: Construct, id: str, endpoint_name: str) -> None:
        super().__init__(scope, id)
        problems = Problems("ModelEndpoint", self)
        check_name(problems, endpoint_name)
        problems.raise_if_any()
        self.endpoint_name = self._metrics_name = endpoint_name
        # SageMaker writes ARNs of endpoints in lower case.
        written = endpoint_name if is_token(endpoint_name) else endpoint_name.lower()
        self.endpoint_arn = Stack.of(self).format_arn(
            service="sagemaker", resource="endpoint", resource_name=written
        )
