"""PerplexityStrip read closely: what its panel is told, and how two traces are compared."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
import traitlets
from scipy.special import softmax

from glasshead import PerplexityStrip
from widgets.frames import ask, unpack

if TYPE_CHECKING:
    from glasshead import Trace


def row_of(trace: Trace, position: int, temperature: float = 1) -> np.ndarray:
    """The model's own softmax for a token of a text."""
    with torch.no_grad():
        logits = trace.lens.model(torch.tensor([trace.sequences[0].ids])).logits[0, position - 1]
    return softmax(logits.double().numpy() / temperature)


def test_the_panel_is_told_the_distribution_that_the_model_has(demo_decoder_trace: Trace) -> None:
    trace = demo_decoder_trace
    p = row_of(trace, 5, 0.7)
    asked = {"position": 5, "temperature": 0.7, "sample_k": 50, "sample_p": 0.9}
    answer, arrays = ask(PerplexityStrip(trace), "distribution", **asked)
    result = answer["result"]
    first = np.sort(p)[::-1]
    np.testing.assert_allclose(arrays["probability"], first[:200], rtol=1e-4)
    assert result["n_kept"] == 1 + np.searchsorted(np.cumsum(first[:50]), 0.9 * first[:50].sum())
    assert result["kept_mass"] == pytest.approx(first[: result["n_kept"]].sum(), rel=1e-4)
    np.testing.assert_allclose(
        [mass for _, mass in result["masses"]],
        [first[:k].sum() for k, _ in result["masses"]],
        rtol=1e-4,
    )
    np.testing.assert_allclose(arrays["curve"], first[arrays["curve_rank"] - 1], rtol=1e-3)
    assert len(arrays["curve"]) <= 240
    bins = [p[i : i + result["per_bin"]].max() for i in range(0, len(p), result["per_bin"])]
    np.testing.assert_allclose(arrays["by_id"][: len(bins)], bins, rtol=1e-4)
    assert len(arrays["by_id"]) <= 256


def test_the_panel_is_told_the_layers_and_the_tokens_that_are_followed(
    demo_decoder_trace: Trace,
) -> None:
    trace = demo_decoder_trace
    view = PerplexityStrip(trace)
    answer, arrays = ask(view, "layer_readings", position=5, followed="7,11")
    p = row_of(trace, 5)
    assert [one["id"] for one in answer["result"]["followed"]] == [7, 11]
    np.testing.assert_allclose(arrays["followed_probability"][-1], p[[7, 11]], rtol=1e-3)
    np.testing.assert_allclose(arrays["probability"][-1], p[trace.tokens[5].id], rtol=1e-3)
    assert arrays["top_ids"][-1][0] == p.argmax()


@pytest.mark.parametrize("reading", ["layers", "distribution"])
def test_the_code_gives_what_the_panel_shows(demo_decoder_trace: Trace, reading: str) -> None:
    traits = {"temperature": 0.7, "sample_k": 50, "sample_p": 0.9}
    view = PerplexityStrip(demo_decoder_trace, reading=reading, selected=[5], **traits)
    *_, last = view.code().splitlines()
    shown = eval(last, {"trace": demo_decoder_trace})  # noqa: S307
    if reading == "distribution":
        p = np.sort(row_of(demo_decoder_trace, 5, 0.7))[::-1]
        np.testing.assert_allclose(shown["probability"][:100], p[:100], rtol=1e-4)
    else:
        assert set(shown.columns) == {"layer", "token", "id", "probability", "rank"}
    assert PerplexityStrip(demo_decoder_trace, **view.state()).reading == reading


def test_a_comparison_travels_with_the_frame_and_ends_on_request(
    demo_decoder_trace: Trace,
) -> None:
    trace = demo_decoder_trace
    other = trace.lens.trace(f"Stubb saw the boat. {trace.text}")
    view = PerplexityStrip(trace, compare=other)
    compared = view.frame["compared"]
    ids, others = trace.sequences[0].ids, other.sequences[0].ids
    shift = len(others) - len(ids)
    # What ends both texts is the same stretch of tokens.
    expected = -np.log(row_of(trace, 20)[ids[20]]) + np.log(row_of(other, 20 + shift)[ids[20]])
    found = unpack(compared["difference"]["surprisal"])
    assert found[20] == pytest.approx(expected, rel=1e-3, abs=1e-4)
    assert compared["names"] == ["this text", "the other text"]
    assert view.code() == "trace.compare_predictions(other).to_frame()"
    assert view.to_frame()["surprisal_difference"][20] == pytest.approx(
        expected, rel=1e-3, abs=1e-4
    )
    view.compared = ""
    assert "compared" not in view.frame
    with pytest.raises(traitlets.TraitError, match=re.escape("call compare_to(trace)")):
        PerplexityStrip(trace, compared="some model")


def test_what_cannot_be_compared_says_why(
    decoder_trace: Trace, demo_decoder_trace: Trace, encoder_trace: Trace
) -> None:
    with pytest.raises(ValueError, match="is an encoder"):
        PerplexityStrip(decoder_trace, compare=encoder_trace)
    with pytest.raises(ValueError, match=r"different tokenizers|no token in common"):
        PerplexityStrip(decoder_trace, compare=demo_decoder_trace)
    view = PerplexityStrip(decoder_trace, compare=decoder_trace)
    view.trace = encoder_trace
    assert view.compared == ""
    assert view.error == ""
