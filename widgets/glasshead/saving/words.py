"""What a saved page says in words: what it is of, what it has not, how to see it live."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime, timezone
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glasshead.saving.weights import Stored


@dataclass(frozen=True)
class Said:
    """What is said of a page.

    Attributes
    ----------
    view : str
        The view's class.
    model, notice : str
        The model, and what must be said of it.
    texts : dict of str to str
        What was traced: "Text", or "Source" and "Target".
    lines : sequence of str
        What the view says.
    poster : str
        Its picture as SVG; "" = there is none.
    """

    view: str
    model: str
    notice: str
    texts: dict[str, str]
    lines: Sequence[str]
    poster: str = ""


def error_words(stored: Stored | None) -> str:
    """Say how far the page's numbers are from the model's."""
    return "Numbers are those of the model." if stored is None else stored.error


def left_out_words(stored: Stored | None) -> tuple[str, ...]:
    """Say what a page does not have: layers, and what else there was no room for."""
    if stored is None:
        return ()
    places = stored.left_out
    kinds = dict.fromkeys(kind for kind, _ in places)
    layers = [
        f"{kind} attention of layers {', '.join(str(n) for k, n in places if k == kind)}"
        for kind in kinds
    ]
    return (*layers, *stored.also_left_out)


def text_html(title: str, said: Said) -> str:
    """Write what readers without scripts see."""
    texts = "\n".join(
        f'<p>{escape(name)}:</p>\n<div class="text" dir="auto">{escape(text)}</div>'
        for name, text in said.texts.items()
        if text
    )
    lines = "".join(f'<li dir="auto">{escape(line)}</li>' for line in said.lines)
    notice = f"<p>{escape(said.notice)}</p>" if said.notice else ""
    return "\n".join(
        [
            f"<h1>{escape(title)}</h1>",
            "" if said.model in title else f"<p>{escape(said.view)} of {escape(said.model)}.</p>",
            notice,
            _picture(said),
            texts,
            f"<ul>{lines}</ul>" if lines else "",
        ]
    )


def _picture(said: Said) -> str:
    if not said.poster:
        return ""
    data = base64.b64encode(said.poster.encode("utf-8")).decode("ascii")
    words = f"{said.view} of {said.model}, as it was when the page was saved"
    return f'<img alt="{escape(words)}" src="data:image/svg+xml;base64,{data}">'


def foot_html(
    said: Said, *, error: str, left_out: Sequence[str], live: str, given: bool, version: str
) -> str:
    """Write the lines under the view; `given`: of arrays that somebody gave, without a model."""
    date = datetime.now(timezone.utc).strftime("%Y-%m-%d")
    parts = [
        (
            f"Saved page: {escape(said.view)} of {escape(said.model)}. It needs no network and "
            f"runs no model. Made with Glasshead {escape(version)} on {date}."
        ),
        escape(error),
    ]
    if left_out:
        parts.append(f"Not in this page: {escape('; '.join(left_out))}.")
    of = "of such a trace" if given else "with any text"
    parts.append(
        f"Live, {of}: <code>pip install glasshead</code>, then <code>{escape(live)}</code>"
    )
    return "\n".join(f"<p>{part}</p>" for part in parts)


def live_code(state: dict[str, Any], view: str, demo: str) -> str:
    """Write the Python that shows the same view live."""
    call = "explore" if view == "Explorer" else view
    lens = f'Lens.demo("{demo}")' if demo else "Lens(model, tokenizer)"
    if view == "TokenTable":
        return f"from glasshead import Lens, {call}; {call}({lens}, text)"
    if view == "PatchGrid":
        runs = f'lens.trace(clean), lens.trace(corrupted), what="{state["what"]}"'
        return f"from glasshead import Lens, {call}; lens = {lens}; {call}({runs})"
    is_of_many = "corpus" in state.get("frame", {})
    if is_of_many and not state["frame"]["rows"]:
        return f"from glasshead import HeadAtlas, {call}; {call}(HeadAtlas.load(path))"
    several = len(state["scene"].get("kinds", [])) > 1
    names = ("kind", "layer", "heads") if several else ("layer", "heads")
    named = [f"{name}={state[name]!r}" for name in names if state.get(name)]
    named += [f"{name}={state[name]!r}" for name in ("query", "block") if name in state]
    if view == "AttributionStrip":
        asked = ("position", "token", "against", "targets", "method")
        usual = (None, [], "gradient_x_input")
        named = [f"{name}={state[name]!r}" for name in asked if state[name] not in usual]
    if state.get("off"):
        named += [f"off={[tuple(head) for head in state['off']]!r}"]
    given = bool(state["scene"].get("given"))
    trace, imported = ("trace", call) if given else (f"{lens}.trace(text)", f"Lens, {call}")
    if is_of_many:
        named, imported = ["atlas=HeadAtlas.load(path)", *named], f"HeadAtlas, {imported}"
    arguments = ", ".join([trace, *named]).replace("'", '"')
    return f"from glasshead import {imported}; {call}({arguments})"


def demo_of(model: str) -> str:
    """Return the demo model that is shown; "" = another."""
    name = model.partition(" · ")[0]
    return name.removeprefix("demo ") if name.startswith("demo ") else ""
