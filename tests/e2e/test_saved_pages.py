"""Saved pages, opened from disk with all network refused: they do what a notebook does."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from playwright.sync_api import expect

import glasshead
from e2e.saved import opened, values
from e2e.test_accessibility import AXE
from e2e.views import EXPLORER, LINES, MATRIX, STRIP, view
from glasshead import (
    AttentionLines,
    FusedAttentionMatrix,
    HeadFinder,
    Lens,
    StoryStep,
    TokenTable,
    explore,
    story,
)
from glasshead_backend.demo import DECODER_LONG_TEXT, DECODER_TEXT, SOURCE_TEXT, TARGET_TEXT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Browser

    from e2e.lab import LabServer, Notebook
    from glasshead import Trace

VIEWS = (
    "AttentionLines",
    "FusedAttentionMatrix",
    "HeadFinder",
    "LayerStatsChart",
    "PerplexityStrip",
    "QueryKeyView",
    "explore",
)
HOSTILE = "</script><script>alert(1)</script><!-- \u2028\u202e</style><img src=x onerror=alert(1)>"
CLOSE = 1e-3
"""Relative: the pages of these short texts state 0.035 %, and a share of a row has two of them."""


@pytest.fixture(scope="module")
def decoder() -> Trace:
    return Lens.demo("decoder").trace(DECODER_TEXT)


@pytest.fixture(scope="module")
def translation() -> Trace:
    return Lens.demo("encoder-decoder").trace(SOURCE_TEXT, TARGET_TEXT)


@pytest.mark.parametrize("name", VIEWS)
def test_every_view_opens_from_disk_without_a_request_or_a_word_on_the_console(
    browser: Browser, tmp_path: Path, decoder: Trace, translation: Trace, name: str
) -> None:
    for i, trace in enumerate((decoder, translation)):
        path = tmp_path / f"{i}.html"
        getattr(glasshead, name)(trace).save_html(path)
        with opened(browser, path) as page:
            expect(page.page.locator(".gh").first).to_have_attribute("data-ready", "true")
            expect(page.page.locator("#gh-text")).to_be_hidden()
            expect(page.page.locator(".gh-banner")).to_have_count(0)


def test_a_table_of_tokens_is_a_page_too(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "tokens.html"
    TokenTable(Lens.demo("decoder"), DECODER_TEXT).save_html(path)
    with opened(browser, path) as page:
        expect(page.page.locator(".gh")).to_contain_text("whale")
        expect(page.page.locator(".gh-banner")).to_have_count(0)


def test_layers_heads_units_and_panes_answer_as_with_a_kernel(
    browser: Browser, tmp_path: Path, decoder: Trace
) -> None:
    path = tmp_path / "page.html"
    explore(decoder, unit="word").save_html(path)
    with opened(browser, path, viewport={"width": 1400, "height": 1000}) as page:
        explorer = view(page.page.locator("body"), EXPLORER)
        lines, matrix = view(explorer, LINES), view(explorer, MATRIX)
        expect(lines).to_have_attribute("data-frame", "0::word:self")
        explorer.locator('[data-action="layer-next"]').click()
        expect(lines).to_have_attribute("data-frame", "1::word:self")
        expect(matrix).to_have_attribute("data-frame", "1::word:self")
        explorer.locator('.gh-heads [data-head="3"]').click()
        expect(matrix).to_have_attribute("data-frame", re.compile(r"1:[\d,]+:word:self"))
        explorer.get_by_role("button", name="Tokens", exact=True).click()
        expect(lines).to_have_attribute("data-frame", re.compile(r"1:[\d,]+:token:self"))
        explorer.locator('[data-switch="finder"]').click()
        expect(view(explorer, "head-finder")).to_have_attribute("data-ready", "true")
        explorer.locator('[data-pane="matrix"] [data-action="enlarge"]').click()
        expect(lines).to_have_count(0)
        explorer.locator('[data-action="put-back"]').click()
        expect(lines).to_have_count(1)
        lines.locator('[data-side="query"][data-unit="4"]').hover()
        expect(view(explorer, STRIP).locator('[data-position="4"].is-hovered')).to_have_count(1)
        expect(explorer.locator(".gh-banner")).to_have_count(0)


def test_pointing_says_the_exact_numbers_of_a_cell_and_of_a_token(
    browser: Browser, tmp_path: Path, decoder: Trace
) -> None:
    path = tmp_path / "page.html"
    FusedAttentionMatrix(decoder, layer=1, heads=[2]).save_html(path)
    with opened(browser, path) as page:
        page.page.locator(".gh").focus()
        for _ in range(3):
            page.page.keyboard.press("ArrowDown")
        # What only an answer says, after the picture that came with the page ...
        expect(page.page.locator(".gh")).to_contain_text("row sums to 1")
        page.page.locator('[data-action="layer-next"], [aria-label="Previous layer"]').first.click()
        page.page.locator(".gh").focus()
        page.page.keyboard.press("ArrowDown")
        expect(page.page.locator(".gh")).to_contain_text("row sums to 1")  # ... and one of its own
    AttentionLines(decoder, layer=1, heads=[2, 3]).save_html(path)
    with opened(browser, path) as page:
        page.page.locator('[data-side="query"][data-unit="6"]').hover()
        weights = decoder.attention(1, [2, 3], rows=[6])[:, 0].mean(dim=0)
        strongest = f"{weights.max():.2f}"
        expect(page.page.locator(".gh-status")).to_contain_text(strongest)


def test_what_only_a_kernel_can_do_is_switched_off(
    browser: Browser, tmp_path: Path, decoder: Trace
) -> None:
    path = tmp_path / "page.html"
    explore(decoder).save_html(path)
    with opened(browser, path) as page:
        explorer = view(page.page.locator("body"), EXPLORER)
        assert not explorer.locator('[data-action="prompt-text"]').is_editable()
        expect(explorer.locator('[data-action="trace"]')).to_be_hidden()
        expect(explorer.locator('[data-action="code"]')).to_have_attribute("aria-disabled", "true")
        expect(explorer.locator('[data-action="metric"] option')).to_have_count(1)


@pytest.mark.parametrize("most", [None, 260_000])
def test_numbers_are_those_of_the_trace_at_200_random_places(
    browser: Browser, tmp_path: Path, most: int | None
) -> None:
    # The trace's own attention is held against the model's eager one in tests/backend.
    trace = Lens.demo("decoder").trace(DECODER_LONG_TEXT)
    rng = random.Random(0)  # noqa: S311
    path = tmp_path / "page.html"
    page_is = FusedAttentionMatrix(trace, unit="token").save_html(path, max_bytes=most)
    assert (page_is.least > 1e-6) == (most is not None)
    weights = {layer: trace.attention(layer).numpy() for layer in trace.layers()}
    places = []
    for _ in range(200):
        layer = rng.choice(trace.layers())
        head, row = rng.randrange(12), rng.randrange(len(weights[layer][0]))
        places.append((layer, head, row, rng.randrange(row + 1)))
    questions = [
        ({"layer": layer, "heads": [head]}, "cell", {"query": row, "key": key})
        for layer, head, row, key in places
    ]
    with opened(browser, path) as page:
        answers = page.ask(*questions)
    said = np.array([answer["weight"][0, 0] for answer in answers])
    true = np.array([weights[layer][head, row, key] for layer, head, row, key in places])
    within = page_is.relative_error * true + np.where(true < page_is.least, page_is.least, 0)
    assert (np.abs(said - true) <= within * (1 + 1e-5) + 1e-12).all()
    assert (true > 0.01).sum() > 20  # not all of them next to nothing


def states(trace: Trace, n: int) -> list[dict[str, Any]]:
    """Draw some states of a view of a map."""
    rng = random.Random(1)  # noqa: S311
    return [
        {
            "kind": rng.choice(trace.kinds),
            "layer": rng.choice([0, 1]),
            "heads": rng.choice([[], [2], [0, 3]]),
            "unit": rng.choice(["token", "word"]),
            "aggregate": rng.choice(["mean", "max", "separate"]),
            "sinks": rng.choice(["auto", "aside", "shown", "hidden"]),
        }
        for _ in range(n)
    ]


def close(a: Any, b: Any, within: float = CLOSE) -> None:
    x, y = values(a), values(b)
    assert x.shape == y.shape
    np.testing.assert_allclose(x, y, rtol=within, atol=1e-6)


def drawn_lines(frame: dict[str, Any]) -> dict[tuple[int, int, int], float]:
    keys, weights = values(frame["lines"]["key"]), values(frame["lines"]["weight"])
    at = np.nonzero(weights > 1e-6)
    places = zip(at[0].tolist(), at[1].tolist(), keys[at].tolist(), strict=True)
    return dict(zip(places, weights[at].tolist(), strict=True))


@pytest.mark.parametrize("model", ["decoder", "translation"])
def test_the_lines_that_a_page_makes_are_those_of_python(
    browser: Browser, tmp_path: Path, request: pytest.FixtureRequest, model: str
) -> None:
    trace: Trace = request.getfixturevalue(model)
    path = tmp_path / "page.html"
    lines = AttentionLines(trace)
    lines.save_html(path)
    with opened(browser, path) as page:
        for state in states(trace, 12):
            lines.set(**state)
            mine, theirs = lines.frame, page.draw(state)
            assert theirs["key"] == mine["key"]
            expected, found = drawn_lines(mine), drawn_lines(theirs)
            assert len(expected.keys() ^ found.keys()) <= 2, state  # at the end of what is kept
            for line in expected.keys() & found.keys():
                assert found[line] == pytest.approx(expected[line], rel=CLOSE), (state, line)
            for name in ("mass", "heads", "undefined_rows"):
                close(mine[name], theirs[name])
            for name in ("units", "of_map", "to"):
                close(mine["sinks"][name], theirs["sinks"][name])
            assert theirs["sinks"]["mode"] == mine["sinks"]["mode"]
            assert theirs["sinks"]["words"] == mine["sinks"]["words"]
            assert theirs["scale"] == pytest.approx(mine["scale"], rel=CLOSE)
            assert theirs["shown"]["mass"] == pytest.approx(mine["shown"]["mass"], rel=CLOSE)
            for name in ("minimap", "thumbnails"):
                a, b = (values(frame[name]).astype(int) for frame in (mine, theirs))
                assert np.abs(a - b).max() <= 1, (state, name)


@pytest.mark.parametrize("model", ["decoder", "translation"])
def test_the_matrices_that_a_page_makes_are_those_of_python(
    browser: Browser, tmp_path: Path, request: pytest.FixtureRequest, model: str
) -> None:
    trace: Trace = request.getfixturevalue(model)
    path = tmp_path / "page.html"
    matrix = FusedAttentionMatrix(trace)
    matrix.save_html(path)
    rng = random.Random(2)  # noqa: S311
    with opened(browser, path) as page:
        for state in states(trace, 12):
            state["normalise"] = rng.choice([True, False])
            state["hide_special"] = rng.choice([True, False])
            state["compare"] = rng.choice([None, {"layer": 0}, {"heads": [1]}])
            matrix.set(**state)
            mine, theirs = matrix.frame, page.draw(state)
            for name in ("rows", "cols", "causal", "title", "hidden", "zero", "pooled"):
                assert theirs[name] == mine[name], (state, name)
            for name in ("row_entropy", "column_mass"):
                close(mine[name], theirs[name])
            # Two weights are off, where they are taken from each other.
            np.testing.assert_allclose(
                values(theirs["exact"]), values(mine["exact"]), atol=2 * CLOSE
            )
            assert theirs["max"] == pytest.approx(mine["max"], rel=CLOSE, abs=2 * CLOSE)
            close(mine["sinks"]["to"], theirs["sinks"]["to"])
            assert (theirs["compare"] is None) == (mine["compare"] is None)


def test_the_patterns_that_a_page_makes_are_those_of_python(
    browser: Browser, tmp_path: Path, translation: Trace
) -> None:
    path = tmp_path / "page.html"
    finder = HeadFinder(translation, unit="word")
    finder.save_html(path)
    with opened(browser, path) as page:
        for kind in ("decoder", "encoder", "cross"):
            finder.set(kind=kind, unit="token")
            mine, theirs = finder.frame, page.draw({"kind": kind, "unit": "token"})
            assert theirs["per_pixel"] == mine["per_pixel"]
            a, b = (values(frame["patterns"]).astype(int) for frame in (mine, theirs))
            assert a.shape == b.shape
            assert np.abs(a - b).max() <= 1
            close(mine["scale"], theirs["scale"])
            close(mine["to_sinks"], theirs["to_sinks"])
            assert [m["name"] for m in theirs["metrics"]] == [m["name"] for m in mine["metrics"]]


def test_a_story_is_told_on_the_page_with_its_question_and_its_statistics(
    browser: Browser, tmp_path: Path, decoder: Trace
) -> None:
    path = tmp_path / "page.html"
    told = [
        ("All heads together.", {}),
        StoryStep(
            "One of them.",
            {"layer": 1, "heads": [3], "chart_metric": "entropy"},
            ask="Which animal?",
            answer="whale",
            because="It is said twice.",
        ),
        ("The end.", {"panes": ["lines"]}),
    ]
    story(explore(decoder, unit="word"), told).save_html(path)
    with opened(browser, path, viewport={"width": 1400, "height": 1000}) as page:
        explorer = view(page.page.locator("body"), EXPLORER)
        step = explorer.locator('[data-action="story-next"]')
        step.click()
        expect(view(explorer, LINES)).to_have_attribute("data-frame", "1:3:word:self")
        expect(explorer.locator('[data-action="metric"]')).to_have_value("entropy")
        expect(step).to_have_attribute("aria-disabled", "true")
        explorer.locator('[data-action="story-reveal"]').click()
        expect(explorer.get_by_text("It is said twice.")).to_be_visible()
        step.click()
        expect(view(explorer, MATRIX)).to_have_count(0)
        expect(explorer.locator(".gh-banner")).to_have_count(0)


def test_a_printed_page_keeps_its_colours_and_has_nothing_to_press(
    browser: Browser, tmp_path: Path, decoder: Trace
) -> None:
    path = tmp_path / "page.html"
    asked = StoryStep("One head.", {"heads": [3]}, ask="Which?", answer="a", choices=("a", "b"))
    story(explore(decoder, panes=("lines", "strip"), layer=1), [asked]).save_html(path)
    with opened(browser, path, viewport={"width": 720, "height": 1000}) as page:
        body = page.page.locator("body")
        pressed = body.locator(".gh-button:not([data-choice]):visible, input[type=range]:visible")
        assert pressed.count() > 0
        page.page.emulate_media(media="print")
        expect(pressed).to_have_count(0)
        expect(body.get_by_text("Which?")).to_be_visible()
        expect(body.locator('[data-choice="b"]')).to_be_visible()
        expect(body.locator('.gh-head[aria-pressed="true"]')).to_be_visible()
        assert body.evaluate("body => getComputedStyle(body).printColorAdjust") == "exact"


def test_nothing_lies_on_a_printed_picture_and_no_room_is_kept(
    browser: Browser, tmp_path: Path, decoder: Trace
) -> None:
    path = tmp_path / "page.html"
    steps = [("Short.", {"layer": 1}), ("Long. " * 200, {"layer": 0})]
    story(explore(decoder, panes=("lines", "matrix"), layer=1), steps).save_html(path)
    with opened(browser, path, viewport={"width": 720, "height": 600}) as page:
        body = page.page.locator("body")
        page.page.emulate_media(media="print")
        body.evaluate("body => body.ownerDocument.defaultView.scrollTo(0, 0)")
        words = body.locator(".gh[data-view=explorer] > .gh-footer").bounding_box()
        panes = [view(body, name).bounding_box() for name in (LINES, MATRIX)]
        assert words
        assert all(pane and pane["y"] + pane["height"] <= words["y"] + 1 for pane in panes)
        told = body.locator(".gh-story").bounding_box()
        assert told
        assert told["height"] < 120
        expect(body.locator("[data-action=sinks]")).to_have_css("border-top-width", "0px")
        expect(body.get_by_text("Point at a cell")).to_be_hidden()


def test_hostile_text_stays_text(browser: Browser, tmp_path: Path) -> None:
    lens = Lens.demo("decoder")
    path = tmp_path / "page.html"
    view_ = explore(lens.trace(f"The whale {HOSTILE} sank."), unit="token")
    view_.save_html(path, title=f"A page {HOSTILE}")
    with opened(browser, path) as page:
        page.page.on("dialog", lambda dialog: pytest.fail(dialog.message))
        assert page.page.locator("img[src=x]").count() == 0
        assert "alert(1)" in page.page.title()
        assert page.page.evaluate("document.querySelectorAll('script:not([type])').length") == 2
    with opened_without_scripts(browser, path) as text:
        assert "alert(1)" in text


_IN_A_NOTEBOOK = """
from glasshead import AttentionLines, Lens
view = AttentionLines(Lens.demo("decoder").trace("The whale, the whale!"), layer=1)
view
"""


def test_a_page_that_is_saved_from_a_notebook_has_the_picture_for_readers_without_scripts(
    browser: Browser, lab: LabServer, open_notebook: Callable[[str], Notebook], tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    cells = [_IN_A_NOTEBOOK, f"view.save_html({str(path)!r})"]
    notebook = open_notebook(lab.add_notebook("poster.ipynb", cells))
    notebook.run_all()
    assert notebook.errors() == []
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto(path.as_uri())
    poster = page.locator("#gh-text img")
    assert "AttentionLines of demo decoder" in (poster.get_attribute("alt") or "")
    size = poster.bounding_box()
    assert size
    assert size["width"] > 200
    context.close()


class opened_without_scripts:  # noqa: N801
    """Text of a page in a browser whose scripts are switched off."""

    def __init__(self, browser: Browser, path: Path) -> None:
        self._context = browser.new_context(java_script_enabled=False, offline=True)
        self._path = path

    def __enter__(self) -> str:
        page = self._context.new_page()
        page.goto(self._path.as_uri())
        return page.inner_text("body")

    def __exit__(self, *_: object) -> None:
        self._context.close()


def test_readers_without_scripts_get_text_model_and_what_is_missing(
    browser: Browser, tmp_path: Path, decoder: Trace
) -> None:
    path = tmp_path / "page.html"
    explore(decoder).save_html(path, title="Whales")
    with opened_without_scripts(browser, path) as text:
        for words in ("Whales", DECODER_TEXT, "demo decoder", "needs JavaScript", "pip install"):
            assert words in text


def background(page: Any, selector: str) -> str:
    return page.evaluate(f"getComputedStyle(document.querySelector('{selector}')).backgroundColor")


@pytest.mark.parametrize(
    ("theme", "readers", "dark"),
    [("auto", "dark", True), ("auto", "light", False), ("light", "dark", False)],
)
def test_a_page_follows_the_readers_theme_unless_it_has_one_of_its_own(
    browser: Browser, tmp_path: Path, decoder: Trace, theme: Any, readers: Any, dark: bool
) -> None:
    path = tmp_path / "page.html"
    AttentionLines(decoder).save_html(path, theme=theme)
    with opened(browser, path, color_scheme=readers) as page:
        theme_shown = page.page.locator(".gh").get_attribute("data-theme")
        assert (theme_shown == "dark") == dark
        assert (background(page.page, "body") != "rgb(255, 255, 255)") == dark


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_on_a_page_stands_in_the_way_of_anybody(
    browser: Browser, tmp_path: Path, decoder: Trace, theme: Any
) -> None:
    path = tmp_path / "page.html"
    explore(decoder).save_html(path)
    with opened(browser, path, color_scheme=theme) as page:
        page.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.page.evaluate("""async () => {
          const runOnly = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'];
          const { violations } = await axe.run(document, { runOnly });
          return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => [id, html]));
        }""")
    assert found == []


@pytest.mark.parametrize("name", VIEWS)
def test_a_page_fits_a_phone(browser: Browser, tmp_path: Path, decoder: Trace, name: str) -> None:
    path = tmp_path / "page.html"
    getattr(glasshead, name)(decoder).save_html(path)
    phone = {"viewport": {"width": 390, "height": 800}, "has_touch": True}
    with opened(browser, path, **phone) as page:
        assert page.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_page_in_a_frame_of_another_one_is_as_live(
    browser: Browser, tmp_path: Path, decoder: Trace
) -> None:
    path = tmp_path / "outer.html"
    path.write_text(f"<!doctype html><p>before</p>{AttentionLines(decoder).iframe()}", "utf-8")
    page = browser.new_context(offline=True).new_page()
    page.goto(path.as_uri())
    frame = page.frame_locator("iframe")
    frame.locator('[data-action="layer-next"]').click()
    expect(frame.locator(".gh")).to_have_attribute("data-frame", "1::token:self")
    page.context.close()
