"""Norms with their scale held at what it was: as linear maps, which take a sum part by part.

``norm(x) = scale(x) gain (x - mean(x)) + bias``, without the mean for root-mean-square norms. Known
by what they do, not by their names.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from glasshead_backend.running.hooks import here, hidden_states
from glasshead_backend.running.modules import modules_of

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from jaxtyping import Float
    from torch import Tensor, nn

_TOLERANCE, _HALF_TOLERANCE = 1e-4, 3e-2
"""Largest relative difference between a norm and what it is with its scale held."""
_FULL = torch.float32.itemsize
_TINY = torch.finfo(torch.float32).tiny


@dataclass(frozen=True, eq=False)
class HeldNorm:
    """A norm as the affine map that it was for what it was given.

    Attributes
    ----------
    scale : Tensor
        ``[..., 1]``: what it multiplied each vector with, besides the gain; the gain's own size is
        arbitrary.
    gain, bias : Tensor
        ``[hidden]``.
    centred : bool
        Whether the mean of each vector is taken off first.
    """

    scale: Float[Tensor, "*rows 1"]
    gain: Float[Tensor, " hidden"]
    bias: Float[Tensor, " hidden"]
    centred: bool

    def __call__(self, vectors: Float[Tensor, "*rows hidden"]) -> Float[Tensor, "*rows hidden"]:
        """Return what it makes of other vectors in the same places, in float32 or better."""
        vectors = vectors.to(self.scale)
        if self.centred:
            vectors = vectors - vectors.mean(dim=-1, keepdim=True)
        return vectors * self.gain * self.scale + self.bias


@torch.no_grad()
def held_norm(norm: nn.Module, taken_in: Tensor, put_out: Tensor) -> HeldNorm | None:
    """Return a norm as it was for one input; None for a module that does something else."""
    # What it is given may come from another device than its own.
    taken_in = taken_in.to(put_out.device)
    one = taken_in.new_zeros(*(1,) * (taken_in.dim() - 1), taken_in.shape[-1])
    # Past the hooks: what watches the model is not meant.
    bias = norm.forward(one).float() if put_out.dtype.itemsize < _FULL else norm.forward(one)
    level = _level(one)
    gain = (norm.forward(level).to(bias.dtype) - bias) / level.to(bias.dtype)
    gain, bias = gain.reshape(-1), bias.reshape(-1)
    vectors, out = taken_in.to(bias.dtype), put_out.to(bias.dtype) - bias
    tolerance = _TOLERANCE if put_out.dtype.itemsize >= _FULL else _HALF_TOLERANCE
    for centred in (False, True):
        if centred:
            vectors = vectors - vectors.mean(dim=-1, keepdim=True)
        weighted = gain * vectors
        squares = (weighted * weighted).sum(-1, keepdim=True)
        scale = (weighted * out).sum(-1, keepdim=True) / squares.clamp_min(_TINY)
        if bool((scale * weighted - out).abs().amax() <= tolerance * out.abs().amax()):
            return HeldNorm(scale, gain, bias, centred)
    return None


def _level(like: Tensor) -> Tensor:
    """A vector of mean zero in which no number is zero, exactly so in every precision."""
    size = like.shape[-1]
    level = torch.ones_like(like)
    level[..., 1::2] = -1
    if size % 2:
        level[..., -2:] = torch.tensor([1.0, -2.0]).to(like)
    return level


@contextmanager
def norms_held(model: nn.Module) -> Generator[dict[tuple[nn.Module, int], HeldNorm], None, None]:
    """Find the norms of a model, each run of them, while it runs in this context."""
    found: dict[tuple[nn.Module, int], HeldNorm] = {}
    runs: Counter[nn.Module] = Counter()

    def see(module: nn.Module, args: tuple[Any, ...], kwargs: Any, output: object) -> None:
        run = runs[module]
        runs[module] += 1
        taken_in = hidden_states(args, kwargs)
        if not isinstance(output, torch.Tensor) or taken_in is None or len(args) + len(kwargs) > 1:
            return
        # What does nothing (dropout) is linear as it is.
        does_nothing = output.data_ptr() == taken_in.data_ptr()
        if does_nothing or taken_in.shape != output.shape or not output.is_floating_point():
            return
        held = held_norm(module, taken_in, output)
        if held is not None:
            found[module, run] = held

    own = here(see)
    with ExitStack() as stack:
        for module in filter(_may_be_norm, modules_of(model)):
            handle = module.register_forward_hook(own, with_kwargs=True)
            stack.callback(handle.remove)
        yield found


def _may_be_norm(module: nn.Module) -> bool:
    """Whether a module has nothing in it but vectors."""
    alone = next(module.children(), None) is None
    return alone and all(one.dim() <= 1 for one in module.parameters())


@contextmanager
def holding(norms: Mapping[tuple[nn.Module, int], HeldNorm]) -> Generator[None, None, None]:
    """Hold norms as they were found, while the model runs once in this context."""
    runs: Counter[nn.Module] = Counter()

    def hold(module: nn.Module, args: tuple[Any, ...], kwargs: Any, output: Tensor) -> Any:
        run = runs[module]
        runs[module] += 1
        held, taken_in = norms.get((module, run)), hidden_states(args, kwargs)
        if held is None or taken_in is None:
            return None
        return held(taken_in).to(output.dtype)

    own = here(hold)
    with ExitStack() as stack:
        for module in {module for module, _ in norms}:
            handle = module.register_forward_hook(own, with_kwargs=True)
            stack.callback(handle.remove)
        yield
