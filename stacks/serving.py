"""Where models answer."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from cdk_data_science import AlertTopic, DataLake, ServerlessInference
from settings.model import Inference, Settings
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
            "FunctionUrl": (self.inference.url.url, "POST predictions here, signed with IAM credentials"),
        }
        for name, (value, description) in outputs.items():
            cdk.CfnOutput(self, name, value=value, description=description)


def python_runtime(settings: Settings) -> lambda_.Runtime:
    """Return the Lambda runtime that the settings name."""
    return lambda_.Runtime(f"python{settings.functions.python}", lambda_.RuntimeFamily.PYTHON)


def architecture(settings: Settings) -> lambda_.Architecture:
    """Return the processor architecture that the settings name."""
    arm = settings.functions.architecture == "arm64"
    return lambda_.Architecture.ARM_64 if arm else lambda_.Architecture.X86_64
