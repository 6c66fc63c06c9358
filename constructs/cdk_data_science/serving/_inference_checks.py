"""What Lambda and its neighbours would refuse of an inference function, found before anything is built."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_

from cdk_data_science._validation import FOLDER, Problems, is_token
from cdk_data_science.serving._limits import check_seconds
from cdk_data_science.serving.scaling import ConcurrencyScaling

if TYPE_CHECKING:
    from cdk_data_science.serving.http_api import PredictionApi
    from cdk_data_science.serving.payloads import PayloadsInS3

_NAMESPACE = re.compile(r"(?!AWS/)[A-Za-z0-9_./#:-]{1,255}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
LONGEST_TIMEOUT_SECONDS = 900
LONGEST_WINDOW_SECONDS = 300
_LONGEST_NAMES = 2000
_SNAPSHOTS = ("python3.12", "python3.13", "python3.14")


def check_function(
    problems: Problems,
    *,
    models_prefix: str,
    memory_size: int,
    timeout: Duration,
    max_rows: int,
    reserved_concurrency: int | None,
    metrics_namespace: str,
    slow: Duration | None,
) -> None:
    """Report wrong numbers and names of the function itself."""
    problems.check(
        is_token(models_prefix) or FOLDER.fullmatch(models_prefix) is not None,
        given=f"models_prefix={models_prefix!r}",
        allowed="a folder of the zone: no slash at the start, one at the end",
        write='models_prefix="models/"',
    )
    problems.check(
        is_token(memory_size) or 128 <= memory_size <= 10_240,
        given=f"memory_size={memory_size}",
        allowed="128 to 10240 MB",
        write="memory_size=1769",
    )
    check_seconds(
        problems,
        "timeout",
        timeout,
        1,
        LONGEST_TIMEOUT_SECONDS,
        allowed="1 s to 900 s",
        write="timeout=Duration.seconds(30)",
    )
    problems.check(
        slow is not None or not timeout.is_unresolved(),
        given="a timeout that is known only at deployment, without slow",
        allowed="slow beside it, of which half the timeout is the default",
        write="slow=Duration.seconds(1)",
    )
    if slow is not None and not slow.is_unresolved():
        most = LONGEST_TIMEOUT_SECONDS if timeout.is_unresolved() else timeout.to_seconds(integral=False)
        problems.check(
            0 < slow.to_milliseconds() <= most * 1000,
            given=f"slow={slow.to_milliseconds():g} ms",
            allowed=f"more than zero, at most timeout ({most:g} s)",
        )
    problems.check(
        is_token(max_rows) or 1 <= max_rows <= 100_000,
        given=f"max_rows={max_rows}",
        allowed="1 to 100000",
        write="max_rows=1000",
    )
    if reserved_concurrency is not None and not is_token(reserved_concurrency):
        problems.check(
            reserved_concurrency >= 0,
            given=f"reserved_concurrency={reserved_concurrency}",
            allowed="0 (which stops the function) or more, or None to reserve nothing",
            write="reserved_concurrency=None",
        )
    problems.check(
        is_token(metrics_namespace) or _NAMESPACE.fullmatch(metrics_namespace) is not None,
        given=f"metrics_namespace={metrics_namespace!r}",
        allowed="1 to 255 letters, digits and _./#:-, not beginning with AWS/",
        write='metrics_namespace="DataScience/Inference"',
    )


def check_names(
    problems: Problems, *, named_models: Sequence[str], max_loaded_models: int, refresh: Duration | None
) -> None:
    """Report names that no address could hold, and models that there is no room for."""
    for name in named_models:
        problems.check(
            _NAME.fullmatch(name) is not None,
            given=f"named_models with {name!r}",
            allowed="up to 63 letters, digits and .-_, beginning with a letter or digit",
            write='named_models=["churn"]',
        )
    problems.check(
        len(set(named_models)) == len(named_models) and len(named_models) <= 50,
        given=f"named_models with {len(named_models)} names, {len(set(named_models))} of them different",
        allowed="up to 50 names, each once",
    )
    together = len(",".join(named_models))
    problems.check(
        together <= _LONGEST_NAMES,
        given=f"named_models with {together} characters",
        allowed=f"together at most {_LONGEST_NAMES} characters: all variables of a function have 4 KB",
    )
    problems.check(
        is_token(max_loaded_models) or 1 <= max_loaded_models <= 50,
        given=f"max_loaded_models={max_loaded_models}",
        allowed="1 to 50",
        write="max_loaded_models=4",
    )
    check_seconds(
        problems,
        "refresh",
        refresh,
        1,
        86_400,
        allowed="1 s to one day",
        write="refresh=Duration.minutes(1)",
    )


def check_start(
    problems: Problems,
    *,
    runtime: lambda_.Runtime,
    snap_start: bool,
    provisioned_concurrency: ConcurrencyScaling | None,
    reserved_concurrency: int | None,
) -> None:
    """Report ways to start that exclude each other."""
    problems.check(
        not (snap_start and provisioned_concurrency is not None),
        given="snap_start=True and provisioned_concurrency",
        allowed="one of the two: Lambda has both for no function",
        write="snap_start=False",
    )
    problems.check(
        not snap_start or runtime.name in _SNAPSHOTS,
        given=f"snap_start=True with {runtime.name}",
        allowed=f"SnapStart for {', '.join(_SNAPSHOTS)}",
    )
    scaling = provisioned_concurrency
    if scaling is None:
        return
    scheduled = [
        bound for each in scaling.schedule for bound in (each.minimum, each.maximum) if bound is not None
    ]
    numbers = [scaling.minimum, scaling.maximum, *scheduled]
    if any(map(is_token, numbers)):
        return
    problems.check(
        0 <= scaling.minimum <= scaling.maximum and scaling.maximum >= 1 and min(numbers) >= 0,
        given=f"provisioned_concurrency from {scaling.minimum} to {scaling.maximum}",
        allowed="0 or more, minimum at most maximum, and a maximum of at least 1",
        write="provisioned_concurrency=ConcurrencyScaling(minimum=1, maximum=10)",
    )
    problems.check(
        scaling.minimum > 0 or bool(scaling.schedule),
        given="provisioned_concurrency with minimum=0 and no schedule",
        allowed="a schedule that raises it: use is measured on what is provisioned, and 0 of it never grows",
        write="minimum=1",
    )
    for each in scaling.schedule:
        problems.check(
            each.minimum is not None or each.maximum is not None,
            given="provisioned_concurrency with a schedule that changes nothing",
            allowed="a minimum, a maximum, or both",
        )
        problems.check(
            each.minimum is None or each.maximum is None or each.minimum <= each.maximum,
            given=f"provisioned_concurrency scheduled from {each.minimum} to {each.maximum}",
            allowed="a minimum that is at most the maximum",
        )
    problems.check(
        scaling.utilization is None or 0.1 <= scaling.utilization <= 0.9,
        given=f"provisioned_concurrency with utilization={scaling.utilization}",
        allowed="0.1 to 0.9, or None to follow the schedule alone",
        write="utilization=0.7",
    )
    problems.check(
        scaling.utilization is not None or bool(scaling.schedule) or scaling.minimum == scaling.maximum,
        given=f"provisioned_concurrency from {scaling.minimum} to {scaling.maximum} without utilization and "
        "schedule",
        allowed="one of them, or one number as minimum and maximum",
    )
    problems.check(
        reserved_concurrency is None
        or is_token(reserved_concurrency)
        or max(numbers) <= reserved_concurrency,
        given=f"provisioned_concurrency up to {max(numbers)} of reserved_concurrency={reserved_concurrency}",
        allowed="at most what is reserved",
    )


def check_ways_in(
    problems: Problems,
    *,
    timeout: Duration,
    memory_size: int,
    http_api: PredictionApi | None,
    payloads: PayloadsInS3 | None,
) -> None:
    """Report what the API and the payloads would not go with."""
    if http_api is not None:
        http_api.check(problems, timeout=timeout)
    if payloads is not None:
        payloads.check(problems, memory_size=memory_size)


def check_window(problems: Problems, window: Duration) -> None:
    """Report a time for which no batch is collected."""
    check_seconds(
        problems,
        "window",
        window,
        0,
        LONGEST_WINDOW_SECONDS,
        allowed="0 s to 300 s",
        write="window=Duration.seconds(5)",
    )


def check_whole(
    problems: Problems, name: str, value: int | None, least: int, most: int, *, write: int
) -> None:
    """Report a number outside of its bounds."""
    problems.check(
        value is None or is_token(value) or least <= value <= most,
        given=f"{name}={value}",
        allowed=f"{least} to {most}",
        write=f"{name}={write}",
    )
