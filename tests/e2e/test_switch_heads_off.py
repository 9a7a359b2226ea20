"""Heads are switched off and on by mouse and by keys, in JupyterLab and in a saved page.

What the model predicts without a head is computed in the notebook's kernel, by a hook written by
hand on the output projection of its layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from playwright.sync_api import expect

from e2e.saved import opened
from e2e.test_accessibility import AXE
from e2e.views import EXPLORER, LINES, STRIP, view, wait_until_drawn
from glasshead import Lens, StoryStep, explore, story

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Browser, Locator

    from e2e.lab import LabServer, Notebook

TEXT = "stone oil nine rope sea king lamp fish gold stone oil nine rope sea king lamp fish gold"
_EXPLORE = f"""
import math, threading
import torch
from glasshead import Lens, Trace, explore

lens = Lens.demo("decoder")
trace = lens.trace("{TEXT}")
ablate = Trace.ablate

def bits(layer=None, head=None):
    model = lens.model
    ids = torch.tensor([[token.id for token in trace.tokens]])
    handles = []
    if layer is not None:
        attention = model.model.layers[layer].self_attn
        size = attention.head_dim
        def zeroed(_, args):
            given = args[0].clone()
            given[..., head * size : (head + 1) * size] = 0
            return (given, *args[1:])
        handles.append(attention.o_proj.register_forward_pre_hook(zeroed))
    with torch.no_grad():
        log_p = model(ids).logits.double().log_softmax(-1)
    for handle in handles:
        handle.remove()
    return (-log_p[0, :-1].gather(-1, ids[0, 1:, None])[:, 0] / math.log(2)).tolist()

go_on = threading.Event()
def slowly(self, *args, **named):
    from glasshead_backend.progress import steps
    for _ in steps(range(6000), "running the model", 6000):
        if go_on.wait(0.01):
            break
    return ablate(self, *args, **named)

view = explore(trace, layer=1, panes=["lines", "strip"])
view
"""


@pytest.fixture(scope="module")
def notebook(lab: LabServer, open_notebook: Callable[[str], Notebook]) -> Notebook:
    notebook = open_notebook(lab.add_notebook("heads-off.ipynb", [_EXPLORE]))
    notebook.run_all()
    assert notebook.errors() == []
    for name in (LINES, STRIP):
        expect(view(notebook.output(0), name)).to_have_attribute("data-ready", "true")
    return notebook


@pytest.fixture
def explorer(notebook: Notebook) -> Locator:
    notebook.kernel_run("view.set(off=[], off_how='zero', layer=1, heads=[])")
    notebook.wait_for_kernel("(view.busy, 'without' in view.frame)", ["", False])
    root = view(notebook.output(0), EXPLORER)
    expect(root.locator(".gh-head.is-off")).to_have_count(0)
    return root


def switch(explorer: Locator, head: int) -> Locator:
    return explorer.locator(f'.ex-switch[data-off="{head}"]')


def status(explorer: Locator) -> Locator:
    return explorer.locator(".gh-footer .gh-status").last


def test_a_click_switches_a_head_off_and_the_strip_shows_what_that_changes(
    notebook: Notebook, explorer: Locator
) -> None:
    strip = view(explorer, STRIP)
    before = strip.locator(".gh-strip-scroller").screenshot()
    switch(explorer, 3).click()
    expect(switch(explorer, 3)).to_have_attribute("aria-pressed", "true")
    expect(status(explorer)).to_contain_text("Head 3 of layer 1 off: ")
    assert notebook.kernel_eval("view.off") == [["self", 1, 3]]
    expect(explorer.locator('[data-head="3"]')).to_have_class("gh-head is-off")
    expect(strip.locator(".gh-legend")).to_contain_text("Head 3 of layer 1 off − the whole model")
    changes = np.subtract(notebook.kernel_eval("bits(1, 3)"), notebook.kernel_eval("bits()"))
    # What the card says of the token that changed most is the difference by hand.
    most = int(np.abs(changes).argmax()) + 1
    strip.locator(f'[data-position="{most}"]').first.hover()
    bits = f"{changes[most - 1]:+.2f} bits".replace("-", "−")
    expect(strip.locator(".gh-strip-card-note").first).to_contain_text(bits)
    shown = notebook.kernel_eval(
        "[float(x) for x in view.strip.to_frame()['surprisal_difference'][1:] / math.log(2)]"
    )
    assert np.allclose(shown, changes, atol=1e-4)
    explorer.page.mouse.move(0, 0)
    switch(explorer, 3).click()
    expect(explorer.locator(".gh-head.is-off")).to_have_count(0)
    expect(status(explorer)).not_to_contain_text("off")
    explorer.page.wait_for_timeout(200)
    assert strip.locator(".gh-strip-scroller").screenshot() == before


def test_keys_do_the_same_and_the_focus_stays(notebook: Notebook, explorer: Locator) -> None:
    tile = explorer.locator('[data-head="0"]')
    tile.focus()
    tile.press("ArrowRight")
    explorer.page.keyboard.press("o")
    notebook.wait_for_kernel("view.off", [["self", 1, 1]])
    expect(explorer.locator('[data-head="1"]')).to_be_focused()
    expect(status(explorer)).to_contain_text("Head 1 of layer 1 off")
    explorer.page.keyboard.press("Tab")  # to the stop among the switches
    focused = explorer.locator(".ex-switch:focus")
    expect(focused).to_have_count(1)
    explorer.page.keyboard.press("End")
    explorer.page.keyboard.press("Enter")
    notebook.wait_for_kernel("view.off", [["self", 1, 1], ["self", 1, 11]])
    explorer.locator('[data-action="layer-previous"]').click()
    expect(explorer.locator(".gh-head.is-off")).to_have_count(0)
    all_on = explorer.locator('[data-action="all-on"]')
    expect(all_on).to_have_text("All on")
    all_on.press("Enter")
    notebook.wait_for_kernel("view.off", [])
    expect(all_on).to_have_text("2 heads off again")
    expect(all_on).to_be_focused()


def test_a_run_that_takes_long_says_so_and_is_cancelled(
    notebook: Notebook, explorer: Locator
) -> None:
    notebook.kernel_run("Trace.ablate = slowly")
    try:
        switch(explorer, 2).click()
        busy = explorer.locator(".gh-banner.is-busy")
        expect(busy).to_contain_text("running the model")
        expect(switch(explorer, 2)).to_have_attribute("aria-pressed", "true")
        busy.locator('[data-action="cancel"]').click()
        expect(busy).to_have_count(0)
        expect(switch(explorer, 2)).to_have_attribute("aria-pressed", "false")
        assert notebook.kernel_eval("view.off") == []
    finally:
        notebook.kernel_run("go_on.set(); Trace.ablate = ablate")
    assert notebook.page_errors == []


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    trace = Lens.demo("decoder").trace(TEXT)
    shown = explore(trace, off=[(0, 1), (1, 3)], layer=1, off_how="mean")
    return shown.save_html(tmp_path_factory.mktemp("saved") / "off.html").path


def test_a_saved_page_leads_to_the_whole_run_and_back(browser: Browser, saved: Path) -> None:
    with opened(browser, saved) as page:
        root = page.page.locator(f'.gh[data-view="{EXPLORER}"]')
        wait_until_drawn(root)
        words = "Head 1 of layer 0, head 3 of layer 1 at their means"
        expect(status(root)).to_contain_text(words)
        expect(root.locator(".gh-head.is-off")).to_have_count(1)
        picture = view(root, STRIP).locator(".gh-legend").inner_text()
        assert "the whole model" in picture
        expect(switch(root, 5)).to_have_attribute("aria-disabled", "true")
        root.locator('[data-action="all-on"]').click()
        expect(view(root, STRIP).locator(".gh-legend")).to_contain_text("Surprisal")
        expect(view(root, STRIP).locator(".gh-legend")).not_to_contain_text("the whole model")
        expect(status(root)).not_to_contain_text(words)
        root.locator('[data-action="all-on"]').click()
        expect(status(root)).to_contain_text(words)
        assert view(root, STRIP).locator(".gh-legend").inner_text() == picture
        page.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.page.evaluate("axe.run('.ex-header').then(({ violations }) => violations)")
        assert [one["id"] for one in found] == []


def test_a_story_on_a_saved_page_switches_heads_off_and_on(
    browser: Browser, tmp_path: Path
) -> None:
    shown = explore(Lens.demo("decoder").trace(TEXT), layer=1, panes=["lines", "strip"])
    steps = [StoryStep("All."), StoryStep("Without.", {"off": [(1, 3)]}), StoryStep("All again.")]
    path = story(shown, steps).save_html(tmp_path / "story.html").path
    with opened(browser, path) as page:
        root = page.page.locator(f'.gh[data-view="{EXPLORER}"]')
        expect(view(root, STRIP)).to_have_attribute("data-ready", "true")
        following = root.locator('[data-action="story-next"]')
        following.click()
        expect(status(root)).to_contain_text("Head 3 of layer 1 off: ")
        expect(switch(root, 3)).to_have_attribute("aria-pressed", "true")
        following.click()
        expect(status(root)).not_to_contain_text("off")
        expect(view(root, STRIP).locator(".gh-legend")).not_to_contain_text("the whole model")
