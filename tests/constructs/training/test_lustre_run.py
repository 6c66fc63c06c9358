"""LustreForRuns: made for a run, removed after it, whatever happens."""

from __future__ import annotations

import json
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_stepfunctions as sfn

from cdk_data_science import AlertTopic, ConfigurationError, DataLake
from cdk_data_science.training import LustreForRuns, LustreLink
from tests.compliance import iam, task_parameters
from tests.constructs import machines, nag, support
from tests.constructs.security.simulator import Simulator
from tests.constructs.training.stacks import training

FILE_SYSTEM = "arn:aws:fsx:AWS::Region:AWS::AccountId:file-system/fs-1"
OWNER = "cdk-data-science:lustre"


def vpc_of(stack: cdk.Stack) -> ec2.IVpc:
    return ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-0123456789abcdef0",
        availability_zones=["eu-west-1a"],
        private_subnet_ids=["subnet-0123456789abcdef0"],
        private_subnet_route_table_ids=["rtb-0123456789abcdef0"],
    )


@pytest.fixture(scope="module")
def stack() -> cdk.Stack:
    # GIVEN a training in a file system of its own, over two folders
    stack = support.stack()
    lake, vpc = DataLake(stack, "Lake", zones=["raw", "features", "models"]), vpc_of(stack)
    spot = training(stack, lake, vpc=vpc)
    lustre = LustreForRuns(
        stack,
        "Lustre",
        vpc=vpc,
        links=[
            LustreLink(zone=lake.features, prefix="train/", directory="/train"),
            LustreLink(zone=lake.raw, directory="/raw/all", imports=False),
        ],
        root_squash="1000:1000",
    )
    lustre.grant_mount(spot.role, security_groups=spot.security_groups)
    work = spot.step(stack, "Train", channels=[lustre.channel("train", directory="/train")])
    machine = sfn.StateMachine(
        stack,
        "Machine",
        definition_body=sfn.DefinitionBody.from_chainable(lustre.around(stack, "Lustre run", work)),
        query_language=sfn.QueryLanguage.JSONATA,
    )
    lustre.clean_up_after(machine)
    return stack


@pytest.fixture(scope="module")
def states(stack: cdk.Stack) -> dict[str, Any]:
    found: dict[str, Any] = machines.definition(stack)["States"]
    return found


def test_the_parameters_are_those_of_the_api(stack: cdk.Stack) -> None:
    assert task_parameters.faults(machines.definition(stack)) == []


def test_it_is_a_compressed_scratch_system_whose_root_is_somebody_else(states: dict[str, Any]) -> None:
    arguments = states["Lustre run: make the file system"]["Arguments"]
    assert arguments["LustreConfiguration"] == {
        "DeploymentType": "SCRATCH_2",
        "DataCompressionType": "LZ4",
        "RootSquashConfiguration": {"RootSquash": "1000:1000"},
    }
    assert arguments["StorageCapacity"] == 1200


def test_no_retry_makes_a_second_one(states: dict[str, Any]) -> None:
    tokens = [
        task["Arguments"]["ClientRequestToken"]
        for task in states.values()
        if "ClientRequestToken" in task.get("Arguments", {})
    ]
    assert len(tokens) == len(set(tokens)) == 3
    assert all("$states.context.Execution.Id" in each for each in tokens)


def test_folders_are_linked_one_after_the_other(states: dict[str, Any]) -> None:
    first, second = states["Lustre run: link train"], states["Lustre run: link raw--all"]
    assert first["Arguments"]["S3"] == {"AutoImportPolicy": {"Events": ["NEW", "CHANGED", "DELETED"]}}
    assert "S3" not in second["Arguments"]
    after = {each["Next"] for each in states["Lustre run: is train there?"]["Choices"]}
    assert after == {"Lustre run: link raw--all", "Lustre run: is train there? Not yet"}


def leads_to(states: dict[str, Any], start: str) -> set[str]:
    """Every state that can come after one."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        state = states[waiting.pop()]
        following = [
            *(each["Next"] for each in state.get("Choices", [])),
            *(each["Next"] for each in state.get("Catch", [])),
            *(state[name] for name in ("Next", "Default") if name in state),
        ]
        waiting += [each for each in following if each not in found]
        found |= set(following)
    return found


def test_every_way_from_the_making_leads_past_the_removal(states: dict[str, Any]) -> None:
    removals = {name for name in states if "remove the file system" in name}
    without = {name: state for name, state in states.items() if name not in removals}
    for name in removals:
        without[name] = {"Type": "Succeed"}
    # Only what never had a number ends without a removal.
    without["Lustre run: is there anything to remove?"] = {
        "Type": "Choice",
        "Choices": states["Lustre run: is there anything to remove?"]["Choices"],
    }
    reached = leads_to(without, "Lustre run: look at the file system")
    assert reached >= removals
    assert "Lustre run: failed" not in reached
    assert "Lustre run: removed" not in reached


def test_the_work_fails_into_the_removal(states: dict[str, Any]) -> None:
    work = states["Lustre run: work"]
    assert work["Catch"][0]["ErrorEquals"] == ["States.ALL"]
    assert work["Catch"][0]["Next"] == "Lustre run: is there anything to remove?"
    removal = states["Lustre run: remove the file system after a failure"]
    # AND neither its end nor its failure hides why the work failed
    assert removal["Next"] == "Lustre run: tell of the failure"
    assert {each["Next"] for each in removal["Catch"]} == {"Lustre run: tell of the failure"}
    assert all("Assign" not in each for each in removal["Catch"])


def test_one_that_is_gone_is_removed(states: dict[str, Any]) -> None:
    for name in ("", " after a failure"):
        task = states[f"Lustre run: remove the file system{name}"]
        (gone,) = (each for each in task["Catch"] if "FSx.FileSystemNotFoundException" in each["ErrorEquals"])
        assert gone["Next"] == task["Next"]


@pytest.mark.parametrize("role", ["MachineRole", "LustreSweepRole"])
def test_only_file_systems_of_this_construct_can_be_removed(stack: cdk.Stack, role: str) -> None:
    simulator = Simulator(support.resources(stack), role)
    owner = next(
        each["Condition"]["StringEquals"][f"aws:ResourceTag/{OWNER}"]
        for each in simulator.statements()
        if "fsx:DeleteFileSystem" in str(each["Action"])
    )
    ours, others = ({f"aws:ResourceTag/{OWNER}": value} for value in (owner, "others"))
    assert simulator.allows("fsx:DeleteFileSystem", FILE_SYSTEM, when=ours)
    assert not simulator.allows("fsx:DeleteFileSystem", FILE_SYSTEM, when=others)
    assert not simulator.allows("fsx:DeleteFileSystem", FILE_SYSTEM, when={})


def test_none_can_be_made_without_the_tag(stack: cdk.Stack) -> None:
    simulator = Simulator(support.resources(stack), "MachineRole")
    assert not simulator.allows("fsx:CreateFileSystem", FILE_SYSTEM, when={})
    assert not simulator.allows("fsx:CreateFileSystem", FILE_SYSTEM, when={f"aws:RequestTag/{OWNER}": "x"})


def test_what_describes_is_allowed_where_iam_knows_no_resource(stack: cdk.Stack) -> None:
    for action in ("fsx:DescribeFileSystems", "fsx:DescribeDataRepositoryAssociations"):
        assert not iam.can_be_limited(action)
        assert Simulator(support.resources(stack), "MachineRole").allows(action, "*", when={})


def test_executions_that_end_in_no_state_of_their_own_are_cleaned_up_after(stack: cdk.Stack) -> None:
    (rule,) = (
        each["Properties"]
        for key, each in support.resources(stack, "AWS::Events::Rule").items()
        if key.startswith("Lustre")
    )
    assert rule["EventPattern"]["detail"]["status"] == ["ABORTED", "FAILED", "TIMED_OUT"]
    assert "Machine" in json.dumps(rule["EventPattern"]["detail"]["stateMachineArn"])
    (target,) = rule["Targets"]
    assert "LustreSweep" in json.dumps(target["Arn"])
    assert "LustreDeadLetters" in json.dumps(target["DeadLetterConfig"])


def test_no_rule_pack_finds_anything_that_is_not_acknowledged() -> None:
    app = support.app()
    stack = support.stack(app)
    lake, vpc = DataLake(stack, "Lake", zones=["raw", "features", "models"]), vpc_of(stack)
    lustre = LustreForRuns(stack, "Lustre", vpc=vpc, links=[LustreLink(zone=lake.raw, directory="/raw")])
    machine = sfn.StateMachine(
        stack,
        "Machine",
        definition_body=sfn.DefinitionBody.from_chainable(
            lustre.around(stack, "Run", sfn.Pass.jsonata(stack, "Work"))
        ),
    )
    lustre.clean_up_after(machine)
    lustre.acknowledge_permissions(machine.role)
    AlertTopic(stack, "Alerts").notify(*lustre.alarms)
    left = [each for each in nag.unacknowledged(app) if "/Lustre" in each or "IAM5" in each]
    assert left == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"links": []}, "one or more"),
        ({"capacity_gib": 3600}, "capacity_gib=2400 or 4800"),
        ({"root_squash": "root"}, 'root_squash="1000:1000"'),
        ({"exports": True}, "would be lost"),
        ({"directory": "train"}, 'directory="/train"'),
    ],
)
def test_what_cannot_work_is_refused_at_construction(options: dict[str, Any], message: str) -> None:
    stack = support.stack()
    zone = DataLake(stack, "Lake", zones=["raw", "features"]).raw
    link = {name: options.pop(name) for name in ("exports", "directory") if name in options}
    links = [LustreLink(zone=zone, **{"directory": "/raw", **link})]
    with pytest.raises(ConfigurationError, match=message):
        LustreForRuns(stack, "Lustre", vpc=vpc_of(stack), **{"links": links, **options})
