"""What the platform's stacks say about themselves: their outputs, found by key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

REQUIRED = ("RawBucket", "StateMachineArn", "TrainingSourcePrefix", "FunctionName", "AliasName")


class NotDeployedError(RuntimeError):
    """The platform is not there, or not all of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Platform:
    """Where this example puts its data and code, and where the answers come from."""

    raw_bucket: str
    state_machine_arn: str
    training_source_prefix: str
    function_name: str
    alias_name: str
    function_url: str | None


def find_platform(cloudformation: CloudFormationClient, name: str) -> Platform:
    """The platform whose stacks' names start with ``name-``.

    Raises:
        NotDeployedError: an output is missing, or two stacks have one of the same key.
    """
    outputs: dict[str, str] = {}
    owners: dict[str, str] = {}
    stacks = []
    for page in cloudformation.get_paginator("describe_stacks").paginate():
        for stack in page["Stacks"]:
            if not stack["StackName"].startswith(f"{name}-") or stack["StackStatus"] == "DELETE_COMPLETE":
                continue
            stacks.append(stack["StackName"])
            for output in stack.get("Outputs", []):
                key = output["OutputKey"]
                if key in REQUIRED and key in owners:
                    raise NotDeployedError(
                        f"Both {owners[key]} and {stack['StackName']} have an output {key}: give the "
                        f"platforms names that do not start with one another."
                    )
                owners[key], outputs[key] = stack["StackName"], output["OutputValue"]
    missing = [key for key in REQUIRED if key not in outputs]
    if missing:
        seen = f"its stacks are {', '.join(sorted(stacks))}" if stacks else "it has no stack"
        raise NotDeployedError(
            f"The platform {name} is not deployed here, or not completely: {seen}; no output "
            f"{', '.join(missing)}. Deploy it first (`make local`, or `make deploy ENVIRONMENT=…`)."
        )
    return Platform(
        raw_bucket=outputs["RawBucket"],
        state_machine_arn=outputs["StateMachineArn"],
        training_source_prefix=outputs["TrainingSourcePrefix"],
        function_name=outputs["FunctionName"],
        alias_name=outputs["AliasName"],
        function_url=outputs.get("FunctionUrl"),
    )
