"""Long work of a view: beside the kernel's own thread, told how far it is, and ended on request."""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from typing import TYPE_CHECKING

from glasshead_backend import Cancelled
from glasshead_backend.progress import reporting

if TYPE_CHECKING:
    from collections.abc import Callable

    from glasshead_backend import Step

_SECONDS_BETWEEN = 0.2
"""Between two words about progress: each is a message to the browser."""

_SECONDS_AT_EXIT = 5

_running: weakref.WeakSet[LongWork] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    """End what runs when Python ends: torch aborts the process where a thread is in it then."""
    works = list(_running)
    for work in works:
        work.end()
    for work in works:
        work.join(_SECONDS_AT_EXIT)


class LongWork:
    """Runs one piece of work at a time in a thread of its own; newer work ends older.

    Comm messages are handled one after the other, by the thread that would otherwise do the work:
    only from a thread of its own can it be ended by a message.

    Parameters
    ----------
    tell : callable
        Gets the steps of the work, a few times a second.
    """

    def __init__(self, tell: Callable[[Step], None]) -> None:
        self._tell = tell
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()

    @property
    def is_running(self) -> bool:
        """Whether there is work that nobody has ended."""
        running = self._thread is not None and self._thread.is_alive()
        return running and not self._ended.is_set()

    def start(self, work: Callable[[Callable[[], bool]], None]) -> None:
        """End what runs, and start something else.

        Parameters
        ----------
        work : callable
            Gets a function that says whether it is still wanted.
        """
        self.end()
        ended = self._ended = threading.Event()
        last = 0.0

        def progress(step: Step) -> None:
            nonlocal last
            if ended.is_set():
                raise Cancelled
            if time.monotonic() - last >= _SECONDS_BETWEEN:
                last = time.monotonic()
                self._tell(step)

        def run() -> None:
            try:
                with reporting(progress):
                    work(lambda: not ended.is_set())
            except Cancelled:
                pass  # whoever ended it says what is shown now

        _running.add(self)
        self._thread = threading.Thread(target=run, name="glasshead-long-work", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """End the work; it stops at the next block of rows."""
        self._ended.set()

    def join(self, seconds: float | None = None) -> None:
        """Wait until the work is done or has ended, as long as it takes or some seconds."""
        if self._thread is not None:
            self._thread.join(seconds)
