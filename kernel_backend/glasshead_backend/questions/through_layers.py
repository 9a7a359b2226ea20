"""Attention over layers: means, rollout, flow."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import torch

from glasshead_backend.answering import answered
from glasshead_backend.asking import Aggregate, Unit
from glasshead_backend.checks import positions, require, several
from glasshead_backend.maps import rollout as through_layers
from glasshead_backend.maps.units import fuse
from glasshead_backend.memory import budget_on, require_room
from glasshead_backend.progress import steps
from glasshead_backend.questions.attention import attention_map, select, units_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.asking import Kind
    from glasshead_backend.maps.attention_map import AttentionMap
    from glasshead_backend.tracing.run import Run


@answered
def mean_attention(
    run: Run,
    layers: Sequence[int] | None = None,
    *,
    kind: Kind | None = None,
    rows: Sequence[int] | None = None,
    unit: Unit = "token",
    aggregate: Aggregate = "mean",
) -> Float[Tensor, "query key"]:
    """Average attention over layers; see :meth:`Trace.mean_attention`."""
    require(aggregate, get_args(Aggregate), "aggregate")
    chosen = run.layers(kind) if layers is None else several(layers, "layer")
    if not chosen:
        raise ValueError("There is no layer to average over: layers is empty.")
    maps = [
        attention_map(run, select(run, layer, kind=kind, unit=unit, aggregate=aggregate))
        for layer in chosen
    ]
    wanted = positions(rows, maps[0].n_rows)
    needed = 2 * maps[0].dtype.itemsize * len(wanted) * maps[0].n_columns
    require_room(
        needed,
        budget_on(maps[0].device, run.subject.memory_budget),
        f"The mean over layers of {len(wanted):,} x {maps[0].n_columns:,} weights",
        ["Ask for fewer rows (rows=)."],
    )
    shape = (len(wanted), maps[0].n_columns)
    total = torch.zeros(shape, dtype=maps[0].dtype, device=maps[0].device)
    for one in steps(maps, "averaging over layers", len(maps)):
        total += one.whole(wanted)[0].to(total.device)
    return total / len(maps)


@answered
def rollout(
    run: Run,
    *,
    kind: Kind | None = None,
    last_layer: int | None = None,
    rows: Sequence[int] | None = None,
    unit: Unit = "token",
    aggregate: Aggregate = "mean",
) -> Float[Tensor, "query key"]:
    """Multiply attention through the layers; see :meth:`Trace.rollout`."""
    kind = _self_kind(run, kind)
    maps = _self_maps(run, kind, last_layer, aggregate)
    require(unit, get_args(Unit), "unit")
    queries, keys = units_of(run, "query", kind, unit), units_of(run, "key", kind, unit)
    wanted = positions(rows, len(queries))
    rolled = through_layers.rollout(maps, queries.tokens(wanted))
    return fuse(rolled[None], wanted, queries, keys)[0]


@answered
def flow(
    run: Run,
    position: int,
    keys: Sequence[int] | None = None,
    *,
    kind: Kind | None = None,
    last_layer: int | None = None,
    aggregate: Aggregate = "mean",
) -> Float[Tensor, " key"]:
    """Find the largest flow from a token to the input; see :meth:`Trace.flow`."""
    maps = _self_maps(run, _self_kind(run, kind), last_layer, aggregate)
    row = positions([position], maps[0].n_rows)[0]
    return through_layers.flow(maps, row, positions(keys, maps[0].n_columns))


def _self_kind(run: Run, kind: Kind | None) -> Kind:
    """Kind of attention within one text; "encoder" where there are two and none is named."""
    first = run.kinds[:1]
    kind = run.kind(first[0] if first and kind is None else kind)
    if kind == "cross":
        raise ValueError(
            "Cross attention leads from one text to another: it cannot be followed through the "
            "layers. Take kind='encoder' or kind='decoder'."
        )
    return kind


def _self_maps(
    run: Run, kind: Kind, last_layer: int | None, aggregate: Aggregate
) -> list[AttentionMap]:
    require(aggregate, get_args(Aggregate), "aggregate")
    last = run.layers(kind)[-1] if last_layer is None else last_layer
    run.call(last, kind)  # says which layers there are
    return [
        attention_map(run, select(run, layer, kind=kind, aggregate=aggregate))
        for layer in run.layers(kind)
        if layer <= last
    ]
