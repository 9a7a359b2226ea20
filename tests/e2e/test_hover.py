"""Pointing at one token after the other: what it costs, and that every number said is exact."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from playwright.sync_api import expect

from e2e.views import LINES, MATRIX, view
from glasshead import Lens

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator

    from e2e.lab import LabServer, Notebook

TEXT = "The keeper saw the whale and the whale saw the keeper, and the night was long and calm."
SHOW = f"""\
from glasshead import AttentionLines, FusedAttentionMatrix, Lens

trace = Lens.demo("decoder").trace({TEXT!r})
lines = AttentionLines(trace, layer=1, heads=[0, 3], sinks="shown")
lines"""
SHOW_MATRIX = """\
matrix = FusedAttentionMatrix(trace, layer=1, heads=[0, 3], unit="token", sinks="shown")
matrix"""
ROWS = range(4, 14)

# A pointer that comes to rest is told of: one message of state, and what is asked for once.
MOST = 4


@pytest.fixture(scope="module")
def notebook(lab: LabServer, open_notebook: Callable[[str], Notebook]) -> Notebook:
    notebook = open_notebook(lab.add_notebook("hover.ipynb", [SHOW, SHOW_MATRIX]))
    notebook.run_all()
    return notebook


@pytest.fixture(scope="module")
def weights() -> np.ndarray:
    """The mean of two heads, from the model's own weights."""
    trace = Lens.demo("decoder").trace(TEXT)
    return trace.attention(1, [0, 3]).double().numpy().mean(axis=0)


def point_at(notebook: Notebook, target: Locator) -> None:
    box = target.bounding_box()
    assert box is not None
    notebook.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def sent(notebook: Notebook) -> list[str]:
    """What the page has sent to its views in the kernel."""
    return [str(message.content) for message in notebook.sent_messages() if message.is_comm]


def test_ten_tokens_cost_a_few_messages_and_every_number_is_exact(
    notebook: Notebook, weights: np.ndarray
) -> None:
    root = view(notebook.output(0), LINES)
    root.scroll_into_view_if_needed()
    labels = [root.locator(f'[data-side="query"][data-unit="{row}"]') for row in ROWS]
    status = root.locator(".gh-status")
    point_at(notebook, labels[0])
    expect(status).not_to_contain_text("or more")
    notebook.wait_for_kernel("lines.hovered", ROWS[0])
    notebook.forget_messages()
    for row, label in zip(ROWS, labels, strict=True):
        point_at(notebook, label)
        expect(status).to_contain_text(f"token {row} ")
        words = status.inner_text()
        said = [float(number) for number in re.findall(r"’\S* (\d\.\d+)", words)]
        strongest = -np.sort(-weights[row])[: len(said)]
        assert len(said) >= 1
        np.testing.assert_allclose(said, strongest, atol=0.00501)
        assert "or more" not in words, "an exact answer was there"
    notebook.wait_for_kernel("lines.hovered", ROWS[-1])
    assert len(sent(notebook)) <= MOST, sent(notebook)


def test_cells_beside_each_other_cost_a_few_messages_and_are_exact(
    notebook: Notebook, weights: np.ndarray
) -> None:
    root = view(notebook.output(1), MATRIX)
    root.scroll_into_view_if_needed()
    root.focus()
    for _ in range(5):
        notebook.page.keyboard.press("ArrowDown")
    value = root.locator(".fm-value")
    expect(value).to_have_text(f"{weights[4, 0]:.4f}")
    notebook.wait_for_kernel("matrix.hovered", 4)
    notebook.forget_messages()
    for row in ROWS[1:]:
        notebook.page.keyboard.press("ArrowDown")
        expect(value).to_have_text(f"{weights[row, 0]:.4f}")
    notebook.wait_for_kernel("matrix.hovered", ROWS[-1])
    assert len(sent(notebook)) <= MOST, sent(notebook)


def test_a_kernel_that_watches_hears_of_every_token(notebook: Notebook) -> None:
    notebook.kernel_run(
        "seen = []\nlines.observe(lambda change: seen.append(change['new']), names='hovered')"
    )
    root = view(notebook.output(0), LINES)
    root.scroll_into_view_if_needed()
    notebook.page.wait_for_timeout(500)
    for row in ROWS:
        point_at(notebook, root.locator(f'[data-side="query"][data-unit="{row}"]'))
        notebook.page.wait_for_timeout(60)
    notebook.wait_for_kernel("lines.hovered", ROWS[-1])
    heard = notebook.kernel_eval("seen")
    notebook.kernel_run("lines.unobserve_all()")
    assert [row for row in heard if row in ROWS] == list(ROWS)
    assert notebook.errors() == []
