"""What is known about a model is true of the modules that it has now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from glasshead_backend import Lens
from support.adapters import LowRank
from support.tiny_models import TEXT, build, tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


class Doubled(nn.Module):
    """An MLP that does twice as much."""

    def __init__(self, base: nn.Module) -> None:
        super().__init__()
        self.base = base

    def forward(self, x: Tensor) -> Tensor:
        return 2 * self.base(x)


def put_on_adapters(model: Any) -> None:
    torch.manual_seed(1)
    for layer in model.model.layers:
        layer.self_attn.o_proj = LowRank(layer.self_attn.o_proj)


def swap_the_mlps(model: Any) -> None:
    for layer in model.model.layers:
        layer.mlp = Doubled(layer.mlp)


def take_a_layer_away(model: Any) -> None:
    del model.model.layers[1]
    for number, layer in enumerate(model.model.layers):
        layer.self_attn.layer_idx = number
    model.config.num_hidden_layers = len(model.model.layers)


def halve(model: Any) -> None:
    model.half()


def resize(model: Any) -> None:
    model.resize_token_embeddings(120)


def hooked(model: Any, ids: list[int]) -> dict[str, list[Tensor]]:
    """Norms of what the model file adds to its residual stream, and its logits, by own hooks."""
    found: dict[str, list[Tensor]] = {"attention": [], "mlp": [], "logits": []}
    handles: list[Any] = []
    for layer in model.model.layers:
        for block, module in (("attention", layer.self_attn), ("mlp", layer.mlp)):

            def keep(_: nn.Module, __: Any, out: Any, block: str = block) -> None:
                rows = out[0] if isinstance(out, tuple) else out
                found[block].append(rows[0].float().norm(dim=-1))

            handles.append(module.register_forward_hook(keep))
    with torch.no_grad():
        found["logits"].append(model(torch.tensor([ids]), use_cache=False).logits[0])
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize(
    "change", [put_on_adapters, swap_the_mlps, take_a_layer_away, halve, resize]
)
def test_a_lens_that_was_used_before_a_change_shows_the_changed_model(
    change: Callable[[Any], None],
) -> None:
    model: Any = build("llama")
    lens = Lens(model, tokenizer())
    before = lens.trace(TEXT)
    change(model)
    trace = lens.trace(TEXT)
    expected = hooked(model, trace.sequences[0].ids)
    n_layers = len(model.model.layers)
    assert trace.layers() == list(range(n_layers))
    for block in ("attention", "mlp"):
        norms = trace.norms()[block]
        assert list(norms) == list(range(n_layers))
        for layer, norm in norms.items():
            torch.testing.assert_close(norm.float(), expected[block][layer], rtol=2e-3, atol=1e-4)
    logits = trace.logits().float()
    torch.testing.assert_close(logits, expected["logits"][0].float(), rtol=2e-3, atol=5e-3)
    assert lens.family == "decoder"
    assert lens.anatomy is lens.anatomy, "it is not found out anew without need"
    before.close()


def test_what_heads_move_goes_through_an_adapter_that_was_put_on_after_the_first_trace() -> None:
    model: Any = build("llama")
    lens = Lens(model, tokenizer())
    unadapted = lens.trace(TEXT).moved_norms(1)
    put_on_adapters(model)
    trace = lens.trace(TEXT)
    # All weights on one key: its head's values, through the adapted projection.
    attention = model.model.layers[1].self_attn
    taken: list[Tensor] = []
    handle = attention.v_proj.register_forward_hook(lambda _, __, out: taken.append(out[0]))
    with torch.no_grad():
        model(torch.tensor([trace.sequences[0].ids]), use_cache=False)
        handle.remove()
        values = taken[0].unflatten(-1, (2, 8)).transpose(0, 1).repeat_interleave(2, dim=0)
        wide = torch.zeros(4, *values.shape[1:2], 4, 8)
        for head in range(4):
            wide[head, :, head] = values[head]
        o = attention.o_proj
        merged = o.base_layer.weight + 2.0 * o.lora_b.weight @ o.lora_a.weight
        of_values = (wide.flatten(-2) @ merged.T).norm(dim=-1)
        expected = trace.attention(1) * of_values[:, None]
    moved = trace.moved_norms(1)
    torch.testing.assert_close(moved, expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(moved, unadapted, rtol=1e-2)
