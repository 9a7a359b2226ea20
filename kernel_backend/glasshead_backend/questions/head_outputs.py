"""What heads write into the residual stream: ``sum_k a[q, k] v[k] W_O``, head by head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from glasshead_backend.answering import answered
from glasshead_backend.checks import positions
from glasshead_backend.memory import budget_on, require_room
from glasshead_backend.questions.attention import attention_map
from glasshead_backend.questions.moved import values_of
from glasshead_backend.running.edits import unedited
from glasshead_backend.running.threads import undisturbed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.asking import Selection
    from glasshead_backend.maps.attention_map import AttentionMap
    from glasshead_backend.questions.values import Values
    from glasshead_backend.tracing.run import Run

_BLOCK_VALUES = 1 << 24
"""Most numbers at once while heads are projected apart (64 MB in float32)."""


@answered
def head_outputs(
    run: Run, asked: Selection, rows: Sequence[int] | None = None
) -> Float[Tensor, "head token hidden"]:
    """Compute what each of some heads writes at some rows; see :meth:`Trace.head_outputs`."""
    of = attention_map(run, asked)
    wanted = positions(rows, of.n_rows)
    values = _values(run, asked, of)
    hidden = run.subject.model.get_input_embeddings().weight.shape[-1]
    require_room(
        len(of.heads) * len(wanted) * hidden * values.value.element_size(),
        budget_on(values.value.device, run.subject.memory_budget),
        f"What {len(of.heads)} heads of layer {asked.layer} write at {len(wanted):,} tokens",
        ["Ask for fewer heads or rows."],
    )
    return outputs_of(run, of, values, wanted)


@torch.no_grad()
def outputs_of(
    run: Run, of: AttentionMap, values: Values, rows: Sequence[int]
) -> Float[Tensor, "head token hidden"]:
    """Compute what the heads of a map make of some values."""
    gathered = _gathered(of, values, rows)
    with run.model_again(), unedited():  # for the projection as it is
        apart = _apart(values, gathered, of.heads)
    scale = values.behind.scale
    return apart if scale is None else (apart * scale[list(rows), None]).to(apart.dtype)


@torch.no_grad()
def written_by_heads(run: Run, asked: Selection) -> Float[Tensor, "token hidden"]:
    """Compute what some heads write together, at every row."""
    of = attention_map(run, asked)
    values = _values(run, asked, of)
    gathered = _gathered(of, values, range(of.n_rows))
    together = gathered.new_zeros(of.n_rows, values.n_heads, gathered.shape[-1])
    together[:, list(of.heads)] = gathered
    with run.model_again(), unedited():
        moved = values.moved(together.flatten(1))
    scale = values.behind.scale
    return moved if scale is None else (moved * scale[:, None]).to(gathered.dtype)


def _values(run: Run, asked: Selection, of: AttentionMap) -> Values:
    """Return the values of a layer, if it is known what all of these heads gather of them."""
    values = values_of(run, asked.layer, asked.kind)
    filled = run.ablated is not None and run.ablated.how == "mean"
    if filled and (off := sorted(set(of.heads) & set(values.off))):
        raise ValueError(
            f"head {off[0]} of layer {asked.layer} is switched off, with its mean in its place: "
            "what it writes is not kept. Ask for other heads, or switch it off with how='zero'."
        )
    return values


def _gathered(
    of: AttentionMap, values: Values, rows: Sequence[int]
) -> Float[Tensor, "row head size"]:
    """What heads gather of the values at some rows, in the values' dtype."""
    value = values.value.to(of.dtype)
    # Query heads may share value heads.
    own = value[[head // (values.n_heads // len(value)) for head in of.heads]]
    shape = (len(rows), len(of.heads), value.shape[-1])
    gathered = torch.zeros(shape, dtype=value.dtype, device=value.device)
    with undisturbed(value.device):
        for place, weights in of.blocks(rows):
            some = weights.nan_to_num_(0.0) @ own[:, : weights.shape[-1]]
            gathered[place] = some.transpose(0, 1)
    gathered[:, [i for i, head in enumerate(of.heads) if head in values.off]] = 0.0
    return gathered.to(values.value.dtype)


def _apart(
    values: Values, gathered: Float[Tensor, "row head size"], heads: Sequence[int]
) -> Float[Tensor, "head row hidden"]:
    """Put what each head has gathered through the projection alone, but for the scale of a norm."""
    n_rows, n_chosen, size = gathered.shape
    own = torch.arange(n_chosen, device=gathered.device)
    slots = torch.as_tensor(list(heads), device=gathered.device)
    block = max(1, _BLOCK_VALUES // (n_chosen * values.n_heads * size))
    made: list[Tensor] = []
    for start in range(0, n_rows, block):
        some = gathered[start : start + block]
        # Each head's numbers at its own place of the projection's input, zeros elsewhere.
        alone = some.new_zeros(len(some), n_chosen, values.n_heads, size)
        alone[:, own, slots] = some
        made.append(values.moved(alone.flatten(2)))
    return torch.cat(made).transpose(0, 1)
