"""Attention by words: any tokenizer, any text, and no row gains or loses anything."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from backend.text.test_tokens import NASTY
from glasshead_backend import Lens, Trace
from support.parity import EXACT, in_float64
from support.tiny_models import TEXT, build, eager_attentions, tokenizer
from support.tokenizers import BUILDERS

pytestmark = [
    pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses"),
    pytest.mark.filterwarnings("ignore:This sequence already has </s>"),
]


def fused(weights: np.ndarray, rows: list[int], columns: list[int]) -> np.ndarray:
    """``F = R A C`` with the matrices written out."""
    c = np.eye(max(columns) + 1)[columns]
    r = np.eye(max(rows) + 1)[rows].T
    return (r / r.sum(axis=1, keepdims=True)) @ weights @ c


def word_of_token(trace: Trace, side: str, kind: str) -> list[int]:
    words = trace.words(side, kind)  # type: ignore[arg-type]
    return [number for number, word in enumerate(words) for _ in word.tokens]


@pytest.mark.parametrize("family", BUILDERS)
def test_fused_rows_sum_as_before_for_every_tokenizer_and_text(family: str) -> None:
    own = BUILDERS[family]()
    torch.manual_seed(0)
    size = {"n_embd": 32, "n_head": 4, "n_layer": 2, "n_positions": 1024}
    model = GPT2LMHeadModel(GPT2Config(vocab_size=len(own) + 8, **size)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.4)
    lens = Lens(model.double(), own)
    traced = 0
    for text in NASTY:
        if all(token.special for token in lens.tokenize(text)):
            continue
        traced += 1
        with lens.trace(text) as trace:
            words = word_of_token(trace, "query", "self")
            ids = torch.tensor([trace.sequences[0].ids])
            eager = eager_attentions(model, input_ids=ids).attentions[1][0].numpy()
            by_word = trace.attention(1, unit="word")
            np.testing.assert_allclose(by_word, fused(eager, words, words), rtol=0, atol=EXACT)
            np.testing.assert_allclose(by_word.sum(-1), 1, rtol=0, atol=EXACT)
            some = [0, len(trace.words()) // 2]
            part = trace.attention(1, [2], unit="word", rows=some)
            torch.testing.assert_close(part, by_word[[2]][:, some])
    assert traced > 20


@pytest.mark.parametrize("kind", ["encoder", "decoder", "cross"])
def test_rows_of_cross_attention_are_grouped_by_what_they_predict(kind: str) -> None:
    pairs = {"a lazy fox": ["a lazy", "fox"], TEXT: TEXT.split(" jumps ")}
    lens = Lens(in_float64(build("bart")), tokenizer(), words=pairs.__getitem__)
    trace = lens.trace(TEXT, "a lazy fox")
    ids = [torch.tensor([sequence.ids]) for sequence in trace.sequences]
    out = eager_attentions(lens.model, input_ids=ids[0], decoder_input_ids=ids[1])
    eager = out[f"{kind}_attentions"][1][0].numpy()
    rows, columns = (word_of_token(trace, side, kind) for side in ("query", "key"))
    by_word = trace.attention(1, kind=kind, unit="word")  # type: ignore[arg-type]
    np.testing.assert_allclose(by_word, fused(eager, rows, columns), rtol=0, atol=EXACT)
    if kind == "cross":
        assert [word.text for word in trace.words("query", kind="cross")][:2] == ["a lazy", "fox"]


def test_sinks_leave_fused_rows_what_they_leave_tokens() -> None:
    trace = Lens(build("gpt_oss"), tokenizer(), words=lambda t: t.split(" fox ")).trace(TEXT)
    sums = trace.attention(1).sum(-1)
    assert sums.min() < 0.95
    words = word_of_token(trace, "query", "self")
    expected = [sums[:, [i for i, w in enumerate(words) if w == n]].mean(1) for n in set(words)]
    torch.testing.assert_close(trace.attention(1, unit="word").sum(-1), torch.stack(expected, 1))


def test_the_surprisal_of_a_word_is_the_sum_over_its_tokens() -> None:
    trace = Lens(build("gpt2"), tokenizer(), words=lambda _: ["old whale", "at sea"]).trace(
        "the old whale runs at sea"
    )
    nats = trace.predictions().surprisal
    table = trace.predictions().by_word(trace.words())
    assert table.word.tolist() == ["the", "old whale", "runs", "at sea"]
    assert table.n_tokens.tolist() == [1, 2, 1, 2]
    assert np.isnan(table.surprisal[0])
    expected = [nats[1] + nats[2], nats[3], nats[4] + nats[5]]
    np.testing.assert_allclose(table.surprisal[1:], torch.stack(expected), rtol=1e-6)
    np.testing.assert_allclose(table.perplexity[1:], np.exp(table.surprisal[1:]), rtol=1e-5)
