"""What a chart shows of a single layer: small figures beside its lines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float, Int
    from torch import Tensor

    from glasshead_backend.statistics.chart import Choice


@dataclass(frozen=True, eq=False)
class Mark:
    """A value that stands out."""

    value: float
    label: str


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts or shares in bins, of one group or several.

    Attributes
    ----------
    positions : sequence of sequence of int
        The tokens of every bin, which a click selects in linked views; empty = no click.
    """

    title: str
    x: str
    y: str
    edges: Float[Tensor, " edge"]
    series: Sequence[Choice]
    values: Float[Tensor, "series bin"]
    mark: Mark | None = None
    positions: Sequence[Sequence[int]] = ()
    words: str = ""
    type: Literal["histogram"] = field(default="histogram", init=False)


@dataclass(frozen=True, eq=False)
class Scatter:
    """Points of one group or several; those of a series named "trimmed" are drawn as left out."""

    title: str
    x: str
    y: str
    series: Sequence[Choice]
    points_x: Float[Tensor, " point"]
    points_y: Float[Tensor, " point"]
    points_series: Int[Tensor, " point"]
    words: str = ""
    type: Literal["scatter"] = field(default="scatter", init=False)


@dataclass(frozen=True, eq=False)
class Curve:
    """A value that depends on a number: lines through points."""

    title: str
    x: str
    y: str
    series: Sequence[Choice]
    points_x: Float[Tensor, " point"]
    values: Float[Tensor, "series point"]
    words: str = ""
    type: Literal["curve"] = field(default="curve", init=False)


@dataclass(frozen=True, eq=False)
class Bars:
    """One value for each of several things.

    Attributes
    ----------
    clickable : {"head", "positions", ""}
        What a click on a bar selects in linked views.
    x : str
        What the things are.
    positions : sequence of sequence of int
        The tokens of every bar, where a click selects them.
    """

    title: str
    y: str
    labels: Sequence[str]
    values: Float[Tensor, " bar"]
    clickable: Literal["head", "positions", ""] = ""
    x: str = ""
    positions: Sequence[Sequence[int]] = ()
    words: str = ""
    type: Literal["bars"] = field(default="bars", init=False)


@dataclass(frozen=True, eq=False)
class Grid:
    """A value for every pair of places; a click on a cell selects the two.

    Attributes
    ----------
    values : Tensor
        ``[places, places]``; NaN where there is none.
    positions : sequence of int
        The tokens that are the places.
    pair : tuple of int, optional
        The cell, as row and column, that other panels are of.
    unit : str
    """

    title: str
    unit: str
    positions: Sequence[int]
    values: Float[Tensor, "place place"]
    pair: tuple[int, int] | None = None
    words: str = ""
    type: Literal["grid"] = field(default="grid", init=False)


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of words."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: str = ""
    type: Literal["table"] = field(default="table", init=False)


Panel = Histogram | Scatter | Curve | Bars | Grid | Table
