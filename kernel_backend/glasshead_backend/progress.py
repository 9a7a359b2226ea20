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
from typing import TYPE_CHECKING, Any, TypeVar

from tqdm.auto import tqdm

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from typing_extensions import Self

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
    partial : callable
        Returns the result so far, where the work can show one; else None.
    """

    what: str
    share: float | None = None
    partial: Callable[[], object] = field(default=lambda: None, repr=False, compare=False)

    def __str__(self) -> str:
        return self.what if self.share is None else f"{self.what}: {self.share:.0%}"


_SECONDS_BETWEEN = 0.1

Progress = Callable[[Step], object]
"""Called with a :class:`Step`; ``progress=print`` will do."""


@dataclass(eq=False)
class _Loop:
    what: str | Callable[[int], str]
    total: int | None
    partial: Callable[[], object] | None = None
    done: float = 0
    shown: float = 0.0


@dataclass
class _Reporter:
    callback: Progress
    loops: list[_Loop] = field(default_factory=list["_Loop"])
    told: str = ""
    told_at: float = 0.0

    def tell(self) -> None:
        """Report the outermost loop; the loops inside say how far its present step has come."""
        share: float | None = 0.0
        of_one = 1.0
        for loop in self.loops:
            if loop.total is None:
                share = None
                break
            share += of_one * loop.done / loop.total
            of_one /= loop.total
        # The outermost result is the one that was asked for, once something has come of it.
        begun = (loop.partial for loop in self.loops if loop.partial and loop.done)
        partial = next(begun, lambda: None)
        first = self.loops[0]
        # A loop that prepares several steps at once ends in the first of them: no way back.
        if share is not None:
            share = first.shown = max(first.shown, share)
        what = first.what if isinstance(first.what, str) else first.what(int(first.done))
        step = Step(what, share, partial)
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


class _Bar:
    """A progress bar of tqdm, made when there is something to show."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, step: Step) -> None:
        """Bring the bar up to date."""
        if self._bar is None:
            known = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
            form = "{desc} [{elapsed}]" if step.share is None else known
            self._bar = tqdm(total=1.0, bar_format=form)
        self._bar.set_description_str(step.what, refresh=False)
        self._bar.n = step.share or 0.0
        self._bar.refresh()


_reporter: ContextVar[_Reporter | None] = ContextVar("glasshead_progress", default=None)


@contextmanager
def reporting(callback: Progress | bool | None) -> Generator[None, None, None]:
    """Let the work in this context report to a callback.

    None (or False) = to whoever listens already; True = to a bar of tqdm, in the terminal or in the
    notebook.
    """
    if callback is None or callback is False:
        yield
        return
    if callback is True:
        with _Bar() as bar, reporting(bar.show):
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


def pass_on(step: Step) -> None:
    """Report how far work has come that is done elsewhere, as a part of what is done here."""
    reporter = _reporter.get()
    if reporter is None:
        return
    loop = _Loop(step.what, None if step.share is None else 1, done=step.share or 0.0)
    reporter.loops.append(loop)
    try:
        reporter.tell()
    finally:
        reporter.loops.remove(loop)


def steps(
    things: Iterable[Item],
    what: str | Callable[[int], str],
    total: int | None,
    partial: Callable[[], object] | None = None,
) -> Generator[Item, None, None]:
    """Yield things one by one, and report before each how many of them are done.

    Parameters
    ----------
    things : iterable
    what : str or callable
        What is being done, in words; or makes these words of the number of things done.
    total : int or None
        How many things there are; None = nobody knows.
    partial : callable, optional
        Returns what the things that are done have come to, see :class:`Step`.
    """
    reporter = _reporter.get()
    if reporter is None:
        yield from things
        return
    loop = _Loop(what, None if total is None else max(1, total), partial)
    reporter.loops.append(loop)
    try:
        for thing in things:
            reporter.tell()
            yield thing
            loop.done += 1
        if reporter.loops == [loop] and total is not None:
            reporter.tell()
    finally:
        reporter.loops.remove(loop)


def count(
    done: Iterable[int],
    what: Callable[[int], str],
    total: int | None,
    partial: Callable[[], object] | None = None,
) -> None:
    """Let work go on that says by itself how many more things are done, and report it each time.

    Parameters
    ----------
    done : iterable of int
        How many more; 0 = it is still at work.
    what, total, partial
        As for :func:`steps`.
    """
    reporter = _reporter.get()
    if reporter is None:
        for _ in done:
            pass
        return
    loop = _Loop(what, None if total is None else max(1, total), partial)
    reporter.loops.append(loop)
    try:
        reporter.tell()
        for more in done:
            loop.done += more
            reporter.tell()
    finally:
        reporter.loops.remove(loop)
