"""Torch's intra-op threads while an answer is computed."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Generator


@contextlib.contextmanager
def undisturbed(device: torch.device) -> Generator[None, None, None]:
    """Run the work of an answer on one intra-op thread and without autocast; restored after.

    With several threads on a busy machine small matrix products get 10-20 times slower (barrier
    waits), and autocast would round float32 numbers.
    """
    with torch.autocast(device.type, enabled=False), _one_thread():
        yield


@contextlib.contextmanager
def _one_thread() -> Generator[None, None, None]:
    """Set torch's number of threads, which every Python thread has of its own, for a while."""
    global _n_inside, _usual  # noqa: PLW0603  what new threads start with is a process-wide setting
    with _threads_lock:
        found = torch.get_num_threads()
        if _n_inside == 0:
            _usual = found
        elif found == 1 and not getattr(_own, "depth", 0):
            # A thread that was born while another one is inside starts with that one's setting.
            found = _usual
        _n_inside += 1
        _own.depth = getattr(_own, "depth", 0) + 1
        if found != 1:
            torch.set_num_threads(1)
    try:
        yield
    finally:
        with _threads_lock:
            _n_inside -= 1
            _own.depth -= 1
            if found != 1:
                torch.set_num_threads(found)


_threads_lock = threading.Lock()
_own = threading.local()
_n_inside = 0
_usual = 1
