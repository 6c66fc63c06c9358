"""AWS::SageMaker::FeatureGroup, deployed through SageMaker's API."""

from __future__ import annotations

from typing import Any

from local_aws.cloudformation import calls

Props = dict[str, Any]
Created = tuple[str, dict[str, Any]]

_UPDATED = ("FeatureDefinitions", "OnlineStoreConfig", "ThroughputConfig")


def create(logical_id: str, props: Props, stack: str) -> Created:
    calls.call("sagemaker", "CreateFeatureGroup", props)
    return _shown(props["FeatureGroupName"])


def update(physical_id: str, old: Props, new: Props, stack: str) -> Created:
    fixed = {name for name in old.keys() | new.keys() if name not in _UPDATED}
    if any(old.get(name) != new.get(name) for name in fixed):
        return create("", new, stack)  # fails where the name is the same, as in AWS
    known = {each["FeatureName"] for each in old["FeatureDefinitions"]}
    added = [each for each in new["FeatureDefinitions"] if each["FeatureName"] not in known]
    changes: Props = {"FeatureGroupName": physical_id}
    if added:
        changes["FeatureAdditions"] = added
    if new.get("OnlineStoreConfig") != old.get("OnlineStoreConfig"):
        changes["OnlineStoreConfig"] = {"TtlDuration": new["OnlineStoreConfig"]["TtlDuration"]}
    if new.get("ThroughputConfig") != old.get("ThroughputConfig"):
        changes["ThroughputConfig"] = new["ThroughputConfig"]
    calls.call("sagemaker", "UpdateFeatureGroup", changes)
    return _shown(physical_id)


def delete(physical_id: str, props: Props) -> None:
    calls.call_if_there(
        "sagemaker", "DeleteFeatureGroup", {"FeatureGroupName": physical_id}, "ResourceNotFound"
    )


def _shown(name: str) -> Created:
    described = calls.call("sagemaker", "DescribeFeatureGroup", {"FeatureGroupName": name})
    return name, {
        "FeatureGroupStatus": described["FeatureGroupStatus"],
        "CreationTime": str(described["CreationTime"]),
    }
