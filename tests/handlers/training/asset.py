"""The modules of `lambda/training`, imported as in the function, under their plain names."""

import sys
from pathlib import Path

FOLDER = Path(__file__).parents[3] / "lambda" / "training"

sys.path.insert(0, str(FOLDER))
try:
    import job_metrics
    import sweep
finally:
    sys.path.remove(str(FOLDER))

__all__ = ["FOLDER", "job_metrics", "sweep"]
