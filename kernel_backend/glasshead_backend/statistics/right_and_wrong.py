"""Positions where a prediction is right, and where it is wrong, with the norms of a block there."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch

from glasshead_backend.statistics.chart import BLOCK_LABELS, Choice
from glasshead_backend.statistics.metric import Parameter
from glasshead_backend.trace import run_of
from glasshead_backend.tracing.scores import prediction_shift

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from torch import Tensor

    from glasshead_backend.asking import ActivationBlock, Kind
    from glasshead_backend.trace import Trace

BLOCKS = ("attention", "cross", "mlp", "residual")

OVER_TEXTS = "mean of the texts’ own divergences, not that of their positions together"


def block_parameter(trace: Trace) -> Parameter:
    """Choose one of the blocks that a model has, and whose contribution is known."""
    known = trace.norms(_predicting(trace))
    there = [block for block in BLOCKS if block == "residual" or known.get(block)]
    return Parameter("Block", "choice", choices=[Choice(b, BLOCK_LABELS[b]) for b in there])


def labelled_log_norms(
    trace: Trace, block: str, kind: Kind | None
) -> tuple[list[int], Float[Tensor, "layer position"], Bool[Tensor, " position"]]:
    """Log-norms of a block at the positions whose next token is known, and where it is right.

    Returns
    -------
    layers : list of int
    log_norms : Tensor
        ``[layers, positions]`` float64.
    is_correct : Tensor
        ``[positions]`` bool.
    """
    predictions = trace.predictions()
    if not predictions.n_scored:
        raise ValueError(predictions.reason)
    kind = _predicting(trace) if kind is None else kind
    if run_of(trace).stack(kind) == "encoder":
        raise ValueError("The encoder predicts no token: ask for the decoder (kind='decoder').")
    norms = _norms(trace, block, kind)
    # Predictions are indexed by the predicted token, activations by the position that predicts it.
    shift = prediction_shift(run_of(trace).sides)
    correct = predictions.correct[shift:]
    scored = ~predictions.surprisal[shift:].isnan()
    known = scored.nonzero()[:, 0]
    is_correct = correct[known] == 1
    n_correct = int(is_correct.sum())
    n_incorrect = len(is_correct) - n_correct
    if min(n_correct, n_incorrect) < 2:  # noqa: PLR2004
        raise ValueError(
            f"{n_correct} of the {len(is_correct)} predictions are right and {n_incorrect} wrong: "
            "two of each are needed to compare them. Take a longer text."
        )
    device = next(iter(norms.values())).device
    device = known.device if device.type == "mps" else device  # MPS has no float64
    stacked = torch.stack([norm.to(device) for norm in norms.values()])
    log_norms = stacked[:, known.to(device)].double().log()
    if not bool(log_norms.isfinite().all()):
        layer = list(norms)[int((~log_norms.isfinite()).any(dim=1).nonzero()[0])]
        raise ValueError(
            f"Activations of the {block} block in layer {layer} are zero or not finite somewhere: "
            "they have no log-norm."
        )
    return list(norms), log_norms, is_correct.to(device)


def _predicting(trace: Trace) -> Kind | None:
    """Kind that names the stack which predicts: where cross attention cannot be read, too."""
    return "decoder" if "decoder" in trace.kinds else None


def _norms(trace: Trace, block: str, kind: Kind | None) -> dict[int, Float[Tensor, " token"]]:
    if block == "residual":
        of_block = cast("ActivationBlock", block)
        return {
            layer: trace.activations(layer, of_block, kind=kind).float().norm(dim=-1)
            for layer in trace.layers_with(of_block, kind)
        }
    by_layer = trace.norms(kind).get(block)
    if not by_layer:
        has = ", ".join(map(repr, trace.norms(kind))) or "none"
        unclear = trace.unclear_blocks(kind).get(block)
        if unclear:
            why = next(iter(unclear.values()))
            raise ValueError(
                f"{trace.lens.name}: what its {block!r} block adds is not known ({why}). "
                f"Known: {has}."
            )
        raise ValueError(f"{trace.lens.name} has no {block!r} block there: {has}.")
    return by_layer
