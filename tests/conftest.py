"""The platform, synthesized once for the whole run and shared by all workers."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from settings.model import environments
from tests import surroundings
from tests.compliance import assembly
from tests.compliance.assembly import Assembly
from tests.compliance.templates import Platform

surroundings.settle_variables()
surroundings.settle_draws()

# Where the whole run is in the background, Ctrl-C is ignored, and whatever a test starts would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

Once = Callable[[str, Callable[[Path], None]], Path]
TWIN_SEED = "4711"


_SHARED = pytest.StashKey[Path]()
_ORDER = {folder: place for place, folder in enumerate(("platform", "local", "package", "compliance"))}


def pytest_configure(config: pytest.Config) -> None:
    """One folder for the whole run, which goes when the run is over: assemblies are large."""
    given = getattr(config, "workerinput", {}).get("shared_folder")
    config.stash[_SHARED] = Path(given or tempfile.mkdtemp(prefix="cdk-data-science-tests-"))
    # CDK leaves each assembly among the temporary files, a gigabyte a run: they go, too. pytest's own
    # folders stay where they are.
    tempfile.gettempdir()
    left = config.stash[_SHARED] / "left"
    left.mkdir(exist_ok=True)
    os.environ["TMPDIR"] = str(left)
    if config.getoption("--hypothesis-profile") != surroundings.SEARCH:
        surroundings.leave_constants_out()


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A module's tests run in one worker, since they share what it deploys or synthesizes; and what takes
    longest as one piece begins first: the deployed platform, then all else that is deployed or installed."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
    items.sort(key=lambda item: _ORDER.get(item.nodeid.split("/")[1], len(_ORDER)))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist which folder it is."""
    node.workerinput["shared_folder"] = str(node.config.stash[_SHARED])


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(config.stash[_SHARED], ignore_errors=True)


@pytest.fixture
def nobody() -> Iterator[int]:
    """A port of this machine at which nobody answers, and which nobody can take meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture(scope="session")
def once(pytestconfig: pytest.Config) -> Once:
    """Make a folder once for the whole run: the first worker that asks makes it, the others wait for it."""
    shared = pytestconfig.stash[_SHARED]

    def make(name: str, maker: Callable[[Path], None]) -> Path:
        folder, failure = shared / name, shared / f"{name}.failed"
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if failure.exists():
                pytest.fail(failure.read_text(encoding="utf-8"), pytrace=False)
            if not folder.exists():
                partial = shared / f"{name}.partial"
                try:
                    maker(partial)
                except BaseException as error:
                    failure.write_text(f"{name} could not be made: {error}", encoding="utf-8")
                    raise
                partial.rename(folder)
        return folder

    return make


@pytest.fixture(scope="session", params=environments())
def environment(request: pytest.FixtureRequest) -> str:
    """Each environment that has a settings file."""
    return str(request.param)


@pytest.fixture(scope="session")
def assemblies(once: Once) -> Path:
    """Each environment as `cdk synth` leaves it, all checks on; a failed synthesis fails the tests."""

    def synthesize(folder: Path) -> None:
        done = assembly.synthesize(folder, environments())
        assert done.returncode == 0, f"the environments cannot be synthesized:\n{done.stderr[-6000:]}"

    return once("assemblies", synthesize)


@pytest.fixture(scope="session")
def twins(once: Once) -> Path:
    """The same environments from a copy of the tree elsewhere, with other hash seeds, acknowledging nothing.

    Acknowledgements must not change what is deployed, so that the templates are the same; the reports of
    these tell what would be found without them.
    """

    def synthesize(folder: Path) -> None:
        root = folder.parent / "tree"
        copy_tree(root)
        done = assembly.synthesize(
            folder,
            environments(),
            before="cdk.Validations.acknowledge = lambda self, *acknowledgements: None",
            flags={"@aws-cdk/core:failSynthOnValidationErrors": False},
            root=root,
            hash_seed=TWIN_SEED,
        )
        assert done.returncode == 0, done.stderr[-6000:]

    return once("twins", synthesize)


@pytest.fixture(scope="session")
def synthesized(environment: str, assemblies: Path) -> Assembly:
    return Assembly(assemblies / environment)


@pytest.fixture(scope="session")
def twin(environment: str, twins: Path) -> Assembly:
    return Assembly(twins / environment)


@pytest.fixture(scope="session")
def platform(synthesized: Assembly) -> Platform:
    """The parsed templates of an environment."""
    return synthesized.platform


def copy_tree(root: Path) -> None:
    """Copy what the app needs to be synthesized to another folder."""
    leave_out = shutil.ignore_patterns("__pycache__", "*.pyc")
    for part in assembly.APP_PARTS:
        source = assembly.ROOT / part
        if source.is_dir():
            shutil.copytree(source, root / part, ignore=leave_out)
        elif source.exists():
            root.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, root / part)
