"""The states that make a file system for a run, and remove it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk_data_science._tags import TagsHere, rendered_tags
from cdk_data_science._tasks import Task, retry
from cdk_data_science.training.file_systems._lustre_parts import S3_SERVICE
from cdk_data_science.training.file_systems.lustre_values import LustreLink

THERE = sfn.Condition.jsonata("{% $states.input.Lifecycle = 'AVAILABLE' %}")
VARIABLE = "lustre"
"""Holds the number of the run's file system (``id``), its mount name (``mount``) and the looks at it."""

RUN_TAG = "cdk-data-science:run"
OWNER_TAG = "cdk-data-science:lustre"
FAILURE_VARIABLE = "lustreFailure"
FAILURE: dict[str, Any] = {
    FAILURE_VARIABLE: {
        "error": "{% $states.errorOutput.Error %}",
        "cause": "{% $exists($states.errorOutput.Cause) ? $states.errorOutput.Cause : '' %}",
        "state": "{% $states.context.State.Name %}",
    }
}
"""What a Catch assigns. A name of its own: the work may not set a variable that is known outside of it."""

_REASON = (
    "{% $states.input.Lifecycle & ': ' & ($exists($states.input.FailureDetails.Message)"
    " ? $states.input.FailureDetails.Message : '') %}"
)
_PAUSE = Duration.seconds(30)
_MOST_LOOKS = 80
_NOW = ["NEW", "CHANGED", "DELETED"]


def named(*errors: str) -> list[str]:
    """Errors of FSx by the names that Step Functions may give them."""
    return [f"{prefix}.{error}" for error in errors for prefix in ("FSx", "Fsx")]


def _retries() -> list[dict[str, Any]]:
    """Creations carry a token, deletions are final, and descriptions change nothing: all can be repeated."""
    passing = named("FSxException", "FsxException", "InternalServerErrorException", "SdkClientException")
    return [retry(passing, attempts=8, interval=Duration.seconds(2), ceiling=Duration.minutes(2))]


class Permissions:
    """What the states may do: make and change file systems with the owner's tag alone."""

    def __init__(self, stack: Stack, owner: str) -> None:
        self._stack, self._owner = stack, owner

    @property
    def file_systems(self) -> str:
        """The pattern of file systems."""
        return self._arn("file-system")

    @property
    def resources(self) -> list[str]:
        """The patterns of file systems, of their links, and of roles that FSx makes for these."""
        return [self.file_systems, self._arn("association"), self._roles, self._role("fsx.amazonaws.com")]

    @property
    def create(self) -> list[iam.PolicyStatement]:
        """Make a file system."""
        asked = {"StringEquals": {f"aws:RequestTag/{OWNER_TAG}": self._owner}}
        return [
            _allow(["fsx:CreateFileSystem", "fsx:TagResource"], [self._arn("file-system")], asked),
            _allow(["ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"], ["*"]),
            _allow(
                ["iam:CreateServiceLinkedRole"],
                [self._role("fsx.amazonaws.com")],
                {"StringEquals": {"iam:AWSServiceName": "fsx.amazonaws.com"}},
            ),
        ]

    @property
    def describe(self) -> list[iam.PolicyStatement]:
        """Look at file systems; IAM knows no resource of it."""
        return [_allow(["fsx:DescribeFileSystems"], ["*"])]

    @property
    def link(self) -> list[iam.PolicyStatement]:
        """Link a directory: https://docs.aws.amazon.com/fsx/latest/LustreGuide/setting-up.html"""
        asked = {"StringEquals": {f"aws:RequestTag/{OWNER_TAG}": self._owner}}
        return [
            _allow(["fsx:CreateDataRepositoryAssociation"], [self._arn("file-system")], self._ours),
            _allow(
                ["fsx:CreateDataRepositoryAssociation", "fsx:TagResource"], [self._arn("association")], asked
            ),
            _allow(
                ["iam:AttachRolePolicy", "iam:CreateServiceLinkedRole", "iam:PutRolePolicy"], [self._roles]
            ),
        ]

    @property
    def describe_links(self) -> list[iam.PolicyStatement]:
        """Look at links; IAM knows no resource of it."""
        return [_allow(["fsx:DescribeDataRepositoryAssociations"], ["*"])]

    @property
    def remove(self) -> list[iam.PolicyStatement]:
        """Remove a file system."""
        return [_allow(["fsx:DeleteFileSystem"], [self._arn("file-system")], self._ours)]

    @property
    def _ours(self) -> dict[str, Any]:
        return {"StringEquals": {f"aws:ResourceTag/{OWNER_TAG}": self._owner}}

    @property
    def _roles(self) -> str:
        return self._role(S3_SERVICE)

    def _role(self, service: str) -> str:
        return self._stack.format_arn(
            service="iam", region="", resource="role", resource_name=f"aws-service-role/{service}/*"
        )

    def _arn(self, kind: str) -> str:
        suffix = "*" if kind == "file-system" else "*/*"
        return self._stack.format_arn(service="fsx", resource=kind, resource_name=suffix)


def _allow(
    actions: Sequence[str], resources: Sequence[str], conditions: dict[str, Any] | None = None
) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=list(actions), resources=list(resources), conditions=conditions)


class States:
    """Makes the states of one place in a state machine."""

    def __init__(
        self, scope: Construct, id: str, *, owner: str, permissions: Permissions, failed: sfn.State
    ) -> None:
        self._scope, self._id, self._owner = scope, id, owner
        self._permissions, self._failed = permissions, failed
        self._place: TagsHere | None = None

    def create(self, parameters: Mapping[str, Any]) -> tuple[Task, sfn.Choice]:
        """Make the file system and wait until it is there: the first state, and the one to go on from."""
        create = self._task(
            "make the file system",
            "createFileSystem",
            {**parameters, "ClientRequestToken": self._token("system"), "Tags": self._tags()},
            self._permissions.create,
            assign={VARIABLE: {"id": "{% $states.result.FileSystem.FileSystemId %}", "looks": 0}},
        )
        look = self._task(
            "look at the file system",
            "describeFileSystems",
            {"FileSystemIds": [f"{{% ${VARIABLE}.id %}}"]},
            self._permissions.describe,
            assign={
                VARIABLE: {
                    "id": f"{{% ${VARIABLE}.id %}}",
                    "mount": "{% $states.result.FileSystems[0].LustreConfiguration.MountName %}",
                    "looks": f"{{% ${VARIABLE}.looks + 1 %}}",
                }
            },
            output="{% $states.result.FileSystems[0] %}",
        )
        ready = self._wait(
            "is the file system there?",
            look,
            coming="$states.input.Lifecycle = 'CREATING'",
        )
        create.next(look)
        return create, ready

    def link(self, number: int, link: LustreLink) -> tuple[Task, sfn.Choice]:
        """Link a directory and wait until it is there."""
        folder = link.directory.strip("/") or "all"
        create = self._task(
            f"link {folder}",
            "createDataRepositoryAssociation",
            {
                "FileSystemId": f"{{% ${VARIABLE}.id %}}",
                "FileSystemPath": link.directory,
                "DataRepositoryPath": link.zone.uri(link.prefix),
                "BatchImportMetaDataOnCreate": True,
                **({"S3": {"AutoImportPolicy": {"Events": _NOW}}} if link.imports else {}),
                "ClientRequestToken": self._token(f"link{number}"),
                "Tags": self._tags(),
            },
            self._permissions.link,
            assign={
                VARIABLE: {
                    "id": f"{{% ${VARIABLE}.id %}}",
                    "mount": f"{{% ${VARIABLE}.mount %}}",
                    "looks": 0,
                    "link": "{% $states.result.Association.AssociationId %}",
                }
            },
        )
        look = self._task(
            f"look at {folder}",
            "describeDataRepositoryAssociations",
            {"AssociationIds": [f"{{% ${VARIABLE}.link %}}"]},
            self._permissions.describe_links,
            assign={
                VARIABLE: {
                    "id": f"{{% ${VARIABLE}.id %}}",
                    "mount": f"{{% ${VARIABLE}.mount %}}",
                    "looks": f"{{% ${VARIABLE}.looks + 1 %}}",
                    "link": f"{{% ${VARIABLE}.link %}}",
                }
            },
            output="{% $states.result.Associations[0] %}",
        )
        ready = self._wait(
            f"is {folder} there?",
            look,
            coming="$states.input.Lifecycle in ['CREATING', 'UPDATING']",
        )
        create.next(look)
        return create, ready

    def remove(self, when: str, then: sfn.State, otherwise: sfn.State | None = None) -> Task:
        """Remove the file system; one that is gone already is removed."""
        task = Task(
            self._scope,
            f"{self._id}: remove the file system{when}",
            integration="aws-sdk:fsx:deleteFileSystem",
            arguments={"FileSystemId": f"{{% ${VARIABLE}.id %}}"},
            timeout=Duration.minutes(1),
            statements=self._permissions.remove,
            retry=[
                *_retries(),
                # It may be busy with what was asked of it last.
                retry(
                    named("BadRequestException", "IncompatibleParameterErrorException"),
                    attempts=8,
                    interval=Duration.seconds(15),
                    ceiling=Duration.minutes(2),
                ),
            ],
        )
        task.next(then)
        task.add_catch(then, errors=named("FileSystemNotFoundException"))
        if otherwise is not None:
            # The failure that came first is the one to tell of.
            task.add_catch(otherwise, errors=["States.ALL"])
        else:
            task.add_catch(self._failed, errors=["States.ALL"], assign=FAILURE)
        return task

    def _wait(self, what: str, look: Task, *, coming: str) -> sfn.Choice:
        """What comes after a look: a choice, whose first way is left to the caller."""
        again = sfn.Wait.jsonata(
            self._scope, f"{self._id}: {what} Not yet", time=sfn.WaitTime.duration(_PAUSE)
        )
        again.next(look)
        choice = sfn.Choice.jsonata(self._scope, f"{self._id}: {what}")
        choice.when(sfn.Condition.jsonata(f"{{% {coming} and ${VARIABLE}.looks < {_MOST_LOOKS} %}}"), again)
        told = sfn.Pass.jsonata(
            self._scope,
            f"{self._id}: {what} No",
            assign={FAILURE_VARIABLE: {"error": "LustreNotAvailable", "cause": _REASON, "state": look.id}},
        )
        told.next(self._failed)
        choice.otherwise(told)
        look.next(choice)
        return choice

    def _task(
        self,
        what: str,
        action: str,
        arguments: Mapping[str, Any],
        statements: Sequence[iam.PolicyStatement],
        *,
        assign: Mapping[str, Any],
        output: Any = None,
    ) -> Task:
        task = Task(
            self._scope,
            f"{self._id}: {what}",
            integration=f"aws-sdk:fsx:{action}",
            arguments=arguments,
            timeout=Duration.minutes(5),
            statements=statements,
            retry=_retries(),
            assign=assign,
            output=output,
        )
        task.add_catch(self._failed, errors=["States.ALL"], assign=FAILURE)
        return task

    def _token(self, what: str) -> str:
        """The same in every try of one execution, so that no retry makes a second one."""
        return (
            "{% $substring($hash($states.context.Execution.Id & $states.context.Execution.StartTime & "
            f"'{self._id} {what}', 'SHA-256'), 0, 60) %}}"
        )

    def _tags(self) -> Any:
        """Whose they are, for permissions and the one who removes; and the tags of this place, for cost."""
        if self._place is None:
            self._place = TagsHere(self._scope, f"{self._id} tags")
        own = {OWNER_TAG: self._owner, RUN_TAG: "{% $states.context.Execution.Id %}"}
        return rendered_tags(own, self._place)
