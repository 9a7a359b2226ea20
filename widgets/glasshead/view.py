"""What every view has: its place in a page, its frame, its errors, its way to the browser."""

from __future__ import annotations

import json
import os
import threading
from inspect import isfunction
from typing import TYPE_CHECKING, Any, ClassVar

import anywidget
import ipywidgets
import traitlets

from glasshead.built import built_file
from glasshead.export import Drawings, picture_wish
from glasshead.messages import question, reply
from glasshead.names import did_you_mean, is_declared, no_such_name, settable_traits
from glasshead.saving.as_page import AsPage
from glasshead.values import file_to_write, required, required_flag, required_number

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import pandas as pd

    from glasshead.export import Theme
    from glasshead.messages import Answer


N_SENTENCES = 5
"""Sentences in which a view says what it shows."""


def bundle(file: str) -> str | Path:
    """Return a built front-end file: its text, or its path for hot reload (``ANYWIDGET_HMR=1``).

    A path would keep every widget alive after ``close()``, so it is for developing only.
    """
    path = built_file(file)
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


class View(AsPage, anywidget.AnyWidget):
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
    watched = traitlets.Bool(
        False,
        read_only=True,
        help="Somebody observes what the pointer is on: the page tells it at once, else when the "
        "pointer rests.",
    ).tag(sync=True)

    story = traitlets.List(
        traitlets.Dict(), help="Steps told over the view, by glasshead.story.", read_only=True
    ).tag(sync=True)
    step = traitlets.Int(0, help="Which step of the story is shown, from 0.").tag(sync=True)

    _lock: ClassVar = threading.RLock()
    """Held while a view's state changes. Messages come in the kernel's own thread, or in another
    while a cell runs, and views that are linked change each other: one lock for all of them."""

    _picture_traits: ClassVar[tuple[str, ...]] = ("axes", "frame", "busy", "error")
    """Traits that a picture comes with."""

    def __init__(self, **state: Any) -> None:
        require_names(type(self), state)
        self._drawings = Drawings(type(self).__name__, self.send, self._comm_id)
        super().__init__(**state)
        self.on_msg(self._on_message)
        self.observe(self._on_step, names=["step"])

    def __setattr__(self, name: str, value: Any) -> None:
        # A misspelt trait would be set in vain: nothing moves, and nobody says why.
        if not is_declared(self, name):
            known = settable_traits(type(self), View)
            raise AttributeError(no_such_name(type(self), name, known))
        trait: Any = getattr(type(self), name, None)
        if not isinstance(trait, traitlets.TraitType):
            if not name.startswith("_") and _is_ours_to_keep(trait):
                owner = type(self).__name__
                raise AttributeError(f"{name} is a part of {owner}, and cannot be set.")
            super().__setattr__(name, value)
            return
        if trait.read_only:
            raise traitlets.TraitError(f"{name} is read-only: the view itself sets it.")
        with self._lock:
            super().__setattr__(name, self._required(name, value))

    def set_trait(self, name: str, value: Any) -> None:
        """Set a trait, also one that is read-only for users."""
        super().set_trait(name, self._required(name, value))

    def _required(self, name: str, value: Any) -> Any:
        """Return a value for a trait; refuse, in plain words, one that the trait does not take."""
        trait: Any = getattr(type(self), name, None)
        if name == "layout" and not isinstance(value, (dict, ipywidgets.Layout)):
            raise traitlets.TraitError(
                f'layout is a dict like {{"width": "50%"}} or an ipywidgets.Layout; got {value!r}.'
            )
        return value if trait is None or trait.read_only else required(self, trait, name, value)

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

    def observe(self, handler: Any, names: Any = traitlets.All, type: Any = "change") -> None:  # noqa: A002
        """Call `handler` when traits change; as :meth:`traitlets.HasTraits.observe`."""
        super().observe(handler, names, type)
        self._note_observers()

    def unobserve(self, handler: Any, names: Any = traitlets.All, type: Any = "change") -> None:  # noqa: A002
        """Call `handler` no more; as :meth:`traitlets.HasTraits.unobserve`."""
        super().unobserve(handler, names, type)
        self._note_observers()

    def unobserve_all(self, name: Any = traitlets.All) -> None:
        """Call nobody any more; as :meth:`traitlets.HasTraits.unobserve_all`."""
        super().unobserve_all(name)
        self._note_observers()

    def _note_observers(self) -> None:
        """Tell the page whether anybody here wants to know at once what the pointer is on."""
        watched = len(self._observers_of_pointer()) > 0
        if watched != self.watched:
            with self._lock:
                self.set_trait("watched", watched)

    def _observers_of_pointer(self) -> list[Any]:
        """Return what is called when the pointer moves."""
        known: dict[Any, dict[Any, list[Any]]] = self._trait_notifiers
        by_type = [known.get(name, {}) for name in (*_OF_POINTER, traitlets.All)]
        return [
            observer
            for observers in by_type
            for of_type in ("change", traitlets.All)
            for observer in observers.get(of_type, [])
        ]

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

    def __repr__(self) -> str:
        # What a page shows that has no widgets, or has lost this one.
        return (
            f"{type(self).__name__} of {self.scene.get('model', 'a model')}: run the cell to see it"
        )

    def to_frame(self) -> pd.DataFrame:
        """Return the numbers behind the picture."""
        raise NotImplementedError

    def cancel(self) -> None:
        """End what is being computed, where a view computes for long."""

    @question
    def written(self) -> Answer:
        """Return the Python that gives the numbers behind the picture."""
        return {"code": self.code()}, {}

    # ---- stories ------------------------------------------------------------------------------

    @traitlets.validate("step")
    def _valid_step(self, proposal: dict[str, Any]) -> int:
        step, last = proposal["value"], max(0, len(self.story) - 1)
        if not 0 <= step <= last:
            there = f"the story has steps 0-{last}" if self.story else "the view tells no story"
            raise traitlets.TraitError(f"step {step} is out of range: {there}.")
        return step

    def _on_step(self, change: dict[str, Any]) -> None:
        if self.story:
            self.set(**self.story[change["new"]]["state"])

    def _end_story(self) -> None:
        """Take the story away: it is of another text."""
        self.step = 0
        self.set_trait("story", [])

    # ---- pictures as files --------------------------------------------------------------------

    def save_svg(
        self,
        path: str | Path,
        *,
        theme: Theme = "light",
        transparent: bool = False,
        wait: bool = True,
        timeout: float = 60,
    ) -> Path:
        """Save the picture as SVG, for papers and slides: text is text, lines are lines.

        The page that shows the view draws what it shows now, with caption, legend and the line in
        words under it. Very many lines, and heat maps, are in it as sharp images.

        Parameters
        ----------
        path : str or Path
            Ends in ``.svg``.
        theme : {"light", "dark"}
            Of the picture, whatever the notebook shows.
        transparent : bool
            Leave out the paper behind the picture.
        wait : bool
            False returns at once, and the file is written when the page has drawn it; what goes
            wrong is then shown in the view.
        timeout : float
            Seconds.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        RuntimeError
            Where no page shows the view, or it cannot draw the picture.
        TimeoutError
            When the page takes longer than `timeout`.
        FileNotFoundError
            For a folder that is not there.
        """
        wish = picture_wish("svg", theme=theme, transparent=transparent)
        return self._save(file_to_write(path, ".svg"), wish, wait=wait, timeout=timeout)

    def save_png(
        self,
        path: str | Path,
        *,
        scale: float = 2,
        theme: Theme = "light",
        transparent: bool = False,
        wait: bool = True,
        timeout: float = 60,
    ) -> Path:
        """Save the picture as PNG; as :meth:`save_svg`.

        Parameters
        ----------
        path : str or Path
            Ends in ``.png``.
        scale : float
            Pixels of the image for one of the page.
        theme, transparent, wait, timeout
            As for :meth:`save_svg`.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        ValueError
            For a scale that is not above 0 and up to 10.
        RuntimeError, TimeoutError, FileNotFoundError
            As :meth:`save_svg`.
        """
        wish = picture_wish("png", scale=scale, theme=theme, transparent=transparent)
        return self._save(file_to_write(path, ".png"), wish, wait=wait, timeout=timeout)

    def _save(self, path: Path, wish: dict[str, Any], *, wait: bool, timeout: float) -> Path:
        def write(result: bytes | Exception) -> None:
            if isinstance(result, bytes):
                path.write_bytes(result)
            elif not wait:
                self.error = str(result)

        if required_number("timeout", timeout) <= 0:
            raise ValueError(f"timeout is in seconds, above 0, got {timeout!r}.")
        waits = required_flag("wait", wait)
        drawing = self._drawings.begin(wish, write)
        if waits:
            self._drawings.wait(drawing, timeout)
        return path

    def _comm_id(self) -> str | None:
        """Return the id of the way to the browser; None where it leads nowhere."""
        comm = self.comm
        # Outside a notebook ipywidgets has a comm all the same, which leads nowhere.
        return None if comm is None or type(comm).__name__ == "DummyComm" else comm.comm_id

    # ---- the browser --------------------------------------------------------------------------

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Take over state from the browser; a value that is not valid is undone there and said."""
        try:
            with self._lock:
                super().set_state(sync_data)
        except (traitlets.TraitError, ValueError) as error:
            self.error = str(error)
            self.send_state(set(sync_data) & set(self.keys))

    def _has_missed_picture(self, content: object) -> bool:
        """Whether a greeting tells of another picture than the current one.

        Jupyter drops messages when there are very many, and a page that opens may lose some.
        """
        if not isinstance(content, dict) or content.get("kind") != "hello":
            return False
        key = json.loads(json.dumps(self.frame.get("key")))
        return "frame" in content and content["frame"] != key

    def _on_message(self, _: object, content: object, buffers: list[Any]) -> None:
        if self._drawings.receive(content, buffers):
            return
        if isinstance(content, dict) and content.get("kind") == "stop":
            self.cancel()
            return
        with self._lock:
            answer = self._reply(content)
            if self._has_missed_picture(content):
                self.send_state([name for name in self._picture_traits if self.has_trait(name)])
        if answer is not None:
            message, buffers = answer
            self.send(message, buffers)

    def _reply(self, content: object) -> tuple[dict[str, Any], list[bytes]] | None:
        """Work out the reply to one message."""
        return reply(self, content)


def _is_ours_to_keep(declared: object) -> bool:
    """Whether something that a class of ours declares is a method, or is only read."""
    if isinstance(declared, property):
        return declared.fset is None
    return isfunction(declared) and declared.__module__.startswith("glasshead.")


_OF_POINTER = ("hovered", "hovered_source")
"""Traits that say what the pointer is on."""

_PASSING = {"error", "busy", *_OF_POINTER, "step"}
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
