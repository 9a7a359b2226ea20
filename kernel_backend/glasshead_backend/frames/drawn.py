"""What a matrix draws of a map: units left out, rows renormalised, another map taken away."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from glasshead_backend.answering import travels
from glasshead_backend.frames.scene import plain_units
from glasshead_backend.frames.sinks import mode_of
from glasshead_backend.questions.attention import attention_map, sinks
from glasshead_backend.running.threads import undisturbed
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jaxtyping import Bool, Float, Int
    from torch import Tensor

    from glasshead_backend.asking import Kind, Selection, Side, Unit
    from glasshead_backend.frames.sinks import Mode, Wanted
    from glasshead_backend.maps.attention_map import AttentionMap
    from glasshead_backend.maps.sinks import Sinks
    from glasshead_backend.trace import Trace


TILE = 512
"""Most cells on an axis of a frame or tile."""


@travels
@dataclass(frozen=True)
class MatrixAsked:
    """What FusedAttentionMatrix shows, as a value.

    Attributes
    ----------
    selection : Selection
        The map; its heads are combined.
    sinks : {"auto", "aside", "shown", "hidden"}
        What is done with the sinks.
    normalise : bool
        Every row divided by its sum over the columns shown, so that it sums to 1.
    hide_special : bool
        Rows and columns of special tokens are left out.
    other : Selection or None
        The map that is taken away from it; None = nothing is.
    scores : bool
        What enters the softmax is drawn: of tokens, all columns, as it is.
    """

    selection: Selection
    sinks: Wanted = "shown"
    normalise: bool = False
    hide_special: bool = False
    other: Selection | None = None
    scores: bool = False

    @property
    def key(self) -> dict[str, Any]:
        """Return it as it travels with a frame."""
        return {
            **self.selection.key,
            "sinks": self.sinks,
            "normalise": self.normalise,
            "hide_special": self.hide_special,
            "scores": self.scores,
        }


class Block(NamedTuple):
    """Some rows of a matrix; columns to the right of those that are there have no weight.

    Attributes
    ----------
    true : Tensor
        The weights of the model: shares of all attention of the row.
    first : Tensor
        The same without hidden sinks, renormalised where that is asked for.
    said : Tensor
        `first`, or its difference from another map.
    shown : Tensor
        The same without the sinks that are set aside.
    total : Tensor
        All attention of the rows, that to columns that are left out, too.
    """

    true: Float[Tensor, "row visible"]
    first: Float[Tensor, "row visible"]
    said: Float[Tensor, "row visible"]
    shown: Float[Tensor, "row visible"]
    total: Float[Tensor, " row"]


class Drawn:
    """A matrix as it is drawn, computed in blocks of rows.

    Parameters
    ----------
    trace : Trace
    asked : MatrixAsked
    other : Trace, optional
        Whose map is taken away, where that is of another trace of the same tokens.

    Attributes
    ----------
    rows, columns : sequence of int
        The units that are drawn, of those that the map has.
    mode : {"aside", "shown", "hidden"}
        What is done with the sinks.
    """

    def __init__(self, trace: Trace, asked: MatrixAsked, other: Trace | None = None) -> None:
        self.asked = asked
        self.of = attention_map(run_of(trace), asked.selection)
        self.away = asked.other and attention_map(run_of(other or trace), asked.other)
        kind, unit = asked.selection.kind, asked.selection.unit
        self.rows = self._drawn_units(trace, "query", kind, unit)
        self.columns = self._drawn_units(trace, "key", kind, unit)
        self._kept = self._kept_columns()
        self._sunk = _sinks_of(trace, asked, other)
        self.mode: Mode = mode_of(self._sunk, asked.sinks)

    @property
    def n_rows(self) -> int:
        """Rows that are drawn."""
        return len(self.rows)

    @property
    def n_columns(self) -> int:
        """Columns that are drawn."""
        return len(self.columns)

    @property
    def n_hidden(self) -> tuple[int, int]:
        """Rows and columns that are left out."""
        return self.of.n_rows - self.n_rows, self.of.n_columns - self.n_columns

    @property
    def sink_columns(self) -> Bool[Tensor, " column"]:
        """Which of the drawn columns are sinks, of either map."""
        return self.narrowed(self._sunk.columns)[0]

    @property
    def device(self) -> torch.device:
        """Where it is computed."""
        return self.of.device

    def blocks(self, rows: range | None = None) -> Iterator[tuple[slice, Block]]:
        """Yield ``(place, block)``: which of the drawn rows asked for, and what is in them."""
        units = self.rows if rows is None else self.rows[rows.start : rows.stop]
        for place, weights in self.of.blocks(units):
            yield place, self.dressed(weights[0], units[place])

    def part(self, rows: range, columns: range) -> Float[Tensor, "row column"]:
        """Return some cells: those of sinks set aside, too."""
        found = torch.zeros(len(rows), len(columns), dtype=torch.float32, device=self.device)
        with undisturbed(self.device):
            for place, block in self.blocks(rows):
                seen = block.said[:, columns.start : columns.stop]
                found[place, : seen.shape[1]] = seen
        return found

    def dressed(self, weights: Float[Tensor, "row visible"], units: Sequence[int]) -> Block:
        """Turn rows of the map, of the units given, into what is drawn of them."""
        true, first = self.narrowed(weights), self._made(weights)
        said = first
        if self.away is not None:
            others = [self._made(part[0]) for _, part in self.away.blocks(units)]
            minus = torch.cat([padded(part, self.n_columns) for part in others])
            first = padded(first, self.n_columns)
            said = first - minus.to(first)
        shown = said
        if self.mode == "aside":
            shown = said.masked_fill(self.sink_columns[: said.shape[1]], 0.0)
        return Block(true, first, said, shown, weights.sum(dim=1))

    def narrowed(self, weights: Float[Tensor, "row visible"]) -> Float[Tensor, "row kept"]:
        """Leave out the columns that are not drawn."""
        if self._kept is None:
            return weights
        return weights[:, self._kept[self._kept < weights.shape[1]]]

    # ---- blocks ----------------------------------------------------------------------------------

    def _made(self, weights: Float[Tensor, "row visible"]) -> Float[Tensor, "row kept"]:
        """Leave out what is not drawn, and renormalise."""
        if self.mode == "hidden":
            weights = self._sunk.without(weights[None], renormalised=True)[0]
        kept = self.narrowed(weights)
        if not self.asked.normalise:
            return kept
        # A row that looks at nothing of what is shown stays at zero.
        return kept / kept.sum(dim=1, keepdim=True).clamp_min(1e-30)

    # ---- units -----------------------------------------------------------------------------------

    def _drawn_units(self, trace: Trace, side: Side, kind: Kind, unit: Unit) -> Sequence[int]:
        if self.asked.hide_special:
            return plain_units(trace, side, kind, unit)
        return range(self.of.n_rows if side == "query" else self.of.n_columns)

    def _kept_columns(self) -> Int[Tensor, " column"] | None:
        if self.n_columns == self.of.n_columns:
            return None
        return torch.tensor(list(self.columns), device=self.device)


def _sinks_of(trace: Trace, asked: MatrixAsked, other: Trace | None) -> Sinks:
    """Find the sinks of a map; of two that are compared those of both."""
    found = sinks(run_of(trace), asked.selection)
    if asked.other is None:
        return found
    others = sinks(run_of(other or trace), asked.other)
    both = found.columns | others.columns.to(found.columns.device)
    share = torch.maximum(found.share, others.share.to(found.share))
    return replace(found, columns=both, share=share)


def first_difference(trace: Trace, other: Trace) -> str:
    """Say where the tokens of two traces differ first; nothing where they are the same."""
    mine, yours = run_of(trace).sides.all, run_of(other).sides.all
    names = [" and ".join(s.name for s in sides) for sides in (mine, yours)]
    if names[0] != names[1]:
        return f"one is of {names[0]}, the other of {names[1]}"
    for a, b in zip(mine, yours, strict=True):
        texts = [[token.text for token in sequence.tokens] for sequence in (a, b)]
        pairs = zip(*texts, strict=False)
        at = next((i for i, (x, y) in enumerate(pairs) if x != y), min(map(len, texts)))
        if at < max(map(len, texts)):
            first, second = (repr(t[at]) if at < len(t) else "nothing" for t in texts)
            return f"at position {at} of the {a.name} one has {first}, the other {second}"
    return ""


def padded(weights: Float[Tensor, "row visible"], n_columns: int) -> Float[Tensor, "row column"]:
    """Rows with the zeros of the columns that they do not see."""
    return torch.nn.functional.pad(weights, (0, n_columns - weights.shape[1]))


def map_title(of: AttentionMap, asked: Selection) -> str:
    """Say in words which heads a map is of: "head 3", "mean of all 9 heads"."""
    heads, n_heads = asked.heads, of.call.n_heads
    if len(heads) == 1 or n_heads == 1:
        return f"head {heads[0] if heads else 0}"
    word = "mean" if asked.aggregate == "mean" else "maximum"
    if not heads or len(heads) == n_heads:
        return f"{word} of all {n_heads} heads"
    names = ", ".join(map(str, heads))
    return f"{word} of heads {names}" if len(heads) <= 6 else f"{word} of {len(heads)} heads"  # noqa: PLR2004
