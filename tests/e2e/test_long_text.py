"""Eight thousand tokens in a real JupyterLab: progress, cancelling, a picture that fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from e2e.views import LINES, MATRIX, n_colours, picture, view

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator

    from e2e.lab import LabServer, Notebook

MODEL = """
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from glasshead import AttentionLines, FusedAttentionMatrix, Lens
tokenizer = Lens.demo("decoder").tokenizer
torch.manual_seed(0)
config = LlamaConfig(
    vocab_size=len(tokenizer), hidden_size=128, intermediate_size=128, num_hidden_layers=3,
    num_attention_heads=16, max_position_embeddings=8192,
)
lens = Lens(LlamaForCausalLM(config).eval(), tokenizer)
text = "The whale swam along the shores while unforeseeable weather gathered above them, " * 700
trace = lens.trace(text[: lens.tokenize(text)[8191].end])
"""


@pytest.fixture(scope="module")
def notebook(lab: LabServer, open_notebook: Callable[[str], Notebook]) -> Notebook:
    shown = "matrix = FusedAttentionMatrix(trace, heads=[0], unit='token')\nmatrix"
    lines = "lines = AttentionLines(trace, unit='token')\nlines"
    notebook = open_notebook(lab.add_notebook("long_text.ipynb", [MODEL, shown, lines]))
    notebook.run_all()
    assert notebook.errors() == []
    return notebook


@pytest.fixture
def lines(notebook: Notebook) -> Locator:
    shown = view(notebook.output(2), LINES)
    expect(shown).to_have_attribute("data-frame", "0::token:self", timeout=60_000)
    return shown


def test_a_matrix_of_sixty_seven_million_weights_is_a_picture(notebook: Notebook) -> None:
    matrix = view(notebook.output(1), MATRIX)
    expect(matrix).to_have_attribute("data-frame", "0:0:token:self", timeout=60_000)
    assert n_colours(notebook, picture(notebook, matrix)) > 5
    assert notebook.kernel_eval("matrix.frame['cells_per_pixel']") == 16
    notebook.kernel_run("arrays = [v for v in matrix.frame.values() if isinstance(v, dict)]")
    assert notebook.kernel_eval("sum(len(v.get('data', b'')) for v in arrays)") < 1_000_000


def test_a_long_layer_says_how_far_it_is_and_can_be_cancelled(
    notebook: Notebook, lines: Locator
) -> None:
    lines.locator('[data-action="layer-next"]').click()
    banner = lines.locator(".gh-banner.is-busy")
    expect(banner).to_contain_text("self attention of layer 1: ")
    banner.locator('[data-action="cancel"]').click()
    expect(banner).to_have_count(0)
    notebook.wait_for_kernel("[lines.layer, lines.busy, lines.error]", [0, "", ""])
    expect(lines).to_have_attribute("data-frame", "0::token:self")
    expect(lines.locator("select.gh-layer")).to_have_value("0")


def test_of_many_layers_asked_for_only_the_last_is_computed(
    notebook: Notebook, lines: Locator
) -> None:
    for action in ("layer-next", "layer-next"):
        lines.locator(f'[data-action="{action}"]').click()
    expect(lines).to_have_attribute("data-frame", "2::token:self", timeout=60_000)
    seen = "[key[1].layer for key in trace._run.store._remembered if key[0] == 'thumbnails']"
    assert 1 not in notebook.kernel_eval(seen)
    expect(lines.locator(".gh-banner")).to_have_count(0)
    assert notebook.page_errors == []
