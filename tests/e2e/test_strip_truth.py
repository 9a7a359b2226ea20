"""What the strip says under a real pointer, against cross entropy on the model's full logits.

Two hundred places of two models, in float64: the demo decoder over a text that is scored in windows
that overlap, and the translator's target.
"""

from __future__ import annotations

import copy
import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import torch

from e2e.saved import opened
from e2e.views import STRIP, view
from glasshead import Lens, PerplexityStrip, Trace
from glasshead_backend.demo import DECODER_LONG_TEXT, SOURCE_TEXT, TARGET_TEXT
from widgets.aloud import holds

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Locator

WINDOW, STRIDE = 64, 24
N_PLACES = 180
_READ = """(card) => ({
  numbers: Object.fromEntries([...card.querySelectorAll('[data-measure]')].map((row) =>
    [row.dataset.measure, row.querySelector('dd').textContent])),
  bars: [...card.querySelectorAll('.gh-strip-bar-row')].map((row) => row.ariaLabel),
  note: [...card.querySelectorAll('.gh-strip-card-note')].map((one) => one.textContent).join(' '),
})"""


@dataclass
class Truth:
    """A text, and of each token that has a prediction the log probabilities of all tokens."""

    trace: Trace
    log_p: dict[int, torch.Tensor]


def in_float64(lens: Lens) -> Any:
    return copy.deepcopy(lens.model).double().eval()


@torch.no_grad()
def windows() -> Truth:
    """Windows of 64 tokens, each 24 further, behind the tokenizer's <s>; each token once."""
    lens = Lens.demo("decoder")
    trace = lens.score(DECODER_LONG_TEXT, window=WINDOW, stride=STRIDE)
    model, (start, *own) = in_float64(lens), [token.id for token in trace.tokens]
    log_p: dict[int, torch.Tensor] = {}
    for begin in range(0, len(own), STRIDE):
        part = own[begin : begin + WINDOW - 1]
        rows = model(torch.tensor([[start, *part]])).logits[0].log_softmax(-1)
        for row in range(len(part)):
            log_p.setdefault(1 + begin + row, rows[row])
    return Truth(trace, log_p)


@torch.no_grad()
def translated() -> Truth:
    lens = Lens.demo("encoder-decoder")
    trace = lens.trace(SOURCE_TEXT, TARGET_TEXT)
    source, labels = ([t.id for t in of] for of in (trace.sequences[0].tokens, trace.labels or ()))
    rows = in_float64(lens)(torch.tensor([source]), labels=torch.tensor([labels])).logits[0]
    return Truth(trace, dict(enumerate(rows.log_softmax(-1))))


def assert_card(card: dict[str, Any], truth: Truth, position: int) -> None:
    log_p = truth.log_p[position]
    true = truth.trace.predictions().tokens[position].id
    nats, said = -float(log_p[true]), card["numbers"]
    assert holds(said["surprisal"].removesuffix(" bits"), nats / math.log(2), share=False)
    assert holds(said["perplexity"], math.exp(nats), share=False)
    assert holds(said["probability"], math.exp(-nats))
    assert int(said["rank"].replace(",", "")) == 1 + int((log_p > log_p[true]).sum())
    entropy = -float((log_p.exp() * log_p).sum()) / math.log(2)
    assert holds(said["entropy"].removesuffix(" bits"), entropy, share=False)
    top = log_p.exp().topk(5).values.tolist()
    for bar, probability in zip(card["bars"], top, strict=False):
        assert holds(bar.split("\u2069’, ")[1].removesuffix(", the true token"), probability)


@pytest.mark.parametrize("make", [windows, translated])
def test_the_card_of_a_token_says_what_the_model_computes(
    make: Any, browser: Browser, tmp_path: Path
) -> None:
    truth = make()
    PerplexityStrip(truth.trace, k=5).save_html(tmp_path / "strip.html")
    dice = random.Random(5)  # noqa: S311  no secrets here
    known = sorted(truth.log_p)
    assert len(known) == truth.trace.predictions().n_scored
    with opened(browser, tmp_path / "strip.html", viewport={"width": 1000, "height": 900}) as found:
        strip = view(found.page.locator("body"), STRIP)
        for position in dice.sample(known, min(N_PLACES, len(known))):
            assert_card(_pointed(strip, position), truth, position)


def test_by_word_the_card_says_what_the_word_comes_to(browser: Browser, tmp_path: Path) -> None:
    truth = windows()
    words = [word for word in truth.trace.words() if len(word.tokens) > 1 and word.tokens[0]]
    assert len(words) >= 20
    PerplexityStrip(truth.trace, unit="word").save_html(tmp_path / "strip.html")
    ids = [token.id for token in truth.trace.tokens]
    with opened(browser, tmp_path / "strip.html", viewport={"width": 1000, "height": 900}) as found:
        strip = view(found.page.locator("body"), STRIP)
        for word in words[:20]:
            nats = -sum(float(truth.log_p[token][ids[token]]) for token in word.tokens)
            note = _pointed(strip, word.tokens[-1])["note"]
            bits, probability = note.split("tokens: ")[1].split(", probability ")
            assert holds(bits.removesuffix(" bits"), nats / math.log(2), share=False)
            assert holds(probability.removesuffix("."), math.exp(-nats))


def _pointed(strip: Locator, position: int) -> dict[str, Any]:
    """Point at a token with the mouse, and read the card."""
    strip.locator(f'[data-position="{position}"]').hover()
    strip.locator(f'[data-position="{position}"].is-hovered').wait_for()
    return strip.locator(".gh-strip-card > div:first-child").evaluate(_READ)
