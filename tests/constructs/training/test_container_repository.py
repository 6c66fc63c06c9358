"""A registry for own containers: scanned, immutable, cleared up, kept; who may pull and who may push."""

from __future__ import annotations

import json
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns

from cdk_data_science import ConfigurationError
from cdk_data_science.training import ContainerRepository
from tests.constructs import machines, nag, support

PULL = {
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetAuthorizationToken",
    "ecr:GetDownloadUrlForLayer",
}
PUSH = {"ecr:CompleteLayerUpload", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"}


@pytest.fixture(scope="module")
def made() -> cdk.Stack:
    # GIVEN a repository with a key, readers elsewhere, a job that pulls and a build that pushes
    stack = support.stack()
    images = ContainerRepository(
        stack, "Images", key=kms.Key(stack, "Key"), images=20, untagged_days=3, readers=["444455556666"]
    )
    for name, grant in (("Puller", images.grant_pull), ("Pusher", images.grant_push)):
        grant(iam.Role(stack, name, assumed_by=iam.ServicePrincipal("codebuild.amazonaws.com")))
    images.on_findings("Findings", target=targets.SnsTopic(sns.Topic(stack, "Topic")))
    ContainerRepository(stack, "Plain", destroy=True)
    cdk.CfnOutput(stack, "Uri", value=images.uri("v1"))
    return stack


def repository(stack: cdk.Stack, name: str) -> dict[str, Any]:
    (found,) = (
        each for key, each in support.resources(stack, "AWS::ECR::Repository").items() if key.startswith(name)
    )
    return found


def test_images_are_scanned_and_their_tags_never_move(made: cdk.Stack) -> None:
    for name in ("Images", "Plain"):
        properties = repository(made, name)["Properties"]
        assert properties["ImageScanningConfiguration"] == {"ScanOnPush": True}
        assert properties["ImageTagMutability"] == "IMMUTABLE"
        assert "RepositoryName" not in properties


def test_a_key_encrypts_the_images(made: cdk.Stack) -> None:
    encryption = repository(made, "Images")["Properties"]["EncryptionConfiguration"]
    assert encryption["EncryptionType"] == "KMS"
    assert encryption["KmsKey"]["Fn::GetAtt"][0].startswith("Key")


def test_old_images_go_and_those_without_a_tag_go_sooner(made: cdk.Stack) -> None:
    text = repository(made, "Images")["Properties"]["LifecyclePolicy"]["LifecyclePolicyText"]
    untagged, others = (rule["selection"] for rule in json.loads(text)["rules"])
    assert untagged == {
        "tagStatus": "untagged",
        "countType": "sinceImagePushed",
        "countNumber": 3,
        "countUnit": "days",
    }
    assert others == {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 20}


def test_it_is_kept_unless_both_keys_say_otherwise(made: cdk.Stack) -> None:
    # One key alone, the property, destroys nothing.
    assert repository(made, "Plain")["DeletionPolicy"] == "Retain"
    assert repository(made, "Plain")["Properties"]["EmptyOnDelete"] is False
    both = support.stack(context={"cdk-data-science:destroyData": True})
    ContainerRepository(both, "Plain", destroy=True)
    assert repository(both, "Plain")["DeletionPolicy"] == "Delete"
    assert repository(both, "Plain")["Properties"]["EmptyOnDelete"] is True


def test_a_job_pulls_and_a_build_pushes_and_neither_deletes(made: cdk.Stack) -> None:
    assert machines.actions(machines.statements(made, "Puller")) == PULL
    assert machines.actions(machines.statements(made, "Pusher")) == PULL | PUSH
    for role in ("Puller", "Pusher"):
        wide = [s for s in machines.statements(made, role) if s["Resource"] == "*"]
        assert machines.actions(wide) == {"ecr:GetAuthorizationToken"}


def test_other_accounts_may_pull_and_nothing_else(made: cdk.Stack) -> None:
    (statement,) = repository(made, "Images")["Properties"]["RepositoryPolicyText"]["Statement"]
    assert machines.actions([statement]) == PULL - {"ecr:GetAuthorizationToken"}
    assert "444455556666" in str(statement["Principal"])
    assert "RepositoryPolicyText" not in repository(made, "Plain")["Properties"]


def test_severe_findings_of_its_own_images_are_told(made: cdk.Stack) -> None:
    rule = support.only(support.resources(made, "AWS::Events::Rule"))["Properties"]["EventPattern"]
    assert rule["detail"]["repository-name"][0]["Ref"].startswith("Images")
    assert rule["detail"]["$or"] == [
        {"finding-severity-counts": {each: [{"numeric": [">", 0]}]}} for each in ("CRITICAL", "HIGH")
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "Reviews"}, 'name="reviews/training"'),
        ({"images": 0}, "1 or more"),
        ({"untagged_days": 0}, "1 or more"),
        ({"readers": ["team"]}, "12 digits"),
        ({"name": "a//b", "images": 0}, "2 problems"),
    ],
)
def test_what_ecr_would_refuse_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ContainerRepository(support.stack(), "Images", **options)


def test_a_tag_or_a_severity_that_cannot_be_is_refused() -> None:
    images = ContainerRepository(support.stack(), "Images")
    with pytest.raises(ConfigurationError, match="letters, digits"):
        images.uri("a b")
    with pytest.raises(ConfigurationError, match="CRITICAL, HIGH"):
        images.on_findings(
            "Findings", target=targets.SnsTopic(sns.Topic(images, "Topic")), severities=["SEVERE"]
        )


def test_the_packs_have_no_unacknowledged_finding() -> None:
    app = support.app()
    stack = support.stack(app)
    images = ContainerRepository(stack, "Images")
    images.grant_push(iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("codebuild.amazonaws.com")))
    # A grant writes into the role's own policy, which is its owner's affair.
    assert [each for each in nag.unacknowledged(app) if "InlinePolicy" not in each] == []
