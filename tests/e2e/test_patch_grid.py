"""PatchGrid in a real browser: what it says of a cell is what hooks by hand put out.

The right values are made here, in float64: outputs of the model's own modules in the clean run are
put into a run of the corrupted text, one at a time.
"""

from __future__ import annotations

import copy
import random
import re
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from playwright.sync_api import expect

from e2e.saved import opened, values
from e2e.views import LINES, STRIP, shown_text, view
from glasshead import Lens, PatchGrid

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Page

    from e2e.lab import LabServer, Notebook
    from glasshead import Trace

VIEW = "patch-grid"
LINE = "stone oil nine rope sea {} lamp fish stone oil nine rope sea"
WORDS = ("whale", "ship")
N_CELLS = 14
WINDOW = {"width": 1200, "height": 1000}


@cache
def lens() -> Lens:
    return Lens.demo("decoder")


@cache
def pair() -> tuple[Trace, Trace]:
    clean, corrupted = (lens().trace(LINE.format(word)) for word in WORDS)
    return clean, corrupted


# ---- the right values ----------------------------------------------------------------------------


class ByHand:
    """Two runs of the eager model in float64, and the one with pieces of the other put in."""

    def __init__(self) -> None:
        self.model: Any = copy.deepcopy(lens().model).double().eval()
        self.model.set_attn_implementation("eager")
        self.ids = [torch.tensor([[token.id for token in one.tokens]]) for one in pair()]
        self.clean, self.corrupted = (self.logits(ids) for ids in self.ids)
        # What the clean run expects behind the text, against what the corrupted one does.
        self.tokens = [int(logits.argmax()) for logits in (self.clean, self.corrupted)]
        self.n_heads = self.model.config.num_attention_heads

    def logits(self, ids: torch.Tensor, **how: Any) -> torch.Tensor:
        with torch.no_grad():
            return self.model(ids, use_cache=False, **how).logits[0, -1]

    def f(self, logits: torch.Tensor) -> float:
        token, against = self.tokens
        return float(logits[token] - logits[against])

    def module(self, what: str, layer: int) -> Any:
        block = self.model.model.layers[layer]
        return {
            "residual": block,
            "attention": block.self_attn.o_proj,
            "mlp": block.mlp.down_proj,
            "head": block.self_attn.o_proj,
        }[what]

    def kept(self, what: str, layer: int) -> torch.Tensor:
        """Return what the clean run has there."""
        found: list[torch.Tensor] = []

        def before(_: Any, args: Any) -> None:
            found.append(args[0].clone())

        def behind(_: Any, __: Any, output: Any) -> None:
            found.append(_tensor(output).clone())

        module = self.module(what, layer)
        hook = (
            module.register_forward_pre_hook(before)
            if what == "head"
            else module.register_forward_hook(behind)
        )
        self.logits(self.ids[0])
        hook.remove()
        return found[0]

    def patched(self, what: str, layer: int, place: int, **how: Any) -> Any:
        """Run the corrupted text with a piece of the clean run in it."""
        clean, module = self.kept(what, layer), self.module(what, layer)

        def into(_: Any, __: Any, output: Any) -> Any:
            _tensor(output)[0, place] = clean[0, place]
            return output

        def before(_: Any, args: Any) -> Any:
            wide = args[0].shape[-1] // self.n_heads
            own = slice(place * wide, (place + 1) * wide)
            args[0][..., own] = clean[..., own]
            return args

        hook = (
            module.register_forward_pre_hook(before)
            if what == "head"
            else module.register_forward_hook(into)
        )
        try:
            with torch.no_grad():
                return self.model(self.ids[1], use_cache=False, **how)
        finally:
            hook.remove()

    def cell(self, what: str, layer: int, place: int) -> tuple[float, float]:
        """Return what a patched run puts out, and the share of the difference that it is."""
        found = self.f(self.patched(what, layer, place).logits[0, -1])
        clean, corrupted = self.f(self.clean), self.f(self.corrupted)
        return found, (found - corrupted) / (clean - corrupted)


def _tensor(output: Any) -> torch.Tensor:
    return output[0] if isinstance(output, tuple) else output


@cache
def by_hand() -> ByHand:
    return ByHand()


# ---- the page ------------------------------------------------------------------------------------


def number(text: str) -> float:
    return float(text.replace("\u2212", "-"))


def is_share(said: str, true: float) -> bool:
    """Whether a share is written as it should be: with two places, and on which side of 0 and 1."""
    words = re.fullmatch(r"([<>] )?(−?[\d.]+)", said)
    assert words, said
    written = number(words[2])
    if words[1] == "< ":
        return 0 < true < written
    if words[1] == "> ":
        return true > written and abs(true - written) < 0.011
    return abs(true - written) <= 0.00501


class Shown:
    """The grid on a page, with where its cells are."""

    def __init__(self, page: Page, root: Locator, n_rows: int, n_columns: int) -> None:
        self.page, self.root, self.n_rows, self.n_columns = page, root, n_rows, n_columns
        self.figure = self.root.locator(".pg-figure")
        over = self.figure.locator("canvas").last
        size = over.bounding_box()
        assert size is not None
        over.hover(position={"x": size["width"] / 2, "y": size["height"] - 14})
        box = self.figure.locator(".gh-cross").bounding_box()
        assert box is not None
        # The crosshair may stand 3 pixels out of the grid.
        self.left, self.top = box["x"] + 3, box["y"] + 3
        self.width, self.height = box["width"] - 6, box["height"] - 6

    def at(self, row: int, column: int) -> tuple[float, float]:
        x = self.left + (column + 0.5) * self.width / self.n_columns
        return x, self.top + (row + 0.5) * self.height / self.n_rows

    def point(self, row: int, column: int) -> tuple[str, str, float]:
        """Point at a cell; return its name, its share and what its run puts out, as said."""
        self.page.mouse.move(*self.at(row, column))
        card = self.root.locator(".gh-tooltip:not(.gh-map-tag)")
        expect(card).to_be_visible()
        name = card.locator(".pg-card-name").inner_text()
        share = card.locator(".pg-card-share b").inner_text()
        own = card.locator(".pg-card-row.is-own span").last.inner_text()
        assert own.endswith(" logits")
        status = self.root.locator(".gh-status").inner_text()
        assert status.startswith(f"{name}: {share} recovered, {own} (corrupted ")
        return name, share, number(own.removesuffix(" logits"))


@pytest.mark.parametrize("what", ["residual", "attention", "mlp", "head"])
def test_what_is_said_of_a_cell_is_what_hooks_by_hand_put_out(
    browser: Browser, tmp_path: Path, what: str
) -> None:
    true = by_hand()
    rng = random.Random(what)  # noqa: S311
    path = tmp_path / "page.html"
    grid = PatchGrid(*pair(), what=what)
    grid.save_html(path)
    n_layers = len(pair()[0].layers())
    n_columns = true.n_heads if what == "head" else true.ids[0].shape[1]
    assert grid.frame["f_clean"] == pytest.approx(true.f(true.clean), rel=1e-4)
    # The word that differs, and the last token: nearly all of the rest is exactly 0.
    likely = list(range(n_columns)) if what == "head" else [9, n_columns - 1]
    with opened(browser, path, viewport=WINDOW) as page:
        root = view(page.page.locator("body"), VIEW)
        shown = Shown(page.page, root, n_layers, n_columns)
        for i in range(N_CELLS):
            row = rng.randrange(n_layers)
            column = rng.choice(likely) if i % 2 else rng.randrange(n_columns)
            name, share, found = shown.point(row, column)
            assert name.startswith(
                f"Layer {row}, head {column}" if what == "head" else f"Layer {row}, "
            )
            value, recovered = true.cell(what, row, column)
            assert found == pytest.approx(value, rel=6e-3, abs=6e-3)
            assert is_share(share, recovered) or abs(recovered) < 1e-5, (share, recovered)


def test_a_page_has_the_grids_that_had_been_computed_and_no_others(
    browser: Browser, tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    grid = PatchGrid(*pair())
    grid.set(what="head", cell=[1, 3])
    residual, head = grid.frames()
    grid.save_html(path)
    with opened(browser, path, viewport=WINDOW) as page:
        root = view(page.page.locator("body"), VIEW)
        offered = root.locator('[data-action="what"] button')
        expect(offered).to_have_text(["Residual", "Heads"])
        expect(root.locator(".gh-status")).to_contain_text("Chosen: Layer 1, head 3")
        for what, mine in (("residual", residual), ("head", head)):
            theirs = page.draw({"what": what})
            assert theirs["key"] == mine["key"]
            for name in ("recovered", "patched", "layers", "places"):
                np.testing.assert_array_equal(values(theirs[name]), values(mine[name]))
        page.draw({"cell": [1, 3]})
        offered.first.click()
        # A head is no cell of this grid.
        expect(root.locator(".gh-status")).to_contain_text("tokens; recovered most: ")
        expect(root.locator('select[data-action="token"]')).to_be_disabled()


def test_all_can_be_done_by_keyboard(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    PatchGrid(*pair()).save_html(path)
    with opened(browser, path, viewport=WINDOW) as page:
        root = view(page.page.locator("body"), VIEW)
        status = root.locator(".gh-status")
        press = page.page.keyboard.press
        root.focus()
        for key in ("ArrowRight", "ArrowDown", "End"):
            press(key)
        expect(status).to_contain_text(re.compile(r"^Layer 1, .*: 1 recovered"))
        press("Enter")
        expect(status).to_contain_text(re.compile("^Layer 1, "))
        chosen = 'document.getElementById("gh-view").glasshead.get("cell")'
        n_tokens = len(pair()[0].tokens)
        assert page.page.evaluate(chosen) == [1, n_tokens - 1]
        press("[")
        assert page.page.evaluate(chosen) == [0, n_tokens - 1]
        for _ in range(12):
            press("+")
        expect(root.locator('[data-action="zoom-out"]')).not_to_have_attribute(
            "aria-disabled", "true"
        )
        press("Escape")
        assert page.page.evaluate(chosen) == []


def test_tokens_and_layers_have_a_number_of_what_they_are(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    PatchGrid(*pair(), positions=[8, 9, 20]).save_html(path)
    with opened(browser, path, viewport=WINDOW) as page:
        root = view(page.page.locator("body"), VIEW)
        labels = root.locator('.gh-map-label[data-side="key"]')
        said = sorted((one.get_attribute("data-unit"), shown_text(one)) for one in labels.all())
        assert said == [("0", " sea₈"), ("1", " whale→ ship"), ("2", " sea₂₀")]
        rows = root.locator('.gh-map-label[data-side="query"]')
        expect(rows).to_have_text(["0", "1"])
        texts = root.locator(".pg-texts .gh-text")
        assert [shown_text(one).replace("<s>", "") for one in texts.all()] == [
            LINE.format(word) for word in WORDS
        ]
        different = root.locator(".pg-texts .is-different")
        assert [shown_text(one).strip() for one in different.all()] == ["whale", "ship"]


# ---- in a notebook -------------------------------------------------------------------------------

_LINKED = f"""
from glasshead import AttentionLines, Lens, PatchGrid, PerplexityStrip, link_views
lens = Lens.demo("decoder")
clean, corrupted = (lens.trace({LINE!r}.format(word)) for word in {WORDS!r})
grid = PatchGrid(clean, corrupted)
lines = AttentionLines(corrupted, layer=1)
strip = PerplexityStrip(corrupted)
grid.show_in(lines, strip)
link_views(grid, lines, strip)
grid
"""
# Random weights, of as many layers as make patching take its time.
_DEEP = f"""
import torch, transformers
torch.manual_seed(0)
config = transformers.GPT2Config(
    vocab_size=len(lens.tokenizer), n_positions=256, n_embd=96, n_layer=32, n_head=4,
    initializer_range=0.2, bos_token_id=None, eos_token_id=None)
slow = Lens(transformers.GPT2LMHeadModel(config).eval(), lens.tokenizer)
pair = [slow.trace(" ".join([{LINE!r}.format(word)] * 5)) for word in {WORDS!r}]
deep = PatchGrid(*pair, positions=[9])
deep
"""


@pytest.fixture(scope="module")
def notebook(lab: LabServer, open_notebook: Callable[[str], Notebook]) -> Notebook:
    cells = [_LINKED, "lines", "strip", _DEEP]
    notebook = open_notebook(lab.add_notebook("patch_grid.ipynb", cells))
    notebook.run_all()
    assert notebook.errors() == []
    return notebook


def surprisals(notebook: Notebook) -> list[float]:
    """Return what the strip shows, in nats, as the page has it."""
    code = "strip.trace.predictions().surprisal[1:].tolist()"
    return notebook.kernel_eval(code)


def test_a_click_shows_the_patched_run_in_linked_views(notebook: Notebook) -> None:
    true = by_hand()
    root = view(notebook.output(0), VIEW)
    expect(root).to_have_attribute("data-ready", "true", timeout=60_000)
    root.scroll_into_view_if_needed()
    n_tokens = true.ids[0].shape[1]
    shown = Shown(notebook.page, root, 2, n_tokens)
    place = 9
    notebook.page.mouse.click(*shown.at(0, place))
    notebook.wait_for_kernel("grid.cell", [0, place])
    notebook.wait_for_kernel("[grid.layer, lines.layer, grid.selected]", [0, 0, [place]])
    notebook.wait_for_kernel("corrupted in (strip.trace, lines.trace)", False)
    assert notebook.kernel_eval("strip.trace is lines.trace is grid.patched")
    run = true.patched("residual", 0, place, output_attentions=True)
    log_p = run.logits[0, :-1].log_softmax(dim=-1)
    right = -log_p[torch.arange(n_tokens - 1), true.ids[1][0, 1:]]
    np.testing.assert_allclose(surprisals(notebook), right.numpy(), atol=2e-4)
    attention = notebook.kernel_eval("lines.trace.attention(1).tolist()")
    np.testing.assert_allclose(attention, run.attentions[1][0].numpy(), atol=2e-5)
    # What the pages say of it.
    lines = view(notebook.output(1), LINES)
    expect(lines).to_have_attribute("data-frame", re.compile("^0:"))
    strip = view(notebook.output(2), STRIP)
    perplexity = float(right.mean().exp())
    expect(strip.locator(".gh-status")).to_contain_text(f"Perplexity {perplexity:.0f} over")
    # The same cell once more: the runs that were there before.
    notebook.page.mouse.click(*shown.at(0, place))
    notebook.wait_for_kernel("[grid.cell, grid.patched is None]", [[], True])
    notebook.wait_for_kernel("strip.trace is corrupted and lines.trace is corrupted", True)
    assert notebook.errors() == []


def test_what_is_asked_can_be_chosen_on_the_page(notebook: Notebook) -> None:
    root = view(notebook.output(0), VIEW)
    root.scroll_into_view_if_needed()
    against = root.locator('select[data-action="against"]')
    expect(against.locator("option")).not_to_have_count(2)
    against.select_option(label="nothing")
    notebook.wait_for_kernel("[grid.against, grid.frame['unit']]", [None, "nats"])
    f_clean = notebook.kernel_eval("grid.frame['f_clean']")
    right = by_hand().clean.log_softmax(dim=-1)[by_hand().tokens[0]]
    assert f_clean == pytest.approx(float(right), rel=1e-3)
    expect(root.locator(".pg-tick.is-clean")).to_contain_text("nats")
    root.locator('select[data-action="token"]').select_option("auto")
    notebook.wait_for_kernel("grid.frame['unit']", "logits")


def test_long_work_can_be_cancelled_and_leaves_the_last_grid(notebook: Notebook) -> None:
    root = view(notebook.output(3), VIEW)
    root.scroll_into_view_if_needed()
    expect(root).to_have_attribute("data-ready", "true", timeout=60_000)
    expect(root.locator('.gh-map-label[data-side="key"]')).to_have_count(1)
    before = notebook.kernel_eval("deep.to_frame()['recovered'].tolist()")
    notebook.kernel_run("deep.positions = []")
    cancel = root.locator('[data-action="cancel"]')
    expect(cancel).to_be_visible()
    cancel.click()
    notebook.wait_for_kernel("[deep.busy, deep.positions]", ["", [9]])
    expect(cancel).to_have_count(0)
    expect(root).not_to_have_attribute("data-partial", "")
    expect(root.locator('.gh-map-label[data-side="key"]')).to_have_count(1)
    assert notebook.kernel_eval("deep.to_frame()['recovered'].tolist()") == before
    assert notebook.errors() == []
