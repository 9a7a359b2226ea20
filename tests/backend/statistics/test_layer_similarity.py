"""How much a layer turns the residual stream, compared with scipy's cosine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cosine

from glasshead_backend import Lens, layer_similarity
from support.tiny_models import TEXT, build, tokenizer


@pytest.mark.parametrize(
    ("model_type", "kind"),
    [("gpt2", None), ("llama", None), ("bert", None), ("bart", "encoder"), ("t5", "decoder")],
)
def test_a_layer_is_compared_with_what_it_was_given_token_by_token(
    model_type: str, kind: Any
) -> None:
    lens = Lens(build(model_type), tokenizer())
    trace = lens.trace(TEXT, "a fox runs over" if lens.family == "encoder-decoder" else None)
    frame = layer_similarity(trace, kind=kind).to_frame().set_index("layer")
    assert frame.index.tolist() == trace.layers(kind)
    before = trace.activations(0, "embedding", kind=kind).double().numpy()
    for layer in frame.index:
        behind = trace.activations(layer, "residual", kind=kind).double().numpy()
        alike = [1 - cosine(*both) for both in zip(before, behind, strict=True)]
        expected = [np.mean(alike), *np.quantile(alike, [0.25, 0.75])]
        np.testing.assert_allclose(frame.loc[layer, ["mean", "low", "high"]], expected, atol=1e-5)
        before = behind


def test_a_layer_that_adds_nothing_changes_nothing() -> None:
    model: Any = build("llama")
    for module in (model.model.layers[1].self_attn.o_proj, model.model.layers[1].mlp.down_proj):
        module.weight.data.zero_()
    frame = layer_similarity(Lens(model, tokenizer()).trace(TEXT)).to_frame()
    np.testing.assert_allclose(frame.loc[1, ["mean", "low", "high"]].astype(float), 1, atol=1e-6)
