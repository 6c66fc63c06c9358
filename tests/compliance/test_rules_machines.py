"""The rules about state machines let the right template pass and name what is wrong in the wrong one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.compliance import rules, state_machines
from tests.compliance.examples import (
    MAY_RECORD,
    MAY_TRAIN,
    SUFFICIENT,
    Example,
    allow,
    arn,
    both_kinds,
    holds,
    ids,
    machine,
    notify,
    platform,
    policy,
    role,
    states,
    task,
    with_machine,
    with_record,
    with_training,
)
from tests.compliance.templates import Platform


def no_retried_refusals(p: Platform) -> Iterator[str]:
    return rules.careless_tasks(p, {"InvalidData"})


def no_key_on_nvme(p: Platform) -> Iterator[str]:
    return rules.encrypted_local_disks(p, {"g5.xlarge"})


EXAMPLES: list[Example] = [
    (no_retried_refusals, "careful", with_machine(), None),
    (
        no_retried_refusals,
        "no timeout",
        with_machine(states=states(Work=task(TimeoutSeconds=None))),
        "no timeout",
    ),
    (no_retried_refusals, "no retry", with_machine(states=states(Work=task(Retry=None))), "no Retry"),
    (no_retried_refusals, "no catch", with_machine(states=states(Work=task(Catch=None))), "no Catch"),
    (
        no_retried_refusals,
        "catches one error alone",
        with_machine(states=states(Work=task(Catch=[{"ErrorEquals": ["InvalidData"], "Next": "Notify"}]))),
        "no Catch for States.ALL",
    ),
    (
        no_retried_refusals,
        "retries bad data",
        with_machine(states=states(Work=task(Retry=[{"ErrorEquals": ["InvalidData"]}]))),
        "retries InvalidData",
    ),
    (
        no_retried_refusals,
        "retries everything",
        with_machine(states=states(Work=task(Retry=[{"ErrorEquals": ["States.ALL"]}]))),
        "retries States.ALL",
    ),
    (
        no_retried_refusals,
        "a rollback is caught too",
        with_machine(
            states=states(
                Work=task(Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Undo"}]),
                Undo=task(Catch=None, End=None, Next="Notify"),
            )
        ),
        "'Undo' has no Catch",
    ),
    (
        no_retried_refusals,
        "inside a parallel state",
        with_machine(
            states={
                "Work": {
                    "Type": "Parallel",
                    "Branches": [
                        {"StartAt": "Inner", "States": {"Inner": task(TimeoutSeconds=None, Catch=None)}}
                    ],
                    "End": True,
                }
            }
        ),
        "'Inner' has no timeout",
    ),
    (rules.silent_failures, "told", with_machine(), None),
    (
        rules.silent_failures,
        "telling itself fails",
        with_machine(states=states(Notify=notify(Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Failed"}]))),
        None,
    ),
    (
        rules.silent_failures,
        "told to nobody",
        with_machine(
            states={
                "Work": task(Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Failed"}]),
                "Failed": {"Type": "Fail"},
            }
        ),
        "told to nobody",
    ),
    (
        rules.silent_failures,
        "succeeds in the end",
        with_machine(states={"Work": task(), "Notify": notify(Next=None, End=True)}),
        "does not end in a failed execution",
    ),
    (rules.swapped_topics, "failures alone", with_machine(), None),
    (
        rules.swapped_topics,
        "the same topic",
        with_machine(states=states(Work=task(End=None, Next="Tell"), Tell=notify(Next=None, End=True))),
        "to the same topic",
    ),
    (rules.missing_permissions, "sufficient", with_machine(*SUFFICIENT), None),
    (
        rules.missing_permissions,
        "may not invoke",
        with_machine(*SUFFICIENT[1:]),
        "needs lambda:InvokeFunction",
    ),
    (rules.missing_permissions, "may not publish", with_machine(SUFFICIENT[0]), "needs sns:Publish"),
    (
        rules.missing_permissions,
        "may not use the topic's key",
        with_machine(*SUFFICIENT[:2]),
        "needs kms:Decrypt",
    ),
    (
        rules.missing_permissions,
        "denied",
        with_machine(*SUFFICIENT, {**allow("lambda:InvokeFunction"), "Effect": "Deny"}),
        "needs lambda:InvokeFunction",
    ),
    (
        rules.missing_permissions,
        "may not write its log",
        with_machine(*SUFFICIENT, LoggingConfiguration={"Level": "ERROR"}),
        "logging needs logs:CreateLogDelivery",
    ),
    (rules.missing_permissions, "may record", with_record(*MAY_RECORD), None),
    (
        rules.missing_permissions,
        "may not use the bucket's key",
        with_record(MAY_RECORD[0]),
        "kms:GenerateDataKey",
    ),
    (
        rules.missing_permissions,
        "may write elsewhere",
        with_record(allow("s3:PutObject", {"Fn::Join": ["", [arn("Bucket"), "/other/*"]]})),
        "needs s3:PutObject on <Test/Bucket.Arn>/failures/*",
    ),
    (rules.unused_permissions, "all used to record", with_record(*MAY_RECORD), None),
    (
        rules.unused_permissions,
        "deletes",
        with_record(*MAY_RECORD, allow("s3:DeleteObject", "*")),
        "s3:DeleteObject",
    ),
    (rules.missing_permissions, "may train", with_training(*MAY_TRAIN), None),
    (
        rules.missing_permissions,
        "may not pass the role",
        with_training(MAY_TRAIN[0], MAY_TRAIN[2]),
        "needs iam:PassRole",
    ),
    (
        rules.missing_permissions,
        "may not watch the job",
        with_training(*MAY_TRAIN[:2]),
        "needs events:PutTargets",
    ),
    (
        rules.missing_permissions,
        "may not tag the job",
        with_training(*MAY_TRAIN, Tags=[{"Key": "run", "Value": "1"}]),
        "needs sagemaker:AddTags",
    ),
    (
        rules.missing_permissions,
        "an API of the SDK",
        platform(
            Role=role(),
            Policy=policy(allow("sagemaker:ListModels")),
            Machine=machine({"Work": task(Resource="arn:aws:states:::aws-sdk:sagemaker:describeModel")}),
        ),
        "needs sagemaker:DescribeModel",
    ),
    (rules.unused_permissions, "all used", with_machine(*SUFFICIENT), None),
    (rules.unused_permissions, "all used to train", with_training(*MAY_TRAIN), None),
    (
        rules.unused_permissions,
        "another action",
        with_machine(*SUFFICIENT, allow("s3:GetObject", "arn:aws:s3:::b/*")),
        "needs s3:GetObject",
    ),
    (
        rules.unused_permissions,
        "another resource",
        with_machine(*SUFFICIENT, allow("sns:Publish", {"Ref": "Topic"})),
        "needs sns:Publish on <Test/Topic.Ref>",
    ),
    (
        rules.unknown_calls,
        "a wrong operation",
        with_machine(states={"Work": task(Resource="arn:aws:states:::aws-sdk:sagemaker:describeModell")}),
        "no operation DescribeModell",
    ),
    (
        rules.unknown_calls,
        "a pattern whose needs nobody wrote down",
        with_machine(states={"Work": task(Resource="arn:aws:states:::sagemaker:createLabelingJob.sync")}),
        "not written down",
    ),
    (rules.unknown_calls, "known", with_machine(), None),
    (
        no_key_on_nvme,
        "key without NVMe",
        with_training(ResourceConfig={"InstanceType": "ml.m5.xlarge", "VolumeKmsKeyId": "k"}),
        None,
    ),
    (
        no_key_on_nvme,
        "key on NVMe",
        with_training(ResourceConfig={"InstanceType": "ml.g5.xlarge", "VolumeKmsKeyId": "k"}),
        "sets VolumeKmsKeyId on ml.g5.xlarge",
    ),
]


@pytest.mark.parametrize("example", EXAMPLES, ids=ids(EXAMPLES))
def test_a_rule_names_what_is_wrong_and_nothing_else(example: Example) -> None:
    holds(example)


def test_every_rule_has_an_example_that_passes_and_one_that_does_not() -> None:
    both_kinds(EXAMPLES)


def test_definitions_keep_their_references() -> None:
    [found] = state_machines.machines(with_machine())
    assert found.definition["States"]["Notify"]["Arguments"]["TopicArn"] == "<Test/Failures.Ref>"
