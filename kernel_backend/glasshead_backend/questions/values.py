"""What a head moves from a token, not only how much it looks: ``|| a v W_O ||``.

A head adds to the residual stream of a query the sum over keys of ``a[q, k] f(k)``, with
``f(k) = v[k] W_O``. A large weight on a key whose ``f`` is small moves little (Kobayashi et al.
2020, "Attention is Not Only a Weight"). Needed for that are the values and the output projection of
every layer: found in one more forward pass, the projection by what it is given (the very output of
the attention function), without names. What the model multiplies its output with is part of ``f``;
so is a root-mean-square norm behind it, whose scale at a query is held at what it was there.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from glasshead_backend.capture.recording import record_values
from glasshead_backend.capture.softmax import CapturedCall
from glasshead_backend.running.as_found import for_a_trace
from glasshead_backend.running.forward import forward
from glasshead_backend.running.hooks import first_tensor, here, version_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float

    from glasshead_backend.anatomy.contributions import Part, Writer
    from glasshead_backend.anatomy.structure import Structure
    from glasshead_backend.asking import Kind
    from glasshead_backend.capture.call import AttentionCall
    from glasshead_backend.capture.recording import Gathered, ValueRecording

_BLOCK_VALUES = 1 << 24
"""Most float32 numbers at once while values are projected (64 MB)."""


@dataclass(frozen=True, eq=False)
class Values:
    """The values of one layer, and what is made of what heads have gathered of them.

    Attributes
    ----------
    value : Tensor
        ``[value_heads, keys, head_dim]``; heads may share them.
    projection : nn.Module
        The output projection: any affine map of ``[..., heads * head_dim]``.
    n_heads : int
        Query heads.
    behind : Behind
        What the model does with the projection's output before it adds it to the stream.
    off : tuple of int
        Heads that are switched off: they move nothing.
    """

    value: Float[Tensor, "value_head key head_dim"]
    projection: nn.Module
    n_heads: int
    behind: Behind
    off: tuple[int, ...] = ()

    @property
    def nbytes(self) -> int:
        """Bytes of the values; the projection is the model's."""
        return self.value.nbytes

    @torch.no_grad()
    def moved(self, gathered: Float[Tensor, "*rows gathered"]) -> Float[Tensor, "*rows hidden"]:
        """What is added for what heads have gathered, but for the scale of a norm at a query."""
        shift = self.projection(torch.zeros_like(gathered[:1]))
        return self.behind.part.scaled(self.projection(gathered) - shift) * self.behind.gain

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
            alone[:, list(self.off)] = 0.0
            moved = self.moved(alone.flatten(2)).float()
            with torch.autocast(moved.device.type, enabled=False):
                grams.append(moved @ moved.transpose(-1, -2))
        return torch.cat(grams)


@dataclass(frozen=True, eq=False)
class Behind:
    """What stands between the output projection and the residual stream.

    Attributes
    ----------
    part : Part
        The numbers that the model multiplies with.
    gain : Tensor or float
        The weight of a norm, ``[hidden]``; 1.0 where there is none.
    scale : Tensor or None
        ``[queries]`` float32: what the norm multiplied the vector of each query with, besides.
    """

    part: Part
    gain: Tensor | float = 1.0
    scale: Float[Tensor, " query"] | None = None


def find_values(
    model: Any,
    structure: Structure,
    inputs: dict[str, Tensor],
    located: dict[Kind, dict[int, AttentionCall]],
) -> dict[Kind, dict[int, Values | str]]:
    """Run the model once more and keep the values of every attention call.

    Parameters
    ----------
    model : PreTrainedModel
    structure : Structure
    inputs : dict
        Keyword arguments of the model's forward, over one sequence.
    located : dict
        ``{kind: {layer: call}}`` of a recorded forward over the same.

    Returns
    -------
    dict
        ``{kind: {layer: values}}``; words that say why, where a layer's cannot be known.
    """
    with for_a_trace(model), ExitStack() as stack:
        recording = stack.enter_context(record_values(model))
        follow = _ProjectionFinder(recording, structure.contributions.writers)
        layers = [layer for of_stack in structure.stacks.values() for layer in of_stack]
        follow.watch({id(inner): inner for layer in layers for inner in layer.modules()}, stack)
        forward(model, inputs)
    again = GatheredByTurn(recording.gathered)
    return {
        kind: {layer: follow.values_of(call, again.of(call)) for layer, call in by_layer.items()}
        for kind, by_layer in located.items()
    }


class GatheredByTurn:
    """What recorded calls have gathered, by the module and its turn: it runs as it did before."""

    def __init__(self, gathered: Sequence[Gathered]) -> None:
        self._of_module: dict[tuple[nn.Module, tuple[int, int]], list[Gathered]] = {}
        for one in gathered:
            self._of_module.setdefault((one.module, one.lengths), []).append(one)
        self._turns: Counter[tuple[nn.Module, tuple[int, int]]] = Counter()

    def of(self, call: AttentionCall) -> Gathered | None:
        """Return what a call gathered; None for one that reads no query and key of its own."""
        key = call.module, (call.n_queries, call.n_keys)
        made = self._of_module.get(key)
        if made is None or not isinstance(call, CapturedCall):
            return None
        turn = self._turns[key]
        self._turns[key] += 1
        return made[turn] if turn < len(made) else None


class _ProjectionFinder:
    """Follows what attention has put out through its projection to what is added to the stream."""

    def __init__(self, recording: ValueRecording, writers: Sequence[Writer]) -> None:
        self._recording = recording
        self._writers = {
            (id(part.module), part.run): (writer, part)
            for writer in writers
            if writer.block in ("attention", "cross")
            for part in writer.parts
            if part.module is not None
        }
        self._written = {module for module, _ in self._writers}
        self._runs: Counter[int] = Counter()
        # Of the last call: the modules that were given what it put out, outermost first.
        self._call = 0
        self._given: dict[nn.Module, Tensor] = {}
        self._projected: dict[nn.Module, Tensor] = {}
        self._found: dict[int, tuple[nn.Module, Behind] | str] = {}
        self._asking = False

    def watch(self, modules: dict[int, nn.Module], stack: ExitStack) -> None:
        """Follow what goes into and comes out of modules."""
        enter, leave = here(self._enter), here(self._leave)
        for module in modules.values():
            # What is given is looked at before a head that is switched off is taken out of it.
            handle = module.register_forward_pre_hook(enter, prepend=True)
            stack.callback(handle.remove)
            stack.callback(module.register_forward_hook(leave).remove)

    def _enter(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        given, output = first_tensor(args), self._recording.output
        if self._asking or given is None or output is None:
            return
        if self._call != len(self._recording.gathered):
            self._call = len(self._recording.gathered)
            self._given, self._projected = {}, {}
        # The output is held, so that nothing else can lie at its place; and nobody wrote into it.
        same_place = given.untyped_storage().data_ptr() == output.untyped_storage().data_ptr()
        untouched = version_of(given) == self._recording.version
        if same_place and untouched and given.numel() == output.numel():
            self._given[module] = given

    def _leave(self, module: nn.Module, args: tuple[Any, ...], output: object) -> None:
        put_out = first_tensor(output)
        if self._asking:
            return
        key = id(module)
        run = self._runs[key]
        self._runs[key] += 1
        if put_out is None or not self._call:
            return
        if module in self._given and module not in self._projected:
            # A copy: an adapter may add to it where it lies.
            self._projected[module] = put_out.clone()
        if key not in self._written or (key, run) not in self._writers or not self._projected:
            return
        writer, part = self._writers[key, run]
        self._asking = True
        try:
            found = self._between(module, first_tensor(args), put_out, writer, part)
        finally:
            self._asking = False
        self._found[id(self._recording.gathered[self._call - 1])] = found
        self._given, self._projected = {}, {}
        self._recording.output = None

    @torch.no_grad()
    def _between(
        self,
        module: nn.Module,
        taken_in: Tensor | None,
        put_out: Tensor,
        writer: Writer,
        part: Part,
    ) -> tuple[nn.Module, Behind] | str:
        """The projection and what stands between it and the stream; or why that is not known."""
        if len(writer.parts) > 1:
            return f"{type(module).__name__} is not all that is added there"
        # From the outermost on: an adapter wraps the projection.
        for projection, given in self._given.items():
            projected = self._projected.get(projection)
            if projected is None or not (_is_linear(projection) or _is_affine(projection, given)):
                continue
            if projected.numel() == put_out.numel() and torch.equal(
                projected.reshape(-1), put_out.reshape(-1)
            ):
                return projection, Behind(part)
            if taken_in is None or taken_in.shape != projected.shape:
                continue
            if not torch.equal(taken_in, projected):
                continue
            name = type(module).__name__
            gain, scale = _held_norm(module, taken_in, put_out)
            if scale is None:
                return f"{name} stands behind the projection and does more than to rescale"
            return projection, Behind(part, gain, writer.rows.of(scale[..., None], 1)[0, :, 0])
        return ""

    def values_of(self, call: AttentionCall, gathered: Gathered | None) -> Values | str:
        """Values of a call, or words that say why they cannot be known."""
        name = type(call.module).__name__
        if gathered is None or gathered.value is None:
            return (
                f"{name} computes attention by itself, over more than these tokens, or scales what "
                "it gathers: what its heads move is not known. Ask for the weights: "
                "trace.attention()."
            )
        found = self._found.get(id(gathered))
        if not found:
            return (
                f"{name} gates or normalises what its heads have gathered before projecting it, so "
                "a head's share cannot be told. Ask for the weights themselves: trace.attention()."
            )
        if isinstance(found, str):
            return (
                f"{found}, so a head's share of what {name} adds cannot be told. Ask for the "
                "weights themselves: trace.attention()."
            )
        return Values(gathered.value[0], found[0], gathered.n_heads, found[1])


def _is_affine(module: nn.Module, given: Tensor) -> bool:
    """Whether a module (a projection with an adapter) is a matrix and a shift, for one tensor."""
    some = given.detach()[..., -1:, :]
    other = some.flip(-1)
    try:
        at_zero, one, two, both = (
            module(x) for x in (torch.zeros_like(some), some, other, some + other)
        )
    except Exception:  # noqa: BLE001  it takes more than that: no projection
        return False
    if not isinstance(both, Tensor):
        return False
    tolerance = 8 * torch.finfo(both.dtype).eps
    return bool((one + two - at_zero - both).abs().amax() <= tolerance * one.abs().amax())


def _held_norm(norm: nn.Module, taken_in: Tensor, put_out: Tensor) -> tuple[Tensor, Tensor | None]:
    """The weight of a norm, and what it multiplied each row with; None if it does more than that.

    ``norm(x) = scale(x) * weight * x`` holds for root-mean-square norms; a vector of ones is given
    back as the weight.
    """
    weight = first_tensor(norm(torch.ones_like(taken_in[..., :1, :])))
    assert weight is not None
    weight = weight.reshape(-1).float()
    weighted, out = taken_in.float() * weight, put_out.float()
    scale = (weighted * out).sum(-1) / (weighted * weighted).sum(-1)
    half = put_out.dtype.itemsize < torch.float32.itemsize
    off = (scale[..., None] * weighted - out).abs().amax()
    fits = bool(off <= (3e-2 if half else 1e-4) * out.abs().amax())
    return weight, scale if fits else None


def _is_linear(module: nn.Module) -> bool:
    """Whether a module multiplies by a matrix."""
    weight = getattr(module, "weight", None)
    is_leaf = next(module.children(), None) is None
    return (
        is_leaf
        and isinstance(weight, Tensor)
        and weight.dim() > 1
        and not isinstance(module, nn.Embedding)
    )
