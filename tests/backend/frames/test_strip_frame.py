"""The frame of PerplexityStrip: words' surprisal, and characters that several tokens share."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from glasshead_backend import Lens
from glasshead_backend.frames.strip import split_characters, strip_frame
from support.tiny_models import TEXT, build, tokenizer
from support.tokenizers import gpt2


def test_a_words_surprisal_is_the_sum_over_its_tokens() -> None:
    trace = Lens.demo("decoder").trace("Queequeg only laughed at the sunrise.")
    words = strip_frame(trace, None)["words"]
    nats = trace.predictions().surprisal.double().tolist()
    expected: dict[int, float] = {}
    for number, word in enumerate(trace.words()):
        expected[number] = sum(nats[token] for token in word.tokens)
    of_token = torch.frombuffer(bytearray(words["of_token"]["data"]), dtype=torch.int32)
    found = torch.frombuffer(bytearray(words["surprisal"]["data"]), dtype=torch.float32)
    assert len(of_token) == len(nats)
    assert any(len(word.tokens) > 1 for word in trace.words())
    for number, value in expected.items():
        assert math.isclose(found[number], value, rel_tol=1e-5) or math.isnan(value)


@given(some.text(some.sampled_from("ab 😀é我喜ه‍👩"), max_size=20))
def test_each_character_stands_with_the_first_token_that_it_is_of(text: str) -> None:
    # Byte-level: whatever the merges lack is split into bytes.
    tokens = Lens(build("gpt2", vocab_size=len(gpt2())), gpt2()).tokenize(text)
    shown = {position: written for position, written, _ in split_characters(tokens, text)}
    whole = "".join(shown.get(i, text[token.start : token.end]) for i, token in enumerate(tokens))
    assert whole == text
    for position, written, goes_on in split_characters(tokens, text):
        assert goes_on == (tokens[position].start < tokens[position - 1].end and position > 0)
        assert written or goes_on


def test_a_part_of_the_text_has_its_own_perplexity() -> None:
    predictions = Lens(build("gpt2"), tokenizer()).trace(TEXT).predictions()
    part = predictions.part(3, 9)
    nats = predictions.surprisal[3:9].double()
    assert part.n_scored == 6
    assert part.tokens == predictions.tokens[3:9]
    assert math.isclose(part.mean_perplexity, float(nats.mean().exp()), rel_tol=1e-9)
    with pytest.raises(ValueError, match="tokens"):
        predictions.part(5, 5)
