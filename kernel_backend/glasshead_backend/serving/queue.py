"""A queue that is fair to those who wait in it, whatever one of them asks."""

from __future__ import annotations

import logging
import threading
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class Job:
    """Something that a client wants done.

    Attributes
    ----------
    client : str
        Whose it is.
    task : Any
        What is to be done.
    kind : hashable, optional
        Jobs of the same kind may be done together; None = this one is done by itself.
    given_up : threading.Event
        Set when nobody waits for it any more.
    """

    client: str
    task: Any
    kind: Hashable = None
    given_up: threading.Event = field(default_factory=threading.Event, repr=False)


class FairQueue:
    """Clients take turns; a few threads do what their turn has come to.

    A client that asks a hundred things at once gets one done in each round, like everyone. It has
    several under way only while nobody else waits, and never all threads: whoever comes next is to
    be answered at once.

    Parameters
    ----------
    do : callable
        Does one job, or several of a kind together.
    n_threads : int
    most_together : int
        Most jobs that are done together, at most one of a client in each round.
    """

    def __init__(
        self, do: Callable[[Sequence[Job]], None], n_threads: int = 4, most_together: int = 8
    ) -> None:
        self._do, self._most_together = do, most_together
        self._most_of_one = max(1, n_threads - 1)
        self._waiting: OrderedDict[str, deque[Job]] = OrderedDict()
        self._under_way: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"glasshead-answers-{i}", daemon=True)
            for i in range(n_threads)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, job: Job) -> None:
        """Let a job wait for its client's turn."""
        with self._changed:
            self._waiting.setdefault(job.client, deque()).append(job)
            self._changed.notify()

    def give_up(self, job: Job) -> None:
        """Nobody waits for a job any more: it is not begun, and may end early where it is."""
        job.given_up.set()
        with self._changed:
            own = self._waiting.get(job.client)
            if own and job in own:
                own.remove(job)
                self._tidy(job.client)

    def close(self) -> None:
        """Take nothing more on; what is under way is done."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while jobs := self._next():
            try:
                self._do(jobs)
            except Exception:  # noqa: BLE001, PERF203  one mishap must not end the thread for all
                _log.exception("a question could not be answered")
            finally:
                with self._changed:
                    self._under_way.subtract(job.client for job in jobs)
                    self._under_way += Counter()  # forgets who has nothing under way
                    self._changed.notify_all()

    def _next(self) -> list[Job]:
        """Wait for whoever's turn it is; nothing once the queue is closed."""
        with self._changed:
            while not self._closed:
                if (client := self._whose_turn()) is not None:
                    return self._taken(client)
                self._changed.wait()
        return []

    def _whose_turn(self) -> str | None:
        """Who waited longest of those with the least under way."""
        if not self._waiting:
            return None
        # The order of the dict is that of the turns, and min takes the first of equals.
        client = min(self._waiting, key=self._under_way.__getitem__)
        return client if self._under_way[client] < self._most_of_one else None

    def _taken(self, client: str) -> list[Job]:
        """Take a client's next job, and those of others that can be done with it."""
        jobs = [self._pop(client)]
        kind = jobs[0].kind
        for other in [*self._waiting] if kind is not None else []:
            if len(jobs) == self._most_together:
                break
            if other != client and self._waiting[other][0].kind == kind:
                jobs.append(self._pop(other))
        self._under_way.update(job.client for job in jobs)
        return jobs

    def _pop(self, client: str) -> Job:
        job = self._waiting[client].popleft()
        self._waiting.move_to_end(client)
        self._tidy(client)
        return job

    def _tidy(self, client: str) -> None:
        if not self._waiting[client]:
            del self._waiting[client]
