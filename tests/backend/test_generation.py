"""Generated text: the same as the model writes by itself, with the attention of every step."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from backend.tiny_models import DECODERS, ENCODER_DECODERS, TEXT, build, eager_copy, tokenizer
from glasshead_backend import Cancelled, Lens, Step, Trace

TOLERANCE = 1e-5
PROMPT = "the quick brown fox jumps over"
MODES: dict[str, dict[str, Any]] = {
    "greedy": {},
    "sampled": {"do_sample": True, "temperature": 1.5},
    "beams": {"num_beams": 4, "min_new_tokens": 6},
    "sampled beams": {"num_beams": 3, "do_sample": True},
}


def generate_by_steps(lens: Lens, options: dict[str, Any]) -> Any:
    """What transformers' own generation reports, in eager mode."""
    reference = eager_copy(lens.model)
    ids = torch.tensor([[token.id for token in lens.tokenize(PROMPT)]])
    return reference.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=12,
        output_attentions=True,
        return_dict_in_generate=True,
        **options,
    )


def rows_by_steps(out: Any, attentions: Any) -> list[list[torch.Tensor]]:
    """Rows of the sequence that was returned, ``[heads, queries, keys]`` by step and layer."""
    beams = getattr(out, "beam_indices", None)
    chosen = [0] * len(attentions) if beams is None else beams[0].tolist()
    return [
        [layer[row] for layer in step]
        for step, row in zip(attentions, chosen, strict=False)
        if row >= 0  # a finished sequence is not run any more
    ]


def worst(trace: Trace, kind: str, by_steps: list[list[torch.Tensor]]) -> float:
    """Largest difference of any row. A window's cache reports only its own, last keys."""
    differences: list[torch.Tensor] = []
    row = 0
    for step in by_steps:
        for layer, reported in enumerate(step):
            rows = range(row, row + reported.shape[1])
            own = trace.attention(layer, kind=kind, rows=rows)
            own = own if kind == "cross" else own[..., : rows.stop]
            kept = reported.shape[-1]
            assert not own[..., :-kept].any()
            differences.append((own[..., -kept:] - reported).abs().max())
        row += step[0].shape[1]
    return float(torch.stack(differences).max())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("model_type", DECODERS)
def test_rows_of_a_continuation_equal_those_of_every_step(model_type: str, mode: str) -> None:
    lens = Lens(build(model_type), tokenizer())
    torch.manual_seed(3)
    out = generate_by_steps(lens, MODES[mode])
    torch.manual_seed(3)
    trace = lens.generate(PROMPT, max_new_tokens=12, **MODES[mode])
    assert trace.sequences[0].ids == out.sequences[0].tolist()
    assert [token.generated for token in trace.queries()].count(True) == len(trace.queries()) - 6
    by_steps = rows_by_steps(out, out.attentions)
    assert len(by_steps) > 3
    assert worst(trace, "self", by_steps) <= TOLERANCE


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("model_type", ENCODER_DECODERS)
def test_rows_of_a_translation_equal_those_of_every_step(model_type: str, mode: str) -> None:
    # transformers' cache counts the layers of T5's encoder, whichever side it is for.
    changes = {"num_decoder_layers": 2} if model_type == "t5" else {}
    lens = Lens(build(model_type, **changes), tokenizer())
    torch.manual_seed(3)
    out = generate_by_steps(lens, MODES[mode])
    torch.manual_seed(3)
    trace = lens.generate(PROMPT, max_new_tokens=12, **MODES[mode])
    start, *labels = out.sequences[0].tolist()
    assert [token.id for token in trace.labels] == labels
    assert [token.id for token in trace.queries("cross")] == [start, *labels[:-1]]
    for kind, reported in (("decoder", out.decoder_attentions), ("cross", out.cross_attentions)):
        by_steps = rows_by_steps(out, reported)
        assert worst(trace, kind, by_steps) <= TOLERANCE
    torch.testing.assert_close(trace.attention(1, kind="encoder"), out.encoder_attentions[1][0])


def test_a_translation_that_is_cut_off_keeps_its_start_token() -> None:
    lens = Lens(build("bart", decoder_start_token_id=5), tokenizer())
    trace = lens.generate(PROMPT, max_new_tokens=3)
    assert trace.queries("cross")[0].id == 5
    assert len(trace.labels) == 3


def test_progress_counts_tokens_and_can_stop_the_model() -> None:
    lens = Lens(build("llama"), tokenizer())
    _ = lens.family
    told: list[Step] = []
    lens.generate(PROMPT, max_new_tokens=4, min_new_tokens=4, progress=told.append)
    assert [str(step) for step in told if step.what == "generating"] == [
        "generating: 0%",
        "generating: 25%",
        "generating: 50%",
        "generating: 75%",
    ]

    def stop(step: Step) -> None:
        if step.share:
            raise Cancelled

    with pytest.raises(Cancelled):
        lens.generate(PROMPT, progress=stop)


def test_several_sequences_at_once_are_refused() -> None:
    lens = Lens(build("llama"), tokenizer())
    with pytest.raises(ValueError, match="leave out num_return_sequences"):
        lens.generate(TEXT, num_return_sequences=3)


def test_more_tokens_than_the_window_holds_are_refused_before_the_model_writes() -> None:
    lens = Lens(build("llama", max_position_embeddings=32), tokenizer())
    with pytest.raises(ValueError, match=r"6 tokens and 40 new ones.*max_new_tokens=26 at most"):
        lens.generate(PROMPT, max_new_tokens=40)
    assert len(lens.generate(PROMPT, max_new_tokens=26, min_new_tokens=26).queries()) == 32


def test_a_length_of_the_whole_takes_the_place_of_the_number_of_new_tokens() -> None:
    lens = Lens(build("llama"), tokenizer())
    assert len(lens.generate(PROMPT, max_length=9, min_length=9).queries()) == 9


def test_generation_may_return_a_dictionary() -> None:
    lens = Lens(build("llama"), tokenizer())
    plain = lens.generate(PROMPT, max_new_tokens=5)
    other = lens.generate(PROMPT, max_new_tokens=5, return_dict_in_generate=True)
    assert plain.sequences[0].ids == other.sequences[0].ids
