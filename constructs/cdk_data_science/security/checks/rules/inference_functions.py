"""Lambda functions that answer predictions: who may call them, what they cost, what they keep."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cdk_data_science.security.checks.expectations import (
    arn,
    but,
    example,
    one_of,
    ref,
    resource,
)
from cdk_data_science.security.checks.intrinsics import UNKNOWN
from cdk_data_science.security.checks.rule import (
    Example,
    Problem,
    Rule,
    Severity,
    Unknown,
    cloudformation,
    control,
    guide,
)
from cdk_data_science.security.checks.rules.glue import secrets_in
from cdk_data_science.security.checks.templates import Resource, as_list

_URL = "AWS::Lambda::Url"
_PERMISSION = "AWS::Lambda::Permission"
_FUNCTION = "AWS::Lambda::Function"
_LOGS = "AWS::Logs::LogGroup"

_url = example(
    _URL,
    TargetFunctionArn="arn:aws:lambda:eu-west-1:111122223333:function:predict",
    AuthType="AWS_IAM",
    Cors={"AllowOrigins": ["https://shop.example.com"]},
)
_permission = example(
    _PERMISSION,
    FunctionName="predict",
    Action="lambda:InvokeFunction",
    Principal="events.amazonaws.com",
    SourceArn="arn:aws:events:eu-west-1:111122223333:rule/nightly",
)


def _function(logs: dict[str, Any] | None = None, **properties: Any) -> Example:
    """A function with a URL and a log group."""
    good = {
        "Role": "arn:aws:iam::111122223333:role/predict",
        "Code": {"S3Bucket": "assets", "S3Key": "predict.zip"},
        "Runtime": "python3.13",
        "Handler": "app.handler",
        "Timeout": 10,
        "ReservedConcurrentExecutions": 20,
        "LoggingConfig": {"LogGroup": ref("Logs")},
        "Environment": {"Variables": {"MODEL": "s3://models/1"}},
    }
    kept = {key: value for key, value in (good | properties).items() if value is not None}
    return {
        "Function": resource(_FUNCTION, **kept),
        "Url": resource(_URL, TargetFunctionArn=arn("Function"), AuthType="AWS_IAM"),
        "Logs": resource(_LOGS, **({"RetentionInDays": 365} if logs is None else logs)),
    }


def _has_url(function: Resource) -> bool:
    """Whether a function, or an alias or a version of it, has a URL."""
    for url in function.templates.resources(_URL):
        target = function.templates.target(url.get("TargetFunctionArn"))
        if target is not None and target.type in ("AWS::Lambda::Alias", "AWS::Lambda::Version"):
            target = function.templates.target(target.get("FunctionName"))
        if target == function:
            return True
    return False


def _limited(function: Resource) -> Iterator[Problem]:
    if function.get("ReservedConcurrentExecutions") is None and _has_url(function):
        yield Problem(at="ReservedConcurrentExecutions")


def _patient(function: Resource) -> Iterator[Problem]:
    if function.get("Timeout") is None and _has_url(function):
        yield Problem(at="Timeout")


def _forgets(function: Resource) -> Iterator[Problem]:
    if not _has_url(function):
        return
    named = function.get("LoggingConfig.LogGroup")
    group = function.templates.target(named)
    if group is None:
        usual = f"/aws/lambda/{function.ref}"
        same = (g for g in function.templates.resources(_LOGS) if g.get("LogGroupName") == usual)
        group = next(same, None)
    if group is None:
        yield Problem(at="LoggingConfig.LogGroup", uncertain=named is not None)
    elif group.get("RetentionInDays") is None:
        yield Problem(at="LoggingConfig.LogGroup", said=f"{group.path} keeps its logs for ever")


def _not_public(permission: Resource) -> Iterator[Problem]:
    principal = permission.get("Principal")
    if principal is UNKNOWN:
        yield Problem(at="Principal", uncertain=True)
    elif principal == "*":
        bounds = ("PrincipalOrgID", "SourceArn", "SourceAccount")
        # Who a URL lets in is told by the URL's own rule.
        of_url = permission.get("FunctionUrlAuthType") or permission.get("InvokedViaFunctionUrl")
        if not of_url and all(permission.get(name) is None for name in bounds):
            yield Problem(at="Principal")


def _only_mine(permission: Resource) -> Iterator[Problem]:
    principal = permission.get("Principal")
    bounds = ("SourceArn", "SourceAccount", "PrincipalOrgID")
    if not isinstance(principal, str) or not principal.endswith((".amazonaws.com", ".amazonaws.com.cn")):
        return
    if all(permission.get(name) is None for name in bounds):
        yield Problem(at="SourceArn")


def _one_origin(url: Resource) -> Iterator[Problem]:
    origins = url.get("Cors.AllowOrigins")
    if origins is UNKNOWN:
        yield Problem(at="Cors.AllowOrigins", uncertain=True)
    elif "*" in as_list(origins):
        yield Problem(at="Cors.AllowOrigins")


RULES = (
    Rule(
        id="DataScience-LAM1",
        title="A function URL asks who calls",
        fails="Anybody on the internet may call the function",
        why="Predictions cost, and many questions to a model tell what it learned.",
        fix='Set AuthType to "AWS_IAM" and grant lambda:InvokeFunctionUrl to the callers',
        severity=Severity.ERROR,
        follows=(guide("lambda/latest/dg/urls-auth"),),
        types=(_URL,),
        check=one_of("AuthType", "AWS_IAM"),
        compliant=_url,
        noncompliant=but(_url, AuthType="NONE"),
        unknown=Unknown.FAILS,
    ),
    Rule(
        id="DataScience-LAM2",
        title="A function's policy does not let everybody in",
        fails="Every AWS account may invoke the function",
        why="Predictions cost, and many questions to a model tell what it learned.",
        fix="Name the principal, or add PrincipalOrgID, SourceArn or SourceAccount",
        severity=Severity.ERROR,
        follows=(control("Lambda.1"),),
        types=(_PERMISSION,),
        check=_not_public,
        compliant=_permission,
        noncompliant=but(_permission, Principal="*", SourceArn=None),
    ),
    Rule(
        id="DataScience-LAM3",
        title="A service invokes a function for your resources alone",
        fails="The service may invoke the function for a resource of any account",
        why="Somebody else's bucket or rule can send the function events of theirs.",
        fix="Set SourceArn, and SourceAccount where the ARN has no account",
        severity=Severity.WARNING,
        follows=(
            guide("lambda/latest/dg/access-control-resource-based"),
            guide("lambda/latest/dg/permissions-function-services"),
        ),
        types=(_PERMISSION,),
        check=_only_mine,
        compliant=_permission,
        noncompliant=but(_permission, SourceArn=None),
    ),
    Rule(
        id="DataScience-LAM4",
        title="A function URL answers named web sites alone",
        fails="Scripts of every web site may call the function URL",
        why="With a signed-in user's browser they call it in the user's name.",
        fix="Name the origins in Cors.AllowOrigins",
        severity=Severity.WARNING,
        follows=(cloudformation("aws-properties-lambda-url-cors"),),
        types=(_URL,),
        check=_one_origin,
        compliant=_url,
        noncompliant=but(_url, Cors={"AllowOrigins": ["*"]}),
    ),
    Rule(
        id="DataScience-LAM5",
        title="A function with a URL has a limit",
        fails="The function may take all concurrency of the account",
        why="A flood of requests then stops every other function, and costs without a limit.",
        fix="Set ReservedConcurrentExecutions",
        severity=Severity.WARNING,
        follows=(
            guide("lambda/latest/dg/configuration-concurrency"),
            guide("lambda/latest/dg/urls-invocation"),
        ),
        types=(_FUNCTION,),
        check=_limited,
        compliant=_function(),
        noncompliant=_function(ReservedConcurrentExecutions=None),
    ),
    Rule(
        id="DataScience-LAM6",
        title="A function with a URL says how long an answer may take",
        fails="The function is ended after the default of 3 seconds",
        why="The first request after a pause loads the model, and that takes longer.",
        fix="Set Timeout to what callers wait for",
        severity=Severity.INFO,
        follows=(guide("lambda/latest/dg/limits"),),
        types=(_FUNCTION,),
        check=_patient,
        compliant=_function(),
        noncompliant=_function(Timeout=None),
    ),
    Rule(
        id="DataScience-LAM7",
        title="A function with a URL does not keep its logs for ever",
        fails="The function's logs are kept for ever",
        why="They cost, and may hold requests that had to be deleted.",
        fix="Give it a log group with RetentionInDays, by LoggingConfig.LogGroup",
        severity=Severity.WARNING,
        follows=(guide("lambda/latest/dg/monitoring-cloudwatchlogs"),),
        types=(_FUNCTION,),
        check=_forgets,
        compliant=_function(),
        noncompliant=_function({}),
    ),
    Rule(
        id="DataScience-LAM8",
        title="No secrets in the variables of a function",
        fails="A variable of the function holds a secret",
        why="Variables are readable in the template and in the console.",
        fix="Keep it in Secrets Manager, pass its name, and let the function read it",
        severity=Severity.ERROR,
        follows=(guide("lambda/latest/dg/configuration-envvars"),),
        types=(_FUNCTION,),
        check=secrets_in("Environment.Variables"),
        compliant=_function(),
        noncompliant=_function(Environment={"Variables": {"API_KEY": "hunter2"}}),
    ),
)
