"""ActivationMap in a real browser: what it says of a token and a dimension is so.

The right values are made here, in float64, of what the model's own modules return.
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
import transformers
from playwright.sync_api import expect

from e2e.saved import opened, values
from e2e.views import view
from glasshead import ActivationMap, Lens
from glasshead_backend.demo import DECODER_TEXT, SOURCE_TEXT, TARGET_TEXT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Page

    from e2e.lab import LabServer, Notebook
    from glasshead import Trace

VIEW = "activation-map"
N_CELLS = 20
CLOSE = 6e-4
"""Relative: four digits are shown."""
WINDOW = {"width": 1400, "height": 1000}


@cache
def decoder() -> Trace:
    return Lens.demo("decoder").trace(DECODER_TEXT)


@cache
def one_word() -> Trace:
    return Lens.demo("decoder").trace("whale")


@cache
def translation() -> Trace:
    return Lens.demo("encoder-decoder").trace(SOURCE_TEXT, TARGET_TEXT)


@cache
def wide() -> Trace:
    """More dimensions than a picture has pixels."""
    tokenizer = Lens.demo("decoder").tokenizer
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=32,
        n_embd=1400,
        n_layer=1,
        n_head=2,
        n_inner=8,
        bos_token_id=None,
        eos_token_id=None,
    )
    lens = Lens(transformers.GPT2LMHeadModel(config).eval(), tokenizer)
    return lens.trace("The whale, the whale!")


@cache
def truth(make: Callable[[], Trace], module: str) -> np.ndarray:
    """What a module of the eager model returns, ``[tokens, dimensions]``."""
    trace = make()
    model = copy.deepcopy(trace.lens.model).double().eval()
    model.set_attn_implementation("eager")
    kept: list[torch.Tensor] = []

    def hook(_: Any, __: Any, output: Any) -> None:
        kept.append((output[0] if isinstance(output, tuple) else output)[0])

    model.get_submodule(module).register_forward_hook(hook)
    names = ("input_ids", "decoder_input_ids")
    ids = {
        name: torch.tensor([[token.id for token in one.tokens]])
        for name, one in zip(names, trace.sequences, strict=False)
    }
    with torch.no_grad():
        model(**ids, use_cache=False)
    return kept[0].numpy()


# ---- the page ------------------------------------------------------------------------------------


def number(text: str) -> float:
    return float(text.replace("\u2212", "-").replace(",", ""))


class Shown:
    """The map on a page, with where its cells are."""

    def __init__(self, page: Page, n_dims: int) -> None:
        self.page, self.n_dims = page, n_dims
        self.root = view(page.locator("body"), VIEW)
        self.figure = self.root.locator(".am-figure")
        self.figure.scroll_into_view_if_needed()
        over = self.figure.locator("canvas").last
        size = over.bounding_box()
        assert size is not None
        # The last row: bars stand above the map.
        over.hover(position={"x": size["width"] / 2, "y": size["height"] - 16})
        box = self.figure.locator(".gh-cross").bounding_box()
        assert box is not None
        # The crosshair may stand 3 pixels out of the map.
        self.left, self.width = box["x"] + 3, box["width"] - 6
        self.top = box["y"] + 3

    def x_of(self, column: int) -> float:
        return self.left + (column + 0.5) * self.width / self.n_dims

    def named(self) -> list[int]:
        """The tokens that have their names beside the map."""
        labels = self.figure.locator(".gh-map-label")
        return [int(one) for one in labels.evaluate_all("all => all.map(one => one.dataset.unit)")]

    def y_of(self, token: int) -> float:
        box = self.figure.locator(f'.gh-map-label[data-unit="{token}"]').bounding_box()
        assert box is not None
        return box["y"] + box["height"] / 2

    def point(self, token: int, column: int) -> tuple[int, float]:
        """Point at a cell; return dimension and value as the tag and the status line say them."""
        self.page.mouse.move(self.x_of(column), self.y_of(token))
        tag = self.figure.locator(".gh-map-tag")
        expect(tag).to_be_visible()
        expect(tag).not_to_contain_text(re.compile("at most|…$"))
        said = re.search(r"dimension (\d+)(?: \(outlier\))? (\S+)$", tag.inner_text())
        assert said, tag.inner_text()
        status = self.root.locator(".gh-status").inner_text()
        assert f"dimension {said[1]}" in status
        assert f": {said[2]} (norm" in status
        return int(said[1]), number(said[2])


CASES: dict[str, tuple[Callable[[], Trace], dict[str, Any], str]] = {
    "residual stream": (decoder, {"layer": 1}, "model.layers.1"),
    "mlp, largest first": (
        decoder,
        {"layer": 0, "block": "mlp", "sort": "largest"},
        "model.layers.0.mlp.down_proj",
    ),
    "the source's tokens": (
        translation,
        {"kind": "encoder", "layer": 0, "block": "attention"},
        "model.encoder.layers.0.self_attn.out_proj",
    ),
    "what cross-attention adds": (
        translation,
        {"kind": "cross", "layer": 1, "block": "cross"},
        "model.decoder.layers.1.encoder_attn.out_proj",
    ),
    "pooled": (wide, {"block": "mlp", "layer": 0}, "transformer.h.0.mlp"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_said_of_a_cell_is_what_the_eager_model_returns(
    browser: Browser, tmp_path: Path, name: str
) -> None:
    make, traits, module = CASES[name]
    true = truth(make, module)
    order = np.arange(true.shape[1])
    if traits.get("sort") == "largest":
        order = np.argsort(-np.square(true).mean(axis=0), kind="stable")
    rng = random.Random(name)  # noqa: S311
    path = tmp_path / "page.html"
    ActivationMap(make(), **traits).save_html(path)
    with opened(browser, path, viewport=WINDOW) as page:
        shown = Shown(page.page, true.shape[1])
        tokens = shown.named()
        for _ in range(N_CELLS):
            token, column = rng.choice(tokens), rng.randrange(true.shape[1])
            dimension, value = shown.point(token, column)
            assert dimension == order[column]
            assert value == pytest.approx(true[token, dimension], rel=CLOSE, abs=2e-6)


_PIXELS = """(canvas, points) => {
  const context = canvas.getContext('2d');
  const ratio = canvas.width / canvas.clientWidth;
  // At once: a browser complains of many readings.
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  return points.map(([x, y]) => {
    const at = 4 * (Math.round(y * ratio) * canvas.width + Math.round(x * ratio));
    return [...data.slice(at, at + 4)];
  });
}"""


def test_what_is_above_zero_is_orange_and_what_is_below_is_blue(
    browser: Browser, tmp_path: Path
) -> None:
    true = truth(decoder, "model.layers.1")
    path = tmp_path / "page.html"
    shown = ActivationMap(decoder(), layer=1)
    shown.save_html(path, theme="light")
    bound = shown.frame["bound"]
    with opened(browser, path, viewport=WINDOW) as page:
        on = Shown(page.page, true.shape[1])
        page.page.mouse.move(0, 0)
        canvas = on.figure.locator("canvas").first
        box = canvas.bounding_box()
        assert box is not None
        tokens = on.named()
        strong = [
            (token, column)
            for token in tokens
            for column in range(true.shape[1])
            if abs(true[token, column]) > bound / 2
        ]
        points = [[on.x_of(c) - box["x"], on.y_of(t) - box["y"]] for t, c in strong]
        pixels = canvas.evaluate(_PIXELS, points)
        assert len(strong) > 50
        for (token, column), (red, _, blue, _) in zip(strong, pixels, strict=True):
            assert (red > blue) == (true[token, column] > 0), (token, column)


def test_outlier_dimensions_are_named_and_drawn_along_the_text(
    browser: Browser, tmp_path: Path
) -> None:
    true = truth(one_word, "model.layers.0")
    rms = np.sqrt(np.square(true).mean(axis=0))
    # 6 times the median, as the view says. torch's median is the lower of two.
    outliers = np.flatnonzero(rms >= 6 * np.sort(rms)[(len(rms) - 1) // 2])
    largest_first = sorted(outliers.tolist(), key=lambda dimension: -rms[dimension])
    assert largest_first
    path = tmp_path / "page.html"
    ActivationMap(one_word(), layer=0).save_html(path)
    with opened(browser, path, viewport=WINDOW) as page:
        root = view(page.page.locator("body"), VIEW)
        chips = root.locator(".am-chip")
        said = chips.evaluate_all("all => all.map(one => Number(one.dataset.dimension))")
        assert said == largest_first
        chips.first.click()
        profile = root.locator(".am-profile")
        expect(profile).to_have_attribute("data-dimension", str(largest_first[0]))
        rms_said = re.search(r"RMS (\S+)", profile.inner_text())
        assert rms_said
        assert number(rms_said[1]) == pytest.approx(rms[largest_first[0]], rel=CLOSE)
        bars = profile.locator("svg").bounding_box()
        on = Shown(page.page, true.shape[1])
        assert bars is not None
        for token in range(len(true)):
            x = on.left + (token + 0.5) * on.width / len(true)
            page.page.mouse.move(x, bars["y"] + bars["height"] / 3)
            value = profile.locator(".am-profile-value")
            expect(value).to_contain_text(re.compile(r"\d"))
            assert number(value.inner_text().split(": ")[-1]) == pytest.approx(
                true[token, largest_first[0]], rel=CLOSE
            )


def test_all_can_be_done_by_keyboard(browser: Browser, tmp_path: Path) -> None:
    true = truth(decoder, "model.layers.1")
    path = tmp_path / "page.html"
    ActivationMap(decoder(), layer=1).save_html(path)
    with opened(browser, path, viewport=WINDOW) as page:
        root = view(page.page.locator("body"), VIEW)
        press = page.page.keyboard.press
        root.focus()
        for key in ("ArrowRight", "ArrowDown", "ArrowDown", "ArrowRight"):
            press(key)
        status = root.locator(".gh-status")
        said = re.search(r"dimension 1: (\S+) \(norm", status.inner_text())
        assert said, status.inner_text()
        assert number(said[1]) == pytest.approx(true[2, 1], rel=CLOSE)
        press("Enter")
        expect(root.locator('.am-profile[data-dimension="1"]')).to_be_visible()
        expect(root.locator('.gh-map-label[data-unit="2"]')).to_have_class(
            re.compile("is-selected")
        )
        press("End")
        expect(status).to_contain_text(f"dimension {true.shape[1] - 1}")
        for _ in range(12):
            press("+")
        expect(root.locator('[data-action="zoom-out"]')).not_to_have_attribute(
            "aria-disabled", "true"
        )
        expect(status).to_contain_text(f"dimension {true.shape[1] - 1}")
        press("[")
        expect(root).to_have_attribute("data-frame", "0::token:self")
        expect(root.locator(".am-caption")).to_contain_text("layer 0")
        press("Escape")
        expect(root.locator(".am-profile")).to_have_count(0)
        expect(root.locator(".gh-map-label.is-selected")).to_have_count(0)


# ---- in a notebook -------------------------------------------------------------------------------

_LINKED = """
from glasshead import ActivationMap, FusedAttentionMatrix, Lens, link_views
trace = Lens.demo("decoder").trace("The white whale, the white whale!")
shown = ActivationMap(trace, layer=0)
matrix = FusedAttentionMatrix(trace, layer=0, unit="token")
link_views(shown, matrix)
shown
"""


@pytest.fixture(scope="module")
def notebook(lab: LabServer, open_notebook: Callable[[str], Notebook]) -> Notebook:
    notebook = open_notebook(lab.add_notebook("activation_map.ipynb", [_LINKED, "matrix"]))
    notebook.run_all()
    assert notebook.errors() == []
    return notebook


def test_tokens_and_layers_are_those_of_linked_views_and_python_knows(notebook: Notebook) -> None:
    root = view(notebook.output(0), VIEW)
    expect(root).to_have_attribute("data-ready", "true", timeout=60_000)
    root.locator('.gh-map-label[data-unit="2"]').click()
    notebook.wait_for_kernel("matrix.selected", [2])
    matrix = view(notebook.output(1), "fused-attention-matrix")
    pinned = matrix.locator('.gh-map-label[data-side="query"][data-unit="2"]')
    expect(pinned).to_have_class(re.compile("is-selected"))
    root.locator('[data-action="layer-next"]').click()
    notebook.wait_for_kernel("[shown.layer, matrix.layer]", [1, 1])
    root.locator("select[data-action=block]").select_option("mlp")
    notebook.wait_for_kernel("shown.frame['block']", "mlp")
    expect(root.locator(".am-caption")).to_contain_text("MLP output, layer 1")
    notebook.kernel_run("shown.dimensions = [5]")
    expect(root.locator('.am-profile[data-dimension="5"]')).to_be_visible()
    root.locator('[data-action="unpin"]').click()
    notebook.wait_for_kernel("shown.dimensions", [])


# ---- a saved page --------------------------------------------------------------------------------

_ARRAYS = ("rms", "norms", "outliers", "order", "values")
_OTHERS = (
    "block",
    "blocks",
    "layers",
    "side",
    "tokens",
    "dimensions",
    "bound",
    "beyond",
    "largest",
)
_PLACE = ("row0", "row1", "column0", "column1", "per_row", "per_column", "outliers_words")
PAGES: dict[str, Callable[[], Trace]] = {
    "decoder": decoder,
    "translation": translation,
    "wide": wide,
}


def states(shown: ActivationMap, n: int) -> list[dict[str, Any]]:
    """Random maps that there are."""
    rng = random.Random(n)  # noqa: S311
    found: list[dict[str, Any]] = []
    sorts = ["dimension", "largest", *(["cluster"] if shown.frame["dimensions"] < 1024 else [])]
    for _ in range(n):
        shown.kind = rng.choice(shown.trace.kinds)
        shown.block = rng.choice(shown.frame["blocks"])
        layer = rng.choice(shown.frame["layers"])
        state = {"kind": shown.kind, "block": shown.block, "layer": layer}
        found.append({**state, "sort": rng.choice(sorts)})
    return found


@pytest.mark.parametrize("name", PAGES)
def test_the_maps_that_a_page_makes_are_those_of_python(
    browser: Browser, tmp_path: Path, name: str
) -> None:
    shown = ActivationMap(PAGES[name]())
    path = tmp_path / "page.html"
    shown.save_html(path)
    with opened(browser, path) as page:
        for state in states(shown, 8):
            shown.set(**state)
            mine, theirs = shown.frame, page.draw(state)
            assert theirs["key"] == mine["key"]
            for field in (*_OTHERS, *_PLACE):
                assert theirs[field] == mine[field], (state, field)
            for field in _ARRAYS:
                np.testing.assert_array_equal(values(theirs[field]), values(mine[field]))
            rows, columns = mine["tokens"], mine["dimensions"]
            part = {"row0": 1, "row1": rows, "column0": columns // 3, "column1": columns // 2}
            (answer,) = page.ask((state, "tile", part))
            result, arrays = shown.tile(**part)
            assert {name: answer[name] for name in result} == result
            np.testing.assert_array_equal(answer["values"], values(arrays["values"]))


def switched_off(root: Locator) -> list[str]:
    disabled = '[aria-disabled="true"], :disabled'
    named = "all => all.map(one => one.closest('[data-action]')?.dataset.action ?? one.className)"
    return root.locator(".gh-controls").locator(disabled).evaluate_all(named)


def test_a_page_without_room_shows_its_one_map_and_switches_off_the_others(
    browser: Browser, tmp_path: Path
) -> None:
    true = truth(decoder, "model.layers.1")
    path = tmp_path / "page.html"
    shown = ActivationMap(decoder(), layer=1)
    with pytest.raises(ValueError, match="least") as error:
        shown.save_html(path, max_bytes=1000)
    least = re.search(r"about ([\d,]+)", str(error.value))
    assert least
    shown.save_html(path, max_bytes=int(1.02 * number(least[1])))
    with opened(browser, path, viewport=WINDOW) as page:
        on = Shown(page.page, true.shape[1])
        assert page.page.locator('[id^="gh-activations"]').count() == 0
        assert {"block", "sort", "layer-previous"} <= set(switched_off(on.root))
        for token in on.named()[:5]:
            dimension, value = on.point(token, 7)
            assert dimension == 7
            assert value == pytest.approx(true[token, 7], rel=CLOSE, abs=2e-6)
