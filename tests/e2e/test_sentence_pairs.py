"""Lines from one sentence of a pair to one: chosen in the bar, live and on saved pages."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from playwright.sync_api import expect

from backend.tracing.test_given_texts import with_pairs
from e2e.saved import opened
from e2e.test_accessibility import AXE
from e2e.test_saved_pages import CLOSE, close, drawn_lines
from e2e.views import EXPLORER, LINES, view
from glasshead import AttentionLines, Lens, Trace, explore
from glasshead_backend.demo import SOURCE_TEXT, TARGET_TEXT
from support.tiny_models import build
from widgets.frames import ask

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

FIRST, SECOND = "the brown fox jumps over the lazy dog", "a dog is over the fox and it jumps"
B_START = 10
"""``<s>``, eight words, ``</s>``: the second sentence begins behind them."""


@pytest.fixture(scope="module")
def pair() -> Trace:
    return Lens(build("bert"), with_pairs()).trace(FIRST, SECOND)


@pytest.fixture(scope="module")
def with_sink() -> Trace:
    """Token 12, of sentence B, takes half of the attention."""
    weights = np.random.default_rng(0).dirichlet(np.ones(30), size=(2, 3, 30)) / 2
    weights[..., 12] += 0.5
    return Trace.from_attentions(weights, [f"t{i}" for i in range(30)], sentence_b_start=9)


@pytest.mark.parametrize("model", ["pair", "with_sink"])
def test_the_lines_that_a_page_makes_of_two_sentences_are_those_of_python(
    browser: Browser, tmp_path: Path, request: pytest.FixtureRequest, model: str
) -> None:
    trace: Trace = request.getfixturevalue(model)
    path = tmp_path / "page.html"
    lines = AttentionLines(trace, layer=1)
    lines.save_html(path)
    every = product(["AB", "BA", "AA", "BB"], ["mean", "max", "separate"], ["aside", "hidden"])
    with opened(browser, path) as page:
        for i, (sentences, aggregate, sinks) in enumerate(every):
            state: dict[str, Any] = {
                "sentences": sentences,
                "aggregate": aggregate,
                "sinks": sinks,
                "unit": "word" if i % 2 else "token",
                "top_k": 3,
            }
            lines.set(**state)
            mine, theirs = lines.frame, page.draw(state)
            assert theirs["key"] == mine["key"]
            expected, found = drawn_lines(mine), drawn_lines(theirs)
            assert expected.keys() == found.keys()
            for line in expected:
                assert found[line] == pytest.approx(expected[line], rel=CLOSE), (state, line)
            for name in ("units", "of_map", "to"):
                close(mine["sinks"][name], theirs["sinks"][name])
            close(mine["mass"], theirs["mass"])
            assert theirs["shown"]["n"] == mine["shown"]["n"]
            assert theirs["n_total"] == mine["n_total"]
            for a, b in (
                (mine["elsewhere"], theirs["elsewhere"]),
                (mine["scale"], theirs["scale"]),
                (mine["shown"]["mass"], theirs["shown"]["mass"]),
                (mine["sinks"]["share"], theirs["sinks"]["share"]),
            ):
                assert b == pytest.approx(a, rel=CLOSE, abs=1e-6), state
            for position, side in ((3, "query"), (12, "key")):
                args = {"position": position, "side": side}
                (answer,) = page.ask(({}, "fan", args))
                for name, array in ask(lines, "fan", **args)[1].items():
                    np.testing.assert_allclose(answer[name], array, rtol=CLOSE, atol=1e-6)


def test_whose_attention_is_drawn_is_chosen_in_the_bar(
    browser: Browser, tmp_path: Path, pair: Trace
) -> None:
    path = tmp_path / "page.html"
    explore(pair, unit="word", panes=["lines", "matrix"]).save_html(path)
    elsewhere = AttentionLines(pair, unit="word", sentences="AB").frame["elsewhere"]
    with opened(browser, path, viewport={"width": 1400, "height": 1000}) as page:
        explorer = view(page.page.locator("body"), EXPLORER)
        lines, status = view(explorer, LINES), explorer.locator(".gh-status")
        chooser = lines.get_by_label("Sentences")
        before = int(lines.get_attribute("data-lines") or 0)
        chooser.select_option("A → B")
        words = f"{100 * elsewhere:.1f} % is not from sentence A to sentence B"
        expect(status).to_contain_text(words)
        assert int(lines.get_attribute("data-lines") or 0) < before
        lines.locator(f'[data-side="query"][data-unit="{B_START + 1}"]').hover()
        expect(status).to_contain_text("from sentence A to sentence B")
        page.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.page.evaluate("""async () => {
          const runOnly = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'];
          const { violations } = await axe.run(document, { runOnly });
          return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => [id, html]));
        }""")
        assert found == []
        chooser.select_option("all")
        expect(lines).to_have_attribute("data-lines", str(before))


def test_a_text_that_is_no_pair_has_nothing_to_choose(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    AttentionLines(Lens.demo("decoder").trace("The whale, the whale!")).save_html(path)
    with opened(browser, path) as page:
        expect(view(page.page.locator("body"), LINES)).to_have_attribute("data-ready", "true")
        expect(page.page.get_by_label("Sentences")).to_be_hidden()


def test_another_kind_of_attention_that_is_of_no_pair_has_all_lines_again(
    browser: Browser, tmp_path: Path
) -> None:
    trace = Lens.demo("encoder-decoder").trace(SOURCE_TEXT, TARGET_TEXT)
    source = trace.sequences[0]
    pair = tuple(int(i >= 4) for i in range(len(source.tokens)))
    object.__setattr__(source, "segments", pair)  # as those of an encoder like BERT are
    lines = AttentionLines(trace, kind="encoder", sentences="AB")
    path = tmp_path / "page.html"
    lines.save_html(path)
    lines.kind = "cross"
    with opened(browser, path) as page:
        expect(page.page.get_by_label("Sentences")).to_have_value("AB")
        drawn = page.draw({"kind": "cross"})
        expect(page.page.get_by_label("Sentences")).to_be_hidden()
    assert drawn["key"] == lines.frame["key"]
    assert lines.sentences == drawn["key"]["sentences"] == "all"
    assert (lines.frame["elsewhere"], drawn["elsewhere"]) == (0, 0)
