"""A token that is written like an attack shows as what it is: text. In every view."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from e2e.views import LINES, MATRIX, STRIP, shown_text, view, wait_until_drawn

if TYPE_CHECKING:
    from collections.abc import Callable

    from e2e.lab import LabServer, Notebook

HOSTILE = "</script><img src=x onerror=alert(1)>"

_DECODER = f"""
from glasshead import Lens, explore
from transformers import GPT2Config, GPT2LMHeadModel

HOSTILE = {HOSTILE!r}
tokenizer = Lens.demo("decoder").tokenizer
tokenizer.add_tokens([HOSTILE])
config = GPT2Config(
    vocab_size=len(tokenizer), n_layer=2, n_head=4, n_embd=32, bos_token_id=0, eos_token_id=0
)
trace = Lens(GPT2LMHeadModel(config), tokenizer).trace(f"The whale {{HOSTILE}} sank {{HOSTILE}}.")
position = [token.text.strip() for token in trace.queries()].index(HOSTILE)
view = explore(trace, unit="token")
view
"""

# The hostile word is in the source, in the target, and what the model expects everywhere.
_TRANSLATOR = """
import transformers

transformers.logging.set_verbosity_error()  # it says that the new embedding is untrained
translator = Lens.demo("encoder-decoder")
model, tokenizer = translator.model, translator.tokenizer
tokenizer.add_tokens([HOSTILE])
model.resize_token_embeddings(len(tokenizer))
model.final_logits_bias[0, -1] = 100
translation = Lens(model, tokenizer).trace(f"the {HOSTILE} dog ran .", f"le chien {HOSTILE} .")
translation_view = explore(translation, kind="cross", unit="token")
translation_view
"""


@pytest.fixture(scope="module")
def notebook(lab: LabServer, open_notebook: Callable[[str], Notebook]) -> Notebook:
    notebook = open_notebook(lab.add_notebook("hostile.ipynb", [_DECODER, _TRANSLATOR]))
    notebook.run_all()
    assert notebook.errors() == []
    for cell in (0, 1):
        wait_until_drawn(notebook.output(cell))
    return notebook


def assert_nothing_happened(notebook: Notebook) -> None:
    images = "() => document.querySelectorAll('.gh img, img[src=\"x\"], .gh script').length"
    assert notebook.page.evaluate(images) == 0
    assert notebook.dialogs == []
    assert notebook.page_errors == []


@pytest.mark.parametrize("name", [LINES, MATRIX, STRIP])
@pytest.mark.parametrize("cell", [0, 1])
def test_hostile_text_is_shown_as_text(notebook: Notebook, cell: int, name: str) -> None:
    assert HOSTILE in shown_text(view(notebook.output(cell), name))
    assert_nothing_happened(notebook)


def test_the_chart_names_a_selected_hostile_token(notebook: Notebook) -> None:
    notebook.kernel_run("view.chart.selected = [position]")
    explorer = view(notebook.output(0), "explorer")  # which has one line of words for its panes
    notebook.wait_for(
        "([root, text]) => root.textContent.replaceAll('·', ' ').includes(text)",
        [explorer.locator(".gh-footer").last.element_handle(), HOSTILE[:20]],
    )
    assert_nothing_happened(notebook)


@pytest.mark.parametrize(("cell", "views"), [(0, "view"), (1, "translation_view")])
@pytest.mark.parametrize(
    ("name", "hook"), [(LINES, '[data-side="query"][data-unit]'), (STRIP, "[data-position]")]
)
def test_hovering_hostile_text_shows_it_as_text(
    notebook: Notebook, cell: int, views: str, name: str, hook: str
) -> None:
    root = view(notebook.output(cell), name)
    for index in range(min(root.locator(hook).count(), 6)):
        root.locator(hook).nth(index).hover()
        notebook.wait_for_kernel(f"{views}.chart.hovered", index)
        expect(root.locator(f"{hook}.is-hovered").first).to_be_attached()
    notebook.page.mouse.move(0, 0)
    notebook.wait_for_kernel(f"{views}.chart.hovered", None)
    assert_nothing_happened(notebook)
