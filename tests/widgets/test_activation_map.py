"""ActivationMap, without a browser: its numbers against hooks, float64 and scipy's own linkage."""

from __future__ import annotations

import base64
import gzip
import json
import re
import subprocess
import sys
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import pdist
from traitlets import TraitError

from glasshead import (
    ActivationMap,
    AttentionLines,
    Lens,
    ModelChangedError,
    ModelNeededError,
    Trace,
    link_views,
)
from glasshead_backend.frames.activation_sizes import sizes_of
from glasshead_backend.frames.activations import largest_of_pixels
from glasshead_backend.frames.dimension_order import MOST_CLUSTERED, by_likeness
from glasshead_backend.trace import run_of
from support.architectures.building import build as build_case
from support.architectures.versions import case_or_skip
from support.tiny_models import TEXT, build, tokenizer, without_cache
from widgets.frames import ask, unpack

if TYPE_CHECKING:
    from pathlib import Path

TARGET = "a lazy fox runs over the old sea"


@cache
def traced(name: str) -> Trace:
    model = build_case(case_or_skip(name)) if "/" in name else build(name)
    lens = Lens(model, tokenizer())
    return lens.trace(TEXT, TARGET if lens.family == "encoder-decoder" else None)


@torch.no_grad()
def hooked(trace: Trace, module: str) -> np.ndarray:
    """What a module returns, from a plain forward with a hook, in float64."""
    kept: list[torch.Tensor] = []

    def hook(_: Any, __: Any, output: Any) -> None:
        kept.append((output[0] if isinstance(output, tuple) else output)[0])

    model = trace.lens.model
    handle = model.get_submodule(module).register_forward_hook(hook)
    names = ("input_ids", "decoder_input_ids")
    ids = {n: torch.tensor([s.ids]) for n, s in zip(names, trace.sequences, strict=False)}
    model(**ids, **without_cache(model))
    handle.remove()
    return kept[0].double().numpy()


HOOKED = [
    ("llama", "residual", "self", "model.layers.1"),
    ("llama", "mlp", "self", "model.layers.1.mlp.down_proj"),
    ("llama", "attention", "self", "model.layers.1.self_attn.o_proj"),
    ("llama", "embedding", "self", "model.embed_tokens"),
    # Norms stand behind the blocks: it is what they return that is added.
    ("olmo2", "mlp", "self", "model.layers.1.post_feedforward_layernorm"),
    ("olmo2", "residual", "self", "model.layers.1"),
    ("t5", "residual", "encoder", "encoder.block.1"),
    ("t5", "cross", "cross", "decoder.block.1.layer.1.EncDecAttention.o"),
    ("t5", "residual", "decoder", "decoder.block.1"),
]


@pytest.mark.parametrize(("name", "block", "kind", "module"), HOOKED)
def test_every_number_is_what_the_module_returns(
    name: str, block: str, kind: str, module: str
) -> None:
    trace = traced(name)
    view = ActivationMap(trace, block=block, layer=1, kind=kind, sort="largest")
    true = hooked(trace, module)
    frame = view.frame
    order = unpack(frame["order"])
    rms = np.sqrt((true**2).mean(axis=0))
    np.testing.assert_allclose(unpack(frame["values"]), true[:, order], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(unpack(frame["rms"]), rms, rtol=1e-5)
    np.testing.assert_allclose(unpack(frame["norms"]), np.linalg.norm(true, axis=1), rtol=1e-5)
    assert (np.diff(rms[order]) <= 1e-6).all()
    assert frame["outliers_words"]
    outliers = np.flatnonzero(rms >= 6 * np.sort(rms)[(len(rms) - 1) // 2])
    assert unpack(frame["outliers"]).tolist() == outliers.tolist()
    assert frame["largest"] == pytest.approx(np.abs(true).max(), rel=1e-5)
    of_token = np.quantile(np.abs(true), 0.99, axis=1, method="inverted_cdf")
    typical = np.sort(of_token)[(len(of_token) - 1) // 2]
    assert typical * 0.9999 <= frame["bound"] <= 1.5 * typical
    assert frame["beyond"] == pytest.approx((np.abs(true) > frame["bound"]).mean())
    sequence = {"encoder": "source", "self": "text"}.get(kind, "target")
    assert frame["side"] == sequence
    assert sequence in {view.axes[side]["sequence"] for side in ("query", "key")}
    assert frame["tokens"] == len(true)


def test_executed_code_gives_what_is_on_screen() -> None:
    trace = traced("t5")
    for state in (
        {"block": "cross"},
        {"kind": "encoder", "sort": "largest"},
        {"block": "embedding"},
    ):
        view = ActivationMap(trace, layer=1, **state)
        found = eval(view.code(), {"trace": trace}).float().numpy()  # noqa: S307
        order = unpack(view.frame["order"])
        np.testing.assert_array_equal(found[:, order], unpack(view.frame["values"]))
        table = view.to_frame()
        assert table.columns.tolist() == order.tolist()
        np.testing.assert_array_equal(table.to_numpy(), unpack(view.frame["values"]))


def test_clustered_dimensions_are_those_of_scipys_linkage() -> None:
    random = np.random.default_rng(0)
    # 300: more than those whose branches are turned to please.
    values = random.normal(size=(40, 300)) @ random.normal(size=(300, 300))
    values[:, [5, 17]] = 3.0
    tensor = torch.from_numpy(values).float()
    order, note = by_likeness(tensor, tensor.square().mean(dim=0).sqrt())
    varies = np.array([i for i in range(300) if i not in (5, 17)])
    true = varies[leaves_list(linkage(pdist(values[:, varies].T, "correlation"), "average"))]
    assert order.tolist() == [*true.tolist(), 5, 17]
    assert note == ""


def test_likeness_brings_together_what_goes_together_and_is_always_the_same() -> None:
    random = np.random.default_rng(1)
    base = random.normal(size=(30, 4))
    values = np.tile(base, (1, 8)) + 0.01 * random.normal(size=(30, 32))
    tensor = torch.from_numpy(values).bfloat16()
    rms = tensor.float().square().mean(dim=0).sqrt()
    order = by_likeness(tensor, rms)[0]
    groups = (order % 4).tolist()
    assert sum(a != b for a, b in pairwise(groups)) == 3
    assert order.tolist() == by_likeness(tensor.clone(), rms)[0].tolist()


@pytest.mark.parametrize("n_tokens", [1, 2])
def test_one_or_two_tokens_have_an_order_too(n_tokens: int) -> None:
    values = torch.randn(n_tokens, 12, generator=torch.Generator().manual_seed(0))
    order, _ = by_likeness(values, values.square().mean(dim=0).sqrt())
    assert sorted(order.tolist()) == list(range(12))


def test_more_dimensions_than_can_be_compared_follow_by_size() -> None:
    n = MOST_CLUSTERED + 6
    values = torch.randn(3, n, generator=torch.Generator().manual_seed(0)) + 2
    small = torch.arange(0, 12, 2)
    values[:, small] = torch.tensor([1e-3, 2e-3, 3e-3, 4e-3, 5e-3, 6e-3])
    order, note = by_likeness(values, values.square().mean(dim=0).sqrt())
    assert order[-6:].tolist() == [10, 8, 6, 4, 2, 0]
    assert sorted(order.tolist()) == list(range(n))
    assert note == "Clustered by 4,096 of 4,102 dimensions, the largest."


# --- pooling and tiles ----------------------------------------------------------------------------
def test_a_pixel_is_the_number_largest_in_size_with_its_sign() -> None:
    values = torch.randn(23, 37, generator=torch.Generator().manual_seed(0))
    order = torch.randperm(37, generator=torch.Generator().manual_seed(1))
    found = largest_of_pixels(values, order, 4, 5).numpy()
    own = values.double().numpy()[:, order.numpy()]
    assert found.shape == (6, 8)
    for i, j in np.ndindex(6, 8):
        cells = own[4 * i : 4 * i + 4, 5 * j : 5 * j + 5].ravel()
        assert found[i, j] == np.float32(cells[np.abs(cells).argmax()])


LONG_TEXT = """
import resource

import torch
from glasshead_backend.frames.activation_sizes import sizes_of
from glasshead_backend.frames.activations import largest_of_pixels

values = torch.randn(16_384, 4096, dtype=torch.bfloat16)
values[0, 77] = 1000.0
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
sizes = sizes_of(values)
picture = largest_of_pixels(values, torch.arange(4096), 32, 4)
more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
assert picture.shape == (512, 1024)
print(more, float(picture[0, 19]), sizes.bound, sizes.beyond, sizes.largest)
"""


def test_a_long_text_in_a_wide_model_sends_no_more_than_a_picture() -> None:
    # In a process of its own: this one may have taken more memory before.
    done = subprocess.run(
        [sys.executable, "-c", LONG_TEXT], capture_output=True, text=True, check=True
    )
    more, in_picture, bound, beyond, largest = map(float, done.stdout.split())
    assert in_picture == 1000.0
    assert more < 150_000  # kilobytes: about what the text itself takes in bfloat16
    # The 0.99 quantile of the size of a standard normal number is 2.576; 0.27 % lie beyond 3.
    assert bound == 3.0
    assert beyond == pytest.approx(0.0027, rel=0.05)
    assert largest == 1000.0


def test_a_tile_is_the_part_that_is_asked_for() -> None:
    view = ActivationMap(traced("llama"), layer=2, sort="largest")
    answer, arrays = ask(view, "tile", row0=1, row1=4, column0=10, column1=20)
    true = view.to_frame().to_numpy()[1:4, 10:20]
    np.testing.assert_array_equal(arrays["values"], true)
    asked = {"row0": 1, "row1": 4, "column0": 10, "column1": 20, "per_row": 1, "per_column": 1}
    assert asked.items() <= answer["result"].items()
    assert answer["result"]["key"] == view.frame["key"]


@pytest.mark.parametrize("wrong", [{"row1": 99}, {"column0": 20}, {"row0": -1}])
def test_a_tile_that_is_not_there_is_refused(wrong: dict[str, int]) -> None:
    view = ActivationMap(traced("llama"))
    answer, _ = ask(view, "tile", **{"row0": 0, "row1": 2, "column0": 0, "column1": 20, **wrong})
    assert "are no part of 0 to" in answer["error"]


# --- what is there --------------------------------------------------------------------------------
HYBRID = "jamba/JambaForCausalLM"


def test_layers_are_those_that_have_the_block_whether_or_not_they_have_attention() -> None:
    trace = traced(HYBRID)
    attention, mixer = trace.layers(), trace.layers_with("mixer")
    assert attention
    assert mixer
    assert not set(attention) & set(mixer)
    view = ActivationMap(trace, layer=mixer[0], heads=[0])
    assert view.frame["layers"] == sorted([*attention, *mixer])
    view.block = "attention"  # the nearest layer that has it
    assert view.layer in attention
    assert view.frame["key"]["layer"] == view.layer
    assert view.frame["layers"] == attention
    view.block = "mixer"
    assert view.layer in mixer
    assert view.heads == [0]
    with pytest.raises(TraitError, match=rf"layer {attention[0]} is out of range: .* with mixer"):
        view.layer = attention[0]
    with pytest.raises(TraitError, match="layer 99 is out of range"):
        ActivationMap(trace, layer=99)


def test_a_view_of_attention_says_that_a_linked_layer_has_none() -> None:
    trace = traced(HYBRID)
    lines, view = AttentionLines(trace), ActivationMap(trace)
    link_views(lines, view)
    mixer = trace.layers_with("mixer")[0]
    view.layer = mixer
    assert "is out of range" in lines.error
    view.selected = [1]
    assert lines.selected == [1]
    lines.selected = [2]  # which moves nobody to the layer where this one stayed
    assert (view.selected, view.layer) == ([2], mixer)
    view.layer = trace.layers()[0]
    assert (lines.layer, lines.error) == (view.layer, "")


def test_a_block_that_is_not_there_is_named_with_those_that_are() -> None:
    words = "block 'mixer' is not there: llama has 'attention', 'mlp', 'residual', 'embedding'."
    with pytest.raises(TraitError, match=words):
        ActivationMap(traced("llama"), block="mixer")
    view = ActivationMap(traced("t5"), block="cross", layer=1)
    with pytest.raises(TraitError, match="block is"):
        view.block = "foo"
    view.kind = "encoder"  # whose layers have no cross-attention
    assert (view.block, view.layer, view.frame["side"]) == ("residual", 1, "source")


def test_dimensions_are_pinned_ascending_and_refused_beyond_the_last() -> None:
    view = ActivationMap(traced("llama"), dimensions=[3, 1, 3])
    assert view.dimensions == [1, 3]
    n = view.frame["dimensions"]
    with pytest.raises(TraitError, match=f"dimension {n} is out of range: .* 0-{n - 1}"):
        view.dimensions = [n]
    with pytest.raises(TraitError, match="dimension -1 is out of range"):
        ActivationMap(traced("llama"), dimensions=[-1])


def test_pins_beyond_another_models_dimensions_go_with_the_old_one() -> None:
    view = ActivationMap(traced("llama"), dimensions=[1, 31])
    view.trace = Lens(build("llama", hidden_size=16), tokenizer()).trace(TEXT)
    assert view.error == ""
    assert view.frame["dimensions"] == 16
    assert view.dimensions == [1]


# --- massive activations --------------------------------------------------------------------------
def test_an_outlier_that_one_token_makes_is_told_from_one_that_all_make() -> None:
    model = build("llama")
    trace = Lens(model, tokenizer()).trace(TEXT)
    tokens = len(trace.tokens)
    values = torch.randn(tokens, 32, generator=torch.Generator().manual_seed(0))
    values[0, 7], values[:, 9] = 500.0, 40.0
    run = run_of(trace)
    run.store.keep(("activations", "self", "residual"), dict.fromkeys(range(3), values))
    view = ActivationMap(trace)
    assert unpack(view.frame["outliers"]).tolist() == [7, 9]
    first = re.escape(trace.tokens[0].text)
    assert re.fullmatch(
        rf"Massive activations of single tokens: token 0 \(“{first}”\) in dimension 7\.",
        view.frame["note"],
    )


def test_numbers_that_are_none_are_counted_and_do_not_spoil_the_rest() -> None:
    values = torch.ones(4, 8)
    values[1, 2], values[2, 3] = torch.inf, torch.nan
    sizes = sizes_of(values)
    assert sizes.n_undefined == 2
    assert (sizes.bound, sizes.largest) == (1.0, 1.0)
    order, _ = by_likeness(values, sizes.rms)
    assert sorted(order.tolist()) == list(range(8))


def test_colours_are_those_of_most_tokens_whatever_a_single_one_holds() -> None:
    values = torch.randn(20, 400, generator=torch.Generator().manual_seed(0))
    alone = sizes_of(values).bound
    values[0] *= 1000  # 5 % of all numbers, so the largest hundredth of them
    assert sizes_of(values).bound == alone


def test_nothing_but_zeros_has_no_outliers_and_a_scale() -> None:
    sizes = sizes_of(torch.zeros(3, 8))
    assert (sizes.bound, sizes.beyond) == (1.0, 0.0)


# --- where numbers come from ----------------------------------------------------------------------
def test_bfloat16_is_measured_in_single_precision() -> None:
    trace = Lens(build("llama").bfloat16(), tokenizer()).trace(TEXT)
    view = ActivationMap(trace, layer=1)
    stored = trace.activations(1, "residual")
    assert stored.dtype == torch.bfloat16
    true = stored.double().numpy()
    np.testing.assert_allclose(unpack(view.frame["rms"]), np.sqrt((true**2).mean(0)), rtol=1e-6)
    np.testing.assert_array_equal(unpack(view.frame["values"]), true)


def test_what_was_stored_is_shown_when_the_model_has_changed_and_nothing_else() -> None:
    model = build("llama")
    trace = Lens(model, tokenizer()).trace(TEXT)
    trace.store_activations(["mlp"], dtype=torch.float16)
    with torch.no_grad():
        model.model.layers[0].mlp.down_proj.weight.mul_(2)
    view = ActivationMap(trace, block="mlp", layer=1)
    shown = view.frame
    view.block = "residual"
    assert "The model has changed" in view.error
    assert view.frame is shown
    with pytest.raises(ModelChangedError):
        ActivationMap(trace)


def test_given_attention_has_no_activations_and_says_so() -> None:
    trace = Trace.from_attentions(torch.full((2, 3, 4, 4), 0.25), list("abcd"))
    with pytest.raises(ModelNeededError):
        ActivationMap(trace)


def test_a_text_scored_without_attention_says_so() -> None:
    scored = Lens(build("llama"), tokenizer()).score(TEXT)
    with pytest.raises(ValueError, match="attention"):
        ActivationMap(scored)


# --- saved pages ----------------------------------------------------------------------------------
def contents(page: str) -> dict[str, Any]:
    return json.loads(gzip.decompress(element(page, "gh-contents")))


def element(page: str, name: str) -> bytes:
    found = re.search(rf'id="{name}"[^>]*>([^<]*)<', page)
    assert found, name
    return base64.b64decode(found[1])


def test_a_page_carries_every_block_of_every_layer_and_their_orders(tmp_path: Path) -> None:
    trace = traced("t5")
    view = ActivationMap(trace, layer=1, kind="decoder", sort="cluster")
    saved = view.save_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert saved.left_out == ()
    assert saved.error == "Activations are those of the model, in single precision."
    stored = contents(page)["activations"]
    assert [stored[0][name] for name in ("kind", "layer", "block")] == ["decoder", 1, "residual"]
    there = {(one["kind"], one["block"], one["layer"]) for one in stored}
    n_layers = len(trace.layers("encoder"))
    assert len(there) == len(stored)
    assert {("encoder", "mlp", n) for n in range(n_layers)} <= there
    for one in stored:
        kind, layer, block = one["kind"], one["layer"], one["block"]
        data = gzip.decompress(element(page, one["element"]))
        numbers = np.frombuffer(data, one["dtype"]).reshape(
            one["frame"]["tokens"], one["frame"]["dimensions"]
        )
        true = trace.activations(layer, block, kind=kind).numpy()
        np.testing.assert_array_equal(numbers, true)
        largest = base64.b64decode(one["orders"]["largest"]["data"]["base64"])
        rms = np.sqrt((true.astype(np.float64) ** 2).mean(axis=0))
        assert (np.diff(rms[np.frombuffer(largest, np.uint8)]) <= 1e-6).all()
        assert one["orders"]["cluster"]


def test_a_page_with_little_room_has_half_precision_then_fewer_maps(tmp_path: Path) -> None:
    model = build("llama", hidden_size=256)
    view = ActivationMap(Lens(model, tokenizer()).trace(TEXT * 4), layer=1)
    whole = view.save_html(tmp_path / "whole.html")
    half = view.save_html(tmp_path / "half.html", max_bytes=int(whole.bytes * 0.75))
    assert half.relative_error == 2**-11
    assert "half precision" in half.error
    few = view.save_html(tmp_path / "few.html", max_bytes=int(whole.bytes * 0.45))
    assert few.left_out
    assert few.bytes <= whole.bytes * 0.45
    page = (tmp_path / "few.html").read_text(encoding="utf-8")
    assert "Not in this page" in page
    with pytest.raises(ValueError, match="the least possible is about"):
        view.save_html(tmp_path / "none.html", max_bytes=1000)
