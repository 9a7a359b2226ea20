"""FusedAttentionMatrix with scores: what enters the softmax, against own products of q and k."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import traitlets
import transformers

from backend.capture.test_local_attention import led
from glasshead import FusedAttentionMatrix, Lens, explore
from glasshead.code import named
from glasshead_backend.frames import drawn as drawn_module
from glasshead_backend.frames import scores as scores_module
from support.tiny_models import TEXT, build, tokenizer
from widgets.frames import unpack
from widgets.test_matrix import ask, ask_cell, drawn

if TYPE_CHECKING:
    from collections.abc import Callable

    from glasshead import Trace


# ---- own products ------------------------------------------------------------------------------


def outputs(model: Any, modules: list[Any], *, ids: list[int]) -> list[torch.Tensor]:
    """What some modules give while the model itself runs, of the first sequence."""
    found: dict[Any, torch.Tensor] = {}

    def keep(of: Any, _: Any, out: torch.Tensor) -> None:
        found[of] = out[0].detach()

    hooks = [module.register_forward_hook(keep) for module in modules]
    with torch.no_grad():
        model(torch.tensor([ids]))
    for hook in hooks:
        hook.remove()
    return [found[module] for module in modules]


def by_head(flat: torch.Tensor, size: int) -> torch.Tensor:
    """``[token, head * size]`` as ``[head, token, size]``."""
    return flat.unflatten(-1, (-1, size)).transpose(0, 1)


def after(scores: torch.Tensor, window: int | None = None) -> np.ndarray:
    """Scores with what a row may not see at minus infinity."""
    n = scores.shape[-1]
    back = torch.arange(n)[:, None] - torch.arange(n)
    hidden = (back < 0) if window is None else (back < 0) | (back >= window)
    return scores.masked_fill(hidden, -torch.inf).numpy()


def of_gpt2(model: Any, ids: list[int], layer: int) -> np.ndarray:
    (both,) = outputs(model, [model.transformer.h[layer].attn.c_attn], ids=ids)
    size = model.config.n_embd // model.config.n_head
    query, key, _ = (by_head(part, size) for part in both.chunk(3, dim=-1))
    return after(query @ key.mT / math.sqrt(size))


def of_bloom(model: Any, ids: list[int], layer: int) -> np.ndarray:
    """Press et al. 2022: head h adds ``2^(-8 (h + 1) / n)`` times the key's position."""
    attention = model.transformer.h[layer].self_attention
    (together,) = outputs(model, [attention.query_key_value], ids=ids)
    n = model.config.n_head
    size = model.config.hidden_size // n
    query, key, _ = together.unflatten(-1, (n, 3, size)).permute(2, 1, 0, 3)
    slopes = torch.tensor([2.0 ** (-8 * (head + 1) / n) for head in range(n)])
    return after(query @ key.mT / math.sqrt(size) + slopes[:, None, None] * torch.arange(len(ids)))


def of_t5(model: Any, ids: list[int], layer: int) -> np.ndarray:
    """No scale (it is in the weights), and the first layer's table of distances for all."""
    own = model.encoder.block[layer].layer[0].SelfAttention
    query, key = (
        by_head(flat, own.key_value_proj_dim)
        for flat in outputs(model.encoder, [own.q, own.k], ids=ids)
    )
    first = model.encoder.block[0].layer[0].SelfAttention
    back = torch.arange(len(ids)) - torch.arange(len(ids))[:, None]
    buckets = first._relative_position_bucket(
        back,
        bidirectional=True,
        num_buckets=first.relative_attention_num_buckets,
        max_distance=first.relative_attention_max_distance,
    )
    bias = first.relative_attention_bias.weight.detach()[buckets].permute(2, 0, 1)
    return (query @ key.mT + bias).numpy()


def of_gemma2(model: Any, ids: list[int], layer: int) -> np.ndarray:
    """Rotated by own sines, capped by ``c tanh(s / c)``, every other layer within a window."""
    own, config = model.model.layers[layer].self_attn, model.config
    size = config.head_dim
    query, key = (by_head(flat, size) for flat in outputs(model, [own.q_proj, own.k_proj], ids=ids))
    speed = 10_000.0 ** (-torch.arange(0, size, 2) / size)
    angle = (torch.arange(len(ids))[:, None] * speed).repeat(1, 2)

    def rotated(x: torch.Tensor) -> torch.Tensor:
        turned = torch.cat([-x[..., size // 2 :], x[..., : size // 2]], dim=-1)
        return x * angle.cos() + turned * angle.sin()

    shared = config.num_attention_heads // config.num_key_value_heads
    products = rotated(query) @ rotated(key).repeat_interleave(shared, dim=0).mT
    scores = products / math.sqrt(config.query_pre_attn_scalar)
    cap = config.attn_logit_softcapping
    local = config.layer_types[layer] == "sliding_attention"
    return after(cap * (scores / cap).tanh(), config.sliding_window if local else None)


def bloom() -> Any:
    torch.manual_seed(0)
    config = transformers.BloomConfig(
        vocab_size=len(tokenizer()), hidden_size=32, n_layer=2, n_head=4, initializer_range=0.4
    )
    return transformers.BloomForCausalLM(config).eval()


OWN: dict[str, tuple[Callable[[], Any], Callable[[Any, list[int], int], np.ndarray], Any]] = {
    "gpt2": (lambda: build("gpt2"), of_gpt2, "self"),
    "alibi": (bloom, of_bloom, "self"),
    "t5 bias": (lambda: build("t5"), of_t5, "encoder"),
    "soft cap": (
        lambda: build("gemma2", attn_logit_softcapping=2.0, query_pre_attn_scalar=2),
        of_gemma2,
        "self",
    ),
}


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("layer", [0, 1])
def test_scores_are_what_the_models_own_queries_and_keys_give(name: str, layer: int) -> None:
    make, own, kind = OWN[name]
    model = make()
    # Gemma 2 loses its cap in SDPA on some versions of transformers.
    model.set_attn_implementation("eager")
    lens = Lens(model, tokenizer())
    trace = lens.trace(TEXT, target="the whale runs") if kind == "encoder" else lens.trace(TEXT)
    true = own(model, [token.id for token in trace.queries(kind)], layer)
    assert np.isfinite(true).any()
    assert (true[np.isfinite(true)] < 0).any()
    for heads in ([1], [0, 2], []):
        view = FusedAttentionMatrix(trace, kind=kind, layer=layer, heads=heads, scores=True)
        expected = true[heads or slice(None)].mean(axis=0)
        np.testing.assert_allclose(view.to_frame().to_numpy(), expected, rtol=1e-4, atol=1e-5)
        frame = view.frame
        np.testing.assert_allclose(unpack(frame["exact"]), expected, rtol=1e-4, atol=1e-5)
        masked = np.isinf(expected)
        np.testing.assert_array_equal(unpack(frame["values"]) == 0, masked)
        error = np.broadcast_to(unpack(frame["row_scale"])[:, None], masked.shape)[~masked]
        assert (np.abs(drawn(frame)[~masked] - expected[~masked]) <= error * 0.501 + 1e-5).all()
        view.close()


# ---- cells, code, tiles ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gpt2() -> tuple[Trace, np.ndarray]:
    """A trace, and own scores of its layer 1."""
    model = build("gpt2")
    trace = Lens(model, tokenizer()).trace(TEXT)
    return trace, of_gpt2(model, [token.id for token in trace.queries()], 1)


def test_a_cell_says_its_score_its_place_and_the_weight_that_it_becomes(
    gpt2: tuple[Trace, np.ndarray],
) -> None:
    trace, true = gpt2
    view = FusedAttentionMatrix(trace, layer=1, heads=[2], scores=True)
    cell = ask_cell(view, 5, 3)
    row = true[2, 5]
    weights = np.exp(true[:, 5]) / np.exp(true[:, 5]).sum(axis=-1, keepdims=True)
    assert cell["weight"].flat[0] == pytest.approx(row[3], abs=1e-5)
    assert cell["share"].flat[0] == pytest.approx(weights[2, 3], abs=1e-6)
    assert cell["rank"].flat[0] == 1 + (row > row[3]).sum()
    assert cell["n"].flat[0] == 6
    assert "row_sum" not in cell  # of scores it says nothing
    both = FusedAttentionMatrix(trace, layer=1, heads=[0, 2], scores=True)
    cell = ask_cell(both, 5, 3)
    assert cell["weight"].flat[0] == pytest.approx(true[[0, 2], 5, 3].mean(), abs=1e-5)
    assert cell["share"].flat[0] == pytest.approx(weights[[0, 2], 3].mean(), abs=1e-6)


def test_the_largest_are_the_largest_scores_not_the_largest_in_size(
    gpt2: tuple[Trace, np.ndarray],
) -> None:
    trace, true = gpt2
    frame = FusedAttentionMatrix(trace, layer=1, heads=[0], scores=True).frame
    scores = true[0].copy()
    assert frame["max"] == pytest.approx(np.abs(scores[np.isfinite(scores)]).max(), rel=1e-5)
    scores[0] = -np.inf  # the first row sees only itself
    expected = np.sort(scores[np.isfinite(scores)])[::-1][:12]
    largest = {name: unpack(part) for name, part in frame["largest"].items()}
    np.testing.assert_allclose(largest["weight"], expected, rtol=1e-5)
    np.testing.assert_allclose(scores[largest["query"], largest["key"]], expected, rtol=1e-5)


@pytest.mark.parametrize("aggregate", ["mean", "max"])
def test_the_code_gives_the_scores_drawn(gpt2: tuple[Trace, np.ndarray], aggregate: str) -> None:
    trace, _ = gpt2
    view = FusedAttentionMatrix(
        trace, layer=1, heads=[0, 3], aggregate=aggregate, scores=True, hide_special=True
    )
    found = run(view.code(), trace)
    np.testing.assert_array_equal(view.to_frame().to_numpy(), found.numpy())
    assert "with a score of" in view.in_words()[0]


def run(code: str, trace: Trace) -> Any:
    names: dict[str, Any] = {"trace": trace}
    exec(named("found", code), names)  # noqa: S102  our own words
    return names["found"]


def test_beyond_the_screen_a_pixel_is_the_largest_score_and_masked_only_where_all_are(
    gpt2: tuple[Trace, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    trace, true = gpt2
    monkeypatch.setattr(scores_module, "TILE", 4)
    frame = FusedAttentionMatrix(trace, layer=1, heads=[1], scores=True).frame
    n, by = len(true[1]), frame["cells_per_pixel"]
    assert by > 1
    padded = np.full((-(-n // by) * by,) * 2, -np.inf)
    padded[:n, :n] = true[1]
    pixels = padded.reshape(len(padded) // by, by, len(padded) // by, by).max(axis=(1, 3))
    masked = np.isinf(pixels)
    np.testing.assert_array_equal(unpack(frame["values"]) == 0, masked)
    step = unpack(frame["row_scale"]).max()
    np.testing.assert_allclose(drawn(frame)[~masked], pixels[~masked], atol=step)
    assert drawn_module.TILE == 512


def test_a_tile_and_its_cells_are_scores_too(gpt2: tuple[Trace, np.ndarray]) -> None:
    trace, true = gpt2
    view = FusedAttentionMatrix(trace, layer=1, heads=[1], scores=True)
    part = {"query0": 2, "query1": 7, "key0": 1, "key1": 5}
    _, (cells,) = ask(view, "cells", **part)
    np.testing.assert_allclose(cells, true[1, 2:7, 1:5], rtol=1e-5, atol=1e-5)
    result, (values, scale) = ask(view, "tile", **part)
    seen = np.isfinite(cells)
    np.testing.assert_array_equal(values != 0, seen)
    numbers = (values.astype(int) - result["zero"]) * scale[:, None]
    np.testing.assert_allclose(numbers[seen], cells[seen], atol=scale.max())


def test_what_stands_beside_scores_is_of_the_weights(gpt2: tuple[Trace, np.ndarray]) -> None:
    trace, _ = gpt2
    state: dict[str, Any] = {"layer": 1, "heads": [1], "unit": "token", "sinks": "shown"}
    weights = FusedAttentionMatrix(trace, **state).frame
    scores = FusedAttentionMatrix(trace, **state, scores=True).frame
    for name in ("row_entropy", "column_mass", "undefined_rows", "causal", "title"):
        assert scores[name] == weights[name]
    assert (weights["scores"], scores["scores"]) == (False, True)


def test_sinks_are_not_set_aside_from_scores(gpt2: tuple[Trace, np.ndarray]) -> None:
    trace, _ = gpt2
    view = FusedAttentionMatrix(trace, layer=1, scores=True, sinks="hidden")
    assert view.frame["sinks"]["mode"] == "shown"


def test_attention_in_bands_has_no_scores_and_its_picture_stays() -> None:
    trace = Lens(led(), tokenizer()).trace(TEXT, "the fox")
    view = FusedAttentionMatrix(trace, kind="encoder", unit="token")
    before = view.frame
    view.scores = True
    assert "its scores before the softmax cannot" in view.error
    assert view.frame is before


# ---- state -------------------------------------------------------------------------------------


def test_scores_bring_tokens_with_them_and_are_refused_by_words(
    gpt2: tuple[Trace, np.ndarray],
) -> None:
    trace, _ = gpt2
    assert FusedAttentionMatrix(trace, scores=True).unit == "token"
    with pytest.raises(traitlets.TraitError, match='Set unit="token" first'):
        FusedAttentionMatrix(trace, unit="word", scores=True)
    view = FusedAttentionMatrix(trace)
    with pytest.raises(traitlets.TraitError, match="no meaning summed over words"):
        view.scores = True
    view.set(unit="token", scores=True)
    assert view.frame["scores"]


def test_by_words_scores_go_and_weights_are_drawn(gpt2: tuple[Trace, np.ndarray]) -> None:
    trace, _ = gpt2
    view = FusedAttentionMatrix(trace, scores=True)
    view.unit = "word"
    assert view.error == ""
    assert not view.scores
    assert view.frame["key"]["unit"] == "word"
    assert not view.frame["scores"]


@pytest.mark.parametrize("other", [{"normalise": True}, {"compare": {"layer": 0}}])
def test_scores_are_neither_normalised_nor_compared(
    gpt2: tuple[Trace, np.ndarray], other: dict[str, Any]
) -> None:
    trace, _ = gpt2
    (name,) = other
    with pytest.raises(traitlets.TraitError, match=f"scores=True and {name} do not go together"):
        FusedAttentionMatrix(trace, scores=True, **other)
    view = FusedAttentionMatrix(trace, scores=True)
    with pytest.raises(traitlets.TraitError, match=f"leave {name} out"):
        view.set(**other)
    view.set(**other, scores=False)
    with pytest.raises(traitlets.TraitError, match=f"leave {name} out"):
        view.scores = True


def test_an_explorer_whose_words_are_chosen_shows_weights_again(
    gpt2: tuple[Trace, np.ndarray],
) -> None:
    trace, _ = gpt2
    explorer = explore(trace, unit="token", matrix_scores=True)
    assert explorer.matrix.frame["scores"]
    explorer.unit = "word"
    assert not explorer.matrix_scores
    assert explorer.error == ""
    assert not explorer.matrix.frame["scores"]
    explorer.close()
