"""Texts of any length, scored without attention: compared with loops that are written out here."""

from __future__ import annotations

import math
import os
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from glasshead_backend import Cancelled, Lens, ModelChangedError, Step
from glasshead_backend.demo import DECODER_LONG_TEXT
from support.tiny_models import TEXT, build, tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers import PreTrainedTokenizerFast

LONG = " ".join([TEXT] * 12)
"""228 tokens; the tiny models read 128."""

SIZE, STRIDE = 128, 48

SMOLLM2 = Path(
    os.environ.get(
        "GLASSHEAD_SMOLLM2", Path(__file__).parents[3] / ".models" / "smollm2-135m-instruct"
    )
)
PARAGRAPH = (
    "Bread is one of the oldest foods that people make. Flour, water, salt and yeast are mixed to "
    "a dough, which is kneaded and left to rise in a warm place until it has doubled in size. Then "
    "it is shaped into a loaf, left to rise once more, and baked in a hot oven until the crust is "
    "golden brown. When it is done it sounds hollow if you tap it on the bottom."
)


def losses(model: Any, ids: list[int], labels: list[int], **inputs: torch.Tensor) -> torch.Tensor:
    """Cross entropy of every label on the full logits, by the row of the same number."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids]), **inputs).logits[0]
    return functional.cross_entropy(
        logits[: len(labels)].double(), torch.tensor(labels), reduction="none"
    )


def strided(model: Any, ids: list[int], size: int, stride: int) -> list[float]:
    """The loop of transformers' "Perplexity of fixed-length models", token by token."""
    found: list[float] = []
    previous_end = 1
    for begin in range(0, len(ids), stride):
        end = min(begin + size, len(ids))
        own = losses(model, ids[begin:end], ids[begin + 1 : end])
        found += own[previous_end - begin - 1 :].tolist()
        previous_end = end
        if end == len(ids):
            return found
    raise AssertionError


def with_mask() -> PreTrainedTokenizerFast:
    tokens = tokenizer()
    tokens.mask_token = "z"
    return tokens


def test_a_text_that_fits_has_the_numbers_of_a_single_pass() -> None:
    for model_type in ("gpt2", "gemma2"):
        lens = Lens(build(model_type), tokenizer())
        traced, scored = lens.trace(TEXT).predictions(), lens.score(TEXT).predictions()
        for name in ("surprisal", "entropy", "rank", "correct", "probability"):
            one, other = getattr(traced, name), getattr(scored, name)
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6, equal_nan=True)


# gemma2 caps its logits behind the unembedding; llama's positions turn, gpt2's are learnt.
@pytest.mark.parametrize("model_type", ["gpt2", "llama", "gemma2"])
def test_a_text_of_any_length_is_scored_as_the_strided_loop_does(model_type: str) -> None:
    model = build(model_type)
    scored = Lens(model, tokenizer()).score(LONG, window=SIZE, stride=STRIDE)
    ids = tokenizer()(LONG).input_ids
    expected = strided(model, ids, SIZE, STRIDE)
    assert len(expected) == len(ids) - 1
    np.testing.assert_allclose(scored.predictions().surprisal[1:], expected, rtol=1e-4)
    assert math.isclose(
        scored.predictions().mean_perplexity, math.exp(np.mean(expected)), rel_tol=1e-4
    )


def test_what_stands_before_every_text_stands_before_every_window() -> None:
    # The demo's tokenizer puts <s> before a text.
    lens = Lens.demo("decoder")
    scored = lens.score(DECODER_LONG_TEXT, window=64, stride=20)
    start, *own = [token.id for token in scored.tokens]
    expected = losses(lens.model, [start, *own[:63]], own[:63]).tolist()
    for begin in range(20, len(own), 20):
        window = own[begin : begin + 63]
        new = len(own[: begin + 63]) - len(expected)
        expected += losses(lens.model, [start, *window], window)[len(window) - new :].tolist()
    np.testing.assert_allclose(scored.predictions().surprisal[1:], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("model_type", ["t5", "bart"])
def test_of_an_encoder_decoder_the_target_is_scored_behind_its_source(model_type: str) -> None:
    model = build(model_type)
    scored = Lens(model, tokenizer()).score(TEXT, TEXT[:60])
    source, labels = (tokenizer()(text).input_ids for text in (TEXT, TEXT[:60]))
    decoder_ids = torch.tensor([[model.config.decoder_start_token_id, *labels[:-1]]])
    expected = losses(model, source, labels, decoder_input_ids=decoder_ids)
    np.testing.assert_allclose(scored.predictions().surprisal, expected, rtol=1e-4)


def test_what_needs_attention_says_that_there_is_none() -> None:
    scored = Lens(build("gpt2"), tokenizer()).score(LONG)
    assert scored.kinds == ()
    questions: list[Callable[[], object]] = [
        lambda: scored.attention(0),
        lambda: scored.attention(0, kind="self"),
        scored.layers,
        scored.norms,
        scored.rollout,
        lambda: scored.activations(0, "attention"),
        lambda: scored.hidden_states(0),
        lambda: scored.layer_readings(3),
    ]
    for ask in questions:
        with pytest.raises(ValueError, match=r"scored without its (attention|layers)"):
            ask()


def test_logits_that_take_too_much_room_are_not_kept() -> None:
    # gemma2 caps its logits behind the unembedding: they cannot be made of the hidden states.
    lens = Lens(build("gemma2"), tokenizer())
    lens.memory_budget = 5_000
    scored = lens.score(TEXT)
    assert scored.predictions().n_scored == len(scored.tokens) - 1
    for ask in (lambda: scored.top_k(3), scored.next_token, scored.logits):
        with pytest.raises(ValueError, match="were not kept"):
            ask()


@pytest.mark.parametrize("model_type", ["bert", "albert"])
def test_pseudo_perplexity_masks_every_token_once(model_type: str) -> None:
    model = build(model_type)
    scored = Lens(model, with_mask()).score("<s> " + LONG[:400] + " </s>")
    ids = [token.id for token in scored.tokens]
    places = [i for i, token in enumerate(scored.tokens) if not token.special]
    expected: list[float] = []
    for place in places:
        masked = [*ids]
        masked[place] = with_mask().mask_token_id
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([masked])).logits[0, place].double()
        expected.append(float(functional.cross_entropy(logits, torch.tensor(ids[place]))))
    surprisal = scored.predictions().surprisal
    np.testing.assert_allclose(surprisal[places], expected, rtol=1e-4)
    assert surprisal.isnan().nonzero()[:, 0].tolist() == [0, len(ids) - 1]
    assert math.isclose(
        scored.predictions().mean_perplexity, math.exp(np.mean(expected)), rel_tol=1e-4
    )
    assert "Special tokens" in scored.predictions().reason
    with pytest.raises(ValueError, match="no next token"):
        scored.next_token()


@pytest.mark.parametrize("model_type", ["llama", "gemma2", "bert"])
def test_alternatives_of_a_window_are_those_that_scored_the_token(model_type: str) -> None:
    text = TEXT if model_type == "bert" else LONG
    scored = Lens(build(model_type), with_mask()).score(text)
    found = scored.predictions()
    for position in (1, len(found.tokens) // 2, len(found.tokens) - 1):
        top = scored.top_k(position, 96).set_index("id")["probability"]
        own = found.tokens[position].id
        assert math.isclose(top[own], found.probability[position], rel_tol=1e-4)


def test_alternatives_of_another_model_are_refused() -> None:
    scored = Lens(build("llama"), tokenizer()).score(TEXT)
    with torch.no_grad():
        scored.lens.model.lm_head.weight.mul_(2)
    with pytest.raises(ModelChangedError):
        scored.top_k(3)


def test_windows_that_are_none_are_refused_in_words() -> None:
    lens = Lens(build("gpt2"), tokenizer())
    for options, words in (
        ({"window": 129}, "window 129 is too large: gpt2 reads 128"),
        ({"window": 1}, "window 1 is too small"),
        ({"stride": 128}, "stride 128 is too large.*At most 127"),
        ({"stride": 0}, "stride 0 is too small"),
        ({"window": 8, "stride": 8}, "At most 7"),
    ):
        with pytest.raises(ValueError, match=words):
            lens.score(LONG, **options)
    with pytest.raises(ValueError, match="no mask token"):
        Lens(build("bert"), tokenizer()).score(TEXT)
    with pytest.raises(ValueError, match="no decoder-only model"):
        Lens(build("bert"), with_mask()).score(TEXT, stride=4)


def test_scoring_says_how_far_it_is_and_can_be_stopped() -> None:
    lens = Lens(build("gpt2"), tokenizer())
    told: list[Step] = []
    lens.score(LONG, stride=STRIDE, progress=told.append)
    assert {step.what for step in told} == {"scoring the text"}
    shares = [step.share for step in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1

    def stop(_: Step) -> None:
        raise Cancelled

    lens.model.train()
    with pytest.raises(Cancelled):
        lens.score(LONG, progress=stop)
    assert lens.model.training


def test_words_add_up_over_windows() -> None:
    scored = Lens(build("gpt2"), tokenizer()).score(LONG)
    by_word = scored.predictions().by_word(scored.words())
    assert by_word["word"].tolist() == LONG.split()
    total = scored.predictions().surprisal.nansum()
    assert math.isclose(by_word["surprisal"].sum(), total, rel_tol=1e-5)


@pytest.mark.real_model
@pytest.mark.skipif(not SMOLLM2.exists(), reason="run scripts/fetch_smollm2.py")
def test_a_real_model_reads_prose_better_than_its_shuffled_words() -> None:
    lens = Lens.from_pretrained(SMOLLM2, dtype=torch.float32)
    words = PARAGRAPH.split()
    shuffled = random.Random(3).sample(words, len(words))  # noqa: S311  no secrets here
    perplexity = lens.score(PARAGRAPH).predictions().mean_perplexity
    in_windows = lens.score(PARAGRAPH, window=48, stride=16).predictions()
    of_shuffled = lens.score(" ".join(shuffled)).predictions().mean_perplexity
    assert perplexity < 40
    assert of_shuffled > 5 * perplexity
    ids = lens.tokenizer(PARAGRAPH)["input_ids"]
    np.testing.assert_allclose(
        in_windows.surprisal[1:], strided(lens.model, ids, 48, 16), rtol=1e-4, atol=1e-5
    )
