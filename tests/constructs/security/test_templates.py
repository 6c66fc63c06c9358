"""What the checks read from templates: functions, conditions, references, state machines, pipelines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from cdk_data_science.security.checks import RULES
from cdk_data_science.security.checks.intrinsics import GAP, UNKNOWN, is_unknown
from cdk_data_science.security.checks.jobs import jobs
from cdk_data_science.security.checks.rule import judge
from cdk_data_science.security.checks.state_machines import machine
from cdk_data_science.security.checks.templates import Resource, Template, Templates

STREAM = "AWS::Kinesis::Stream"


def only(properties: Any, **template: Any) -> Resource:
    """The resource ``R`` of a template."""
    resources = {"R": {"Type": STREAM, "Properties": properties}, "Other": {"Type": "AWS::S3::Bucket"}}
    templates = Templates.of({"Resources": resources, **template}, "Test")
    return next(templates.resources(STREAM))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Ref": "Other"}, "<Test/Other.Ref>"),
        ({"Fn::GetAtt": ["Other", "Arn"]}, "<Test/Other.Arn>"),
        ({"Fn::GetAtt": "Other.Arn"}, "<Test/Other.Arn>"),
        ({"Ref": "Parameter"}, UNKNOWN),
        ({"Ref": "AWS::Region"}, "${AWS::Region}"),
        ({"Fn::Join": ["/", ["a", {"Ref": "Other"}]]}, "a/<Test/Other.Ref>"),
        ({"Fn::Join": ["/", ["a", {"Ref": "Parameter"}]]}, f"a/{GAP}"),
        ({"Fn::Join": ["", {"Ref": "Parameter"}]}, UNKNOWN),
        ({"Fn::Sub": "a-${Other.Arn}-${!b}"}, "a-<Test/Other.Arn>-${b}"),
        ({"Fn::Sub": ["${A}/${B}", {"A": "x", "B": {"Ref": "Parameter"}}]}, f"x/{GAP}"),
        ({"Fn::Select": [1, ["a", "b"]]}, "b"),
        ({"Fn::Select": [1, {"Fn::Split": ["-", "a-b"]}]}, "b"),
        ({"Fn::Select": [5, ["a", "b"]]}, UNKNOWN),
        ({"Fn::FindInMap": ["Sizes", "prod", "count"]}, 3),
        ({"Fn::FindInMap": ["Sizes", {"Ref": "Parameter"}, "count"]}, UNKNOWN),
        ({"Fn::If": ["IsProd", "same", "same"]}, "same"),
        ({"Fn::If": ["IsProd", "one", "other"]}, UNKNOWN),
        ({"Fn::GetAZs": ""}, UNKNOWN),
        ([1, {"Ref": "AWS::NoValue"}, 2], [1, 2]),
        ({"A": {"Ref": "AWS::NoValue"}, "B": 1}, {"B": 1}),
    ],
)
def test_functions_come_to_what_the_template_tells(value: Any, expected: Any) -> None:
    mappings = {"Sizes": {"prod": {"count": 3}}}
    conditions = {"IsProd": {"Fn::Equals": [{"Ref": "Parameter"}, "prod"]}}
    assert only({"Name": value}, Mappings=mappings, Conditions=conditions).get("Name") == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (UNKNOWN, True), (f"a{GAP}", True), ("<Test/Other.Arn>/*", True), ("arn:${AWS::Partition}:s3", True),
        ("plain", False), (3, False), (None, False), ("a < b / c.d > e", False),
    ],
)  # fmt: skip
def test_a_value_is_unknown_if_a_part_of_it_is(value: Any, expected: bool) -> None:
    assert is_unknown(value) is expected


def outcomes(value: Any, conditions: Mapping[str, Any], region: str | None = None) -> list[Any]:
    document = {
        "Conditions": conditions,
        "Resources": {"R": {"Type": STREAM, "Properties": {"Name": value}}},
    }
    templates = Templates([Template(stack="Test", document=document, region=region)])
    [resource] = templates.resources()
    return [variant.get("Name") for variant in templates.variants(resource)]


IS_PROD = {"IsProd": {"Fn::Equals": [{"Ref": "Stage"}, "prod"]}}
IN_CHINA = {"InChina": {"Fn::Equals": [{"Ref": "AWS::Region"}, "cn-north-1"]}}


def chosen(condition: str, yes: Any = "yes", no: Any = "no") -> dict[str, Any]:
    return {"Fn::If": [condition, yes, no]}


def test_each_outcome_of_a_condition_is_looked_at() -> None:
    assert outcomes(chosen("IsProd"), IS_PROD) == ["yes", "no"]


def test_two_conditions_on_one_value_are_never_both_true() -> None:
    is_dev = {"IsDev": {"Fn::Equals": [{"Ref": "Stage"}, "dev"]}}
    found = outcomes([chosen("IsProd"), chosen("IsDev")], IS_PROD | is_dev)
    assert sorted(found) == [["no", "no"], ["no", "yes"], ["yes", "no"]]


def test_a_condition_made_of_others_follows_them() -> None:
    conditions = IS_PROD | {
        "IsTest": {"Fn::Not": [{"Condition": "IsProd"}]},
        "Never": {"Fn::And": [{"Condition": "IsProd"}, {"Condition": "IsTest"}]},
        "Always": {"Fn::Or": [{"Condition": "IsProd"}, {"Condition": "IsTest"}]},
    }
    found = outcomes([chosen("IsTest"), chosen("Never"), chosen("Always")], conditions)
    assert sorted(found) == [["no", "no", "yes"], ["yes", "no", "yes"]]


def test_a_comparison_of_literals_is_decided() -> None:
    assert outcomes(chosen("C"), {"C": {"Fn::Equals": ["a", "a"]}}) == ["yes"]


@pytest.mark.parametrize(("region", "expected"), [(None, "no"), ("eu-west-1", "no"), ("cn-north-1", "yes")])
def test_a_condition_on_the_region_is_decided(region: str | None, expected: str) -> None:
    assert outcomes(chosen("InChina"), IN_CHINA, region) == [expected]


def test_too_many_conditions_leave_the_value_unknown() -> None:
    conditions = {f"C{n}": {"Fn::Equals": [{"Ref": f"P{n}"}, "x"]} for n in range(9)}
    assert outcomes([chosen(name) for name in conditions], conditions) == [[UNKNOWN] * 9]


def test_references_are_followed_across_stacks() -> None:
    made = {"Resources": {"Key": {"Type": "AWS::KMS::Key"}}}
    weak = made | {"Outputs": {"KeyArn": {"Value": {"Fn::GetAtt": ["Key", "Arn"]}}}}
    strong = {
        "Resources": made["Resources"],
        "Outputs": {"O": {"Value": {"Fn::GetAtt": ["Key", "Arn"]}, "Export": {"Name": "key"}}},
    }
    taken = {
        "Weak": {"Fn::GetStackOutput": {"StackName": "One", "OutputName": "KeyArn"}},
        "Strong": {"Fn::ImportValue": "key"},
        "Lost": {"Fn::ImportValue": "nobody"},
    }
    consumer = {"Resources": {"R": {"Type": STREAM, "Properties": taken}}}
    templates = Templates(
        Template(stack=name, document=document)
        for name, document in (("One", weak), ("Two", strong), ("Three", consumer))
    )
    [stream] = templates.resources(STREAM)
    weak_target, strong_target = (templates.target(stream.get(name)) for name in ("Weak", "Strong"))
    assert weak_target is not None
    assert strong_target is not None
    assert [weak_target.template.stack, strong_target.template.stack] == ["One", "Two"]
    assert stream.get("Lost") is UNKNOWN


def test_elements_of_lists_are_told_with_their_places() -> None:
    resource = only({"Variants": [{"Name": "a"}, {}, {"Name": {"Ref": "Parameter"}}]})
    assert list(resource.each("Variants[*].Name")) == [
        ("Variants[0].Name", "a"), ("Variants[1].Name", None), ("Variants[2].Name", UNKNOWN)
    ]  # fmt: skip
    unknown = only({"Variants": {"Ref": "Parameter"}})
    assert list(unknown.each("Variants[*].Name")) == [("Variants", UNKNOWN)]


def test_a_glue_configuration_for_crawlers_alone_needs_no_key_for_bookmarks() -> None:
    encryption = {"CloudWatchEncryption": {"CloudWatchEncryptionMode": "SSE-KMS", "KmsKeyArn": "k"}}
    configuration = {
        "Type": "AWS::Glue::SecurityConfiguration",
        "Properties": {"Name": "logs", "EncryptionConfiguration": encryption},
    }
    crawler = {"Type": "AWS::Glue::Crawler", "Properties": {"CrawlerSecurityConfiguration": "logs"}}
    job = {"Type": "AWS::Glue::Job", "Properties": {"SecurityConfiguration": {"Ref": "Configuration"}}}
    alone = {"Configuration": configuration, "Crawler": crawler}
    assert ids(Templates.of({"Resources": alone}), "GL2") == set()
    assert ids(Templates.of({"Resources": alone | {"Job": job}}), "GL2") == {"DataScience-GL2"}
    # Nor does it matter that it says so of output, which crawlers do not write.
    encryption["S3Encryptions"] = [{"S3EncryptionMode": "DISABLED"}]  # type: ignore[assignment]
    assert ids(Templates.of({"Resources": alone}), "GL2") == set()
    assert ids(Templates.of({"Resources": alone | {"Job": job}}), "GL2") == {"DataScience-GL2"}


MODEL_ALONE = {
    "Type": "AWS::SageMaker::Model",
    "Properties": {"PrimaryContainer": {"Image": "repository:1", "ModelDataUrl": "s3://models/model.tar.gz"}},
}


def serving(*variants: Mapping[str, Any], **config: Any) -> Templates:
    """A model without isolation and VPC, behind variants."""
    properties = {
        "ProductionVariants": [{"ModelName": {"Ref": "Model"}, **each} for each in variants],
        **config,
    }
    resources = {
        "Model": MODEL_ALONE,
        "Config": {"Type": "AWS::SageMaker::EndpointConfig", "Properties": properties},
    }
    return Templates.of({"Resources": resources})


INSTANCE = {"InstanceType": "ml.m6i.large", "InitialInstanceCount": 2}
SERVERLESS = {"ServerlessConfig": {"MaxConcurrency": 1, "MemorySizeInMB": 2048}}


@pytest.mark.parametrize("rule", ["SM20", "SM21", "SM28"])
def test_serverless_variants_are_not_asked_for_what_sagemaker_does_not_offer_them(rule: str) -> None:
    assert ids(serving(INSTANCE), rule) == {f"DataScience-{rule}"}
    assert ids(serving(SERVERLESS), rule) == set()


@pytest.mark.parametrize("rule", ["SM20", "SM21"])
def test_a_model_that_instances_serve_as_well_is_asked(rule: str) -> None:
    assert ids(serving(SERVERLESS, INSTANCE), rule) == {f"DataScience-{rule}"}
    shadow = [{"ModelName": {"Ref": "Model"}, **INSTANCE}]
    assert ids(serving(SERVERLESS, ShadowProductionVariants=shadow), rule) == {f"DataScience-{rule}"}
    alone = Templates.of({"Resources": {"Model": MODEL_ALONE}})
    assert ids(alone, rule) == {f"DataScience-{rule}"}


@pytest.mark.parametrize("rule", ["SM20", "SM21"])
def test_variants_of_components_name_no_model_and_serve_no_other_one(rule: str) -> None:
    of_components = {"VariantName": "main", "ModelName": {"Ref": "AWS::NoValue"}, **INSTANCE}
    assert ids(serving(SERVERLESS, of_components), rule) == set()


def test_what_asynchronous_endpoints_get_is_in_s3_already() -> None:
    assert ids(serving(INSTANCE, AsyncInferenceConfig={"OutputConfig": {}}), "SM28") == set()


@pytest.mark.parametrize(
    ("container", "downloads"),
    [
        ({"Environment": {"HF_MODEL_ID": "distilbert"}}, True),
        ({"Environment": {"HF_MODEL_ID": "/opt/ml/model"}, "ModelDataUrl": "s3://m/model.tar.gz"}, False),
        ({"Environment": {"OTHER": "x"}}, False),
        ({"Environment": {"Ref": "Parameter"}}, False),
        ({}, False),
    ],
)
def test_a_container_that_downloads_its_model_is_not_told_that_sagemaker_brings_it(
    container: Mapping[str, Any], downloads: bool
) -> None:
    model = {
        "Type": "AWS::SageMaker::Model",
        "Properties": {"PrimaryContainer": {"Image": "repository:1", **container}},
    }
    (finding,) = judge(Templates.of({"Resources": {"M": model}}), [r for r in RULES if r.id.endswith("SM20")])
    assert ("downloads its model" in finding.said) is downloads


# --- State machines and pipelines --------------------------------------------------------------------------


def task(**more: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True} | more


def machine_with(states: Mapping[str, Any], **more: Any) -> Templates:
    definition = {"StartAt": next(iter(states)), "States": states, **more}
    properties = {"RoleArn": "arn:aws:iam::1:role/r", "DefinitionString": json.dumps(definition)}
    return Templates.of({"Resources": {"M": {"Type": "AWS::StepFunctions::StateMachine",
                                            "Properties": properties}}})  # fmt: skip


def ids(templates: Templates, prefix: str) -> set[str]:
    return {
        finding.id for finding in judge(templates, RULES) if finding.id.startswith(f"DataScience-{prefix}")
    }


def test_a_catch_around_a_parallel_state_takes_the_errors_inside() -> None:
    caught = {
        "Both": {
            "Type": "Parallel",
            "Branches": [{"StartAt": "Inner", "States": {"Inner": task()}}],
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Failed"}],
            "End": True,
        },
        "Failed": {"Type": "Fail"},
    }
    assert ids(machine_with(caught), "SFN3") == set()
    del caught["Both"]["Catch"]
    assert ids(machine_with(caught), "SFN3") == {"DataScience-SFN3[Inner]"}


def test_a_timeout_of_the_whole_machine_ends_every_task() -> None:
    assert ids(machine_with({"Work": task()}), "SFN1[") == {"DataScience-SFN1[Work]"}
    assert ids(machine_with({"Work": task()}, TimeoutSeconds=60), "SFN1[") == set()


def test_the_last_step_of_telling_a_failure_needs_no_catch() -> None:
    states = {
        "Work": task(Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Tell"}]),
        "Tell": {**task(Next="Failed"), "End": False},
        "Failed": {"Type": "Fail"},
    }
    del states["Tell"]["End"]
    assert ids(machine_with(states), "SFN3") == set()


@pytest.mark.parametrize(
    ("resource", "expected"),
    [("cognitoidentityprovider:listUsers", set()), ("dynamodb:getItem", {"DataScience-SFN8[cognito-idp]"})],
)
def test_a_role_is_not_called_too_wide_where_iam_has_a_name_that_is_not_known(
    resource: str, expected: set[str]
) -> None:
    statements = [
        {"Effect": "Allow", "Action": action, "Resource": "*"}
        for action in ("cognito-idp:ListUsers", "dynamodb:GetItem")
    ]
    policies = [{"PolicyName": "p", "PolicyDocument": {"Statement": statements}}]
    work = task(Resource=f"arn:aws:states:::aws-sdk:{resource}")
    properties = {
        "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
        "DefinitionString": json.dumps({"StartAt": "Work", "States": {"Work": work}}),
    }
    resources = {
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"Policies": policies}},
        "M": {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties},
    }
    assert ids(Templates.of({"Resources": resources}), "SFN8") == expected


@pytest.mark.parametrize("text", ["{", '{"States": []}', "[]", '"text"'])
def test_a_definition_that_cannot_be_read_is_unknown(text: str) -> None:
    resources = {"M": {"Type": "AWS::StepFunctions::StateMachine", "Properties": {"DefinitionString": text}}}
    templates = Templates.of({"Resources": resources})
    assert ids(templates, "SFN1[") == set()
    assert machine(next(templates.resources())) is None or text == '{"States": []}'


def test_what_a_task_computes_at_run_time_is_unknown() -> None:
    arguments = {"ResourceConfig": "{% $resources %}", "EnableNetworkIsolation": "{% $isolated %}"}
    train = task(Resource="arn:aws:states:::sagemaker:createTrainingJob.sync", Arguments=arguments)
    templates = machine_with({"Train": train})
    [job] = jobs(next(templates.resources()))
    assert job.get("EnableNetworkIsolation") is UNKNOWN
    assert job.cluster("InstanceType") is UNKNOWN
    assert "DataScience-JOB1[Train]" not in ids(templates, "JOB1")


def test_what_a_task_takes_from_its_input_by_jsonpath_is_unknown() -> None:
    parameters = {"EnableNetworkIsolation.$": "$.isolated"}
    train = task(Resource="arn:aws:states:::sagemaker:createTrainingJob.sync", Parameters=parameters)
    assert "DataScience-JOB1[Train]" not in ids(machine_with({"Train": train}), "JOB1")


def test_steps_of_a_sagemaker_pipeline_are_judged_like_tasks() -> None:
    training = {
        "ResourceConfig": {"InstanceType": "ml.g5.xlarge", "InstanceCount": 1, "VolumeKmsKeyId": "alias/k"},
        "EnableNetworkIsolation": {"Get": "Parameters.Isolated"},
    }
    body = {"Version": "2020-12-01", "Steps": [{"Name": "Fit", "Type": "Training", "Arguments": training}]}
    resources = {
        "P": {
            "Type": "AWS::SageMaker::Pipeline",
            "Properties": {
                "PipelineName": "p",
                "RoleArn": "arn:aws:iam::1:role/r",
                "PipelineDefinition": {"PipelineDefinitionBody": json.dumps(body)},
            },
        }
    }
    found = ids(Templates.of({"Resources": resources}), "JOB")
    assert "DataScience-JOB6[Fit]" in found
    assert "DataScience-JOB1[Fit]" not in found
