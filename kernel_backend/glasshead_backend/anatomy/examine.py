"""What a few tokens tell about a model before anything is shown of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from glasshead_backend.anatomy.padding import Padding
from glasshead_backend.anatomy.probe import Probed, probe
from glasshead_backend.anatomy.refusals import refused_text
from glasshead_backend.anatomy.structure import Structure, UnsupportedModelError
from glasshead_backend.capture.softmax import CapturedCall
from glasshead_backend.running.body import Outcome, accepts, difference, reads_pairs, unembedding_of
from glasshead_backend.running.forward import inputs_of, n_embeddings, window
from glasshead_backend.running.modules import modules_of

if TYPE_CHECKING:
    from torch import Tensor

    from glasshead_backend.anatomy.projections import HeadSlice, Slices
    from glasshead_backend.asking import Family, Kind
    from glasshead_backend.capture.call import AttentionCall

_PROBE_TOKENS = 13
"""A prime, so that no number of heads, experts or the like is taken for it."""
_TOLERANCE = 1e-3
"""Largest relative difference of outputs with and without recording that is accepted."""


@dataclass(frozen=True)
class Anatomy:
    """What is found out about a model, once for the modules that it has.

    Attributes
    ----------
    structure : Structure
        Its layers, and what writes to its residual stream.
    family : str
        "decoder", "encoder-decoder" or "encoder".
    plain_unembedding : bool
        Whether logits are the output of the unembedding, unchanged.
    window, target_window : int or None
        Most tokens that it reads at once; None when its positions have no end.
    padding : Padding
        On which side texts of different length may be padded; found out as they come.
    head_slices : dict
        Where the heads of each attention call stand side by side; filled when it is asked for.
    """

    structure: Structure
    family: Family
    plain_unembedding: bool
    window: int | None
    target_window: int | None
    padding: Padding
    head_slices: Slices = field(default_factory=dict["Kind", "dict[int, HeadSlice | str]"])


def examine(model: Any) -> Anatomy:
    """Find a model's structure with 13 arbitrary tokens, and check that recording is safe.

    It takes two forwards: one in which attention is recorded, and one in which it is not, which
    must put out the same.

    Parameters
    ----------
    model : PreTrainedModel
        As :func:`glasshead_backend.running.as_found.for_a_trace` makes it.

    Raises
    ------
    UnsupportedModelError
        When attention cannot be recorded, or recording would change what the model computes.
    """
    _require_fixed_attention(model)
    known = window(model)
    n_tokens = min(_PROBE_TOKENS, known or _PROBE_TOKENS)
    ids = [(7 * i + 5) % n_embeddings(model) for i in range(n_tokens)]
    # Source and target of different length, so that rows are told from columns.
    target = ids[:-2] if reads_pairs(model) else None
    n_target = n_tokens if target is None else len(target)
    inputs = inputs_of(model, ids, target)
    probed = _probe(model, inputs)
    _require_unchanged(model, probed)
    family = _family(probed)
    may_be_left = family == "decoder" and accepts(model, "position_ids")
    return Anatomy(
        structure=probed.structure,
        family=family,
        plain_unembedding=_has_plain_unembedding(model, probed.unrecorded),
        window=probed.windows.get(n_tokens, known),
        target_window=probed.windows.get(n_target, known),
        padding=Padding([]) if probed.selects else Padding.of(may_be_left=may_be_left),
    )


def _require_fixed_attention(model: Any) -> None:
    """Refuse BigBird's sparse mode: any short text would switch the model to full attention."""
    if any(getattr(module, "attention_type", "") == "block_sparse" for module in modules_of(model)):
        raise UnsupportedModelError(
            f"{type(model).__name__} attends in sparse random blocks, which Glasshead cannot show "
            "token by token. Load it with full attention: "
            "from_pretrained(..., attention_type='original_full')."
        )


def _probe(model: Any, inputs: dict[str, Tensor]) -> Probed:
    try:
        return probe(model, inputs)
    except UnsupportedModelError:
        raise
    except Exception as error:
        refusal = refused_text(model, error)
        if refusal is None:
            raise
        raise refusal from error


def _family(probed: Probed) -> Family:
    """Tell a decoder by its attention: no row of any layer looks at a later token.

    That follows from masks: a key that is hidden has a weight of exactly 0. Outputs would not tell
    so surely; those of classifiers are pooled, those of 8-bit models move with every token.
    """
    if "self" not in probed.calls:
        return "encoder-decoder"
    later = [_later_weights(call) for call in probed.calls["self"].values()]
    return "encoder" if any(map(bool, later)) else "decoder"


def _later_weights(call: AttentionCall) -> Tensor | bool:
    """Whether any row has a weight on a later key."""
    if isinstance(call, CapturedCall) and call.causal and call.mask is None:
        return False
    if isinstance(call, CapturedCall) and call.unexplained:
        # What the mask hides is known all the same.
        call = replace(call, unexplained="")
    return (call.weights(range(call.n_heads), range(call.n_queries)).triu(1) > 0).any()


def _require_unchanged(model: Any, probed: Probed) -> None:
    """Compare what came out of the model with and without recording.

    Raises
    ------
    UnsupportedModelError
        When recording changes what the model computes.
    """
    recorded, plain = probed.recorded, probed.unrecorded
    apart = difference(plain.hidden, recorded.hidden)
    if recorded.logits is not None and plain.logits is not None:
        apart = max(apart, difference(plain.logits[:, -1:], recorded.logits[:, -1:]))
    if not apart <= _TOLERANCE:
        raise UnsupportedModelError(
            f"{type(model).__name__} computes something else while it is recorded (relative "
            f"difference {apart:.1e}). Glasshead refuses to show numbers of a changed model; "
            "please report this architecture."
        )


def _has_plain_unembedding(model: Any, outcome: Outcome) -> bool:
    """Whether logits are what the unembedding puts out, for as many positions as it is given."""
    unembedding = unembedding_of(model)
    logits = outcome.logits
    if unembedding is None or isinstance(unembedding, nn.Embedding) or len(outcome.given) != 1:
        return False
    if logits is None or logits.shape[1] != 1:
        return False
    own = outcome.unembedded
    if own is None or own.shape != logits.shape:
        return False
    # A model that is spread over devices hands its logits over where its inputs came from.
    return torch.allclose(own.to(logits.device).float(), logits.float(), rtol=1e-5, atol=1e-6)
