"""The sentences of a pair in a picture: attention from one of them to one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Bool, Float
    from torch import Tensor

    from glasshead_backend.asking import Kind, Side, Unit
    from glasshead_backend.trace import Trace

Sentences = Literal["all", "AA", "BB", "AB", "BA"]
"""Whose attention is drawn: "AB" = rows of sentence A, columns of sentence B; "all" = all."""

SENTENCES: tuple[Sentences, ...] = ("all", "AA", "BB", "AB", "BA")


@dataclass(frozen=True, eq=False)
class Between:
    """The rows of one sentence and the columns of one.

    Attributes
    ----------
    rows, columns : Tensor
        ``[rows]`` and ``[columns]`` bool, on the device of the map.
    """

    rows: Bool[Tensor, " row"]
    columns: Bool[Tensor, " column"]

    def of(
        self, block: Float[Tensor, "map row visible"], rows: slice | Sequence[int]
    ) -> Float[Tensor, "map row visible"]:
        """Return a block of these rows in which all else has no weight; undefined rows stay so."""
        kept = self.rows[rows][:, None] & self.columns[: block.shape[-1]]
        return block * kept.to(block.dtype)


def between(
    trace: Trace, kind: Kind, unit: Unit, sentences: Sentences, device: torch.device
) -> Between | None:
    """Return which rows and columns are drawn; None = all.

    Raises
    ------
    ValueError
        Where rows and columns are not of a sentence pair.
    """
    if sentences == "all":
        return None
    rows, columns = (segments(trace, side, kind, unit) for side in ("query", "key"))
    if rows is None or columns is None:
        raise ValueError(not_a_pair(trace, kind, sentences))
    return Between(
        torch.tensor(rows, device=device) == "AB".index(sentences[0]),
        torch.tensor(columns, device=device) == "AB".index(sentences[1]),
    )


def is_pair(trace: Trace, kind: Kind) -> bool:
    """Whether rows and columns are of a sentence pair."""
    return all(segments(trace, side, kind, "token") is not None for side in ("query", "key"))


def not_a_pair(trace: Trace, kind: Kind, sentences: str) -> str:
    """Say why attention between sentences is not to be had here, and the way out."""
    of = f"the {kind} attention of this trace" if len(run_of(trace).sides.all) > 1 else "this trace"
    return (
        f"sentences={sentences!r} is of sentence pairs, and {of} is not of one: "
        'trace a pair, lens.trace(first, second) with an encoder such as BERT, or set "all".'
    )


def segments(trace: Trace, side: Side, kind: Kind, unit: Unit) -> list[int] | None:
    """Return of every unit its sentence, 0 or 1; None where there is no pair."""
    sides = run_of(trace).sides
    own = sides.of(side, kind).segments
    if own is None or 0 not in own or 1 not in own:
        return None
    return [own[token] for token in sides.first_tokens(side, kind, unit)]
