"""What a processing job is made of: its program, its inputs and its outputs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cdk_data_science._validation import Problems, is_token
from cdk_data_science.training.checks import check_commands, check_one_of, check_uri, is_expression

BASE = "/opt/ml/processing"
CODE_FOLDER = f"{BASE}/input/code"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_FILE = re.compile(r"[A-Za-z0-9_.-]+")
# Where a bucket stands in a literal URI, and in an expression that begins with one.
_BUCKET = re.compile(r"(\{%\s*')?s3://(?P<bucket>[^/']+)/(?P<key>[^']*)")


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessingCode:
    """The program of a processing job, an object in S3, which an image for Python runs."""

    uri: str
    """The S3 URI of the file, or of the folder that it lies in."""
    file: str
    """Name of the file: ``clean.py``."""
    program: Sequence[str] = ("python3",)
    """What runs the file."""

    def check(self, problems: Problems) -> None:
        """Report what no container could find or run."""
        check_uri(problems, "code uri", self.uri)
        problems.check(
            is_token(self.file) or _FILE.fullmatch(self.file) is not None,
            given=f"ProcessingCode(file={self.file!r})",
            allowed="the name of a file, without folders",
            write=f'file="{self.file.rpartition("/")[2] or "clean.py"}"',
        )
        problems.check(bool(self.program), given="ProcessingCode(program=[])", allowed="at least one text")
        check_commands(problems, "program", self.program)

    @property
    def input(self) -> ProcessingInput:
        """The input that brings the file into the container."""
        return ProcessingInput(name="code", uri=self.uri, path=CODE_FOLDER)

    @property
    def entrypoint(self) -> list[str]:
        """What the container runs."""
        return [*self.program, f"{CODE_FOLDER}/{self.file}"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SparkSubmit:
    """How SageMaker's Spark images run a program: over all instances of the job.

    For Deequ, give its jar in ``jars`` and let the program use it, or name a class of a jar of your own.

    See https://docs.aws.amazon.com/sagemaker/latest/dg/use-spark-processing-container.html
    """

    main_class: str | None = None
    """Class to run, where the program is a jar. Default: none, the program is Python."""
    jars: str | None = None
    """S3 prefix of further jars, such as Deequ's. Default: none."""
    py_files: str | None = None
    """S3 prefix of Python modules and archives that the program imports. Default: none."""
    configuration: str | None = None
    """S3 URI of a ``configuration.json`` with settings of Spark and Hadoop. Default: none."""
    event_logs: str | None = None
    """S3 prefix for Spark's event logs, which a history server shows. Default: none are kept."""

    def check(self, problems: Problems, code: ProcessingCode) -> None:
        """Report what Spark could not run."""
        for name in ("jars", "py_files", "configuration", "event_logs"):
            check_uri(problems, name, getattr(self, name))
        problems.check(
            is_token(code.file) or code.file.endswith(".jar") == (self.main_class is not None),
            given=f"main_class={self.main_class!r} for {code.file!r}",
            allowed="a main_class with a .jar, and none with a Python file",
        )

    @property
    def inputs(self) -> list[ProcessingInput]:
        """What the container gets beside the program."""
        given = {"jars": self.jars, "py-files": self.py_files, "conf": self.configuration}
        return [
            ProcessingInput(name=name, uri=uri, path=f"{BASE}/input/{name}")
            for name, uri in given.items()
            if uri is not None
        ]

    @property
    def outputs(self) -> list[ProcessingOutput]:
        """The event logs, which are uploaded while the job runs."""
        if self.event_logs is None:
            return []
        events = f"{BASE}/spark-events"
        return [
            ProcessingOutput(
                name="spark-events", uri=self.event_logs, path=events, continuous=True, required=False
            )
        ]

    def entrypoint(self, code: ProcessingCode) -> list[str]:
        """What the container runs."""
        command = ["smspark-submit"]
        if self.main_class is not None:
            command += ["--class", self.main_class]
        if self.py_files is not None:
            command += ["--py-files", f"{BASE}/input/py-files"]
        if self.jars is not None:
            command += ["--jars", f"{BASE}/input/jars"]
        if self.event_logs is not None:
            command += ["--local-spark-event-logs-dir", f"{BASE}/spark-events/"]
        return [*command, f"{CODE_FOLDER}/{code.file}"]


@dataclass(frozen=True, kw_only=True, slots=True)
class AthenaQuery:
    """Rows that Athena selects, as the input of a processing job. The job's role runs the query."""

    query: str
    """Up to 4096 characters."""
    database: str
    output_uri: str
    """S3 prefix of the result."""
    catalog: str = "AwsDataCatalog"
    work_group: str | None = None
    format: Literal["PARQUET", "ORC", "AVRO", "JSON", "TEXTFILE"] = "PARQUET"

    def render(self) -> dict[str, Any]:
        """Return the ``AthenaDatasetDefinition`` of the SageMaker API."""
        definition = {
            "Catalog": self.catalog,
            "Database": self.database,
            "QueryString": self.query,
            "OutputS3Uri": self.output_uri,
            "OutputFormat": self.format,
        }
        if self.work_group is not None:
            definition["WorkGroup"] = self.work_group
        return definition


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessingInput:
    """One input of a processing job, which the container finds in a folder."""

    name: str
    """1 to 64 letters, digits, hyphens and underscores."""
    uri: str | None = None
    """An S3 prefix or object, or a JSONata expression that gives one."""
    query: AthenaQuery | None = None
    """A query in place of ``uri``."""
    path: str | None = None
    """Folder in the container; ``/opt/ml/processing/input/<name>`` if not given."""
    sharded: bool = False
    """Give each instance its own share of the objects instead of all of them."""
    manifest: bool = False
    """``uri`` names a manifest of objects."""
    pipe: bool = False
    """Stream the objects through a pipe instead of copying them first."""
    compressed: bool = False
    """The objects are compressed with gzip, and SageMaker unpacks them; with ``pipe`` alone."""

    @property
    def folder(self) -> str:
        """Where the container finds it."""
        return self.path if self.path is not None else f"{BASE}/input/{self.name}"

    def check(self, problems: Problems) -> None:
        """Report what SageMaker would refuse."""
        _check_place(problems, "input", self.name, self.folder)
        problems.check(
            (self.uri is None) != (self.query is None),
            given=f"input {self.name!r} with {'neither' if self.uri is None else 'both'}",
            allowed="exactly one of uri and query",
        )
        check_uri(problems, f"uri of input {self.name!r}", self.uri)
        problems.check(
            self.pipe or not self.compressed,
            given=f"input {self.name!r}: compressed without pipe",
            allowed="gzip that SageMaker unpacks while it streams; files arrive as they are",
            write="pipe=True",
        )
        if self.query is not None:
            check_uri(problems, f"output_uri of the query {self.name!r}", self.query.output_uri)
            check_one_of(
                problems, "format", self.query.format, ("PARQUET", "ORC", "AVRO", "JSON", "TEXTFILE")
            )
            problems.check(
                is_token(self.query.query) or 1 <= len(self.query.query) <= 4096,
                given=f"a query of {len(self.query.query)} characters",
                allowed="1 to 4096 characters",
            )
            problems.check(
                not (self.manifest or self.compressed),
                given=f"input {self.name!r}: manifest or compressed with a query",
                allowed="objects of yours; a query's result is what Athena writes",
            )

    def render(self) -> dict[str, Any]:
        """Return the input as the SageMaker API has it."""
        mode, shares = (
            "Pipe" if self.pipe else "File",
            "ShardedByS3Key" if self.sharded else "FullyReplicated",
        )
        if self.query is not None:
            dataset = {
                "AthenaDatasetDefinition": self.query.render(),
                "LocalPath": self.folder,
                "DataDistributionType": shares,
                "InputMode": mode,
            }
            return {"InputName": self.name, "DatasetDefinition": dataset}
        source = {
            "S3Uri": self.uri,
            "LocalPath": self.folder,
            "S3DataType": "ManifestFile" if self.manifest else "S3Prefix",
            "S3InputMode": mode,
            "S3DataDistributionType": shares,
            "S3CompressionType": "Gzip" if self.compressed else "None",
        }
        return {"InputName": self.name, "S3Input": source}


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessingOutput:
    """One output of a processing job: a folder of the container that is kept in S3, or a feature group."""

    name: str
    """1 to 64 letters, digits, hyphens and underscores."""
    uri: str | None = None
    """An S3 prefix, or a JSONata expression that gives one."""
    feature_group: str | None = None
    """Name of a feature group that the rows go into, in place of ``uri``."""
    path: str | None = None
    """Folder in the container; ``/opt/ml/processing/output/<name>`` if not given."""
    continuous: bool = False
    """Upload files while the job runs instead of at its end."""
    required: bool = True
    """A :class:`ProcessingStep` fails if the job leaves nothing there."""

    @property
    def folder(self) -> str:
        """Where the container leaves it."""
        return self.path if self.path is not None else f"{BASE}/output/{self.name}"

    @property
    def bucket(self) -> str | None:
        """The bucket of ``uri``; None if it is known at run time only."""
        found = None if self.uri is None else _BUCKET.match(self.uri)
        return None if found is None else found["bucket"]

    @property
    def known_prefix(self) -> str:
        """As much of the key as is known before the run."""
        found = None if self.uri is None else _BUCKET.match(self.uri)
        return "" if found is None else found["key"]

    def check(self, problems: Problems) -> None:
        """Report what SageMaker would refuse."""
        _check_place(problems, "output", self.name, self.folder)
        problems.check(
            (self.uri is None) != (self.feature_group is None),
            given=f"output {self.name!r} with {'neither' if self.uri is None else 'both'}",
            allowed="exactly one of uri and feature_group",
        )
        check_uri(problems, f"uri of output {self.name!r}", self.uri)
        problems.check(
            self.feature_group is None or not self.continuous,
            given=f"output {self.name!r}: continuous with a feature group",
            allowed="uploads to S3",
        )

    def render(self) -> dict[str, Any]:
        """Return the output as the SageMaker API has it."""
        if self.feature_group is not None:
            return {
                "OutputName": self.name,
                "FeatureStoreOutput": {"FeatureGroupName": self.feature_group},
                "AppManaged": True,
            }
        target = {
            "S3Uri": self.uri,
            "LocalPath": self.folder,
            "S3UploadMode": "Continuous" if self.continuous else "EndOfJob",
        }
        return {"OutputName": self.name, "S3Output": target}


def _check_place(problems: Problems, what: str, name: str, folder: str) -> None:
    problems.check(
        is_token(name) or _NAME.fullmatch(name) is not None,
        given=f"{what} {name!r}",
        allowed="1 to 64 letters, digits, hyphens and underscores",
    )
    problems.check(
        is_token(folder) or is_expression(folder) or (folder.startswith("/") and len(folder) <= 256),
        given=f"{what} {name!r} in {folder!r}",
        allowed="an absolute path of the container, at most 256 characters",
        write=f'path="{BASE}/{what}/{name}"',
    )
