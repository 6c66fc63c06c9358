"""A candidate beside a model in production for a while: the same requests, nobody sees its answers."""

from __future__ import annotations

import datetime
import hashlib

from aws_cdk import ArnFormat, Names, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from cdk_data_science._acknowledgements import acknowledge_inline_policy, acknowledge_wildcards
from cdk_data_science._validation import Problems, is_token
from cdk_data_science.serving._checks import check_shadow
from cdk_data_science.serving.capture import DataCapture
from cdk_data_science.serving.endpoint import ModelEndpoint
from cdk_data_science.serving.variants import InstanceVariant

_LONGEST_NAME = 63
Experiment = sagemaker.CfnInferenceExperiment


class ShadowExperiment(Construct):
    """A shadow test of SageMaker: it puts a candidate beside an endpoint's variant at a time, copies a share
    of the requests to it, and takes it away again at another. SageMaker's console compares the two.

    It is for a test that begins and ends by itself. A shadow that stays until the next deployment is
    ``ModelEndpoint(shadow=…)``, which costs no second configuration.

    While it runs, SageMaker has given the endpoint a configuration of its own: deploy no change of the
    endpoint then, or CloudFormation and the experiment overwrite each other's. Whoever promotes the candidate
    in the console has to bring the same model into the app afterwards.

    The role may change this endpoint, make configurations, and read what its models are, which SageMaker does
    in its name; it reads no data. What is captured is written by the models.

    While it runs it costs the candidate's instances; at rest nothing.

    Example:
        ```python
        from cdk_data_science import (
            Artifact,
            DataCapture,
            DataLake,
            InstanceVariant,
            Model,
            ModelEndpoint,
        )
        from cdk_data_science.serving import ShadowExperiment

        lake = DataLake(self, "Lake")
        image = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"
        now, then = (
            InstanceVariant(
                name=f"v{number}",
                model=Model(
                    self,
                    f"Model{number}",
                    image=image,
                    artifact=Artifact(zone=lake.models, key=f"models/reviews/{number}/model.tar.gz"),
                ),
                instance_type="ml.m6i.large",
            )
            for number in (1, 2)
        )
        endpoint = ModelEndpoint(self, "Reviews", variants=[now])
        ShadowExperiment(
            self,
            "Trial",
            endpoint=endpoint,
            production=now,
            candidate=then,
            percent=20,
            start="2026-12-01T08:00:00Z",
            end="2026-12-08T08:00:00Z",
            data_capture=DataCapture(zone=lake.curated, prefix="trial/"),
        )
        ```

    Args:
        endpoint: An endpoint of one variant on instances.
        production: Its variant, which answers.
        candidate: What gets the copies. Its model's role gets the endpoint's log, and what is captured.
        percent: Share of the requests that is copied: more than 0, at most 100, a whole number.
        start: When it begins, as ISO 8601 with an offset or Z. Default: at once.
        end: When it ends. Default: SageMaker's, seven days after the start.
        data_capture: Where requests and answers of both are kept. Default: nothing is kept.
        name: Default: made from the construct's place and the endpoint's name.
        description: What is shown beside it, at most 1024 characters.

    Raises:
        ConfigurationError: values that SageMaker would refuse, all of them at once.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/shadow-tests.html
    """

    experiment: sagemaker.CfnInferenceExperiment
    """The experiment itself."""

    role: iam.Role
    """In whose name SageMaker changes the endpoint."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        endpoint: ModelEndpoint,
        production: InstanceVariant,
        candidate: InstanceVariant,
        percent: int = 100,
        start: str | None = None,
        end: str | None = None,
        data_capture: DataCapture | None = None,
        name: str | None = None,
        description: str | None = None,
    ) -> None:
        super().__init__(scope, id)
        problems = Problems("ShadowExperiment", self)
        problems.check(
            endpoint.variant_names == (production.name,),
            given=f"production variant {production.name!r} of an endpoint with "
            f"{', '.join(map(repr, endpoint.variant_names))}",
            allowed="the only variant of the endpoint, and no shadow",
        )
        candidate.check(problems)
        check_shadow(problems, [production], candidate)
        problems.check(
            candidate.name != production.name,
            given=f"two variants of the name {candidate.name!r}",
            allowed="a name of its own for each",
        )
        problems.check(
            is_token(percent) or (percent == int(percent) and 0 < percent <= 100),
            given=f"percent={percent}",
            allowed="a whole number, 1 to 100",
            write="percent=100",
        )
        _check_times(problems, start, end)
        if data_capture is not None:
            data_capture.check(problems)
        problems.check(
            description is None or len(description) <= 1024,
            given=f"description of {len(description or '')} characters",
            allowed="at most 1024",
        )
        problems.raise_if_any()
        self._variants = (production, candidate)
        endpoint.admit(candidate)
        if data_capture is not None:
            for variant in self._variants:
                if variant.model.role is not None:
                    data_capture.grant(variant.model.role)
        self.role = self._make_role(endpoint)
        self.experiment = Experiment(
            self,
            "Experiment",
            name=name if name is not None else self._made_name(endpoint),
            type="ShadowMode",
            description=description,
            endpoint_name=endpoint.endpoint_name,
            role_arn=self.role.role_arn,
            kms_key=endpoint.key.key_arn,
            schedule=None
            if start is None and end is None
            else Experiment.InferenceExperimentScheduleProperty(start_time=start, end_time=end),
            model_variants=[_variant(each) for each in self._variants],
            shadow_mode_config=Experiment.ShadowModeConfigProperty(
                source_model_variant_name=production.name,
                shadow_model_variants=[
                    Experiment.ShadowModelVariantConfigProperty(
                        shadow_model_variant_name=candidate.name, sampling_percentage=percent
                    )
                ],
            ),
            data_storage_config=None if data_capture is None else _storage(data_capture),
        )
        self.experiment.node.add_dependency(self.role)
        for variant in self._variants:
            if variant.model.role is not None:
                self.experiment.node.add_dependency(variant.model.role)
        self.node.default_child = self.experiment

    def _made_name(self, endpoint: ModelEndpoint) -> str:
        digest = hashlib.sha256(endpoint.given_name.encode()).hexdigest()[:8]
        made = Names.unique_resource_name(self, max_length=_LONGEST_NAME - len(digest) - 1, separator="-")
        return f"{made}-{digest}"

    def _make_role(self, endpoint: ModelEndpoint) -> iam.Role:
        stack = Stack.of(self)
        configs = stack.format_arn(
            service="sagemaker",
            resource="endpoint-config",
            resource_name="*",
            arn_format=ArnFormat.SLASH_RESOURCE_NAME,
        )
        role = iam.Role(
            self,
            "Role",
            description=f"SageMaker runs the shadow test {self.node.path}"[:1000],
            assumed_by=iam.ServicePrincipal(
                "sagemaker.amazonaws.com",
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnLike": {
                        "aws:SourceArn": stack.format_arn(
                            service="sagemaker", resource="*", arn_format=ArnFormat.NO_RESOURCE_NAME
                        )
                    },
                },
            ),
        )
        for actions, resources in (
            (
                (
                    "sagemaker:DescribeEndpoint",
                    "sagemaker:UpdateEndpoint",
                    "sagemaker:UpdateEndpointWeightsAndCapacities",
                ),
                [endpoint.endpoint_arn],
            ),
            (("sagemaker:UpdateEndpoint",), [configs]),
            (
                (
                    "sagemaker:CreateEndpointConfig",
                    "sagemaker:DeleteEndpointConfig",
                    "sagemaker:DescribeEndpointConfig",
                ),
                [configs],
            ),
            (("sagemaker:DescribeModel",), [self._model_arn(each) for each in self._variants]),
        ):
            role.add_to_policy(iam.PolicyStatement(actions=list(actions), resources=resources))
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["kms:CreateGrant"],
                resources=[endpoint.key.key_arn],
                conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
            )
        )
        acknowledge_inline_policy(role)
        acknowledge_wildcards(
            role,
            self,
            [configs],
            "SageMaker names the configurations that it makes for the test, and deletes them after it. One "
            "serves nothing until an endpoint gets it, and the endpoint is named. No code works as this "
            "role: SageMaker of this account alone takes it.",
        )
        return role

    def _model_arn(self, variant: InstanceVariant) -> str:
        return Stack.of(self).format_arn(
            service="sagemaker", resource="model", resource_name=variant.model.model_name
        )


def _variant(variant: InstanceVariant) -> sagemaker.CfnInferenceExperiment.ModelVariantConfigProperty:
    return Experiment.ModelVariantConfigProperty(
        model_name=variant.model.model_name,
        variant_name=variant.name,
        infrastructure_config=Experiment.ModelInfrastructureConfigProperty(
            infrastructure_type="RealTimeInference",
            real_time_inference_config=Experiment.RealTimeInferenceConfigProperty(
                instance_type=variant.instance_type, instance_count=variant.instance_count
            ),
        ),
    )


def _storage(capture: DataCapture) -> sagemaker.CfnInferenceExperiment.DataStorageConfigProperty:
    zone = capture.zone
    return Experiment.DataStorageConfigProperty(
        destination=zone.uri(capture.prefix.rstrip("/")),
        kms_key=None if zone.key is None else zone.key.key_arn,
        content_type=Experiment.CaptureContentTypeHeaderProperty(
            json_content_types=list(capture.json_types) or None,
            csv_content_types=list(capture.csv_types) or None,
        )
        if capture.json_types or capture.csv_types
        else None,
    )


def _check_times(problems: Problems, start: str | None, end: str | None) -> None:
    read: list[datetime.datetime | None] = []
    for name, time in (("start", start), ("end", end)):
        found = None
        if time is not None and not is_token(time):
            try:
                found = datetime.datetime.fromisoformat(time)
            except ValueError:
                found = None
            problems.check(
                found is not None and found.tzinfo is not None,
                given=f"{name}={time!r}",
                allowed="a time in ISO 8601 with its offset or Z",
                write=f'{name}="2026-12-01T08:00:00Z"',
            )
        read.append(found if found is not None and found.tzinfo is not None else None)
    first, last = read
    problems.check(
        first is None or last is None or first < last,
        given=f"start={start!r} and end={end!r}",
        allowed="an end after the start",
    )
