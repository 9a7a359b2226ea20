"""Right against wrong predictions, compared with numpy, scipy and a shuffling loop."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy, false_discovery_control, kstest, permutation_test
from statsmodels.stats.multitest import multipletests

from backend.tiny_models import TEXT, build, tokenizer
from glasshead_backend import Lens, Trace, bin_sensitivity, prediction_divergence
from glasshead_backend.demo import DECODER_LONG_TEXT, DECODER_TEXT
from glasshead_backend.statistics import permutation
from glasshead_backend.statistics.permutation import divergences, null_divergences, p_values

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
    ],
)
def test_bad_parameters_are_named(decoder: Trace, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        prediction_divergence(decoder, **parameters)
