"""Saved queries of Athena's workgroups."""

from __future__ import annotations

from typing import Any

from local_aws.cloudformation import calls

Props = dict[str, Any]
Created = tuple[str, dict[str, Any]]


def create_named(logical_id: str, props: Props, stack: str) -> Created:
    made = calls.call("athena", "CreateNamedQuery", {"Name": f"{stack}-{logical_id}"} | props)
    return made["NamedQueryId"], {"NamedQueryId": made["NamedQueryId"]}


def delete_named(physical_id: str, props: Props) -> None:
    calls.call_if_there(
        "athena", "DeleteNamedQuery", {"NamedQueryId": physical_id}, "InvalidRequestException"
    )


def create_prepared(logical_id: str, props: Props, stack: str) -> Created:
    calls.call("athena", "CreatePreparedStatement", props)
    return f"{props['StatementName']}|{props['WorkGroup']}", {}


def delete_prepared(physical_id: str, props: Props) -> None:
    name, _, workgroup = physical_id.rpartition("|")
    parameters = {"StatementName": name, "WorkGroup": workgroup}
    calls.call_if_there("athena", "DeletePreparedStatement", parameters, "ResourceNotFoundException")
