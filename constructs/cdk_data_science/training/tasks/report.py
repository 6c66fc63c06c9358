"""What a run's training took and what is billed for it, as the state machine adds it up."""

from __future__ import annotations

from typing import Any

SPENT_VARIABLE = "spent"
"""Holds the seconds of tries that ended for want of capacity."""

NOTHING_SPENT: dict[str, Any] = {"seconds": 0, "billedSeconds": 0}

# The cause is the job's description, unless it was cut off; a job that never started has no seconds.
SPENT: dict[str, Any] = {
    name: (
        "{% ($cause := $failure.cause;"
        " $whole := $substring($cause, 0, 1) = '{' and $substring($cause, -1) = '}';"
        " $ended := $whole ? $parse($cause) : {};"
        f" $spent.{name} + ($exists($ended.{member}) ? $ended.{member} : 0)) %}}"
    )
    for name, member in (("seconds", "TrainingTimeInSeconds"), ("billedSeconds", "BillableTimeInSeconds"))
}

REPORT = (
    # The service integration gives times as numbers: milliseconds, or seconds as the API has them.
    "{% ($job := $states.result; $began := $job.TrainingStartTime;"
    " $ran := $spent.seconds + ($exists($job.TrainingTimeInSeconds) ? $job.TrainingTimeInSeconds : 0);"
    " $billed := $spent.billedSeconds"
    " + ($exists($job.BillableTimeInSeconds) ? $job.BillableTimeInSeconds : 0);"
    ' {"name": $job.TrainingJobName,'
    ' "arn": $job.TrainingJobArn,'
    ' "started": $type($began) = "number"'
    " ? $fromMillis($began < 100000000000 ? $began * 1000 : $began) : $began,"
    ' "image": $job.AlgorithmSpecification.TrainingImage,'
    ' "source": $job.HyperParameters.sagemaker_submit_directory,'
    ' "parameters": $sift($job.HyperParameters, function($v, $k) { $not($contains($k, "sagemaker_")) }),'
    ' "instanceType": $job.ResourceConfig.InstanceType,'
    ' "instances": $job.ResourceConfig.InstanceCount,'
    ' "spot": $job.EnableManagedSpotTraining = true,'
    ' "tries": $capacityTries + 1,'
    ' "seconds": $ran,'
    ' "billedSeconds": $billed,'
    ' "savedPercent": $ran > 0 ? $round((1 - $billed / $ran) * 100, 1) : 0}) %}'
)
"""Expression for ``assign`` of a training step: the job, what it ran, its capacity, and its seconds, run and
billed.

The seconds are those of one instance, over all tries of the run; multiply them by ``instances``. What Spot
saved is the share of the seconds that is not billed, as SageMaker defines it.
"""
