"""Whatever the shape of model and batch: the weights shown are those of eager attention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glasshead_backend import Lens
from support.architectures.checking import batch_inputs
from support.architectures.comparing import own_part
from support.architectures.reference import run_eager
from support.parity import EXACT, Float64Throughout, apart, in_float64
from support.tiny_models import WORDS, build, tokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedModel

texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=30).map(" ".join)


@st.composite
def shapes(draw: st.DrawFn) -> dict[str, int]:
    """Heads that share keys or not, odd and even sizes, windows from one token on."""
    groups = draw(st.integers(1, 3))
    return {
        "groups": groups,
        "heads": groups * draw(st.integers(1, 3)),
        "head_size": 2 * draw(st.integers(1, 8)),
        "layers": draw(st.integers(1, 3)),
        "window": draw(st.integers(1, 35)),
    }


def decoder(model_type: str, shape: dict[str, int]) -> PreTrainedModel:
    changes: dict[str, Any] = {
        "hidden_size": shape["heads"] * shape["head_size"],
        "num_attention_heads": shape["heads"],
        "num_hidden_layers": shape["layers"],
    }
    if model_type == "gpt2":
        changes = dict(zip(("n_embd", "n_head", "n_layer"), changes.values(), strict=True))
    elif model_type != "bert":
        # The sizes of the heads need not add up to the hidden size.
        changes |= {
            "hidden_size": 4 * shape["heads"],
            "num_key_value_heads": shape["groups"],
            "head_dim": shape["head_size"],
        }
    if model_type in ("mistral", "gemma2", "gpt_oss"):
        changes["sliding_window"] = shape["window"]
    return build(model_type, **changes)


def worst(model: PreTrainedModel, side: str, *many: Sequence[str]) -> float:
    """Largest difference from eager, of all weights of all texts in one padded batch.

    In float64: random shapes magnify what float32 rounds as far as one likes.
    """
    lens = Lens(in_float64(model), tokenizer())
    lens.tokenizer.padding_side = side
    with Float64Throughout():
        traces = list(lens.trace_many(*many))
        left = side == "left" and lens.family == "decoder"
    sides = [[trace.sequences[i].ids for trace in traces] for i in range(len(many))]
    reference = run_eager(lens.model, batch_inputs(sides, left=left))
    with Float64Throughout():
        return max(
            apart(
                [trace.attention(layer, kind=kind) for layer in trace.layers(kind)],
                [
                    own_part(one, trace, kind, index, left=left)
                    for one in reference.maps(kind, *reference.lengths[kind])
                ],
            )
            for index, trace in enumerate(traces)
            for kind in trace.kinds
        )


@pytest.mark.parametrize("model_type", ["gpt2", "llama", "mistral", "gemma2", "gpt_oss", "bert"])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(shapes(), st.lists(texts, min_size=1, max_size=4), st.sampled_from(["left", "right"]))
def test_any_shape_window_and_padding_equals_eager(
    model_type: str, shape: dict[str, int], many: list[str], side: str
) -> None:
    assert worst(decoder(model_type, shape), side, many) <= EXACT


@pytest.mark.parametrize("model_type", ["t5", "bart"])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(shapes(), st.lists(st.tuples(texts, texts), min_size=1, max_size=4))
def test_sources_and_targets_of_any_length_equal_eager(
    model_type: str, shape: dict[str, int], pairs: list[tuple[str, str]]
) -> None:
    heads, size = shape["heads"], shape["head_size"]
    changes = (
        {"d_kv": size, "num_heads": heads, "num_layers": shape["layers"]}
        if model_type == "t5"
        else {
            "d_model": heads * size,
            "encoder_attention_heads": heads,
            "decoder_attention_heads": heads,
        }
    )
    model = build(model_type, **changes)
    assert worst(model, "right", *zip(*pairs, strict=True)) <= EXACT
