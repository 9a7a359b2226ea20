"""What one client may ask of a server that others use too."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glasshead_backend.memory import in_words

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Limits:
    """How much a server takes on.

    Attributes
    ----------
    tokens : int
        Most tokens of a text, of a source and its target together, or of what is to be generated
        with its prompt.
    memory : int
        Bytes that all kept traces of a model may take together.
    idle : float
        Seconds after which a trace that nobody asks goes.
    rate : float
        Questions a second that a client may ask in the long run.
    burst : int
        Questions that it may ask at once before that counts.
    patience : float
        Most seconds that a question over the rate is held back; what would wait longer is refused.
    open : int
        Most questions of one client that are under way or wait.
    waiting : int
        Most questions of all clients that are under way or wait.
    clients : int
        Most clients; one that asks nothing for `idle` seconds does not count.
    body : int
        Most bytes of a question.
    seconds : float
        Most seconds that a question is worked on.
    """

    tokens: int = 2048
    memory: int = 4 << 30
    idle: float = 30 * 60
    rate: float = 20.0
    burst: int = 100
    patience: float = 10.0
    open: int = 32
    waiting: int = 1000
    clients: int = 200
    body: int = 4 << 20
    seconds: float = 10 * 60


class RefusedError(Exception):
    """A question is refused before any work is done.

    Attributes
    ----------
    status : int
        What HTTP calls it.
    seconds : float or None
        When it is worth while to ask again.
    """

    def __init__(self, status: int, words: str, seconds: float | None = None) -> None:
        super().__init__(words)
        self.status, self.seconds = status, seconds


class _Bucket:
    """Tokens of a bucket that fills at a rate; it may be emptied below zero, which takes time."""

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self._rate, self._burst = rate, burst
        self._level, self.seen = float(burst), now

    def wait_of_next(self, now: float, patience: float) -> float | None:
        """Seconds until one more may pass; None when that is more than somebody waits."""
        self._level = min(self._burst, self._level + (now - self.seen) * self._rate)
        self.seen = now
        wait = max(0.0, (1 - self._level) / self._rate)
        if wait > patience:
            return None
        self._level -= 1
        return wait


class Turnstile:
    """Counts what every client asks, and refuses what is too much.

    Parameters
    ----------
    limits : Limits
    clock : callable
        Seconds that never go back.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._open: Counter[str] = Counter()

    def enter(self, client: str, n_bytes: int) -> float:
        """Let one question in, and return the seconds that it is held back.

        Raises
        ------
        RefusedError
            When it is too large, too many are under way, or too many came at once.
        """
        limits, now = self._limits, self._clock()
        self.require_size(n_bytes)
        if self._open.total() >= limits.waiting:
            raise RefusedError(
                503, f"The server is full: {limits.waiting:,} questions wait. Ask again soon.", 5.0
            )
        if self._open[client] >= limits.open:
            raise RefusedError(
                429,
                f"{limits.open} questions of yours wait for their answers. Let some be answered "
                "before you ask more.",
                1.0,
            )
        wait = self._bucket(client, now).wait_of_next(now, limits.patience)
        if wait is None:
            raise RefusedError(
                429,
                f"You ask more than the {limits.rate:g} questions a second that this server "
                f"answers each of its users. Wait {limits.patience:g} seconds.",
                limits.patience,
            )
        self._open[client] += 1
        return wait

    def leave(self, client: str) -> None:
        """One of its questions is answered, or given up."""
        self._open[client] -= 1
        if self._open[client] <= 0:
            del self._open[client]

    def require_size(self, n_bytes: int) -> None:
        """Refuse a question that is too large."""
        if n_bytes > self._limits.body:
            raise RefusedError(
                413,
                f"The question takes {in_words(n_bytes)}; this server takes questions of at most "
                f"{in_words(self._limits.body)}.",
            )

    def _bucket(self, client: str, now: float) -> _Bucket:
        for name in [one for one, own in self._buckets.items() if self._is_gone(one, own, now)]:
            del self._buckets[name]
        if client not in self._buckets:
            if len(self._buckets) >= self._limits.clients:
                raise RefusedError(
                    503,
                    f"The server has all the {self._limits.clients:,} users that it takes. "
                    "One who asks nothing for a while makes room.",
                    60.0,
                )
            self._buckets[client] = _Bucket(self._limits.rate, self._limits.burst, now)
        return self._buckets[client]

    def _is_gone(self, client: str, bucket: _Bucket, now: float) -> bool:
        return now - bucket.seen > self._limits.idle and client not in self._open
