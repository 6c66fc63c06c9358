"""Switch things off after working hours and on before them, each only if it is not so already.

A call that comes twice changes nothing the second time. What is busy fails the call, which is made again;
what still fails ends in the dead-letter queue.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any, Literal, TypedDict
from zoneinfo import ZoneInfo

import boto3
import endpoint_scaling
from botocore.config import Config
from botocore.exceptions import ClientError

logger = logging.getLogger()
logger.setLevel(logging.INFO)

NOT_HELD = "none"
LONGEST_HOLD = timedelta(days=31)
_WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")

Switch = Literal["on", "off"]


class Event(TypedDict, total=False):
    """What a schedule sends, or the rule on the endpoints' states."""

    switch: Literal["on", "off", "scaling"]
    time: str
    """The scheduled time, as EventBridge Scheduler writes it: ``2026-11-24T07:00:00Z``. Schedules alone."""


class Thing(TypedDict, total=False):
    """What is switched: an ARN or a name, and for provisioned concurrency how much of it."""

    kind: str
    id: str
    name: str
    """Of an endpoint or a notebook, in its own case; the ARN has it in small letters."""
    memory: str
    """Of an endpoint: the parameter that remembers how it was."""
    scaling: bool
    """Whether an endpoint's variants scale."""
    executions: int


class BusyError(Exception):
    """It is in a state from which it can be switched later, not now."""


class NotSwitchedError(Exception):
    """Some things could not be switched; the message tells which and why."""


def handler(event: Event, _context: object) -> dict[str, str]:
    """Switch every thing of `THINGS`; the answer tells what was done with each."""
    switch = event["switch"]
    if switch == "scaling":
        scaling = [thing for thing in json.loads(os.environ["THINGS"]) if thing.get("scaling")]
        return _each(scaling, _scale_again, switch)
    calendar = json.loads(os.environ["CALENDAR"])
    time = datetime.fromisoformat(event["time"]).replace(tzinfo=UTC)
    today = time.astimezone(ZoneInfo(calendar["time_zone"])).date()
    reason = reason_to_leave(switch, today, calendar, _hold())
    if reason is not None:
        logger.info("nothing is switched %s: %s", switch, reason)
        return {"skipped": reason}
    return _each(
        json.loads(os.environ["THINGS"]), lambda thing: _SWITCHES[thing["kind"]](thing, switch), switch
    )


def _each(things: Iterable[Thing], act: Callable[[Thing], str], switch: str) -> dict[str, str]:
    """Do all that can be done, then fail with what could not."""
    done, failed = {}, {}
    for thing in things:
        try:
            done[thing["id"]] = act(thing)
        except (BusyError, ClientError) as error:
            logger.exception("%s could not be switched %s", thing["id"], switch)
            failed[thing["id"]] = str(error)
    if failed:
        raise NotSwitchedError(json.dumps(failed))
    logger.info("switched %s: %s", switch, done)
    return done


def reason_to_leave(
    switch: Switch, today: date, calendar: Mapping[str, Any], hold: date | None
) -> str | None:
    """Why nothing is to be done on this day, if so."""
    day = today.isoformat()
    if switch == "off":
        return f"held until {hold}" if hold is not None and today <= hold <= today + LONGEST_HOLD else None
    if day in calendar["holidays"]:
        return f"{day} is a holiday"
    if _WEEKDAYS[today.weekday()] not in calendar["days"] and day not in calendar["extra_days"]:
        return f"{day} is no working day"
    return None


def _hold() -> date | None:
    """The last day until which things stay on. What is no date holds nothing: forgetting it costs less."""
    text = _client("ssm").get_parameter(Name=os.environ["HOLD"])["Parameter"]["Value"].strip()
    if text == NOT_HELD:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        logger.warning("the hold %r is neither a date (2026-12-31) nor %r", text, NOT_HELD)
        return None


def _endpoint(thing: Thing, switch: Switch) -> str:
    """An endpoint cannot be stopped: it is deleted, and made again of the configuration that it had."""
    sagemaker, name = _client("sagemaker"), thing["name"]
    known = _memory(thing)
    described = _described(name)
    if switch == "on":
        if described is not None:
            # A second call of the morning finds what the event of the state did not lead to.
            return _scale_again(thing) if thing.get("scaling") else "is on"
        if not known:
            return "was never switched off here"
        sagemaker.create_endpoint(
            EndpointName=name, EndpointConfigName=known["EndpointConfigName"], Tags=known["Tags"]
        )
        return "on"
    if described is None or described["EndpointStatus"] == "Deleting":
        return "is off"
    if described["EndpointStatus"] not in ("InService", "Failed", "OutOfService"):
        raise BusyError(f"endpoint {name} is {described['EndpointStatus']}")
    tags = sagemaker.list_tags(ResourceArn=thing["id"]).get("Tags", [])
    _remember(
        thing,
        {
            "EndpointConfigName": described["EndpointConfigName"],
            # CloudFormation's own tags cannot be written by anybody else.
            "Tags": [tag for tag in tags if not tag["Key"].startswith("aws:")],
            "Scaling": _scaling_of(thing, described) or known.get("Scaling", []),
        },
    )
    sagemaker.delete_endpoint(EndpointName=name)
    return "off"


def _described(name: str) -> Any:
    """An endpoint as it is now; None if there is none."""
    try:
        return _client("sagemaker").describe_endpoint(EndpointName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationException":
            raise
        return None


def _scaling_of(thing: Thing, described: Mapping[str, Any]) -> list[dict[str, Any]]:
    if not thing.get("scaling"):
        return []
    variants = [variant["VariantName"] for variant in described.get("ProductionVariants", ())]
    found: list[dict[str, Any]] = endpoint_scaling.registered(
        _client("application-autoscaling"), thing["name"], variants
    )
    return found


def _scale_again(thing: Thing) -> str:
    """Register what scaled an endpoint before it was switched off, once it is in service again.

    That takes it minutes, so that this is called by the event of its state. What was remembered is forgotten
    then: what people change during the day stays as they left it.
    """
    known = _memory(thing)
    wanted = known.get("Scaling", [])
    if not wanted:
        return "is on"
    described = _described(thing["name"])
    if described is None or described["EndpointStatus"] != "InService":
        return "is off" if described is None else f"is {described['EndpointStatus']}"
    lost = endpoint_scaling.restore(_client("application-autoscaling"), wanted, _scaling_of(thing, described))
    if lost:
        raise BusyError(
            f"endpoint {thing['name']} lacks the step policies {', '.join(lost)}, whose alarms only the "
            "stack that made them can connect again: deploy it"
        )
    _remember(thing, {**known, "Scaling": []})
    return "scales"


def _notebook(thing: Thing, switch: Switch) -> str:
    sagemaker, name = _client("sagemaker"), thing["name"]
    status = sagemaker.describe_notebook_instance(NotebookInstanceName=name)["NotebookInstanceStatus"]
    if switch == "on":
        return _act(
            f"notebook {name}",
            status,
            there=("InService", "Pending"),
            ready=("Stopped",),
            act=lambda: sagemaker.start_notebook_instance(NotebookInstanceName=name),
            switch=switch,
        )
    return _act(
        f"notebook {name}",
        status,
        there=("Stopped", "Stopping", "Failed", "Deleting"),
        ready=("InService",),
        act=lambda: sagemaker.stop_notebook_instance(NotebookInstanceName=name),
        switch=switch,
    )


def _warehouse(thing: Thing, switch: Switch) -> str:
    redshift, name = _client("redshift"), thing["id"]
    (cluster,) = redshift.describe_clusters(ClusterIdentifier=name)["Clusters"]
    on = switch == "on"
    return _act(
        f"cluster {name}",
        cluster["ClusterStatus"],
        there=("available", "resuming") if on else ("paused", "pausing"),
        ready=("paused",) if on else ("available",),
        act=lambda: (redshift.resume_cluster if on else redshift.pause_cluster)(ClusterIdentifier=name),
        switch=switch,
    )


def _concurrency(thing: Thing, switch: Switch) -> str:
    """Provisioned concurrency of an alias. Without it the function works, with cold starts."""
    functions = _client("lambda")
    function, _, alias = thing["id"].rpartition(":")
    where = {"FunctionName": function, "Qualifier": alias}
    if switch == "on":
        functions.put_provisioned_concurrency_config(
            **where, ProvisionedConcurrentExecutions=thing["executions"]
        )
        return "on"
    try:
        functions.get_provisioned_concurrency_config(**where)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ProvisionedConcurrencyConfigNotFoundException":
            raise
        return "is off"
    functions.delete_provisioned_concurrency_config(**where)
    return "off"


def _act(
    name: str,
    status: str,
    *,
    there: tuple[str, ...],
    ready: tuple[str, ...],
    act: Callable[[], object],
    switch: Switch,
) -> str:
    """Switch what is ready for it; leave what is there already; fail for anything between."""
    if status in there:
        return f"is {switch}"
    if status not in ready:
        raise BusyError(f"{name} is {status}")
    act()
    return switch


def _memory(thing: Thing) -> dict[str, Any]:
    text = _client("ssm").get_parameter(Name=thing["memory"])["Parameter"]["Value"]
    found: dict[str, Any] = json.loads(text)
    return found


def _remember(thing: Thing, known: Mapping[str, Any]) -> None:
    # Parameters of more than 4 KB cost 0.05 USD a month, and end at 8 KB.
    _client("ssm").put_parameter(
        Name=thing["memory"],
        Value=json.dumps(known, separators=(",", ":")),
        Tier="Intelligent-Tiering",
        Overwrite=True,
    )


@cache
def _client(service: str) -> Any:
    config = Config(retries={"mode": "standard", "total_max_attempts": 5}, connect_timeout=3)
    return boto3.client(service, config=config)  # type: ignore[call-overload]


_SWITCHES: dict[str, Callable[[Thing, Switch], str]] = {
    "concurrency": _concurrency,
    "endpoint": _endpoint,
    "notebook": _notebook,
    "warehouse": _warehouse,
}
