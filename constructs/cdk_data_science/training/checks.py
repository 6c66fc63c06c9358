"""What SageMaker refuses of any of its jobs: types, volumes, times, texts, tags."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_kms as kms

from cdk_data_science._validation import Problems, is_list, is_token, shown
from cdk_data_science.hardware import InstanceUse, has_local_storage, instance_types, similar_types

LARGEST_VOLUME_GB = 16_384
_DAY = 24 * 60 * 60
_RESERVED_TAG_PREFIX = "aws:"
_TAG_TEXT = re.compile(r"[\w\s.:/=+\-@]*")
_ENVIRONMENT_KEY = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_URI = re.compile(r"s3://[^/]+(/.*)?")
_LONGEST_URI = 1024


def is_expression(value: str) -> bool:
    """Whether a text is a JSONata expression, which only a run can evaluate."""
    return value.startswith("{%") and value.endswith("%}")


def known_seconds(duration: object) -> float | None:
    """The seconds of a duration; None if there is none, if it is none, or if it is known only at
    deployment."""
    if not isinstance(duration, Duration) or duration.is_unresolved():
        return None
    return float(duration.to_seconds(integral=False))


def listed(problems: Problems, name: str, values: object, *, write: str) -> list[Any]:
    """What is in a list; nothing, and a problem, for a single value or a text in the place of one."""
    if is_list(values):
        return list(values)
    problems.check(
        False, given=f"{name}={shown(values)}", allowed="a list, also of one alone", write=f"{name}={write}"
    )
    return []


def _argument(name: str) -> str:
    """What a user writes for something that a message calls ``uri of channel 'train'``."""
    return name.split(" of ")[0].split()[-1]


def check_uri(problems: Problems, name: str, uri: str | None) -> None:
    """Report what is no place in S3."""
    if uri is None or is_token(uri) or is_expression(uri):
        return
    problems.check(
        len(uri) <= _LONGEST_URI and _URI.fullmatch(uri) is not None,
        given=f"{name}={uri!r}",
        allowed="a place in S3, or a JSONata expression in {% %} that gives one",
        write=f'{_argument(name)}="s3://bucket/prefix/"',
    )


def check_type(
    problems: Problems, instance_type: object, use: InstanceUse, *, name: str = "instance_type"
) -> None:
    """Report an instance type that jobs of this kind cannot use."""
    if not isinstance(instance_type, str):
        problems.check(
            False, given=f"{name}={instance_type!r}", allowed="a text", write=f'{name}="ml.m5.xlarge"'
        )
        return
    if is_token(instance_type) or instance_type in instance_types(use):
        return
    close = similar_types(instance_type, use)
    elsewhere = [other.value for other in InstanceUse if instance_type in instance_types(other)]
    problems.check(
        False,
        given=f"{name}={instance_type!r}"
        + (f", a type for {', '.join(elsewhere)}" if elsewhere else ", which is no type"),
        allowed=f"an instance type of {use.value} jobs" + (f", such as {', '.join(close)}" if close else ""),
        write=f'{name}="{close[0] if close else "ml.m5.xlarge"}"',
    )


def may_have_volume_key(instance_type: str, use: InstanceUse) -> bool:
    """Whether SageMaker takes a key for this type's volume; not known for one that is no type."""
    return (
        not is_token(instance_type)
        and instance_type in instance_types(use)
        and not has_local_storage(instance_type)
    )


def check_volume_key(problems: Problems, instance_type: str, use: InstanceUse, key: kms.IKey | None) -> None:
    """Report a key for disks that take none."""
    if key is None or is_token(instance_type) or instance_type not in instance_types(use):
        return
    problems.check(
        not has_local_storage(instance_type),
        given=f"volume_key with instance_type={instance_type!r}",
        allowed="no volume key on types with local NVMe disks, which the API refuses (hardware encrypts "
        "them)",
        write="volume_key=None",
    )


def check_number(
    problems: Problems, name: str, value: object, least: float, most: float | None = None
) -> None:
    """Report a number that is out of its range."""
    if value is None or is_token(value):
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        problems.check(False, given=f"{name}={value!r}", allowed="a number", write=f"{name}={least:g}")
        return
    problems.check(
        least <= value and (most is None or value <= most),
        given=f"{name}={value:g}",
        allowed=f"{least:g} or more" if most is None else f"{least:g} to {most:g}",
        write=f"{name}={least:g}",
    )


def check_time(problems: Problems, name: str, duration: object, *, longest: int, shortest: int = 1) -> None:
    """Report a time that is too short or too long."""
    problems.check(
        duration is None or isinstance(duration, Duration),
        given=f"{name}={duration!r}",
        allowed="a Duration",
        write=f"{name}=Duration.hours(1)",
    )
    seconds = known_seconds(duration)
    if seconds is None:
        return
    days = f" ({longest / _DAY:g} days)" if longest >= _DAY else ""
    problems.check(
        shortest <= seconds <= longest,
        given=f"{name}={seconds:g} s",
        allowed=f"{shortest} s to {longest} s{days}",
        write=f"{name}=Duration.seconds({max(shortest, min(longest, round(seconds)))})",
    )


def check_one_of(problems: Problems, name: str, value: str | None, allowed: Sequence[str]) -> None:
    """Report a word that the API does not know."""
    if value is None or is_token(value):
        return
    problems.check(
        value in allowed,
        given=f"{name}={value!r}",
        allowed=", ".join(allowed),
        write=f'{_argument(name)}="{allowed[0]}"',
    )


def check_map(
    problems: Problems, name: str, values: Mapping[str, object], *, entries: int, key: int, value: int
) -> None:
    """Report too many entries, values that are no text, and texts that are too long."""
    problems.check(len(values) <= entries, given=f"{len(values)} {name}", allowed=f"at most {entries}")
    for given_key, given_value in values.items():
        if not isinstance(given_value, str):
            problems.check(
                False,
                given=f"{name} {given_key!r}={given_value!r} ({type(given_value).__name__})",
                allowed="text: SageMaker passes every value as a string",
                write=f'"{given_key}": "{given_value}"',
            )
            continue
        if not is_token(given_key):
            problems.check(
                len(given_key) <= key,
                given=f"{name} key of {len(given_key)} characters ({given_key[:30]!r}…)",
                allowed=f"at most {key} characters",
            )
        if not is_token(given_value) and not is_expression(given_value):
            problems.check(
                len(given_value) <= value,
                given=f"{name} {given_key!r} with a value of {len(given_value)} characters",
                allowed=f"at most {value} characters",
            )


def check_commands(problems: Problems, name: str, texts: Sequence[str]) -> None:
    """Report a command line that no container can be given; one text would be taken letter by letter."""
    written = str(texts.split()) if isinstance(texts, str) else '["python3", "train.py"]'
    texts = listed(problems, name, texts, write=written)
    problems.check(len(texts) <= 100, given=f"{len(texts)} texts in {name}", allowed="at most 100")
    for text in texts:
        problems.check(
            is_token(text) or is_expression(text) or len(text) <= 256,
            given=f"{name} with a text of {len(text)} characters ({text[:30]!r}…)",
            allowed="at most 256 characters each",
        )


def check_environment(
    problems: Problems,
    environment: Mapping[str, str],
    *,
    entries: int = 100,
    key: int = 512,
    value: int = 512,
) -> None:
    """Report variables that a container cannot have."""
    check_map(problems, "environment", environment, entries=entries, key=key, value=value)
    for name in environment:
        if not is_token(name):
            problems.check(
                _ENVIRONMENT_KEY.fullmatch(name) is not None,
                given=f"environment variable {name!r}",
                allowed="a letter or underscore, then letters, digits and underscores",
            )


def check_tags(problems: Problems, tags: Mapping[str, str]) -> None:
    """Report tags that SageMaker refuses."""
    check_map(problems, "tags", tags, entries=50, key=128, value=256)
    for key, value in tags.items():
        if not is_token(key) and not is_token(value):
            problems.check(
                len(key) > 0
                and not key.lower().startswith(_RESERVED_TAG_PREFIX)
                and _TAG_TEXT.fullmatch(key) is not None
                and (is_expression(str(value)) or _TAG_TEXT.fullmatch(str(value)) is not None),
                given=f"tag {key!r}={value!r}",
                allowed="letters, digits, spaces and _.:/=+-@ in key and value; keys not aws:",
            )
