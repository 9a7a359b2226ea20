"""The numbers of a trace against those of the eager reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from backend.architectures.reference import layers_with_attention

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from backend.architectures.reference import Reference
    from glasshead_backend import Trace


@dataclass
class Kind:
    """How one kind of attention compares.

    Attributes
    ----------
    layers : list of int
        The model's layer numbers.
    paths : list of str
        How the weights came about; sorted, each once.
    alone : float
        Largest difference from eager, one text without padding.
    padded : float or None
        The same for the real tokens of a padded batch.
    against : str
        What eager says it by: "output_attentions" or "softmax".
    n_maps : int
        Maps of this kind that eager has, those that are not tokens by tokens included.
    problem : str
        What is wrong besides numbers; empty = nothing.
    """

    layers: list[int]
    paths: list[str]
    alone: float
    padded: float | None = None
    against: str = "output_attentions"
    n_maps: int = 0
    problem: str = ""


def compare(
    trace: Trace,
    kind: str,
    reference: Reference,
    model: PreTrainedModel,
    *,
    index: int = 0,
    left: bool = False,
) -> Kind:
    """Compare all layers of a kind with one sequence of the reference.

    Parameters
    ----------
    trace : Trace
    kind : str
    reference : Reference
    model : PreTrainedModel
        Its configuration says which layers have attention.
    index : int
        The sequence in the reference's batch.
    left : bool
        Whether that batch is padded on the left.
    """
    layers = trace.layers(kind)
    ours = [trace.attention(layer, kind=kind) for layer in layers]
    paths = sorted({trace.path(layer, kind) for layer in layers})
    longest_query, longest_key = reference.lengths[kind]
    n_queries, n_keys = len(trace.queries(kind)), len(trace.keys(kind))

    def real(one: Tensor) -> Tensor:
        rows = slice(longest_query - n_queries, None) if left else slice(n_queries)
        columns = slice(longest_key - n_keys, None) if left else slice(n_keys)
        return one[index, :, rows, columns]

    known = layers_with_attention(model, kind)
    problem = f"layers {layers}, but the configuration has {known}"
    problem = problem if known and known != layers else ""
    reported = reference.maps(kind, longest_query, longest_key)
    theirs = [real(one) for one in _with_attention(reported, known)]
    if len(theirs) == len(ours):
        worst = max(map(_difference, ours, theirs))
        return Kind(layers, paths, worst, n_maps=len(theirs), problem=problem)
    softmaxes = [real(one) for one in reference.softmaxes(longest_query, longest_key)]
    if reported and len(softmaxes) != len(ours):
        problem = f"{len(ours)} maps, but eager takes {len(softmaxes)} softmaxes of this size"
    n_maps = len(_with_attention(reference.reported.get(kind, []), known)) or len(softmaxes)
    worst = _in_order(ours, softmaxes)
    return Kind(layers, paths, worst, against="softmax", n_maps=n_maps, problem=problem)


def row_maxima(reference: Reference) -> tuple[float, float]:
    """Mean largest weight of a row, and what it would be were the row flat; NaN without maps."""
    largest: list[Tensor] = []
    flat: list[Tensor] = []
    for kind, (n_queries, n_keys) in reference.lengths.items():
        reported = [m for m in reference.maps(kind, n_queries, n_keys) if m is not None]
        for one in reported or reference.softmaxes(n_queries, n_keys):
            seen = (one > 0).sum(-1)
            several = seen > 1
            largest.append(one.amax(-1)[several])
            flat.append(1 / seen[several])
    if not largest:
        return float("nan"), float("nan")
    return float(torch.cat(largest).mean()), float(torch.cat(flat).mean())


def _with_attention(reported: list[Tensor | None], known: list[int] | None) -> list[Tensor]:
    """Leave out what is reported of layers without attention."""
    if known and len(reported) > max(known) and len(reported) != len(known):
        reported = [reported[number] for number in known]
    return [one for one in reported if one is not None]


def _in_order(ours: list[Tensor], softmaxes: list[Tensor]) -> float:
    """Find each map among the softmaxes behind that of the one before; largest difference."""
    if len(ours) == len(softmaxes):
        return max(map(_difference, ours, softmaxes))
    worst, first = 0.0, 0
    for one in ours:
        differences = [_difference(one, other) for other in softmaxes[first:]]
        if not differences:
            return float("inf")
        best = min(differences)
        first += differences.index(best) + 1
        worst = max(worst, best)
    return worst


def _difference(ours: Tensor, theirs: Tensor) -> float:
    if ours.shape != theirs.shape or ours.isnan().any():
        return float("inf")
    return float((ours - theirs.float()).abs().max())
