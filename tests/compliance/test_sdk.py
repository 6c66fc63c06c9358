"""Which IAM actions calls of the SDK need."""

from __future__ import annotations

import pytest

from tests.compliance import sdk


@pytest.mark.parametrize(
    ("service", "method", "expected"),
    [
        ("s3", "head_object", {"s3:GetObject"}),
        ("s3", "list_objects_v2", {"s3:ListBucket"}),
        ("s3", "upload_fileobj", {"s3:PutObject", "s3:AbortMultipartUpload"}),
        ("lambda", "invoke", {"lambda:InvokeFunction"}),
        ("lambda", "publish_version", {"lambda:PublishVersion"}),
        ("stepfunctions", "start_execution", {"states:StartExecution"}),
        ("cloudwatch", "describe_alarms", {"cloudwatch:DescribeAlarms"}),
        ("sagemaker-runtime", "invoke_endpoint", {"sagemaker:InvokeEndpoint"}),
    ],
)
def test_sdk_calls_map_to_actions_that_iam_knows(service: str, method: str, expected: set[str]) -> None:
    assert sdk.method_actions(service, method) == expected


def test_reading_a_version_needs_the_action_for_versions() -> None:
    assert sdk.method_actions("s3", "get_object", versioned=True) == {"s3:GetObject", "s3:GetObjectVersion"}


@pytest.mark.parametrize(("service", "method"), [("s3", "get_objekt"), ("s33", "get_object")])
def test_an_sdk_call_that_does_not_exist_is_refused(service: str, method: str) -> None:
    with pytest.raises(sdk.UnknownCall):
        sdk.method_actions(service, method)
