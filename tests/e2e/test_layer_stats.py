"""Statistics by layer in a real JupyterLab: run, watch, cancel, change, and go where they point."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from e2e.views import CHART, LINES, view

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator

    from e2e.lab import LabServer, Notebook

MODEL = """
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from glasshead import *
from glasshead_backend.demo import DECODER_LONG_TEXT as text
demo = Lens.demo("decoder")
torch.manual_seed(0)
config = LlamaConfig(
    vocab_size=len(demo.tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=6,
    num_attention_heads=4, max_position_embeddings=1024,
)
lens = Lens(LlamaForCausalLM(config).eval(), demo.tokenizer)
trace = lens.trace(text)
"""
SHOWN = """
lines, chart = AttentionLines(trace), LayerStatsChart(trace)
link_views(lines, chart)
lines
"""
DECODER = """
decoder = LayerStatsChart(demo.trace(text), "prediction_divergence")
decoder
"""
OVER_TEXTS = "chart.metric = OverTexts(of='entropy', texts=[text[i:] for i in range({n})])"


@pytest.fixture(scope="module")
def notebook(lab: LabServer, open_notebook: Callable[[str], Notebook]) -> Notebook:
    cells = [MODEL, SHOWN, "chart", DECODER]
    notebook = open_notebook(lab.add_notebook("layer_stats.ipynb", cells))
    notebook.run_all()
    assert notebook.errors() == []
    return notebook


@pytest.fixture
def chart(notebook: Notebook) -> Locator:
    notebook.kernel_run("chart.cancel(); chart.metric = 'norm'; chart.layer = 0; chart.heads = []")
    shown = view(notebook.output(2), CHART)
    expect(shown).to_have_attribute("data-metric", "norm")
    expect(shown).to_have_attribute("data-frame", "0::token:self")
    return shown


@pytest.fixture
def lines(notebook: Notebook, chart: Locator) -> Locator:
    del chart  # back to the first layer
    return view(notebook.output(1), LINES)


@pytest.fixture
def decoder_chart(notebook: Notebook) -> Locator:
    shown = view(notebook.output(3), CHART)
    expect(shown).to_have_attribute("data-metric", "prediction_divergence")
    return shown


def choose(chart: Locator, metric: str) -> None:
    chart.locator('[data-action="metric"]').select_option(metric)


def fill_in(chart: Locator, parameter: str, value: str) -> None:
    field = chart.locator(f'[data-parameter="{parameter}"]')
    field.fill(value)
    field.press("Enter")


def test_a_click_on_a_layer_takes_the_lines_there(
    notebook: Notebook, chart: Locator, lines: Locator
) -> None:
    chart.locator('[data-layer="4"]').click()
    expect(lines).to_have_attribute("data-frame", "4::token:self")
    notebook.wait_for_kernel("[lines.layer, chart.layer]", [4, 4])
    expect(chart.locator('[data-panel="histogram"] figcaption')).to_contain_text("Layer 4")


def test_mutual_information_of_a_word_and_other_bins(notebook: Notebook, chart: Locator) -> None:
    choose(chart, "mutual_information")
    expect(chart.locator(".gh-chart-waiting")).to_contain_text("needs “Target”")
    assert notebook.kernel_eval("chart.metric.name") == "norm"
    fill_in(chart, "target", " the")
    expect(chart).to_have_attribute("data-metric", "mutual_information")
    # Information by distance, and the first two places in both blocks.
    expect(chart.locator('[data-panel="scatter"]')).to_have_count(3)
    before = notebook.kernel_eval("chart.to_frame().mi.sum()")
    fill_in(chart, "bins", "8")
    notebook.wait_for_kernel("[chart.metric.bins, chart.metric.target]", [8, " the"])
    expected = "mutual_information(trace, ' the', bins=8).to_frame().mi.sum()"
    assert notebook.kernel_eval("chart.to_frame().mi.sum()") == notebook.kernel_eval(expected)
    assert notebook.kernel_eval(expected) != before
    chart.locator('[data-action="quantity"] [data-value="tau"]').click()
    expect(chart.locator(".gh-chart-unit")).to_contain_text("Kendall")


def test_what_cannot_be_found_is_said_and_the_picture_stays(
    notebook: Notebook, chart: Locator
) -> None:
    notebook.kernel_run("chart.metric = MutualInformation(target=' the')")
    expect(chart).to_have_attribute("data-metric", "mutual_information")
    fill_in(chart, "target", " zebra")
    expect(chart.locator(".gh-banner.is-error")).to_contain_text("' zebra' is not in the text")
    expect(chart.locator(".gh-chart-series")).to_have_count(2)
    fill_in(chart, "bins", "-3")
    assert notebook.kernel_eval("chart.metric.bins") == 15
    fill_in(chart, "target", "[1, 4, 8, 13]")
    expect(chart.locator(".gh-banner")).to_have_count(0)
    notebook.wait_for_kernel("list(chart.result.positions)", [1, 4, 8, 13])


def test_the_logit_lens_lists_what_a_layer_would_predict(
    notebook: Notebook, chart: Locator
) -> None:
    choose(chart, "logit_lens")
    rows = chart.locator('[data-panel="table"] tbody tr')
    expect(rows).to_have_count(notebook.kernel_eval("len(trace.queries()) - 1"))
    expect(rows.first.locator("td").nth(1)).to_have_text(
        notebook.kernel_eval("trace.queries()[1].text")
    )


def test_permutations_show_their_null_and_what_was_observed(
    notebook: Notebook, decoder_chart: Locator
) -> None:
    chart = decoder_chart
    expect(chart.locator(".gh-chart-null")).to_have_count(1)
    expect(chart.locator(".gh-legend")).to_contain_text("shuffled labels")
    panel = chart.locator('[data-panel="histogram"]').nth(1)
    p = notebook.kernel_eval("f'{float(decoder.result.p[0]):.3g}'")
    expect(panel.locator(".gh-panel-words")).to_contain_text(f"p = {p}")
    expect(panel.locator(".gh-panel-mark")).to_have_count(1)


def test_many_texts_stream_in_and_can_be_cancelled(notebook: Notebook, chart: Locator) -> None:
    notebook.kernel_run(OVER_TEXTS.format(n=300))
    banner = chart.locator(".gh-banner.is-busy")
    expect(banner).to_contain_text("of 300: ")
    expect(chart).to_have_attribute("data-partial", "")
    expect(chart.locator(".gh-status")).to_contain_text("So far: texts ")
    banner.locator('[data-action="cancel"]').click()
    expect(banner).to_have_count(0)
    expect(chart).to_have_attribute("data-metric", "norm")
    expect(chart).not_to_have_attribute("data-partial", "")
    notebook.wait_for_kernel("[chart.metric.name, chart.busy, chart.error]", ["norm", "", ""])


def test_many_texts_come_to_an_end(notebook: Notebook, chart: Locator) -> None:
    notebook.kernel_run(OVER_TEXTS.format(n=12))
    expect(chart).to_have_attribute("data-metric", "entropy")
    expect(chart).not_to_have_attribute("data-partial", "", timeout=30_000)
    expect(chart.locator(".gh-settings")).to_contain_text("mean over 12 texts")
    chart.locator('[data-action="picture"] [data-value="lines"]').click()
    expect(chart.locator(".gh-legend")).to_contain_text("95 % t interval")
    assert notebook.kernel_eval("len(chart.to_frame())") == 24


def test_a_head_on_the_heat_map_is_selected_in_the_lines(
    notebook: Notebook, chart: Locator, lines: Locator
) -> None:
    choose(chart, "previous_token")
    chart.locator('[data-action="picture"] [data-value="map"]').click()
    chart.locator('[data-cell="2:3"]').click()
    expect(lines).to_have_attribute("data-frame", "2:3:token:self")
    notebook.wait_for_kernel("[lines.layer, lines.heads]", [2, [3]])
    chart.locator('[data-panel="bars"] [data-head="1"]').click()
    expect(lines).to_have_attribute("data-frame", "2:1:token:self")


def test_a_metric_of_ones_own_in_three_lines(notebook: Notebook, chart: Locator) -> None:
    notebook.kernel_run("def last_norm(trace, layer):\n    return trace.norms()['mlp'][layer][-1]")
    notebook.kernel_run("chart.metric = last_norm")
    expect(chart.locator(".gh-chart-title")).to_contain_text("Last norm")
    expect(chart.locator('[data-action="metric"]')).to_have_value("own")
    expected = "[float(trace.norms()['mlp'][layer][-1]) for layer in range(6)]"
    assert notebook.kernel_eval("list(chart.to_frame().value)") == pytest.approx(
        notebook.kernel_eval(expected)
    )


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_the_picture_can_be_taken_home(notebook: Notebook, chart: Locator, kind: str) -> None:
    chart.locator('[data-action="save"]').click()
    with notebook.page.expect_download() as begun:
        chart.locator(f'[data-action="save-{kind}"]').click()
    assert begun.value.suggested_filename == f"glasshead-norm.{kind}"
    content = Path(begun.value.path()).read_bytes()
    if kind == "png":
        assert content.startswith(b"\x89PNG")
        return
    root = ET.fromstring(content)  # noqa: S314  our own
    words = "".join(root.itertext())
    assert "Size of what each block adds to the residual stream" in words
    assert b"var(--" not in content
    assert b"class=" not in content
    assert notebook.page_errors == []
