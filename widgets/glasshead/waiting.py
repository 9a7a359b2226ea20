"""Messages of one comm while a cell runs: what a call needs that waits for the page's answer.

A kernel reads one message after the other: what the page sends while a cell runs waits until the
cell is done. A thread that waits for an answer therefore looks into its own queue, takes the
messages of its comm that it waits for, checks and delivers them, and hands all others back in the
order in which they came. Where comm messages come in a thread of their own (ipykernel 7 with a
front end that uses subshells), or there is no queue to look into, it only waits.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_DELIMITER = b"<IDS|MSG>"


class MessagesMeanwhile:
    """The queue of the thread that waits.

    Parameters
    ----------
    comm_id : str, optional
        The comm whose custom messages are wanted.
    receive : callable
        Gets content and buffers of each; tells whether it was what is waited for.
    """

    def __init__(
        self, comm_id: str | None, receive: Callable[[object, Sequence[Any]], bool]
    ) -> None:
        self._comm_id = comm_id
        self._receive = receive
        self._kernel = _kernel()
        self._stream, self._subshell = _stream_of_this_thread(self._kernel)
        self._others: list[Any] = []

    def hand_back(self) -> None:
        """Let the kernel have the messages that were others', in their order."""
        for frames in self._others:
            self._let_handle(frames)
        if self._stream is not None:
            # Reading the socket by hand has used up the signal that there is more to read.
            self._stream.flush()

    def take(self, done: threading.Event, seconds: float) -> None:
        """Wait for messages, or until `done`, for so many seconds at most."""
        if self._stream is None:
            done.wait(seconds)
            return
        socket = self._stream.socket
        if not socket.poll(0):
            done.wait(seconds)
        while not done.is_set() and socket.poll(0):
            frames = socket.recv_multipart(copy=False)
            if not self._deliver(frames):
                self._others.append(frames)

    def _deliver(self, frames: list[Any]) -> bool:
        """Deliver a message if it is one that is waited for."""
        raw = [bytes(frame.buffer) for frame in frames[:8]]
        if _DELIMITER not in raw or not self._may_be_ours(raw):
            return False
        session = self._kernel.session
        _, rest = session.feed_identities(frames, copy=False)
        message = session.deserialize(rest, content=True, copy=False)  # checks the signature
        data = message["content"]["data"]
        self._receive(data.get("content"), message["buffers"])
        return True

    def _may_be_ours(self, raw: list[bytes]) -> bool:
        """Look at a message without using it up: each may be read by the kernel once only."""
        start = raw.index(_DELIMITER)
        with suppress(ValueError, IndexError, AttributeError):
            header, content = json.loads(raw[start + 2]), json.loads(raw[start + 5])
            inner = content.get("data", {}).get("content", {})
            return (
                header.get("msg_type") == "comm_msg"
                and content.get("comm_id") == self._comm_id
                and content["data"].get("method") == "custom"
                and inner.get("kind") in ("drawing", "drawn")
            )
        return False

    def _let_handle(self, frames: list[Any]) -> None:
        """Let the kernel handle a message as if it came now."""
        if hasattr(self._kernel, "schedule_dispatch"):  # ipykernel 6
            self._kernel.schedule_dispatch(self._kernel.dispatch_shell, frames)
        else:
            loop = asyncio.get_running_loop()
            task = loop.create_task(self._kernel.shell_main(self._subshell, frames))
            _TASKS.add(task)
            task.add_done_callback(_TASKS.discard)


_TASKS: set[asyncio.Task[Any]] = set()
"""A loop holds its tasks only weakly."""


def _kernel() -> Any:
    """Return the kernel of this process, if there is one."""
    # Not imported: where IPython runs, it is there already.
    ipython = sys.modules.get("IPython")
    shell: Any = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None)


def _stream_of_this_thread(kernel: Any) -> tuple[Any, str | None]:
    """Return where this thread's messages come from, and which subshell it is.

    None for a thread that reads none itself: then others do, and waiting is enough.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return None, None
    shell = getattr(kernel, "shell_channel_thread", None)
    if shell is None:
        main = threading.current_thread() is threading.main_thread()
        return (getattr(kernel, "shell_stream", None) if main else None), None
    try:
        subshell = shell.manager.subshell_id_from_thread_id(threading.get_ident())
        pair = shell.manager.get_shell_channel_to_subshell_pair(subshell)
    except (AttributeError, RuntimeError, KeyError):
        return None, None
    return pair.to_stream, subshell
