"""The lines of one layer: for every map and row the keys that it looks at most, sinks set aside."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from glasshead_backend.answering import answered, travels
from glasshead_backend.checks import positions
from glasshead_backend.frames.fans import units_together
from glasshead_backend.frames.head_pictures import head_pictures
from glasshead_backend.frames.pack import index_dtype, pack
from glasshead_backend.frames.sentences import between
from glasshead_backend.frames.sinks import SinksPart
from glasshead_backend.questions.attention import attention_map
from glasshead_backend.running.threads import undisturbed
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from glasshead_backend.asking import Selection
    from glasshead_backend.capture.call import AttentionCall
    from glasshead_backend.frames.pack import Packed
    from glasshead_backend.frames.sentences import Sentences
    from glasshead_backend.frames.sinks import Wanted
    from glasshead_backend.trace import Trace

LINE_BUDGET = 20_000
"""Lines in a frame, or in a part of it that is asked for later."""

WHOLE_ROWS = 400
"""Rows up to which a frame has all of them ..."""

CHUNK_ROWS = 128
"""... and how many it has of a longer text: the others are asked for as they come into view."""

FAINTEST = 0.01
"""Weight below which a lit token's own line is not drawn."""

_MOST_OF_LONG_ROWS = 64
_ARRIVALS = 512
_ARRIVALS_A_COLUMN = 4
_MINIMAP = 64
_FULL_OF_PIXELS = 0.98
_LEAST_BESIDE_SINKS = 0.05
_STRONG = 0.95
"""Quantile of the rows' strongest lines that is drawn in full."""


@travels
@dataclass(frozen=True)
class Rule:
    """Which lines are drawn.

    Attributes
    ----------
    top_k : int or None
        The strongest so many of each row and map; None = however many.
    threshold : float or None
        Those of at least this weight; None = however weak.
    """

    top_k: int | None = 2
    threshold: float | None = None

    def drawn(self, weights: Float[Tensor, "map row k"]) -> Bool[Tensor, "map row k"]:
        """Tell which of some rows' lines, strongest first, are drawn."""
        drawn = weights > 0
        if self.threshold is not None:
            drawn &= weights >= torch.tensor(self.threshold, dtype=torch.float32)
        if self.top_k is not None:
            drawn[..., self.top_k :] = False
        return drawn


@travels
@dataclass(frozen=True, eq=False)
class Lines:
    """The strongest lines of every map and row, strongest first, and sums over all of them.

    Attributes
    ----------
    heads : Tensor
        int64, numbers of the heads that are drawn, ascending: each is a map, or all are one.
    n_keys : int
        Units that are looked at.
    keys, weights : Tensor
        ``[maps, rows, k]`` int32 and float32; weights are exact, and 0 where there are fewer.
    n_total : int
        All lines with a weight above zero, kept or not.
    mass : Tensor
        ``[maps]``: sum of all weights of each map, those to its sinks too unless they are hidden.
    elsewhere : float
        Share of the mass that is not between the sentences that are drawn; 0 = all of it is.
    undefined : Tensor
        ``[rows]`` bool: rows that may look nowhere.
    sinks : dict
        See :meth:`SinksPart.part`.
    pooled : Tensor
        ``[height, width]`` uint8: how strong the lines are in each part of the picture.
    """

    heads: Int[Tensor, " head"]
    n_keys: int
    keys: Int[Tensor, "map row k"]
    weights: Float[Tensor, "map row k"]
    n_total: int
    mass: Float[Tensor, " map"]
    elsewhere: float
    undefined: Bool[Tensor, " row"]
    sinks: dict[str, Any]
    pooled: Tensor

    @property
    def nbytes(self) -> int:
        """Bytes of its tensors."""
        return self.keys.nbytes + self.weights.nbytes + self.pooled.nbytes

    @property
    def mass_is_drawn(self) -> bool:
        """Whether nothing of the mass is set aside."""
        aside = self.sinks["mode"] == "aside" and self.sinks["share"] > 0
        return not aside and self.elsewhere == 0

    @property
    def n_rows(self) -> int:
        """Units that look."""
        return self.weights.shape[1]

    def scale(self) -> float:
        """Weight that is drawn in full: nineteen of twenty rows have no stronger line.

        Where sinks or sentences stand aside it is 0.05 or more: what a head that looks at its sinks
        alone has left must not look like a pattern.
        """
        strongest = self.weights[..., 0].flatten()
        strongest = strongest[strongest > 0]
        if not len(strongest):
            return 1.0
        least = 0.0 if self.mass_is_drawn else _LEAST_BESIDE_SINKS
        return max(least, float(strongest.quantile(_STRONG)))

    def shown(self, rule: Rule) -> dict[str, Any]:
        """Return how many lines a rule draws of the whole text, and their share of the mass."""
        drawn = rule.drawn(self.weights)
        n, mass = int(drawn.sum()), float(self.mass.double().sum())
        # A part that is not all is below 1, whatever the rounding of the sums.
        carried = float(self.weights[drawn].double().sum()) / mass if mass else 0.0
        all_of_it = n == self.n_total and self.mass_is_drawn
        return {"n": n, "mass": 1.0 if all_of_it else min(1 - 1e-9, carried)}


@answered
def lines_frame(
    trace: Trace, asked: Selection, sinks: Wanted, rule: Rule, sentences: Sentences = "all"
) -> dict[str, Any]:
    """Make the frame of AttentionLines.

    Parameters
    ----------
    trace : Trace
    asked : Selection
        The heads to draw, each by itself or combined.
    sinks : {"auto", "aside", "shown", "hidden"}
        What is done with sinks.
    rule : Rule
        What the number and share of lines in the frame are said of.
    sentences : {"all", "AA", "BB", "AB", "BA"}
        Of a pair, whose attention to which is drawn.

    Returns
    -------
    dict
        ``lines``: of every map and row the ``per_row`` strongest, at most about 20,000 in all, with
        exact weights; of texts over 400 units those of the first 128 rows (``lines_chunk`` has the
        rest). ``shown``: how many of all lines the rule draws, and their share. ``scale``: the
        weight that is drawn in full. ``elsewhere``: share of the attention that is not between the
        sentences drawn. ``together``: of how many units an answer has the fans.
        Thumbnails show every head of the layer.
    """
    lines = strongest_lines(trace, asked, sinks, sentences)
    call = run_of(trace).call(asked.layer, asked.kind)
    arrays, part = _chunk(lines, 0)
    heads = attention_map(run_of(trace), replace(asked, aggregate=None))
    return {
        "key": frame_key(asked, sinks, sentences),
        "kind": "lines",
        "n_heads": call.n_heads,
        "heads": pack(lines.heads, torch.uint16),
        "lines": {**arrays, **part},
        "chunk_rows": _rows_of_a_chunk(lines),
        "per_row": lines.weights.shape[2],
        "n_total": lines.n_total,
        "rule": {"top_k": rule.top_k, "threshold": rule.threshold},
        "shown": lines.shown(rule),
        "scale": lines.scale(),
        "faintest": FAINTEST,
        "together": units_together(heads, lines.weights.shape[0]),
        "mass": pack(lines.mass, torch.float32),
        "elsewhere": lines.elsewhere,
        "sinks": lines.sinks,
        "minimap": pack(lines.pooled, torch.uint8),
        "thumbnails": pack(head_pictures(trace, asked), torch.uint8),
        "undefined_rows": pack(lines.undefined, torch.uint8),
        "row_sums_note": _sinks_note(call),
    }


def frame_key(asked: Selection, sinks: Wanted, sentences: Sentences) -> dict[str, Any]:
    """Return the state that a frame of lines answers."""
    aggregate = asked.aggregate or "separate"
    return {**asked.key, "aggregate": aggregate, "sinks": sinks, "sentences": sentences}


@answered
def lines_chunk(
    trace: Trace, asked: Selection, sinks: Wanted, sentences: Sentences, chunk: int
) -> tuple[dict[str, Any], dict[str, Packed]]:
    """Return a later part of a frame: the lines of 128 rows, and those that arrive at their units.

    Arrivals are lines of rows outside the part to columns within it, the strongest four of each.
    """
    arrays, part = _chunk(strongest_lines(trace, asked, sinks, sentences), chunk)
    return part, arrays


@answered
def strongest_lines(
    trace: Trace, asked: Selection, sinks: Wanted, sentences: Sentences = "all"
) -> Lines:
    """Find of every map and row the keys that it looks at most, its sinks aside."""
    run = run_of(trace)
    return run.store.remember(
        ("lines", asked, sinks, sentences, LINE_BUDGET, WHOLE_ROWS),
        lambda: _found(trace, asked, sinks, sentences),
    )


def _found(trace: Trace, asked: Selection, wanted: Wanted, sentences: Sentences) -> Lines:
    heads = attention_map(run_of(trace), asked)
    pair = between(trace, asked.kind, asked.unit, sentences, heads.device)
    sinks = SinksPart(trace, asked, wanted, pair)
    per_row = _lines_per_row(heads.n_maps, heads.n_rows, heads.n_columns)
    shape = (heads.n_maps, heads.n_rows, per_row)
    keys = torch.zeros(shape, dtype=torch.int32, device=heads.device)
    weights = torch.zeros(shape, dtype=torch.float32, device=heads.device)
    undefined = torch.zeros(heads.n_rows, dtype=torch.bool, device=heads.device)
    mass, kept = torch.zeros(2, heads.n_maps, dtype=torch.float32, device=heads.device)
    n_total = torch.zeros((), dtype=torch.int64, device=heads.device)
    pooling = heads.pooling(size=_MINIMAP, pool="mean")
    with undisturbed(heads.device):
        for place, block in heads.blocks():
            undefined[place] = block.sum(dim=-1).isnan().all(dim=0)
            drawn = sinks.take(place, block)
            # What is hidden is no part of the whole that shares are of.
            whole = drawn if sinks.mode == "hidden" else block
            mass += whole.nansum(dim=(1, 2))
            if pair is not None:
                kept += pair.of(whole, place).nansum(dim=(1, 2))
                drawn = pair.of(drawn, place)
            pooling.add(place, drawn)
            clean = drawn.nan_to_num_(0.0)
            n_total += torch.count_nonzero(clean)
            top = clean.topk(min(per_row, clean.shape[-1]), dim=-1)
            weights[:, place, : top.values.shape[-1]] = top.values.float()
            keys[:, place, : top.values.shape[-1]] = top.indices.int()
    return Lines(
        heads=torch.tensor(list(heads.heads)),
        n_keys=heads.n_columns,
        keys=keys,
        weights=weights,
        n_total=int(n_total),
        mass=mass,
        elsewhere=0.0 if pair is None else _elsewhere(kept, mass),
        undefined=undefined,
        sinks=sinks.part(),
        pooled=_as_bytes(pooling.result().values.nan_to_num(0.0).mean(dim=0)),
    )


def _elsewhere(kept: Float[Tensor, " map"], mass: Float[Tensor, " map"]) -> float:
    return float((1 - kept.sum() / mass.sum().clamp_min(1e-30)).clamp(0, 1))


def _lines_per_row(n_maps: int, n_rows: int, n_columns: int) -> int:
    whole = n_rows <= WHOLE_ROWS
    in_frame = n_rows if whole else CHUNK_ROWS
    most = n_columns if whole else min(n_columns, _MOST_OF_LONG_ROWS)
    return max(1, min(most, LINE_BUDGET // (n_maps * in_frame)))


def _rows_of_a_chunk(lines: Lines) -> int:
    return lines.n_rows if lines.n_rows <= WHOLE_ROWS else CHUNK_ROWS


def _chunk(lines: Lines, chunk: int) -> tuple[dict[str, Packed], dict[str, Any]]:
    """Return the lines of some rows, and the strongest ones of other rows to these units."""
    size = _rows_of_a_chunk(lines)
    (chunk,) = positions([chunk], -(-max(lines.n_rows, lines.n_keys) // size))
    start, stop = chunk * size, (chunk + 1) * size
    of_map, row, rank = _arrivals(lines, start, stop)
    keys = index_dtype(lines.n_keys)
    arrays = {
        "key": pack(lines.keys[:, start:stop], keys),
        "weight": pack(lines.weights[:, start:stop], torch.float32),
        "from_row": pack(row, torch.uint32),
        "from_map": pack(of_map, torch.uint16),
        "from_rank": pack(rank, torch.uint16),
        "from_key": pack(lines.keys[of_map, row, rank], keys),
        "from_weight": pack(lines.weights[of_map, row, rank], torch.float32),
    }
    return arrays, {"chunk": chunk, "first": start}


def _arrivals(lines: Lines, start: int, stop: int) -> tuple[Tensor, Tensor, Tensor]:
    """Where the strongest lines of other rows to some columns are: their map, row and rank."""
    arrives = (lines.keys >= start) & (lines.keys < stop) & (lines.weights > 0)
    arrives[:, start:stop] = False
    of_map, row, rank = torch.nonzero(arrives, as_tuple=True)
    strongest_first = lines.weights[of_map, row, rank].argsort(descending=True, stable=True)
    at = (of_map, row, rank)
    by_column = lines.keys[at][strongest_first].argsort(stable=True)
    order = strongest_first[by_column]
    column = lines.keys[at][order]
    place = torch.arange(len(column), device=column.device)
    first = torch.searchsorted(column, column)  # where each column begins
    kept = order[(place - first) < _ARRIVALS_A_COLUMN]
    weight = lines.weights[of_map[kept], row[kept], rank[kept]]
    kept = kept[weight.argsort(descending=True, stable=True)[:_ARRIVALS]]
    return of_map[kept], row[kept], rank[kept]


def _as_bytes(values: Float[Tensor, "height width"]) -> Tensor:
    full = values.flatten().float().quantile(_FULL_OF_PIXELS).clamp_min(1e-30)
    return (values / full * 255).round().clamp(max=255).to(torch.uint8)


def _sinks_note(call: AttentionCall) -> str:
    rest = call.remainder
    return f"Rows sum to less than 1: {rest} take the rest." if rest else ""
