"""How far long work has come, and a way to stop it.

Work is told where to report by :func:`reporting`; whatever runs in loops wraps them in
:func:`steps`. Nothing has to be handed down through the functions between the two. An exception
that the callback raises ends the work right there, with everything left as it was found.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    Item = TypeVar("Item")


class Cancelled(Exception):  # noqa: N818  a request, not an error
    """Raise it in a progress callback to end the work that reports to it."""


@dataclass(frozen=True)
class Step:
    """How far a piece of work has come.

    Attributes
    ----------
    what : str
        What is being done.
    share : float or None
        Share that is done, 0 to 1; None where it is not known.
    """

    what: str
    share: float | None = None

    def __str__(self) -> str:
        return self.what if self.share is None else f"{self.what}: {self.share:.0%}"


_SECONDS_BETWEEN = 0.1

Progress = Callable[[Step], object]
"""Called with a :class:`Step`; ``progress=print`` will do."""


@dataclass(eq=False)
class _Loop:
    what: str
    total: int
    done: int = 0


@dataclass
class _Reporter:
    callback: Progress
    loops: list[_Loop] = field(default_factory=list["_Loop"])
    told: str = ""
    told_at: float = 0.0

    def tell(self) -> None:
        """Report the outermost loop; the loops inside say how far its present step has come."""
        share, of_one = 0.0, 1.0
        for loop in self.loops:
            share += of_one * loop.done / loop.total
            of_one /= loop.total
        step = Step(self.loops[0].what, share)
        # The same words over and over say nothing, but a wish to stop must not wait for new ones.
        now = time.monotonic()
        if str(step) == self.told and now - self.told_at < _SECONDS_BETWEEN:
            return
        self.told, self.told_at = str(step), now
        # What the callback asks for by itself reports to nobody.
        token = _reporter.set(None)
        try:
            self.callback(step)
        finally:
            _reporter.reset(token)


_reporter: ContextVar[_Reporter | None] = ContextVar("glasshead_progress", default=None)


@contextmanager
def reporting(callback: Progress | None) -> Generator[None, None, None]:
    """Let the work in this context report to a callback; None = to whoever listens already."""
    if callback is None:
        yield
        return
    if not callable(callback):  # pyright: ignore[reportUnnecessaryComparison]
        raise TypeError(f"progress is a function such as print, got {type(callback).__name__}.")
    token = _reporter.set(_Reporter(callback))
    try:
        yield
    finally:
        _reporter.reset(token)


def is_listened_to() -> bool:
    """Whether anybody wants to know how far work has come."""
    return _reporter.get() is not None


def steps(things: Iterable[Item], what: str, total: int) -> Generator[Item, None, None]:
    """Yield things one by one, and report before each how many of them are done."""
    reporter = _reporter.get()
    if reporter is None:
        yield from things
        return
    loop = _Loop(what, max(1, total))
    reporter.loops.append(loop)
    try:
        for thing in things:
            reporter.tell()
            yield thing
            loop.done += 1
        if reporter.loops == [loop]:
            reporter.tell()
    finally:
        reporter.loops.remove(loop)
