"""Every number that a view says is true of the model: from frame and bytes to words and back.

The built views run in Node on real frames; the right values come from ``trace.attention`` (compared
with eager attention elsewhere) and from the model's own logits, with numpy.
"""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from scipy.stats import entropy

from glasshead import (
    AttentionLines,
    FusedAttentionMatrix,
    HeadEntropy,
    LayerStatsChart,
    Lens,
    PerplexityStrip,
)
from glasshead_backend.demo import DECODER_TEXT, SOURCE_TEXT, TARGET_TEXT
from widgets.aloud import ROOT, Page, holds, said_by
from widgets.frames import unpack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glasshead import Trace

SMOLLM2 = Path(os.environ.get("GLASSHEAD_SMOLLM2", ROOT / ".models" / "smollm2-135m-instruct"))
TEXT = "The keeper of the old lighthouse wrote down the wind, the tide and the weather of the day."
NUMBER = r"(?:[<>≤] )?\d(?:[\d.,]*\d)?(?: %)?"
OPENED = "\u2018"
SUBSCRIPT = "₀₁₂₃₄₅₆₇₈₉"
# The number of a punctuation mark stands behind its quotes.
QUOTED = f"{OPENED}\u2068([^\u2069]*)\u2069[{SUBSCRIPT}]*\u2019[{SUBSCRIPT}]*"
NUMBERED = f"{OPENED}\u2068([^\u2069]*)\u2069\u2019?([{SUBSCRIPT}]*)\u2019?"


@pytest.fixture(
    scope="module",
    params=[
        "decoder",
        "encoder-decoder",
        pytest.param(
            "smollm2",
            marks=[
                pytest.mark.real_model,
                pytest.mark.skipif(
                    not (SMOLLM2 / "model.safetensors").exists(), reason="SmolLM2 is not here"
                ),
            ],
        ),
    ],
)
def trace(request: pytest.FixtureRequest) -> Trace:
    if request.param == "smollm2":
        return Lens.from_pretrained(str(SMOLLM2), dtype="float32").trace(TEXT)
    lens = Lens.demo(request.param)
    return (
        lens.trace(DECODER_TEXT)
        if lens.family == "decoder"
        else lens.trace(SOURCE_TEXT, TARGET_TEXT)
    )


def numbers_in(pattern: str, words: str) -> list[str]:
    """Return the groups of a pattern with NUMBER for each N; the words must match."""
    found = re.search(pattern.replace("N", f"({NUMBER})"), words)
    assert found, f"{pattern!r} is not in {words!r}"
    return list(found.groups())


def shares(weights: np.ndarray, threshold: float) -> tuple[int, float]:
    """How many weights reach a threshold, and their share of all."""
    drawn = weights[(weights > 0) & (weights >= np.float32(threshold))].astype(np.float64)
    return len(drawn), drawn.sum() / weights.sum(dtype=np.float64)


# ---- AttentionLines ------------------------------------------------------------------------------

LINES = {
    "status": ".gh-status",
    "live": ".gh-live",
    "slider": ".gh-slider-row output",
    "shows": ".al-shows",
    "keys": '[data-side="key"]@title',
    "queries": '[data-side="query"]@title',
}
RULES = ((2, None), (2, 0.123), (None, 0.05), (None, None), (5, 1.0))


def test_lines_say_how_many_they_are_and_what_they_carry(trace: Trace) -> None:
    cases = [
        (kind, trace.layers(kind)[-1], heads, unit, aggregate)
        for kind in trace.kinds
        for heads, unit, aggregate in (([], "token", "separate"), ([0, 2], "word", "mean"))
    ]
    acts = [{"set": {"top_k": top_k, "threshold": threshold}} for top_k, threshold in RULES]
    pages = [
        Page(
            AttentionLines(
                trace,
                kind=kind,
                layer=layer,
                heads=heads,
                unit=unit,
                aggregate=aggregate,
                sinks="shown",
            ),
            LINES,
            acts,
        )
        for kind, layer, heads, unit, aggregate in cases
    ]
    for case, page, said in zip(cases, pages, said_by(pages), strict=True):
        kind, layer, heads, unit, aggregate = case
        weights = trace.attention(layer, heads or None, kind=kind, unit=unit).numpy()
        if aggregate == "mean":
            weights = weights.mean(axis=0, keepdims=True)
        for (top_k, threshold), heard in zip(RULES, said, strict=True):
            # What a picture has no room for it says.
            most = min(top_k or weights.shape[-1], page.view.frame["per_row"])
            of_rule = -np.sort(-weights, axis=-1)[..., :most]
            n_drawn, carried = shares(of_rule, threshold or 0)
            share = carried * of_rule.sum(dtype=np.float64) / weights.sum(dtype=np.float64)
            (status,) = heard["status"]
            n_said, share_said = numbers_in(r"^N lines? shown, N of the attention mass", status)
            assert int(n_said.replace(",", "")) == n_drawn, status
            assert holds(share_said, share), (status, share)
            assert heard["live"] == [f"{share_said} of the attention mass shown"]
            assert heard["shows"] == [f"shows {share_said}"]
            of, least = heard["slider"]
            assert of == ("all" if top_k is None else str(top_k))
            assert least == "any" if threshold is None else float(least) == threshold


def test_a_lit_token_says_its_weights(trace: Trace) -> None:
    pages, fans = [], []
    for kind, unit in itertools.product(trace.kinds, ("token", "word")):
        layer, heads = trace.layers(kind)[-1], [0, 2]
        weights = trace.attention(layer, heads, kind=kind, unit=unit).numpy()
        n_rows = weights.shape[1]
        lit = [*(("query", row) for row in (1, n_rows // 2, n_rows - 1)), ("key", 1), ("key", 2)]
        acts = [
            {"on": f'[data-side="{side}"][data-unit="{place}"]', "event": "pointermove"}
            for side, place in lit
        ]
        asks = [("fan", {"position": place, "side": side}) for side, place in lit]
        view = AttentionLines(trace, kind=kind, layer=layer, heads=heads, unit=unit, sinks="shown")
        pages.append(Page(view, LINES, acts, asks))
        fans.append(
            [(side, weights[:, p] if side == "query" else weights[:, :, p]) for side, p in lit]
        )
    for page, said, of_page in zip(pages, said_by(pages), fans, strict=True):
        for (side, fan), heard in zip(of_page, said, strict=True):
            other = page.view.axes["key" if side == "query" else "query"]
            says_most(heard, fan, other)


def says_most(heard: dict[str, list[str]], fan: np.ndarray, axis: Any) -> None:
    """The status names the strongest of the other side, each with its mean over the heads."""
    (status,) = heard["status"]
    assert status.endswith("mean of 2 heads"), status
    mean = fan.astype(np.float64).mean(axis=0)
    names = axis["predicted"] if axis["emphasis"] == "predicted" else axis["labels"]
    pairs = re.findall(f"{NUMBERED} ({NUMBER})", status[status.index(" most ") :])
    order = np.argsort(-mean, kind="stable")[: len(pairs)]
    assert len(pairs) >= 1
    for (name, mark, value), unit in zip(pairs, order, strict=True):
        assert holds(value, mean[unit]), (status, mean[unit])
        equals = np.flatnonzero(np.isclose(mean, mean[unit], atol=1e-6))
        assert (name, mark) in [(shown(names[i]), number(axis, i)) for i in equals], status
    assert heard["live"][0].endswith(status)
    # The numbers beside the bars, as long as they are in view; lines out of view name their ends.
    for value in (words for words in heard["written"] if words[0] not in "↑↓"):
        assert any(holds(value, one) for one in mean), value


def number(axis: Any, unit: int) -> str:
    """The subscript of a unit: where its first token stands, if another is written alike."""
    written = [shown(label) for label in axis["labels"]]
    # A predicted word is told from others by its row, which stands before it.
    if axis["emphasis"] == "predicted" or written.count(written[unit]) == 1:
        return ""
    first = int(np.flatnonzero(unpack(axis["unit_of_token"]) == unit)[0])
    return "".join(SUBSCRIPT[int(digit)] for digit in str(first))


def shown(text: str) -> str:
    """A token as sentences quote it: trimmed, with marks for what cannot be seen."""
    return (text.strip() or text).replace("\n", "⏎").replace(" ", "·") or "∅"


# ---- FusedAttentionMatrix ------------------------------------------------------------------------

MATRIX = {
    "status": ".gh-status",
    "largest": ".fm-largest li",
    "readout": ".fm-readout",
    "value": ".fm-value",
    "facts": ".fm-readout .gh-caption",
    "bars": ".fm-bars@aria-label",
    "entropy": ".fm-margin.is-entropy",
    "mass": ".fm-margin.is-mass",
    "legend": ".gh-legend .gh-number",
}


def test_the_matrix_says_its_weights(trace: Trace) -> None:
    # Down from the first cell: to row 3, column 1.
    keys = ["ArrowDown"] * 4 + ["ArrowRight"]
    acts = [{"set": {"scale": "linear"}}, *({"press": [key]} for key in keys)]
    cells = [(0, 0), (1, 0), (2, 0), (3, 0), (3, 1)]
    asks = [("cell", {"query": query, "key": key}) for query, key in cells]
    aggregates = ("mean", "max")
    pages = [
        Page(
            FusedAttentionMatrix(
                *(trace,),
                kind=kind,
                layer=trace.layers(kind)[-1],
                aggregate=name,
                sinks="shown",
            ),
            *(MATRIX, acts, asks),
        )
        for kind, name in itertools.product(trace.kinds, aggregates)
    ]
    for page, said in zip(pages, said_by(pages), strict=True):
        heads = trace.attention(page.view.layer, kind=page.view.kind, unit="word").double().numpy()
        whole = heads.mean(axis=0) if page.view.aggregate == "mean" else heads.max(axis=0)
        says_largest(said[0], whole, causal=page.view.kind in ("self", "decoder"))
        says_cell(said[-1], whole, heads)


def says_largest(rest: dict[str, list[str]], whole: np.ndarray, *, causal: bool) -> None:
    """With nothing under the pointer: the strongest cells, and the ends of scales."""
    below = np.where(np.arange(len(whole))[:, None] >= causal, whole, 0)
    (largest,) = numbers_in("largest weight N", rest["status"][0])
    assert holds(largest, below.max()), rest["status"]
    assert len(rest["largest"]) == 8
    strongest = np.sort(below.flatten())[::-1]
    for item, true in zip(rest["largest"], strongest, strict=False):
        assert holds(item[: item.index(OPENED)], true), (item, true)
    most = entropy(whole, base=2, axis=1).max()
    assert holds(rest["entropy"][0].removeprefix("entropyin bits"), most)
    assert holds(rest["mass"][0].removeprefix("mean received"), whole.mean(axis=0).max())


def says_cell(cell: dict[str, list[str]], whole: np.ndarray, heads: np.ndarray) -> None:
    """Row 3, column 1 under the crosshair: the exact cell, and what stands beside it."""
    assert holds(cell["value"][0], whole[3, 1]), (cell["value"], whole[3, 1])
    facts = " ".join(cell["facts"])
    (row_sum,) = numbers_in("row sums to N", facts)
    assert holds(row_sum, whole[3].sum()), facts
    (bits,) = numbers_in("row entropy N bits", facts)
    assert holds(bits, entropy(whole[3], base=2), share=False)
    head, weight = numbers_in("largest head N: N", cell["bars"][0])
    assert holds(weight, heads[:, 3, 1].max())
    assert int(head) == heads[:, 3, 1].argmax()


# ---- PerplexityStrip -----------------------------------------------------------------------------

STRIP = {
    "figures": ".gh-strip-figure strong",
    "summary": ".gh-strip-card-summary",
    "numbers": ".gh-strip-card > div:first-child .gh-strip-card-number dd",
    "bars": ".gh-strip-card > div:first-child .gh-strip-bar-row@aria-label",
    "ranks": ".gh-strip-card > div:first-child .gh-strip-bar-rank",
    "marked": ".is-marked[data-position]@data-position",
    "live": ".gh-live",
    "card": ".gh-strip-card > div:first-child",
}


def next_token_logits(trace: Trace) -> tuple[torch.Tensor, torch.Tensor, int]:
    """The model's own logits for every token, the tokens, and the first one that has some."""
    model: Any = trace.lens.model
    first = trace.sequences[0].ids
    with torch.no_grad():
        if trace.labels is None:
            logits = model(torch.tensor([first])).logits[0, :-1]
            return logits.double(), torch.tensor(first[1:]), 1
        ids = torch.tensor([[token.id for token in trace.labels]])
        return model(torch.tensor([first]), labels=ids).logits[0].double(), ids[0], 0


def test_the_strip_says_what_the_model_predicted(trace: Trace) -> None:
    logits, ids, start = next_token_logits(trace)
    log_p = logits.log_softmax(-1)
    surprisal = -log_p.gather(1, ids[:, None])[:, 0]
    wrong = (logits.argmax(-1) != ids).numpy()
    layer, kind = trace.layers()[-1], trace.default_kind
    view = PerplexityStrip(trace, layer=layer, kind=kind)
    positions = [start, start + 4, len(ids) + start - 1]
    acts: list[dict[str, Any]] = [{"set": {"measure": "surprisal"}}]
    acts += [{"set": {"hovered": position}} for position in positions]
    (said,) = said_by([Page(view, STRIP, acts)])
    perplexity, right = said[0]["figures"]
    assert holds(perplexity, float(surprisal.mean().exp()), share=False)
    assert holds(right, 1 - wrong.mean())
    assert f"{len(ids)} of {len(ids) + start} tokens scored" in said[0]["summary"]
    # Marked are the right guesses or the wrong ones, whichever are fewer.
    marked = ~wrong if 2 * wrong.sum() > len(ids) else wrong
    assert [int(p) - start for p in said[0]["marked"]] == np.flatnonzero(marked).tolist()
    for position, heard in zip(positions, said[1:], strict=True):
        row = position - start
        bits, choices, probability, rank, spread = heard["numbers"]
        value = float(surprisal[row])
        p = log_p[row].exp()
        assert holds(bits.removesuffix(" bits"), value / np.log(2), share=False)
        assert holds(choices, np.exp(value), share=False)
        assert holds(probability, np.exp(-value))
        true_rank = 1 + int((logits[row] > logits[row, ids[row]]).sum())
        assert int(rank.replace(",", "")) == true_rank
        assert holds(
            spread.removesuffix(" bits"), float(-(p * log_p[row]).sum() / np.log(2)), share=False
        )
        top = p.topk(view.k)
        spelled = [shown(text) for text in trace.lens.spelled(top.indices.tolist())]
        for bar, name, true in zip(heard["bars"], spelled, top.values.tolist(), strict=False):
            said_name, said_p = re.match(f"{QUOTED}, ({NUMBER})", bar).groups()  # type: ignore[union-attr]
            assert said_name == name[:24] or said_name.endswith("…")
            assert holds(said_p, true), (bar, true)
        assert heard["ranks"][: view.k] == [str(i + 1) for i in range(view.k)]
        marked = [i for i, bar in enumerate(heard["bars"]) if bar.endswith("the true token")]
        assert marked == [min(true_rank - 1, view.k)]
        if trace.labels is not None:
            weights = trace.attention(layer, kind="cross", aggregate="mean")[position].numpy()
            looks = re.findall(f"{QUOTED} ({NUMBER})", heard["card"][0].split("looks most at")[1])
            best = np.argsort(-weights)[: len(looks)]
            for (name, value), key in zip(looks, best, strict=True):
                assert name == shown(trace.keys("cross")[key].text)
                assert holds(value, float(weights[key]))


# ---- LayerStatsChart -----------------------------------------------------------------------------


def test_the_chart_says_norms_and_entropies(trace: Trace) -> None:
    kind = trace.kinds[-1]
    read = {"layers": "[data-layer]@aria-label", "heads": "[data-cell]@aria-label"}
    acts = [{"set": {"theme": "light"}}]
    norms = LayerStatsChart(trace, kind=kind)
    spread = LayerStatsChart(trace, metric=HeadEntropy(), kind=kind)
    spread.result  # noqa: B018  waits for it
    (of_norms,), (of_heads,) = said_by([Page(norms, read, acts), Page(spread, read, acts)])
    for layer, words in zip(trace.layers(kind), of_norms["layers"], strict=True):
        for block, label in (("attention", "attention"), ("mlp", "MLP")):
            true = trace.activations(layer, block, kind=kind).norm(dim=-1).double().numpy()
            middle, low, high = numbers_in(
                rf"\b{label} N, interval N – N", words.replace("cross-", "x")
            )
            assert holds(middle, np.median(true), share=False), words
            assert holds(low, np.quantile(true, 0.25), share=False)
            assert holds(high, np.quantile(true, 0.75), share=False)
    said = dict(word.split(": ") for word in of_heads["heads"])
    for layer in trace.layers(kind):
        rows = trace.attention(layer, kind=kind).double().numpy()
        for head, true in enumerate(entropy(rows, base=2, axis=2).mean(axis=1)):
            assert holds(said[f"Layer {layer}, head {head}"], true, share=False)


def holding(texts: Sequence[str], true: float) -> bool:
    return all(holds(text, true) for text in texts)


def test_what_holds_and_what_does_not() -> None:
    """The measure itself: it must refuse what the views once said."""
    assert holding(["0.41", "≤ 0.42", "0.4123", "41.2 %"], 0.41234)
    assert holding(["> 99.9 %", "> 0.999"], 0.99999)
    assert holding(["100 %", "1"], 1.0)
    assert not holds("84.1 %", 0.839)
    assert not holds("100 %", 0.9966)
    assert not holds("1", 0.9996)
    assert not holds("0 %", 0.00001)
    assert not holds("≤ 4.3", 4.34)
    assert not holds("0.412", 0.4114)
