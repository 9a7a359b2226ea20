"""What an action on a page costs: the page's main thread, and all processes of the browser.

All times are CPU times, so that they hold on a busy machine: tasks of the main thread count with
the thread time that DevTools' trace has of them, processes with their clocks.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from playwright.sync_api import Browser, Page

REPETITIONS = 20
LOOK, LOOKS = 0.1, 2
"""Seconds between two looks at whether the browser is at rest, and how often it must be."""
REST = 0.15
"""A browser that uses less than this share of a core is at rest."""
CATEGORIES = ["blink.user_timing", "disabled-by-default-devtools.timeline"]
MARK = "benchmark:"

COUNT_PAINTS = """() => {
  const counts = new Map();
  const clear = CanvasRenderingContext2D.prototype.clearRect;
  CanvasRenderingContext2D.prototype.clearRect = function (x, y, width, height) {
    const {canvas} = this;
    if (canvas.isConnected && x === 0 && y === 0 && width >= canvas.clientWidth - 1) {
      counts.set(canvas, (counts.get(canvas) ?? 0) + 1);
    }
    return clear.call(this, x, y, width, height);
  };
  window.benchmarkPaints = () => {
    const found = [...counts].filter(([canvas]) => canvas.clientWidth > 100);
    counts.clear();
    return Object.fromEntries(found.map(([canvas, times]) => [canvas.className || "base", times]));
  };
}"""


@dataclass(frozen=True)
class Cost:
    """Medians of one action's repetitions."""

    main: float
    """CPU milliseconds of the page's main thread."""
    longest: float
    """CPU milliseconds of the longest task in any repetition."""
    processes: float
    """CPU milliseconds of all processes of the browser."""


def browser_seconds() -> float:
    """CPU seconds that the browser's processes, children of this one, have used so far."""
    return sum(map(_process_seconds, _browser_processes()))


def rest(page: Page, *, at_most: float = 300.0) -> None:
    """Wait until two frames have been shown and the browser has nothing more to do.

    It must be at rest twice in a row: on a busy machine it may just not have been given a core.
    """
    page.evaluate("() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))")
    start = time.monotonic()
    used = browser_seconds()
    idle = 0
    while idle < LOOKS and (now := time.monotonic()) - start < at_most:
        time.sleep(LOOK)
        before, used = used, browser_seconds()
        idle = idle + 1 if used - before < REST * (time.monotonic() - now) else 0


def measure(page: Page, actions: Iterable[Callable[[], None]]) -> Cost:
    """Run actions of one kind, half of them untraced, since tracing uses the processes too.

    Parameters
    ----------
    page : Page
        Where they happen.
    actions : iterable of callables
        ``2 * REPETITIONS`` are taken.
    """
    remaining = iter(actions)
    rest(page)
    used = [_used_by(page, action) for action in itertools.islice(remaining, REPETITIONS)]
    assert page.context.browser is not None
    tasks = _traced(page.context.browser, page, itertools.islice(remaining, REPETITIONS))
    return Cost(
        main=statistics.median(sum(each) for each in tasks),
        longest=max(max(each, default=0.0) for each in tasks),
        processes=statistics.median(used),
    )


def paints_of(page: Page, action: Callable[[], None]) -> dict[str, int]:
    """How often an action clears each large canvas, by the canvas's class.

    The page must have run :data:`COUNT_PAINTS`.
    """
    page.evaluate("() => window.benchmarkPaints()")
    action()
    rest(page)
    return page.evaluate("() => window.benchmarkPaints()")


def main_thread_ms(page: Page, action: Callable[[], None]) -> float:
    """CPU milliseconds of the page's main thread from an action's start until it is at rest."""
    assert page.context.browser is not None
    return sum(_traced(page.context.browser, page, [action])[0])


def _used_by(page: Page, action: Callable[[], None]) -> float:
    before = browser_seconds()
    action()
    rest(page)
    return 1000 * (browser_seconds() - before)


def _traced(
    browser: Browser, page: Page, actions: Iterable[Callable[[], None]]
) -> list[list[float]]:
    """Milliseconds of each task of the main thread, for each action."""
    browser.start_tracing(page=page, categories=CATEGORIES)
    count = 0
    for count, action in enumerate(actions, 1):
        page.evaluate("(name) => performance.mark(name)", f"{MARK}{count}")
        action()
        rest(page)
    page.evaluate("(name) => performance.mark(name)", f"{MARK}end")
    events: list[dict[str, Any]] = json.loads(browser.stop_tracing())["traceEvents"]
    marks = [event for event in events if event["name"].startswith(MARK)]
    assert len(marks) == count + 1, f"{len(marks)} marks for {count} actions"
    main = (marks[0]["pid"], marks[0]["tid"])
    tasks = [e for e in events if e["name"] == "RunTask" and (e["pid"], e["tid"]) == main]
    spans = itertools.pairwise(sorted(mark["ts"] for mark in marks))
    return [
        [task.get("tdur", 0) / 1000 for task in tasks if start <= task["ts"] < end]
        for start, end in spans
    ]


def _browser_processes() -> Iterator[psutil.Process]:
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "chrom" in process.name().lower():
                yield process


def _process_seconds(process: psutil.Process) -> float:
    """CPU seconds of a process: to the nanosecond on Linux, where psutil counts hundredths."""
    if psutil.LINUX:
        clock = (~process.pid << 3) | 2  # clock_getcpuclockid(3) of any process
        with contextlib.suppress(OSError):
            return time.clock_gettime(clock)
    with contextlib.suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return times.user + times.system
    return 0.0
