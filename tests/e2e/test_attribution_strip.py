"""AttributionStrip in a real browser: what it says of a token is so, and other tokens can be asked.

The right values are made here, in float64, by autograd through the model's own eager forward: the
embeddings times the gradient of a token's log-probability, summed over dimensions.
"""

from __future__ import annotations

import copy
import re
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
import torch
from playwright.sync_api import expect

from e2e.saved import opened
from e2e.views import STRIP, view
from glasshead import AttributionStrip, Lens
from glasshead_backend.demo import SOURCE_TEXT, TARGET_TEXT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Browser, Locator

    from e2e.lab import LabServer, Notebook
    from glasshead import Trace

VIEW = "attribution-strip"
TEXT = "The white whale, the white whale! All the men ran to the boats."
CLOSE = {"rel": 6e-3, "abs": 6e-7}
"""Three digits are shown."""
WINDOW = {"width": 1300, "height": 900}


@cache
def decoder() -> Trace:
    return Lens.demo("decoder").trace(TEXT)


@cache
def translation() -> Trace:
    return Lens.demo("encoder-decoder").trace(SOURCE_TEXT, TARGET_TEXT)


# ---- the truth -----------------------------------------------------------------------------------


def truth(
    trace: Trace, row: int, token: int, against: int | None = None, *, logit: bool = False
) -> list[torch.Tensor]:
    """Gradient times input of every token of every text: of a log-probability, or of logits."""
    model: Any = copy.deepcopy(trace.lens.model).double().eval()
    model.set_attn_implementation("eager")
    ids = [torch.tensor([[one.id for one in text.tokens]]) for text in trace.sequences]
    names = ["input_ids", "decoder_input_ids"][: len(ids)]
    stacks = [model] if len(ids) == 1 else [model.get_encoder(), model.get_decoder()]
    embedded: list[torch.Tensor] = []

    def keep(_: Any, __: Any, output: torch.Tensor) -> torch.Tensor:
        embedded.append(output.detach().requires_grad_())
        return embedded[-1]

    for stack in stacks:
        stack.get_input_embeddings().register_forward_hook(keep)
    logits = model(**dict(zip(names, ids, strict=True)), use_cache=False).logits[0, row]
    number = logits[token] if logit else logits.log_softmax(-1)[token]
    if against is not None:
        number = logits[token] - logits[against]
    gradients = torch.autograd.grad(number, embedded)
    return [
        (one * gradient)[0].sum(-1).detach()
        for one, gradient in zip(embedded, gradients, strict=True)
    ]


def number(text: str) -> float:
    found = re.search(r"[+\u2212]?[\d.]+(e\u2212?\d+)?", text)
    assert found is not None, text
    return float(found.group().replace("\u2212", "-"))


def said(root: Locator) -> float:
    """The number in the card."""
    return number(root.locator(".as-card-top .as-figure strong").inner_text())


def token(root: Locator, place: int, name: str = "position", strip: int = 0) -> Locator:
    return root.locator(f'[data-strip="{strip}"] [data-{name}="{place}"]')


# ---- a saved page --------------------------------------------------------------------------------


def test_what_is_said_of_a_token_is_what_autograd_gives(browser: Browser, tmp_path: Path) -> None:
    trace = decoder()
    place = 12
    (right,) = truth(trace, place - 1, trace.tokens[place].id)
    path = AttributionStrip(trace, position=place).save_html(tmp_path / "page.html").path
    with opened(browser, path, viewport=WINDOW) as page:
        root = view(page.page.locator("body"), VIEW)
        for at in (0, 2, 5, 11):
            token(root, at).hover()
            assert said(root) == pytest.approx(float(right[at]), **CLOSE)
        token(root, place).hover()
        expect(root.locator(".as-card-top")).to_contain_text("This is what is explained")
        token(root, place + 1).hover()
        expect(root.locator(".as-card-top")).to_contain_text("it could not matter")
        strongest = right.abs().topk(3).indices.tolist()
        bars = root.locator(".as-bars > li")
        for bar, at in zip(range(3), strongest, strict=True):
            expect(bars.nth(bar)).to_have_attribute("data-unit", str(at))


def test_source_and_target_of_a_translation_have_their_own(
    browser: Browser, tmp_path: Path
) -> None:
    trace = translation()
    label = 4
    came = trace.predictions().tokens[label].id
    source, target = truth(trace, label, came, logit=True)
    path = (
        AttributionStrip(trace, position=label, quantity="logit")
        .save_html(tmp_path / "page.html")
        .path
    )
    with opened(browser, path, viewport=WINDOW) as page:
        root = view(page.page.locator("body"), VIEW)
        # What the decoder reads behind itself is what it was to predict.
        expect(token(root, label + 1)).to_have_class(re.compile("as-target"))
        for at in (0, 3, len(source) - 1):
            token(root, at, "source-position").hover()
            assert said(root) == pytest.approx(float(source[at]), **CLOSE)
        for at in (0, 2, label):
            token(root, at).hover()
            assert said(root) == pytest.approx(float(target[at]), **CLOSE)


def test_a_page_of_a_short_text_can_be_asked_about_every_token(
    browser: Browser, tmp_path: Path
) -> None:
    trace = decoder()
    path = AttributionStrip(trace).save_html(tmp_path / "page.html").path
    with opened(browser, path, viewport=WINDOW) as page:
        root = view(page.page.locator("body"), VIEW)
        token(root, 7).click()
        expect(token(root, 7)).to_have_class(re.compile("as-target"))
        (right,) = truth(trace, 6, trace.tokens[7].id)
        token(root, 3).hover()
        assert said(root) == pytest.approx(float(right[3]), **CLOSE)
        root.press("]")
        expect(token(root, 8)).to_have_class(re.compile("as-target"))
        root.locator('[data-action="unit"] [data-value="word"]').click()
        expect(root).to_have_attribute("data-frame", re.compile("word"))
        for action in ("method", "show"):
            off = root.locator(f'[data-action="{action}"] button[aria-disabled="true"]')
            expect(off).to_have_count(2)
        expect(root.locator(".gh-banner")).to_have_count(0)


def test_a_page_with_one_target_says_that_it_has_no_others(
    browser: Browser, tmp_path: Path
) -> None:
    shown = AttributionStrip(decoder(), position=9, method="integrated_gradients", steps=20)
    path = shown.save_html(tmp_path / "page.html").path
    with opened(browser, path, viewport=WINDOW) as page:
        root = view(page.page.locator("body"), VIEW)
        token(root, 4).click()
        expect(root.locator(".gh-status")).to_contain_text("not saved with this page")
        expect(token(root, 9)).to_have_class(re.compile("as-target"))
        expect(root.locator('[data-action="target-next"]')).to_have_attribute(
            "aria-disabled", "true"
        )


# ---- a notebook ----------------------------------------------------------------------------------

_NOTEBOOK = f"""
from glasshead import AttributionStrip, Lens, PerplexityStrip, link_views
from glasshead_backend.demo import DECODER_LONG_TEXT
lens = Lens.demo("decoder")
trace = lens.trace({TEXT!r})
shown, strip = AttributionStrip(trace, position=12), PerplexityStrip(trace)
link_views(shown, strip)
shown
"""
_LONG = """
long = AttributionStrip(lens.trace(DECODER_LONG_TEXT), position=100)
long
"""
_START = (
    "shown.set(position=12, token=None, against=None, targets=[], show='strip', selected=[],"
    " method='gradient_x_input', unit='token')"
)


@pytest.fixture(scope="module")
def notebook(lab: LabServer, open_notebook: Callable[[str], Notebook]) -> Notebook:
    name = lab.add_notebook("attribution_strip.ipynb", [_NOTEBOOK, "strip", _LONG])
    notebook = open_notebook(name)
    notebook.run_all()
    assert notebook.errors() == []
    return notebook


@pytest.fixture
def root(notebook: Notebook) -> Locator:
    notebook.kernel_run(_START)
    found = view(notebook.output(0), VIEW)
    expect(found).to_have_attribute("data-ready", "true", timeout=60_000)
    expect(token(found, 12)).to_have_class(re.compile("as-target"))
    expect(found.locator(".as-strip")).to_have_count(1)
    found.scroll_into_view_if_needed()
    notebook.page.mouse.move(0, 0)
    return found


def test_a_click_asks_why_a_token_was_predicted_and_python_knows(
    notebook: Notebook, root: Locator
) -> None:
    token(root, 5).click()
    notebook.wait_for_kernel("[shown.position, strip.selected]", [5, [5]])
    expect(token(root, 5)).to_have_class(re.compile("as-target"))
    (right,) = truth(decoder(), 4, decoder().tokens[5].id)
    token(root, 2).hover()
    assert said(root) == pytest.approx(float(right[2]), **CLOSE)
    linked = view(notebook.output(1), STRIP)
    expect(linked.locator('[data-position="5"]')).to_have_class(re.compile("is-selected"))
    assert notebook.errors() == []


def test_keys_alone_ask_about_a_token_and_keep_others(notebook: Notebook, root: Locator) -> None:
    texts = root.locator(".as-texts")
    texts.focus()
    for key in ("Home", "ArrowRight", "ArrowRight", "ArrowRight", "Enter"):
        texts.press(key)
    notebook.wait_for_kernel("shown.position", 3)
    expect(token(root, 3)).to_have_class(re.compile("as-target"))
    texts.press("ArrowRight")
    texts.press("Shift+Enter")
    notebook.wait_for_kernel("shown.targets", [4])
    expect(root.locator(".as-strip")).to_have_count(2)
    expect(token(root, 4)).to_have_class(re.compile("as-target"))
    expect(token(root, 3, strip=1)).to_have_class(re.compile("as-target"))
    root.press("]")
    root.press("]")
    notebook.wait_for_kernel("shown.position", 5)
    expect(token(root, 5, strip=1)).to_have_class(re.compile("as-target"))
    root.locator('[data-action="let-go"]').click()
    notebook.wait_for_kernel("shown.targets", [])
    expect(root.locator(".as-strip")).to_have_count(1)


def test_another_token_and_one_to_compare_with_are_chosen_from_lists(
    notebook: Notebook, root: Locator
) -> None:
    top = notebook.kernel_eval("trace.top_k(12, 10)['id'].tolist()")
    came = decoder().tokens[12].id
    first, second = [one for one in top if one != came][:2]
    root.locator('select[data-action="token"]').select_option(str(first))
    notebook.wait_for_kernel("shown.token", first)
    expect(root.locator(".as-where")).to_contain_text("in place of")
    root.locator('select[data-action="against"]').select_option(str(second))
    notebook.wait_for_kernel("shown.against", second)
    expect(root.locator(".as-facts")).to_contain_text("Difference of logits")
    (right,) = truth(decoder(), 11, first, second)
    token(root, 6).hover()
    assert said(root) == pytest.approx(float(right[6]), **CLOSE)


def test_the_matrix_says_of_a_cell_what_autograd_gives_and_a_click_asks_about_its_row(
    notebook: Notebook, root: Locator
) -> None:
    root.locator('[data-action="show"] [data-value="matrix"]').click()
    expect(root.locator(".as-matrix-part")).to_be_visible()
    names = root.locator(".gh-map-label")
    row = names.locator('xpath=self::*[@data-side="query"][@data-unit="9"]')
    column = names.locator('xpath=self::*[@data-side="key"][@data-unit="2"]')
    expect(row).to_be_visible()
    place = notebook.kernel_eval(
        "int(__import__('numpy').frombuffer(shown.frame['matrix']['positions']['data'], 'u4')[9])"
    )
    down, across = row.bounding_box(), column.bounding_box()
    assert down is not None
    assert across is not None
    # Names of columns stand at an angle: their feet are in the middle of the column.
    notebook.page.mouse.move(across["x"] + 4, down["y"] + down["height"] / 2)
    status = root.locator(".gh-status")
    expect(status).to_contain_text("attribution")
    at = notebook.page.evaluate("() => document.querySelector('.gh-map-tag b')?.textContent ?? ''")
    (right,) = truth(decoder(), place - 1, decoder().tokens[place].id)
    near = [float(right[one]) for one in (1, 2, 3)]
    assert any(number(at) == pytest.approx(one, **CLOSE) for one in near), (at, near)
    row.click()
    notebook.wait_for_kernel("shown.position", place)
    expect(row).to_have_class(re.compile("is-selected"))


def test_long_work_says_how_far_it_is_and_can_be_cancelled(notebook: Notebook) -> None:
    found = view(notebook.output(2), VIEW)
    found.scroll_into_view_if_needed()
    expect(token(found, 100)).to_have_class(re.compile("as-target"))
    before = token(found, 60).evaluate("(one) => one.style.backgroundColor")
    notebook.kernel_run("long.set(method='integrated_gradients', steps=1000)")
    banner = found.locator(".gh-banner.is-busy")
    expect(banner).to_be_visible()
    banner.locator('[data-action="cancel"]').click()
    expect(banner).to_have_count(0)
    notebook.wait_for_kernel("[long.method, long.busy, long.error]", ["gradient_x_input", "", ""])
    pressed = found.locator('[data-action="method"] [aria-pressed="true"]')
    expect(pressed).to_have_attribute("data-value", "gradient_x_input")
    assert token(found, 60).evaluate("(one) => one.style.backgroundColor") == before
    assert notebook.errors() == []


def test_the_code_button_writes_what_gives_the_numbers(notebook: Notebook, root: Locator) -> None:
    root.locator('[data-action="code"]').click()
    code = root.locator(".gh-code code")
    expect(code).to_contain_text("trace.attribution")
    written = code.inner_text()
    assert notebook.kernel_eval(f"len({written}) > 10")


def test_what_stands_below_stays_where_it_is_when_tokens_are_pointed_at(root: Locator) -> None:
    legend = root.locator(".gh-legend")
    tops: set[float] = set()
    for at in (0, 3, 11, 12, 14):
        token(root, at).hover()
        box = legend.bounding_box()
        assert box is not None
        tops.add(box["y"])
    assert len(tops) == 1
