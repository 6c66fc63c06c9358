"""The modules of `lambda/cost`, imported as in the function, under their plain names."""

import sys
from pathlib import Path

FOLDER = Path(__file__).parents[3] / "lambda" / "cost"

sys.path.insert(0, str(FOLDER))
try:
    import lift
    import working_hours
finally:
    sys.path.remove(str(FOLDER))

__all__ = ["FOLDER", "lift", "working_hours"]
