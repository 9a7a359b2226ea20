"""Attention × gradient: what a head's looking at a token did to one number that the model puts out.

``A ⊙ df/dA``, for the weights ``A`` of any head. A head gathers ``O = A V``, so ``df/dA`` is
``df/dO Vᵀ``: kept are the gradient of what each head has gathered and the values, of the size of
the hidden states; products are made of the rows that somebody asks for.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from glasshead_backend.answering import answered
from glasshead_backend.capture.recording import GraphRecording, record_graph
from glasshead_backend.checks import positions
from glasshead_backend.questions.attention import attention, attention_map
from glasshead_backend.questions.gradients import differentiable, gradients
from glasshead_backend.questions.target import target_of
from glasshead_backend.questions.values import GatheredByTurn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.asking import Kind, Selection
    from glasshead_backend.capture.call import AttentionCall
    from glasshead_backend.capture.recording import Gathered
    from glasshead_backend.questions.target import Quantity, Target
    from glasshead_backend.tracing.run import Run


class _OfCall(NamedTuple):
    """Of one attention call: the gradient of what its heads have gathered, and the values."""

    gradient: Float[Tensor, "head query head_dim"]
    value: Float[Tensor, "value_head key head_dim"]


_ByCall = dict["Kind", "dict[int, _OfCall | str]"]


@answered
def attention_gradient(
    run: Run,
    asked: Selection,
    rows: Sequence[int] | None = None,
    *,
    position: int | None = None,
    token: int | str | None = None,
    against: int | str | None = None,
    quantity: Quantity = "log_probability",
) -> Float[Tensor, "head query key"]:
    """Compute weights times their gradients; see :meth:`Trace.attention_gradient`."""
    of = attention_map(run, asked).narrowing("heads", "rows")
    wanted = positions(rows, of.n_rows)
    of.require_room_for(len(wanted))
    target = target_of(run, position, token, against, quantity)
    found = run.store.remember(("attention gradient", target), lambda: _by_call(run, target))
    of_call = found[asked.kind][asked.layer]
    if isinstance(of_call, str):
        raise ValueError(of_call)  # noqa: TRY004  a model's trait, not a caller's type
    heads, index = list(of.heads), list(wanted)
    per_value = of_call.gradient.shape[0] // of_call.value.shape[0]
    values = of_call.value[[head // per_value for head in heads]]
    slopes = of_call.gradient[heads][:, index].float() @ values.float().transpose(-1, -2)
    return attention(run, asked, wanted).mul_(slopes)


def _by_call(run: Run, target: Target) -> _ByCall:
    """Run the model once, and take the gradients of what all heads have gathered."""
    recording = GraphRecording()
    with differentiable(run) as model:
        logits = model.logits([target.row], within=partial(record_graph, recording))
        number = target.of(logits[0, 0])
        found = gradients(number, recording.outputs) if recording.outputs else []
    slopes = dict(zip(map(id, recording.gathered), found, strict=True))
    again = GatheredByTurn(recording.gathered)
    return {
        kind: {layer: _of_call(call, again.of(call), slopes) for layer, call in by_layer.items()}
        for kind, by_layer in run.calls.items()
    }


def _of_call(
    call: AttentionCall, gathered: Gathered | None, slopes: dict[int, Tensor]
) -> _OfCall | str:
    """What is kept of a call; words that say why where its values cannot be known."""
    if gathered is None or gathered.value is None:
        return (
            f"{type(call.module).__name__} computes attention by itself, over more than these "
            "tokens, or scales what it gathers: what its weights did cannot be traced back. Ask "
            "for the tokens' attribution: trace.attribution()."
        )
    # Gathered are [batch, queries, heads, head_dim].
    return _OfCall(slopes[id(gathered)][0].transpose(0, 1), gathered.value[0])
