"""The traces that a server keeps for its clients, as long as there is room and they are asked."""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glasshead_backend.memory import in_words
from glasshead_backend.served.errors import TraceDroppedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from glasshead_backend.tracing.run import Run

_REMEMBERED_REASONS = 10_000


@dataclass(eq=False)
class _Kept:
    run: Run
    client: str
    asked_at: float
    nbytes: int


class KeptTraces:
    """Traces by an id that cannot be guessed, each for the client that made it.

    The one that was not asked for longest goes first when all together take more than they may; the
    newest of each client stays. What has not been asked for some time goes as well. Whoever asks
    for a trace that went is told why.

    Parameters
    ----------
    memory : int
        Bytes that all of them may take together.
    idle : float
        Seconds after which a trace that nobody asks goes.
    clock : callable
        Seconds that never go back.
    """

    def __init__(
        self, memory: int, idle: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._memory, self._idle, self._clock = memory, idle, clock
        self._start = secrets.token_hex(4)
        self._kept: OrderedDict[str, _Kept] = OrderedDict()  # what was asked last stands last
        self._why: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes that all traces take."""
        with self._lock:
            return self._total()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, id_: str, client: str) -> Run:
        """Return a client's trace.

        Raises
        ------
        TraceDroppedError
            When it is not there any more, with the reason.
        """
        with self._lock:
            self._drop_idle()
            kept = self._kept.get(id_)
            if kept is None or kept.client != client:
                raise TraceDroppedError(f"{self._reason(id_)} Trace the text again.")
            kept.asked_at = self._clock()
            self._kept.move_to_end(id_)
            return kept.run

    def add(self, run: Run, client: str) -> str:
        """Keep a client's trace, and return its id."""
        id_ = f"{self._start}-{secrets.token_urlsafe(16)}"
        with self._lock:
            self._kept[id_] = _Kept(run, client, self._clock(), run.nbytes)
            self._make_room()
        return id_

    def answered(self, client: str) -> None:
        """Answers may have made a client's traces larger: see that all fit."""
        with self._lock:
            for kept in self._kept.values():
                if kept.client == client:
                    kept.nbytes = kept.run.nbytes
            self._make_room()

    def drop(self, ids: Iterable[str], client: str) -> None:
        """Let go of what a client needs no longer; what is not its own stays."""
        with self._lock:
            for id_ in ids:
                if id_ in self._kept and self._kept[id_].client == client:
                    self._let_go(id_, "This trace was closed.")

    def drop_idle(self) -> None:
        """Let go of what nobody asked for some time."""
        with self._lock:
            self._drop_idle()

    def _drop_idle(self) -> None:
        before = self._clock() - self._idle
        for id_ in [id_ for id_, kept in self._kept.items() if kept.asked_at < before]:
            idle = _in_minutes(self._idle)
            self._let_go(id_, f"The server dropped this trace after {idle} without a question.")

    def _make_room(self) -> None:
        n_of = Counter(kept.client for kept in self._kept.values())
        for id_, kept in [*self._kept.items()]:
            if self._total() <= self._memory:
                return
            if n_of[kept.client] > 1:
                n_of[kept.client] -= 1
                self._let_go(
                    id_,
                    "The server dropped this trace to make room: all that it keeps may take "
                    f"{in_words(self._memory)}.",
                )

    def _let_go(self, id_: str, why: str) -> None:
        kept = self._kept.pop(id_)
        # Who asks it right now holds the run, and ends in peace: a closed store keeps nothing.
        kept.run.store.close()
        self._why[id_] = why
        while len(self._why) > _REMEMBERED_REASONS:
            self._why.popitem(last=False)

    def _reason(self, id_: str) -> str:
        if id_.partition("-")[0] != self._start:
            return "The server was started anew, and its traces are gone."
        known = None if id_ in self._kept else self._why.get(id_)
        return known or "The server has no such trace of yours."

    def _total(self) -> int:
        return sum(kept.nbytes for kept in self._kept.values())


def _in_minutes(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes >= 1:
        return "1 minute" if minutes == 1 else f"{minutes} minutes"
    return f"{seconds:g} seconds"
