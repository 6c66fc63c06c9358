"""The modules of `lambda/inference`, imported as in the function, under their plain names.

Other assets have modules of the same names, so the names are given back once the modules are imported.
"""

import contextlib
import io
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[3] / "lambda" / "inference"
_NAMES = [path.stem for path in FOLDER.glob("*.py")]

_others = {name: sys.modules.pop(name) for name in _NAMES if name in sys.modules}
sys.path.insert(0, str(FOLDER))
try:
    with contextlib.redirect_stdout(io.StringIO()):  # without a model, `app` says so
        import batch
        import connection
        import contract
        import emf
        import manifest
        import model
        import ort
        import reference
        import restore
        import results
        import s3
        import score
        import services
        import shelf
        import sigv4

        import app
finally:
    sys.path.remove(str(FOLDER))
    for _name in _NAMES:
        sys.modules.pop(_name, None)
    sys.modules.update(_others)

__all__ = [
    "FOLDER",
    "app",
    "batch",
    "connection",
    "contract",
    "emf",
    "manifest",
    "model",
    "ort",
    "reference",
    "restore",
    "results",
    "s3",
    "score",
    "services",
    "shelf",
    "sigv4",
]
