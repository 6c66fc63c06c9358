"""CloudWatch Logs of the local AWS: events are found page by page, however many there are."""

from __future__ import annotations

import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.conftest import LocalAws, unique

MANY = 10_250
"""More than a page of FilterLogEvents can hold."""


@pytest.fixture(scope="module")
def written(local_aws: LocalAws) -> tuple[str, list[str]]:
    """A group with more events than fit a page, many of them in each millisecond; and their messages."""
    logs, group, now = local_aws.client("logs"), f"/test/{unique('logs')}", int(time.time() * 1000)
    logs.create_log_group(logGroupName=group)
    messages = [f"{number:05}" for number in range(MANY)]
    for name, part in (("early/1", messages[:6_000]), ("late/1", messages[6_000:])):
        logs.create_log_stream(logGroupName=group, logStreamName=name)
        events = [{"timestamp": now + int(text) // 400, "message": text} for text in part]
        logs.put_log_events(logGroupName=group, logStreamName=name, logEvents=events)
    return group, messages


def found(local_aws: LocalAws, **asked: Any) -> list[str]:
    pages = local_aws.client("logs").get_paginator("filter_log_events").paginate(**asked)
    return [event["message"] for page in pages for event in page["events"]]


def test_what_comes_after_ten_thousand_events_is_found(
    local_aws: LocalAws, written: tuple[str, list[str]]
) -> None:
    group, messages = written
    assert found(local_aws, logGroupName=group) == messages


def test_a_page_ends_within_a_millisecond_and_the_next_one_goes_on_there(
    local_aws: LocalAws, written: tuple[str, list[str]]
) -> None:
    group, messages = written
    assert found(local_aws, logGroupName=group, PaginationConfig={"PageSize": 999}) == messages
    wanted = [message for message in messages if "77" in message]
    asked = {"logGroupName": group, "filterPattern": "77", "PaginationConfig": {"PageSize": 7}}
    assert found(local_aws, **asked) == wanted


def test_an_event_that_comes_between_two_pages_is_told_once(local_aws: LocalAws) -> None:
    logs, now = local_aws.client("logs"), int(time.time() * 1000)
    group = f"/test/{unique('logs')}"
    logs.create_log_group(logGroupName=group)
    for stream in ("a", "b"):
        logs.create_log_stream(logGroupName=group, logStreamName=stream)

    def write(stream: str, *messages: str) -> None:
        events = [{"timestamp": now, "message": message} for message in messages]
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)

    write("b", "one", "two", "three")
    first = logs.filter_log_events(logGroupName=group, limit=2)
    write("a", "four")
    rest = logs.filter_log_events(logGroupName=group, nextToken=first["nextToken"])["events"]
    assert [event["message"] for event in first["events"]] == ["one", "two"]
    assert {event["message"] for event in rest} == {"three", "four"}


def test_streams_are_chosen_by_their_prefix(local_aws: LocalAws, written: tuple[str, list[str]]) -> None:
    group, messages = written
    assert found(local_aws, logGroupName=group, logStreamNamePrefix="late/") == messages[6_000:]
    assert found(local_aws, logGroupName=group, logStreamNamePrefix="nothing/") == []


def test_a_token_that_was_never_given_is_refused(local_aws: LocalAws, written: tuple[str, list[str]]) -> None:
    with pytest.raises(ClientError, match="The specified nextToken is invalid"):
        local_aws.client("logs").filter_log_events(logGroupName=written[0], nextToken="bm90aGluZw==")


def test_every_event_has_an_id_of_its_own(local_aws: LocalAws) -> None:
    name = local_aws.function("def handler(e, c): print('a line of mine')", local_aws.role("lambda"))
    local_aws.client("lambda").invoke(FunctionName=name)
    events = local_aws.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
    assert len({event["eventId"] for event in events}) == len(events) > 2
