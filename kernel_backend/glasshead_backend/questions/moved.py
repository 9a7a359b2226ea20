"""How much each head moves, and what some heads write into the residual stream."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import torch

from glasshead_backend.checks import positions, require
from glasshead_backend.maps.attention_map import Cell, Combine, Moved
from glasshead_backend.questions.attention import attention_map
from glasshead_backend.questions.values import Values, find_values
from glasshead_backend.running.threads import undisturbed
from glasshead_backend.tracing.room import require_room_to_record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.asking import Kind, Selection
    from glasshead_backend.tracing.run import Run


def moved_norms(
    run: Run,
    asked: Selection,
    rows: Sequence[int] | None = None,
    *,
    aggregate: Literal["sum"] | None = None,
) -> Float[Tensor, "*head query key"]:
    """Compute the norms of what heads move, ``|| a v W_O ||``; see :meth:`Trace.moved_norms`."""
    require(aggregate, (None, "sum"), "aggregate")
    of = attention_map(run, asked).narrowing("heads", "rows")
    of = replace(of, combine=Combine(aggregate))
    wanted = positions(rows, of.n_rows)
    of.require_room_for(len(wanted))
    values = values_of(run, asked.layer, asked.kind)
    chosen = torch.as_tensor(list(of.heads), device=values.value.device)

    def gram_of_values() -> Tensor:
        with run.model_again():  # for the projection
            return values.gram()

    gram = run.store.remember(("gram", asked.layer, asked.kind), gram_of_values)
    moved = Moved(gram[:, chosen][:, :, chosen], values.behind.scale)
    of = replace(of, cell=Cell(moved=moved))
    found = of.whole(wanted)
    return found if aggregate is None else found[0]


@torch.no_grad()
def written_by_heads(run: Run, asked: Selection) -> Float[Tensor, "token hidden"]:
    """Compute what some heads write: ``sum_h W_O[h] (A_h V_h)``."""
    values = values_of(run, asked.layer, asked.kind)
    of = attention_map(run, asked)
    value = values.value.to(of.dtype)
    # Query heads may share value heads.
    own = value[[head // (values.n_heads // len(value)) for head in of.heads]]
    shape = (of.n_rows, values.n_heads, value.shape[-1])
    gathered = torch.zeros(shape, dtype=value.dtype, device=value.device)
    with undisturbed(value.device):
        for place, weights in of.blocks():
            some = weights.nan_to_num_(0.0) @ own[:, : weights.shape[-1]]
            gathered[place, list(of.heads)] = some.transpose(0, 1)
    gathered[:, list(values.off)] = 0.0
    flat = gathered.flatten(1).to(values.value.dtype)
    with run.model_again():
        moved = values.moved(flat)
    scale = values.behind.scale
    return moved if scale is None else (moved * scale[:, None]).to(flat.dtype)


def values_of(run: Run, layer: int, kind: Kind) -> Values:
    """Return the values of a layer; those of all layers are kept the first time.

    Raises
    ------
    ValueError
        When they cannot be known; the message says why.
    ModelChangedError
        When they are not kept yet and the model has changed.
    """
    run.call(layer, kind)  # says which layers there are
    of_all: dict[Kind, dict[int, Values | str]] | None = run.store.get("values")
    if of_all is None:
        with run.model_again() as model:
            require_room_to_record(run.subject, [run.sides], "values")
            of_all = find_values(model, run.anatomy.structure, run.inputs, run.calls)
        run.store.keep("values", of_all)
    values = of_all[kind][layer]
    if isinstance(values, str):
        raise ValueError(values)  # noqa: TRY004  a model's trait, not a caller's type
    off = () if run.ablated is None else tuple(run.ablated.off_in(kind, layer))
    return replace(values, off=off) if off else values
