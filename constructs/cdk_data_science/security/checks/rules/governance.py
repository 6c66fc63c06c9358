"""Roles that data-science services use, data that outlives its stack, budgets and tags."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cdk_data_science.security.checks import iam
from cdk_data_science.security.checks.expectations import example, present, resource
from cdk_data_science.security.checks.intrinsics import UNKNOWN, is_unknown
from cdk_data_science.security.checks.rule import (
    Example,
    Problem,
    Rule,
    Severity,
    cloudformation,
    control,
    guide,
)
from cdk_data_science.security.checks.templates import Resource, as_list

_ROLE = "AWS::IAM::Role"
_BUDGET = "AWS::Budgets::Budget"
_DATA = (
    "AWS::SageMaker::FeatureGroup",
    "AWS::EFS::FileSystem",
    "AWS::FSx::FileSystem",
    "AWS::Kinesis::Stream",
)
_BILLED = (
    "AWS::SageMaker::Domain", "AWS::SageMaker::NotebookInstance", "AWS::SageMaker::Endpoint",
    "AWS::SageMaker::MlflowTrackingServer", "AWS::SageMaker::Cluster", "AWS::FSx::FileSystem",
    "AWS::EFS::FileSystem", "AWS::MSK::Cluster", "AWS::Glue::Job", "AWS::Kinesis::Stream",
)  # fmt: skip
_SERVICES = ("sagemaker", "glue", "lakeformation", "states")


def _role(*statements: dict[str, Any], condition: Any = None, **more: Any) -> Example:
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": "sagemaker.amazonaws.com"},
        "Condition": condition
        if condition is not None
        else {"StringEquals": {"aws:SourceAccount": "111122223333"}},
    }
    policies = [
        {"PolicyName": "work", "PolicyDocument": {"Version": "2012-10-17", "Statement": list(statements)}}
    ]
    return {
        "Role": resource(
            _ROLE,
            AssumeRolePolicyDocument={
                "Version": "2012-10-17",
                "Statement": [{k: v for k, v in trust.items() if v != {}}],
            },
            **({"Policies": policies} if statements else {}),
            **more,
        )
    }


def _allow(action: str, on: str = "*", **condition: Any) -> dict[str, Any]:
    more = {"Condition": condition} if condition else {}
    return {"Effect": "Allow", "Action": action, "Resource": on, **more}


_budget = example(
    _BUDGET,
    Budget={
        "BudgetType": "COST",
        "TimeUnit": "MONTHLY",
        "BudgetLimit": {"Amount": 500, "Unit": "USD"},
    },
    NotificationsWithSubscribers=[
        {
            "Notification": {
                "ComparisonOperator": "GREATER_THAN",
                "NotificationType": "FORECASTED",
                "Threshold": 100,
            },
            "Subscribers": [{"Address": "ml@example.com", "SubscriptionType": "EMAIL"}],
        }
    ],
)
_stream = resource(
    "AWS::Kinesis::Stream", RetentionPeriodHours=168, Tags=[{"Key": "owner", "Value": "ml@example.com"}]
)


_SOURCES = ("aws:sourceaccount", "aws:sourcearn", "aws:sourceorgid", "aws:sourceorgpaths")


def _ours(role: Resource) -> bool:
    """Whether a role is one of a data-science service."""
    return any(iam.trusts(role, service) for service in _SERVICES)


def _no_full_access(role: Resource) -> Iterator[Problem]:
    for name in iam.full_access(role) if _ours(role) else ():
        yield Problem(at="ManagedPolicyArns", detail=name, said=f"The role has {name}")


def _no_wildcard(role: Resource) -> Iterator[Problem]:
    # State machines' roles have a rule of their own.
    if _ours(role) and not iam.trusts(role, "states"):
        for statement in iam.statements_of(role):
            for action in statement.actions if statement.allows else ():
                if action == "*" or action.endswith(":*"):
                    yield Problem(at="Policies", detail=action, said=f"The role may {action}")


def _passes(role: Resource) -> Iterator[Problem]:
    if not _ours(role) or iam.trusts(role, "states"):
        return
    for statement in iam.statements_of(role):
        passes = any(action.lower() == "iam:passrole" for action in statement.actions)
        bound = statement.may_look_at("iam:passedtoservice")
        if statement.allows and passes and "*" in statement.resources and not bound:
            yield Problem(at="Policies")
            return


def _opens_studio(role: Resource) -> Iterator[Problem]:
    for statement in iam.statements_of(role):
        names = {action.lower() for action in statement.actions}
        if (
            statement.allows
            and "sagemaker:createpresigneddomainurl" in names
            and "*" in statement.resources
            and not statement.conditions
        ):
            yield Problem(at="Policies")
            return


def _not_confused(role: Resource) -> Iterator[Problem]:
    for statement in as_list(role.get("AssumeRolePolicyDocument.Statement")):
        principal = statement.get("Principal") if isinstance(statement, dict) else None
        services = as_list(principal.get("Service")) if isinstance(principal, dict) else []
        ours = any(str(name).startswith(f"{kind}.amazonaws.com") for name in services for kind in _SERVICES)
        if ours and not iam.may_look_at(statement.get("Condition"), *_SOURCES):
            yield Problem(at="AssumeRolePolicyDocument")


def _outlives(resource: Resource) -> Iterator[Problem]:
    kept = {"Retain", "RetainExceptOnCreate", "Snapshot"}
    scratch = str(resource.get("LustreConfiguration.DeploymentType")).startswith("SCRATCH")
    for name in ("DeletionPolicy", "UpdateReplacePolicy"):
        if resource.document.get(name) not in kept and not scratch:
            yield Problem(
                at="", said=f"It is deleted with its stack, or replaced: its {name} does not keep it"
            )
            return


def _forecast(budget: Resource) -> Iterator[Problem]:
    kinds = [
        value for _, value in budget.each("NotificationsWithSubscribers[*].Notification.NotificationType")
    ]
    if kinds and "FORECASTED" not in kinds:
        uncertain = any(is_unknown(kind) for kind in kinds)
        yield Problem(at="NotificationsWithSubscribers", uncertain=uncertain)


def _watched(resource: Resource) -> Iterator[Problem]:
    if next(resource.templates.resources(_BUDGET), None) is not None:
        return
    first = next(resource.templates.resources(*_BILLED), None)
    if first == resource:
        yield Problem(at="")


def _tagged(resource: Resource) -> Iterator[Problem]:
    name = "FileSystemTags" if resource.type == "AWS::EFS::FileSystem" else "Tags"
    tags = resource.get(name)
    if tags is UNKNOWN:
        yield Problem(at=name, uncertain=True)
    elif not tags:
        yield Problem(at=name)


def _kept(document: dict[str, Any], policy: str) -> Example:
    return {"Resource": {**document, "DeletionPolicy": policy, "UpdateReplacePolicy": policy}}


RULES = (
    Rule(
        id="DataScience-IAM1",
        title="No role of a data-science service has a full-access policy",
        fails="The role has a full-access policy of AWS",
        why="It is written for all that anybody does with a service: much more than one job needs.",
        fix="Write a policy for what the job does",
        severity=Severity.ERROR,
        follows=(guide("sagemaker/latest/dg/sagemaker-roles"), control("IAM.1")),
        types=(_ROLE,),
        check=_no_full_access,
        compliant=_role(ManagedPolicyArns=["arn:aws:iam::aws:policy/AmazonSageMakerReadOnly"]),
        noncompliant=_role(ManagedPolicyArns=["arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"]),
    ),
    Rule(
        id="DataScience-IAM2",
        title="No role of a data-science service has wildcard actions",
        fails="The role may do everything in a service",
        why="Code in notebooks and jobs is written fast and seldom reviewed: it should be able to do little.",
        fix="Name the actions",
        severity=Severity.ERROR,
        follows=(control("IAM.21"),),
        types=(_ROLE,),
        check=_no_wildcard,
        compliant=_role(_allow("s3:GetObject", "arn:aws:s3:::lake/*")),
        noncompliant=_role(_allow("s3:*", "arn:aws:s3:::lake/*")),
    ),
    Rule(
        id="DataScience-IAM3",
        title="A role of a data-science service passes roles to services that are named",
        fails="The role may pass any role to any service",
        why="Whoever works with it can start a job or a function with an administrator's role.",
        fix="Name the roles, and add a condition on iam:PassedToService",
        severity=Severity.ERROR,
        follows=(guide("IAM/latest/UserGuide/id_roles_use_passrole"),),
        types=(_ROLE,),
        check=_passes,
        compliant=_role(
            _allow("iam:PassRole", StringEquals={"iam:PassedToService": "sagemaker.amazonaws.com"})
        ),
        noncompliant=_role(_allow("iam:PassRole")),
    ),
    Rule(
        id="DataScience-IAM4",
        title="People open their own profile of a domain alone",
        fails="The role may open every user profile of every domain",
        why="Whoever has it works in another one's name, with the other one's files and execution role.",
        fix="Name the profile's ARN, or add a condition on sagemaker:ResourceTag or on the caller",
        severity=Severity.ERROR,
        follows=(guide("sagemaker/latest/APIReference/API_CreatePresignedDomainUrl"),),
        types=(_ROLE,),
        check=_opens_studio,
        compliant=_role(
            _allow(
                "sagemaker:CreatePresignedDomainUrl",
                "arn:aws:sagemaker:eu-west-1:111122223333:user-profile/d-1/ann",
            )
        ),
        noncompliant=_role(_allow("sagemaker:CreatePresignedDomainUrl")),
    ),
    Rule(
        id="DataScience-IAM5",
        title="A service assumes a role for your account alone",
        fails="The service may assume the role on behalf of any account",
        why="A service that acts for somebody else could be made to use the role (the confused deputy).",
        fix="Add a condition on aws:SourceAccount or aws:SourceArn to the trust policy",
        severity=Severity.WARNING,
        follows=(guide("IAM/latest/UserGuide/confused-deputy"),),
        types=(_ROLE,),
        check=_not_confused,
        compliant=_role(),
        noncompliant=_role(condition={}),
    ),
    Rule(
        id="DataScience-DATA1",
        title="Data outlives its stack",
        fails="The data is deleted with its stack",
        why="One wrong deletion, or a change that replaces it, and the data is gone.",
        fix="Set DeletionPolicy and UpdateReplacePolicy to Retain (CDK: RemovalPolicy.RETAIN)",
        severity=Severity.WARNING,
        follows=(
            cloudformation("aws-attribute-deletionpolicy"),
            cloudformation("aws-attribute-updatereplacepolicy"),
        ),
        types=_DATA,
        check=_outlives,
        compliant=_kept(_stream, "Retain"),
        noncompliant=_kept(_stream, "Delete"),
    ),
    Rule(
        id="DataScience-COST1",
        title="A budget tells somebody",
        fails="The budget tells nobody",
        why="It is seen on the bill.",
        fix="Set NotificationsWithSubscribers",
        severity=Severity.WARNING,
        follows=(guide("awsaccountbilling/latest/aboutv2/budgets-managing-costs"),),
        types=(_BUDGET,),
        check=present("NotificationsWithSubscribers"),
        compliant=_budget,
        noncompliant={"Resource": resource(_BUDGET, Budget=_budget["Resource"]["Properties"]["Budget"])},
    ),
    Rule(
        id="DataScience-COST2",
        title="A budget tells before the money is spent",
        fails="The budget tells what has been spent, and not what will be",
        why="A GPU that was forgotten on the second of the month is told of on the thirtieth.",
        fix="Add a notification of type FORECASTED",
        severity=Severity.INFO,
        follows=(cloudformation("aws-properties-budgets-budget-notification"),),
        types=(_BUDGET,),
        check=_forecast,
        compliant=_budget,
        noncompliant={
            "Resource": resource(
                _BUDGET,
                Budget=_budget["Resource"]["Properties"]["Budget"],
                NotificationsWithSubscribers=[
                    {
                        "Notification": {
                            "ComparisonOperator": "GREATER_THAN",
                            "NotificationType": "ACTUAL",
                            "Threshold": 100,
                        },
                        "Subscribers": [{"Address": "ml@example.com", "SubscriptionType": "EMAIL"}],
                    }
                ],
            )
        },
    ),
    Rule(
        id="DataScience-COST3",
        title="Somebody is told what data science costs",
        fails="The app has resources that bill by the hour, and no budget",
        why="Endpoints, notebooks and file systems cost while nobody uses them.",
        fix="Add a budget to the app, or acknowledge where it is",
        severity=Severity.INFO,
        follows=(guide("awsaccountbilling/latest/aboutv2/budgets-managing-costs"),),
        types=_BILLED,
        check=_watched,
        compliant={"Stream": _stream, "Budget": _budget["Resource"]},
        noncompliant={"Stream": _stream},
    ),
    Rule(
        id="DataScience-COST4",
        title="What costs is tagged",
        fails="The resource has no tags",
        why="Nobody can be asked about it, and its cost is nobody's.",
        fix='Tag the app: cdk.Tags.of(app).add("owner", …), or RequiredTags of this library',
        severity=Severity.WARNING,
        follows=(guide("awsaccountbilling/latest/aboutv2/cost-alloc-tags"), control("Glue.1")),
        types=_BILLED,
        check=_tagged,
        compliant={"Stream": _stream},
        noncompliant={"Stream": resource("AWS::Kinesis::Stream", RetentionPeriodHours=168)},
    ),
)
