"""What a head moves from a token, not only how much it looks: ``|| a v W_O ||``.

A head adds to the residual stream of a query the sum over keys of ``a[q, k] f(k)``, with
``f(k) = v[k] W_O``. A large weight on a key whose ``f`` is small moves little (Kobayashi et al.
2020, "Attention is Not Only a Weight"). Needed for that are the values and the output projection of
every layer: found in one more forward pass, the projection by what it is given (the very output of
the attention function), without names.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from glasshead_backend.as_found import for_a_trace
from glasshead_backend.capture import record
from glasshead_backend.captured import CapturedCall
from glasshead_backend.hooks import first_tensor, here, version_of
from glasshead_backend.layers import lengths_of, locate_calls
from glasshead_backend.residual import is_linear
from glasshead_backend.running import forward

if TYPE_CHECKING:
    from jaxtyping import Float

    from glasshead_backend.capture import Recording
    from glasshead_backend.layers import Kind
    from glasshead_backend.structure import Structure

_BLOCK_VALUES = 1 << 24
"""Most float32 numbers at once while values are projected (64 MB)."""


@dataclass(frozen=True, eq=False)
class Values:
    """The values of one layer, and the module that projects what heads have gathered of them.

    Attributes
    ----------
    value : Tensor
        ``[value_heads, keys, head_dim]``; heads may share them.
    projection : nn.Module
        The output projection: any affine map of ``[..., heads * head_dim]``.
    n_heads : int
        Query heads.
    """

    value: Float[Tensor, "value_head key head_dim"]
    projection: nn.Module
    n_heads: int

    @torch.no_grad()
    def gram(self) -> Float[Tensor, "key head head"]:
        """Scalar products of what the heads would move from each key: ``f_h(k) . f_g(k)``."""
        n_keys, size = self.value.shape[1:]
        per_value = self.n_heads // self.value.shape[0]
        grams: list[Tensor] = []
        block = max(1, _BLOCK_VALUES // (self.n_heads * self.n_heads * size))
        for start in range(0, n_keys, block):
            some = self.value[:, start : start + block].repeat_interleave(per_value, dim=0)
            # Every head's values at its own place of the projection's input, zeros elsewhere.
            alone = some.new_zeros(some.shape[1], self.n_heads, self.n_heads, size)
            own = torch.arange(self.n_heads, device=some.device)
            alone[:, own, own] = some.transpose(0, 1)
            flat = alone.flatten(2)
            shift = self.projection(torch.zeros_like(flat[:1, :1]))
            moved = (self.projection(flat) - shift).float()
            with torch.autocast(flat.device.type, enabled=False):
                grams.append(moved @ moved.transpose(-1, -2))
        return torch.cat(grams)


def find_values(
    model: Any, structure: Structure, inputs: dict[str, Tensor]
) -> dict[Kind, dict[int, Values | str]]:
    """Run the model once more and keep the values of every attention call.

    Parameters
    ----------
    model : PreTrainedModel
    structure : Structure
    inputs : dict
        Keyword arguments of the model's forward, over one sequence.

    Returns
    -------
    dict
        ``{kind: {layer: values}}``; words that say why, where a layer's cannot be known.
    """
    projections: dict[int, nn.Module] = {}
    with for_a_trace(model), ExitStack() as stack:
        recording = stack.enter_context(record(structure.readers, model, keep_values=True))

        def look(module: nn.Module, args: tuple[Any, ...]) -> None:
            _note_projection(recording, projections, module, first_tensor(args))

        for layers in structure.stacks.values():
            for layer in layers:
                for module in layer.modules():
                    if is_linear(module):
                        stack.callback(module.register_forward_pre_hook(here(look)).remove)
        forward(model, inputs)
    located = locate_calls(model, recording.calls, structure.cross_modules, lengths_of(inputs))
    return {
        kind: {layer: _values_of(call, projections) for layer, call in by_layer.items()}
        for kind, by_layer in located.items()
    }


def _note_projection(
    recording: Recording,
    projections: dict[int, nn.Module],
    module: nn.Module,
    given: Tensor | None,
) -> None:
    """Note a linear module that is given just what the last attention call has put out."""
    output = recording.output
    if given is None or output is None:
        return
    # The output is held, so that nothing else can lie at its place; and nobody wrote into it.
    same_place = given.untyped_storage().data_ptr() == output.untyped_storage().data_ptr()
    untouched = version_of(given) == recording.version
    if same_place and untouched and given.numel() == output.numel():
        projections[id(recording.calls[-1])] = module
        recording.output = None


def _values_of(call: object, projections: dict[int, nn.Module]) -> Values | str:
    name = type(getattr(call, "module", call)).__name__
    if not isinstance(call, CapturedCall) or call.value is None:
        return (
            f"{name} computes attention by itself, over more than these tokens, or scales what it "
            "gathers: what its heads move is not known. Ask for the weights: trace.attention()."
        )
    projection = projections.get(id(call))
    if projection is None:
        return (
            f"{name} gates or normalises what its heads have gathered before projecting it, so a "
            "head's share cannot be told. Ask for the weights themselves: trace.attention()."
        )
    return Values(call.value[0], projection, call.n_heads)
