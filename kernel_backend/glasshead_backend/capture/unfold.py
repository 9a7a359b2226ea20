"""Attention in bands and blocks, unfolded to tokens by tokens, without knowing how it is laid out.

Local attention (Longformer, LED, LongT5 ...) never computes a map of tokens by tokens; each
architecture cuts its rows into bands or blocks in its own way. But what any of them puts out is
linear in the values, ``output[i, c] = sum_j A[h(c), i, j] value[j, c]`` for every channel ``c`` of
head ``h(c)``. So the module is run once more with values of our choice: where channel ``c`` is 1 at
token ``j`` and 0 elsewhere, its output *is* column ``j`` of ``A``, to the last digit. The ``d``
channels of a head read ``d`` columns in one run.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from glasshead_backend.capture.tap import SoftmaxTap
from glasshead_backend.running.hooks import first_tensor, here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jaxtyping import Float

_TOLERANCE = 1e-4
_DIMS = 3
"""Values and what is made of them are ``[batch, tokens, channels]``, or tokens come first."""


@dataclass(frozen=True)
class LinearInValues:
    """An attention module that can be run once more on the inputs it had, with other values.

    Parameters
    ----------
    module : nn.Module
        The attention module.
    run : callable
        Runs it on these inputs.
    batch : int
        Sequences in these inputs.
    """

    module: nn.Module
    run: Callable[[], Any]
    batch: int

    def find_values(self, n_tokens: int) -> tuple[nn.Module, int] | None:
        """Find the value projection, by what doubling it does, and the number of heads.

        Parameters
        ----------
        n_tokens : int
            Fewest values that there should be: a module that pools tokens has no row for each.

        Returns
        -------
        (nn.Module, int) or None
            None when nothing inside is a value projection that all heads share alike.
        """
        for linear in _linears(self.module):
            shapes: list[torch.Size] = []

            def keep(output: Tensor, shapes: list[torch.Size] = shapes) -> Tensor:
                shapes.append(_batch_first(output, self.batch).shape)
                return output

            made = self._made_of(linear, keep, None)
            if made is None or not shapes or shapes[0] != made.shape or made.shape[1] < n_tokens:
                continue
            twice = self._made_of(linear, lambda output: 2 * output, made.shape)
            if twice is None or not _close(twice, 2 * made) or _close(twice, made):
                continue
            n_heads = self._n_heads(linear, made.shape)
            if n_heads is not None and self._distribution(linear, n_heads, made.shape):
                return linear, n_heads
        return None

    def weights(self, values: nn.Module, n_heads: int) -> Float[Tensor, "batch head query key"]:
        """Read all columns of the attention map.

        Parameters
        ----------
        values : nn.Module
            The value projection.
        n_heads : int

        Returns
        -------
        Tensor
            ``[batch, heads, tokens, tokens]``; the module's own padding is at the end.
        """
        shapes: list[torch.Size] = []

        def keep(output: Tensor) -> Tensor:
            shapes.append(_batch_first(output, self.batch).shape)
            return output

        self._made_of(values, keep, None)
        return self._read(values, n_heads, shapes[0])

    def _read(
        self, values: nn.Module, n_heads: int, shape: torch.Size
    ) -> Float[Tensor, "batch head query key"]:
        _, n_tokens, n_channels = shape
        per_head = n_channels // n_heads
        columns: list[Tensor] = []
        for start in range(0, n_tokens, per_head):
            chosen = torch.zeros(n_tokens, per_head)
            chosen[start : start + per_head] = torch.eye(per_head)[: n_tokens - start]
            made = self._with_values(values, chosen.repeat(1, n_heads).expand(shape), shape)
            columns.append(made.unflatten(2, (n_heads, per_head)).permute(0, 2, 1, 3))
        return torch.cat(columns, dim=-1)[..., :n_tokens]

    def _n_heads(self, values: nn.Module, shape: torch.Size) -> int | None:
        """Channels of one head make the same of the same values; count where that changes."""
        at_token = torch.rand(shape[1], 1, generator=torch.Generator().manual_seed(0))
        made = self._with_values(values, at_token.expand(shape), shape)
        step = (made[..., 1:] - made[..., :-1]).abs().amax(dim=(0, 1)) > _TOLERANCE
        n_heads = int(step.sum()) + 1
        per_head = shape[2] // n_heads
        expected = torch.arange(1, shape[2], device=step.device) % per_head == 0
        return n_heads if shape[2] % n_heads == 0 and torch.equal(step, expected) else None

    def _distribution(self, values: nn.Module, n_heads: int, shape: torch.Size) -> bool:
        """Whether rows are shares of at most 1 (approximations of attention need not be)."""
        weights = self._read(values, n_heads, shape)
        sums = weights.sum(dim=-1)
        return bool((weights >= -_TOLERANCE).all() and (sums <= 1 + _TOLERANCE).all())

    def _with_values(
        self, values: nn.Module, chosen: Float[Tensor, "batch token channel"], shape: torch.Size
    ) -> Float[Tensor, "batch token channel"]:
        """Run with chosen values of the tokens, and zero for whatever else is projected."""

        def put(output: Tensor) -> Tensor:
            given = _batch_first(output, self.batch)
            put_in = chosen.to(output) if given.shape == shape else torch.zeros_like(given)
            return put_in if given is output else put_in.transpose(0, 1)

        made = self._made_of(values, put, shape)
        assert made is not None
        return made

    def _made_of(
        self, values: nn.Module, change: Callable[[Tensor], Tensor], shape: torch.Size | None
    ) -> Float[Tensor, "batch token channel"] | None:
        """Run with changed values; what the softmax makes of them, before it is projected.

        That is what the first linear layer after the last softmax reads (the first of the tokens'
        length, where summaries are projected too); without such a layer, the module's output.
        """
        after: list[Tensor] = []

        def note(_: nn.Module, args: tuple[Any, ...]) -> None:
            taken_in = first_tensor(args)
            if taken_in is not None and taken_in.dim() == _DIMS:
                after.append(_batch_first(taken_in, self.batch))

        def swap(_: nn.Module, __: object, output: Tensor) -> Tensor:
            return change(output)

        def forget(*_: object) -> None:
            after.clear()

        with ExitStack() as stack:
            for linear in _linears(self.module):
                stack.callback(linear.register_forward_pre_hook(here(note)).remove)
            stack.callback(values.register_forward_hook(here(swap)).remove)
            stack.enter_context(SoftmaxTap(forget, forget))
            output = first_tensor(self.run())
        if output is None or output.dim() != _DIMS:
            return None
        output = _batch_first(output, self.batch)
        n_tokens = output.shape[1] if shape is None else shape[1]
        return next((made for made in after if made.shape[1] == n_tokens), output)


def _linears(module: nn.Module) -> Iterator[nn.Module]:
    """The leaves of a module that multiply with a weight matrix."""
    for child in module.modules():
        weight = getattr(child, "weight", None)
        leaf = next(child.children(), None) is None
        matrix = isinstance(weight, Tensor) and weight.dim() == _DIMS - 1
        if leaf and matrix and not isinstance(child, nn.Embedding):
            yield child


def _batch_first(tensor: Tensor, batch: int) -> Float[Tensor, "batch token channel"]:
    swapped = tensor.shape[0] != batch and tensor.shape[1] == batch
    return tensor.transpose(0, 1) if swapped else tensor


def _close(one: Tensor, other: Tensor) -> bool:
    scale = float(other.abs().max().clamp_min(1e-12))
    return float((one - other).abs().max()) <= _TOLERANCE * scale
