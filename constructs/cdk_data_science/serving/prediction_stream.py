"""A Kinesis stream whose records are predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from constructs import Construct

from cdk_data_science._validation import Problems
from cdk_data_science.monitoring import alarm
from cdk_data_science.serving._inference_checks import check_whole, check_window
from cdk_data_science.serving._kinds import Kinds
from cdk_data_science.serving._limits import check_seconds
from cdk_data_science.serving.inference import ServerlessInference


class PredictionStream(Construct):
    """A Kinesis stream whose records an inference function predicts, in the order of each shard.

    A record that can never be predicted is put into the function's queue ``rejected`` whole, and its shard
    goes on. Anything else that fails is tried again from the first record that failed on, in halves; what is
    given up in the end is named in that queue, with its place in the stream. The predictions go where the
    function's ``predictions`` says; after a failure some come twice, with the same record's number.

    At rest it costs 0.20 USD a month for its alarm and that of the queue.

    Example:
        ```python
        import aws_cdk as cdk
        from aws_cdk import aws_kinesis as kinesis
        from cdk_data_science import DataLake, ServerlessInference
        from cdk_data_science.serving import Predictions, PredictionStream

        stack = cdk.Stack(cdk.App(), "Serving")
        lake = DataLake(stack, "Lake")
        reviews = ServerlessInference(
            stack, "Reviews", models=lake.models, predictions=Predictions.to_zone(lake.curated)
        )
        clicks = kinesis.Stream(stack, "Clicks")
        PredictionStream(
            stack, "NewReviews", inference=reviews, stream=clicks, filters=[{"partitionKey": ["review"]}]
        )
        ```

    Args:
        inference: The function.
        stream: The stream.
        batch_size: Records of one invocation at most, 1 to 10000.
        window: How long records are collected, up to 5 minutes. Default: 1 second.
        tries: How often a batch is tried again, 0 to 10000.
        max_age: Records that are older are given up, a minute to seven days. Default: a day.
        parallel: Batches of a shard at once, 1 to 10; order is kept for each partition key.
        from_beginning: Whether what is in the stream already is predicted too.
        late: Age of records that sets off the alarm. Default: a minute.
        filters: Patterns of records that are predicted; others are passed over. Default: all are.

    Raises:
        ConfigurationError: values that Lambda would refuse, or a function without a place for predictions.

    See https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        inference: ServerlessInference,
        stream: kinesis.IStream,
        batch_size: int = 100,
        window: Duration | None = None,
        tries: int = 5,
        max_age: Duration | None = None,
        parallel: int = 1,
        from_beginning: bool = False,
        late: Duration | None = None,
        filters: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        super().__init__(scope, id)
        kinds = Kinds("PredictionStream", self).durations(window=window, max_age=max_age, late=late)
        kinds.whole(batch_size=batch_size, tries=tries, parallel=parallel).raise_if_any()
        collected = window if window is not None else Duration.seconds(1)
        oldest = max_age if max_age is not None else Duration.days(1)
        problems = Problems("PredictionStream", self)
        inference.check_place(problems)
        alarming = late if late is not None else Duration.minutes(1)
        _check(problems, batch_size, collected, tries, oldest, parallel, alarming)
        problems.raise_if_any()
        self.stream = stream
        inference.alias.add_event_source(
            sources.KinesisEventSource(
                stream,
                starting_position=(
                    lambda_.StartingPosition.TRIM_HORIZON
                    if from_beginning
                    else lambda_.StartingPosition.LATEST
                ),
                batch_size=batch_size,
                max_batching_window=collected,
                retry_attempts=tries,
                max_record_age=oldest,
                parallelization_factor=parallel,
                bisect_batch_on_error=True,
                report_batch_item_failures=True,
                on_failure=sources.SqsDlq(inference.rejected),
                filters=[lambda_.FilterCriteria.filter(pattern) for pattern in filters] or None,
            )
        )
        self.alarm = alarm(
            self,
            "Late",
            inference.alias.metric("IteratorAge", statistic="Maximum", period=Duration.minutes(1)),
            description="Records of the stream wait too long to be predicted",
            threshold=float(alarming.to_milliseconds()),
            periods=3,
        )
        inference.alerts.notify(self.alarm)


def _check(
    problems: Problems,
    batch_size: int,
    window: Duration,
    tries: int,
    max_age: Duration,
    parallel: int,
    late: Duration,
) -> None:
    check_whole(problems, "batch_size", batch_size, 1, 10_000, write=100)
    check_window(problems, window)
    check_whole(problems, "tries", tries, 0, 10_000, write=5)
    check_seconds(
        problems,
        "max_age",
        max_age,
        60,
        604_800,
        allowed="a minute to seven days",
        write="max_age=Duration.hours(24)",
    )
    check_whole(problems, "parallel", parallel, 1, 10, write=1)
    problems.check(
        late.is_unresolved() or late.to_milliseconds() > 0,
        given=f"late={late.to_milliseconds():g} ms" if not late.is_unresolved() else "late",
        allowed="more than zero: a record that has just come has an age",
        write="late=Duration.minutes(1)",
    )
