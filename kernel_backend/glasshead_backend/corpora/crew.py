"""Who works on the parts of a corpus: this thread, threads that share the lens, other processes."""

from __future__ import annotations

import os
import threading
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Protocol

import torch

from glasshead_backend.corpora.elsewhere import Elsewhere, of_part_elsewhere
from glasshead_backend.corpora.task import Growing, T, T_co
from glasshead_backend.progress import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from concurrent.futures import Future

    from glasshead_backend.corpora.elsewhere import MakeLens
    from glasshead_backend.corpora.parts import Part
    from glasshead_backend.corpora.task import Task
    from glasshead_backend.lens import Lens

_AHEAD = 2
"""Parts in flight for each worker: the next one waits for whoever is done."""

_SECONDS = 0.2
"""After which somebody who wants to stop is asked again, though no part is done."""


class Crew(Protocol[T_co]):
    """Who works on parts."""

    @property
    def n_ahead(self) -> int:
        """How many parts are taken on before the first one is waited for."""
        ...

    def start(self, part: Part) -> Iterator[tuple[int, Callable[[], T_co] | None]]:
        """Take a part on.

        Yields
        ------
        int
            How many of its texts are done.
        callable or None
            Returns what came of them, the last time of all; None = not known yet.
        """
        ...

    def stop(self) -> None:
        """Drop the parts that are still worked on."""
        ...


def crew_of(
    task: Task[T], lens: Lens, executor: Executor | None, make_lens: MakeLens | None
) -> Crew[T]:
    """Return who works: see :func:`~glasshead_backend.corpora.map_reduce.map_reduce`."""
    if executor is None:
        return Here(task, lens)
    if not isinstance(executor, Executor):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(
            "executor is a concurrent.futures.Executor, e.g. ProcessPoolExecutor(4) or Dask's "
            f"client.get_executor(); got {type(executor).__name__}."
        )
    if isinstance(executor, ThreadPoolExecutor):
        _ = lens.anatomy  # found out once, not by every thread
        stopped = threading.Event()
        work = partial(_in_a_thread, task, lens, stopped, torch.get_num_threads())
        return Pool(executor, work, stopped)
    elsewhere = Elsewhere.of(task, lens, make_lens)
    if isinstance(executor, ProcessPoolExecutor):
        elsewhere.require_picklable()
    return Pool(executor, partial(of_part_elsewhere, elsewhere))


def growing(task: Task[T], lens: Lens, part: Part) -> Iterator[tuple[int, Callable[[], T]]]:
    """Do a task bit by bit where it can, else at once."""
    if isinstance(task, Growing):
        yield from task.growing(lens, part)
    else:
        tally = task.of_part(lens, part)
        yield len(part.texts), lambda: tally


@dataclass
class Here(Generic[T]):
    """Nobody but this thread: a part is worked on while it is waited for."""

    task: Task[T]
    lens: Lens
    n_ahead: int = 0

    def start(self, part: Part) -> Iterator[tuple[int, Callable[[], T] | None]]:
        """Take a part on."""
        return growing(self.task, self.lens, part)

    def stop(self) -> None:
        """Nothing goes on while nobody waits."""


@dataclass
class Pool(Generic[T]):
    """The workers of an executor.

    Attributes
    ----------
    executor : Executor
    work : callable
        What they do with a part.
    stopped : threading.Event, optional
        Tells workers of this process to stop; they are waited for, since they use the lens.
    """

    executor: Executor
    work: Callable[[Part], T]
    stopped: threading.Event | None = None
    _flying: list[Future[T]] = field(default_factory=list["Future[T]"])

    @property
    def n_ahead(self) -> int:
        """How many parts are taken on before the first one is waited for."""
        return _AHEAD * _n_workers(self.executor) - 1

    def start(self, part: Part) -> Iterator[tuple[int, Callable[[], T] | None]]:
        """Take a part on."""
        with _a_dead_worker_told():
            future = self.executor.submit(self.work, part)
        self._flying.append(future)
        return self._awaited(future, len(part.texts))

    def _awaited(self, future: Future[T], n: int) -> Iterator[tuple[int, Callable[[], T] | None]]:
        while not wait([future], timeout=_SECONDS).done:
            yield 0, None
        with _a_dead_worker_told():
            tally = future.result()
        self._flying.remove(future)
        yield n, lambda: tally

    def stop(self) -> None:
        """Drop the parts that are still worked on."""
        for future in self._flying:
            future.cancel()
        if self.stopped is not None:
            self.stopped.set()
            wait([future for future in self._flying if not future.cancelled()])


def _in_a_thread(
    task: Task[T], lens: Lens, stopped: threading.Event, n_threads: int, part: Part
) -> T:
    if torch.get_num_threads() != n_threads:
        torch.set_num_threads(n_threads)
    found: list[Callable[[], T]] = []
    for _, tally in growing(task, lens, part):
        found[:] = [tally]
        if stopped.is_set():
            raise Cancelled
    return found[0]()


def _n_workers(executor: Any) -> int:
    """How many workers an executor has: the standard library's do not say it publicly."""
    if isinstance(known := getattr(executor, "_max_workers", None), int):
        return known
    with suppress(AttributeError):
        return max(1, sum(executor._client.nthreads().values()))  # noqa: SLF001  Dask's
    return os.cpu_count() or 1


@contextmanager
def _a_dead_worker_told() -> Generator[None, None, None]:
    """Say what to do when a worker process has ended by itself."""
    try:
        yield
    except Exception as error:
        # Dask's own word for it is not ours to import.
        if not isinstance(error, BrokenExecutor) and type(error).__name__ != "KilledWorker":
            raise
        raise RuntimeError(
            f"A worker ended by itself ({error}). Mostly its memory was too small, or its model "
            "could not be loaded: take fewer workers or a smaller batch_size. Parts that were done "
            "are in the checkpoint, if there is one: the same call goes on from there."
        ) from error
