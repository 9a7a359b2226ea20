"""Which recorded call is which: its kind of attention, and its layer's number."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from glasshead_backend.asking import Kind
from glasshead_backend.capture.key_part import KeyPart
from glasshead_backend.capture.replay import Replay, ReplayedCall

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedModel

    from glasshead_backend.capture.call import AttentionCall
    from glasshead_backend.capture.softmax import CapturedCall

Lengths = dict[Kind, tuple[int, int]]
"""Queries and keys of every kind of attention that a model could have."""


def lengths_of(inputs: dict[str, Tensor]) -> Lengths:
    """Queries and keys of every kind of attention, for these inputs of the model's forward."""
    n_first = inputs["input_ids"].shape[1]
    if "decoder_input_ids" not in inputs:
        return {"self": (n_first, n_first)}
    n_target = inputs["decoder_input_ids"].shape[1]
    return {
        "encoder": (n_first, n_first),
        "decoder": (n_target, n_target),
        "cross": (n_target, n_first),
    }


def locate_calls(
    model: PreTrainedModel,
    calls: Sequence[CapturedCall | Replay],
    cross_modules: frozenset[int],
    lengths: Lengths,
) -> dict[Kind, dict[int, AttentionCall]]:
    """Say of every recorded call which kind of attention and which layer it is.

    Parameters
    ----------
    model : PreTrainedModel
    calls : sequence
        In the order in which the model made them.
    cross_modules : frozenset of int
        Identities of the modules that make cross-attention calls.
    lengths : dict
        As :func:`lengths_of` counts them. Calls of other lengths are left out: their rows or
        columns are not tokens (latents, pooled or chunked sequences).

    Returns
    -------
    dict
        ``{kind: {layer: call}}`` in the order in which the model ran, with the model's own layer
        numbers: the position in the ``ModuleList``, also where only some layers have attention.
    """
    encoder = encoder_modules(model, lengths)
    by_kind: dict[Kind, list[AttentionCall]] = {}
    for call in calls:
        kind = kind_of(id(call.module), encoder, cross_modules, lengths)
        for part_kind, part in _parts(call, kind, lengths):
            by_kind.setdefault(part_kind, []).append(part)
    return {
        kind: dict(zip(_layer_numbers(model, [c.module for c in of_kind]), of_kind, strict=True))
        for kind, of_kind in by_kind.items()
    }


def kind_of(module: int, encoder: frozenset[int], cross: frozenset[int], lengths: Lengths) -> Kind:
    """Kind of attention that a module computes, by where it stands."""
    if "self" in lengths:
        return "self"
    if module in encoder:
        return "encoder"
    return "cross" if module in cross else "decoder"


def encoder_modules(model: PreTrainedModel, lengths: Lengths) -> frozenset[int]:
    """Identities of an encoder-decoder model's encoder modules."""
    if "self" in lengths:
        return frozenset()
    encoder = model.get_encoder()
    # transformers answers with the model itself when it finds no encoder.
    return frozenset(map(id, encoder.modules())) if encoder is not model else frozenset()


def position_in_list(model: nn.Module, path: str) -> int | None:
    """Position in the outermost ``ModuleList`` on the way to a module."""
    module = model
    for name in path.split("."):
        if isinstance(module, nn.ModuleList):
            return int(name)
        module = module.get_submodule(name)
    return None


def layers_around(model: nn.Module, path: str) -> tuple[nn.Module, ...]:
    """Children of the outermost ``ModuleList`` on the way to a module; none if there is none."""
    module = model
    for name in path.split("."):
        if isinstance(module, nn.ModuleList):
            return tuple(module)
        module = module.get_submodule(name)
    return ()


def _note_positions(
    module: nn.Module, position: int | None, positions: dict[int, list[int]]
) -> None:
    """Note the position in the outermost ``ModuleList`` on every way to some modules."""
    # named_children() would leave out a module's second place.
    for name, child in vars(module)["_modules"].items():
        if child is None:
            continue
        counts = position is None and isinstance(module, nn.ModuleList)
        there = int(name) if counts else position
        if there is not None and id(child) in positions:
            positions[id(child)].append(there)
        _note_positions(child, there, positions)


def _parts(
    call: CapturedCall | Replay, kind: Kind, lengths: Lengths
) -> list[tuple[Kind, AttentionCall]]:
    """Return the call as the kinds of attention it computes, none if it is of other lengths."""
    if isinstance(call, Replay):
        n_queries, n_keys = lengths[kind]
        readable = ReplayedCall(
            call.module, call, 0, range(n_queries), range(n_keys), (n_queries, n_keys)
        )
        return [(kind, readable)]
    if (call.n_queries, call.n_keys) == lengths[kind]:
        return [(kind, call)]
    # One softmax over the decoder's own tokens and, behind them, the encoder's (T5Gemma-2).
    n_target, n_source = lengths.get("cross", (0, 0))
    if kind in ("decoder", "cross") and (call.n_queries, call.n_keys) == (
        n_target,
        n_target + n_source,
    ):
        queries = range(n_target)
        own, other = range(n_target), range(n_target, n_target + n_source)
        return [("decoder", KeyPart(call, queries, own)), ("cross", KeyPart(call, queries, other))]
    # Behind the tokens' own keys, entries that stand for whole blocks of tokens (DeepSeek-V4).
    n_queries, n_keys = lengths[kind]
    if call.n_queries == n_queries and _own_keys_first(call, n_keys):
        own = range(n_keys)
        return [(kind, KeyPart(call, range(n_queries), own, "summaries of blocks of tokens"))]
    return []


def _own_keys_first(call: CapturedCall, n_keys: int) -> bool:
    """Whether a causal call's first keys are the tokens: the first row sees the first key only."""
    if call.mask is None or call.n_keys <= n_keys:
        return False
    row = call.mask[..., 0, :n_keys]
    visible = row if row.dtype == torch.bool else row > torch.finfo(row.dtype).min / 2
    # In a sequence that begins with padding the first row sees nothing.
    return bool((visible[..., 0] & ~visible[..., 1:].any(dim=-1)).any())


def _layer_numbers(model: nn.Module, modules: list[nn.Module]) -> list[int]:
    """Layer number of every call of one kind, in the order in which the model ran."""
    positions: dict[int, list[int]] = {id(module): [] for module in modules}
    _note_positions(model, None, positions)
    n_calls = Counter(map(id, modules))
    turn: Counter[int] = Counter()
    numbers: list[int | None] = []
    for module in modules:
        there = positions.get(id(module), [])
        # A module that stands at several places of the list (Zamba) runs once at each.
        fits = len(there) == n_calls[id(module)]
        numbers.append(there[turn[id(module)]] if fits else None)
        turn[id(module)] += 1
    # Layers that share one module (ALBERT), or lists of lists of layers, count as they run.
    if None in numbers or len(set(numbers)) < len(numbers):
        return list(range(len(modules)))
    return [number for number in numbers if number is not None]
