"""Cloze probability: the product of a softmax over full logits, token by token."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from glasshead_backend import Lens
from support.tiny_models import build, tokenizer

PROMPT = "the quick brown fox"
ENDS = (" jumps", " runs away from the whale", " sea", " jumps over")


@pytest.mark.parametrize("model_type", ["gpt2", "gemma2"])
def test_a_continuation_has_the_product_of_its_tokens_probabilities(model_type: str) -> None:
    model = build(model_type)
    lens = Lens(model, tokenizer())
    found = lens.score_continuation(PROMPT, ENDS)
    n_prompt = len(tokenizer()(PROMPT).input_ids)
    for end, surprisal in zip(ENDS, found.surprisal, strict=True):
        ids = tokenizer()(PROMPT + end).input_ids
        with torch.no_grad():
            log_p = log_softmax(model(torch.tensor([ids])).logits[0].double().numpy(), axis=-1)
        expected = -sum(log_p[i - 1, ids[i]] for i in range(n_prompt, len(ids)))
        assert math.isclose(surprisal, expected, rel_tol=1e-5)
        alone = lens.score_continuation(PROMPT, end)
        assert math.isclose(alone.surprisal[0], surprisal, rel_tol=1e-5)
    frame = found.to_frame()
    assert frame["continuation"].tolist() == list(ENDS)
    assert frame["n_tokens"].tolist() == [1, 5, 1, 2]
    np.testing.assert_allclose(frame["probability"], np.exp(-frame["surprisal"]), rtol=1e-6)


def test_a_target_begins_with_its_probability() -> None:
    model = build("bart")
    found = Lens(model, tokenizer()).score_continuation(PROMPT, ["the whale", "sea"])
    for end, surprisal in zip(found.texts, found.surprisal, strict=True):
        labels = tokenizer()(end).input_ids
        with torch.no_grad():
            logits = model(
                input_ids=torch.tensor([tokenizer()(PROMPT).input_ids]),
                decoder_input_ids=torch.tensor([[2, *labels[:-1]]]),
            ).logits[0]
        log_p = log_softmax(logits.double().numpy(), axis=-1)
        expected = -log_p[np.arange(len(labels)), labels].sum()
        assert math.isclose(surprisal, expected, rel_tol=1e-5)


def test_what_has_no_clear_beginning_is_refused_in_words() -> None:
    demo = Lens.demo("decoder")
    with pytest.raises(ValueError, match="the tokenizer makes one token, ' whale'"):
        demo.score_continuation("the wha", "le")
    with pytest.raises(ValueError, match="is empty"):
        demo.score_continuation("the", "  ")
    with pytest.raises(ValueError, match="no continuations"):
        demo.score_continuation("the", [])
    with pytest.raises(ValueError, match="encoder: it predicts no next token"):
        Lens(build("bert"), tokenizer()).score_continuation("the", " whale")
    # A space between the two belongs to the word.
    one, other = (
        demo.score_continuation(*parts).surprisal
        for parts in (("the", " whale"), ("the ", "whale"))
    )
    assert one == other
