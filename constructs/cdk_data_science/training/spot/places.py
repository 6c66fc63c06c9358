"""Where a job's source, checkpoints and archives lie in the lake."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_data_science._validation import FOLDER, Problems, is_token
from cdk_data_science.data_lake import IZone
from cdk_data_science.training.values import SourceCode

_RESERVED_HYPERPARAMETERS = ("sagemaker_program", "sagemaker_submit_directory", "sagemaker_region")


def check_folder(name: str, prefix: str, problems: Problems) -> None:
    """Report a prefix that is no folder of a zone."""
    problems.check(
        is_token(prefix) or FOLDER.fullmatch(prefix) is not None,
        given=f"{name}={prefix!r}",
        allowed="a folder of the zone: no slash at the start, one at the end",
        write=f'{name}="{prefix.strip("/") or name.split("_")[0]}/"',
    )


def check_unnamed_key(name: str, prefix: str, zone: IZone, problems: Problems) -> None:
    """Report a folder in which the zone refuses what SageMaker uploads under no key's name.

    The API takes no key for checkpoints; SageMaker asks S3 for KMS without naming one. What is not known of
    an imported zone is not checked.
    """
    excepted = zone.unnamed_key_prefixes
    if zone.key is None or excepted is None or is_token(prefix) or any(map(is_token, excepted)):
        return
    allowed = ", ".join(f'"{each}"' for each in excepted)
    problems.check(
        any(prefix.startswith(each) for each in excepted),
        given=f"{name}={prefix!r} in zone {zone.name!r}",
        allowed="a folder where the zone lets an upload leave out its key's name, which SageMaker's API "
        f"cannot give: {allowed or 'this zone has none'}",
        write=(f'{name}="{excepted[0]}", or ' if excepted else "")
        + f'unnamed_key_prefixes=[{allowed}{", " if excepted else ""}"{prefix}"] in the zone\'s definition',
    )


def check_source(source: SourceCode | None, hyperparameters: Mapping[str, str], problems: Problems) -> None:
    """Report a source archive or hyperparameters with which script mode cannot work."""
    for name in _RESERVED_HYPERPARAMETERS:
        problems.check(
            name not in hyperparameters,
            given=f"hyperparameter {name!r}",
            allowed="names that script mode does not use itself",
            write="source=SourceCode(…)",
        )
    if source is None:
        return
    problems.check(
        is_token(source.key) or source.key.endswith(".tar.gz"),
        given=f"source key {source.key!r}",
        allowed="the key of a .tar.gz archive",
        write='key="source/sourcedir.tar.gz"',
    )
    problems.check(
        is_token(source.entry_point)
        or (source.entry_point.endswith(".py") and "/" not in source.entry_point),
        given=f"entry_point={source.entry_point!r}",
        allowed="a Python file at the archive's top level",
        write='entry_point="train.py"',
    )


def script_mode(source: SourceCode | None, region: str) -> dict[str, str]:
    """Return the hyperparameters that tell a framework's image what to run."""
    if source is None:
        return {}
    return {
        "sagemaker_program": source.entry_point,
        "sagemaker_submit_directory": source.uri,
        "sagemaker_region": region,
    }


def grant(
    role: iam.IRole,
    *,
    output: IZone,
    output_prefix: str,
    checkpoints: IZone,
    checkpoints_prefix: str,
    source: SourceCode | None,
) -> None:
    """Let jobs write their archives, keep their checkpoints, and read their source."""
    output.grant_write(role, output_prefix)
    if output.key is not None:
        # CreateTrainingJob asks it of the role that writes under OutputDataConfig's key.
        output.key.grant(role, "kms:Encrypt")
    # Checkpoints are read back after an interruption.
    checkpoints.grant_read_write(role, checkpoints_prefix)
    if source is not None:
        source.zone.grant_read(role, source.key)


def check_places(scope: Construct, *, checkpoints: IZone, output: IZone, source: SourceCode | None) -> None:
    """Refuse what is no zone and no source, before anything is asked of them.

    Raises:
        ConfigurationError: a URI or a bucket in the place of a zone, or of a source.
    """
    problems = Problems("SpotTraining", scope)
    for name, zone in (("checkpoints", checkpoints), ("output", output)):
        problems.check(
            hasattr(zone, "unnamed_key_prefixes"),
            given=f"{name}={zone!r}",
            allowed="a zone of a lake: it knows its bucket, its key and its permissions",
            write=f"{name}=lake.models, or Zone.from_attributes(…) for a bucket that is there already",
        )
    problems.check(
        source is None or isinstance(source, SourceCode),
        given=f"source={source!r}",
        allowed="a SourceCode: an archive in a zone, and its program",
        write='source=SourceCode(zone=lake.models, key="source/sourcedir.tar.gz", entry_point="train.py")',
    )
    problems.raise_if_any()
