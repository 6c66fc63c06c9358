"""The function by which CloudFormation makes single calls of AWS services, for what it has no property."""

from __future__ import annotations

from aws_cdk import Stack
from constructs import Construct, IConstruct

from cdk_data_science._acknowledgements import acknowledge

_BASIC = "arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
_PACKS = ("NIST.800.53.R5", "HIPAA.Security", "PCI.DSS.321")


def acknowledge_calls(scope: Construct) -> None:
    """Accept findings on the function, which is one for all such calls of a stack, at the stack's top."""
    function: IConstruct = Stack.of(scope).node.find_child("AWS679f53fac002430cb0da5b7982bd2287")
    acknowledge(
        function,
        [
            *(f"{pack}-LambdaInsideVPC" for pack in _PACKS),
            *(f"{pack}-LambdaDLQ" for pack in _PACKS[:2]),
            *(f"{pack}-LambdaConcurrency" for pack in _PACKS[:2]),
        ],
        "CloudFormation invokes the function when a resource is made or deleted, waits for its answer and "
        "fails with it. It makes calls that the template names, on resources that its policy names, and "
        "takes no other input.",
    )
    acknowledge(
        function,
        [f"AwsSolutions-IAM4[Policy::{_BASIC}]"],
        "CDK makes the function and its role for all calls of a stack. The managed policy lets it write its "
        "own log, and nothing else.",
    )
    acknowledge(
        function,
        [f"{pack}-CloudWatchLogGroupEncrypted" for pack in _PACKS],
        "CloudWatch encrypts the log with its own key. It names resources of the lake, and holds no data of "
        "it.",
    )
