"""Glue jobs, crawlers, connections and the catalog's encryption."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from cdk_data_science.security.checks.expectations import (
    at_least,
    but,
    enabled,
    every,
    example,
    expect,
    is_true,
    none_of,
    present,
)
from cdk_data_science.security.checks.intrinsics import is_unknown
from cdk_data_science.security.checks.rule import (
    Check,
    Problem,
    Rule,
    Severity,
    Unknown,
    control,
    guide,
)
from cdk_data_science.security.checks.templates import Resource

_JOB = "AWS::Glue::Job"
_CRAWLER = "AWS::Glue::Crawler"
_CONNECTION = "AWS::Glue::Connection"
_CONFIGURATION = "AWS::Glue::SecurityConfiguration"
_CATALOG = "AWS::Glue::DataCatalogEncryptionSettings"
_TRANSFORM = "AWS::Glue::MLTransform"
_KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
_ROLE = "arn:aws:iam::111122223333:role/etl"
_SECRET = re.compile(r"passw(or)?d|secret|api[-_]?key|access[-_]?key|token|credential", re.IGNORECASE)
_NAMES_A_SECRET = re.compile(r"arn|name|id|path|uri|url", re.IGNORECASE)

_job = example(
    _JOB,
    Role=_ROLE,
    Command={"Name": "glueetl", "ScriptLocation": "s3://code/job.py"},
    GlueVersion="5.0",
    SecurityConfiguration="encrypted",
    Timeout=60,
    DefaultArguments={"--database-secret-arn": "arn:aws:secretsmanager:eu-west-1:111122223333:secret:db"},
)
_crawler = example(
    _CRAWLER,
    Role=_ROLE,
    Targets={"S3Targets": [{"Path": "s3://lake/raw"}]},
    CrawlerSecurityConfiguration="encrypted",
    RecrawlPolicy={"RecrawlBehavior": "CRAWL_NEW_FOLDERS_ONLY"},
    SchemaChangePolicy={"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"},
)
_connection = example(
    _CONNECTION,
    CatalogId="111122223333",
    ConnectionInput={
        "ConnectionType": "JDBC",
        "ConnectionProperties": {
            "JDBC_CONNECTION_URL": "jdbc:postgresql://db:5432/reviews",
            "SECRET_ID": "reviews-db",
            "JDBC_ENFORCE_SSL": "true",
        },
    },
)
_configuration = example(
    _CONFIGURATION,
    Name="encrypted",
    EncryptionConfiguration={
        "CloudWatchEncryption": {"CloudWatchEncryptionMode": "SSE-KMS", "KmsKeyArn": _KEY},
        "JobBookmarksEncryption": {"JobBookmarksEncryptionMode": "CSE-KMS", "KmsKeyArn": _KEY},
        "S3Encryptions": [{"S3EncryptionMode": "SSE-KMS", "KmsKeyArn": _KEY}],
    },
)
_catalog = example(
    _CATALOG,
    CatalogId="111122223333",
    DataCatalogEncryptionSettings={
        "EncryptionAtRest": {"CatalogEncryptionMode": "SSE-KMS", "SseAwsKmsKeyId": _KEY},
        "ConnectionPasswordEncryption": {"ReturnConnectionPasswordEncrypted": True, "KmsKeyId": _KEY},
    },
)
_transform = example(
    _TRANSFORM,
    Role=_ROLE,
    InputRecordTables={"GlueTables": [{"DatabaseName": "curated", "TableName": "customers"}]},
    TransformParameters={"TransformType": "FIND_MATCHES"},
    TransformEncryption={"MLUserDataEncryption": {"MLUserDataEncryptionMode": "SSE-KMS", "KmsKeyId": _KEY}},
)


def looks_secret(name: str, value: Any) -> bool:
    """Whether a setting holds a secret itself: its name says so, and its value is there to read."""
    if not isinstance(value, str) or not value or is_unknown(value) or value.startswith("{{resolve:"):
        return False
    last = re.split(r"[-_.]", name)[-1]
    if not _SECRET.search(name) or _NAMES_A_SECRET.fullmatch(last) or value.startswith("arn:"):
        return False
    return value.lower() not in ("true", "false") and not value.isdigit()


def secrets_in(path: str) -> Check:
    """A check that no setting of a map holds a secret."""

    def check(resource: Resource) -> Iterator[Problem]:
        settings = resource.get(path)
        for name, value in settings.items() if isinstance(settings, dict) else ():
            if looks_secret(str(name), value):
                yield Problem(at=f"{path}.{name}", detail=str(name))

    return check


def _crawls(crawler: Resource) -> Iterator[Problem]:
    policy = crawler.get("RecrawlPolicy.RecrawlBehavior")
    if policy is not None and is_unknown(policy):
        yield Problem(at="SchemaChangePolicy", uncertain=True)
    elif policy == "CRAWL_NEW_FOLDERS_ONLY":
        for name, default in (
            ("UpdateBehavior", "UPDATE_IN_DATABASE"),
            ("DeleteBehavior", "DEPRECATE_IN_DATABASE"),
        ):
            found = crawler.get(f"SchemaChangePolicy.{name}")
            if found is not None and is_unknown(found):
                yield Problem(at=f"SchemaChangePolicy.{name}", uncertain=True)
            elif (found or default) != "LOG":
                yield Problem(at=f"SchemaChangePolicy.{name}")


def _spark(job: Resource) -> bool:
    return job.get("Command.Name") in ("glueetl", "gluestreaming")


def _no_password(connection: Resource) -> Iterator[Problem]:
    for path in ("ConnectionProperties", "AuthenticationConfiguration.BasicAuthenticationCredentials"):
        settings = connection.get(f"ConnectionInput.{path}")
        for name, value in settings.items() if isinstance(settings, dict) else ():
            if str(name).upper() in ("PASSWORD", "ENCRYPTED_PASSWORD") and not str(value).startswith(
                "{{resolve:"
            ):
                yield Problem(at=f"ConnectionInput.{path}.{name}")


def _for_crawlers_alone(configuration: Resource) -> bool:
    """Whether crawlers use it and nothing else: they write logs, and neither bookmarks nor output."""
    templates, names = configuration.templates, (configuration.ref, configuration.get("Name"))
    users = ((_CRAWLER, "CrawlerSecurityConfiguration"), (_JOB, "SecurityConfiguration"))
    crawlers, others = (
        any(user.get(path) in names for user in templates.resources(kind)) for kind, path in users
    )
    return crawlers and not others


def _version(value: Any) -> bool:
    major = str(value).partition(".")[0]
    return major.isdigit() and int(major) >= 3


RULES = (
    Rule(
        id="DataScience-GL1",
        title="A Glue job has a security configuration",
        fails="The job's logs, bookmarks and output are not encrypted with a key of yours",
        why="Logs and bookmarks hold values of the data.",
        fix="Set SecurityConfiguration",
        severity=Severity.WARNING,
        follows=(guide("glue/latest/dg/encryption-security-configuration"),),
        types=(_JOB,),
        check=present("SecurityConfiguration"),
        compliant=_job,
        noncompliant=but(_job, SecurityConfiguration=None),
    ),
    Rule(
        id="DataScience-GL2",
        title="A Glue security configuration encrypts logs, bookmarks and output",
        fails="The security configuration leaves something unencrypted",
        why="Whoever sees that a job has a security configuration takes it for encrypted.",
        fix="Set CloudWatchEncryption, JobBookmarksEncryption and S3Encryptions with a key",
        severity=Severity.WARNING,
        follows=(guide("glue/latest/dg/encryption-security-configuration"),),
        types=(_CONFIGURATION,),
        check=every(
            expect(
                "EncryptionConfiguration.CloudWatchEncryption.CloudWatchEncryptionMode",
                lambda mode: mode != "DISABLED",
            ),
            expect(
                "EncryptionConfiguration.JobBookmarksEncryption.JobBookmarksEncryptionMode",
                lambda mode: mode != "DISABLED",
                when=lambda configuration: not _for_crawlers_alone(configuration),
            ),
            present(
                "EncryptionConfiguration.S3Encryptions",
                when=lambda configuration: not _for_crawlers_alone(configuration),
            ),
            none_of(
                "EncryptionConfiguration.S3Encryptions[*].S3EncryptionMode",
                "DISABLED",
                when=lambda configuration: not _for_crawlers_alone(configuration),
            ),
        ),
        compliant=_configuration,
        noncompliant=but(_configuration, EncryptionConfiguration__JobBookmarksEncryption=None),
    ),
    Rule(
        id="DataScience-GL3",
        title="Spark jobs run on a supported version of Glue",
        fails="The job runs on a version of Glue that is no longer supported",
        why="It gets no security updates, and jobs on it can stop to start.",
        fix='Set GlueVersion to "5.0"',
        severity=Severity.WARNING,
        follows=(control("Glue.4"), guide("glue/latest/dg/release-notes")),
        types=(_JOB,),
        check=expect("GlueVersion", _version, when=_spark),
        compliant=_job,
        noncompliant=but(_job, GlueVersion="2.0"),
    ),
    Rule(
        id="DataScience-GL4",
        title="A Glue job ends in time",
        fails="The job may run for as long as Glue allows by default, 8 hours or two days",
        why="A job that hangs costs until then.",
        fix="Set Timeout, in minutes",
        severity=Severity.INFO,
        follows=(guide("glue/latest/dg/add-job"),),
        types=(_JOB,),
        check=at_least("Timeout", 1, when=lambda job: job.get("Command.Name") != "gluestreaming"),
        compliant=_job,
        noncompliant=but(_job, Timeout=None),
    ),
    Rule(
        id="DataScience-GL5",
        title="No secrets in the arguments of a Glue job",
        fails="An argument of the job holds a secret",
        why="Arguments are readable in the template, in the console and in logs.",
        fix="Keep it in Secrets Manager, pass its name, and let the job read it",
        severity=Severity.ERROR,
        follows=(guide("glue/latest/dg/aws-glue-programming-etl-glue-arguments"),),
        types=(_JOB,),
        check=every(secrets_in("DefaultArguments"), secrets_in("NonOverridableArguments")),
        compliant=_job,
        noncompliant=but(_job, DefaultArguments={"--db-password": "hunter2"}),
    ),
    Rule(
        id="DataScience-GL6",
        title="A crawler has a security configuration",
        fails="The crawler's logs are not encrypted with a key of yours",
        why="They name folders, tables and columns.",
        fix="Set CrawlerSecurityConfiguration",
        severity=Severity.WARNING,
        follows=(guide("glue/latest/dg/encryption-security-configuration"),),
        types=(_CRAWLER,),
        check=present("CrawlerSecurityConfiguration"),
        compliant=_crawler,
        noncompliant=but(_crawler, CrawlerSecurityConfiguration=None),
    ),
    Rule(
        id="DataScience-GL7",
        title="A crawler of new folders does not change tables",
        fails="The crawler looks at new folders only and is to change tables: Glue refuses that",
        why="The deployment fails.",
        fix='Set SchemaChangePolicy.UpdateBehavior and DeleteBehavior to "LOG", or crawl everything',
        severity=Severity.ERROR,
        follows=(guide("glue/latest/dg/incremental-crawls"),),
        types=(_CRAWLER,),
        check=_crawls,
        compliant=_crawler,
        noncompliant=but(_crawler, SchemaChangePolicy__UpdateBehavior="UPDATE_IN_DATABASE"),
    ),
    Rule(
        id="DataScience-GL8",
        title="No password in a Glue connection",
        fails="The connection holds a password",
        why="It is readable in the template and for everybody who may read the connection.",
        fix="Name a secret: SECRET_ID, or AuthenticationConfiguration.SecretArn",
        severity=Severity.ERROR,
        follows=(guide("glue/latest/dg/connection-defining"),),
        types=(_CONNECTION,),
        check=_no_password,
        unknown=Unknown.FAILS,
        compliant=_connection,
        noncompliant=but(
            _connection,
            ConnectionInput__ConnectionProperties={"USERNAME": "etl", "PASSWORD": "hunter2"},
        ),
    ),
    Rule(
        id="DataScience-GL9",
        title="A JDBC connection insists on TLS",
        fails="The connection may talk to the database in plain text",
        why="Where the database allows both, rows and the password cross the network readably.",
        fix='Set JDBC_ENFORCE_SSL to "true"',
        severity=Severity.WARNING,
        follows=(guide("glue/latest/dg/connection-defining"),),
        types=(_CONNECTION,),
        check=expect(
            "ConnectionInput.ConnectionProperties.JDBC_ENFORCE_SSL",
            is_true,
            when=lambda connection: connection.get("ConnectionInput.ConnectionType") == "JDBC",
        ),
        compliant=_connection,
        noncompliant=but(_connection, ConnectionInput__ConnectionProperties__JDBC_ENFORCE_SSL="false"),
    ),
    Rule(
        id="DataScience-GL10",
        title="The Data Catalog is encrypted with your key",
        fails="Table definitions or connection passwords in the catalog are not encrypted",
        why="Definitions tell what data there is, partitions often hold values of it.",
        fix="Set EncryptionAtRest.CatalogEncryptionMode and "
        "ConnectionPasswordEncryption.ReturnConnectionPasswordEncrypted",
        severity=Severity.WARNING,
        follows=(
            guide("glue/latest/webapi/API_EncryptionAtRest"),
            guide("glue/latest/webapi/API_ConnectionPasswordEncryption"),
        ),
        types=(_CATALOG,),
        check=every(
            expect(
                "DataCatalogEncryptionSettings.EncryptionAtRest.CatalogEncryptionMode",
                lambda mode: mode != "DISABLED",
            ),
            enabled(
                "DataCatalogEncryptionSettings.ConnectionPasswordEncryption.ReturnConnectionPasswordEncrypted"
            ),
        ),
        compliant=_catalog,
        noncompliant=but(
            _catalog,
            DataCatalogEncryptionSettings__EncryptionAtRest={"CatalogEncryptionMode": "DISABLED"},
        ),
    ),
    Rule(
        id="DataScience-GL11",
        title="A Glue machine-learning transform is encrypted",
        fails="What people label for the transform is not encrypted",
        why="It is rows of the data.",
        fix='Set TransformEncryption.MLUserDataEncryption.MLUserDataEncryptionMode to "SSE-KMS"',
        severity=Severity.WARNING,
        follows=(control("Glue.3"),),
        types=(_TRANSFORM,),
        check=expect(
            "TransformEncryption.MLUserDataEncryption.MLUserDataEncryptionMode",
            lambda mode: mode != "DISABLED",
        ),
        compliant=_transform,
        noncompliant=but(_transform, TransformEncryption=None),
    ),
)
