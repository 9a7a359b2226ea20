"""What every view has: its place in a page, its frame, its errors, its way to the browser."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import anywidget
import traitlets

from glasshead.messages import question, reply
from glasshead.names import did_you_mean, is_declared, no_such_name, settable_traits

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from glasshead.messages import Answer

_STATIC = Path(__file__).parent / "static"


def bundle(file: str) -> str | Path:
    """Return a built front-end file: its text, or its path for hot reload (``ANYWIDGET_HMR=1``).

    A path would keep every widget alive after ``close()``, so it is for developing only.
    """
    path = _STATIC / file
    if not path.exists():
        raise ImportError(
            f"Glasshead's front end is not built ({file} is missing). In a clone of the repository "
            "run: npm ci && npm run build"
        )
    return path if os.environ.get("ANYWIDGET_HMR") == "1" else path.read_text(encoding="utf-8")


def valid_positions(proposal: dict[str, Any], n_tokens: int, there: str) -> Any:
    """Return the token positions that are proposed for a trait, lists in order and each once.

    Parameters
    ----------
    proposal : dict
        As traitlets hands it to validators: a position, a list of some, or None.
    n_tokens : int
    there : str
        What there is, for the message: "this trace has positions 0-11".

    Raises
    ------
    traitlets.TraitError
        For a position that there is not.
    """
    name, value = proposal["trait"].name, proposal["value"]
    positions: list[int] = [] if value is None else value if isinstance(value, list) else [value]
    for position in positions:
        if not 0 <= position < n_tokens:
            raise traitlets.TraitError(f"{name} {position} is out of range: {there}.")
    return sorted(set(positions)) if isinstance(value, list) else value


class View(anywidget.AnyWidget):
    """A view whose state is traits: readable, settable, observable and linkable.

    Raises
    ------
    TypeError
        For a keyword that is no trait of the view.
    """

    theme = traitlets.Enum(
        ["auto", "light", "dark"], default_value="auto", help='"auto" follows the notebook.'
    ).tag(sync=True)
    height = traitlets.Int(0, min=0, help="Height in pixels; 0 = as high as the content.").tag(
        sync=True
    )
    scene = traitlets.Dict(
        help="The model, and what of it the view needs to know.", read_only=True
    ).tag(sync=True)
    frame = traitlets.Dict(help="The current picture, as binary arrays.", read_only=True).tag(
        sync=True
    )
    error = traitlets.Unicode("", help="What went wrong, and the way out; empty = nothing.").tag(
        sync=True
    )
    busy = traitlets.Unicode("", help="What is being computed; empty = nothing.").tag(sync=True)

    _lock: ClassVar = threading.RLock()
    """Held while a view's state changes. Messages come in the kernel's own thread, or in another
    while a cell runs, and views that are linked change each other: one lock for all of them."""

    def __init__(self, **state: Any) -> None:
        require_names(type(self), state)
        super().__init__(**state)
        self.on_msg(self._on_message)

    def __setattr__(self, name: str, value: Any) -> None:
        # A misspelt trait would be set in vain: nothing moves, and nobody says why.
        if not is_declared(self, name):
            known = settable_traits(type(self), View)
            raise AttributeError(no_such_name(type(self), name, known))
        if isinstance(getattr(type(self), name, None), traitlets.TraitType):
            with self._lock:
                super().__setattr__(name, value)
        else:
            super().__setattr__(name, value)

    def set(self, **traits: Any) -> None:
        """Change several traits at once: all of them, or none where one is not valid.

        Parameters
        ----------
        **traits
            New values, e.g. ``kind="cross", layer=2, heads=[3]``.

        Raises
        ------
        TypeError
            For a name that is no trait of the view.
        traitlets.TraitError
            For a value that is not valid together with the others; nothing has changed then.
        """
        require_names(type(self), traits)
        with self._lock, self.hold_sync(), self.hold_trait_notifications():
            for name, value in traits.items():
                setattr(self, name, value)

    def state(self) -> dict[str, Any]:
        """Return everything that decides the picture, as JSON.

        Keywords of a new view, ``View(trace, **state)``, restore it. What the pointer is on is not
        part of it.
        """
        return {
            name: self._json(name) for name in sorted(settable_traits(type(self), View) - _PASSING)
        }

    def _json(self, name: str) -> Any:
        """Return a trait as it travels."""
        to_json: Any = self.trait_metadata(name, "to_json")
        value: Any = getattr(self, name)
        return value if to_json is None else to_json(value, self)

    def code(self) -> str:
        """Return the Python that gives the numbers behind the picture, of a ``trace``."""
        raise NotImplementedError

    def to_frame(self) -> pd.DataFrame:
        """Return the numbers behind the picture."""
        raise NotImplementedError

    def cancel(self) -> None:
        """End what is being computed, where a view computes for long."""

    @question
    def written(self) -> Answer:
        """Return the Python that gives the numbers behind the picture."""
        return {"code": self.code()}, {}

    # ---- the browser --------------------------------------------------------------------------

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Take over state from the browser; a value that is not valid is undone there and said."""
        try:
            with self._lock:
                super().set_state(sync_data)
        except (traitlets.TraitError, ValueError) as error:
            self.error = str(error)
            self.send_state(set(sync_data) & set(self.keys))

    def _on_message(self, _: object, content: object, __: object) -> None:
        if isinstance(content, dict) and content.get("kind") == "stop":
            self.cancel()
            return
        with self._lock:
            answer = self._reply(content)
        if answer is not None:
            message, buffers = answer
            self.send(message, buffers)

    def _reply(self, content: object) -> tuple[dict[str, Any], list[bytes]] | None:
        """Work out the reply to one message."""
        return reply(self, content)


_PASSING = {"error", "busy", "hovered", "hovered_source"}
"""Traits that say what is going on, not what is shown."""


def require_names(view: type[View], state: Iterable[str]) -> None:
    """Refuse keywords that are no settable trait: ipywidgets would only warn."""
    known = {*settable_traits(view, View), "layout"} - {"error", "busy"}
    for name in state:
        if name not in known:
            raise TypeError(
                f"{view.__name__} has no {name!r}. It takes: {', '.join(sorted(known))}."
                + did_you_mean(name, known)
            )
