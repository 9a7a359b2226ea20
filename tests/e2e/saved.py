"""A saved page, opened from disk with no network: what it shows, and what it was asked."""

from __future__ import annotations

import base64
import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

_PACK = """
  const pack = (value) => {
    if (ArrayBuffer.isView(value)) {
      const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
      let text = '';
      for (let i = 0; i < bytes.length; i += 8192) {
        text += String.fromCharCode(...bytes.subarray(i, i + 8192));
      }
      return { base64: btoa(text) };
    }
    if (Array.isArray(value)) return value.map(pack);
    if (value && typeof value === 'object') {
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, pack(inner)]));
    }
    return value;
  };
  const model = document.getElementById('gh-view').glasshead;
"""
_SET = f"""async ([traits, frame, name]) => {{
  {_PACK}
  const drawn = new Promise((done) => {{
    model.on(`change:${{frame}}`, done);
    setTimeout(done, 3000);
  }});
  const key = JSON.stringify(model.get(frame).key);
  for (const [trait, value] of Object.entries(traits)) model.set(trait, value);
  model.save_changes();
  if (name !== null) await drawn;
  return JSON.stringify(pack({{ frame: model.get(frame), error: model.get('error') }}));
}}"""
_ASK = f"""async ([questions]) => {{
  {_PACK}
  const ask = (question, args, id) => new Promise((done) => {{
    const hear = (message, buffers) => {{
      if (message.id !== id) return;
      model.off('msg:custom', hear);
      done(pack({{ message, buffers }}));
    }};
    model.on('msg:custom', hear);
    model.send({{ kind: 'ask', id, question, args }});
  }});
  const answers = [];
  for (const [traits, question, args] of questions) {{
    for (const [trait, value] of Object.entries(traits)) model.set(trait, value);
    answers.push(await ask(question, args, `test ${{answers.length}}`));
  }}
  return JSON.stringify(answers);
}}"""


@dataclass
class Opened:
    """A saved page in a browser.

    Attributes
    ----------
    page : Page
    requests, said : list of str
        What it asked of the network, and what it wrote to the console.
    """

    page: Page
    requests: list[str] = field(default_factory=list[str])
    said: list[str] = field(default_factory=list[str])

    def draw(self, traits: dict[str, Any], frame: str = "frame") -> dict[str, Any]:
        """Set traits, and return the frame that is drawn then."""
        found = json.loads(self.page.evaluate(_SET, [traits, frame, ""]))
        assert found["error"] == "", (traits, found["error"])
        return found["frame"]

    def ask(self, *questions: tuple[dict[str, Any], str, dict[str, Any]]) -> list[dict[str, Any]]:
        """Ask questions, each in a state, as the view itself does; return arrays and results."""
        answers = json.loads(self.page.evaluate(_ASK, [list(questions)]))
        assert all(answer["message"]["ok"] for answer in answers), answers[0]["message"]
        return [
            {
                **answer["message"]["result"],
                **{
                    one["name"]: values({**one, "data": buffer})
                    for one, buffer in zip(
                        answer["message"]["layout"], answer["buffers"], strict=True
                    )
                },
            }
            for answer in answers
        ]


@contextmanager
def opened(browser: Browser, path: Path, **context: Any) -> Iterator[Opened]:
    """Open a page from disk in a browser that has no network, and wait until it is drawn."""
    where = browser.new_context(offline=True, **context)
    page = where.new_page()
    found = Opened(page)
    page.on("request", lambda request: found.requests.append(request.url))
    page.on("console", lambda message: found.said.append(message.text))
    page.on("pageerror", lambda error: found.said.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_selector(".gh[data-ready=true]")
    yield found
    assert found.said == []
    asked = [url for url in found.requests if not url.startswith(("data:", "blob:"))]
    assert asked == [path.as_uri()]
    where.close()


def values(packed: Any) -> np.ndarray:
    """Read a packed array, of the page or of Python."""
    data = packed["data"]
    raw = base64.b64decode(data["base64"]) if isinstance(data, dict) else bytes(data)
    return np.frombuffer(raw, dtype=packed["dtype"]).reshape(packed["shape"])
