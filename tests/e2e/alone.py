"""A built view in a browser without a notebook: its module, its style and its state, no kernel."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from glasshead.view import View

STATIC = Path(__file__).parents[2] / "widgets" / "glasshead" / "static"

SHOW = """async ([source, style, state, width]) => {
  const revive = window.revive = (value) => {
    if (Array.isArray(value)) return value.map(revive);
    if (typeof value !== 'object' || value === null) return value;
    if (value.base64 === undefined) {
      return Object.fromEntries(Object.entries(value).map(([k, inner]) => [k, revive(inner)]));
    }
    return Uint8Array.from(atob(value.base64), (c) => c.charCodeAt(0));
  };
  const traits = revive(JSON.parse(state));
  const heard = new Map();
  const model = {
    get: (name) => traits[name],
    set(name, value) {
      traits[name] = value;
      for (const call of heard.get(`change:${name}`) ?? []) call();
    },
    on: (name, call) => heard.set(name, [...(heard.get(name) ?? []), call]),
    off() {},
    save_changes() {},
    send() {},
  };
  window.model = model;  // a test sets what a kernel would
  document.head.append(Object.assign(document.createElement('style'), { textContent: style }));
  const el = document.createElement('div');
  el.style.width = `${width}px`;
  document.body.replaceChildren(el);
  const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
  (await import(url)).default().render({ model, el });
}"""


SEND = """(state) => {
  for (const [name, value] of Object.entries(window.revive(JSON.parse(state)))) {
    window.model.set(name, value);
  }
}"""


def show(page: Page, view: View, width: int) -> None:
    """Show a view, and wait until it is drawn."""
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(view).__name__).lower()
    state = json.dumps(traits_of(view), default=packed)
    parts = [(STATIC / f"{name}.{kind}").read_text(encoding="utf-8") for kind in ("js", "css")]
    page.evaluate(SHOW, [*parts, state, width])
    page.wait_for_selector(".gh[data-ready=true]")


def traits_of(view: View) -> dict[str, Any]:
    """Return what a kernel would send of a view."""
    return {k: v for k, v in view.get_state().items() if not k.startswith("_")}


def send(page: Page, traits: dict[str, Any]) -> None:
    """Set traits of the view on the page, as its kernel would."""
    page.evaluate(SEND, json.dumps(traits, default=packed))


def packed(value: object) -> dict[str, str] | str:
    if isinstance(value, bytes | memoryview | bytearray):
        return {"base64": base64.b64encode(value).decode("ascii")}
    return str(value)
