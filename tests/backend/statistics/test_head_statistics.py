"""Numbers that name a head's pattern, compared with plain loops and with patterns made by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import entropy

from glasshead_backend import Lens, head_statistics
from support.tiny_models import TEXT, build, tokenizer


def by_loops(weights: np.ndarray, ids: list[int]) -> dict[str, float]:
    """scipy's entropy is of the row divided by its sum: what a sink takes is left out."""
    n = len(ids)
    previous = {i: max((j for j in range(i) if ids[j] == ids[i]), default=None) for i in range(n)}
    induced = [weights[i, j + 1] for i, j in previous.items() if j is not None]
    return {
        "entropy": float(np.mean([entropy(row, base=2) for row in weights])),
        "distance": float(
            np.mean([sum(w * abs(i - j) for j, w in enumerate(r)) for i, r in enumerate(weights)])
        ),
        "sink": float(weights[1:, 0].mean()),
        "previous_token": float(np.mean([weights[i, i - 1] for i in range(1, n)])),
        "induction": float(np.mean(induced)),
    }


@pytest.mark.parametrize("model_type", ["llama", "gpt_oss", "bert"])
def test_statistics_equal_plain_loops_over_rows(model_type: str) -> None:
    trace = Lens(build(model_type), tokenizer()).trace(TEXT)
    frame = head_statistics(trace).to_frame().set_index(["layer", "head"])
    ids = [token.id for token in trace.queries()]
    for layer, head in ((0, 0), (1, 3), (2, 2)):
        weights = trace.attention(layer, head)[0].double().numpy()
        expected = by_loops(weights, ids)
        for name, value in expected.items():
            assert frame.loc[(layer, head), name] == pytest.approx(value, rel=1e-4, abs=1e-5), name


def test_blocks_of_rows_change_nothing() -> None:
    trace = Lens(build("llama", max_position_embeddings=1024), tokenizer()).trace(
        " ".join([TEXT] * 16)
    )
    statistics = head_statistics(trace)
    weights = trace.attention(1, 2)[0].double().numpy()
    expected = by_loops(weights, [token.id for token in trace.queries()])
    for name, value in expected.items():
        assert float(getattr(statistics, name)[1, 2]) == pytest.approx(value, rel=1e-4)


def test_cross_attention_has_entropy_but_no_previous_token() -> None:
    trace = Lens(build("bart"), tokenizer()).trace(TEXT, "a fox and a fox")
    statistics = head_statistics(trace)
    assert statistics.kind == "cross"
    assert statistics.entropy.isfinite().all()
    assert statistics.previous_token.isnan().all()
    assert statistics.induction.isnan().all()
    own = head_statistics(trace, "decoder")
    assert own.induction.isfinite().all()
    assert torch.equal(own.sink.isfinite(), torch.ones_like(own.sink, dtype=torch.bool))


def test_without_a_repeated_token_there_is_no_induction_score() -> None:
    trace = Lens(build("llama"), tokenizer()).trace("the quick brown fox")
    assert head_statistics(trace).induction.isnan().all()
