"""Layers that are built like one that was watched: what holds of it is checked of them by numbers.

Watching a layer operation by operation costs more than running it, and most layers of a model are
built alike. Of those only the outputs of their modules are kept; if the same modules' outputs,
scaled in the same way, sum to what such a layer adds, they are what its blocks add.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import torch

from glasshead_backend.anatomy.contributions import Part, Writer
from glasshead_backend.anatomy.summands import UnclearError, additions

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from torch import Tensor, nn

    from glasshead_backend.anatomy.layer_runs import LayerRun

_PLAIN = (bool, int, float, str)
_NUMBERING = re.compile(r"_.*|training|(layer|block)_?(idx|id|index|number|num)?", re.IGNORECASE)
"""Attributes that say nothing about how a module computes."""
_TOLERANCE, _HALF_TOLERANCE = 1e-4, 3e-2


class NotAlikeError(Exception):
    """A layer does something else than the one it is built like."""


def build_of(layer: nn.Module) -> Hashable:
    """Return what layers that are built alike have in common: modules, settings, sizes."""
    return tuple(
        (
            path,
            type(module),
            tuple(
                (name, value)
                for name, value in sorted(vars(module).items())
                if isinstance(value, _PLAIN) and not _NUMBERING.fullmatch(name)
            ),
            tuple((name, one.shape) for name, one in module.named_parameters(recurse=False)),
        )
        for path, module in layer.named_modules()
    )


def only_adds(run: LayerRun) -> bool:
    """Whether the output of a watched layer is its input with something added to it, no norm."""
    try:
        return all(step.section == 0 for step in additions(run.put_out, run.given))
    except UnclearError:
        return False


def writers_like(
    known: Sequence[Writer], run: LayerRun, like: LayerRun, number: int
) -> list[Writer]:
    """Return what the blocks of a layer add, by what those of a layer that is built alike add.

    Parameters
    ----------
    known : sequence of Writer
        Of the layer that was watched.
    run, like : LayerRun
        Of this layer, and of the one that was watched.
    number : int
        This layer's.

    Raises
    ------
    NotAlikeError
        When it adds something else.
    """
    paths = {id(module): path for path, module in like.module.named_modules()}
    tensors = {
        id(one): path
        for path, one in (*like.module.named_parameters(), *like.module.named_buffers())
    }
    modules = dict(run.module.named_modules())
    owned = {**dict(run.module.named_parameters()), **dict(run.module.named_buffers())}

    def own(part: Part) -> Part:
        try:
            factors = tuple(owned[tensors[id(factor)]] for factor in part.factors)
            module = None if part.module is None else modules[paths[id(part.module)]]
        except KeyError:
            raise NotAlikeError from None
        if part.run or (module is not None and id(module) not in run.outputs):
            raise NotAlikeError
        return Part(module, 0, part.factor, factors)

    writers = [
        Writer(run.stack, number, one.block, tuple(map(own, one.parts)), one.rows) for one in known
    ]
    _require_sum(run, [part for writer in writers for part in writer.parts])
    return writers


def _require_sum(run: LayerRun, parts: Sequence[Part]) -> None:
    """Make sure that a layer's output is its input and what its blocks add."""
    taken_in, put_out = run.taken_in, run.left
    if taken_in is None or put_out is None or taken_in.shape != put_out.shape:
        raise NotAlikeError
    shape = (-1, put_out.shape[-1])
    total = torch.zeros((), device=put_out.device)
    for part in parts:
        rows = None if part.module is None else run.outputs[id(part.module)].reshape(shape).float()
        total = total + part.scaled(rows).to(put_out.device).float()
    # What a layer is given may come from another device than its own.
    before = taken_in.to(put_out.device).reshape(shape).float()
    after = put_out.reshape(shape).float()
    added = after - before
    half = put_out.dtype.itemsize < torch.float32.itemsize
    # A sum is rounded where the stream is, which may be far larger than what is added.
    rounding = 4 * torch.finfo(put_out.dtype).eps * torch.maximum(before.abs(), after.abs())
    tolerance = (_HALF_TOLERANCE if half else _TOLERANCE) * added.abs().amax() + rounding
    if not bool(((total - added).abs() <= tolerance).all()):
        raise NotAlikeError


def copy_of(tensor: Tensor) -> Tensor:
    """Return what a tensor is now: the model may write into it."""
    return tensor.detach().clone()
