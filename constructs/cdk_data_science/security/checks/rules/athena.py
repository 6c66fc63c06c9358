"""Athena workgroups."""

from __future__ import annotations

from cdk_data_science.security.checks.expectations import (
    at_least,
    but,
    disabled,
    enabled,
    example,
    is_true,
    present,
)
from cdk_data_science.security.checks.rule import Rule, Severity, cloudformation, control, guide
from cdk_data_science.security.checks.templates import Resource

_WORKGROUP = "AWS::Athena::WorkGroup"
_KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

_workgroup = example(
    _WORKGROUP,
    Name="science",
    RecursiveDeleteOption=False,
    WorkGroupConfiguration={
        "EnforceWorkGroupConfiguration": True,
        "PublishCloudWatchMetricsEnabled": True,
        "BytesScannedCutoffPerQuery": 1_000_000_000_000,
        "ResultConfiguration": {
            "OutputLocation": "s3://results/",
            "ExpectedBucketOwner": "111122223333",
            "EncryptionConfiguration": {"EncryptionOption": "SSE_KMS", "KmsKey": _KEY},
        },
    },
)


def _own_results(workgroup: Resource) -> bool:
    """Whether results go to a bucket; those that Athena keeps itself are always encrypted."""
    managed = "WorkGroupConfiguration.ManagedQueryResultsConfiguration.Enabled"
    return not is_true(workgroup.get(managed)) and not _spark(workgroup)


def _spark(workgroup: Resource) -> bool:
    selected = workgroup.get("WorkGroupConfiguration.EngineVersion.SelectedEngineVersion")
    return isinstance(selected, str) and "PySpark" in selected


RULES = (
    Rule(
        id="DataScience-ATH1",
        title="A workgroup's settings hold for every query",
        fails="A query may overrule the workgroup's location and encryption of results",
        why="Anybody who may run queries can then write results to a bucket of theirs.",
        fix="Set WorkGroupConfiguration.EnforceWorkGroupConfiguration to true",
        severity=Severity.ERROR,
        follows=(guide("athena/latest/ug/workgroups-settings-override"),),
        types=(_WORKGROUP,),
        check=enabled("WorkGroupConfiguration.EnforceWorkGroupConfiguration", absent=True),
        compliant=_workgroup,
        noncompliant=but(_workgroup, WorkGroupConfiguration__EnforceWorkGroupConfiguration=False),
    ),
    Rule(
        id="DataScience-ATH2",
        title="Query results are encrypted by the workgroup",
        fails="The workgroup names no encryption for query results",
        why="Results are data, in a bucket that is easily forgotten.",
        fix="Set WorkGroupConfiguration.ResultConfiguration.EncryptionConfiguration, best with SSE_KMS",
        severity=Severity.ERROR,
        follows=(guide("athena/latest/ug/encryption"), control("Athena.1")),
        types=(_WORKGROUP,),
        check=present(
            "WorkGroupConfiguration.ResultConfiguration.EncryptionConfiguration.EncryptionOption",
            when=_own_results,
        ),
        compliant=_workgroup,
        noncompliant=but(
            _workgroup, WorkGroupConfiguration__ResultConfiguration={"OutputLocation": "s3://results/"}
        ),
    ),
    Rule(
        id="DataScience-ATH3",
        title="A query can only scan so much",
        fails="Nothing ends a query that scans too much",
        why="Athena costs by the byte: one query without a partition filter can scan the whole lake.",
        fix="Set WorkGroupConfiguration.BytesScannedCutoffPerQuery (at least 10,000,000)",
        severity=Severity.WARNING,
        follows=(cloudformation("aws-properties-athena-workgroup-workgroupconfiguration"),),
        types=(_WORKGROUP,),
        check=at_least(
            "WorkGroupConfiguration.BytesScannedCutoffPerQuery",
            1,
            when=lambda workgroup: not _spark(workgroup),
        ),
        compliant=_workgroup,
        noncompliant=but(_workgroup, WorkGroupConfiguration__BytesScannedCutoffPerQuery=None),
    ),
    Rule(
        id="DataScience-ATH4",
        title="A workgroup publishes its metrics",
        fails="The workgroup publishes no metrics",
        why="Nobody sees what queries scan, fail and cost.",
        fix="Set WorkGroupConfiguration.PublishCloudWatchMetricsEnabled to true",
        severity=Severity.WARNING,
        follows=(control("Athena.4"),),
        types=(_WORKGROUP,),
        check=enabled("WorkGroupConfiguration.PublishCloudWatchMetricsEnabled", absent=True),
        compliant=_workgroup,
        noncompliant=but(_workgroup, WorkGroupConfiguration__PublishCloudWatchMetricsEnabled=False),
    ),
    Rule(
        id="DataScience-ATH5",
        title="Query results go to a bucket of a named account",
        fails="The workgroup does not say whose bucket the results go to",
        why="Where the bucket is deleted, anybody can create one of its name and get the results.",
        fix="Set WorkGroupConfiguration.ResultConfiguration.ExpectedBucketOwner",
        severity=Severity.INFO,
        follows=(cloudformation("aws-properties-athena-workgroup-resultconfiguration"),),
        types=(_WORKGROUP,),
        check=present("WorkGroupConfiguration.ResultConfiguration.ExpectedBucketOwner", when=_own_results),
        compliant=_workgroup,
        noncompliant=but(_workgroup, WorkGroupConfiguration__ResultConfiguration__ExpectedBucketOwner=None),
    ),
    Rule(
        id="DataScience-ATH6",
        title="Deleting a workgroup does not delete people's queries",
        fails="The workgroup is deleted with the queries that people saved in it",
        why="Named queries are somebody's work and are in no other place.",
        fix="Set RecursiveDeleteOption to false",
        severity=Severity.INFO,
        follows=(cloudformation("aws-resource-athena-workgroup"),),
        types=(_WORKGROUP,),
        check=disabled("RecursiveDeleteOption"),
        compliant=_workgroup,
        noncompliant=but(_workgroup, RecursiveDeleteOption=True),
    ),
)
