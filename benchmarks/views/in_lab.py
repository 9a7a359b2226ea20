"""Our views in a real JupyterLab, with a kernel that answers."""

from __future__ import annotations

import itertools
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from browser import COUNT_PAINTS, browser_seconds, rest

from e2e.lab import Notebook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Locator, Page

    from e2e.lab import LabServer

SETUP = """
import glasshead
import torch
from glasshead import Lens
from transformers import LlamaConfig, LlamaForCausalLM

torch.set_num_threads(1)
torch.manual_seed(0)

def random_lens(layers, heads):
    "A model with random weights, so large that its heads look at few tokens: lines to draw."
    tokenizer = Lens.demo("decoder").tokenizer
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=8 * heads, intermediate_size=8 * heads,
        num_hidden_layers=layers, num_attention_heads=heads, max_position_embeddings=16384,
        initializer_range=0.2,
    ))
    return Lens(model.eval(), tokenizer)

def trace_of(lens, n_tokens):
    "A trace of exactly so many tokens."
    return lens.trace(text_of(lens, n_tokens))

def text_of(lens, n_tokens):
    some = "The keeper saw the whale and the whale saw the keeper, and the night was long. "
    text = some * (n_tokens // 8 + 1)
    return text[: lens.tokenize(text)[n_tokens - 1].end]
"""


class Lab:
    """A view that is shown by a notebook's only cell, and what is done to it."""

    def __init__(self, notebook: Notebook, name: str) -> None:
        self.notebook = notebook
        self.page: Page = notebook.page
        self.root: Locator = notebook.output(0).locator(f'.gh[data-view="{name}"]')

    def open(self) -> float:
        """Run the cell; CPU seconds of all browser processes until the view has come to rest."""
        rest(self.page)
        before = browser_seconds()
        self.notebook.run_all()
        self.root.and_(self.page.locator('[data-ready="true"]')).wait_for(timeout=120_000)
        rest(self.page)
        return browser_seconds() - before

    def n_nodes(self) -> int:
        """Count the elements of the view."""
        return self.root.evaluate("(root) => root.querySelectorAll('*').length + 1")

    def hovers(self) -> Iterator[Callable[[], None]]:
        """Pointing at one row's label after the other, as far as they are in sight."""
        labels = self.root.locator('[data-side="query"][data-unit]')
        self.root.scroll_into_view_if_needed()
        places = labels.evaluate_all(
            """(labels) => labels.map((label) => {
              const box = label.getBoundingClientRect();
              const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
              const hit = document.elementFromPoint(x, y)?.closest('[data-unit]');
              return hit === label ? [x, y] : null;
            }).filter((place) => place !== null)"""
        )
        assert len(places) > 1, "no labels to point at"
        for x, y in itertools.cycle(places):
            yield lambda x=x, y=y: self.page.mouse.move(x, y)

    def layers(self) -> Iterator[Callable[[], None]]:
        """Going to the next layer and back."""
        for action in itertools.cycle(("layer-next", "layer-previous")):
            button = self.root.locator(f'[data-action="{action}"]')
            yield lambda button=button: button.evaluate("(button) => button.click()")

    def wheel(self, selector: str) -> Iterator[Callable[[], None]]:
        """Scrolling down, one step of the wheel at a time."""
        box = self.root.locator(selector).first.bounding_box()
        assert box is not None, f"{selector} is not in sight"
        self.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + min(box["height"] / 2, 200))
        while True:
            yield lambda: self.page.mouse.wheel(0, 100)

    def nothing(self) -> Iterator[Callable[[], None]]:
        """Waiting: what JupyterLab itself uses."""
        return itertools.repeat(lambda: None)


@contextmanager
def shown(browser: Browser, server: LabServer, name: str, trace: str, code: str) -> Iterator[Lab]:
    """Open a notebook whose only cell shows a view of a trace that its kernel has.

    Parameters
    ----------
    browser : Browser
    server : LabServer
    name : str
        The view's ``data-view``.
    trace : str
        Expression of the trace, after :data:`SETUP`.
    code : str
        The cell.
    """
    file = server.add_notebook(f"{name}-{time.monotonic_ns()}.ipynb", [code])
    notebook = Notebook.open(browser, server, file)
    try:
        notebook.page.evaluate(COUNT_PAINTS)
        notebook.kernel_run(f"{SETUP}\ntrace = {trace}\n")
        yield Lab(notebook, name)
    finally:
        notebook.close()
