"""SnapStart: what is done before the snapshot of a started function, and after it was restored.

Nothing here is needed for correct randomness: the one random number of this function, the jitter of its
retries, comes from the kernel, which is seeded anew in each restored sandbox. Connections are closed after
each load, so that no snapshot holds one. Time is what remains: models that a pointer names may have been
replaced since.
"""

import gc
import os

from emf import log
from model import ModelUnavailable, NoModel
from shelf import Shelf


def register(shelf: Shelf, environment: "os._Environ[str] | dict[str, str]" = os.environ) -> None:
    """Register both hooks, where this function is being started for a snapshot."""
    if environment.get("AWS_LAMBDA_INITIALIZATION_TYPE") != "snap-start":
        return
    # It is part of Lambda's runtime, from Python 3.12 on.
    from snapshot_restore_py import (  # type: ignore[import-untyped]
        register_after_restore,
        register_before_snapshot,
    )

    register_before_snapshot(before_snapshot, shelf)
    register_after_restore(after_restore, shelf)


def before_snapshot(shelf: Shelf) -> None:
    """Put into the snapshot what the first request would have to wait for."""
    try:
        shelf.main.get().warm_up()
    except (NoModel, ModelUnavailable):
        pass  # the start has told it, and requests will
    except Exception as error:  # noqa: BLE001 (a model may refuse empty rows, and yet be sound)
        log("WARNING", "NotWarmedUp", f"{type(error).__name__}: {error}")
    gc.collect()


def after_restore(shelf: Shelf) -> None:
    """Look again for whatever may have changed while the snapshot lay."""
    shelf.forget_time()
