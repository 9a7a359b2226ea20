"""A real JupyterLab for tests: one server, and a page object for a notebook that is open in it.

Everything goes through ``window.jupyterapp`` in the page instead of menus: the status bar says
"idle" before the kernel session exists, and "Run All" then asks which kernel to use. Waits poll
from here: ``wait_for_function`` hangs on JupyterLab's frames and takes any promise for true.
"""

from __future__ import annotations

import ast
import contextlib
import json
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import Error as PlaywrightError

from e2e.serving import free_port, own_environment, serving
from support.messages import KernelMessage, parse_frame

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from playwright.sync_api import Browser, Locator, Page, Request, WebSocket

POLL = 100
"""Milliseconds between two looks at a condition in the page."""

_SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,  # the toast would cover screenshots
    },
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
    # Cells are laid out as they come instead of only near the viewport: tests look at all of them.
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "defer"},
}

PANEL_READY = """async () => {
  const app = window.jupyterapp;
  if (!app) return false;
  await app.restored;
  const panel = app.shell.currentWidget;
  if (!panel || !panel.sessionContext) return false;
  await panel.context.ready;
  await panel.sessionContext.ready;
  const kernel = panel.sessionContext.session?.kernel;
  if (!kernel) return false;
  await kernel.info;
  return kernel.connectionStatus === 'connected' && kernel.status === 'idle';
}"""
"""Whether the open notebook's kernel answers; cells that are run before are not run at all."""

_EXECUTE = """async ({code, expression}) => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const future = kernel.requestExecute({
    code, silent: false, store_history: false, stop_on_error: false,
    user_expressions: expression === null ? {} : {value: expression},
  });
  const reply = (await future.done).content;
  if (reply.status !== 'ok')
    return {error: (reply.traceback ?? []).join('\\n') || reply.evalue || reply.status};
  if (expression === null) return {text: null};
  const value = reply.user_expressions.value;
  return value.status === 'ok'
    ? {text: value.data['text/plain']}
    : {error: `${value.ename}: ${value.evalue}`};
}"""

_CELL_ERRORS = """() => {
  const cells = window.jupyterapp.shell.currentWidget.content.model.cells;
  const found = [];
  for (let i = 0; i < cells.length; i++) {
    const model = cells.get(i);
    if (model.type !== 'code') continue;
    for (const output of model.toJSON().outputs) {
      if (output.output_type === 'error')
        found.push(`cell ${i}: ${output.ename}: ${output.evalue}`);
      if (output.output_type === 'stream' && output.name === 'stderr')
        found.push(`cell ${i} stderr: ${[output.text].flat().join('')}`);
    }
  }
  return found;
}"""


class KernelError(RuntimeError):
    """Code that a test ran in the notebook's kernel raised."""


@dataclass
class LabServer:
    """A JupyterLab server that runs for the tests."""

    url: str
    folder: Path
    log: Path

    def add_notebook(self, name: str, cells: Sequence[str]) -> str:
        """Write a notebook with these code cells into the server's folder, return its name."""
        notebook = {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
            "cells": [
                {
                    "id": f"cell-{number}",
                    "cell_type": "code",
                    "metadata": {},
                    "execution_count": None,
                    "outputs": [],
                    "source": source,
                }
                for number, source in enumerate(cells)
            ],
        }
        (self.folder / name).write_text(json.dumps(notebook), encoding="utf-8")
        return name

    def add_file(self, path: Path) -> str:
        """Copy a notebook of the repository into the server's folder, return its name."""
        (self.folder / path.name).write_bytes(path.read_bytes())
        return path.name


def _write_settings(folder: Path) -> None:
    for plugin, settings in _SETTINGS.items():
        file = folder / f"{plugin}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings), encoding="utf-8")


@contextmanager
def lab_server(folder: Path, *, seconds: float = 90) -> Iterator[LabServer]:
    """Run JupyterLab on a free loopback port, with all its state in ``folder``."""
    documents = folder / "notebooks"
    documents.mkdir(parents=True, exist_ok=True)
    environment = own_environment(folder)
    _write_settings(Path(environment["JUPYTERLAB_SETTINGS_DIR"]))
    url = f"http://127.0.0.1:{free_port()}"
    log = folder / "server.log"
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        *("--ip=127.0.0.1", f"--port={url.rpartition(':')[2]}", "--ServerApp.port_retries=0"),
        *("--IdentityProvider.token=", "--ServerApp.password="),
        "--ServerApp.disable_check_xsrf=True",
        "--LabApp.expose_app_in_browser=True",
        f"--ServerApp.root_dir={documents}",
    ]
    ready = f"{url}/api/status"
    with serving(command, ready, environment=environment, cwd=documents, log=log, seconds=seconds):
        yield LabServer(url, documents, log)


@dataclass
class Notebook:
    """A notebook that is open in JupyterLab, with its kernel ready."""

    page: Page
    dialogs: list[str] = field(default_factory=list[str])
    page_errors: list[str] = field(default_factory=list[str])
    foreign_requests: list[str] = field(default_factory=list[str])
    _frames: list[bytes] = field(default_factory=list[bytes])
    _sent: list[bytes] = field(default_factory=list[bytes])

    @classmethod
    def open(cls, browser: Browser, server: LabServer, name: str, *, width: int = 1360) -> Notebook:
        """Open a notebook of the server's folder in a page of its own."""
        page = browser.new_page(viewport={"width": width, "height": 1000}, device_scale_factor=1)
        page.set_default_timeout(30_000)
        notebook = cls(page)
        page.on("dialog", notebook._on_dialog)
        page.on("pageerror", lambda error: notebook.page_errors.append(str(error)))
        page.on("request", notebook._on_request)
        page.on("websocket", notebook._on_websocket)
        page.goto(f"{server.url}/doc/tree/{name}?reset")
        notebook.wait_for(PANEL_READY, seconds=90)
        return notebook

    def _on_dialog(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith(("http://127.0.0.1", "data:", "blob:")):
            self.foreign_requests.append(request.url)

    def _on_websocket(self, socket_: WebSocket) -> None:
        def keep(payload: str | bytes) -> None:
            if isinstance(payload, bytes):
                self._frames.append(payload)

        def keep_sent(payload: str | bytes) -> None:
            if isinstance(payload, bytes):
                self._sent.append(payload)

        socket_.on("framereceived", keep)
        socket_.on("framesent", keep_sent)

    def close(self) -> None:
        """End the kernel and close the page."""
        with contextlib.suppress(Exception):
            self.page.evaluate(
                "() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()"
            )
        self.page.close()

    def run_all(self, *, seconds: float = 240) -> None:
        """Run every cell and wait until all are done."""
        finished = self.page.evaluate(
            """(ms) => Promise.race([
              window.jupyterapp.commands.execute('notebook:run-all-cells').then(() => true),
              new Promise((done) => setTimeout(() => done(false), ms)),
            ])""",
            seconds * 1000,
        )
        if not finished:
            message = f"the cells were not done after {seconds:.0f} s"
            raise TimeoutError(message)

    def errors(self) -> list[str]:
        """Errors and stderr output of all cells."""
        return self.page.evaluate(_CELL_ERRORS)

    def kernel_run(self, code: str) -> None:
        """Run statements in the kernel, apart from the notebook's cells."""
        self._execute(code, None)

    def kernel_eval(self, expression: str) -> Any:
        """Value of an expression in the kernel; it travels as JSON."""
        text = self._execute("", f"__import__('json').dumps({expression})")
        return json.loads(ast.literal_eval(text))

    def _execute(self, code: str, expression: str | None) -> str:
        reply = self.page.evaluate(_EXECUTE, {"code": code, "expression": expression})
        if "error" in reply:
            raise KernelError(reply["error"])
        return reply["text"]

    def wait_for_kernel(self, expression: str, value: object, *, seconds: float = 15) -> None:
        """Wait until an expression in the kernel has this value."""
        end = time.monotonic() + seconds
        while (found := self.kernel_eval(expression)) != value:
            if time.monotonic() > end:
                message = f"{expression} is {found!r} after {seconds:.0f} s, expected {value!r}"
                raise TimeoutError(message)
            self.page.wait_for_timeout(POLL)

    def wait_for(self, script: str, argument: Any = None, *, seconds: float = 30) -> None:
        """Wait until a function in the page returns (or resolves to) something true."""
        end = time.monotonic() + seconds
        while not self._look(script, argument):
            if time.monotonic() > end:
                message = f"not true after {seconds:.0f} s: {script} of {argument!r}"
                raise TimeoutError(message)
            self.page.wait_for_timeout(POLL)

    def _look(self, script: str, argument: Any) -> bool:
        try:
            return bool(self.page.evaluate(script, argument))
        except PlaywrightError as error:
            if "context was destroyed" in error.message:  # JupyterLab reloads after `?reset`
                return False
            raise

    def messages(self) -> list[KernelMessage]:
        """Every kernel message that reached the page so far, oldest first."""
        return [message for frame in self._frames if (message := parse_frame(frame))]

    def sent_messages(self) -> list[KernelMessage]:
        """Every message that the page sent to a kernel so far, oldest first."""
        return [message for frame in self._sent if (message := parse_frame(frame))]

    def forget_messages(self) -> None:
        """Start counting messages anew."""
        self._frames.clear()
        self._sent.clear()

    def output(self, cell: int) -> Locator:
        """Output area of a cell (counted from 0, markdown cells included)."""
        cells = self.page.locator(".jp-Notebook .jp-Cell")
        return cells.nth(cell).locator(".jp-Cell-outputArea")

    def cell_output(self, cell_id: str) -> Locator:
        """Output area of the cell with this id."""
        index = self.page.evaluate(
            """(id) => {
              const cells = window.jupyterapp.shell.currentWidget.content.model.cells;
              return [...cells].findIndex((cell) => cell.id === id);
            }""",
            cell_id,
        )
        if index < 0:
            message = f"there is no cell {cell_id!r}"
            raise KeyError(message)
        return self.output(index)

    def set_theme(self, theme: str) -> None:
        """Switch JupyterLab to its "light" or "dark" theme."""
        name = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}[theme]
        self.page.evaluate(
            "(theme) => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", name
        )
        light = "true" if theme == "light" else "false"
        self.wait_for("(light) => document.body.dataset.jpThemeLight === light", light)

    def screenshot(self, target: Locator, path: Path) -> None:
        """Save a picture of an element."""
        path.parent.mkdir(parents=True, exist_ok=True)
        target.scroll_into_view_if_needed()
        target.screenshot(path=path, animations="disabled")
