"""Scores before the softmax in the matrix, in a real browser, with and without a kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from playwright.sync_api import expect

from e2e.saved import opened
from e2e.views import EXPLORER, MATRIX, view
from glasshead import FusedAttentionMatrix, Lens, explore
from glasshead_backend.demo import SOURCE_TEXT, TARGET_TEXT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Browser

    from e2e.lab import LabServer, Notebook
    from glasshead import Trace

HEAD = 1
SHOW = f"""\
from glasshead import FusedAttentionMatrix, Lens

trace = Lens.demo("encoder-decoder").trace({SOURCE_TEXT!r}, {TARGET_TEXT!r})
matrix = FusedAttentionMatrix(trace, kind="decoder", layer=0, heads=[{HEAD}], unit="token")
matrix"""


@pytest.fixture(scope="module")
def translation() -> Trace:
    return Lens.demo("encoder-decoder").trace(SOURCE_TEXT, TARGET_TEXT)


@pytest.fixture(scope="module")
def true(translation: Trace) -> np.ndarray:
    """Own products of the queries and keys of a head of Marian's decoder, in float64."""
    model: Any = translation.lens.model
    own = model.model.decoder.layers[0].self_attn
    size = own.head_dim
    flat: list[torch.Tensor] = []

    def keep(_: Any, __: Any, out: torch.Tensor) -> None:
        flat.append(out[0].double())

    hooks = [part.register_forward_hook(keep) for part in (own.q_proj, own.k_proj)]
    ids = [
        torch.tensor([[token.id for token in tokens]])
        for tokens in (translation.keys("cross"), translation.queries("cross"))
    ]
    with torch.no_grad():
        model(input_ids=ids[0], decoder_input_ids=ids[1])
    for hook in hooks:
        hook.remove()
    query, key = (part[:, HEAD * size : (HEAD + 1) * size] for part in flat)
    return (query @ key.T / size**0.5).numpy()


def test_ten_scores_are_said_as_own_products_give_them(
    lab: LabServer,
    open_notebook: Callable[[str], Notebook],
    true: np.ndarray,
) -> None:
    notebook = open_notebook(lab.add_notebook("scores.ipynb", [SHOW]))
    notebook.run_all()
    root = view(notebook.output(0), MATRIX)
    root.locator('[data-action="scores"]').click()
    notebook.wait_for_kernel("matrix.scores", True)
    expect(root.locator(".gh-legend")).to_contain_text("score before the softmax")
    root.scroll_into_view_if_needed()
    root.focus()
    keyboard = notebook.page.keyboard
    said: list[float] = []
    value, cell = root.locator(".fm-value"), root.locator(".fm-cell")
    keyboard.press("ArrowDown")  # the first cell
    places = [(row, key) for row in range(1, 5) for key in range(row + 1)][:10]
    for row, key in places:
        keyboard.press("ArrowDown" if key == 0 else "ArrowRight")
        if key == 0:
            keyboard.press("Home")
        expect(value).to_have_text(signed(true[row, key]))
        weights = np.exp(true[row, : row + 1]) / np.exp(true[row, : row + 1]).sum()
        expect(cell).to_contain_text(f"becomes a weight of {written(weights[key])}")
        said.append(true[row, key])
    assert min(said) < 0 < max(said)
    expect(root.locator('[data-action="normalise"]')).to_have_attribute("aria-disabled", "true")
    root.get_by_role("button", name="Words", exact=True).click()
    notebook.wait_for_kernel("matrix.scores", False)
    expect(root.locator(".gh-legend")).not_to_contain_text("score")
    assert notebook.errors() == []


def written(weight: float) -> str:
    """Four places; what is not quite 0 or 1 is not called so."""
    text = f"{weight:.4f}"
    return {"0.0000": "< 0.0001", "1.0000": "> 0.9999"}.get(text, text)


def signed(score: float) -> str:
    return f"{score:+.4f}".replace("-", "−")


def test_a_page_shows_the_scores_that_it_was_saved_with_and_weights_of_all_else(
    browser: Browser, tmp_path: Path, translation: Trace, true: np.ndarray
) -> None:
    path = tmp_path / "page.html"
    FusedAttentionMatrix(translation, kind="decoder", layer=0, heads=[HEAD], scores=True).save_html(
        path
    )
    with opened(browser, path) as page:
        root = view(page.page.locator("body"), MATRIX)
        button = root.locator('[data-action="scores"]')
        root.focus()
        for _ in range(3):
            page.page.keyboard.press("ArrowDown")
        expect(root.locator(".fm-value")).to_have_text(signed(true[2, 0]))
        root.locator('[data-action="layer-next"]').click()
        expect(root.locator(".fm-caption")).to_contain_text("layer 1")
        expect(root.locator(".fm-caption")).not_to_contain_text("scores")
        expect(button).to_have_attribute("aria-pressed", "false")
        expect(button).to_have_attribute("aria-disabled", "true")
        expect(button).to_have_attribute(
            "title", "Scores need a running kernel: this page has weights only"
        )
        expect(page.page.locator(".gh-banner")).to_have_count(0)


def test_an_instrument_that_is_saved_keeps_its_scores_until_something_else_is_drawn(
    browser: Browser, tmp_path: Path, translation: Trace
) -> None:
    path = tmp_path / "page.html"
    explore(translation, kind="decoder", unit="token", matrix_scores=True).save_html(path)
    with opened(browser, path, viewport={"width": 1400, "height": 1000}) as page:
        explorer = view(page.page.locator("body"), EXPLORER)
        matrix = view(explorer, MATRIX)
        expect(matrix.locator(".fm-caption")).to_contain_text("scores before the softmax")
        explorer.locator('.gh-heads [data-head="1"]').click()
        expect(matrix.locator(".fm-caption")).not_to_contain_text("scores")
        expect(explorer.locator(".gh-banner")).to_have_count(0)
