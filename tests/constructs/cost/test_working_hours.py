"""What is switched when, by whom, and which hours are refused."""

from __future__ import annotations

import json
from typing import Any

import aws_cdk as cdk
import jsii
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_redshift as redshift
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk.assertions import Template
from aws_cdk.interfaces import ResourceEnvironment
from aws_cdk.interfaces.aws_sagemaker import EndpointReference, IEndpointRef
from constructs import Construct

from cdk_data_science._validation import ConfigurationError
from cdk_data_science.cost import RequiredTags, WorkingHours
from cdk_data_science.monitoring import AlertTopic
from tests.constructs import nag, support
from tests.constructs.security.simulator import Simulator

SUNDAY, MONDAY = "2026-11-22", "2026-11-23"


def hours(stack: cdk.Stack, **options: Any) -> WorkingHours:
    return WorkingHours(stack, "Hours", **{"start": "08:30", "end": "19:00", **options})


def notebook(stack: cdk.Stack) -> sagemaker.CfnNotebookInstance:
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    return sagemaker.CfnNotebookInstance(
        stack,
        "Notebook",
        instance_type="ml.t3.medium",
        role_arn=role.role_arn,
    )


@pytest.fixture(scope="module")
def template() -> Template:
    stack = support.stack()
    made = hours(
        stack,
        time_zone="Europe/Berlin",
        holidays=[MONDAY],
        alerts=AlertTopic(stack, "Alerts", emails=["a@b.co"]),
    )
    made.add_notebook(notebook(stack))
    model = sagemaker.CfnModel(stack, "Model")
    variant = sagemaker.CfnEndpointConfig.ProductionVariantProperty(
        variant_name="all", model_name=model.attr_model_name, instance_type="ml.m5.large"
    )
    config = sagemaker.CfnEndpointConfig(stack, "Config", production_variants=[variant])
    endpoint = sagemaker.CfnEndpoint(stack, "Endpoint", endpoint_config_name=config.attr_endpoint_config_name)
    made.add_endpoint(endpoint, scaling=True)
    cluster = redshift.CfnCluster(
        stack, "Cluster", cluster_type="single-node", db_name="d", master_username="u", node_type="ra3.large"
    )
    made.add_warehouse(cluster)
    function = lambda_.Function.from_function_arn(
        stack, "Function", "arn:aws:lambda:eu-west-1:111122223333:function:predict"
    )
    alias = lambda_.Alias(stack, "Live", alias_name="live", version=function.latest_version)
    made.add_provisioned_concurrency(alias, executions=2)
    return support.synth(stack)


def schedules(template: Template) -> dict[str, dict[str, Any]]:
    found = support.resources(template, "AWS::Scheduler::Schedule").values()
    return {json.loads(s["Properties"]["Target"]["Input"])["switch"]: s["Properties"] for s in found}


def environment(template: Template) -> dict[str, Any]:
    functions = support.resources(template, "AWS::Lambda::Function").values()
    (handler,) = [f for f in functions if f["Properties"].get("Handler") == "working_hours.handler"]
    variables: dict[str, Any] = handler["Properties"]["Environment"]["Variables"]
    return variables


def statements(template: Template) -> list[dict[str, Any]]:
    (policy,) = [
        value
        for key, value in support.resources(template, "AWS::IAM::Policy").items()
        if "HandlerRole" in key
    ]
    found: list[dict[str, Any]] = policy["Properties"]["PolicyDocument"]["Statement"]
    return found


def allowed(template: Template, prefix: str) -> dict[str, str]:
    """Each action of a service with the resource that it is allowed on."""
    found = {}
    for statement in statements(template):
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        for action in actions:
            if action.startswith(prefix):
                found[action] = json.dumps(statement["Resource"])
    return found


def test_things_go_on_on_working_days_and_off_every_day_in_their_time_zone(template: Template) -> None:
    found = schedules(template)
    assert found["on"]["ScheduleExpression"] == "cron(30 8 ? * MON,TUE,WED,THU,FRI *)"
    assert found["off"]["ScheduleExpression"] == "cron(0 19 ? * * *)"
    for schedule in found.values():
        assert schedule["ScheduleExpressionTimezone"] == "Europe/Berlin"
        assert json.loads(schedule["Target"]["Input"])["time"] == "<aws.scheduler.scheduled-time>"
        assert schedule["Target"]["RetryPolicy"]["MaximumEventAgeInSeconds"] == 3600
        assert "Arn" in schedule["Target"]["DeadLetterConfig"]


def test_the_function_knows_the_calendar_and_the_things(template: Template) -> None:
    variables = environment(template)
    assert json.loads(variables["CALENDAR"]) == {
        "time_zone": "Europe/Berlin",
        "days": ["MON", "TUE", "WED", "THU", "FRI"],
        "holidays": ["2026-11-23"],
        "extra_days": [],
    }
    things = json.dumps(variables["THINGS"])
    for kind in ("notebook", "endpoint", "warehouse", "concurrency"):
        assert kind in things


def test_an_extra_day_makes_the_morning_a_daily_one() -> None:
    stack = support.stack()
    hours(stack, extra_days=[SUNDAY]).add_notebook(notebook(stack))
    template = support.synth(stack)
    assert schedules(template)["on"]["ScheduleExpression"] == "cron(30 8 ? * * *)"
    assert json.loads(environment(template)["CALENDAR"])["extra_days"] == ["2026-11-22"]


def test_the_function_may_switch_what_was_added_and_nothing_else(template: Template) -> None:
    found = allowed(template, "sagemaker:")
    notebook_arn = found["sagemaker:StopNotebookInstance"]
    assert '"Ref": "Notebook"' in notebook_arn
    assert '"Ref": "Endpoint"' in found["sagemaker:DeleteEndpoint"]
    assert ":cluster:" in allowed(template, "redshift:")["redshift:PauseCluster"]
    assert '"Live' in allowed(template, "lambda:")["lambda:PutProvisionedConcurrencyConfig"]
    # Application Auto Scaling's Describe calls take no resource.
    (everything,) = [s for s in statements(template) if s["Resource"] == "*"]
    assert all(action.startswith("application-autoscaling:Describe") for action in everything["Action"])


def test_what_scales_an_endpoint_is_registered_again_by_the_event_of_its_state(template: Template) -> None:
    (rule,) = support.resources(template, "AWS::Events::Rule").values()
    pattern = rule["Properties"]["EventPattern"]
    assert pattern["detail-type"] == ["SageMaker Endpoint State Change"]
    assert pattern["detail"] == {"EndpointName": [{"Fn::GetAtt": ["Endpoint", "EndpointName"]}]}
    (target,) = rule["Properties"]["Targets"]
    assert json.loads(target["Input"]) == {"switch": "scaling"}
    assert "DeadLetterConfig" in target
    # It may put what is missing, and must not deregister: SageMaker would do that with the caller's rights
    found = allowed(template, "application-autoscaling:")
    assert {action for action in found if "Describe" not in action} == {
        "application-autoscaling:PutScalingPolicy",
        "application-autoscaling:PutScheduledAction",
        "application-autoscaling:RegisterScalableTarget",
    }
    (put,) = [s for s in statements(template) if "application-autoscaling:PutScalingPolicy" in s["Action"]]
    assert put["Condition"] == {"StringEquals": {"application-autoscaling:service-namespace": "sagemaker"}}
    # Application Auto Scaling tries with the caller's rights what scaling will do; the code has none of it
    simulator = Simulator(support.resources(template), "HoursSwitchHandlerRole")
    here = "AWS::Region:AWS::AccountId"
    for action, resource in (
        ("sagemaker:UpdateEndpointWeightsAndCapacities", "arn:aws:sagemaker:{}:endpoint/reviews"),
        ("sagemaker:DescribeEndpointConfig", "arn:aws:sagemaker:{}:endpoint-config/reviews"),
        ("cloudwatch:PutMetricAlarm", "arn:aws:cloudwatch:{}:alarm:"),
        ("cloudwatch:DeleteAlarms", "arn:aws:cloudwatch:{}:alarm:"),
        ("cloudwatch:DescribeAlarms", "arn:aws:cloudwatch:{}:alarm:*"),
    ):
        assert simulator.allows(action, resource.format(here), when={"aws:ViaAWSService": "true"})
        assert not simulator.allows(action, resource.format(here), when={"aws:ViaAWSService": "false"})


def test_rules_may_put_what_failed_into_a_queue_with_a_key_that_was_given() -> None:
    stack = support.stack()
    endpoint = sagemaker.CfnEndpoint(stack, "Endpoint", endpoint_config_name="config")
    hours(stack, key=kms.Key(stack, "Given")).add_endpoint(endpoint, scaling=True)
    (key,) = support.resources(stack, "AWS::KMS::Key").values()
    statements = key["Properties"]["KeyPolicy"]["Statement"]
    (rules,) = [each for each in statements if each["Principal"] == {"Service": "events.amazonaws.com"}]
    assert set(rules["Action"]) == {"kms:Decrypt", "kms:GenerateDataKey*"}


def test_an_endpoint_that_does_not_scale_gives_no_rights_to_scale() -> None:
    stack = support.stack()
    endpoint = sagemaker.CfnEndpoint(stack, "Endpoint", endpoint_config_name="config")
    hours(stack).add_endpoint(endpoint)
    template = support.synth(stack)
    assert support.resources(template, "AWS::Events::Rule") == {}
    assert allowed(template, "application-autoscaling:") == {}
    assert "sagemaker:UpdateEndpointWeightsAndCapacities" not in allowed(template, "sagemaker:")


def test_what_is_added_before_an_endpoint_leaves_it_its_memory() -> None:
    """A deployment in the evening would otherwise forget how to make the endpoint again."""
    kept = []
    for before in (False, True):
        stack = support.stack()
        made = hours(stack)
        one, other = (
            sagemaker.CfnEndpoint(stack, name, endpoint_config_name="config") for name in ("One", "Other")
        )
        if before:
            made.add_notebook(notebook(stack))
            made.add_endpoint(one)
        made.add_endpoint(other)
        template = support.synth(stack)
        memories = [
            key
            for key, value in support.resources(template, "AWS::SSM::Parameter").items()
            if value["Properties"]["Value"] == "{}" and "Other" in key
        ]
        assert memories[0] in json.dumps(environment(template)["THINGS"])
        kept += memories
    assert len(kept) == 2 and len({*kept}) == 1


def test_an_endpoint_is_added_once() -> None:
    stack = support.stack()
    made = hours(stack)
    endpoint = sagemaker.CfnEndpoint(stack, "Endpoint", endpoint_config_name="config")
    made.add_endpoint(endpoint)
    with pytest.raises(ConfigurationError, match="given Test/Endpoint twice; allowed: each endpoint once"):
        made.add_endpoint(endpoint)


def test_people_can_hold_everything_on(template: Template) -> None:
    held = [
        p["Properties"]
        for p in support.resources(template, "AWS::SSM::Parameter").values()
        if p["Properties"]["Value"] == "none"
    ]
    assert len(held) == 1
    stack = support.stack()
    command = stack.resolve(hours(stack).hold_command)
    assert "aws ssm put-parameter --name " in json.dumps(command)


def test_people_hear_of_what_could_not_be_switched(template: Template) -> None:
    template.has_resource_properties(
        "AWS::CloudWatch::Alarm",
        {"AlarmActions": [{"Ref": next(iter(support.resources(template, "AWS::SNS::Topic")))}]},
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"start": 8}, "given start=8; allowed: HH:MM"),
        ({"start": "8:00"}, "given start='8:00'; allowed: HH:MM"),
        ({"end": "24:00"}, "given end='24:00'"),
        ({"start": "20:00"}, "given start='20:00' and end='19:00'"),
        ({"start": "20:00"}, "or the hours would never end"),
        ({"start": "19:00"}, "or the hours would never begin"),
        ({"time_zone": "Europe/Atlantis"}, "given time_zone='Europe/Atlantis'"),
        ({"days": ["Monday"]}, "given days=['Monday']"),
        ({"days": "MON"}, "given days='MON'"),
        ({"days": ["MON", "MON"]}, "each once"),
        ({"days": []}, "or nothing would ever be switched on"),
        ({"holidays": [SUNDAY]}, "given holiday '2026-11-22', a SUN; allowed: working days"),
        ({"holidays": ["2026-02-30"]}, "given holiday '2026-02-30', no date"),
        ({"extra_days": ["next Sunday"]}, "given extra day 'next Sunday', no date"),
        ({"extra_days": [MONDAY]}, "given extra day '2026-11-23', a MON"),
        ({"holidays": [SUNDAY], "extra_days": [SUNDAY]}, "2026-11-22 as a holiday and an extra day"),
    ],
)
def test_hours_that_cannot_be_are_refused(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigurationError) as failure:
        hours(support.stack(), **options)
    assert expected in str(failure.value)


def test_an_endpoint_is_made_again_under_the_name_that_callers_use(template: Template) -> None:
    things = json.dumps(environment(template)["THINGS"])
    assert '"Fn::GetAtt": ["Endpoint", "EndpointName"]' in things


def test_an_endpoint_whose_volumes_have_a_key_is_made_again_with_a_grant_on_it() -> None:
    # SageMaker makes the grant in the name of who calls CreateEndpoint.
    stack = support.stack()
    endpoint = sagemaker.CfnEndpoint(stack, "Endpoint", endpoint_config_name="encrypted")
    key = kms.Key.from_key_arn(stack, "Key", "arn:aws:kms:eu-west-1:111122223333:key/volumes")
    hours(stack).add_endpoint(endpoint, key=key)
    granting = [s for s in statements(support.synth(stack)) if s["Action"] == "kms:CreateGrant"]
    assert [(s["Resource"], s["Condition"]) for s in granting] == [
        (key.key_arn, {"Bool": {"kms:GrantIsForAWSResource": "true"}})
    ]


def test_an_imported_endpoint_needs_its_name() -> None:
    @jsii.implements(IEndpointRef)
    class Imported(Construct):
        env = ResourceEnvironment(account="111122223333", region="eu-west-1")
        endpoint_ref = EndpointReference(
            endpoint_arn="arn:aws:sagemaker:eu-west-1:111122223333:endpoint/reviews"
        )

    stack = support.stack()
    made, imported = hours(stack), Imported(stack, "Imported")
    with pytest.raises(ConfigurationError, match="allowed: its name beside its ARN"):
        made.add_endpoint(imported)
    made.add_endpoint(imported, name="Reviews")
    assert '"name":"Reviews"' in json.dumps(environment(support.synth(stack))).replace("\\", "")


def test_no_concurrency_is_no_concurrency() -> None:
    stack = support.stack()
    alias = lambda_.Alias.from_alias_attributes(  # type: ignore[attr-defined]
        stack,
        "Alias",
        alias_name="live",
        alias_version=lambda_.Version.from_version_arn(
            stack, "Version", "arn:aws:lambda:eu-west-1:111122223333:function:predict:1"
        ),
    )
    with pytest.raises(ConfigurationError, match="given executions=0; allowed: 1 or more"):
        hours(stack).add_provisioned_concurrency(alias, executions=0)


def test_hours_that_switch_nothing_fail_the_synthesis() -> None:
    stack = support.stack()
    hours(stack)
    with pytest.raises(RuntimeError, match="WorkingHours switches nothing"):
        support.synth(stack)


def test_working_hours_carry_required_tags_and_have_no_unacknowledged_finding() -> None:
    app = support.app()
    RequiredTags(app, {"owner": "ml@example.com"})
    stack = support.stack(app)
    made = hours(stack)
    made.add_notebook(notebook(stack))
    endpoint = sagemaker.CfnEndpoint(stack, "Endpoint", endpoint_config_name="config")
    made.add_endpoint(endpoint)
    found = [entry for entry in nag.unacknowledged(app) if "Hours" in entry]
    assert found == []


@pytest.mark.parametrize("add", ["add_endpoint", "add_notebook", "add_warehouse"])
def test_a_name_where_a_construct_is_meant_is_told(add: str) -> None:
    made = WorkingHours(support.stack(), "Hours", start="08:00", end="19:00", time_zone="Europe/Berlin")
    with pytest.raises(ConfigurationError, match="='reviews'; allowed: a construct"):
        getattr(made, add)("reviews")
