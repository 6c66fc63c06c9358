"""The errors that end a run and that a person has to read.

Lambda reports an exception by the name of its class, and Step Functions matches that name in `Retry` and
`Catch`. Service faults (botocore's `ClientError`) are not wrapped: the state machine retries those.
"""


class PipelineError(Exception):
    """Base of all errors that a retry cannot mend."""


class InvalidEvent(PipelineError):
    """The event is not one that this handler understands."""


class InvalidConfiguration(PipelineError):
    """The pipeline's own options are wrong: its rules, its split, its thresholds."""


class InvalidData(PipelineError):
    """The data cannot be used; the message says where in the file and why."""


class QualityGateFailed(PipelineError):
    """The data was read and breaks at least one rule."""


class ModelBelowThreshold(PipelineError):
    """The model was evaluated and is not good enough."""


class ModelRejected(PipelineError):
    """The training job's archive is unsafe, incomplete or not what its manifest says."""


class DeploymentFailed(PipelineError):
    """The model could not be put into service; what was live before still is."""


class OlderData(PipelineError):
    """The model that is live was trained on newer data."""
