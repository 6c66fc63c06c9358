"""mypy --strict over everything that ships or runs.

    python -m tools.type_check

aws_cdk has 340 services in 170 MB of source, and mypy would read them all, since the package names them.
Those that nothing here uses, not even in the signature of something used, are left out: that halves the
time of a first run, and changes no type that is checked.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ("constructs/cdk_data_science", "stacks", "settings", "app.py", "tools", "examples", "benchmarks")
_SERVICE = re.compile(r"\baws_(?!cdk\b)[a-z0-9_]+")
# What a service's module imports for its annotations, below `if TYPE_CHECKING`.
_ANNOTATED_WITH = re.compile(r"^    import aws_cdk\.(aws_[a-z0-9_]+) as _", re.MULTILINE)


def main() -> int:
    config = ROOT / ".mypy_cache" / "types.toml"
    config.parent.mkdir(exist_ok=True)
    config.write_text(configuration(), encoding="utf-8")
    check = (sys.executable, "-m", "mypy", "--config-file", str(config))
    shipped = _run(*check, *SHIPPED)
    # Each is an import root of its own.
    assets = [_run(*check, str(asset), MYPYPATH=str(asset)) for asset in sorted((ROOT / "lambda").glob("*/"))]
    python = str(ROOT / "local" / ".venv" / "bin" / "python")
    local = _run(sys.executable, "-m", "mypy", "--python-executable", python, "local_aws", folder="local")
    return max(shipped, local, *assets)


def configuration() -> str:
    """That of the project, without the services that are not used."""
    names = ", ".join(f'"aws_cdk.{service}.*"' for service in sorted(unused_services()))
    skipped = f'[[tool.mypy.overrides]]\nmodule = [{names}]\nfollow_imports = "skip"\n'
    return f"{(ROOT / 'pyproject.toml').read_text(encoding='utf-8')}\n{skipped}"


def unused_services() -> set[str]:
    """The services of aws_cdk that no source names, and no signature of one that a source names."""
    services = _services()
    sources = (path.read_text(encoding="utf-8") for part in SHIPPED for path in _sources(ROOT / part))
    found = set[str]()
    new = {name for text in sources for name in _SERVICE.findall(text)} & services.keys()
    while new:
        found |= new
        new = set(_annotations(services[name] for name in new)) & services.keys() - found
    return set(services) - found


def _services() -> Mapping[str, Path]:
    spec = find_spec("aws_cdk")
    assert spec is not None
    assert spec.origin is not None
    return {path.parent.name: path for path in Path(spec.origin).parent.glob("aws_*/__init__.py")}


def _sources(part: Path) -> Iterable[Path]:
    return part.rglob("*.py") if part.is_dir() else [part]


def _annotations(modules: Iterable[Path]) -> Iterable[str]:
    for module in modules:
        yield from _ANNOTATED_WITH.findall(module.read_text(encoding="utf-8"))


def _run(*command: str, folder: str = ".", **variables: str) -> int:
    return subprocess.run(command, cwd=ROOT / folder, env=os.environ | variables, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
