"""What blocks and heads add to a logit, as a statistic by layer."""

from __future__ import annotations

import pytest
import torch

from glasshead_backend import Lens, LogitContribution, Trace
from glasshead_backend.statistics import as_metric
from support.tiny_models import TEXT, build, tokenizer

TARGET = "a lazy fox runs over the sea"


@pytest.fixture(scope="module")
def trace() -> Trace:
    return Lens(build("gpt2"), tokenizer()).trace(TEXT)


def test_blocks_are_series_and_heads_a_map(trace: Trace) -> None:
    found = LogitContribution(position=4, against="the").measure(trace)
    parts = trace.logit_contributions(position=4, against="the")
    assert [name for name, _ in found.quantities] == ["blocks", "heads"]
    blocks = found.chart("blocks")
    assert [name for name, _ in blocks.series] == ["attention", "mlp"]
    torch.testing.assert_close(blocks.mean[1].double(), parts.blocks["mlp"], rtol=1e-6, atol=1e-6)
    assert blocks.title == "Logit of “jumps” minus that of “the” at position 4"
    assert blocks.unit == "logits"
    heads = found.chart("heads")
    assert heads.heat is not None
    torch.testing.assert_close(
        heads.heat.values.double(), parts.heads["self"], rtol=1e-6, atol=1e-6
    )
    assert found.to_frame()["logit"].sum() == pytest.approx(parts.logit)
    assert len(found.heads_frame()) == 3 * 4


def test_the_chart_says_what_the_blocks_leave_to_the_logit(trace: Trace) -> None:
    found = LogitContribution().measure(trace)
    note = found.chart().note
    for part in ("blocks", "embedding", "constant", "remainder ≈ 0"):
        assert part in note
    capped = Lens(build("gemma2", final_logit_softcapping=2.0), tokenizer()).trace(TEXT)
    assert "capped to" in LogitContribution().measure(capped).chart().note


def test_one_layer_is_shown_by_block_and_by_head(trace: Trace) -> None:
    found = LogitContribution().measure(trace)
    blocks, heads = found.detail(1)
    assert (blocks.type, heads.type) == ("bars", "bars")
    assert [len(one.labels) for one in (blocks, heads)] == [2, 4]
    assert found.detail(9) == []


def test_of_a_translation_heads_of_either_kind_can_be_shown() -> None:
    trace = Lens(build("bart"), tokenizer()).trace(TEXT, TARGET)
    own, cross = (LogitContribution().measure(trace, kind) for kind in ("decoder", "cross"))
    assert not torch.equal(own.values, cross.values)
    assert [name for name, _ in own.chart().series] == ["attention", "cross", "mlp"]
    with pytest.raises(ValueError, match="encoder adds to no logit"):
        LogitContribution().measure(trace, "encoder")


def test_it_is_found_by_its_name_and_refused_where_nothing_is_predicted(trace: Trace) -> None:
    assert as_metric("logit_contribution") == LogitContribution()
    encoder = Lens(build("bert"), tokenizer()).trace(TEXT)
    assert "encoder" in LogitContribution.lacks(encoder)
    given = Trace.from_attentions(trace.attention(0)[None], [token.text for token in trace.tokens])
    assert "takes a model" in LogitContribution.lacks(given)
    scored = trace.lens.score(TEXT)
    assert "scored, not traced" in LogitContribution.lacks(scored)
