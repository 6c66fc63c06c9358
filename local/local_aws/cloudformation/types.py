"""Resource types that ministack lacks, each deployed through the API that its properties belong to.

The calls go to this instance over HTTP, so that what a stack deploys is what the API then shows. That is
possible because these types run on worker threads: ministack's event loop stays free to answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from local_aws import context
from local_aws.cloudformation import (
    buckets,
    budgets,
    calls,
    conditions,
    feature_groups,
    file_systems,
    hosting,
    iceberg_tables,
    math_alarms,
    mlflow,
    parameters,
    queries,
    recorded,
    security_groups,
    studio,
    validation,
)

Props = dict[str, Any]
Created = tuple[str, dict[str, Any]]
Handlers = dict[str, dict[str, Any]]


def install() -> None:
    from ministack.services.cloudformation import provisioners, stacks

    types = _ours()
    for completed in (buckets, iceberg_tables, math_alarms, parameters):
        types[completed.TYPE] = completed.handlers(provisioners._RESOURCE_HANDLERS[completed.TYPE])
    provisioners._RESOURCE_HANDLERS.update(types)
    on_worker_thread = stacks._runs_on_worker_thread

    def runs_on_worker_thread(resource_type: str) -> bool:
        return resource_type in types or bool(on_worker_thread(resource_type))

    stacks._runs_on_worker_thread = runs_on_worker_thread
    conditions.install()
    validation.install()


def _ours() -> Handlers:
    return {
        "AWS::SageMaker::ModelPackageGroup": _type(_group_create, _group_delete, _group_update),
        "AWS::SageMaker::Model": _type(hosting.create_model, hosting.delete_model),
        "AWS::SageMaker::EndpointConfig": _type(hosting.create_config, hosting.delete_config),
        "AWS::SageMaker::Endpoint": {
            "create": hosting.create_endpoint,
            "update": hosting.update_endpoint,
            "update_with_logical_id": True,
            "delete": hosting.delete_endpoint,
        },
        "AWS::SageMaker::MlflowApp": _type(mlflow.create_app, mlflow.delete_app, mlflow.update_app),
        "AWS::SageMaker::MlflowTrackingServer": _type(
            mlflow.create_server, mlflow.delete_server, mlflow.update_server
        ),
        "AWS::SageMaker::FeatureGroup": _type(
            feature_groups.create, feature_groups.delete, feature_groups.update
        ),
        "AWS::FSx::FileSystem": _type(file_systems.create, file_systems.delete, file_systems.update),
        "AWS::FSx::DataRepositoryAssociation": _type(
            file_systems.create_link, file_systems.delete_link, file_systems.update_link
        ),
        "AWS::LakeFormation::Resource": _type(_location_create, _location_delete),
        "AWS::LakeFormation::DataLakeSettings": _type(_settings_create, _settings_delete),
        "AWS::LakeFormation::PrincipalPermissions": _type(_grant_create, _grant_delete),
        "AWS::LakeFormation::Tag": _type(_tag_create, _tag_delete, _tag_update),
        "AWS::LakeFormation::TagAssociation": _type(_association_create, _association_delete),
        "AWS::Athena::NamedQuery": _type(queries.create_named, queries.delete_named),
        "AWS::Athena::PreparedStatement": _type(queries.create_prepared, queries.delete_prepared),
        "AWS::Budgets::Budget": _type(_budget_create, _budget_delete, _budget_update),
        "AWS::Budgets::BudgetsAction": _type(budgets.create, budgets.delete, budgets.update),
        "AWS::CE::AnomalyMonitor": _type(_monitor_create, _monitor_delete, _monitor_update),
        "AWS::CE::AnomalySubscription": _type(
            _subscription_create, _subscription_delete, _subscription_update
        ),
        "AWS::CloudWatch::CompositeAlarm": _type(_alarm_create, _alarm_delete, _alarm_update),
        "AWS::EC2::SecurityGroupIngress": _type(
            security_groups.create_ingress, security_groups.delete_ingress
        ),
        "AWS::EC2::SecurityGroupEgress": _type(security_groups.create_egress, security_groups.delete_egress),
        "Custom::S3AutoDeleteObjects": _type(_emptying_create, _emptying_delete),
        **studio.handlers(),
        **recorded.handlers(),
    }


def _type(
    create: Callable[[str, Props, str], Created],
    delete: Callable[[str, Props], None],
    update: Callable[[str, Props, Props, str], Created] | None = None,
) -> dict[str, Any]:
    """Without an update of its own, a changed resource is deleted and created anew."""

    def replace(physical_id: str, old: Props, new: Props, stack: str, logical_id: str) -> Created:
        delete(physical_id, old)
        return create(logical_id, new, stack)

    if update is not None:
        return {"create": create, "update": update, "delete": delete}
    return {"create": create, "update": replace, "update_with_logical_id": True, "delete": delete}


def _without(props: Props, *names: str) -> Props:
    return {name: value for name, value in props.items() if name not in names}


def _parsed(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


# SageMaker


def _group_create(logical_id: str, props: Props, stack: str) -> Created:
    arn = calls.call("sagemaker", "CreateModelPackageGroup", _without(props, "ModelPackageGroupPolicy"))[
        "ModelPackageGroupArn"
    ]
    _put_policy(props, {})
    return arn, {"ModelPackageGroupArn": arn, "ModelPackageGroupStatus": "Completed"}


def _group_update(physical_id: str, old: Props, new: Props, stack: str) -> Created:
    if old["ModelPackageGroupName"] != new["ModelPackageGroupName"]:
        return _group_create("", new, stack)
    _put_policy(new, old)
    if new.get("Tags"):
        calls.call("sagemaker", "AddTags", {"ResourceArn": physical_id, "Tags": new["Tags"]})
    return physical_id, {"ModelPackageGroupArn": physical_id, "ModelPackageGroupStatus": "Completed"}


def _group_delete(physical_id: str, props: Props) -> None:
    name = physical_id.rsplit("/", 1)[-1]
    calls.call_if_there(
        "sagemaker", "DeleteModelPackageGroup", {"ModelPackageGroupName": name}, "ValidationException"
    )


def _put_policy(props: Props, before: Props) -> None:
    """A policy as text or as an object; one that is gone from the template is taken away."""
    name = {"ModelPackageGroupName": props["ModelPackageGroupName"]}
    policy = props.get("ModelPackageGroupPolicy")
    if policy:
        text = policy if isinstance(policy, str) else json.dumps(policy)
        calls.call("sagemaker", "PutModelPackageGroupPolicy", name | {"ResourcePolicy": text})
    elif before.get("ModelPackageGroupPolicy"):
        calls.call("sagemaker", "DeleteModelPackageGroupPolicy", name)


# Lake Formation


def _location_create(logical_id: str, props: Props, stack: str) -> Created:
    calls.call("lakeformation", "RegisterResource", props)
    return props["ResourceArn"], {"Id": props["ResourceArn"]}


def _location_delete(physical_id: str, props: Props) -> None:
    calls.call_if_there(
        "lakeformation", "DeregisterResource", {"ResourceArn": physical_id}, "EntityNotFoundException"
    )


def _settings_create(logical_id: str, props: Props, stack: str) -> Created:
    settings = _without(props, "MutationType", "Admins") | {"DataLakeAdmins": props.get("Admins", [])}
    if props.get("MutationType") == "APPEND":
        known = calls.call("lakeformation", "GetDataLakeSettings", {})["DataLakeSettings"]
        added = [a for a in settings["DataLakeAdmins"] if a not in known.get("DataLakeAdmins", [])]
        settings["DataLakeAdmins"] = known.get("DataLakeAdmins", []) + added
    calls.call("lakeformation", "PutDataLakeSettings", {"DataLakeSettings": settings})
    return f"{stack}-{logical_id}", {}


def _settings_delete(physical_id: str, props: Props) -> None:
    """The settings of an account are never absent: as in AWS, only our administrators go."""
    settings = calls.call("lakeformation", "GetDataLakeSettings", {})["DataLakeSettings"]
    ours = props.get("Admins", [])
    settings["DataLakeAdmins"] = [a for a in settings.get("DataLakeAdmins", []) if a not in ours]
    calls.call("lakeformation", "PutDataLakeSettings", {"DataLakeSettings": settings})


def _grant_create(logical_id: str, props: Props, stack: str) -> Created:
    calls.call("lakeformation", "GrantPermissions", _without(props, "Catalog") | _catalog(props))
    principal = props["Principal"]["DataLakePrincipalIdentifier"]
    identifiers = {
        "PrincipalIdentifier": principal,
        "ResourceIdentifier": json.dumps(props["Resource"], sort_keys=True),
    }
    return f"{principal}|{identifiers['ResourceIdentifier']}", identifiers


def _grant_delete(physical_id: str, props: Props) -> None:
    calls.call_if_there(
        "lakeformation",
        "RevokePermissions",
        _without(props, "Catalog") | _catalog(props),
        "EntityNotFoundException",
        "InvalidInputException",
    )


def _catalog(props: Props) -> Props:
    return {"CatalogId": props["Catalog"]} if "Catalog" in props else {}


def _tag_create(logical_id: str, props: Props, stack: str) -> Created:
    calls.call("lakeformation", "CreateLFTag", props)
    return props["TagKey"], {}


def _tag_update(physical_id: str, old: Props, new: Props, stack: str) -> Created:
    if new["TagKey"] != old["TagKey"]:
        return _tag_create("", new, stack)
    changes = {
        "TagKey": new["TagKey"],
        "TagValuesToAdd": [v for v in new["TagValues"] if v not in old["TagValues"]],
        "TagValuesToDelete": [v for v in old["TagValues"] if v not in new["TagValues"]],
    }
    calls.call("lakeformation", "UpdateLFTag", {name: value for name, value in changes.items() if value})
    return physical_id, {}


def _tag_delete(physical_id: str, props: Props) -> None:
    calls.call_if_there("lakeformation", "DeleteLFTag", {"TagKey": physical_id}, "EntityNotFoundException")


def _association_create(logical_id: str, props: Props, stack: str) -> Created:
    calls.call("lakeformation", "AddLFTagsToResource", props)
    identifiers = {
        "ResourceIdentifier": json.dumps(props["Resource"], sort_keys=True),
        "TagsIdentifier": json.dumps(props["LFTags"], sort_keys=True),
    }
    return f"{identifiers['ResourceIdentifier']}|{identifiers['TagsIdentifier']}", identifiers


def _association_delete(physical_id: str, props: Props) -> None:
    calls.call_if_there("lakeformation", "RemoveLFTagsFromResource", props, "EntityNotFoundException")


# Costs


def _budget_create(logical_id: str, props: Props, stack: str) -> Created:
    from ministack.services.cloudformation.provisioners import _physical_name

    budget = dict(props["Budget"])
    budget.setdefault("BudgetName", _physical_name(stack, logical_id, max_len=100))
    parameters = {
        "AccountId": context.settings().account,
        "Budget": budget,
        "NotificationsWithSubscribers": props.get("NotificationsWithSubscribers", []),
    }
    if props.get("ResourceTags"):
        parameters["ResourceTags"] = props["ResourceTags"]
    calls.call("budgets", "CreateBudget", parameters)
    return budget["BudgetName"], {}


def _budget_update(physical_id: str, old: Props, new: Props, stack: str) -> Created:
    """Recreated under its name: a budget is its limit and its notifications, which change together."""
    name = new["Budget"].get("BudgetName", physical_id)
    _budget_delete(physical_id, old)
    return _budget_create("", new | {"Budget": new["Budget"] | {"BudgetName": name}}, stack)


def _budget_delete(physical_id: str, props: Props) -> None:
    parameters = {"AccountId": context.settings().account, "BudgetName": physical_id}
    calls.call_if_there("budgets", "DeleteBudget", parameters, "NotFoundException")


def _monitor_create(logical_id: str, props: Props, stack: str) -> Created:
    arn = calls.call("ce", "CreateAnomalyMonitor", _monitor(props))["MonitorArn"]
    return arn, {"MonitorArn": arn, "DimensionalValueCount": 0}


def _monitor_update(physical_id: str, old: Props, new: Props, stack: str) -> Created:
    if _without(old, "MonitorName", "ResourceTags") != _without(new, "MonitorName", "ResourceTags"):
        return _monitor_create("", new, stack)
    calls.call("ce", "UpdateAnomalyMonitor", {"MonitorArn": physical_id, "MonitorName": new["MonitorName"]})
    return physical_id, {"MonitorArn": physical_id, "DimensionalValueCount": 0}


def _monitor_delete(physical_id: str, props: Props) -> None:
    calls.call_if_there("ce", "DeleteAnomalyMonitor", {"MonitorArn": physical_id}, "UnknownMonitorException")


def _monitor(props: Props) -> Props:
    monitor = _without(props, "ResourceTags", "MonitorSpecification")
    if "MonitorSpecification" in props:
        monitor["MonitorSpecification"] = _parsed(props["MonitorSpecification"])
    return {"AnomalyMonitor": monitor} | (
        {"ResourceTags": props["ResourceTags"]} if "ResourceTags" in props else {}
    )


def _subscription_create(logical_id: str, props: Props, stack: str) -> Created:
    parameters: Props = {"AnomalySubscription": _subscription(props)}
    if "ResourceTags" in props:
        parameters["ResourceTags"] = props["ResourceTags"]
    arn = calls.call("ce", "CreateAnomalySubscription", parameters)["SubscriptionArn"]
    return arn, {"SubscriptionArn": arn, "AccountId": context.settings().account}


def _subscription_update(physical_id: str, old: Props, new: Props, stack: str) -> Created:
    calls.call("ce", "UpdateAnomalySubscription", {"SubscriptionArn": physical_id} | _subscription(new))
    return physical_id, {"SubscriptionArn": physical_id, "AccountId": context.settings().account}


def _subscription_delete(physical_id: str, props: Props) -> None:
    calls.call_if_there(
        "ce", "DeleteAnomalySubscription", {"SubscriptionArn": physical_id}, "UnknownSubscriptionException"
    )


def _subscription(props: Props) -> Props:
    subscription = _without(props, "ResourceTags", "ThresholdExpression")
    if "ThresholdExpression" in props:
        subscription["ThresholdExpression"] = _parsed(props["ThresholdExpression"])
    return subscription


# CloudWatch


def _alarm_create(logical_id: str, props: Props, stack: str) -> Created:
    from ministack.services.cloudformation.provisioners import _physical_name

    name = props.get("AlarmName") or _physical_name(stack, logical_id, max_len=255)
    calls.call("cloudwatch", "PutCompositeAlarm", props | {"AlarmName": name})
    region, account = context.settings().region, context.settings().account
    return name, {"Arn": f"arn:aws:cloudwatch:{region}:{account}:alarm:{name}"}


def _alarm_update(physical_id: str, old: Props, new: Props, stack: str) -> Created:
    return _alarm_create("", {"AlarmName": physical_id} | new, stack)


def _alarm_delete(physical_id: str, props: Props) -> None:
    calls.call("cloudwatch", "DeleteAlarms", {"AlarmNames": [physical_id]})


# S3


def _emptying_create(logical_id: str, props: Props, stack: str) -> Created:
    """CDK's auto_delete_objects: its Node.js handler needs an SDK that is not there, so it is done here."""
    return f"{stack}-{logical_id}", {}


def _emptying_delete(physical_id: str, props: Props) -> None:
    from botocore.exceptions import ClientError

    s3 = context.client("s3")
    try:
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=props["BucketName"]):
            found = page.get("Versions", []) + page.get("DeleteMarkers", [])
            keys = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in found]
            if keys:
                s3.delete_objects(Bucket=props["BucketName"], Delete={"Objects": keys, "Quiet": True})
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucket":
            raise
