"""What is added to the residual stream in one layer, traced back to the modules that put it out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from glasshead_backend.anatomy.contributions import Part
from glasshead_backend.anatomy.dataflow import memory_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from glasshead_backend.anatomy.dataflow import Node

_TOLERANCE, _HALF_TOLERANCE = 1e-4, 3e-2
"""Largest relative difference between what is added and what modules have put out."""
_STEPS = 1000
"""Most operations on the stream in one layer."""


class UnclearError(Exception):
    """Why it is not known what a layer's blocks add."""


@dataclass(frozen=True, eq=False)
class Addition:
    """One sum in the stream.

    Attributes
    ----------
    node : Node
        What is added, before the factor.
    factor : float
    values : Tensor
        What is added, after the factor.
    section : int
        How many norms of the stream lie between it and the layer's output.
    """

    node: Node
    factor: float
    values: Tensor
    section: int


@dataclass(frozen=True, eq=False)
class Summand:
    """A part of an addition that one module puts out, with constants that are added to it."""

    node: Node
    parts: tuple[Part, ...]
    section: int


def additions(put_out: Node | None, given: Node | None) -> list[Addition]:
    """Follow the stream from a layer's output back to its input; return what is added, in order.

    Raises
    ------
    UnclearError
        When the output does not come from the input in this way.
    """
    found: list[Addition] = []
    section = 0
    node = put_out
    for _ in range(_STEPS):
        if node is None or not node.in_stream:
            break
        if node is given:
            return found[::-1]
        inside = [(factor, term) for factor, term in node.terms if term.in_stream]
        outside = [(factor, term) for factor, term in node.terms if not term.in_stream]
        if len(inside) > 1:
            raise UnclearError("it adds up several versions of what it is given")
        if inside:
            ((factor, added),) = outside or ((0.0, None),)
            if added is not None and added.constant is not None and added.size < node.size:
                section += 1  # the shift of a norm
            elif added is not None and node.added is not None:
                found.append(Addition(added, float(factor), node.added, section))
            elif added is not None:
                raise UnclearError("what it adds could not be observed")
            node = inside[0][1]
            continue
        # A norm, or some other operation on the stream alone.
        whole = [one for one in dict.fromkeys(node.sources) if one.in_stream]
        whole = [one for one in whole if one.size == node.size]
        if len(whole) != 1:
            raise UnclearError("it mixes several versions of what it is given")
        section += 1
        node = whole[0]
    raise UnclearError("its output is not its input with something added to it")


def summands_of(addition: Addition, parameters: Mapping[int, Tensor]) -> list[Summand]:
    """Trace an addition back to modules, and make sure that their outputs are what was added.

    Parameters
    ----------
    addition : Addition
    parameters : mapping
        The layer's parameters and buffers by their memory.

    Raises
    ------
    UnclearError
        When no modules are found that put it out.
    """
    found = _parts_of(addition.node, (), 1.0, parameters)
    total = sum((_value(node, part) for node, part in found), start=torch.zeros(()))
    added = addition.values.reshape(-1, addition.values.shape[-1]).float()
    half = addition.values.dtype.itemsize < torch.float32.itemsize
    tolerance = _HALF_TOLERANCE if half else _TOLERANCE
    scale = added.abs().amax().clamp_min(torch.finfo(torch.float32).tiny)
    if not bool((total.to(added.device) - added).abs().amax() <= tolerance * scale):
        raise UnclearError("what its modules put out is not what is added in the end")
    scaled = [(node, replace(p, factor=p.factor * addition.factor)) for node, p in found]
    constants = tuple(part for _, part in scaled if part.module is None)
    put_out = [(node, part) for node, part in scaled if part.module is not None]
    if constants and len(put_out) != 1:
        raise UnclearError("a constant is added to it that belongs to no block")
    return [Summand(node, (part, *constants), addition.section) for node, part in put_out]


def _parts_of(
    node: Node, factors: tuple[Tensor, ...], factor: float, parameters: Mapping[int, Tensor]
) -> list[tuple[Node, Part]]:
    """Modules and constants that a node is the sum of, each with its node."""
    if node.modules and not node.mixed:
        module, run = node.modules[0]
        return [(node, Part(module, run, factor, factors))]
    if node.constant is not None:
        constant = _parameter(node.constant, parameters)
        return [(node, Part(None, 0, factor, (constant, *factors)))]
    if not node.terms:
        raise UnclearError("no module puts out just what is added")
    found: list[tuple[Node, Part]] = []
    for more, term in node.terms:
        tensors = (_parameter(more, parameters), *factors) if isinstance(more, Tensor) else factors
        number = 1.0 if isinstance(more, Tensor) else more
        found += _parts_of(term, tensors, factor * number, parameters)
    return found


def _parameter(tensor: Tensor, parameters: Mapping[int, Tensor]) -> Tensor:
    """The parameter that a tensor is; others would not be the same the next time."""
    own = parameters.get(memory_of(tensor))
    if own is None or (own.dim() > 1 and own.numel() > 1) or own.numel() > tensor.shape[-1]:
        raise UnclearError("what a module puts out is changed by numbers that are made on the way")
    return own


def _value(node: Node, part: Part) -> Tensor:
    if part.module is None:
        return part.scaled(None).detach().float()
    if node.value is None:
        raise UnclearError("what a module puts out could not be observed")
    return part.scaled(node.value.reshape(-1, node.value.shape[-1])).detach().float()
