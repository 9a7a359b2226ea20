"""Going on from a token of one's choice: as the model's own generate() does from the same ids."""

from __future__ import annotations

import pytest
import torch

from glasshead_backend import Lens
from support.tiny_models import TEXT, build, tokenizer


def test_a_text_goes_on_from_another_token_as_generate_does() -> None:
    model = build("llama")
    trace = Lens(model, tokenizer()).trace(TEXT)
    chosen = tokenizer().convert_tokens_to_ids("whale")
    ids = [token.id for token in trace.tokens]
    prompt = torch.tensor([[*ids[:4], chosen]])
    mask = torch.ones_like(prompt)
    expected = model.generate(prompt, attention_mask=mask, do_sample=False, max_new_tokens=6)[0]
    for token in (chosen, "whale"):
        found = trace.continue_with(4, token, max_new_tokens=6)
        assert [one.id for one in found.tokens] == expected.tolist()
        n_written = len(expected) - 5
        assert [one.generated for one in found.tokens] == [False] * 5 + [True] * n_written
        assert found.text.startswith("the quick brown fox whale")
    assert (
        trace.continue_with(-1, chosen, max_new_tokens=1).tokens[: len(ids) - 1]
        == (trace.tokens[:-1])
    )
    behind = trace.continue_with(len(ids), chosen, max_new_tokens=1)
    assert behind.text.startswith(TEXT + " whale")


@pytest.mark.parametrize("model_type", ["t5", "bart"])
def test_a_target_goes_on_from_another_token_as_generate_does(model_type: str) -> None:
    # transformers makes T5's cache for as many layers as its encoder has.
    changes = {"num_decoder_layers": 2} if model_type == "t5" else {}
    model = build(model_type, **changes)
    trace = Lens(model, tokenizer()).trace(TEXT, "the lazy whale jumps")
    chosen = tokenizer().convert_tokens_to_ids("sea")
    labels = [token.id for token in trace.labels or ()]
    for position in (0, 2):
        decoder_ids = [model.config.decoder_start_token_id, *labels[:position], chosen]
        source = torch.tensor([[token.id for token in trace.sequence("source").tokens]])
        expected = model.generate(
            input_ids=source,
            attention_mask=torch.ones_like(source),
            decoder_input_ids=torch.tensor([decoder_ids]),
            do_sample=False,
            max_new_tokens=5,
        )[0]
        found = trace.continue_with(position, "sea", max_new_tokens=5)
        assert [token.id for token in found.labels or ()] == expected[1:].tolist()
        assert [token.generated for token in found.labels or ()].index(True) == position + 1


def test_behind_the_end_of_a_text_nothing_is_written() -> None:
    trace = Lens(build("llama"), tokenizer()).trace(TEXT)
    assert [token.id for token in trace.continue_with(2, 2).tokens][2:] == [2]


def test_a_wrong_place_or_token_is_refused_in_words() -> None:
    trace = Lens(build("gpt2"), tokenizer()).trace(TEXT)
    n_tokens = len(trace.tokens)
    for arguments, words in (
        ((0, 5), "position 0 has nothing before it"),
        ((n_tokens + 1, 5), "out of range"),
        ((3, "lighthouse"), "'lighthouse' is no single token"),
        ((3, 10_000), "id 10,000 is out of range"),
    ):
        with pytest.raises(ValueError, match=words):
            trace.continue_with(*arguments)
    with pytest.raises(ValueError, match="max_new_tokens=124 at most"):
        trace.continue_with(3, 5, max_new_tokens=200)
    with pytest.raises(ValueError, match="encoder: it cannot generate"):
        Lens(build("bert"), tokenizer()).trace(TEXT).continue_with(3, 5)
