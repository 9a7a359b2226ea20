"""Records what the kernel would send for every state of the gallery.

    python gallery/record.py

Writes ``gallery/recorded/states.json``: the synced traits of real widgets on the demo models,
the pictures that their controls can ask for, and answers to the questions that hovering asks.
"""

from __future__ import annotations

import base64
import gzip
import importlib
import itertools
import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from glasshead import AttentionLines, story
from glasshead.messages import reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from state import Page, State

    from glasshead.trace_view import TraceView
    from glasshead.view import View
    from glasshead_backend.asking import Kind

GALLERY = Path(__file__).parent
RECORDED = GALLERY / "recorded"


def main() -> None:
    """Record all states into one file."""
    started = time.perf_counter()
    recorded = [record(page, state) for page in pages() for state in page.states]
    RECORDED.mkdir(exist_ok=True)
    path = RECORDED / "states.json"
    write([*recorded, *real_states()], path)
    seconds = time.perf_counter() - started
    print(f"{len(recorded)} states, {path.stat().st_size / 1e6:.1f} MB, {seconds:.1f} s")


def write(recorded: list[dict[str, Any]], path: Path) -> None:
    """Write recorded states as the page reads them."""
    path.write_text(json.dumps(recorded, default=packed, ensure_ascii=False), encoding="utf-8")


def real_states() -> list[dict[str, Any]]:
    """Return the states of a real model, as real.py has recorded them."""
    path = GALLERY / "real" / "smollm2.json.gz"
    return json.loads(gzip.decompress(path.read_bytes())) if path.exists() else []


def pages() -> list[Page]:
    """Find the pages of all views: each has a file in ``states/``."""
    names = sorted(path.stem for path in (GALLERY / "states").glob("*.py"))
    return [importlib.import_module(f"states.{name}").PAGE for name in names]


def record(page: Page, state: State) -> dict[str, Any]:
    """Make the widget of a state and record its traits, pictures and answers."""
    shown = state.shown()
    arguments: tuple[Any, ...] = shown if isinstance(shown, tuple) else (shown,)
    traits: dict[str, Any] = {
        name: value(*arguments) if callable(value) else value
        for name, value in state.traits.items()
    }
    view: Any = page.view(*arguments, **traits)
    if state.told:
        story(view, state.told).step = state.at
    while getattr(view, "is_drawing", False) or getattr(view, "busy", ""):
        time.sleep(0.05)
    synced = {
        name: value
        for name, value in view.get_state().items()
        if not name.startswith("_") and name not in ("layout", "tabbable", "tooltip")
    }
    recorded = list(pictures(page, view)) if state.pictures else []
    return {
        "name": state.name,
        "view": re.sub(r"(?<!^)(?=[A-Z])", "-", page.view.__name__).lower(),
        "width": state.width,
        "status": state.status,
        "note": state.note,
        "watched": state.watched,
        "state": synced | state.set,
        "depends": page.depends(view),
        "pictures": recorded,
        "answers": list(answers(page, view, synced)),
    }


def pictures(page: Page, view: TraceView) -> Iterator[dict[str, Any]]:
    """Record the frames that the view's own controls lead to."""
    names = page.depends(view)
    if not names:
        return
    before = {name: getattr(view, name) for name in names}
    for values in itertools.product(*(choices(view, name) for name in names)):
        wanted = dict(zip(names, values, strict=True))
        if not exists(view, wanted):
            continue
        # One by one: the layers and heads that may be set depend on the kind.
        for name, value in wanted.items():
            setattr(view, name, value)
        yield {"when": wanted, "traits": {name: getattr(view, name) for name in page.pictured}}
    for name, value in before.items():
        setattr(view, name, value)


def choices(view: TraceView, name: str) -> list[Any]:  # noqa: PLR0911
    """List the values of a trait that are worth recording."""
    match name:
        case "kind":
            return list(view.trace.kinds)
        case "layer":
            return view.trace.layers(cast("Kind", view.kind))
        case "unit":
            return ["token", "word"]
        case "what":
            return [one["name"] for one in view.frame["whats"] if not one["reason"]]
        case "aggregate":
            separate = ["separate"] if isinstance(view, AttentionLines) else []
            return ["mean", "max", *separate]
        case "heads":
            n_heads = view.trace.n_heads(view.layer, cast("Kind", view.kind))
            pair = [[0, 1]] if n_heads > 2 else []  # noqa: PLR2004
            return [[], *([head] for head in range(n_heads)), *pair]
        case _:
            return [getattr(view, name)]


def exists(view: TraceView, wanted: dict[str, Any]) -> bool:
    """Tell whether the model has the wanted layer, and the picture differs from the others."""
    layers = view.trace.layers(wanted.get("kind", view.kind))
    one_head = len(wanted.get("heads", [])) == 1
    return wanted.get("layer", layers[0]) in layers and not (
        one_head and wanted.get("aggregate", "mean") != "mean"
    )


def answers(page: Page, view: View, synced: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Record the answers that hovering needs, for the traits the page opens with."""
    when = {name: synced[name] for name in {*page.depends(view), "heads"} & synced.keys()}
    for question, args in page.questions(view, synced):
        answered = reply(view, {"kind": "ask", "id": "", "question": question, "args": args})
        if answered is None:
            continue
        message, buffers = answered
        asked = {"when": when, "question": question, "args": args}
        yield {**asked, "message": message, "buffers": buffers}


def packed(value: object) -> dict[str, str]:
    """Write bytes as base64, the only thing that JSON does not know."""
    if isinstance(value, bytes | memoryview | bytearray):
        return {"base64": base64.b64encode(value).decode("ascii")}
    raise TypeError(f"a {type(value).__name__} cannot be recorded")


if __name__ == "__main__":
    main()
