"""The models of this process: each loaded once, looked for again, and put away when there are too many."""

import os
import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

import model as models
from emf import log
from model import DEFAULT_MAX_ROWS, Location, Model, ModelUnavailable, NoModel, UnknownModel, positive
from s3 import Client

DEFAULT_MAX_MODELS = 4
_FIRST_BACKOFF_SECONDS = 1.0
_LONGEST_BACKOFF_SECONDS = 60.0
_NEVER = float("inf")


class Keeper:
    """Keeps one model. A load that fails is remembered, and tried again after a pause.

    A model that a pointer names can be looked for again every `MODEL_REFRESH_SECONDS`: the request that
    finds another one waits until it is loaded, and every request after it has it. What cannot be loaded
    replaces nothing.
    """

    def __init__(
        self,
        environment: "os._Environ[str] | dict[str, str]" = os.environ,
        *,
        name: str | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._environment = environment
        self._name = name
        self._now = now
        self._lock = Lock()
        self._model: Model | None = None
        self._failure: NoModel | ModelUnavailable | None = None
        self._backoff = _FIRST_BACKOFF_SECONDS
        self._retry_at = 0.0
        self._look_again_at = _NEVER
        self.load_ms: float | None = None
        self.loads = 0
        self.failures = 0
        # Both, as they were when somebody last told of them.
        self.told = (0, 0)

    def get(self) -> Model:
        """Return the model, loading it if need be.

        Raises:
            NoModel, ModelUnavailable: it is not there now.
        """
        model = self._model
        if model is not None and self._now() < self._look_again_at:
            return model
        with self._lock:
            if self._model is None:
                self._try_to_load()
            elif self._now() >= self._look_again_at:
                self._look_again()
            if self._model is not None:
                return self._model
        raise self._failure or NoModel("no model")

    @property
    def is_there(self) -> bool:
        """Whether there is a model."""
        return self._model is not None

    def forget_time(self) -> None:
        """Look for the model again with the next request: the clock was stopped, for any time."""
        self._retry_at = 0.0
        if self._model is not None and not models.is_pinned(self._environment, self._name):
            self._look_again_at = 0.0

    def _try_to_load(self) -> None:
        if self._failure is not None and self._now() < self._retry_at:
            return
        client = Client(self._environment)
        try:
            self._load(models.find(self._environment, client, self._name), client)
        except NoModel as error:
            self._remember(error)
        except Exception as error:  # noqa: BLE001 (whatever it is, the function answers 503 and lives)
            self._remember(ModelUnavailable(f"{type(error).__name__}: {error}"))
        else:
            self._failure = None
            self._backoff = _FIRST_BACKOFF_SECONDS
        finally:
            client.close()

    def _look_again(self) -> None:
        """Take over what the pointer names now; keep what is there if that cannot be loaded."""
        assert self._model is not None
        client = Client(self._environment)
        try:
            self._schedule()
            location = models.find(self._environment, client, self._name)
            if location.sha256 != self._model.sha256:
                before = self._model.sha256
                self._load(location, client)
                log("INFO", "ModelReplaced", f"{before} by {location.sha256}", model=self._name)
        except Exception as error:  # noqa: BLE001 (the model that is there goes on answering)
            self.failures += 1
            self._look_again_at = min(self._look_again_at, self._now() + _LONGEST_BACKOFF_SECONDS)
            log("ERROR", "ModelNotReplaced", f"{type(error).__name__}: {error}", model=self._name)
        finally:
            client.close()

    def _load(self, location: Location, client: Client) -> None:
        started = time.perf_counter()
        memory = self._environment.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
        self._model = models.load(
            location,
            client,
            max_rows=positive(self._environment, "MAX_ROWS", DEFAULT_MAX_ROWS),
            threads=positive(self._environment, "OMP_NUM_THREADS", 1),
            memory_mb=int(memory) if memory.isdecimal() else None,
        )
        self.load_ms = (time.perf_counter() - started) * 1000
        self.loads += 1
        self._schedule()

    def _schedule(self) -> None:
        seconds = self._environment.get("MODEL_REFRESH_SECONDS")
        if not seconds or models.is_pinned(self._environment, self._name):
            self._look_again_at = _NEVER
        else:
            self._look_again_at = self._now() + positive(self._environment, "MODEL_REFRESH_SECONDS", 60)

    def _remember(self, failure: NoModel | ModelUnavailable) -> None:
        self._failure = failure
        self.failures += 1
        self._retry_at = self._now() + self._backoff
        self._backoff = min(self._backoff * 2, _LONGEST_BACKOFF_SECONDS)


class Shelf:
    """The version's own model, and those that are asked for by name: as many as there is room for.

    While one more is loaded, there is one more than that. One that cannot be loaded puts no other away: a
    caller who makes up versions takes no room.
    """

    def __init__(self, environment: "os._Environ[str] | dict[str, str]" = os.environ) -> None:
        self._environment = environment
        self.main = Keeper(environment)
        self._names = [name for name in environment.get("MODEL_NAMES", "").split(",") if name]
        self._named: OrderedDict[str, Keeper] = OrderedDict()

    def get(self, name: str | None = None) -> Model:
        """Return a model, loading it if need be; the one that was not asked for longest makes room.

        Raises:
            UnknownModel: there is none of this name.
            NoModel, ModelUnavailable: it is not there now.
        """
        if name is None:
            return self.main.get()
        keeper = self._named.get(name)
        if keeper is not None and keeper.is_there:
            self._named.move_to_end(name)
            return keeper.get()
        room = positive(self._environment, "MAX_MODELS", DEFAULT_MAX_MODELS)
        if keeper is None:
            models.check_name(name, self._names)
            self._put_away(room, [other for other, kept in self._named.items() if not kept.is_there])
            keeper = self._named[name] = Keeper(self._environment, name=name)
        self._named.move_to_end(name)
        found = keeper.get()
        self._put_away(room + 1, [other for other in self._named if other != name])
        return found

    def _put_away(self, most: int, others: list[str]) -> None:
        """Forget these, the one that was not asked for longest first, until there are fewer than so many."""
        for other in others:
            if len(self._named) < most:
                return
            del self._named[other]

    @property
    def keepers(self) -> list[Keeper]:
        """Those that there are now, the version's own first."""
        return [self.main, *self._named.values()]

    def forget_time(self) -> None:
        """What was known before the sandbox was stopped may be old."""
        for keeper in self.keepers:
            keeper.forget_time()


__all__ = ["DEFAULT_MAX_MODELS", "Keeper", "Shelf", "UnknownModel"]
