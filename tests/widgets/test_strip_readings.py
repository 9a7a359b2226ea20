"""PerplexityStrip read closely: what its panel is told, and how two traces are compared."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import traitlets
from scipy.special import softmax

from glasshead import LayerStatsChart, LogitLens, PerplexityStrip, explore, fit_lens
from glasshead.saving.contents import readings
from widgets.frames import ask, unpack

if TYPE_CHECKING:
    from glasshead import FittedLens, Trace


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


# --- fitted lenses --------------------------------------------------------------------------------
TEXTS = ["The whale swam away.", "The sea was dark and cold.", "The old ship was lost at sea."]


@pytest.fixture(scope="module")
def fitted(demo_decoder_trace: Trace) -> tuple[FittedLens, FittedLens]:
    """A Jacobian lens and a tuned one."""
    lens: Any = demo_decoder_trace.lens
    jacobian = fit_lens(lens, TEXTS, "jacobian", n_samples=1)
    return jacobian, fit_lens(lens, TEXTS, n_steps=1, learning_rate=0.01)


def test_the_panel_reads_layers_by_the_lens_that_is_chosen(
    demo_decoder_trace: Trace, fitted: tuple[FittedLens, FittedLens]
) -> None:
    trace = demo_decoder_trace
    model: Any = trace.lens.model
    kept: list[torch.Tensor] = []
    hook = model.model.layers[0].register_forward_hook(lambda _, __, out: kept.append(out))
    with torch.no_grad():
        model(torch.tensor([trace.sequences[0].ids]))
        hook.remove()
        state = (kept[0][0] if isinstance(kept[0], tuple) else kept[0])[0, 4]
        moved = {
            "": state,
            **{one.kind: state + one.change[0] @ state + one.bias[0] for one in fitted},
        }
        expected = {
            name: model.lm_head(model.model.norm(one)).softmax(-1) for name, one in moved.items()
        }
    view = PerplexityStrip(trace, fitted=fitted)
    assert view.reading_lens == "jacobian"
    assert view.lenses == [
        {"name": "jacobian", "label": "Jacobian lens, fitted on 2 texts"},
        {"name": "tuned", "label": "tuned lens, fitted on 2 texts"},
    ]
    for name, p in expected.items():
        answer, arrays = ask(view, "layer_readings", position=5, followed="7,11", lens=name)
        np.testing.assert_allclose(arrays["followed_probability"][0], p[[7, 11]], rtol=1e-3)
        labels = {one["name"]: one["label"] for one in view.lenses}
        assert answer["result"]["read_by"] == labels.get(name, "logit lens")


def test_a_strip_is_made_anew_of_its_state_and_its_lenses(
    demo_decoder_trace: Trace, fitted: tuple[FittedLens, FittedLens]
) -> None:
    view = PerplexityStrip(demo_decoder_trace, fitted=fitted, reading="layers", selected=[5])
    view.reading_lens = "tuned"
    assert PerplexityStrip(demo_decoder_trace, fitted=fitted, **view.state()).reading_lens == (
        "tuned"
    )
    *_, comment, last = view.code().splitlines()
    assert comment == "# fitted: tuned lens, fitted on 2 texts"
    shown = eval(last, {"trace": demo_decoder_trace, "fitted": fitted[1]})  # noqa: S307
    np.testing.assert_allclose(
        shown["probability"],
        demo_decoder_trace.layer_readings(5, fitted=fitted[1]).followed_probability.flatten(),
    )
    with pytest.raises(traitlets.TraitError, match=re.escape("call read_by(fitted)")):
        PerplexityStrip(demo_decoder_trace, reading_lens="tuned")
    view.read_by()
    assert (view.lenses, view.reading_lens) == ([], "")


def test_lenses_of_another_model_are_refused_and_let_go_of(
    decoder_trace: Trace, demo_decoder_trace: Trace, fitted: tuple[FittedLens, FittedLens]
) -> None:
    with pytest.raises(ValueError, match="was fitted to demo decoder"):
        PerplexityStrip(decoder_trace, fitted=fitted)
    with pytest.raises(TypeError, match="what fit_lens"):
        PerplexityStrip(demo_decoder_trace, fitted=["tuned"])  # type: ignore[list-item]
    view = PerplexityStrip(demo_decoder_trace, fitted=fitted[0])
    view.trace = demo_decoder_trace.lens.trace("The whale swam.")
    assert view.reading_lens == "jacobian"
    view.trace = decoder_trace
    assert (view.lenses, view.reading_lens) == ([], "")
    assert view.error == ""


def test_an_explorers_strip_reads_by_a_fitted_lens(
    demo_decoder_trace: Trace, fitted: tuple[FittedLens, FittedLens]
) -> None:
    explorer = explore(demo_decoder_trace)
    explorer.strip.read_by(fitted[1])
    assert explorer.strip_reading_lens == "tuned"
    assert [one["name"] for one in explorer.strip_lenses] == ["tuned"]
    explorer.strip_reading_lens = ""
    assert explorer.strip.reading_lens == ""


def test_a_chart_of_a_fitted_lens_says_so_and_is_not_taken_for_the_logit_lens(
    demo_decoder_trace: Trace, fitted: tuple[FittedLens, FittedLens]
) -> None:
    chart = LayerStatsChart(demo_decoder_trace, LogitLens(fitted=fitted[0]))
    assert chart.get_state()["metric"]["fitted"] == "Jacobian lens, fitted on 2 texts"
    assert chart.code().splitlines()[0] == "# fitted: Jacobian lens, fitted on 2 texts"
    with pytest.raises(traitlets.TraitError, match="which a state does not hold"):
        LayerStatsChart(demo_decoder_trace, **chart.state())
    # Another number of words is still read by the same lens.
    chart.set_state({"metric": {"name": "logit_lens", "parameters": {"k": 3}}})
    assert chart.metric == LogitLens(k=3, fitted=fitted[0])


def test_a_saved_page_keeps_the_layers_of_the_pinned_token(
    demo_decoder_trace: Trace, fitted: tuple[FittedLens, FittedLens]
) -> None:
    view = PerplexityStrip(demo_decoder_trace, fitted=fitted, reading="layers", selected=[5])
    told = [{"reading": "layers", "followed": [], "selected": [5]}]
    told += [{**told[0], "reading": ""}, {**told[0], "selected": [0]}, {**told[0], "selected": []}]
    stored = readings(view, told)
    assert [(one["position"], one["followed"], one["lens"]) for one in stored] == [
        (5, "", lens) for lens in ("", "jacobian", "tuned")
    ]
    for one in stored:
        _, arrays = ask(view, "layer_readings", position=5, followed="", lens=one["lens"])
        np.testing.assert_array_equal(unpack(one["arrays"]["probability"]), arrays["probability"])
