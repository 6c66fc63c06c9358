"""The modules of `lambda/features`, imported as in the function, under their plain names."""

import sys
from pathlib import Path

FOLDER = Path(__file__).parents[3] / "lambda" / "features"

sys.path.insert(0, str(FOLDER))
try:
    import files
    import ingest
    import rows
finally:
    sys.path.remove(str(FOLDER))

__all__ = ["FOLDER", "files", "ingest", "rows"]
