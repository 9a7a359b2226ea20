"""What every block's output counts for in a number that the model puts out, all else held.

Between the blocks and the logits lie sums, factors, norms and the unembedding. With the scale of
each norm held at what it was that is an affine map of what the embedding and the blocks add. So the
model runs twice: once as it is, when what blocks add and the norms' scales are noted; and once with
zeros in the place of all that, and norms held. There it puts out the constant part, and gradients
say what each vector counts for, whatever stands on the way. Whether the map is affine shows in the
sum: it is the number itself, or it is not. Heads are told apart in the same way, by what the output
projection is given.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from glasshead_backend.anatomy.held_norms import holding, norms_held
from glasshead_backend.anatomy.projections import HeadSlice
from glasshead_backend.progress import steps
from glasshead_backend.questions.interventions import head_slices
from glasshead_backend.running.as_found import for_a_trace
from glasshead_backend.running.body import unembedding_of
from glasshead_backend.running.edits import Edit, edited
from glasshead_backend.running.forward import forward
from glasshead_backend.running.hooks import first_tensor, here
from glasshead_backend.running.reporting import layers_reported

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from jaxtyping import Float

    from glasshead_backend.anatomy.contributions import Rows
    from glasshead_backend.anatomy.held_norms import HeldNorm
    from glasshead_backend.asking import Kind, Stack
    from glasshead_backend.questions.target import Target
    from glasshead_backend.tracing.run import Run

_TOLERANCE, _HALF_TOLERANCE = 1e-4, 3e-2
"""Largest difference between a number and the sum that makes it, relative to its summands."""

_STRAIGHT, _HALF_STRAIGHT = 1e-5, 3e-2
"""Largest relative difference of logits from a multiple of what the unembedding puts out."""

_DIMS = 3
"""Hidden states are ``[batch, tokens, hidden]``."""


@dataclass(frozen=True, eq=False)
class Place:
    """Where a vector enters the residual stream, or what heads have gathered their projection.

    Attributes
    ----------
    block : str
        Whose it is: "embedding", "attention", "mlp" ...; the kind of attention of heads.
    layer : int
    module : nn.Module
        What puts it out, before the factors that the model multiplies it with; or is given it.
    side : {"input", "output"}
    run : int
        Which run of the module.
    rows : Rows
    """

    block: str
    layer: int
    module: nn.Module
    side: Literal["input", "output"]
    run: int
    rows: Rows

    def edit(self, edit: Callable[[Tensor], Tensor]) -> Edit:
        """Return an edit of it."""
        return Edit(self.module, edit, self.side, self.run)


@dataclass(frozen=True, eq=False)
class OfHeads:
    """What the heads of one layer add to the number.

    Attributes
    ----------
    kind : str
    layer : int
    parts : Tensor
        ``[heads]`` float64.
    rest : float
        What is added where all of them gather nothing: a bias.
    """

    kind: Kind
    layer: int
    parts: Float[Tensor, " head"]
    rest: float


@dataclass(frozen=True, eq=False)
class ResidualPath:
    """A number that the model puts out, as the sum of what enters the residual stream.

    Attributes
    ----------
    parts : list of (Place, float)
        What each vector adds to it.
    heads : list of OfHeads
        Of attention blocks.
    value, constant : float
        The number, and what it would be of zeros.
    final : float or None
        Where the model bends its logits behind the unembedding (a soft-cap): what becomes of
        `value` there. `value` and the parts are of the logits before.
    """

    parts: list[tuple[Place, float]]
    heads: list[OfHeads]
    value: float
    constant: float
    final: float | None


def residual_path(run: Run, target: Target) -> ResidualPath:
    """Split a logit, or a difference of two, into what enters the residual stream at its row.

    Raises
    ------
    ValueError
        Where it is not known what blocks add, and where the read-out is more than norms and linear
        maps; the message says why.
    ModelChangedError
        When the model has changed since the text was traced.
    """
    places = _places(run)
    heads = _heads(run)
    both, row = [*places, *heads], target.row
    stacks = run.anatomy.structure.stacks
    passes = steps(("as it is", "held"), "splitting a logit", 2)
    with run.model_again() as model, for_a_trace(model), layers_reported(stacks.values()):
        next(passes)
        seen = _as_it_is(model, run, both, row)
        next(passes)
        with torch.enable_grad():
            held = _of_zeros(model, run, both, row, seen.norms)
            path = _read_off(target, places, heads, seen, held)
        next(passes, None)
    _require_sum(run, path, half=seen.logits.dtype.itemsize < torch.float32.itemsize)
    return path


def predicting_stack(run: Run) -> Stack:
    """Return the stack of layers that predictions come from: the decoder's, if there is one."""
    stacks = run.anatomy.structure.stacks
    return "decoder" if "decoder" in stacks else next(iter(stacks))


def _places(run: Run) -> list[Place]:
    """Where vectors enter the stream that predictions come from, each module's run once.

    Raises
    ------
    ValueError
        Where there is no such stream, and for a text that was scored without its layers.
    """
    run.require_model()
    if not run.inputs or run.masked:
        raise ValueError(
            "This text was scored, in windows or under masks, without its layers: trace a text "
            "that the model reads at once, lens.trace(text)."
        )
    known, stack = run.anatomy.structure.contributions, predicting_stack(run)
    if stack not in known.embeddings:
        raise ValueError(_unclear(run))
    layer, rows = known.embeddings[stack]
    found = {(layer, -1): Place("embedding", 0, layer, "input", 0, rows)}
    for writer in known.writers:
        for part in writer.parts if writer.stack == stack else ():
            if part.module is not None:
                of = (writer.block, writer.layer, part.module, "output", part.run, writer.rows)
                found.setdefault((part.module, part.run), Place(*of))
    return list(found.values())


def _heads(run: Run) -> dict[Place, HeadSlice]:
    """Where heads stand side by side in the layers of that stack, as far as it is known."""
    of_stack = predicting_stack(run)
    found: dict[tuple[nn.Module, int], tuple[Place, HeadSlice]] = {}
    for kind, by_layer in head_slices(run).items():
        in_stack = ("decoder" if kind == "cross" else kind) == of_stack
        for layer, one in by_layer.items() if in_stack else ():
            if isinstance(one, HeadSlice):
                place = Place(kind, layer, one.module, "input", one.run, one.rows)
                # One module may make calls of two kinds at once (T5Gemma 2).
                found.setdefault((one.module, one.run), (place, one))
    return dict(found.values())


# ---- the two passes -----------------------------------------------------------------------------


@dataclass(eq=False)
class _Pass:
    """What one forward pass showed at the row.

    Attributes
    ----------
    vectors : dict
        What there was at the places; of the second pass zeros, to be derived by.
    norms : dict
        Of the first pass.
    put_out : dict
        Of the second pass, what blocks would add if their heads gathered nothing.
    unembedded, logits : Tensor
        Before and after what the model does with its logits.
    """

    vectors: dict[Place, Tensor] = field(default_factory=dict["Place", "Tensor"])
    norms: dict[tuple[nn.Module, int], HeldNorm] = field(default_factory=dict[Any, Any])
    put_out: dict[Place, Tensor] = field(default_factory=dict["Place", "Tensor"])
    unembedded: Float[Tensor, " vocabulary"] | None = None
    logits: Float[Tensor, " vocabulary"] = field(default_factory=lambda: torch.empty(0))


def _as_it_is(model: Any, run: Run, places: Sequence[Place], row: int) -> _Pass:
    """Run the model; note what there is at the places, the norms, and what comes of it."""
    seen = _Pass()

    def look(place: Place) -> Edit:
        def note(tensor: Tensor) -> Tensor:
            seen.vectors[place] = place.rows.of(tensor.detach(), 1)[0, row].clone()
            return tensor

        return place.edit(note)

    with edited(model, (*run.edits, *map(look, places))), norms_held(model) as norms:
        _run_at(model, run, row, seen)
    seen.norms = norms
    return seen


def _of_zeros(
    model: Any,
    run: Run,
    places: Sequence[Place],
    row: int,
    norms: dict[tuple[nn.Module, int], HeldNorm],
) -> _Pass:
    """Run the model with zeros at the places, and with its norms held."""
    held, of_stack = _Pass(), predicting_stack(run)

    def zeros(place: Place) -> Edit:
        def instead(tensor: Tensor) -> Tensor:
            if place.side == "output":
                held.put_out[place] = place.rows.of(tensor, 1)[0, row]
            whole = torch.zeros(tensor.shape, dtype=tensor.dtype, device=tensor.device)
            vector = whole.new_zeros(tensor.shape[-1]).requires_grad_()
            place.rows.of(whole, 1)[0, row] = vector
            held.vectors[place] = vector
            return whole

        return place.edit(instead)

    others = [
        # What another stack computes is given: nothing of it is to be derived.
        Edit(layer, Tensor.detach, side="input", run=None)
        for name, layers in run.anatomy.structure.stacks.items()
        for layer in layers
        if name != of_stack
    ]
    edits = (*run.edits, *others, *map(zeros, places))
    with holding(norms), edited(model, edits):
        _run_at(model, run, row, held)
    return held


def _run_at(model: Any, run: Run, row: int, into: _Pass) -> None:
    """Run the model, and keep its logits at one row, before and after what it does with them."""
    with _unembedded_at(unembedding_of(model), row, into):
        logits = forward(model, run.inputs).logits
    into.logits = logits[0, row if logits.shape[1] > 1 else 0]


@contextmanager
def _unembedded_at(
    unembedding: nn.Module | None, row: int, into: _Pass
) -> Generator[None, None, None]:
    """Let the unembedding compute one row only, and keep what it puts out."""

    def shorten(_: nn.Module, args: tuple[Any, ...]) -> Any:
        given = first_tensor(args)
        fits = given is not None and given.dim() == _DIMS and given.shape[1] > row
        return (args[0][:, row : row + 1], *args[1:]) if fits and given is args[0] else None

    def keep(_: nn.Module, __: object, output: object) -> None:
        tensor = first_tensor(output)
        if tensor is not None and tensor.dim() == _DIMS and tensor.shape[1] == 1:
            into.unembedded = tensor[0, 0]

    with ExitStack() as stack:
        if unembedding is not None:
            stack.callback(unembedding.register_forward_pre_hook(here(shorten)).remove)
            stack.callback(unembedding.register_forward_hook(here(keep)).remove)
        yield


# ---- what they show -----------------------------------------------------------------------------


def _read_off(
    target: Target,
    places: Sequence[Place],
    heads: dict[Place, HeadSlice],
    seen: _Pass,
    held: _Pass,
) -> ResidualPath:
    """Derive what each place counts for."""
    final = None
    value, constant = target.of(seen.logits), target.of(held.logits)
    half = seen.logits.dtype.itemsize < torch.float32.itemsize
    if _bends(seen, held):
        assert seen.unembedded is not None
        assert held.unembedded is not None
        final, value = float(value), target.of(seen.unembedded)
        constant = target.of(held.unembedded)
    slopes = _slopes([constant], [held.vectors[place] for place in places])
    numbers = _products([seen.vectors[place] for place in places], slopes)
    return ResidualPath(
        [(place, float(of.sum())) for place, of in zip(places, numbers, strict=True)],
        _of_heads(dict(zip(places, slopes, strict=True)), heads, seen, held, half=half),
        float(value),
        float(constant.detach()),
        final,
    )


def _of_heads(
    slopes: dict[Place, Tensor],
    heads: dict[Place, HeadSlice],
    seen: _Pass,
    held: _Pass,
    *,
    half: bool,
) -> list[OfHeads]:
    """What heads add, of layers in which it makes the block's part, with a bias."""
    known = [(at, blocks) for at in heads if (blocks := _blocks_of(at, list(slopes)))]
    enters = [one for _, blocks in known for one in blocks]
    counts = [slopes[one] for one in enters]
    ends = [(held.put_out[one] * slopes[one]).sum() for one in enters]
    own = _slopes(ends, [held.vectors[at] for at, _ in known])
    wholes = dict(
        zip(enters, _products([seen.vectors[one] for one in enters], counts), strict=True)
    )
    rests = dict(zip(enters, _products([held.put_out[one] for one in enters], counts), strict=True))
    found: list[OfHeads] = []
    products = _products([seen.vectors[at] for at, _ in known], own)
    for (at, blocks), product in zip(known, products, strict=True):
        kind: Any = at.block
        parts = heads[at].split(product).sum(dim=-1)
        rest = sum(float(rests[one].sum()) for one in blocks)
        whole = sum(float(wholes[one].sum()) for one in blocks)
        if _closes(whole, [rest, *parts.tolist()], half=half):
            found.append(OfHeads(kind, at.layer, parts, rest))
    return found


def _blocks_of(heads: Place, places: Sequence[Place]) -> list[Place]:
    """The places where what heads have gathered enters the stream."""
    block = "cross" if heads.block == "cross" else "attention"
    return [one for one in places if (one.block, one.layer) == (block, heads.layer)]


def _slopes(numbers: Sequence[Tensor], by: Sequence[Tensor]) -> list[Tensor]:
    """Derivatives of the sum of some numbers; zeros where nothing depends."""
    numbers = [one for one in numbers if one.requires_grad]
    if not numbers or not by:
        return [torch.zeros_like(one) for one in by]
    found = torch.autograd.grad(
        numbers, list(by), retain_graph=True, allow_unused=True, materialize_grads=True
    )
    return list(found)


def _products(
    vectors: Sequence[Tensor], slopes: Sequence[Tensor]
) -> list[Float[Tensor, " number"]]:
    """Products number by number, float64 on the CPU."""
    pairs = zip(_on_cpu(vectors), _on_cpu(slopes), strict=True)
    return [vector * slope for vector, slope in pairs]


def _on_cpu(vectors: Sequence[Tensor]) -> Sequence[Float[Tensor, " number"]]:
    """Bring vectors over in one go; they may lie on several devices."""
    if not vectors:
        return ()
    device = vectors[0].device
    joined = torch.cat([one.detach().to(device) for one in vectors]).cpu().double()
    return joined.split([len(one) for one in vectors])


def _bends(seen: _Pass, held: _Pass) -> bool:
    """Whether logits are no multiple of what the unembedding puts out, with constants added."""
    if seen.unembedded is None or held.unembedded is None:
        return False
    if seen.unembedded.shape != seen.logits.shape:
        return False
    after = seen.logits.detach().double() - held.logits.detach().double()
    before = seen.unembedded.detach().double() - held.unembedded.detach().double()
    before = before.to(after.device)
    factor = (before * after).sum() / (before * before).sum()
    half = seen.logits.dtype.itemsize < torch.float32.itemsize
    tolerance = _HALF_STRAIGHT if half else _STRAIGHT
    return not bool((after - factor * before).abs().amax() <= tolerance * after.abs().amax())


def _closes(whole: float, parts: Sequence[float], *, half: bool) -> bool:
    """Whether parts make a whole, as far as their rounding goes."""
    size = max(abs(whole), sum(map(abs, parts)))
    return abs(whole - sum(parts)) <= (_HALF_TOLERANCE if half else _TOLERANCE) * size


def _require_sum(run: Run, path: ResidualPath, *, half: bool) -> None:
    """Refuse a read-out that is no affine map once norms are held: then the parts miss the sum."""
    parts = [path.constant, *(number for _, number in path.parts)]
    if not _closes(path.value, parts, half=half):
        if unclear := _unclear(run):
            raise ValueError(unclear)
        raise ValueError(
            f"{run.model_class} makes its logits of the residual stream by more than norms and "
            f"linear maps: what its blocks contribute cannot be told (their sum misses by "
            f"{abs(path.value - sum(parts)):.3g})."
        )


def _unclear(run: Run) -> str:
    """Say of which block it is not known what it adds; "" = of none."""
    unclear = run.anatomy.structure.contributions.unclear
    for (stack, _, _), why in unclear.items():
        if stack == predicting_stack(run):
            return f"{why} A logit is the sum of what all blocks add: it cannot be split."
    return ""
