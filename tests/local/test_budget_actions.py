"""Budget actions: the construct of the library, deployed, denies large accelerators and lifts the denial."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from botocore.exceptions import ClientError

from cdk_data_science.cost import AcceleratorStop, CostGuardrails
from tests.local.assembly import deploy, destroy, new_stack
from tests.local.conftest import ACCOUNT, LocalAws, allow
from tests.local.jobs import Workbench

DENIED = "AccessDenied"


class Guarded:
    """A stack with the construct and a persona that it concerns."""

    def __init__(self, aws: LocalAws, folder: Path) -> None:
        self.aws, self._budgets = aws, aws.client("budgets")
        self.scientist = aws.role("sagemaker", allow("sagemaker:*", "iam:PassRole"))
        self.stack = new_stack(folder, "guarded")
        made = CostGuardrails(
            self.stack,
            "Cost",
            monthly_limit_usd=100,
            stop_accelerators=AcceleratorStop(
                roles=[iam.Role.from_role_arn(self.stack, "Scientist", self.scientist)],
                allowed_accelerators=1,
            ),
        )
        assert made.stop is not None
        for name, value in {
            "Budget": made.budget.ref,
            "Lift": made.stop.lifting.function.function_name,
        }.items():
            cdk.CfnOutput(self.stack, name, value=value)
        outputs = deploy(aws, self.stack)
        self._lift = outputs["Lift"]
        found = self._budgets.describe_budget_actions_for_budget(
            AccountId=ACCOUNT, BudgetName=outputs["Budget"]
        )
        (self.action,) = found["Actions"]

    @property
    def status(self) -> str:
        described = self._budgets.describe_budget_action(
            AccountId=ACCOUNT, BudgetName=self.action["BudgetName"], ActionId=self.action["ActionId"]
        )
        return str(described["Action"]["Status"])

    def reached(self, percent: float) -> None:
        self.aws.admin("budgets/reached", budget=self.action["BudgetName"], percent=percent)

    def lift(self, phase: str) -> None:
        """What the schedule calls in the new month, in the function's own role."""
        answer = self.aws.client("lambda").invoke(
            FunctionName=self._lift, Payload=json.dumps({"phase": phase})
        )
        assert "FunctionError" not in answer, answer["Payload"].read()

    def train(self, instance_type: str) -> str | None:
        """The error with which the persona's training job is refused, if it is."""
        bench = Workbench.of(self.aws)
        request = bench.request("pass\n")
        request["ResourceConfig"] |= {"InstanceType": instance_type}
        try:
            self.aws.session_for_role(self.scientist).client("sagemaker").create_training_job(**request)
        except ClientError as error:
            return str(error)
        return None


@pytest.fixture(scope="module")
def guarded(local_aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    made = Guarded(local_aws, tmp_path_factory.mktemp("guarded"))
    yield made
    destroy(local_aws, made.stack)


def test_a_budget_that_is_spent_denies_large_accelerators_until_the_month_is_over(guarded: Guarded) -> None:
    # GIVEN most of the money is spent
    guarded.reached(99)
    assert guarded.status == "STANDBY"
    assert guarded.train("ml.p4d.24xlarge") is None
    # WHEN all of it is
    guarded.reached(100)
    # THEN the policy denies the large types to the role, and only those
    assert guarded.status == "EXECUTION_SUCCESS"
    refused = guarded.train("ml.p4d.24xlarge")
    assert refused is not None
    assert DENIED in refused
    assert guarded.train("ml.m5.xlarge") is None
    assert guarded.train("ml.g5.xlarge") is None
    # WHEN the new month begins
    guarded.lift("reverse")
    # THEN the denial is lifted, and the action not armed yet: costs of last month still come in
    assert guarded.train("ml.p4d.24xlarge") is None
    guarded.reached(120)
    assert guarded.status == "REVERSE_SUCCESS"
    # WHEN a day has passed
    guarded.lift("reset")
    # THEN it guards the new month
    assert guarded.status == "STANDBY"
    guarded.reached(101)
    assert DENIED in str(guarded.train("ml.p4d.24xlarge"))
    guarded.lift("reverse")
    guarded.lift("reset")


def test_a_role_without_the_permission_fails_the_action(guarded: Guarded) -> None:
    client = guarded.aws.client("budgets")
    weak = guarded.aws.role("budgets")
    request = {name: guarded.action[name] for name in ("BudgetName", "NotificationType", "Definition")}
    made = client.create_budget_action(
        AccountId=ACCOUNT,
        **request,
        ActionType="APPLY_IAM_POLICY",
        ActionThreshold={"ActionThresholdValue": 10, "ActionThresholdType": "PERCENTAGE"},
        ExecutionRoleArn=weak,
        ApprovalModel="AUTOMATIC",
        Subscribers=[{"SubscriptionType": "EMAIL", "Address": "a@example.com"}],
    )
    key = {"AccountId": ACCOUNT, "BudgetName": request["BudgetName"], "ActionId": made["ActionId"]}
    guarded.reached(11)
    assert client.describe_budget_action(**key)["Action"]["Status"] == "EXECUTION_FAILURE"
    with pytest.raises(ClientError, match="not possible for an action that is EXECUTION_FAILURE"):
        client.execute_budget_action(**key, ExecutionType="REVERSE_BUDGET_ACTION")
    client.delete_budget_action(**key)


def test_the_command_line_tells_what_the_actions_did(guarded: Guarded) -> None:
    done = guarded.aws.run("budgets", "reached", guarded.action["BudgetName"], "5")
    assert done.returncode == 0, done.stderr
    assert "STANDBY" in done.stdout
    missing = guarded.aws.run("budgets", "reached", "nothing", "5")
    assert missing.returncode == 1
    assert "Unable to find budget nothing" in missing.stderr
