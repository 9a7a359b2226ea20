"""Where the layers and attention blocks are, in any architecture, found without names.

A short probe forward shows everything needed: which modules ask for an attention function, which
take a softmax over keys by themselves, and which ``ModuleList`` they sit in (its positions are the
layer numbers). Names decide only one thing, as a second opinion: what is cross attention.
"""

from __future__ import annotations

import re
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from glasshead_backend.anatomy.first_token import first_token
from glasshead_backend.anatomy.locate import (
    Lengths,
    encoder_modules,
    kind_of,
    layers_around,
    lengths_of,
    locate_calls,
    position_in_list,
)
from glasshead_backend.anatomy.structure import Structure, UnsupportedModelError
from glasshead_backend.anatomy.watch import Watch
from glasshead_backend.anatomy.writers import find_contributions
from glasshead_backend.capture.recording import first_look, record
from glasshead_backend.capture.replay import Reader, Replay
from glasshead_backend.capture.softmax import CapturedCall
from glasshead_backend.capture.tap import FusedAttention, SoftmaxTap, layout_of
from glasshead_backend.capture.unfold import LinearInValues
from glasshead_backend.running.body import Outcome, outcome_of, shortened, unembedding_of
from glasshead_backend.running.forward import forward
from glasshead_backend.running.hooks import here
from glasshead_backend.running.modules import modules_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from glasshead_backend.asking import Kind, Stack
    from glasshead_backend.capture.call import AttentionCall
    from glasshead_backend.capture.tap import Layout

_CROSS_PATH = re.compile(r"cross|encoder_attn|encdec|enc_dec", re.IGNORECASE)
_MOST_STREAMS = 5
"""ProphetNet attends with the tokens' own queries and those of a few predictions further ahead."""

_BANDED_DIMS = 4
"""Softmaxes of fewer axes are gates and routers."""

_FEWEST_POSITIONS = 3
"""Shorter rows of consecutive ids may be chance."""

_NEVER_ATTEND = frozenset({nn.Linear, nn.LayerNorm, nn.Embedding, nn.Dropout})
"""Modules that take no softmax and are given no other side: nobody need watch them."""

_CROSS_ARGUMENTS = ("key_value_states", "encoder_hidden_states")


@dataclass(frozen=True)
class Probed:
    """What a probe shows.

    Attributes
    ----------
    structure : Structure
    calls : dict
        The recorded calls of the probe, by kind and layer.
    windows : dict
        By the length of a sequence, fewest tokens of the tables that its positions were looked up
        in; source and target have different lengths.
    selects : bool
        Whether the best tokens are selected from all, or rows are made of several tokens: in a
        padded text other ones.
    recorded, unrecorded : Outcome
        What came out while attention was recorded, and while it was not. Of the second the model's
        unembedding may have had the last position only.
    """

    structure: Structure
    calls: dict[Kind, dict[int, AttentionCall]]
    windows: dict[int, int]
    selects: bool
    recorded: Outcome
    unrecorded: Outcome


def probe(model: PreTrainedModel, inputs: dict[str, Tensor]) -> Probed:
    """Find the structure of a model by two forwards over a few tokens.

    In one attention is recorded, and every softmax and table of positions is seen; the other, in
    which nothing is recorded, shows what the blocks add to the residual stream. Modules that
    compute attention by themselves cost a few forwards more.

    Parameters
    ----------
    model : PreTrainedModel
        In evaluation mode.
    inputs : dict
        A batch of one short sequence, as keyword arguments of the model's forward. Source and
        target should differ in length.

    Raises
    ------
    UnsupportedModelError
        When no attention at all can be read.
    """
    lengths = lengths_of(inputs)
    seen, calls, recorded = _first_run(model, inputs, lengths)
    cross = frozenset(
        id(module)
        for module in [*(call.module for call in calls), *seen.tapped]
        if id(module) in seen.given_other_side or _CROSS_PATH.search(seen.paths[id(module)])
    )
    readers = _readers(model, inputs, seen, calls, cross)
    readers += _unfolding_readers(model, inputs, seen, calls, readers)
    made: list[CapturedCall | Replay] = [*calls]
    if readers:
        short = shortened(model) if recorded.is_short else nullcontext()
        with record(readers, model) as recording, outcome_of(model) as recorded, short:
            forward(model, inputs)
        made = recording.calls
        readers = tuple(
            replace(reader, changes_inputs=any(_changed(c, reader) for c in made))
            for reader in readers
        )
    located = locate_calls(model, made, cross, lengths)
    unreadable = _unreadable(model, seen, located, cross)
    if not located:
        raise UnsupportedModelError(
            " ".join(unreadable.values())
            or f"{type(model).__name__} takes no softmax over tokens anywhere: it has no attention "
            "weights to look at (it mixes tokens by states, hashes or Fourier sums). Choose a "
            "model with softmax attention."
        )
    stacks = _stacks(model, located)
    watch = Watch(stacks, located)
    short = shortened(model) if recorded.is_short else nullcontext()
    with outcome_of(model) as unrecorded, short:
        watch.watch(model, inputs)
    layers: dict[Kind, tuple[int, ...]] = {k: tuple(by_layer) for k, by_layer in located.items()}
    kept = sum(call.nbytes for call in made if isinstance(call, CapturedCall))
    structure = Structure(
        stacks=stacks,
        cross_modules=cross,
        readers=readers,
        unreadable=unreadable,
        contributions=find_contributions(model, inputs, stacks, located, watch),
        layers=layers,
        token_bytes=kept // inputs["input_ids"].shape[1],
    )
    selects = seen.selects or seen.pools(calls)
    return Probed(structure, located, seen.windows, selects, recorded, unrecorded)


def _first_run(
    model: PreTrainedModel, inputs: dict[str, Tensor], lengths: Lengths
) -> tuple[_Probe, list[CapturedCall], Outcome]:
    """Run the model under observation, its unembedding at one position if it takes that."""
    if unembedding_of(model) is not None:
        seen = _Probe(model, lengths)
        # There are as many kinds of errors as heads that read all positions or none.
        with suppress(Exception), outcome_of(model) as recorded, shortened(model):
            calls = seen.run(inputs)
            if recorded.is_short:
                return seen, calls, recorded
    seen = _Probe(model, lengths)
    with outcome_of(model) as recorded:
        return seen, seen.run(inputs), recorded


class _Probe:
    """What one forward pass shows: who takes a softmax, who is given the other side's states."""

    def __init__(self, model: PreTrainedModel, lengths: Lengths) -> None:
        self.model = model
        self.lengths = lengths
        self.paths = {id(module): path for path, module in model.named_modules()}
        self.given_other_side: set[int] = set()
        # Per module the shapes of its softmaxes, or the shape of the query and key it fuses.
        self.tapped: dict[nn.Module, list[tuple[int, ...]]] = {}
        self.fused: dict[nn.Module, FusedAttention] = {}
        self._entered: list[nn.Module] = []
        self.windows: dict[int, int] = {}
        self.selects = False

    def run(self, inputs: dict[str, Tensor]) -> list[CapturedCall]:
        """Run the model under observation; return the calls made through the interface."""
        enter, leave = here(self._enter), here(self._leave)
        with ExitStack() as stack:
            for module in modules_of(self.model):
                if type(module) in _NEVER_ATTEND:
                    continue
                handle = module.register_forward_pre_hook(enter, with_kwargs=True)
                stack.callback(handle.remove)
                stack.callback(module.register_forward_hook(leave).remove)
            seen = (self._on_softmax, self._on_fused, self._on_lookup, self._on_selection)
            tap = SoftmaxTap(*seen)
            recording = stack.enter_context(first_look(self.model, tap.aside))
            stack.enter_context(tap)
            forward(self.model, inputs)
        return [call for call in recording.calls if isinstance(call, CapturedCall)]

    def _enter(self, module: nn.Module, _: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if any(isinstance(kwargs.get(name), Tensor) for name in _CROSS_ARGUMENTS):
            self.given_other_side.add(id(module))
        self._entered.append(module)

    def _leave(self, _: nn.Module, __: object, ___: object) -> None:
        self._entered.pop()

    def _innermost(self) -> nn.Module:
        module = self._entered[-1]
        return self._entered[-2] if isinstance(module, nn.Softmax) else module

    def _on_softmax(self, _: Tensor, weights: Tensor) -> None:
        self.tapped.setdefault(self._innermost(), []).append(tuple(weights.shape))

    def pools(self, calls: list[CapturedCall]) -> bool:
        """Whether fewer queries than there are tokens look at all keys anywhere (Funnel)."""
        captured = {id(call.module) for call in calls}
        lengths = {n for pair in self.lengths.values() for n in pair}
        return any(
            shape[-1] in lengths and shape[-2] < min(lengths) and lengths.isdisjoint(shape[:-1])
            for module, shapes in self.tapped.items()
            for shape in shapes
            if id(module) not in captured and len(shape) == _BANDED_DIMS
        )

    def _on_lookup(self, ids: Tensor, table: Tensor) -> None:
        """Note how many tokens a table of positions has places for."""
        n_tokens = ids.shape[-1] if ids.dim() else 0
        if n_tokens < _FEWEST_POSITIONS or (n_tokens, n_tokens) not in self.lengths.values():
            return
        rows = ids.reshape(-1, n_tokens)
        first = int(rows[0, 0])
        if torch.equal(rows, torch.arange(first, first + n_tokens, device=ids.device)[None]):
            fits = table.shape[0] - first
            self.windows[n_tokens] = min(fits, self.windows.get(n_tokens, fits))

    def _on_selection(self, n_candidates: int) -> None:
        self.selects |= any(n_candidates in lengths for lengths in self.lengths.values())

    def _on_fused(self, call: FusedAttention) -> None:
        module = self._innermost()
        shape = (*call.query.shape[:3], call.key.shape[2])
        self.tapped.setdefault(module, []).append(shape)
        self.fused[module] = call


def _readers(
    model: PreTrainedModel,
    inputs: dict[str, Tensor],
    seen: _Probe,
    calls: list[CapturedCall],
    cross: frozenset[int],
) -> tuple[Reader, ...]:
    """Find the modules whose own softmax is a map of tokens by tokens."""
    captured = {id(call.module) for call in calls}
    encoder = encoder_modules(model, seen.lengths)
    batch = inputs["input_ids"].shape[0]
    readers: list[Reader] = []
    for module, shapes in seen.tapped.items():
        kind = kind_of(id(module), encoder, cross, seen.lengths)
        if id(module) in captured or position_in_list(model, seen.paths[id(module)]) is None:
            continue
        found = _map_of(shapes, batch, seen.lengths[kind])
        if found is not None:
            layout, n_heads, n_streams = found
            fused = module in seen.fused
            readers.append(Reader(module, None if fused else layout, n_heads, n_streams))
    return tuple(readers)


def _map_of(
    shapes: list[tuple[int, ...]], batch: int, lengths: tuple[int, int]
) -> tuple[Layout, int, int] | None:
    """Layout, number of heads and of query streams of the first softmax that is a map of tokens."""
    n_queries, n_keys = lengths
    for n_streams in range(1, _MOST_STREAMS + 1):
        for shape in shapes:
            found = layout_of(shape, batch, n_streams * n_queries, n_keys)
            if found is not None:
                return *found, n_streams
    return None


def _unfolding_readers(
    model: PreTrainedModel,
    inputs: dict[str, Tensor],
    seen: _Probe,
    calls: list[CapturedCall],
    readers: tuple[Reader, ...],
) -> tuple[Reader, ...]:
    """Find the modules whose softmax is no map, but that are linear in the tokens' values."""
    known = {id(c.module) for c in calls} | {id(reader.module) for reader in readers}
    candidates = [
        Reader(module, None, 0)
        for module, shapes in seen.tapped.items()
        if id(module) not in known
        and any(len(shape) >= _BANDED_DIMS for shape in shapes)
        and position_in_list(model, seen.paths[id(module)]) is not None
    ]
    if not candidates:
        return ()
    with record(candidates, model) as recording:
        forward(model, inputs)
    least = inputs["input_ids"].shape[1]
    found: dict[int, Reader] = {}
    for call in recording.calls:
        if not isinstance(call, Replay) or id(call.module) in found:
            continue
        values = LinearInValues(call.module, call.again, call.shared.batch).find_values(least)
        if values is None:
            continue
        layers = layers_around(model, seen.paths[id(call.module)])
        first = first_token(model, inputs, call.module, layers)
        if first is not None:
            found[id(call.module)] = Reader(
                call.module, None, values[1], values=values[0], first_token=first
            )
    return tuple(found.values())


def _changed(call: CapturedCall | Replay, reader: Reader) -> bool:
    return isinstance(call, Replay) and call.module is reader.module and call.changed


def _unreadable(
    model: PreTrainedModel,
    seen: _Probe,
    located: dict[Kind, dict[int, AttentionCall]],
    cross: frozenset[int],
) -> dict[Kind, str]:
    """Say why attention that the model has cannot be read, by kind."""
    encoder = encoder_modules(model, seen.lengths)
    reasons: dict[Kind, str] = {}
    for module, shapes in seen.tapped.items():
        kind = kind_of(id(module), encoder, cross, seen.lengths)
        if kind in located or not any(len(shape) > 2 for shape in shapes):  # noqa: PLR2004
            continue
        wide = max(shapes, key=len)
        reasons[kind] = (
            f"The {kind} attention of {type(model).__name__} is no map of tokens by tokens: "
            f"{type(module).__name__} computes {' x '.join(map(str, wide))} weights for "
            f"{' x '.join(map(str, seen.lengths[kind]))} tokens (in bands, blocks or latents)."
        )
    if "self" in seen.lengths:
        return reasons
    for kind in seen.lengths:
        if kind not in located and kind not in reasons:
            reasons[kind] = f"{type(model).__name__} has no {kind} attention."
    return reasons


def _stacks(
    model: PreTrainedModel, located: dict[Kind, dict[int, AttentionCall]]
) -> dict[Stack, tuple[nn.Module, ...]]:
    """Find the list of layers that the attention of every stack sits in."""
    paths = {id(module): path for path, module in model.named_modules()}
    stacks: dict[Stack, tuple[nn.Module, ...]] = {}
    for kind, by_layer in located.items():
        for call in by_layer.values():
            stacks.setdefault(
                "decoder" if kind == "cross" else kind, layers_around(model, paths[id(call.module)])
            )
    return stacks
