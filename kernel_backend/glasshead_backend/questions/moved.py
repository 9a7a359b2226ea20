"""How much each head moves, and the values that it moves."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import torch

from glasshead_backend.answering import answered
from glasshead_backend.checks import positions, require
from glasshead_backend.maps.attention_map import Cell, Combine, Moved
from glasshead_backend.questions.attention import attention_map
from glasshead_backend.questions.values import Values, find_values
from glasshead_backend.running.edits import unedited
from glasshead_backend.tracing.room import require_room_to_record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.asking import Kind, Selection
    from glasshead_backend.tracing.run import Run


@answered
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
        with run.model_again(), unedited():  # for the projection as it is
            return values.gram()

    gram = run.store.remember(("gram", asked.layer, asked.kind), gram_of_values)
    moved = Moved(gram[:, chosen][:, :, chosen], values.behind.scale)
    of = replace(of, cell=Cell(moved=moved))
    found = of.whole(wanted)
    return found if aggregate is None else found[0]


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
