"""Attention weights of any layer, heads and rows, by tokens or by words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import torch

from glasshead_backend.answering import answered
from glasshead_backend.asking import Aggregate, Pool, Precision, Selection, Unit
from glasshead_backend.checks import at_least_one, positions, require, several, stretch
from glasshead_backend.data_frames import table
from glasshead_backend.maps.attention_map import AttentionMap, Cell, Combine, Limits
from glasshead_backend.maps.sinks import find_sinks
from glasshead_backend.maps.units import Units
from glasshead_backend.progress import steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.asking import Kind, Side
    from glasshead_backend.maps.attention_map import Strongest
    from glasshead_backend.maps.pooling import Pooled
    from glasshead_backend.maps.sinks import Sinks
    from glasshead_backend.tracing.run import Run


def select(
    run: Run,
    layer: int,
    heads: int | Sequence[int] | None = None,
    *,
    kind: Kind | None = None,
    unit: Unit = "token",
    aggregate: Aggregate | None = None,
) -> Selection:
    """Return as a value what a user's keywords ask for.

    Raises
    ------
    ValueError
        For a kind that is not there, and for no heads at all.
    """
    chosen = () if heads is None else tuple(several(heads, "head"))
    if heads is not None and not chosen:
        raise ValueError("heads is empty: name at least one, or leave it out for all.")
    return Selection(run.kind(kind), layer, chosen, unit, aggregate)


def attention_map(
    run: Run,
    asked: Selection,
    *,
    ignore_zeros: bool = False,
    scores: bool = False,
    precision: Precision = "model",
) -> AttentionMap:
    """Return the attention asked for as a map that is not computed yet, to be read in blocks.

    Parameters
    ----------
    run : Run
    asked : Selection
    ignore_zeros, scores, precision
        As for :class:`AttentionMap`.

    Raises
    ------
    ValueError
        For a layer, head or unit that is not there; the message says which are.
    """
    call = run.call(asked.layer, asked.kind)
    require(asked.aggregate, (None, *get_args(Aggregate)), "aggregate")
    require(asked.unit, get_args(Unit), "unit")
    require(precision, get_args(Precision), "precision")
    if scores and asked.unit == "word":
        raise ValueError(
            "Scores before the softmax have no meaning summed over words. "
            "Use unit='token' with scores=True."
        )
    for head in asked.heads:
        if not 0 <= head < call.n_heads:
            raise ValueError(
                f"head {head} is out of range: layer {asked.layer} of {run.subject.name} has heads "
                f"0-{call.n_heads - 1}."
            )
    return AttentionMap(
        call=call,
        heads=asked.heads or range(call.n_heads),
        queries=units_of(run, "query", asked.kind, asked.unit),
        keys=units_of(run, "key", asked.kind, asked.unit),
        cell=Cell(scores, precision),
        combine=Combine(asked.aggregate, ignore_zeros),
        limits=Limits(f"{asked.kind} attention of layer {asked.layer}", run.subject.memory_budget),
    )


def units_of(run: Run, side: Side, kind: Kind, unit: Unit) -> Units:
    """Return what the rows or columns of a map stand for."""
    n_tokens = len(run.sides.of(side, kind).tokens)
    words = run.sides.unit_of_token(side, kind, "word") if unit == "word" else None
    return Units(n_tokens, words)


@answered
def attention(
    run: Run,
    asked: Selection,
    rows: Sequence[int] | None = None,
    *,
    scores: bool = False,
    precision: Precision = "model",
) -> Float[Tensor, "*head query key"]:
    """Compute the weights of some rows, or all; see :meth:`Trace.attention`."""
    of = attention_map(run, asked, scores=scores, precision=precision)
    of = of.narrowing("heads", "mean", "rows", "picture")
    found = of.whole(positions(rows, of.n_rows))
    return found if asked.aggregate is None else found[0]


@answered
def pooled_attention(
    run: Run,
    asked: Selection,
    *,
    queries: tuple[int, int] | None = None,
    keys: tuple[int, int] | None = None,
    size: int = 512,
    pool: Pool = "max",
) -> Pooled:
    """Pool a map, or a part of it, to a picture; see :meth:`Trace.pooled_attention`."""
    require(pool, get_args(Pool), "pool")
    size = at_least_one(size, "size", "pixel")
    of = attention_map(run, asked)
    rows = stretch(queries, of.n_rows, "queries")
    columns = stretch(keys, of.n_columns, "keys")
    return of.pooled(rows, columns, size=size, pool=pool)


@answered
def strongest_keys(
    run: Run, asked: Selection, k: int, rows: Sequence[int] | None = None
) -> Strongest:
    """Find what every query looks at most; see :meth:`Trace.strongest_keys`."""
    k = at_least_one(k, "k", "key of every row")
    of = attention_map(run, asked).narrowing("heads", "mean", "rows")
    return of.strongest(k, positions(rows, of.n_rows))


@answered
def token_attention(
    run: Run,
    position: int,
    *,
    kind: Kind | None = None,
    direction: Literal["from", "to"] = "from",
    unit: Unit = "token",
) -> Float[Tensor, "layer head other"]:
    """Compute one token's row or column in all layers; see :meth:`Trace.token_attention`."""
    require(direction, ("from", "to"), "direction")
    layers = run.layers(kind)
    other: list[Tensor] = []
    for layer in steps(layers, "computing all layers", len(layers)):
        of = attention_map(run, select(run, layer, kind=kind, unit=unit))
        if direction == "from":
            other.append(of.whole(positions([position], of.n_rows))[:, 0])
        else:
            other.append(of.column(positions([position], of.n_columns)))
    most = max(weights.shape[0] for weights in other)
    padded = [
        torch.nn.functional.pad(w, (0, 0, 0, most - w.shape[0]), value=torch.nan) for w in other
    ]
    return torch.stack([weights.to(padded[0].device) for weights in padded])


def sinks(run: Run, asked: Selection) -> Sinks:
    """Find the columns that take much of the attention of nearly every row, once."""
    return run.store.remember(("sinks", asked), lambda: _found_sinks(run, asked))


def _found_sinks(run: Run, asked: Selection) -> Sinks:
    sequence = run.sides.of("key", asked.kind)
    firsts = run.sides.first_tokens("key", asked.kind, asked.unit)
    return find_sinks(
        attention_map(run, asked),
        causal=run.is_causal(asked.kind),
        own=run.sides.of("query", asked.kind) is sequence,
        marked=torch.tensor([sequence.tokens[i].special for i in firsts]),
    )


@answered
def sinks_table(run: Run, asked: Selection) -> pd.DataFrame:
    """Name the sinks; see :meth:`Trace.sinks`."""
    found = sinks(run, asked)
    of_map, column = found.columns.nonzero(as_tuple=True)
    labels = run.sides.labels("key", asked.kind, asked.unit)
    heads = asked.heads or range(run.call(asked.layer, asked.kind).n_heads)
    each = asked.aggregate is None
    named = {"head": [heads[i] for i in of_map.tolist()]} if each else {}
    return table(
        {
            **named,
            "position": column.tolist(),
            asked.unit: [labels[i] for i in column.tolist()],
            "weight": found.mean[of_map, column].cpu().numpy(),
        }
    )


@answered
def notable_pairs(
    run: Run, asked: Selection, threshold: float, *, ignore_zeros: bool
) -> pd.DataFrame:
    """Find all pairs that reach a threshold; see :meth:`Trace.notable_pairs`."""
    if not isinstance(threshold, (int, float)) or not 0 <= threshold <= 1:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError(f"threshold {threshold!r} is out of range: weights lie from 0 to 1.")
    require(asked.aggregate, get_args(Aggregate), "aggregate")
    found = attention_map(run, asked, ignore_zeros=ignore_zeros).at_least(threshold)
    sources = run.sides.labels("query", asked.kind, asked.unit)
    targets = run.sides.labels("key", asked.kind, asked.unit)
    row, column = found.row.tolist(), found.column.tolist()
    pairs = table(
        {
            "source": [sources[i] for i in row],
            "target": [targets[i] for i in column],
            "score": found.weight.cpu().numpy(),
            "source_position": found.row.cpu().numpy(),
            "target_position": found.column.cpu().numpy(),
        }
    )
    predicted = run.sides.predictions(asked.kind, asked.unit)
    if predicted is not None:
        pairs.insert(1, "predicted", [predicted[i] for i in row])
    return pairs
