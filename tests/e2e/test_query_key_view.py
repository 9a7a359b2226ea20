"""QueryKeyView in a real browser: what it says of a product, a score and a weight is so.

The right values are made here, in float64, of what the model's own projections return in its eager
attention: rotary positions by the formula of RoFormer (Su et al. 2021), scores by their definition.
"""

from __future__ import annotations

import copy
import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from playwright.sync_api import expect

from e2e.saved import opened, values
from e2e.views import LINES, view
from glasshead import Lens, QueryKeyView
from glasshead_backend.demo import DECODER_LONG_TEXT, SOURCE_TEXT, TARGET_TEXT
from widgets.test_query_key_view import trace_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Browser, Locator

    from e2e.lab import LabServer, Notebook
    from glasshead import Trace

VIEW = "query-key-view"
DECODER_TEXT = "The white whale, the white whale! All the men ran to the boats."
N_CELLS = 20
CLOSE = 6e-4
"""Relative: four digits are shown."""


def number(text: str) -> float:
    return float(text.replace("\u2212", "-").replace("+", ""))


# ---- the truth -----------------------------------------------------------------------------------


@dataclass
class Truth:
    """Of one query token and head: what every key's score is made of."""

    products: torch.Tensor
    bias: torch.Tensor
    visible: torch.Tensor

    @property
    def scores(self) -> torch.Tensor:
        return self.products.sum(dim=-1) + self.bias

    @property
    def weights(self) -> torch.Tensor:
        return self.scores.masked_fill(~self.visible, -torch.inf).softmax(dim=-1)


def projected(trace: Trace, names: dict[str, str], **inputs: torch.Tensor) -> dict[str, Any]:
    """What modules of the eager model return in double precision, [tokens, features]."""
    model = copy.deepcopy(trace.lens.model).double().eval()
    model.set_attn_implementation("eager")
    found: dict[str, Any] = {"model": model}
    modules = dict(model.named_modules())
    for name, module in names.items():
        modules[module].register_forward_hook(
            lambda _, __, output, name=name: found.__setitem__(name, output[0])
        )
    with torch.no_grad():
        model(**inputs, use_cache=False)
    return found


def ids(tokens: Any) -> torch.Tensor:
    return torch.tensor([[token.id for token in tokens]])


def rotated(vectors: torch.Tensor, theta: float) -> torch.Tensor:
    """Turn dimensions i and i + d/2 of ``[positions, dims]`` by position times theta^(-2i/d)."""
    half = vectors.shape[-1] // 2
    angle = torch.arange(len(vectors)).double()[:, None] * theta ** (
        -torch.arange(half).double() / half
    )
    first, second = vectors[:, :half], vectors[:, half:]
    turned = (
        first * angle.cos() - second * angle.sin(),
        second * angle.cos() + first * angle.sin(),
    )
    return torch.cat(turned, dim=-1)


def llama_truth(trace: Trace, layer: int, head: int, query: int) -> Truth:
    config = trace.lens.model.config
    attention = f"model.layers.{layer}.self_attn"
    names = {"q": f"{attention}.q_proj", "k": f"{attention}.k_proj"}
    found = projected(trace, names, input_ids=ids(trace.tokens))
    dims = config.hidden_size // config.num_attention_heads
    group = head // (config.num_attention_heads // config.num_key_value_heads)
    theta = config.rope_parameters["rope_theta"]
    q = rotated(found["q"][:, head * dims : (head + 1) * dims], theta)
    k = rotated(found["k"][:, group * dims : (group + 1) * dims], theta)
    products = dims**-0.5 * q[query] * k
    return Truth(products, torch.zeros(len(k)), torch.arange(len(k)) <= query)


def marian_truth(trace: Trace, layer: int, head: int, query: int) -> Truth:
    config = trace.lens.model.config
    attention = f"model.decoder.layers.{layer}.encoder_attn"
    names = {"q": f"{attention}.q_proj", "k": f"{attention}.k_proj"}
    inputs = {
        "input_ids": ids(trace.keys("cross")),
        "decoder_input_ids": ids(trace.queries("cross")),
    }
    found = projected(trace, names, **inputs)
    dims = config.d_model // config.decoder_attention_heads
    of = slice(head * dims, (head + 1) * dims)
    products = dims**-0.5 * found["q"][query, of] * found["k"][:, of]
    return Truth(products, torch.zeros(len(products)), torch.ones(len(products)).bool())


def t5_truth(trace: Trace, layer: int, head: int, query: int) -> Truth:
    """The encoder's: T5 has no scale, and the first layer's table of biases holds for all."""
    config = trace.lens.model.config
    block = "encoder.block.{}.layer.0.SelfAttention"
    names = {"q": f"{block.format(layer)}.q", "k": f"{block.format(layer)}.k"}
    inputs = {
        "input_ids": ids(trace.keys("cross")),
        "decoder_input_ids": ids(trace.queries("cross")),
    }
    found = projected(trace, names, **inputs)
    of = slice(head * config.d_kv, (head + 1) * config.d_kv)
    products = found["q"][query, of] * found["k"][:, of]
    first = found["model"].get_submodule(block.format(0))
    bias = first.compute_bias(len(products), len(products))[0, head, query].detach()
    return Truth(products, bias, torch.ones(len(products)).bool())


def decoder() -> Trace:
    return Lens.demo("decoder").trace(DECODER_TEXT)


def translation() -> Trace:
    return Lens.demo("encoder-decoder").trace(SOURCE_TEXT, TARGET_TEXT)


TRUE: dict[str, tuple[Callable[[], Trace], str, Callable[..., Truth]]] = {
    "rotary": (decoder, "self", llama_truth),
    "cross-attention": (translation, "cross", marian_truth),
    "position bias": (lambda: trace_of("t5"), "encoder", t5_truth),
}


# ---- the page ------------------------------------------------------------------------------------


def cell(root: Locator, key: int, dim: int, n_dims: int) -> tuple[Locator, Any]:
    """The cells of a key, and where in them a dimension stands."""
    cells = root.locator(f'.qk-rows [data-key="{key}"] .qk-cells')
    cells.scroll_into_view_if_needed()
    canvas = cells.locator("canvas").bounding_box()
    assert canvas is not None
    return cells, {"x": (dim + 0.5) * canvas["width"] / n_dims, "y": canvas["height"] / 2}


def pointed(root: Locator, key: int, dim: int, n_dims: int) -> tuple[float, float, float, float]:
    """Point at a product; return scale, query, key and product as the tooltip says them."""
    cells, position = cell(root, key, dim, n_dims)
    cells.hover(position=position)
    tooltip = root.locator(".gh-tooltip")
    expect(tooltip).to_contain_text(re.compile(rf"dimension {dim}\b"))
    said = tooltip.locator(".qk-product").inner_text()
    parts = re.fullmatch(r"(?:(\S+) × )?q (\S+) × k (\S+) = (\S+)", said)
    assert parts, said
    scale, *others = parts.groups()
    query, of_key, product = (number(text) for text in others)
    return number(scale or "1"), query, of_key, product


def said_of(root: Locator, key: int, part: str) -> str:
    return root.locator(f'.qk-rows [data-key="{key}"] [data-part="{part}"]').inner_text()


def check_pointing(root: Locator, truth: Truth, rng: random.Random, n: int = N_CELLS) -> None:
    """Point at random products; all that is said of them and of their keys is so."""
    n_dims = truth.products.shape[1]
    keys = [int(key) for key in truth.visible.nonzero()]
    for _ in range(n):
        key, dim = rng.choice(keys), rng.randrange(n_dims)
        scale, query, of_key, product = pointed(root, key, dim, n_dims)
        true = float(truth.products[key, dim])
        assert product == pytest.approx(true, rel=CLOSE, abs=1e-6)
        # Three numbers of four digits each.
        assert scale * query * of_key == pytest.approx(true, rel=3 * CLOSE, abs=1e-6)
        # The score in three digits, and the steps to it.
        assert number(said_of(root, key, "score")) == pytest.approx(
            float(truth.scores[key]), rel=6e-3, abs=6e-3
        )
        shown = said_of(root, key, "weight")
        weight = float(truth.weights[key])
        bound = float(shown.removeprefix("< ").removeprefix("> "))
        assert weight < bound if shown.startswith("<") else abs(weight - bound) < 0.0051
        check_steps(root, truth, key)


def check_steps(root: Locator, truth: Truth, key: int) -> None:
    card = root.locator(".qk-card")
    expect(card).to_have_attribute("data-key", str(key))
    steps: dict[str, list[dict[str, str]]] = {}
    for one in card.locator(".qk-step").evaluate_all(_STEPS):
        steps.setdefault(one["kind"], []).append(one)
    products = truth.products[key]
    largest = [int(dim) for dim in products.argsort(descending=True)[:3] if products[dim] > 0]
    assert [int(one["dim"]) for one in steps.get("up", []) if one["dim"]][:3] == largest
    terms = [one for kind in ("up", "down", "bias") for one in steps.get(kind, [])]
    total = sum(number(one["value"]) for one in terms)
    # Each is rounded to three digits.
    assert total == pytest.approx(float(truth.scores[key]), abs=0.01 * len(terms))


_STEPS = """(steps) => steps.map((step) => ({
  kind: step.dataset.step, dim: step.dataset.dim ?? '',
  value: step.querySelector('.qk-step-value').textContent,
}))"""


@pytest.mark.parametrize("name", TRUE)
def test_what_is_said_of_a_product_is_what_the_eager_model_multiplies(
    browser: Browser, tmp_path: Path, name: str
) -> None:
    make, kind, truth_of = TRUE[name]
    trace = make()
    rng = random.Random(name)  # noqa: S311
    layer = trace.layers(kind)[-1]  # type: ignore[arg-type]
    head = rng.randrange(trace.n_heads(layer, kind))  # type: ignore[arg-type]
    query = len(trace.queries(kind)) - 2  # type: ignore[arg-type]
    truth = truth_of(trace, layer, head, query)
    path = tmp_path / "page.html"
    QueryKeyView(trace, kind=kind, layer=layer, heads=[head], query=query).save_html(path)
    with opened(browser, path, viewport={"width": 1400, "height": 1000}) as page:
        check_pointing(view(page.page.locator("body"), VIEW), truth, rng)


# ---- a saved page --------------------------------------------------------------------------------

_EXACT = ("n_keys", "dimensions", "heads", "start", "stop", "note", "softcap")
_NUMBERS = ("query_vector", "dot", "capped", "bias", "score", "weight", "sink", "bound")
PAGES = {
    "decoder": decoder,
    "translation": translation,
    "t5": lambda: trace_of("t5"),
    "alibi": lambda: trace_of("bloom/BloomForCausalLM"),
    "soft-cap": lambda: trace_of("gemma2"),
    "sinks": lambda: trace_of("gpt_oss"),
}


def states(trace: Trace, n: int) -> list[dict[str, Any]]:
    rng = random.Random(n)  # noqa: S311
    found: list[dict[str, Any]] = []
    for _ in range(n):
        kind = rng.choice(trace.kinds)
        layer = rng.choice(trace.layers(kind))
        n_heads = trace.n_heads(layer, kind)
        heads = sorted(rng.sample(range(n_heads), rng.randint(0, min(2, n_heads))))
        query = rng.randrange(len(trace.queries(kind)))
        found.append({"kind": kind, "layer": layer, "heads": heads, "query": query})
    return found


@pytest.mark.parametrize("name", PAGES)
def test_the_frames_that_a_page_makes_are_those_of_python(
    browser: Browser, tmp_path: Path, name: str
) -> None:
    trace = PAGES[name]()
    shown = QueryKeyView(trace)
    path = tmp_path / "page.html"
    shown.save_html(path)
    with opened(browser, path) as page:
        for state in states(trace, 8):
            shown.set(**state)
            mine, theirs = shown.frame, page.draw(state)
            assert theirs["key"] == mine["key"]
            for field in _EXACT:
                assert theirs[field] == mine[field], (state, field)
            assert bool(theirs["bias_words"]) == bool(mine["bias_words"])
            assert theirs["scaling"] == pytest.approx(mine["scaling"])
            for field in (*_NUMBERS, "products", "keys_vectors"):
                assert (theirs[field] is None) == (mine[field] is None), (state, field)
                if mine[field] is not None:
                    np.testing.assert_allclose(
                        values(theirs[field]), values(mine[field]), rtol=2e-4, atol=2e-5
                    )
            # Dimensions whose products are alike may change places.
            sizes = np.abs(values(mine["products"])).mean(axis=1)
            assert values(theirs["order"]).shape == sizes.shape
        (answer,) = page.ask((states(trace, 8)[-1], "products", {"start": 0, "stop": 2}))
        np.testing.assert_allclose(
            answer["products"], values(theirs["products"])[:, :2], rtol=1e-5, atol=1e-6
        )


def test_a_page_with_little_room_has_half_precision_and_the_layers_that_fit(
    browser: Browser, tmp_path: Path
) -> None:
    trace = Lens.demo("decoder").trace(DECODER_LONG_TEXT)
    shown = QueryKeyView(trace, layer=1, heads=[1])
    path = tmp_path / "page.html"
    shown.save_html(path, max_bytes=300_000)
    with opened(browser, path) as page:
        root = view(page.page.locator("body"), VIEW)
        expect(root.locator('[data-action="layer-previous"]')).to_have_attribute(
            "aria-disabled", "true"
        )
        for state in ({"heads": [1], "query": 60}, {"heads": [4, 7], "query": 129}):
            shown.set(**state)
            mine, theirs = shown.frame, page.draw({"layer": 1, **state})
            # An element is off by half of 2^-10 of itself, a product by two of them.
            np.testing.assert_allclose(
                values(theirs["products"]), values(mine["products"]), rtol=1e-3, atol=1e-5
            )
            size = np.abs(values(mine["products"])).sum(axis=-1).max()
            np.testing.assert_allclose(
                values(theirs["dot"]), values(mine["dot"]), atol=1e-3 * float(size)
            )


def test_a_page_steps_through_queries_and_says_what_it_has_not(
    browser: Browser, tmp_path: Path
) -> None:
    trace = decoder()
    path = tmp_path / "page.html"
    QueryKeyView(trace, layer=1, query=5).save_html(path)
    with opened(browser, path) as page:
        root = view(page.page.locator("body"), VIEW)
        before = root.locator(".qk-card-title").inner_text()
        root.locator('[data-action="query-next"]').click()
        expect(root.locator('[data-action="query"]')).to_have_value("6")
        expect(root.locator(".qk-card-title")).not_to_have_text(before)
        root.locator('.qk-rows [data-key="2"] .gh-token').click()
        expect(root.locator('[data-action="query"]')).to_have_value("2")
        expect(root.locator(".qk-row.is-hidden").first).to_contain_text("may not look")
        root.locator('[data-action="rows"] [data-value="strongest"]').click()
        root.locator('[data-action="layer-previous"]').click()
        expect(root).to_have_attribute("data-frame", "0:0:token:self")
        expect(root.locator(".gh-banner")).to_have_count(0)


# ---- a notebook ----------------------------------------------------------------------------------

_NOTEBOOK = f"""
from glasshead import AttentionLines, Lens, QueryKeyView, link_views
trace = Lens.demo("decoder").trace({DECODER_TEXT!r})
shown, lines = QueryKeyView(trace, layer=1, heads=[2]), AttentionLines(trace)
link_views(shown, lines)
shown
"""
_LONG = """
long = QueryKeyView(Lens.demo("decoder").trace("The white whale swam away. " * 65), height=460)
long
"""


@pytest.fixture(scope="module")
def notebook(lab: LabServer, open_notebook: Callable[[str], Notebook]) -> Notebook:
    name = lab.add_notebook("query_key_view.ipynb", [_NOTEBOOK, "lines", _LONG])
    notebook = open_notebook(name)
    notebook.run_all()
    assert notebook.errors() == []
    return notebook


@pytest.fixture
def root(notebook: Notebook) -> Locator:
    notebook.kernel_run("shown.set(layer=1, heads=[2], query=12, key=None, selected=[])")
    found = view(notebook.output(0), VIEW)
    expect(found.locator('[data-action="query"]')).to_have_value("12")
    expect(found).to_have_attribute("data-frame", "1:2:token:self", timeout=60_000)
    found.scroll_into_view_if_needed()
    notebook.page.mouse.move(0, 0)
    return found


def test_of_a_long_text_any_key_can_be_reached_and_has_its_products(notebook: Notebook) -> None:
    found = view(notebook.output(2), VIEW)
    found.scroll_into_view_if_needed()
    n_keys = notebook.kernel_eval("len(long.trace.tokens)")
    assert n_keys > 300
    assert found.locator(".qk-rows .qk-row").count() < 60
    grid = found.locator(".qk-grid")
    for top, key in ((0, 0), (1e6, n_keys - 1)):
        grid.evaluate("(grid, top) => { grid.scrollTop = top }", top)
        expect(found.locator(f'.qk-rows [data-key="{key}"]')).to_be_visible()
        expect(found.locator(".qk-row.is-waiting")).to_have_count(0)
        product = pointed(found, key, 3, 16)[3]
        truly = f"float(long.trace.query_key(0, {n_keys - 1}, keys=({key}, {key + 1}))"
        true = notebook.kernel_eval(f"{truly}.products[0, 0, 3])")
        assert product == pytest.approx(true, rel=CLOSE)
    found.locator('[data-action="rows"] [data-value="strongest"]').click()
    scores = notebook.kernel_eval("long.to_frame().score.nlargest(3).round(6).tolist()")
    grid.evaluate("(grid) => { grid.scrollTop = 0 }")
    shown = found.locator(".qk-rows [data-part='score']")
    expect(shown.first).to_be_visible()
    numbers = [number(text) for text in shown.all_inner_texts()[:3]]
    assert numbers == pytest.approx(scores, rel=6e-3)
    assert notebook.errors() == []


def test_with_a_kernel_the_numbers_under_the_pointer_are_the_models_too(root: Locator) -> None:
    truth = llama_truth(decoder(), 1, 2, 12)
    expect(root.locator(".qk-row.is-hidden").first).to_be_attached()
    check_pointing(root, truth, random.Random(4), n=10)  # noqa: S311


def test_a_token_pinned_in_linked_lines_is_the_query_here_and_the_other_way_round(
    notebook: Notebook, root: Locator
) -> None:
    lines = view(notebook.output(1), LINES)
    lines.locator('[data-side="query"][data-unit="7"]').click()
    notebook.wait_for_kernel("[shown.selected, shown.query]", [[7], 7])
    expect(root.locator('[data-action="query"]')).to_have_value("7")
    root.locator('.qk-rows [data-key="3"] .gh-token').click()
    notebook.wait_for_kernel("[lines.selected, shown.query]", [[3, 7], 3])
    expect(lines.locator('.is-selected[data-side="query"][data-unit="3"]')).to_have_count(1)
    assert notebook.kernel_eval("shown.code()") == "trace.query_key(1, 3, heads=[2])"


def test_the_code_button_writes_what_gives_the_numbers(notebook: Notebook, root: Locator) -> None:
    root.locator('[data-action="code"]').click()
    code = root.locator(".gh-code code")
    expect(code).to_have_text(str(notebook.kernel_eval("shown.code()")))
    notebook.kernel_eval("shown.set(query=5)")
    expect(code).to_have_text("trace.query_key(1, 5, heads=[2])")
    root.locator('[data-action="code"]').click()
    expect(code).to_be_hidden()


def test_keys_alone_find_a_product_keep_its_key_and_pin_it(
    notebook: Notebook, root: Locator
) -> None:
    keyboard, grid = notebook.page.keyboard, root.locator(".qk-grid")
    root.locator('[data-action="rows"] [aria-pressed="true"]').focus()
    keyboard.press("Tab")  # the rows are one stop
    expect(grid).to_be_focused()
    expect(grid).to_have_attribute("aria-activedescendant", re.compile("qk-"))
    keyboard.press("Home")
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight"):
        keyboard.press(key)
    expect(root.locator(".gh-tooltip")).to_contain_text("dimension 1")
    expect(root.locator('.qk-rows [data-key="2"]')).to_have_class(re.compile("is-at"))
    expect(root.locator(".gh-live")).to_contain_text("dimension 1")
    keyboard.press("Space")
    notebook.wait_for_kernel("shown.key", 2)
    keyboard.press("Enter")
    notebook.wait_for_kernel("[shown.selected, shown.query]", [[2], 2])
    keyboard.press("[")
    notebook.wait_for_kernel("shown.layer", 0)
    keyboard.press("Escape")
    notebook.wait_for_kernel("[shown.key, shown.selected]", [None, []])
    expect(root.locator(".gh-tooltip")).to_be_hidden()


def test_what_stands_below_stays_where_it_is_when_keys_are_pointed_at(
    notebook: Notebook, root: Locator
) -> None:
    footer = "(root) => root.querySelector('.gh-footer').offsetTop"
    # So narrow that the steps stand below the rows.
    root.evaluate("(root) => { root.style.width = '420px' }")
    expect(root.locator(".qk-body.is-beside")).to_have_count(0)
    root.locator('.qk-rows [data-key="1"] .qk-cells').hover()
    before = root.evaluate(footer)
    for key in (0, 4, 9, 12, 13):
        root.locator(f'.qk-rows [data-key="{key}"] .qk-cells').hover()
        expect(root.locator(".qk-card")).to_have_attribute("data-key", str(key))
        assert root.evaluate(footer) == before
    root.evaluate("(root) => { root.style.width = '' }")
    assert notebook.errors() == []
