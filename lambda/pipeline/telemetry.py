"""Structured logs that carry the run, and one metric for each way that a step can end."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from errors import PipelineError

_SERVICE = os.environ.get("POWERTOOLS_SERVICE_NAME", "training-pipeline")

logger = Logger(service=_SERVICE)
metrics = Metrics(
    service=_SERVICE, namespace=os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "DataSciencePipeline")
)

Event = TypeVar("Event", bound=Mapping[str, Any])
Result = TypeVar("Result")


def step(name: str) -> Callable[[Callable[[Event], Result]], Callable[[Event, object], Result]]:
    """Make a Lambda handler of a plain function of the event.

    Log lines carry the run as correlation id and the step's name. `Succeeded`, `Refused` (a person has to
    act) and `Faulted` (a retry may help) are counted by step.
    """

    def decorate(function: Callable[[Event], Result]) -> Callable[[Event, object], Result]:
        @wraps(function)
        def handler(event: Event, context: object) -> Result:
            logger.clear_state()
            logger.append_keys(
                step=name,
                run=event.get("run"),
                correlation_id=event.get("run") or event.get("id"),
                request_id=getattr(context, "aws_request_id", None),
            )
            metrics.add_dimension("step", name)
            try:
                result = function(event)
            except PipelineError as error:
                logger.error(str(error), extra={"error": type(error).__name__})
                metrics.add_metric("Refused", MetricUnit.Count, 1)
                raise
            except Exception:
                logger.exception("the step failed")
                metrics.add_metric("Faulted", MetricUnit.Count, 1)
                raise
            else:
                metrics.add_metric("Succeeded", MetricUnit.Count, 1)
                return result
            finally:
                metrics.flush_metrics()

        return handler

    return decorate
