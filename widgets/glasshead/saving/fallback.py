"""What an output has for hosts without widgets: a poster, or the saved page in a frame."""

from __future__ import annotations

import base64
from html import escape
from typing import TYPE_CHECKING, Any

from glasshead.saving.contents import state
from glasshead.saving.document import in_a_frame
from glasshead.saving.saved_page import page_of
from glasshead.saving.still import still_pictures
from glasshead.saving.svg import inert, shortened
from glasshead.saving.words import demo_of, live_code

if TYPE_CHECKING:
    from glasshead.saving.options import Fallback
    from glasshead.view import View

MOST_POSTER = 60_000
"""Bytes of a poster."""
MOST_PAGE = 1_500_000
"""Bytes of a page in an output, with the frame around it."""

_STILL = "This is a still picture: the live view needs the notebook to be run."
_MOST_LETTERS = 300
_FEW_TOKENS = 150
_HEIGHT = 640


class StaticView:
    """What a view shows where nothing runs; display it, or take its ``html``.

    Attributes
    ----------
    html : str
        A poster, or a frame with an interactive page.
    """

    def __init__(self, html: str, words: str) -> None:
        self.html = html
        self._words = words

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self._words


def fallback_html(view: View, kind: Fallback) -> str:
    """Return what stands for a view: an HTML fragment without scripts of its own."""
    if kind == "poster":
        return poster_html(view)
    try:
        page = page_of(view, max_bytes=int(MOST_PAGE * 0.85))
    except ValueError:
        return poster_html(view, "A page of it would be larger than 1.5 MB: use save_html.")
    framed = in_a_frame(page.html, _name(view), _HEIGHT)
    if len(framed.encode("utf-8")) > MOST_PAGE:
        return poster_html(view, "A page of it would be larger than 1.5 MB: use save_html.")
    return f'<div data-glasshead="page">{framed}</div>'


def poster_html(view: View, note: str = "") -> str:
    """Return a still picture of a view, what it says, and how it is seen live."""
    busy = bool(view.busy)
    pictures = [] if busy else still_pictures(view)
    said = [] if busy else view.in_words()
    is_short = False
    notes = [note, "It was still being computed when this was written." if busy else ""]
    while True:
        html = _poster(view, pictures, said, notes)
        if len(html.encode("utf-8")) <= MOST_POSTER or not pictures:
            return html
        if not is_short:  # a long text gives way before a picture does
            pictures, is_short = still_pictures(view, _FEW_TOKENS), True
            continue
        # What takes most goes first: words and the others stay.
        largest = max(pictures, key=lambda picture: len(picture[1]))
        pictures.remove(largest)


def _poster(view: View, pictures: list[tuple[str, str]], said: list[str], notes: list[str]) -> str:
    name, model = type(view).__name__, str(view.scene.get("model", "a model"))
    where = _where(view)
    live = live_code(state(view), name, demo_of(model))
    parts = [
        f"<p><strong>{escape(name)}</strong> of {_plain(model)}{where}. {_STILL}</p>",
        *(f"<p>{escape(one)}</p>" for one in [str(view.scene.get("notice", "")), *notes] if one),
        *(_img(words, svg) for words, svg in pictures),
    ]
    if said:
        parts.append(
            "<ul>" + "".join(f'<li dir="auto">{_plain(one)}</li>' for one in said) + "</ul>"
        )
    parts.append(
        f"<p>Live: <code>pip install glasshead</code>, then <code>{escape(live)}</code></p>"
    )
    return f'<div data-glasshead="poster">{"".join(parts)}</div>'


def _where(view: Any) -> str:
    """Say which layer and heads are shown, where the pictures are of such."""
    panes = getattr(view, "in_view", [view])
    if not any(pane.frame.get("kind") in ("lines", "matrix") for pane in panes):
        return ""
    heads: list[int] = view.heads
    named = f"head{'s' if len(heads) > 1 else ''} {', '.join(map(str, heads))}"
    of = named if heads else "all heads"
    return f": layer {view.layer}, {of}"


def _img(words: str, svg: str) -> str:
    data = base64.b64encode(svg.encode("utf-8")).decode("ascii")
    return (
        f'<p>{_plain(words)}.<br><img alt="{_plain(words)}" style="max-width:100%" '
        f'src="data:image/svg+xml;base64,{data}"></p>'
    )


def _plain(words: str) -> str:
    return escape(shortened(inert(words), _MOST_LETTERS))


def _name(view: View) -> str:
    return f"{type(view).__name__} of {view.scene.get('model', 'a model')}"
