"""Where models answer."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_applicationautoscaling as appscaling
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from cdk_data_science import AlertTopic, DataLake, ServerlessInference
from cdk_data_science.serving import (
    ConcurrencyScaling,
    Jwt,
    PayloadsInS3,
    PredictionApi,
    PredictionQueue,
    Predictions,
    ScheduledCapacity,
)
from settings.inference import HttpApi, Inference, ProvisionedConcurrency
from settings.model import Settings
from stacks import checks
from stacks.network import NetworkStack


class ServingStack(cdk.Stack):
    """Predictions from a Lambda function behind an alias, with its alarms."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        inference: Inference,
        lake: DataLake,
        alerts: AlertTopic,
        network: NetworkStack | None,
        env: cdk.Environment,
    ) -> None:
        super().__init__(scope, id, env=env, description="Serving: inference function, alias, URL, alarms")
        self.inference = ServerlessInference(
            self,
            "Inference",
            models=lake.models,
            memory_size=inference.memory_mb,
            timeout=cdk.Duration.seconds(inference.timeout_seconds),
            reserved_concurrency=inference.reserved_concurrency,
            runtime=python_runtime(settings),
            architecture=architecture(settings),
            alerts=alerts,
            network=None if network is None else network.functions,
            max_rows=inference.max_rows,
            function_url=inference.function_url,
            snap_start=inference.snap_start,
            named_models=inference.named_models,
            max_loaded_models=inference.max_loaded_models,
            refresh=None
            if inference.refresh_seconds is None
            else cdk.Duration.seconds(inference.refresh_seconds),
            provisioned_concurrency=None
            if inference.provisioned is None
            else _scaling(inference.provisioned),
            http_api=None if inference.http_api is None else _api(inference.http_api),
            payloads=(
                None
                if inference.payloads is None
                else PayloadsInS3(
                    zone=lake.raw,
                    requests_prefix="inference/requests/",
                    answers=lake.curated,
                    answers_prefix="inference/answers/",
                    max_rows=inference.payloads.max_rows,
                    max_mib=inference.payloads.max_mib,
                )
            ),
            predictions=(
                None
                if inference.queue is None
                else Predictions.to_zone(lake.curated, "inference/predictions/")
            ),
        )
        self.queue: PredictionQueue | None = None
        if inference.queue is not None:
            queue = inference.queue
            self.queue = PredictionQueue(
                self,
                "Queue",
                inference=self.inference,
                batch_size=queue.batch_size,
                window=cdk.Duration.seconds(queue.window_seconds),
                tries=queue.tries,
                max_concurrency=queue.max_concurrency,
            )
        if inference.reserved_concurrency is None:
            checks.accept(
                self.inference.function,
                "LAM5",
                "A reservation takes from the account's pool, of which a new account has nothing to spare: "
                "the settings name one where the quota allows it. Callers need IAM credentials.",
            )
        outputs = {
            "FunctionName": (self.inference.function.function_name, "The inference function"),
            "AliasName": (self.inference.alias.alias_name, "The alias whose version serves"),
        }
        if inference.function_url:
            outputs["FunctionUrl"] = (
                self.inference.url.url,
                "POST predictions here, signed with IAM credentials",
            )
        if self.inference.http_api is not None:
            whom = "signed with IAM credentials" if _signed(inference) else "with a token"
            outputs["HttpApiUrl"] = (self.inference.http_api.url, f"POST predictions here, {whom}")
        if self.queue is not None:
            outputs["PredictionQueueUrl"] = (
                self.queue.queue.queue_url,
                "Messages that are sent here are predicted",
            )
        for name, (value, description) in outputs.items():
            cdk.CfnOutput(self, name, value=value, description=description)


def _seconds(seconds: int | None) -> cdk.Duration | None:
    return None if seconds is None else cdk.Duration.seconds(seconds)


def _signed(inference: Inference) -> bool:
    return inference.http_api is not None and inference.http_api.tokens is None


def _api(api: HttpApi) -> PredictionApi:
    tokens = api.tokens
    return PredictionApi(
        rate=api.requests_per_second,
        burst=api.burst,
        origins=api.origins,
        jwt=(
            None
            if tokens is None
            else Jwt(issuer=tokens.issuer, audience=tokens.audience, scopes=tokens.scopes)
        ),
    )


def _scaling(provisioned: ProvisionedConcurrency) -> ConcurrencyScaling:
    times = provisioned.working_times
    schedule = []
    if times is not None:
        zone = cdk.TimeZone.of(times.time_zone)
        switches = (
            (times.start, provisioned.minimum, provisioned.maximum),
            (times.end, 0, 0),
        )
        for time, least, most in switches:
            hour, minute = (str(int(part)) for part in time.split(":"))
            at = appscaling.Schedule.cron(minute=minute, hour=hour, week_day=",".join(times.days))
            schedule.append(ScheduledCapacity(schedule=at, minimum=least, maximum=most, time_zone=zone))
    return ConcurrencyScaling(
        # Before the first working day has begun there are none.
        minimum=provisioned.minimum if times is None else 0,
        maximum=provisioned.maximum,
        utilization=provisioned.utilization_percent / 100,
        schedule=schedule,
    )


def python_runtime(settings: Settings) -> lambda_.Runtime:
    """Return the Lambda runtime that the settings name."""
    return lambda_.Runtime(
        f"python{settings.functions.python}", lambda_.RuntimeFamily.PYTHON, supports_snap_start=True
    )


def architecture(settings: Settings) -> lambda_.Architecture:
    """Return the processor architecture that the settings name."""
    arm = settings.functions.architecture == "arm64"
    return lambda_.Architecture.ARM_64 if arm else lambda_.Architecture.X86_64
