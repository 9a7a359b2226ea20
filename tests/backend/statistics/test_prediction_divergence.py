"""Right against wrong predictions, compared with numpy, scipy and a shuffling loop."""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from scipy.signal import lfilter
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy, false_discovery_control, kstest, permutation_test
from statsmodels.stats.multitest import multipletests
from torch.nn import functional

from glasshead_backend import (
    Lens,
    PredictionDivergence,
    PredictionDivergenceResult,
    Step,
    Trace,
    bin_sensitivity,
    prediction_divergence,
)
from glasshead_backend.demo import DECODER_LONG_TEXT, DECODER_TEXT
from glasshead_backend.statistics import permutation
from glasshead_backend.statistics.permutation import (
    divergences,
    notebook_divergence,
    null_divergences,
    p_values,
)
from support.tiny_models import TEXT, build, tokenizer

if TYPE_CHECKING:
    from numpy.typing import NDArray

SOURCE = "the black cat does not eat the beautiful white apple today ."
# As translated, but for two words that the model does not expect.
TARGET = "le chat brun ne mange pas la belle pomme noire aujourd'hui ."


@pytest.fixture(scope="module")
def decoder() -> Trace:
    return Lens.demo("decoder").trace(f"{DECODER_LONG_TEXT} {DECODER_TEXT}")


@pytest.fixture(scope="module")
def translator() -> Trace:
    return Lens.demo("encoder-decoder").trace(SOURCE, TARGET)


def labels_of(trace: Trace) -> NDArray[np.bool_]:
    """Which predicting positions are right, ``[n]``."""
    correct = trace.predictions().correct.numpy()
    # In a decoder, position i predicts token i + 1; in an encoder-decoder, label i.
    return (correct[1:] if trace.family == "decoder" else correct) == 1


def log_norms_of(trace: Trace, block: Any, layer: int, n: int) -> NDArray[np.float64]:
    kind = None if trace.family == "decoder" else "decoder"
    if block == "residual":
        norms = trace.activations(layer, block, kind=kind).norm(dim=-1)
    else:
        norms = trace.norms(kind)[block][layer]
    return norms.double().log().numpy()[:n]


def shares(
    values: NDArray[np.float64], right: NDArray[np.bool_], bins: int
) -> list[NDArray[np.float64]]:
    span = (values.min(), values.max())
    counts = [np.histogram(values[group], bins, span)[0] for group in (right, ~right)]
    return [of_group / of_group.sum() for of_group in counts]


def divergence(values: NDArray[np.float64], right: NDArray[np.bool_], bins: int) -> float:
    return float(jensenshannon(*shares(values, right, bins)) ** 2)


def of_the_notebook(
    values: NDArray[np.float64], right: NDArray[np.bool_], bins: int, epsilon: float = 0.0
) -> float:
    """Symmetric KL as a notebook's cells have it: with torch's own function, one layer."""
    p, q = (torch.from_numpy(of_group) + epsilon for of_group in shares(values, right, bins))
    m = (p + q) / 2
    # Where both shares are 0, torch makes NaN of 0 * log 0: such bins are left out.
    some = m > 0
    p, q, m = (p, q, m) if some.all() else (of_all[some] for of_all in (p, q, m))
    one = functional.kl_div(p.log(), m, reduction="batchmean")
    other = functional.kl_div(q.log(), m, reduction="batchmean")
    return float((one + other) / 2) * len(m) / bins


def half_right(n_layers: int) -> Trace:
    """A text that the model knows nothing about, and what it goes on to write by itself."""
    lens = Lens(build("llama", num_hidden_layers=n_layers), tokenizer())
    return lens.generate(f"{TEXT} {TEXT} {TEXT}", max_new_tokens=60, min_new_tokens=60)


def random_groups(seed: int, n: int = 300, layers: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    values, right = rng.normal(2, 0.3, (layers, n)), rng.random(n) < 0.4
    return torch.from_numpy(values), torch.from_numpy(right)


# --- columns --------------------------------------------------------------------------------------
@pytest.mark.parametrize("bins", [10, 30])
@pytest.mark.parametrize("block", ["attention", "mlp", "residual", "cross"])
@pytest.mark.parametrize("model", ["decoder", "translator"])
def test_every_column_is_what_numpy_and_scipy_say(
    model: str, block: Any, bins: int, request: pytest.FixtureRequest
) -> None:
    trace: Trace = request.getfixturevalue(model)
    if (model, block) == ("decoder", "cross"):
        with pytest.raises(ValueError, match="cross"):
            prediction_divergence(trace, block=block)
        return
    found = prediction_divergence(trace, block=block, bins=bins, permutations=99)
    right = labels_of(trace)
    assert (found.n_correct, found.n_incorrect) == (right.sum(), (~right).sum())
    for row in found.to_frame().itertuples():
        values = log_norms_of(trace, block, row.layer, len(right))
        p, q = shares(values, right, bins)
        expected = {
            "mean_correct": values[right].mean(),
            "mean_incorrect": values[~right].mean(),
            "difference": values[right].mean() - values[~right].mean(),
            "jsd": jensenshannon(p, q) ** 2,
            "kl_correct_incorrect": entropy(p, q),
            "kl_incorrect_correct": entropy(q, p),
        }
        for name, value in expected.items():
            assert getattr(row, name) == pytest.approx(value, abs=1e-9), name


def test_the_last_position_of_a_decoder_is_left_out(decoder: Trace) -> None:
    found = prediction_divergence(decoder, permutations=19)
    assert found.n_correct + found.n_incorrect == len(decoder.queries()) - 1


def test_every_label_of_an_encoder_decoder_counts(translator: Trace) -> None:
    found = prediction_divergence(translator, permutations=19)
    assert found.n_correct + found.n_incorrect == len(translator.labels)
    assert 2 <= found.n_incorrect <= 4


def test_p_and_the_null_columns_come_from_the_null(decoder: Trace) -> None:
    found = prediction_divergence(decoder, permutations=199)
    frame, null = found.to_frame(), found.null.numpy()
    assert found.null.shape == (199, len(frame))
    assert found.null.dtype == torch.float64
    as_large = (null >= frame["jsd"].to_numpy() - 1e-12).sum(axis=0)
    np.testing.assert_allclose(frame["p"], (1 + as_large) / 200)
    np.testing.assert_allclose(frame["null_mean"], null.mean(axis=0))
    np.testing.assert_allclose(frame["null_low"], np.quantile(null, 0.025, axis=0))
    np.testing.assert_allclose(frame["null_high"], np.quantile(null, 0.975, axis=0))
    np.testing.assert_allclose(frame["null_min"], null.min(axis=0))
    np.testing.assert_allclose(frame["null_max"], null.max(axis=0))


def test_other_numbers_of_bins_are_the_same_divergence_binned_otherwise(decoder: Trace) -> None:
    found = bin_sensitivity(decoder, block="mlp", bins=range(10, 51, 20)).to_frame()
    assert sorted(set(found["bins"])) == [10, 30, 50]
    right = labels_of(decoder)
    for row in found.itertuples():
        values = log_norms_of(decoder, "mlp", row.layer, len(right))
        assert row.jsd == pytest.approx(divergence(values, right, row.bins), abs=1e-9)


class MeanOfSource(torch.nn.Module):
    """Stands for cross attention, and gives every token the same of the source: no map."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.projection = torch.nn.Linear(size, size)

    def forward(
        self, hidden_states: torch.Tensor, key_value_states: torch.Tensor, **_: object
    ) -> tuple[torch.Tensor, None]:
        mean = key_value_states.mean(dim=1, keepdim=True)
        return self.projection(mean.expand_as(hidden_states)), None


@pytest.mark.parametrize("kind", [None, "decoder"])
@pytest.mark.parametrize("n_tokens", [30, 60])
def test_where_cross_attention_cannot_be_read_the_decoder_predicts_all_the_same(
    n_tokens: int, kind: Any
) -> None:
    model: Any = build("bart")
    for layer in model.model.decoder.layers:
        layer.encoder_attn = MeanOfSource(model.config.d_model)
    torch.manual_seed(0)
    trace = Lens(model, tokenizer()).generate(
        f"{TEXT} {TEXT}",  # 40 tokens
        max_new_tokens=n_tokens,
        min_new_tokens=n_tokens,
        do_sample=True,
        temperature=0.6,
    )
    assert trace.kinds == ("encoder", "decoder")
    right = labels_of(trace)
    blocks: Any = ("attention", "mlp", "residual")
    for block in blocks:
        found = prediction_divergence(trace, block=block, permutations=9, kind=kind)
        for layer, jsd in zip(found.layers, found.jsd.tolist(), strict=True):
            values = log_norms_of(trace, block, layer, len(right))
            assert jsd == pytest.approx(divergence(values, right, 30), abs=1e-12)
    with pytest.raises(ValueError, match="The encoder predicts no token"):
        prediction_divergence(trace, kind="encoder")


# --- the null -------------------------------------------------------------------------------------
@pytest.mark.parametrize("shift", [0.0, 0.12])
def test_p_is_that_of_a_loop_with_other_shuffles(shift: float) -> None:
    n, bins = 2000, 12
    values, right = random_groups(3, n=120, layers=2)
    values[:, right] += shift
    observed = divergences(values, right, bins)
    null = null_divergences(values, right, bins=bins, permutations=n, seed=0)
    ours = (null >= observed - 1e-12).double().mean(dim=0)
    rng = np.random.default_rng(99)
    shuffles = [rng.permutation(right.numpy()) for _ in range(n)]
    for layer, of_layer in enumerate(values.numpy()):
        loop = np.array([divergence(of_layer, labels, bins) for labels in shuffles])
        theirs = (loop >= divergence(of_layer, right.numpy(), bins) - 1e-12).mean()
        pooled = (float(ours[layer]) + theirs) / 2
        error = math.sqrt(2 * max(pooled * (1 - pooled), 1 / n) / n)
        assert abs(float(ours[layer]) - theirs) < 4 * error
        assert float(null[:, layer].mean()) == pytest.approx(
            loop.mean(), abs=4 * loop.std() * math.sqrt(2 / n)
        )


def test_p_is_that_of_all_shuffles_where_many_are_as_large_as_what_was_observed() -> None:
    n, bins = 20_000, 4
    values, right = random_groups(1, n=9, layers=3)

    def statistic(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
        both = np.concatenate([x, y])
        return divergence(both, np.arange(len(both)) < len(x), bins)

    null = null_divergences(values, right, bins=bins, permutations=n, seed=0)
    p = p_values(divergences(values, right, bins), null)
    for of_layer, found in zip(values.numpy(), p.tolist(), strict=True):
        groups = of_layer[right], of_layer[~right]
        every = permutation_test(groups, statistic, n_resamples=np.inf, alternative="greater")
        exact = every.pvalue
        assert found == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / n) + 1 / n)


def test_a_seed_gives_the_same_null_however_it_is_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values, right = random_groups(0, layers=5)
    asked: dict[str, Any] = {"bins": 30, "permutations": 100}
    whole = null_divergences(values, right, **asked, seed=4)
    for size in (1, 5 * 30 * 7, 5 * 30 * 64):
        monkeypatch.setattr(permutation, "_BLOCK_VALUES", {"cpu": size})
        assert torch.equal(null_divergences(values, right, **asked, seed=4), whole)
    assert not torch.equal(null_divergences(values, right, **asked, seed=5), whole)


def test_all_layers_are_shuffled_in_the_same_way() -> None:
    values, right = random_groups(0)
    null = null_divergences(values.repeat(2, 1), right, bins=30, permutations=50, seed=0)
    assert torch.equal(null[:, 0], null[:, 1])


def test_where_nothing_differs_p_is_uniform() -> None:
    p = []
    for seed in range(200):
        values, right = random_groups(seed)
        null = null_divergences(values, right, bins=30, permutations=199, seed=seed)
        p.append(float(1 + (null >= divergences(values, right, 30)).sum()) / 200)
    # p takes the values 1/200 ... 1: half a step off the uniform distribution at most.
    assert kstest(np.array(p) - 1 / 400, "uniform").pvalue > 0.001


def test_a_planted_difference_is_found_in_its_layer_and_only_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trace = half_right(6)
    right = torch.from_numpy(labels_of(trace))
    logs = torch.from_numpy(np.random.default_rng(0).normal(size=(6, len(right) + 1)))
    logs[3, :-1][right] += 2
    planted = {layer: logs[layer].exp() for layer in range(6)}
    monkeypatch.setattr(trace, "norms", lambda _=None: {"attention": planted, "mlp": planted})
    frame = prediction_divergence(trace).to_frame().set_index("layer")
    assert frame.index[frame["significant"]].tolist() == [3]
    assert frame.loc[3, "p"] == 1 / 1001
    assert frame.loc[3, "difference"] == pytest.approx(2, abs=0.6)


def test_p_is_never_zero_and_adjusted_as_benjamini_and_hochberg_say() -> None:
    trace = half_right(8)
    frame = prediction_divergence(trace, block="mlp", permutations=39, alpha=0.2).to_frame()
    assert frame["p"].between(1 / 40, 1).all()
    rejected, adjusted, *_ = multipletests(frame["p"], alpha=0.2, method="fdr_bh")
    np.testing.assert_allclose(frame["p_adjusted"], adjusted)
    np.testing.assert_allclose(frame["p_adjusted"], false_discovery_control(frame["p"]))
    assert frame["significant"].tolist() == rejected.tolist()


# --- the notebook's divergence --------------------------------------------------------------------
@pytest.mark.parametrize("bins", [2, 4, 7, 30])
@pytest.mark.parametrize("block", ["attention", "mlp", "residual"])
@pytest.mark.parametrize("model", ["decoder", "translator"])
def test_the_notebooks_divergence_is_what_torchs_kl_div_makes_of_the_histograms(
    model: str, block: Any, bins: int, request: pytest.FixtureRequest
) -> None:
    trace: Trace = request.getfixturevalue(model)
    asked: dict[str, Any] = {"block": block, "bins": bins, "permutations": 19}
    found = prediction_divergence(trace, divergence="notebook", **asked)
    right = labels_of(trace)
    asked["epsilon"] = 1e-9
    kept = prediction_divergence(trace, divergence="notebook", **asked).observed
    for i, row in enumerate(found.to_frame().itertuples()):
        values = log_norms_of(trace, block, row.layer, len(right))
        # Infinite where a bin holds one group only, as torch has it.
        assert row.notebook == pytest.approx(of_the_notebook(values, right, bins), abs=1e-12)
        expected = of_the_notebook(values, right, bins, epsilon=1e-9)
        assert float(kept[i]) == pytest.approx(expected, abs=1e-12)
        assert row.jsd == pytest.approx(divergence(values, right, bins), abs=1e-12)
    ours = prediction_divergence(trace, **asked)
    assert "notebook" not in ours.to_frame()
    torch.testing.assert_close(ours.observed, ours.jsd)


def test_the_notebooks_divergence_can_be_finite_and_infinite(decoder: Trace) -> None:
    few, many = (
        prediction_divergence(decoder, divergence="notebook", bins=bins, permutations=99)
        for bins in (2, 60)
    )
    assert few.observed.isfinite().all()
    assert few.chart().note == ""
    assert many.observed.isinf().any()
    assert "a bin holds values of one group only" in many.chart().note
    # Infinite is no larger than infinite: such labels are as extreme.
    frame, layer = many.to_frame(), int(many.observed.isinf().nonzero()[0])
    assert frame["p"][layer] == (1 + int(many.null[:, layer].isinf().sum())) / 100
    assert not frame["null_high"].isna().any()
    panels = many.detail(layer)
    assert [panel.type for panel in panels][:1] == ["histogram"]
    assert "divergence ∞ nats per bin" in panels[0].words


@pytest.mark.parametrize(("bins", "epsilon"), [(4, 0.0), (30, 1e-10)])
def test_the_notebooks_p_is_that_of_its_loop(bins: int, epsilon: float) -> None:
    # The loop of a notebook over a small model's layers, with shuffles of its own.
    trace, n = half_right(2), 1000
    asked: dict[str, Any] = {"bins": bins, "epsilon": epsilon, "permutations": n}
    found = prediction_divergence(trace, block="mlp", divergence="notebook", **asked)
    right, rng = labels_of(trace), np.random.default_rng(7)
    shuffles = [rng.permutation(right) for _ in range(n)]
    for layer in range(2):
        values = log_norms_of(trace, "mlp", layer, len(right))
        observed = of_the_notebook(values, right, bins, epsilon)
        loop = np.array([of_the_notebook(values, labels, bins, epsilon) for labels in shuffles])
        theirs = (1 + (loop >= observed - 1e-12).sum()) / (1 + n)
        pooled = (float(found.p[layer]) + theirs) / 2
        error = math.sqrt(2 * max(pooled * (1 - pooled), 1 / n) / n)
        assert abs(float(found.p[layer]) - theirs) < 4 * error


@pytest.mark.parametrize("bins", [2, 3, 4])
def test_the_notebooks_null_is_that_of_all_ways_to_label(bins: int) -> None:
    n = 20_000
    values, right = random_groups(1, n=10, layers=3)
    ways = [np.isin(np.arange(10), way) for way in combinations(range(10), int(right.sum()))]
    asked: dict[str, Any] = {"bins": bins, "of": notebook_divergence(bins)}
    null = null_divergences(values, right, permutations=n, seed=0, **asked)
    p = p_values(divergences(values, right, **asked), null)
    for of_layer, found in zip(values.numpy(), p.tolist(), strict=True):
        every = np.array([of_the_notebook(of_layer, way, bins) for way in ways])
        exact = (every >= of_the_notebook(of_layer, right.numpy(), bins) - 1e-12).mean()
        assert found == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / n) + 1 / n)


def test_the_two_divergences_have_other_p_values() -> None:
    trace = half_right(4)
    ours, notebook = (
        prediction_divergence(trace, block="mlp", bins=4, divergence=name, seed=0)
        for name in ("jsd", "notebook")
    )
    assert not torch.equal(ours.p, notebook.p)


# --- shifted labels -------------------------------------------------------------------------------
def shifted(values: torch.Tensor, right: torch.Tensor, bins: int) -> list[list[float]]:
    """Divergences of all layers, once for every distance that the labels can be moved."""
    return [
        [divergence(of_layer, np.roll(right.numpy(), by), bins) for of_layer in values.numpy()]
        for by in range(1, len(right))
    ]


@pytest.mark.parametrize("permutations", [119, 1000])
def test_where_there_are_no_more_shifts_each_is_taken_once(permutations: int) -> None:
    values, right = random_groups(5, n=120, layers=2)
    asked: dict[str, Any] = {"bins": 12, "permutations": permutations, "relabelling": "shift"}
    null = null_divergences(values, right, **asked, seed=0)
    assert null.shape == (119, 2)
    every = shifted(values, right, 12)
    np.testing.assert_allclose(sorted(null.tolist()), sorted(every), atol=1e-9)
    observed = divergences(values, right, 12)
    as_large = (np.array(every) >= observed.numpy() - 1e-12).sum(axis=0)
    np.testing.assert_allclose(p_values(observed, null), (1 + as_large) / 120)


def test_fewer_shifts_are_drawn_each_once_by_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    values, right = random_groups(5, n=120, layers=2)
    asked: dict[str, Any] = {"bins": 12, "permutations": 40, "relabelling": "shift"}
    null = null_divergences(values, right, **asked, seed=4)
    every = np.array(shifted(values, right, 12))
    off = np.abs(null.numpy()[:, None] - every).max(axis=-1)
    assert (off.min(axis=1) < 1e-9).all()
    assert len(set(off.argmin(axis=1))) == 40
    assert not torch.equal(null, null_divergences(values, right, **asked, seed=5))
    monkeypatch.setattr(permutation, "_BLOCK_VALUES", {"cpu": 7 * 120})
    assert torch.equal(null, null_divergences(values, right, **asked, seed=4))


def test_a_result_with_shifted_labels_says_what_p_can_be(decoder: Trace) -> None:
    found = prediction_divergence(decoder, null="shift", block="mlp")
    n = found.n_correct + found.n_incorrect
    assert len(found.null) == n - 1
    assert found.p.min() >= 1 / n
    assert found.metric == PredictionDivergence(null="shift", block="mlp")
    chart = found.chart()
    assert chart.null is not None
    assert chart.test is not None
    assert "labels shifted round the text" in chart.null.words
    assert f"{n - 1} shifts, p ≥ {1 / n:.3g}" in chart.test.words


def autocorrelated(rng: np.random.Generator, rho: float, *shape: int) -> NDArray[np.float64]:
    """AR(1): each value is `rho` times the one before, and something new."""
    noise = rng.normal(size=(*shape[:-1], shape[-1] + 100))
    return lfilter([1], [1, -rho], noise, axis=-1)[..., 100:]


@pytest.mark.parametrize(("rho", "too_eager"), [(0.65, 0.06), (0.8, 0.10)])
def test_shifted_labels_keep_the_level_where_neighbours_are_alike_and_shuffled_ones_do_not(
    rho: float, too_eager: float
) -> None:
    # 300 texts of 200 positions: labels and values of 5 layers, which do not depend on each other.
    rng, n_texts = np.random.default_rng(0), 300
    found: dict[Any, list[float]] = {"shuffle": [], "shift": []}
    for text in range(n_texts):
        right = torch.from_numpy(autocorrelated(rng, rho, 200) > 0.25)
        values = torch.from_numpy(autocorrelated(rng, rho, 5, 200))
        observed = divergences(values, right, 30)
        for how, of_how in found.items():
            null = null_divergences(
                values, right, bins=30, permutations=199, seed=text, relabelling=how
            )
            of_how.extend(p_values(observed, null).tolist())
    share = {how: (np.array(p) <= 0.05).mean() for how, p in found.items()}
    assert 0.03 <= share["shift"] <= 0.06
    assert share["shuffle"] >= too_eager


# --- while it is being computed -------------------------------------------------------------------
@pytest.mark.parametrize("null", ["shuffle", "shift"])
def test_a_partial_result_holds_all_permutations_that_are_done(
    decoder: Trace, monkeypatch: pytest.MonkeyPatch, null: Any
) -> None:
    steps: list[tuple[float, int, int]] = []

    def watch(step: Step) -> None:
        partial = step.partial()
        if partial is not None:
            assert isinstance(partial, PredictionDivergenceResult)
            assert step.share is not None
            rows = len(partial.to_frame())
            steps.append((step.share, len(partial.null), rows))
            assert partial.chart().null is not None
            assert [type(panel).__name__ for panel in partial.detail(0)][:2] == ["Histogram"] * 2

    n = len(decoder.queries())
    # Two blocks: at half of the way, one of them is done.
    monkeypatch.setattr(permutation, "_BLOCK_VALUES", {"cpu": 50 * n})
    whole = prediction_divergence(decoder, permutations=100, null=null, progress=watch)
    halves = {(round(share, 2), done) for share, done, _ in steps}
    assert halves == {(0.5, 50), (1.0, 100)}
    assert {rows for *_, rows in steps} == {len(whole.to_frame())}


# --- nothing differs ------------------------------------------------------------------------------
@pytest.mark.parametrize("divergence_", ["jsd", "notebook"])
def test_norms_that_are_all_the_same_do_not_differ(
    monkeypatch: pytest.MonkeyPatch, divergence_: Any
) -> None:
    trace = half_right(2)
    constant = dict.fromkeys(range(2), torch.full((len(trace.queries()),), 0.1))
    monkeypatch.setattr(trace, "norms", lambda _=None: {"mlp": constant})
    found = prediction_divergence(trace, block="mlp", divergence=divergence_, permutations=9)
    assert found.observed.tolist() == [0, 0]
    assert found.p.tolist() == [1, 1]
    assert not found.significant.any()
    assert found.chart().note == ""


# --- errors ---------------------------------------------------------------------------------------
def test_a_group_without_members_is_an_error_with_both_counts() -> None:
    lens = Lens.demo("encoder-decoder")
    trace = lens.trace(SOURCE)
    n = len(trace.labels)
    with pytest.raises(ValueError, match=rf"{n}\b.*\b0\b|\b0\b.*\b{n}\b"):
        prediction_divergence(trace)


def test_a_group_of_one_is_an_error_with_both_counts() -> None:
    lens = Lens.demo("encoder-decoder")
    trace = lens.trace(SOURCE, TARGET.replace("brun", "noir").replace("noire", "rouge"))
    right = labels_of(trace)
    assert (~right).sum() == 1, "one word is not what the model expects"
    with pytest.raises(ValueError, match=rf"{right.sum()}\b.*\b1\b|\b1\b.*\b{right.sum()}\b"):
        prediction_divergence(trace)


def test_an_encoder_has_no_predictions_to_be_right_or_wrong() -> None:
    with pytest.raises(ValueError, match="encoder"):
        prediction_divergence(Lens(build("bert"), tokenizer()).trace(TEXT))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"block": "ffn"}, "ffn"),
        ({"bins": 0}, "bins"),
        ({"permutations": 0}, "permutations"),
        ({"alpha": 0.0}, "alpha"),
        ({"alpha": 2}, "alpha"),
        ({"divergence": "kl"}, "notebook"),
        ({"epsilon": -1e-9}, "epsilon"),
        ({"null": "rotate"}, "shift"),
    ],
)
def test_bad_parameters_are_named(decoder: Trace, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        prediction_divergence(decoder, **parameters)


# --- pictures -------------------------------------------------------------------------------------
def test_the_histograms_are_numpys_shares_of_each_group(decoder: Trace) -> None:
    found = prediction_divergence(decoder, block="mlp", bins=12, permutations=40)
    right = labels_of(decoder)
    panel: Any = found.detail(1)[0]
    values = log_norms_of(decoder, "mlp", 1, len(right))
    np.testing.assert_allclose(panel.values, shares(values, right, 12), atol=1e-6)
    assert (len(panel.edges), panel.edges[0], panel.edges[-1]) == (
        13,
        pytest.approx(values.min()),
        pytest.approx(values.max()),
    )
