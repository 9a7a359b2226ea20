"""The picture of activations: tokens by dimensions, never more of them than a screen shows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import torch

from glasshead_backend.answering import answered, travels
from glasshead_backend.frames.activation_sizes import Sizes, sizes_of
from glasshead_backend.frames.dimension_order import by_likeness, by_size
from glasshead_backend.frames.pack import index_dtype, pack
from glasshead_backend.questions.activations import activations, layers_by_block, sequence_of
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float, Int
    from torch import Tensor

    from glasshead_backend.asking import ActivationBlock, Kind
    from glasshead_backend.frames.pack import Packed
    from glasshead_backend.trace import Trace

Sort = Literal["dimension", "largest", "cluster"]

MOST_ROWS, MOST_COLUMNS = 512, 1024
"""Most pixels of a picture."""

_CELLS_AT_ONCE = 1 << 21
_OUTLIER_TIMES = 6
_ONE_TOKEN = 0.9
"""Share of a dimension's squares from which on a single token makes it an outlier."""
_NAMED = 3
"""Outliers of a single token that a note names."""

OUTLIERS_WORDS = (
    f"Outlier dimensions: their root mean square over tokens is at least {_OUTLIER_TIMES} times "
    "the median of all dimensions."
)


@travels
@dataclass(frozen=True)
class ActivationsAsked:
    """What is shown: a block of a layer, and the order of its dimensions."""

    kind: Kind
    layer: int
    block: ActivationBlock
    sort: Sort = "dimension"

    @property
    def key(self) -> dict[str, Any]:
        """How a frame says what it is of."""
        return {"kind": self.kind, "layer": self.layer, "block": self.block, "sort": self.sort}


@answered
def activations_frame(trace: Trace, asked: ActivationsAsked) -> dict[str, Any]:
    """Make the frame of ActivationMap.

    Parameters
    ----------
    trace : Trace
    asked : ActivationsAsked

    Returns
    -------
    dict
        What :func:`activations_about` returns, ``key``; ``order`` ``[dims]``, the dimension in each
        column; the picture of the whole map as :func:`activations_tile` returns it; ``note``.
    """
    order, note = dimension_order(trace, asked)
    about = activations_about(trace, asked)
    tokens, dims = about["tokens"], about["dimensions"]
    place, values = activations_tile(trace, asked, (0, tokens), (0, dims))
    return {
        **about,
        **place,
        "order": pack(order, index_dtype(dims)),
        "values": values["values"],
        "note": " ".join(filter(None, [about["note"], note])),
    }


@answered
def activations_about(trace: Trace, asked: ActivationsAsked) -> dict[str, Any]:
    """Describe a map, whatever the order of its dimensions.

    Returns
    -------
    dict
        ``block``, ``blocks`` and ``layers`` to choose from; ``side`` that the tokens belong to;
        ``tokens``, ``dimensions``; ``rms`` ``[dims]``, root mean square over tokens; ``norms``
        ``[tokens]``, L2; ``outliers``, dimensions, by the rule that ``outliers_words`` says;
        ``bound`` where colours end (see :class:`Sizes`); ``beyond``, the share of numbers beyond
        it; ``largest`` size; ``note``.
    """
    run = run_of(trace)
    there = layers_by_block(run, asked.kind)
    sizes = _sizes(trace, asked)
    outliers = _outliers(sizes)
    sequence = sequence_of(run, asked.kind)
    texts = [token.text for token in sequence.tokens]
    return {
        "kind": "activations",
        "block": asked.block,
        "blocks": list(there),
        "layers": there.get(asked.block, []),
        "side": sequence.name,
        "tokens": len(sizes.norms),
        "dimensions": len(sizes.rms),
        "rms": pack(sizes.rms, torch.float32),
        "norms": pack(sizes.norms, torch.float32),
        "outliers": pack(outliers, torch.uint32),
        "outliers_words": OUTLIERS_WORDS,
        "bound": sizes.bound,
        "beyond": sizes.beyond,
        "largest": sizes.largest,
        "note": _note(sizes, outliers, texts),
    }


@answered
def activations_tile(
    trace: Trace, asked: ActivationsAsked, rows: tuple[int, int], columns: tuple[int, int]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """One viewport of the map, at the best resolution that fits 512 x 1024.

    Parameters
    ----------
    rows, columns : tuple of int
        Half-open ranges of tokens and of places in the order of dimensions.

    Returns
    -------
    place : dict
        ``row0`` to ``column1``, ``per_row`` and ``per_column``: tokens and dimensions in a pixel.
    arrays : dict
        ``values`` ``[height, width]`` float32: of a pixel the number that is largest in size.

    Raises
    ------
    ValueError
        For a viewport that is empty or not within the map.
    """
    values = _values(trace, asked)
    for (start, stop), whole, what in (
        (rows, values.shape[0], "tokens"),
        (columns, values.shape[1], "dimensions"),
    ):
        if not 0 <= start < stop <= whole:
            raise ValueError(f"{what} {start} to {stop} are no part of 0 to {whole}.")
    order, _ = dimension_order(trace, asked)
    per_row = -(-(rows[1] - rows[0]) // MOST_ROWS)
    per_column = -(-(columns[1] - columns[0]) // MOST_COLUMNS)
    picture = largest_of_pixels(values[slice(*rows)], order[slice(*columns)], per_row, per_column)
    place = {
        "row0": rows[0],
        "row1": rows[1],
        "column0": columns[0],
        "column1": columns[1],
        "per_row": per_row,
        "per_column": per_column,
        "key": asked.key,
    }
    return place, {"values": pack(picture, torch.float32)}


@answered
def activations_stored(
    trace: Trace, asked: ActivationsAsked, *, most_clustered: int
) -> tuple[Float[Tensor, "token dim"], dict[str, Any]]:
    """Return all numbers, by dimension, and what a page must know to draw them in any order.

    Parameters
    ----------
    trace : Trace
    asked : ActivationsAsked
    most_clustered : int
        With more dimensions than that, only the order that is asked for is computed: clustering
        takes long.

    Returns
    -------
    values : Tensor
        float32, on the CPU.
    about : dict
        ``orders``, by name; "cluster" may be None. ``frame``: :func:`activations_about`.
    """
    values = _values(trace, asked).float().cpu()
    n_dims = values.shape[1]
    orders: dict[str, Packed | None] = {"largest": None, "cluster": None}
    for sort in ("largest", "cluster"):
        if sort in ("largest", asked.sort) or n_dims <= most_clustered:
            order, _ = dimension_order(trace, replace(asked, sort=sort))
            orders[sort] = pack(order, index_dtype(n_dims))
    return values, {"orders": orders, "frame": activations_about(trace, asked)}


@answered
def activations_table(trace: Trace, asked: ActivationsAsked) -> pd.DataFrame:
    """Return all numbers, with tokens as index and dimensions as columns, in their order."""
    import pandas as pd  # noqa: PLC0415  loaded when it is needed

    order, _ = dimension_order(trace, asked)
    tokens = sequence_of(run_of(trace), asked.kind).tokens
    values = _values(trace, asked).float().cpu()[:, order]
    return pd.DataFrame(
        values.numpy(),
        index=pd.Index([token.text for token in tokens], name="token"),
        columns=pd.Index(order.tolist(), name="dimension"),
    )


@answered
def largest_dimensions(trace: Trace, asked: ActivationsAsked, n: int) -> list[tuple[int, float]]:
    """Return the largest dimensions with their root mean squares, largest first."""
    rms = _sizes(trace, asked).rms
    return [(dimension, float(rms[dimension])) for dimension in by_size(rms)[:n].tolist()]


@answered
def n_dimensions(trace: Trace, asked: ActivationsAsked) -> int:
    """Return how many dimensions a block has."""
    return _values(trace, asked).shape[1]


def largest_of_pixels(
    values: Float[Tensor, "token dim"],
    dimensions: Int[Tensor, " column"],
    per_row: int,
    per_column: int,
) -> Float[Tensor, "height width"]:
    """Return of every pixel the number that is largest in size; of equals the positive one."""
    n_columns = len(dimensions)
    chosen = dimensions.to(values.device)
    step = per_row * max(1, _CELLS_AT_ONCE // (per_row * n_columns))
    pixels: list[Tensor] = []
    for rows in values.split(step):
        part = rows[:, chosen].float()
        part = torch.nn.functional.pad(part, (0, -n_columns % per_column, 0, -len(part) % per_row))
        cells = part.unflatten(1, (-1, per_column)).unflatten(0, (-1, per_row))
        above, below = cells.amax(dim=(1, 3)), cells.amin(dim=(1, 3))
        pixels.append(torch.where(above >= -below, above, below))
    return torch.cat(pixels)


def dimension_order(trace: Trace, asked: ActivationsAsked) -> tuple[Int[Tensor, " dim"], str]:
    """Return the dimension in each column, and what must be said of that order."""
    rms = _sizes(trace, asked).rms
    if asked.sort == "dimension":
        return torch.arange(len(rms)), ""
    if asked.sort == "largest":
        return by_size(rms), ""
    run = run_of(trace)
    return run.store.remember(
        ("dimensions clustered", *_place(trace, asked)),
        lambda: by_likeness(_values(trace, asked), rms),
    )


def _values(trace: Trace, asked: ActivationsAsked) -> Float[Tensor, "token dim"]:
    return activations(run_of(trace), asked.layer, asked.block, kind=asked.kind)


def _sizes(trace: Trace, asked: ActivationsAsked) -> Sizes:
    place = ("activation sizes", *_place(trace, asked))
    return run_of(trace).store.remember(place, lambda: sizes_of(_values(trace, asked)))


def _place(trace: Trace, asked: ActivationsAsked) -> tuple[Any, ...]:
    # What was stored again, in another dtype, has other numbers.
    dtype = _values(trace, asked).dtype
    return asked.kind, asked.layer, asked.block, dtype


def _outliers(sizes: Sizes) -> Int[Tensor, " dim"]:
    """Return the dimensions that are far larger than the others, ascending."""
    middle = sizes.rms.nanmedian()
    return ((sizes.rms >= _OUTLIER_TIMES * middle) & (middle > 0)).nonzero()[:, 0]


def _note(sizes: Sizes, outliers: Int[Tensor, " dim"], texts: list[str]) -> str:
    """Say which outliers a single token makes, and of numbers that are none."""
    massive = outliers[sizes.share_of_largest[outliers] > _ONE_TOKEN] if len(texts) > 1 else []
    by_token: dict[int, list[int]] = {}
    for dimension in [int(one) for one in massive]:
        by_token.setdefault(int(sizes.largest_token[dimension]), []).append(dimension)
    said: list[str] = []
    for token, dimensions in by_token.items():
        named = ", ".join(map(str, dimensions[:_NAMED]))
        more = len(dimensions) - _NAMED
        noun = "dimension" if len(dimensions) == 1 else "dimensions"
        rest = f" and {more} more" if more > 0 else ""
        said.append(f"token {token} (“{texts[token]}”) in {noun} {named}{rest}")
    notes = [f"Massive activations of single tokens: {'; '.join(said[:_NAMED])}."] if said else []
    if sizes.n_undefined:
        notes.append(f"{sizes.n_undefined:,} numbers are not finite.")
    return " ".join(notes)
