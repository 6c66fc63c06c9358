"""A queue whose messages are predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk_data_science._letters import letters, letters_alarm
from cdk_data_science._validation import Problems, is_token
from cdk_data_science.serving._inference_checks import (
    LONGEST_TIMEOUT_SECONDS,
    LONGEST_WINDOW_SECONDS,
    check_whole,
    check_window,
)
from cdk_data_science.serving._kinds import Kinds
from cdk_data_science.serving.inference import ServerlessInference


class PredictionQueue(Construct):
    """A queue whose messages an inference function predicts, with dead letters for those that it cannot.

    A message holds what a request's body would, or names a model beside its rows. The rows of all messages of
    an invocation are one call of the model. Only the messages that failed come back, and after so many tries
    they lie in the dead letters, with an alarm. The predictions go where the function's ``predictions`` says.

    At rest it costs 0.10 USD a month for its alarm; Lambda's reading of the queue is billed as requests, some
    2 USD a month for an idle one.

    Example:
        ```python
        import aws_cdk as cdk
        from cdk_data_science import DataLake, ServerlessInference
        from cdk_data_science.serving import PredictionQueue, Predictions

        stack = cdk.Stack(cdk.App(), "Serving")
        lake = DataLake(stack, "Lake")
        reviews = ServerlessInference(
            stack, "Reviews", models=lake.models, predictions=Predictions.to_zone(lake.curated)
        )
        PredictionQueue(stack, "NewReviews", inference=reviews, batch_size=500)
        ```

    Args:
        inference: The function.
        queue: A queue of one's own, with dead letters, that hides a message for six times the function's
            timeout. Default: a new one, with the function's key.
        batch_size: Messages of one invocation at most, 1 to 10000; together they have 6 MB.
        window: How long messages are collected, up to 5 minutes. Default: 5 seconds.
        tries: How often a message of a new queue is tried, 1 to 1000.
        max_concurrency: Invocations at once for this queue, 2 to 1000. Default: no bound of its own.
        filters: Patterns of messages that are predicted; others are deleted. Default: all are.

    Raises:
        ConfigurationError: values that Lambda would refuse, or a function without a place for predictions.

    See https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        inference: ServerlessInference,
        queue: sqs.Queue | None = None,
        batch_size: int = 100,
        window: Duration | None = None,
        tries: int = 3,
        max_concurrency: int | None = None,
        filters: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        super().__init__(scope, id)
        kinds = Kinds("PredictionQueue", self).one("queue", queue, sqs.Queue).durations(window=window)
        kinds.whole(batch_size=batch_size, tries=tries, max_concurrency=max_concurrency).raise_if_any()
        collected = window if window is not None else Duration.seconds(5)
        problems = Problems("PredictionQueue", self)
        inference.check_place(problems)
        _check(problems, inference.timeout, queue, batch_size, collected, tries, max_concurrency)
        problems.raise_if_any()
        self.dead_letters: sqs.IQueue
        if queue is not None:
            assert queue.dead_letter_queue is not None  # checked above
            self.queue, self.dead_letters = queue, queue.dead_letter_queue.queue
        else:
            self.dead_letters = letters(self, "DeadLetters", inference.key)
            self.queue = sqs.Queue(
                self,
                "Queue",
                encryption=sqs.QueueEncryption.KMS,
                encryption_master_key=inference.key,
                enforce_ssl=True,
                retention_period=Duration.days(14),
                # Lambda advises six times the function's time, and the time in which batches are collected.
                visibility_timeout=_hidden(inference.timeout, collected),
                dead_letter_queue=sqs.DeadLetterQueue(max_receive_count=tries, queue=self.dead_letters),
            )
        inference.alias.add_event_source(
            sources.SqsEventSource(
                self.queue,
                batch_size=batch_size,
                max_batching_window=collected,
                max_concurrency=max_concurrency,
                report_batch_item_failures=True,
                filters=[lambda_.FilterCriteria.filter(pattern) for pattern in filters] or None,
            )
        )
        self.alarm = letters_alarm(
            self, self.dead_letters, "Messages could not be predicted; they lie in the dead-letter queue"
        )
        inference.alerts.notify(self.alarm)


def _hidden(timeout: Duration, window: Duration) -> Duration:
    """The longest that it can be, where one of the two is known only at deployment."""
    longest, collected = (
        most if each.is_unresolved() else each.to_seconds()
        for each, most in ((timeout, LONGEST_TIMEOUT_SECONDS), (window, LONGEST_WINDOW_SECONDS))
    )
    return Duration.seconds(6 * longest + collected)


def _check(
    problems: Problems,
    timeout: Duration,
    queue: sqs.Queue | None,
    batch_size: int,
    window: Duration,
    tries: int,
    max_concurrency: int | None,
) -> None:
    check_whole(problems, "batch_size", batch_size, 1, 10_000, write=100)
    check_window(problems, window)
    problems.check(
        is_token(batch_size)
        or batch_size <= 10
        or window.is_unresolved()
        or window.to_seconds(integral=False) >= 1,
        given=f"batch_size={batch_size} without a window",
        allowed="a window of a second at least for more than 10 messages",
        write="window=Duration.seconds(5)",
    )
    check_whole(problems, "tries", tries, 1, 1000, write=3)
    check_whole(problems, "max_concurrency", max_concurrency, 2, 1000, write=10)
    if queue is not None:
        resource: Any = queue.node.default_child
        hidden = resource.visibility_timeout if resource.visibility_timeout is not None else 30
        least = 0 if timeout.is_unresolved() else timeout.to_seconds(integral=False)
        problems.check(
            is_token(hidden) or hidden >= least,
            given=f"a queue that hides a message for {hidden:g} s",
            allowed=f"at least the function's timeout ({least:g} s); Lambda advises six times as much",
            write=f"visibility_timeout=Duration.seconds({6 * least:g})",
        )
        problems.check(
            queue.dead_letter_queue is not None,
            given="a queue without dead letters",
            allowed="one that gives up after a few tries, or a wrong message comes back for ever",
            write="dead_letter_queue=sqs.DeadLetterQueue(queue=…, max_receive_count=3)",
        )
