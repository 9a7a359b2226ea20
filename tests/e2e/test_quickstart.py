"""The quickstart notebook in a real JupyterLab: all four views, both directions, linked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from e2e.serving import ROOT
from e2e.views import (
    CHART,
    EXPLORER,
    LINES,
    MATRIX,
    STRIP,
    VIEWS,
    n_colours,
    picture,
    shown_text,
    view,
    wait_until_drawn,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator

    from e2e.lab import LabServer, Notebook

SECTIONS = {
    "decoder-explore": ("view", "trace"),
    "translation-explore": ("translation_view", "translation"),
    "own-model": ("own_view", "own_view.lines.trace"),
}
"""Cell of each section: what the notebook calls its views and its trace."""


@pytest.fixture(scope="module")
def quickstart(lab: LabServer, open_notebook: Callable[[str], Notebook]) -> Notebook:
    notebook = open_notebook(lab.add_file(ROOT / "examples" / "quickstart.ipynb"))
    notebook.run_all()
    assert notebook.errors() == []
    for cell in SECTIONS:
        wait_until_drawn(notebook.cell_output(cell))
    return notebook


@pytest.fixture
def decoder(quickstart: Notebook) -> Locator:
    quickstart.kernel_run(
        "lines = view.lines\n"
        "lines.layer, lines.heads, lines.selected, lines.hovered = 0, [], [], None"
    )
    output = quickstart.cell_output("decoder-explore")
    expect(view(output, LINES)).to_have_attribute("data-frame", "0::word:self")
    return output


@pytest.mark.parametrize("cell", SECTIONS)
def test_every_view_has_real_content(quickstart: Notebook, cell: str) -> None:
    output, (views, trace) = quickstart.cell_output(cell), SECTIONS[cell]
    for name in (LINES, MATRIX):
        assert n_colours(quickstart, picture(quickstart, view(output, name))) > 5, name
    n_words = quickstart.kernel_eval(f"len({trace}.words('query', {views}.lines.kind))")
    expect(view(output, LINES).locator('[data-side="query"][data-unit]')).to_have_count(n_words)
    n_tokens = quickstart.kernel_eval(f"len({trace}.predictions().tokens)")
    expect(view(output, STRIP).locator("[data-position]")).to_have_count(n_tokens)
    n_layers = quickstart.kernel_eval(f"len({trace}.layers({views}.lines.kind))")
    layers = view(output, CHART).locator("[data-layer]")
    expect(layers.first).to_be_attached()
    numbers = layers.evaluate_all("(all) => [...new Set(all.map((e) => e.dataset.layer))]")
    assert len(numbers) == n_layers


def test_the_strip_shows_the_text_as_it_was_written(quickstart: Notebook) -> None:
    output = quickstart.cell_output("decoder-explore")
    assert quickstart.kernel_eval("text.strip()") in shown_text(view(output, STRIP))


def test_nothing_asks_for_the_network_or_fails_in_the_page(quickstart: Notebook) -> None:
    assert quickstart.foreign_requests == []
    assert quickstart.page_errors == []
    assert quickstart.dialogs == []


def test_a_click_on_next_layer_changes_python(quickstart: Notebook, decoder: Locator) -> None:
    view(decoder, EXPLORER).locator('[data-action="layer-next"]').click()
    quickstart.wait_for_kernel("view.lines.layer", 1)
    quickstart.wait_for_kernel("{v.layer for v in view.views} == {1}", True)
    expect(view(decoder, MATRIX)).to_have_attribute("data-frame", "1::word:self")


def test_a_click_on_the_chart_changes_the_layer(quickstart: Notebook, decoder: Locator) -> None:
    view(decoder, CHART).locator('[data-layer="1"]').first.click(force=True)
    quickstart.wait_for_kernel("view.lines.layer", 1)


def test_heads_set_in_python_change_the_picture(quickstart: Notebook, decoder: Locator) -> None:
    lines, explorer = view(decoder, LINES), view(decoder, EXPLORER)
    tiles = explorer.locator(".gh-head")
    n_heads = quickstart.kernel_eval("trace.n_heads(0)")
    expect(tiles).to_have_count(n_heads)
    before = picture(quickstart, lines)
    quickstart.kernel_run("view.lines.heads = [1]")
    expect(lines).to_have_attribute("data-frame", "0:1:word:self")
    expect(explorer.locator('.gh-head[aria-pressed="true"]')).to_have_count(1)
    expect(explorer.locator('.gh-head[data-head="1"]')).to_have_attribute("aria-pressed", "true")
    assert picture(quickstart, lines) != before
    expect(view(decoder, MATRIX)).to_have_attribute("data-frame", "0:1:word:self")


def test_a_head_tile_clicked_changes_python(quickstart: Notebook, decoder: Locator) -> None:
    explorer = view(decoder, EXPLORER)
    explorer.locator('.gh-head[data-head="2"]').click()
    quickstart.wait_for_kernel("view.lines.heads", [2])
    explorer.locator('.gh-head[data-head="4"]').click(modifiers=["Shift"])
    quickstart.wait_for_kernel("view.lines.heads", [2, 4])


def test_hovering_a_word_lights_it_in_the_other_views(
    quickstart: Notebook, decoder: Locator
) -> None:
    view(decoder, LINES).locator('[data-side="query"][data-unit="2"]').hover()
    position = quickstart.kernel_eval("trace.words()[2].tokens[0]")
    quickstart.wait_for_kernel("view.strip.hovered", position)
    lit_in_strip = view(decoder, STRIP).locator(f'[data-position="{position}"].is-hovered')
    expect(lit_in_strip).to_be_attached()
    lit_in_matrix = view(decoder, MATRIX).locator('[data-unit="2"].is-hovered')
    expect(lit_in_matrix.first).to_be_attached()


def test_hovering_the_strip_lights_the_word_in_the_lines(
    quickstart: Notebook, decoder: Locator
) -> None:
    position = quickstart.kernel_eval("trace.words()[3].tokens[0]")
    view(decoder, STRIP).locator(f'[data-position="{position}"]').hover()
    lit = view(decoder, LINES).locator('[data-side="query"][data-unit="3"].is-hovered')
    expect(lit).to_be_attached()


@pytest.mark.parametrize(
    ("name", "hook"),
    [
        (LINES, '[data-side="query"][data-unit="4"]'),
        (STRIP, '[data-position="5"]'),
        (CHART, '[data-layer="1"]'),
    ],
)
def test_hovering_moves_nothing_on_the_page(
    quickstart: Notebook, decoder: Locator, name: str, hook: str
) -> None:
    """A view that grows under the pointer moves the token away from it, and flickers."""

    def heights() -> list[float]:
        return [view(decoder, each).evaluate("(root) => root.offsetHeight") for each in VIEWS]

    quickstart.page.mouse.move(0, 0)
    before = heights()
    view(decoder, name).locator(hook).first.hover(force=True)
    if name != CHART:
        expect(view(decoder, name).locator(f"{hook}.is-hovered").first).to_be_attached()
    assert heights() == before


def test_a_clicked_word_is_selected_everywhere(quickstart: Notebook, decoder: Locator) -> None:
    view(decoder, LINES).locator('[data-side="query"][data-unit="2"]').click()
    position = quickstart.kernel_eval("trace.words()[2].tokens[0]")
    quickstart.wait_for_kernel("view.chart.selected", [position])
    lit = view(decoder, STRIP).locator(f'[data-position="{position}"].is-selected')
    expect(lit).to_be_attached()


def test_cross_attention_starts_at_the_head_that_aligns_best(quickstart: Notebook) -> None:
    output = quickstart.cell_output("translation-explore")
    assert quickstart.kernel_eval("float(aligning.aligned)") >= 0.9
    layer, head = quickstart.kernel_eval("[int(aligning.loc[name]) for name in ('layer', 'head')]")
    expected = f"{layer}:{head}:word:cross"
    for name in (LINES, MATRIX):
        expect(view(output, name)).to_have_attribute("data-frame", expected)


def test_hovering_a_source_word_lights_it_above_the_translation(quickstart: Notebook) -> None:
    output = quickstart.cell_output("translation-explore")
    view(output, LINES).locator('[data-side="key"][data-unit="2"]').hover()
    position = quickstart.kernel_eval("translation.words('key', 'cross')[2].tokens[0]")
    quickstart.wait_for_kernel("translation_view.strip.hovered_source", position)
    lit = view(output, STRIP).locator(f'[data-source-position="{position}"].is-hovered')
    expect(lit).to_be_attached()


def test_the_views_follow_the_theme(quickstart: Notebook, decoder: Locator) -> None:
    themes = {}
    for theme in ("dark", "light"):
        quickstart.set_theme(theme)
        for name in VIEWS:
            expect(view(decoder, name)).to_have_attribute("data-theme", theme)
        themes[theme] = picture(quickstart, view(decoder, LINES))
    assert themes["dark"] != themes["light"]


def test_the_statistics_of_the_decoder_are_shown_and_linked(quickstart: Notebook) -> None:
    chart = view(quickstart.cell_output("decoder-stats"), CHART)
    expect(chart).to_have_attribute("data-metric", "prediction_divergence")
    expect(chart.locator(".gh-chart-null")).to_have_count(1)
    # Norms of the two groups, the permutations, lengths of tokens.
    expect(chart.locator('[data-panel="histogram"]')).to_have_count(3)
    chart.locator('[data-layer="0"]').click()
    quickstart.wait_for_kernel("view.lines.layer", 0)
