"""The modules of `lambda/studio`, imported as in the function, under their plain names."""

import sys
from pathlib import Path

FOLDER = Path(__file__).parents[3] / "lambda" / "studio"

sys.path.insert(0, str(FOLDER))
try:
    import activity
    import answers
    import custom_resource
    import ending
    import network
finally:
    sys.path.remove(str(FOLDER))

__all__ = ["FOLDER", "activity", "answers", "custom_resource", "ending", "network"]
