"""Colab and VS Code, by fakes as strict as they are: every view draws, changes and gets answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import comm
import pytest
from playwright.sync_api import expect
from transformers import GPT2Config, GPT2LMHeadModel

from e2e.foreign import KernelComm, Output, show
from glasshead import (
    AttentionLines,
    FusedAttentionMatrix,
    HeadFinder,
    LayerStatsChart,
    Lens,
    PerplexityStrip,
    TokenTable,
    Trace,
    explore,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Frame, Page

    from glasshead.view import View

TEXT = "The captain looked at the white whale, and the whale looked at the captain."
HOSTS = ("colab", "vscode")


@pytest.fixture(scope="module")
def trace() -> Trace:
    return Lens.demo("decoder").trace(TEXT)


def long_trace() -> Trace:
    """More tokens than the demo model reads, by a small model without training."""
    tokenizer = Lens.demo("decoder").tokenizer
    config = GPT2Config(vocab_size=len(tokenizer), n_layer=1, n_head=2, n_embd=16)
    return Lens(GPT2LMHeadModel(config), tokenizer).trace(" ".join([TEXT] * 36))


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1000, "height": 940}, offline=True)
    page = context.new_page()
    page.set_default_timeout(20_000)
    yield page
    context.close()


@pytest.fixture(autouse=True)
def kernel_comm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comm, "create_comm", KernelComm)


def _point(frame: Frame, selector: str) -> None:
    """Put the pointer on what is drawn there, low and on the left: masks leave no cell out."""
    target = frame.locator(selector).last
    target.scroll_into_view_if_needed()
    box = target.bounding_box()
    assert box is not None
    target.hover(position={"x": 0.3 * box["width"], "y": 0.7 * box["height"]}, force=True)


def _wait_for_answer(output: Output) -> None:
    output.frame.wait_for_function("() => window.seen.answers.length > 0", polling=50)
    assert [answer.get("error") for answer in output.answers() if not answer["ok"]] == []


# What is pointed at so that the view asks its kernel.
ASKING: dict[type[View], str] = {
    AttentionLines: '[data-side="query"][data-unit="5"]',
    FusedAttentionMatrix: ".gh-map-figure canvas",
    PerplexityStrip: '[data-position="530"]',
    HeadFinder: ".gh-body canvas",
}


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("kind", ASKING)
def test_a_view_is_drawn_and_answered(page: Page, trace: Trace, kind: type[Any], host: str) -> None:
    # A long text comes without alternatives.
    shown = long_trace() if kind is PerplexityStrip else trace
    output = show(page, kind(shown), host)
    _point(output.frame, ASKING[kind])
    _wait_for_answer(output)
    expect(output.frame.locator(".gh-banner")).to_have_count(0)
    assert output.errors() == []


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("kind", [AttentionLines, FusedAttentionMatrix, LayerStatsChart, explore])
def test_a_change_of_layer_reaches_the_kernel_and_its_picture_the_page(
    page: Page, trace: Trace, kind: Any, host: str
) -> None:
    view = kind(trace, layer=0)
    output = show(page, view, host)
    output.frame.locator('[data-action="layer-next"]').first.click()
    root = output.frame.locator(".gh").first
    expect(root).to_have_attribute("data-frame", f"1::{view.unit}:self")
    page.wait_for_timeout(200)
    assert view.layer == 1
    expect(output.frame.locator(".gh-banner")).to_have_count(0)
    # What Python sets arrives as well, and what the page sets next is not undone by it.
    view.layer = 0
    expect(root).to_have_attribute("data-frame", f"0::{view.unit}:self")
    assert output.errors() == []


@pytest.mark.parametrize("host", HOSTS)
def test_an_explorer_asks_for_its_panes(page: Page, trace: Trace, host: str) -> None:
    output = show(page, explore(trace), host)
    output.frame.locator('[data-action="code"]').click()
    expect(output.frame.locator(".gh-code code")).to_contain_text("attention")
    _wait_for_answer(output)
    assert output.errors() == []


@pytest.mark.parametrize("host", HOSTS)
def test_a_table_of_tokens_pins_what_is_clicked(page: Page, host: str) -> None:
    view = TokenTable(Lens.demo("decoder"), TEXT)
    output = show(page, view, host)
    output.frame.locator(".tt-text [data-position]").nth(3).click()
    page.wait_for_timeout(300)
    assert len(view.selected) == 1
    assert output.errors() == []


@pytest.mark.parametrize("host", HOSTS)
def test_changes_that_follow_fast_end_in_the_last_one(page: Page, trace: Trace, host: str) -> None:
    view = AttentionLines(trace, layer=0)
    output = show(page, view, host)
    for head in (3, 1, 2, 5):
        output.frame.locator(f'[data-head="{head}"]').click()
    expect(output.frame.locator(".gh").first).to_have_attribute("data-frame", "0:5:token:self")
    page.wait_for_timeout(300)
    assert view.heads == [5]
    expect(output.frame.locator(".gh-banner")).to_have_count(0)
    assert output.errors() == []


def test_vs_codes_dark_theme_is_the_views(page: Page, trace: Trace) -> None:
    output = show(page, AttentionLines(trace), "vscode")
    expect(output.frame.locator(".gh").first).to_have_attribute("data-theme", "dark")
