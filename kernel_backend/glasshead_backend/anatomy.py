"""What a few tokens tell about a model before anything is shown of it."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from glasshead_backend.capture import record
from glasshead_backend.hooks import first_tensor
from glasshead_backend.running import (
    device_of,
    forward,
    inputs_of,
    n_embeddings,
    short_unembedding,
    window,
)
from glasshead_backend.structure import Structure, UnsupportedModelError, probe

if TYPE_CHECKING:
    from torch import Tensor

Family = Literal["decoder", "encoder-decoder", "encoder"]

_PROBE_TOKENS = 13
"""A prime, so that no number of heads, experts or the like is taken for it."""
_LOGITS_TOLERANCE = 1e-3
"""Largest relative difference of logits with and without recording that is accepted."""

_CAUSAL_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Anatomy:
    """What is found out about a model, once.

    Attributes
    ----------
    structure : Structure
        Its layers, and what writes to its residual stream.
    family : str
        "decoder", "encoder-decoder" or "encoder".
    plain_unembedding : bool
        Whether logits are the output of the unembedding, unchanged.
    pads_left : bool
        Whether padding before a text changes nothing about what the model makes of the text.
    """

    structure: Structure
    family: Family
    plain_unembedding: bool
    pads_left: bool


def examine(model: Any) -> Anatomy:
    """Find a model's structure with 16 arbitrary tokens, and check that recording is safe.

    Parameters
    ----------
    model : PreTrainedModel
        As :func:`glasshead_backend.running.for_a_trace` makes it.

    Raises
    ------
    UnsupportedModelError
        When attention cannot be recorded, or recording would change what the model computes.
    """
    _require_fixed_attention(model)
    n_tokens = min(_PROBE_TOKENS, window(model) or _PROBE_TOKENS)
    ids = [(7 * i + 5) % n_embeddings(model) for i in range(n_tokens)]
    inputs = _inputs(model, ids)
    structure = probe(model, _inputs(model, ids, ids[:-2]))
    _require_unchanged_outputs(model, inputs, structure)
    family = _family(model, ids)
    return Anatomy(
        structure,
        family,
        plain_unembedding=_has_plain_unembedding(model, inputs),
        pads_left=family == "decoder" and _pads_left(model, ids),
    )


def _require_fixed_attention(model: Any) -> None:
    """Refuse BigBird's sparse mode: any short text would switch the model to full attention."""
    if any(getattr(module, "attention_type", "") == "block_sparse" for module in model.modules()):
        raise UnsupportedModelError(
            f"{type(model).__name__} attends in sparse random blocks, which Glasshead cannot show "
            "token by token. Load it with full attention: "
            "from_pretrained(..., attention_type='original_full')."
        )


def _inputs(model: Any, ids: list[int], target: list[int] | None = None) -> dict[str, Tensor]:
    return inputs_of(model, ids, (target or ids) if model.config.is_encoder_decoder else None)


def _output(model: Any, inputs: dict[str, Tensor]) -> Tensor:
    output = first_tensor(forward(model, inputs))
    if output is None:
        raise UnsupportedModelError(f"{type(model).__name__} returns no tensor to look at.")
    return output


def _require_unchanged_outputs(model: Any, inputs: dict[str, Tensor], structure: Structure) -> None:
    """Compare outputs of a padded batch with and without recording."""
    batch = {name: tensor.repeat(2, 1) for name, tensor in inputs.items()}
    mask = torch.ones_like(batch["input_ids"])
    mask[1, : mask.shape[1] // 4] = 0
    batch["attention_mask"] = mask
    plain = _output(model, batch)
    with record(structure.readers, model, batch=2):
        recorded = _output(model, batch)
    # Rows of padding may be undefined, in both.
    undefined = plain.isnan() & recorded.isnan()
    plain, recorded = (one.masked_fill(undefined, 0.0) for one in (plain, recorded))
    scale = plain.abs().amax().clamp_min(1e-6)
    difference = float((plain - recorded).abs().amax() / scale)
    if not difference <= _LOGITS_TOLERANCE:
        raise UnsupportedModelError(
            f"{type(model).__name__} computes something else while it is recorded (relative "
            f"difference {difference:.1e}). Glasshead refuses to show numbers of a changed model; "
            "please report this architecture."
        )


def _family(model: Any, ids: list[int]) -> Family:
    """A decoder is a model whose first outputs do not depend on its last input."""
    if model.config.is_encoder_decoder:
        return "encoder-decoder"
    other = [*ids[:-1], (ids[-1] + 1) % n_embeddings(model)]
    first, second = _output(model, _inputs(model, ids)), _output(model, _inputs(model, other))
    scale = float(first.abs().amax().clamp_min(1e-6))
    change = float((first[:, 0] - second[:, 0]).abs().amax())
    return "decoder" if change <= _CAUSAL_TOLERANCE * scale else "encoder"


def _pads_left(model: Any, ids: list[int]) -> bool:
    """Whether outputs stay the same behind padding: positions can be given, all heed the mask."""
    if "position_ids" not in inspect.signature(model.forward).parameters:
        return False
    own = ids[: -len(ids) // 4]
    alone = _output(model, _inputs(model, own))
    mask = torch.ones(1, len(ids), dtype=torch.int64, device=device_of(model))
    mask[0, : len(ids) - len(own)] = 0
    behind = {
        **_inputs(model, ids[len(own) :] + own),
        "attention_mask": mask,
        "position_ids": (mask.cumsum(dim=-1) - 1).clamp_min(0),
    }
    padded = _output(model, behind)[:, len(ids) - len(own) :]
    scale = alone.abs().amax().clamp_min(1e-6)
    return bool((padded - alone).abs().amax() <= _LOGITS_TOLERANCE * scale)


def _has_plain_unembedding(model: Any, inputs: dict[str, Tensor]) -> bool:
    unembedding = model.get_output_embeddings()
    # FSMT has none: it multiplies with the input embedding itself.
    if unembedding is None or isinstance(unembedding, nn.Embedding):
        return False
    with short_unembedding(unembedding) as kept:
        output = forward(model, inputs)
    logits = getattr(output, "logits", None)
    if len(kept) != 1 or logits is None or logits.shape[1] != 1:
        return False
    return torch.allclose(unembedding(kept[0][:, -1:]), logits, rtol=1e-5, atol=1e-6)
