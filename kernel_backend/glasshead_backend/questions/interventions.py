"""The same run without some of its heads, blocks or layers.

A head is switched off where the heads stand side by side, in what the output projection is given
(:mod:`glasshead_backend.anatomy.projections`); a block, in what its modules put out before it is
added to the residual stream. Zeros take its place, or its mean over positions. The model runs on
with that; nothing of it is changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast, get_args

import torch

from glasshead_backend.anatomy.projections import HeadSlice, find_head_slices
from glasshead_backend.answering import answered, answered_once
from glasshead_backend.asking import Ablated, Block, Off
from glasshead_backend.checks import require, several, whole
from glasshead_backend.progress import steps
from glasshead_backend.running.as_found import for_a_trace
from glasshead_backend.running.body import shortened
from glasshead_backend.running.edits import Edit, edited
from glasshead_backend.running.forward import forward, inputs_of
from glasshead_backend.tracing.given import Reading
from glasshead_backend.tracing.reading import read, write_from
from glasshead_backend.tracing.together import run_together

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor

    from glasshead_backend.anatomy.contributions import Part, Rows, Writer
    from glasshead_backend.anatomy.projections import Slices
    from glasshead_backend.asking import Kind, Stack
    from glasshead_backend.tracing.run import Run

    Heads = Mapping[int, int | Iterable[int]] | Iterable[tuple[int, int] | tuple[Kind, int, int]]


def head_slices(run: Run) -> Slices:
    """Return where the heads of every attention call stand side by side; found once a model."""
    found = run.anatomy.head_slices
    if not found:
        with run.model_again() as model:
            structure = run.anatomy.structure
            found.update(find_head_slices(model, structure, run.inputs, run.calls))
    return found


@answered
def heads_not_apart(run: Run) -> dict[Kind, dict[int, str]]:
    """Say why heads of a layer cannot be switched one by one, as far as that is known by now."""
    return {
        kind: {layer: place for layer, place in by_layer.items() if isinstance(place, str)}
        for kind, by_layer in run.anatomy.head_slices.items()
    }


def head_slice(run: Run, kind: Kind, layer: int) -> HeadSlice:
    """Return where the heads of one layer stand side by side.

    Raises
    ------
    ValueError
        When there is no such layer, or its heads are not kept apart; the message says why.
    """
    run.call(layer, kind)
    place = head_slices(run)[kind][layer]
    if isinstance(place, str):
        raise ValueError(  # noqa: TRY004  a model's trait, not a caller's type
            f"Heads of layer {layer} of {run.model_class} cannot be switched one by one: {place}."
        )
    return place


def writers_of(run: Run, stack: Stack, layer: int) -> list[Writer]:
    """Return what writes to the residual stream in one layer.

    Raises
    ------
    ValueError
        When there is no such layer, or something it adds is not known; the message says what.
    """
    known = run.anatomy.structure.contributions
    there = [one for one in known.writers if (one.stack, one.layer) == (stack, layer)]
    why = [words for (of, at, _), words in known.unclear.items() if (of, at) == (stack, layer)]
    if why:
        raise ValueError(why[0])
    if not there:
        layers = sorted({one.layer for one in known.writers if one.stack == stack})
        raise ValueError(
            f"layer {layer} is out of range: {run.subject.name} has layers {layers} that add to "
            "its residual stream."
        )
    return there


def writer_of(run: Run, stack: Stack, layer: int, block: Block) -> Writer:
    """Return one block of a layer; raises as :func:`writers_of`, also where there is no such."""
    known = run.anatomy.structure.contributions
    found = [
        one for one in known.writers if (one.stack, one.layer, one.block) == (stack, layer, block)
    ]
    if found:
        return found[0]
    if (why := known.unclear.get((stack, layer, block))) is not None:
        raise ValueError(why)
    named = ", ".join(repr(one.block) for one in writers_of(run, stack, layer))
    raise ValueError(f"Layer {layer} of {run.subject.name} has no block {block!r}: it has {named}.")


@answered
def ablated(
    run: Run,
    heads: Heads = (),
    blocks: Iterable[tuple[int, Block]] = (),
    layers: int | Iterable[int] = (),
    *,
    how: Off = "zero",
    kind: Kind | None = None,
    over: Iterable[Any] | None = None,
) -> Run:
    """Run the same text with something switched off; see :meth:`Trace.ablate`."""
    require_whole_text(run)
    require(how, get_args(Off), "how")
    if over is not None and how == "zero":
        raise ValueError("over names the texts of a mean: give how='mean' with it.")
    off = _asked(run, heads, blocks, layers, kind)
    texts = None if over is None else list(over)
    if texts is not None and (isinstance(over, str) or not texts):
        raise ValueError("over is a list of texts, one at least.")
    off = replace(off, how=how, n_texts=0 if texts is None else len(texts))
    with run.model_again() as model:
        edits = _edits(run, model, off, texts)
        (new,) = run_together(run.subject, [run.sides], edits=(*run.edits, *edits))
    return replace(new, ablated=_both(run.ablated, off))


@answered
def continued(run: Run, position: int, token: int | str, max_new_tokens: int | None) -> Run:
    """Put a token at one place and let the model go on; see :meth:`Trace.continue_with`."""
    run.require_model()
    if run.edits and run.ablated is None:
        raise ValueError(
            "What was put into this run belongs to its own tokens: another text has no place for "
            "it. Continue the trace that it was put into."
        )
    subject = run.subject
    with edited(subject.model, run.edits):
        sides = write_from(subject, run.sides, position, token, max_new_tokens)
    (new,) = run_together(subject, [sides], edits=run.edits)
    return replace(new, ablated=run.ablated)


@answered_once
def require_whole_text(run: Run) -> None:
    """Refuse a run that the model cannot make once more: of arrays, of windows, of masks."""
    run.require_model()
    if not run.inputs or run.masked:
        raise ValueError(
            "This text was scored, in windows or under masks: there is no single run to change "
            "something in. Trace a text that the model reads at once: lens.trace(text)."
        )


def _both(one: Ablated | None, other: Ablated) -> Ablated:
    if one is None:
        return other
    heads = (*dict.fromkeys((*one.heads, *other.heads)),)
    return replace(other, heads=heads, blocks=(*dict.fromkeys((*one.blocks, *other.blocks)),))


def _asked(
    run: Run,
    heads: Heads,
    blocks: Iterable[tuple[int, Block]],
    layers: int | Iterable[int],
    kind: Kind | None,
) -> Ablated:
    """Check what is to be switched off."""
    named = sorted(set(_pairs(run, heads, kind)))
    stack = run.stack(kind)
    of_blocks: list[tuple[Stack, int, Block]] = []
    for layer, block in blocks:
        require(block, get_args(Block), "block")
        of_blocks.append((stack, whole(layer, "layer"), block))
    for layer in several(layers, "layer"):
        of_blocks += [(stack, layer, one.block) for one in writers_of(run, stack, layer)]  # type: ignore[misc]
    if not named and not of_blocks:
        raise ValueError(
            "Nothing to switch off: give heads=[(layer, head)], blocks=[(layer, 'mlp')] or "
            "layers=[layer]."
        )
    for of_kind, layer, head in named:
        n_heads = head_slice(run, of_kind, layer).n_heads
        if not 0 <= head < n_heads:
            raise ValueError(
                f"head {head} is out of range: layer {layer} of {run.subject.name} has heads "
                f"0-{n_heads - 1}."
            )
    return Ablated(tuple(named), tuple(dict.fromkeys(of_blocks)))


def _pairs(run: Run, heads: Heads, kind: Kind | None) -> list[tuple[Kind, int, int]]:
    if isinstance(heads, Mapping):
        by_layer = cast("Mapping[int, int | Iterable[int]]", heads)
        heads = [(layer, head) for layer, of in by_layer.items() for head in several(of, "head")]
    found: list[tuple[Kind, int, int]] = []
    for place in heads:
        try:
            *first, layer, head = place
        except TypeError:
            raise TypeError(
                f"heads are pairs (layer, head), e.g. heads=[(3, 1)]; got {place!r}."
            ) from None
        of_kind: Any = first[0] if first else kind
        found.append((run.kind(of_kind), whole(layer, "layer"), whole(head, "head")))
    return found


# ---- what is put in its place -------------------------------------------------------------------


def _edits(run: Run, model: Any, off: Ablated, texts: Sequence[Any] | None) -> list[Edit]:
    """Return the edits that switch something off."""
    places: dict[tuple[Kind, int], HeadSlice] = {
        (kind, layer): head_slice(run, kind, layer)
        for kind, layer in dict.fromkeys(place[:2] for place in off.heads)
    }
    parts = [
        (part, writer)
        for stack, layer, block in off.blocks
        for writer in [writer_of(run, stack, layer, block)]
        for part in _parts_of(run, writer)
    ]
    means = Means(run, off.how == "mean")
    for place in places.values():
        means.watch(place, place.module, place.run, "input", place.rows)
    for part, writer in parts:
        assert part.module is not None
        means.watch(part, part.module, part.run, "output", writer.rows)
    means.take(model, texts)
    edits = [heads_off(place, off.off_in(*of), means.of(place)) for of, place in places.items()]
    return [*edits, *(_block_off(part, means.of(part)) for part, _ in parts)]


def _parts_of(run: Run, writer: Writer) -> tuple[Part, ...]:
    if any(part.module is None for part in writer.parts):
        raise ValueError(
            f"The {writer.block} block of layer {writer.layer} of {run.model_class} adds a "
            "constant of the model's own, which cannot be switched off from outside."
        )
    return writer.parts


def heads_off(place: HeadSlice, heads: Sequence[int], fill: Tensor | None = None) -> Edit:
    """Return the edit that switches heads of one layer off.

    Parameters
    ----------
    place : HeadSlice
    heads : sequence of int
    fill : Tensor, optional
        What stands in their place, ``[heads * size]``; default zeros.
    """
    off = torch.zeros(place.n_heads, 1, dtype=torch.bool)
    off[list(heads)] = True

    def edit(given: Tensor) -> Tensor:
        apart = place.split(given)
        filled = 0.0 if fill is None else place.split(fill.to(given))
        return torch.where(off.to(given.device), filled, apart).flatten(-2)

    return Edit(place.module, edit, "input", place.run)


def _block_off(part: Part, fill: Tensor | None) -> Edit:
    def edit(put_out: Tensor) -> Tensor:
        if fill is None:
            return torch.zeros_like(put_out)
        return fill.to(put_out).expand_as(put_out).clone()

    assert part.module is not None
    return Edit(part.module, edit, "output", part.run)


class Means:
    """Means over the positions of texts of what some modules are given, or put out."""

    def __init__(self, run: Run, wanted: bool) -> None:
        self._run, self._wanted = run, wanted
        self._watching: list[Edit] = []
        self._sums: dict[int, Tensor] = {}
        self._counts: dict[int, int] = {}

    def watch(self, key: object, module: Any, run: int, side: Any, rows: Rows) -> None:
        """Look at a module; what is taken is asked for under the key."""

        def look(tensor: Tensor) -> Tensor:
            # Of one text: rows before it (prompts) are none of its positions.
            own = rows.of(tensor, 1)[0]
            total = own.sum(dim=0, dtype=torch.promote_types(own.dtype, torch.float32))
            name = id(key)
            self._sums[name] = self._sums[name] + total if name in self._sums else total
            self._counts[name] = self._counts.get(name, 0) + len(own)
            return tensor

        self._watching.append(Edit(module, look, side, run))

    def take(self, model: Any, texts: Sequence[Any] | None) -> None:
        """Run the text itself, or those that are given."""
        if not self._wanted:
            return
        run = self._run
        many = [run.inputs] if texts is None else [_inputs_of(run, text) for text in texts]
        with for_a_trace(model), edited(model, (*run.edits, *self._watching)), shortened(model):
            for inputs in steps(many, "taking means", len(many)):
                forward(model, inputs)

    def of(self, key: object) -> Tensor | None:
        """Return a mean that was taken; None where none is wanted."""
        if not self._wanted:
            return None
        return self._sums[id(key)] / self._counts[id(key)]


def _inputs_of(run: Run, text: Any) -> dict[str, Tensor]:
    source, target = text if isinstance(text, tuple) else (text, None)
    sides = read(run.subject, source, target, None, Reading())
    ids = (sequence.ids for sequence in sides.all)
    return inputs_of(run.subject.model, *ids, token_types=sides.first.token_types)
