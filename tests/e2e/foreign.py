"""Hosts that cannot be run in a test, by what they are known to do: Colab and VS Code.

A view in Python on one side, its built module in an output's frame on the other, and in between
all that differs from JupyterLab:

====================  ===============================  ================================
what                  Colab                            VS Code
====================  ===============================  ================================
an output's frame     of another origin: no storage,   of the same origin, with VS
                      no parent                        Code's marks and colours
buffers               ``Uint8Array``, in the middle    ``DataView``, in the middle of a
                      of a larger buffer               larger buffer
``render`` gets       ``model`` and ``el``             ``signal`` and ``experimental``,
                                                       too, whose ``invoke`` throws
changes of the page   ipywidgets 7: one message at a   one message for each
                      time, the rest is gathered
====================  ===============================  ================================

Neither has the marks that JupyterLab puts on elements and models: ``jp-*``,
``jupyter-widgets-disconnected``, ``comm_live_update``. What reaches the page is frozen: a host
keeps the same objects for itself.
"""

from __future__ import annotations

import base64
import json
import re
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from comm.base_comm import BaseComm
from ipywidgets.widgets.widget import _remove_buffers

from e2e.alone import STATIC

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Frame, Page, Request

    from glasshead.view import View

_FRAME = """(host) => new Promise((done) => {
  const frame = document.createElement('iframe');
  frame.id = 'output';
  frame.style.cssText = 'width: 980px; height: 900px; border: 0';
  // Of another origin: what reaches for storage, cookies or its parent throws.
  if (host === 'colab') frame.setAttribute('sandbox', 'allow-scripts');
  const policy = "default-src 'none'; script-src blob: 'unsafe-inline' 'unsafe-eval'; " +
    "style-src 'unsafe-inline'; img-src data: blob:; connect-src 'none'";
  const body = host === 'vscode'
    ? '<body class="vscode-dark" data-vscode-theme-kind="vscode-dark">' : '<body>';
  frame.srcdoc = '<!doctype html><meta charset="utf-8">' +
    `<meta http-equiv="Content-Security-Policy" content="${policy}">` +
    '<style>:root { --vscode-editor-background: #1f1f1f; ' +
    '--vscode-editor-foreground: #ccc }</style>' +
    body + '<div id="cell"></div>';
  frame.onload = () => done();
  document.body.replaceChildren(frame);
})"""

_RENDER = """async ([host, source, style, opened]) => {
  const colab = host === 'colab';
  const bytes = (text) => {
    const plain = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const whole = new Uint8Array(plain.length + 5);
    whole.set(plain, 3);
    return colab ? whole.subarray(3, 3 + plain.length)
      : new DataView(whole.buffer, 3, plain.length);
  };
  const freeze = (value) => {
    if (value && typeof value === 'object' && !ArrayBuffer.isView(value)) {
      Object.values(value).forEach(freeze);
      Object.freeze(value);
    }
    return value;
  };
  const filled = (state, paths, buffers) => {
    paths.forEach((path, i) => {
      const last = path.at(-1);
      path.slice(0, -1).reduce((inner, name) => inner[name], state)[last] = bytes(buffers[i]);
    });
    return freeze(state);
  };
  const heard = new Map();
  const fire = (name, ...given) => [...(heard.get(name) ?? [])].forEach((call) => call(...given));
  const traits = { ...filled(opened.state, opened.paths, opened.buffers) };
  const seen = (window.seen = { answers: [], errors: [], sent: 0 });
  window.addEventListener('error', (event) => seen.errors.push(String(event.message)));
  window.addEventListener('unhandledrejection', (event) => seen.errors.push(String(event.reason)));
  const receive = (messages) => {
    for (const { data, buffers } of messages) {
      if (data.method === 'custom') {
        if (data.content.kind === 'answer') seen.answers.push(data.content);
        fire('msg:custom', freeze(data.content), buffers.map(bytes));
      } else {
        const changed = filled(data.state, data.buffer_paths ?? [], buffers);
        Object.assign(traits, changed);
        Object.keys(changed).forEach((name) => fire(`change:${name}`));
      }
    }
  };
  const post = async (data) => {
    seen.sent += 1;
    receive(JSON.parse(await window.kernel(JSON.stringify(data))));
  };
  let changed = {};
  let busy = false;
  const sync = async () => {
    if ((colab && busy) || Object.keys(changed).length === 0) return;
    const state = changed;
    changed = {};
    busy = true;
    await post({ method: 'update', state, buffer_paths: [] });
    busy = false;
    await sync();
  };
  const one = (name) => {
    if (/\\s/.test(name)) throw new Error('one event name at a time');
  };
  const model = {
    get: (name) => traits[name],
    set(name, value) {
      if (traits[name] === value) return;
      traits[name] = value;
      changed[name] = value;
      fire(`change:${name}`);
    },
    on(name, call) {
      one(name);
      heard.set(name, [...(heard.get(name) ?? []), call]);
    },
    off(name, call) {
      one(name);
      heard.set(name, (heard.get(name) ?? []).filter((known) => known !== call));
    },
    save_changes: () => void sync(),
    send: (content) => void post({ method: 'custom', content }),
  };
  document.head.append(Object.assign(document.createElement('style'), { textContent: style }));
  const el = document.createElement('div');
  document.getElementById('cell').append(el);
  const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
  const widget = (await import(url)).default();
  const more = colab ? {}
    : { signal: new AbortController().signal, experimental: { invoke() { throw new Error(); } } };
  await widget.initialize?.({ model, ...more });
  window.end = await widget.render({ model, el, ...more });
  // What a kernel sends by itself.
  setInterval(() => void post({ method: 'poll' }), 60);
}"""


class KernelComm(BaseComm):
    """The way to a page: messages are kept until it takes them."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.out: deque[dict[str, Any]] = deque()
        super().__init__(*args, **options)

    def publish_msg(self, msg_type: str, *_: Any, **options: Any) -> None:
        data = options.get("data") or {}
        if msg_type == "comm_msg" and data.get("method") in ("update", "custom"):
            buffers = [bytes(memoryview(each).cast("B")) for each in options.get("buffers") or []]
            # As it goes over the wire: what changes later is not in it.
            self.out.append({"data": json.loads(json.dumps(data)), "buffers": buffers})


@dataclass
class Output:
    """A view in an output of such a host."""

    page: Page
    view: View
    requests: list[str] = field(default_factory=list[str])
    console: list[str] = field(default_factory=list[str])

    @property
    def frame(self) -> Frame:
        handle = self.page.query_selector("#output")
        frame = handle and handle.content_frame()
        assert frame is not None
        return frame

    def errors(self) -> list[str]:
        """What went wrong in the frame, was refused by it, or reached for the network."""
        return [*self.frame.evaluate("() => window.seen.errors"), *self.console, *self.requests]

    def answers(self) -> list[dict[str, Any]]:
        """Answers of the kernel that have reached the page."""
        return self.frame.evaluate("() => window.seen.answers")

    def take(self, text: str) -> str:
        """One message of the page, and all that there is to say to it."""
        data = json.loads(text)
        if data["method"] != "poll":
            self.view._handle_msg({"content": {"data": data}, "buffers": []})
        out: list[dict[str, Any]] = []
        comm: Any = self.view.comm
        while comm.out:
            message = comm.out.popleft()
            coded = [base64.b64encode(each).decode("ascii") for each in message["buffers"]]
            out.append({**message, "buffers": coded})
        return json.dumps(out)


def show(page: Page, view: View, host: str) -> Output:
    """Show a view whose comm is a :class:`KernelComm`."""
    output = Output(page, view)

    def note(request: Request) -> None:
        if not request.url.startswith(("blob:", "data:")):
            output.requests.append(request.url)

    page.on("request", note)

    def hear(said: ConsoleMessage) -> None:
        if said.type == "error":
            output.console.append(said.text)

    page.on("console", hear)
    page.expose_function("kernel", output.take)
    page.evaluate(_FRAME, host)
    output.requests.clear()  # the frame's own document
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(view).__name__).lower()
    source, style = ((STATIC / f"{name}.{kind}").read_text("utf-8") for kind in ("js", "css"))
    state, paths, buffers = _remove_buffers(view.get_state())
    coded = [base64.b64encode(bytes(each)).decode("ascii") for each in buffers]
    opened = {"state": json.loads(json.dumps(state)), "paths": paths, "buffers": coded}
    output.frame.evaluate(_RENDER, [host, source, style, opened])
    output.frame.wait_for_selector(".gh[data-ready=true]")
    return output
