"""What one step hands to a later one, by name."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = re.compile(r"[a-z][A-Za-z0-9]{0,79}")
# The pipeline's own variables, and those of the training and the deployment.
_RESERVED = frozenset(
    {
        "states", "run", "failure", "record", "rollback", "turn", "job", "capacityTries", "requested",
        "spent", "deployRequest", "checks", "health",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Output:
    """A value that a step gives: a variable of the state machine, which later steps read.

    >>> Output("holdout").expression
    '{% $holdout %}'
    """

    name: str
    """1 to 80 letters and digits, beginning with a small letter."""
    description: str = ""

    def __post_init__(self) -> None:
        """Refuse names that Step Functions cannot use, or that the pipeline uses itself."""
        if not _NAME.fullmatch(self.name) or self.name in _RESERVED:
            raise ValueError(
                f"Output: given name {self.name!r}; allowed: 1 to 80 letters and digits that begin with a "
                f"small "
                f"letter, except {', '.join(sorted(_RESERVED))}"
            )

    @property
    def variable(self) -> str:
        """The variable in a JSONata expression."""
        return f"${self.name}"

    @property
    def expression(self) -> str:
        """The JSONata expression that gives the value, for the arguments of a task."""
        return f"{{% {self.variable} %}}"


DATA = Output("data", "the uploaded object: bucket, key, versionId, checksum")
QUALITY = Output("quality", "what the quality gate observed, and its report")
TRAIN = Output("train", "prefix of the training data")
HOLDOUT = Output("holdout", "the held-out rows, without labels")
COUNTS = Output("counts", "rows and groups on each side of the split, and rows left out")
LABELS = Output("labels", "the labels of the held-out rows")
ARTIFACT = Output("artifact", "URI of the training job's archive")
TRAINING_JOB = Output("trainingJob", "the training job: name, ARN, capacity, seconds run and billed")
TUNING = Output("tuning", "the search: its trials, and the best one with its hyperparameters")
MODEL = Output("model", "the model in the lake")
SHA256 = Output("sha256", "the hash of the model")
MANIFEST = Output("manifest", "the description of the model's inputs and outputs")
SCORES = Output("scores", "the model's scores of the held-out rows")
METRICS = Output("metrics", "how good the model is on the held-out rows")
EVALUATION = Output("evaluation", "the report of the evaluation")
MODEL_PACKAGE = Output("modelPackage", "ARN and version in the model registry")
APPROVAL = Output("approval", "the decision on the model, and who took it")
DEPLOYMENT = Output("deployment", "what was put into service")
FEATURES = Output("features", "rows written into a feature group, and rows rejected")
