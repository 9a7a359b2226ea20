"""Saves views as pages that need no kernel and no network."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, get_args

from glasshead.built import built_file
from glasshead.saving import contents as parts
from glasshead.saving.activations import stored_activations
from glasshead.saving.document import Document, PageTheme
from glasshead.saving.query_keys import stored_query_keys
from glasshead.saving.runs import stored_runs
from glasshead.saving.typical import stored_rows
from glasshead.saving.weights import StoredWeights, squeezed, stored_weights
from glasshead.saving.words import (
    Said,
    demo_of,
    error_words,
    foot_html,
    left_out_words,
    live_code,
    text_html,
)
from glasshead_backend.frames.head_atlas import AtlasHeads

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from glasshead.saving.weights import Stored, StoredLayer
    from glasshead.view import View
    from glasshead_backend.statistics import HeadAtlas

MOST_BYTES = 10_000_000
"""Of a page for which nobody has said otherwise."""

_READ = ("reading", "followed")
"""Traits of a strip that say what is read of the pinned token."""

_ROWS, _ROWS_ALONE = 0.5, 0.9
"""Most of a page's room that rows of many texts take, beside the weights of a text and alone."""

_MOST_POSTER = 400_000
"""Letters of a picture that a page has for readers without scripts."""


@dataclass(frozen=True)
class SavedPage:
    """A page that was saved.

    Attributes
    ----------
    path : Path
    bytes : int
    layers : dict
        By kind of attention the layers that can be looked at.
    left_out : tuple of str
        What there was no room for, in words; empty = nothing.
    relative_error : float
        Most that an attention weight is off, as a share of itself.
    least : float
        Smaller weights are read as 0.
    error : str
        The same in words, as the page says it.
    """

    path: Path
    bytes: int
    layers: dict[str, tuple[int, ...]]
    left_out: tuple[str, ...]
    relative_error: float
    least: float
    error: str


@dataclass(frozen=True)
class Page:
    """A page as text, and what of layers is in it."""

    html: str
    stored: Stored | None
    rows_left_out: tuple[str, ...] = ()

    def saved(self, path: Path) -> SavedPage:
        """Write it to a file."""
        data = self.html.encode("utf-8")
        path.write_bytes(data)
        stored = self.stored
        return SavedPage(
            path,
            len(data),
            layers=_layers(stored),
            left_out=(*left_out_words(stored), *self.rows_left_out),
            relative_error=stored.relative_error if stored else 0.0,
            least=stored.least if stored else 0.0,
            error=error_words(stored),
        )


def page_of(
    view: View,
    *,
    max_bytes: int | None = None,
    title: str | None = None,
    theme: str = "auto",
    poster: str = "",
) -> Page:
    """Make the page of a view; see :meth:`glasshead.view.View.save_html`."""
    maker = _Maker(view, title, theme, poster if len(poster) <= _MOST_POSTER else "")
    return maker.page(MOST_BYTES if max_bytes is None else max_bytes)


def check_page(*, max_bytes: int | None, title: str | None, theme: str) -> None:
    """Refuse what no page can be, before anything is computed."""
    if theme not in get_args(PageTheme):
        raise ValueError(f'theme is "auto", "light" or "dark", got {theme!r}.')
    if max_bytes is not None and max_bytes <= 0:
        raise ValueError(f"max_bytes is a number of bytes above 0, got {max_bytes!r}.")
    if title is not None and not isinstance(title, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"title is a string, got {type(title).__name__}.")


class _Maker:
    """Makes one page."""

    def __init__(self, view: View, title: str | None, theme: Any, poster: str) -> None:
        self._view, self._theme, self._poster = view, theme, poster
        self._name = type(view).__name__
        self._state = {**parts.state(view), "theme": theme}
        self._model = str(view.scene.get("model", ""))
        self._title = title or f"{self._name} of {self._model}"
        self._rows_left_out: tuple[str, ...] = ()
        self._atlas: HeadAtlas | None = getattr(view, "atlas", None)
        shown: Any = getattr(view, "shown_trace", None) if view.page_parts else None
        # An atlas alone has no text that a page could carry.
        self._trace: Any = None if isinstance(shown, AtlasHeads) else shown
        self._parts = view.page_parts if self._trace is not None else frozenset[str]()
        # Of an explorer whose heads are switched off, or of whose story a step does so.
        self._runs: list[tuple[Any, Any]] = getattr(view, "page_runs", list)()

    def page(self, most: int) -> Page:
        """Return the page, of at most so many bytes."""
        rest = self._rest()
        if self._atlas is not None:
            room = most - len(self._html(rest, None).encode("utf-8"))
            share = _ROWS_ALONE if self._trace is None else _ROWS
            rest["rows"] = self._rows(self._atlas, int(max(0, room) * share))
        bare = len(self._html(rest, None).encode("utf-8"))
        room = most - bare
        while True:
            stored = self._stored(room)
            if isinstance(stored, int) or (stored is None and bare > most):
                least = bare + (stored if isinstance(stored, int) else 0)
                raise ValueError(
                    f"max_bytes={most:,} is too small for this page of {self._name}: the least "
                    f"possible is about {least:,}."
                )
            html = self._html(rest, stored)
            excess = len(html.encode("utf-8")) - most
            if excess <= 0:
                page = Page(html, stored, self._rows_left_out)
                return self._with_runs(rest, page, -excess)
            room -= excess  # what is said of the layers was estimated before it was written

    def _with_runs(self, rest: dict[str, Any], page: Page, room: int) -> Page:
        """Return a page with the other runs that it has room for."""
        if not self._runs or not isinstance(page.stored, StoredWeights):
            return page
        view: Any = self._view
        runs, left_out = stored_runs(view, page.stored, self._told, self._runs, room)
        stored = replace(page.stored, also_left_out=tuple(left_out))
        layers = [*stored.layers, *(layer for run in runs for layer in run.layers)]
        whole = {**rest, "runs": [run.contents for run in runs]}
        return Page(self._html(whole, stored, layers), stored)

    def _rest(self) -> dict[str, Any]:
        """Return everything but the attention."""
        found = parts.no_parts()
        if self._trace is None:
            return found
        found["axes"] = parts.all_axes(self._trace)
        if "heads" in self._parts:
            finder: Any = getattr(self._view, "finder", self._view)
            found["heads"] = parts.heads(self._trace, finder.more_metrics, finder.atlas)
        if "strip" in self._parts:
            strip: Any = getattr(self._view, "strip", self._view)
            found["strip"] = {**parts.strip(self._trace), **strip.compared_part(self._trace)}
            found["readings"] = parts.readings(*self._strip())
        if "attribution" in self._parts:
            view: Any = self._view
            found["attribution"] = parts.attributions(view)
        if "patches" in self._parts:
            grid: Any = self._view
            found["patches"] = grid.frames()
        found["without"] = self._view.frame.get("without")
        if "chart" in self._parts:
            chart: Any = getattr(self._view, "chart", self._view)
            found |= parts.charts(chart, self._told, self._trace)
            self._state[f"{self._metric}s"] = parts.statistics(chart, self._told)
        return found

    def _rows(self, atlas: HeadAtlas, room: int) -> list[dict[str, Any]]:
        """Return the rows of heads in many texts."""
        finder: Any = self._view
        drawn = (finder.metric, finder.second_metric)
        rows, self._rows_left_out = stored_rows(atlas, drawn, finder.typical, room)
        return rows

    def _strip(self) -> tuple[Any, list[dict[str, Any]]]:
        """Return the strip, and its states as the page opens and in the steps of its story."""
        strip: Any = getattr(self._view, "strip", self._view)
        names = {name: name if strip is self._view else f"strip_{name}" for name in _READ}
        names["selected"] = "selected"
        states = [self._state, *({**self._state, **step["state"]} for step in self._view.story)]
        return strip, [{own: one[name] for own, name in names.items()} for one in states]

    @property
    def _metric(self) -> str:
        """What the statistic is called among the traits."""
        return "chart_metric" if hasattr(self._view, "chart") else "metric"

    @property
    def _told(self) -> list[dict[str, Any]]:
        """Statistics of the steps of a story."""
        name = self._metric
        return [step["state"][name] for step in self._view.story if name in step["state"]]

    def _stored(self, room: int) -> Stored | int | None:
        """Return what of layers the page carries; bytes where not even the least fits."""
        if "query_key" in self._parts:
            view: Any = self._view
            return stored_query_keys(self._trace, view.shown, room)
        if "activations" in self._parts:
            view: Any = self._view
            return stored_activations(self._trace, view.shown, room)
        if not self._parts & {"weights", "strip"}:
            return None
        kinds: list[Any] = self._trace.kinds
        if "weights" not in self._parts:  # a text, lit by what the decoder looks at
            kinds = [kind for kind in kinds if kind == "cross"]
            if not kinds:
                return None
        kind: Any = self._state["kind"] if self._state["kind"] in kinds else kinds[0]
        layers = self._trace.layers(kind)
        layer = min(layers, key=lambda one: abs(one - self._state["layer"]))
        return stored_weights(self._trace, kinds, room, (kind, layer))

    def _html(
        self,
        rest: dict[str, Any],
        stored: Stored | None,
        layers: Sequence[StoredLayer] | None = None,
    ) -> str:
        whole = {**rest, "state": self._state}
        code = f"saved_page_{_file(self._name)}.js"
        data = {"gh-code": _squeezed_bundle(code)}
        if stored is not None:
            whole |= stored.contents()
            whole["state"] = {**self._state, "scene": _scene_of(self._state["scene"], stored)}
            elements = stored.layers if layers is None else layers
            data |= {str(layer.about["element"]): layer.text for layer in elements}
        data["gh-contents"] = squeezed(parts.as_json(whole))
        said = self._said
        return Document(
            title=self._title,
            theme=self._theme,
            style=_bundle("saved_page_style.css") + _bundle(f"{_file(self._name)}.css"),
            loader=_bundle("saved_page_loader.js"),
            code=_bundle(code),
            data=data,
            text=text_html(self._title, said),
            foot=foot_html(
                said,
                error=error_words(stored),
                left_out=(*left_out_words(stored), *self._rows_left_out),
                live=live_code(self._state, self._name, demo_of(self._model)),
                given=bool(self._state["scene"].get("given")),
                version=_version(),
            ),
        ).html()

    @cached_property
    def _said(self) -> Said:
        texts = {}
        if self._trace is not None:
            names = {"text": "Text", "source": "Source", "target": "Target"}
            texts = {names[s.name]: s.text for s in self._trace.sequences}
        notice = str(self._view.scene.get("notice", ""))
        lines = self._view.in_words()
        return Said(self._name, self._model, notice, texts, lines, self._poster)


def _layers(stored: Stored | None) -> dict[str, tuple[int, ...]]:
    # Several blocks may be of one layer.
    places = list(dict.fromkeys(layer.place for layer in stored.layers)) if stored else []
    kinds = dict.fromkeys(kind for kind, _ in places)
    return {kind: tuple(n for k, n in places if k == kind) for kind in kinds}


def _scene_of(scene: dict[str, Any], stored: Stored) -> dict[str, Any]:
    """Leave out what the page does not have: its controls offer nothing else."""
    if not stored.left_out:
        return scene
    there = _layers(stored)
    kinds = [
        {**kind, "layers": [one for one in kind["layers"] if one["number"] in there[kind["name"]]]}
        for kind in scene["kinds"]
        if kind["name"] in there
    ]
    return {**scene, "kinds": kinds}


def _file(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _version() -> str:
    import glasshead  # noqa: PLC0415  it imports this

    return glasshead.__version__


@cache
def _bundle(file: str) -> str:
    return built_file(file).read_text(encoding="utf-8")


@cache
def _squeezed_bundle(file: str) -> str:
    return squeezed(_bundle(file).encode("utf-8"))
