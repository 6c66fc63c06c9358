"""The modules of `lambda/pipeline`, imported as in the function, under their plain names.

Other assets have modules of the same names, so the names are given back once the modules are imported.
"""

import sys
from pathlib import Path

FOLDER = Path(__file__).parents[3] / "lambda" / "pipeline"
_TOP = {path.stem for path in FOLDER.iterdir() if path.suffix == ".py" or path.is_dir()}


def _loaded() -> list[str]:
    return [name for name in sys.modules if name.partition(".")[0] in _TOP]


_others = {name: sys.modules.pop(name) for name in _loaded()}
sys.path.insert(0, str(FOLDER))
try:
    import aliases
    import clients
    import csvdata
    import deploy
    import dqdl
    import dqdl.evaluation
    import dqdl.values
    import errors
    import evaluate
    import events
    import health
    import manifest
    import metrics
    import objects
    import package
    import pointer
    import prepare
    import quality_gate
    import quality_results
    import register
    import smoke
    import start
    import telemetry
    import versions
finally:
    sys.path.remove(str(FOLDER))
    for _name in _loaded():
        del sys.modules[_name]
    sys.modules.update(_others)

__all__ = [
    "FOLDER",
    "aliases",
    "clients",
    "csvdata",
    "deploy",
    "dqdl",
    "errors",
    "evaluate",
    "events",
    "health",
    "manifest",
    "metrics",
    "objects",
    "package",
    "pointer",
    "prepare",
    "quality_gate",
    "quality_results",
    "register",
    "smoke",
    "start",
    "telemetry",
    "versions",
]
