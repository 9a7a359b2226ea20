"""Parts of a corpus through Ray Data: each of its actors holds a lens, on a GPU of its own."""

from __future__ import annotations

import json
import pickle
import queue
import sys
import threading
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic

from safetensors.torch import load, save

from glasshead_backend.corpora.task import T

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from glasshead_backend.corpora.elsewhere import Elsewhere
    from glasshead_backend.corpora.parts import Part

_SECONDS = 0.2
_MOST_BLOCKS = 4096
"""Blocks that Ray Data hands out one by one; of a larger corpus each holds several parts."""


class RayData(Executor):
    """Workers of Ray Data: ``over_texts(..., executor=RayData(8, num_gpus=1))``.

    The parts of the corpus become a Ray dataset, and ``map_batches`` hands them to actors, each of
    which loads the model once. The texts are held by who asks (Ray's driver); what comes back are
    sums, and they are merged in the order of the parts.

    Parameters
    ----------
    n_workers : int
        Actors, each with a model of its own.
    **options
        Of an actor, for ``map_batches``: ``num_gpus=1``, ``num_cpus=4``, ``memory=``,
        ``resources=``, ``runtime_env=`` ...

    Examples
    --------
    >>> RayData(8, num_gpus=1)
    RayData(8, num_gpus=1)
    """

    def __init__(self, n_workers: int, **options: Any) -> None:
        if n_workers < 1:
            raise ValueError(f"n_workers {n_workers} is too small: at least 1 worker.")
        self.n_workers = n_workers
        self.options = options

    def __repr__(self) -> str:
        options = "".join(f", {name}={value!r}" for name, value in self.options.items())
        return f"RayData({self.n_workers}{options})"

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run something else, a single Ray task with the same options."""
        ray = _ray()
        task = ray.remote(fn)
        return (
            (task.options(**self.options) if self.options else task)
            .remote(*args, **kwargs)
            .future()
        )

    def rows(self, elsewhere: Elsewhere[Any], parts: list[Part]) -> Iterator[dict[str, Any]]:
        """Do the task with parts, and yield what came of them as it comes, by their numbers."""
        _ray()
        import ray.data  # noqa: PLC0415  an extra

        # As every executor does between processes that belong together.
        items = [{"number": part.number, "part": pickle.dumps(part)} for part in parts]
        dataset = ray.data.from_items(items, override_num_blocks=min(len(items), _MOST_BLOCKS))
        done = dataset.map_batches(
            CorpusWorker,
            fn_constructor_args=(elsewhere,),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=self.n_workers),
            **self.options,
        )
        yield from done.iter_rows()


def _ray() -> Any:
    try:
        import ray  # noqa: PLC0415  an extra
    except ImportError as error:
        raise ImportError('Ray is not installed: pip install "glasshead[ray]".') from error
    return ray


class CorpusWorker:
    """What ``map_batches`` keeps in each actor: a lens, and what is done with a part."""

    def __init__(self, elsewhere: Elsewhere[Any]) -> None:
        self._elsewhere = elsewhere

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Do the task with the parts of a batch; sums go back as tensors and JSON."""
        came = [self._of_part(pickle.loads(part)) for part in batch["part"]]  # noqa: S301
        tensors, states, errors = zip(*came, strict=True)
        return {
            "number": list(batch["number"]),
            "tensors": list(tensors),
            "state": list(states),
            "error": list(errors),
        }

    def _of_part(self, part: Part) -> tuple[bytes, str, bytes]:
        try:
            tensors, state = self._elsewhere.of_part(part).to_state()
        except Exception as error:  # noqa: BLE001  raised where the part is waited for
            return b"", "", pickle.dumps(error)
        return save({n: one.contiguous() for n, one in tensors.items()}), json.dumps(state), b""


@dataclass
class RayCrew(Generic[T]):
    """The actors of Ray Data, which are given the whole corpus at once."""

    executor: RayData
    elsewhere: Elsewhere[T]
    n_ahead: int = sys.maxsize
    _parts: list[Part] = field(default_factory=list["Part"])
    _came: dict[int, T] = field(default_factory=dict[int, T])
    _rows: queue.Queue[dict[str, Any] | Exception] = field(
        default_factory=queue.Queue["dict[str, Any] | Exception"]
    )
    _thread: threading.Thread | None = None
    _stopped: threading.Event = field(default_factory=threading.Event)

    def start(self, part: Part) -> Iterator[tuple[int, Callable[[], T] | None]]:
        """Take a part on."""
        self._parts.append(part)
        return self._awaited(part)

    def _awaited(self, part: Part) -> Iterator[tuple[int, Callable[[], T] | None]]:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
        while part.number not in self._came:
            try:
                row = self._rows.get(timeout=_SECONDS)
            except queue.Empty:
                yield 0, None
                continue
            if isinstance(row, Exception):
                raise row
            if row["error"]:
                raise pickle.loads(row["error"])  # noqa: S301  of a worker of our own
            self._came[int(row["number"])] = self.elsewhere.task.tally.from_state(
                load(row["tensors"]), json.loads(row["state"])
            )
        tally = self._came.pop(part.number)
        yield len(part.texts), lambda: tally

    def _run(self) -> None:
        try:
            for row in self.executor.rows(self.elsewhere, self._parts):
                if self._stopped.is_set():
                    return
                self._rows.put(row)
        except Exception as error:  # noqa: BLE001  raised where it is waited for
            self._rows.put(error)

    def stop(self) -> None:
        """Drop the parts that are still worked on: Ray ends them when the next one is done."""
        self._stopped.set()
