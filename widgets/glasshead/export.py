"""Pictures of views as files: the page that shows a view draws it, and sends the bytes.

``{kind: "draw", id, format, scale, theme, transparent}`` goes to the page, again and again until
``{kind: "drawing", id, by}`` comes from a display of the view. The file follows in parts,
``{kind: "drawn", id, by, part, parts}`` with a buffer each, or an ``error`` in words. Must be kept
in step with ``js/shared/host/pictures.ts``.

A cell that asks waits for messages that the kernel would only read after the cell. ipykernel 7 with
JupyterLab 4.4 or newer reads them in another thread. Everywhere else the waiting cell itself takes
the answers out of the kernel's queue, and leaves all other messages there in their order: see
:mod:`glasshead.waiting`.
"""

from __future__ import annotations

import itertools
import threading
import time
from typing import TYPE_CHECKING, Any, Literal

from glasshead.values import required_flag, required_number
from glasshead.waiting import MessagesMeanwhile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Format = Literal["svg", "png"]
Theme = Literal["light", "dark"]

_PATIENCE = 10.0
"""Seconds until no page is taken to show the view."""
_POSTER_SECONDS = 2.0
"""Seconds that a saved page waits for a picture of itself."""
_AGAIN = 0.5
"""Seconds between two calls for a page: one that is being set up does not listen yet."""
_LARGEST_SCALE = 10

_ids = itertools.count()


class NobodyDrawsError(RuntimeError):
    """No page shows the view, so that there is nobody to draw its picture."""


class Drawing:
    """One picture that a page has been asked for.

    Parameters
    ----------
    wish : dict
        What goes to the page.
    on_done : callable
        Gets the bytes, or what went wrong, in whichever thread they come.
    """

    def __init__(self, wish: dict[str, Any], on_done: Callable[[bytes | Exception], None]) -> None:
        self.id = f"picture-{next(_ids)}-{time.time_ns():x}"
        self.message = {"kind": "draw", "id": self.id, **wish}
        self.begun = threading.Event()
        self.done = threading.Event()
        self.result: bytes | Exception = b""
        self._on_done = on_done
        self._by: str | None = None
        self._parts: dict[int, bytes] = {}

    def receive(self, content: dict[str, Any], buffers: Sequence[Any]) -> None:
        """Take a message of the page about this picture."""
        if self.done.is_set() or (self._by or content.get("by")) != content.get("by"):
            return
        self._by = content.get("by")
        self.begun.set()
        if content.get("kind") != "drawn":
            return
        if "error" in content:
            self._finish(RuntimeError(f"The page could not draw the picture: {content['error']}"))
            return
        self._parts[int(content["part"])] = bytes(buffers[0]) if buffers else b""
        if len(self._parts) == int(content["parts"]):
            self._finish(b"".join(self._parts[part] for part in sorted(self._parts)))

    def _finish(self, result: bytes | Exception) -> None:
        self.result = result
        try:
            self._on_done(result)
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            self.result = error
        self.done.set()


class Drawings:
    """The pictures that a view has been asked for and that are not here yet.

    Parameters
    ----------
    name : str
        The view's class.
    send : callable
        Sends a message to the view's displays.
    comm_id : callable
        The id of the view's comm now, or None where no notebook is.
    """

    def __init__(
        self,
        name: str,
        send: Callable[[dict[str, Any]], None],
        comm_id: Callable[[], str | None],
    ) -> None:
        self._name = name
        self._send = send
        self._comm_id = comm_id
        self._wanted: dict[str, Drawing] = {}

    def receive(self, content: object, buffers: Sequence[Any]) -> bool:
        """Take a message of the page; tell whether it was about a picture."""
        if not isinstance(content, dict) or content.get("kind") not in ("drawing", "drawn"):
            return False
        drawing = self._wanted.get(str(content.get("id")))
        if drawing is not None:
            drawing.receive(content, buffers)
            if drawing.done.is_set():
                self._wanted.pop(drawing.id, None)
        return True

    def begin(self, wish: dict[str, Any], on_done: Callable[[bytes | Exception], None]) -> Drawing:
        """Ask the page for a picture."""
        if self._comm_id() is None:
            raise NobodyDrawsError(self._words("There is no notebook here."))
        drawing = Drawing(wish, on_done)
        self._wanted[drawing.id] = drawing
        self._send(drawing.message)
        return drawing

    def poster(self) -> str:
        """Return the picture as a page draws it now, as SVG; "" where none does at once."""
        if self._comm_id() is None:
            return ""
        try:
            drawing = self.begin(picture_wish("svg"), lambda _: None)
            self.wait(drawing, _POSTER_SECONDS)
        except (RuntimeError, TimeoutError):
            return ""
        return drawing.result.decode("utf-8") if isinstance(drawing.result, bytes) else ""

    def wait(self, drawing: Drawing, timeout: float) -> None:
        """Wait until the picture is here; raise what went wrong."""
        messages = MessagesMeanwhile(self._comm_id(), self.receive)
        started = asked = time.monotonic()
        patience = min(_PATIENCE, timeout)
        try:
            while not drawing.done.is_set():
                messages.take(drawing.done, 0.02)
                now = time.monotonic()
                begun = drawing.begun.is_set()
                if not begun and now - started > patience:
                    raise NobodyDrawsError(self._words(f"No page has answered in {patience:g} s."))
                if now - started > timeout and not drawing.done.is_set():
                    raise TimeoutError(
                        f"The picture of {self._name} was not here after {timeout:g} s. Allow it "
                        f"more time: timeout={2 * timeout:g}."
                    )
                if not begun and now - asked > _AGAIN:
                    self._send(drawing.message)
                    asked = now
        finally:
            self._wanted.pop(drawing.id, None)
            messages.hand_back()
        if isinstance(drawing.result, Exception):
            raise drawing.result

    def _words(self, why: str) -> str:
        return (
            f"{why} The picture of {self._name} is drawn by the page that shows it: show the view "
            "in a notebook (its name as a cell's last value), then save it in a later cell. Where "
            "a cell cannot wait for the page (marimo), use wait=False. Without a notebook, open it "
            "in a browser by a program, as gallery/screenshots.py does with Playwright."
        )


def picture_wish(
    file_format: Format, *, scale: float = 2, theme: Theme = "light", transparent: bool = False
) -> dict[str, Any]:
    """Check how a picture is wanted, and say it as the page is told."""
    if theme not in ("light", "dark"):
        raise ValueError(f'theme is "light" or "dark", got {theme!r}.')
    if not 0 < required_number("scale", scale) <= _LARGEST_SCALE:
        raise ValueError(
            f"scale is the pixels for one of the page, above 0 and up to {_LARGEST_SCALE}, "
            f"got {scale!r}."
        )
    clear = required_flag("transparent", transparent)
    return {"format": file_format, "scale": scale, "theme": theme, "transparent": clear}
