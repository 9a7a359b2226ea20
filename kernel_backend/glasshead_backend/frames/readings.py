"""A place of a text read closely: its distribution, and its layers. Bounded in size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from glasshead_backend.answering import answered
from glasshead_backend.frames.pack import pack

if TYPE_CHECKING:
    from glasshead_backend.frames.pack import Packed
    from glasshead_backend.questions.distribution import Distribution
    from glasshead_backend.questions.layer_readings import LayerReadings
    from glasshead_backend.trace import Trace

_NAMED = 200
"""Tokens that are sent one by one, with their words."""
_POINTS = 240
"""Points of the curve over all ranks; more are no wider than a pixel."""
_BINS = 256
_MASSES = (1, 10, 100, 1000, 10_000)

Reading = tuple[dict[str, Any], dict[str, "Packed"]]
"""Small JSON, and named arrays."""


@answered
def distribution_at(
    trace: Trace, position: int, *, temperature: float, top_k: int | None, top_p: float
) -> Reading:
    """Return the distribution at one position as it is drawn; see :meth:`Trace.distribution`."""
    found = trace.distribution(position, temperature=temperature, top_k=top_k, top_p=top_p)
    return distribution_reading(found, trace.distribution(position))


def distribution_reading(found: Distribution, plain: Distribution) -> Reading:
    """Return a distribution as it is drawn.

    Parameters
    ----------
    found : Distribution
        With its temperature and cuts.
    plain : Distribution
        The model's own, at the same place.

    Returns
    -------
    result : dict
        The token that came, what is kept, the mass of the first so many.
    arrays : dict
        The first 200 tokens exactly; probability by rank, at ranks evenly spaced in their
        logarithm; and the largest probability in each of at most 256 runs of token ids.
    """
    ids, n = found.order[:_NAMED], len(found.order)
    ranks = _ranks(n)
    at = found.order[ranks - 1]
    per_bin = -(-n // _BINS)
    padding = -n % per_bin
    by_id = nn.functional.pad(found.probability, (0, padding)).view(-1, per_bin).amax(dim=1)
    kept_by_id = nn.functional.pad(found.kept, (0, padding)).view(-1, per_bin).any(dim=1)
    true = found.token
    result = {
        "position": found.position,
        "true": None
        if true is None
        else {
            "id": true.id,
            "text": true.text,
            "rank": found.rank,
            "probability": float(found.probability[true.id]),
            "kept": bool(found.kept[true.id]),
        },
        "n_vocabulary": n,
        "n_kept": found.n_kept,
        "kept_mass": found.kept_mass,
        "entropy": found.entropy,
        "masses": [[k, found.mass(k)] for k in _MASSES if k < n],
        "tokens": found.words(ids.tolist()),
        "per_bin": per_bin,
    }
    return result, {
        "ids": pack(ids, torch.uint32),
        "probability": pack(found.probability[ids], torch.float32),
        "kept": pack(found.kept[ids], torch.uint8),
        "curve_rank": pack(ranks, torch.uint32),
        "curve": pack(found.probability[at], torch.float32),
        "plain": pack(plain.probability[plain.order[ranks - 1]], torch.float32),
        "by_id": pack(by_id, torch.float32),
        "kept_by_id": pack(kept_by_id, torch.uint8),
    }


def _ranks(n: int) -> torch.Tensor:
    """Ranks from 1 to n, evenly spaced in their logarithm."""
    spaced = torch.logspace(0, torch.tensor(float(n)).log10().item(), _POINTS, dtype=torch.float64)
    return spaced.round().long().clamp(1, n).unique()


def layers_reading(found: LayerReadings) -> Reading:
    """Return what each layer would predict, as it is drawn."""
    result = {
        "position": found.position,
        "true": {"id": found.token.id, "text": found.token.text},
        "read_by": found.read_by,
        "layers": list(found.layers),
        "top": [list(words) for words in found.top],
        "followed": [
            {"id": id_, "text": text}
            for id_, text in zip(found.followed_ids, found.followed, strict=True)
        ],
    }
    return result, {
        "top_ids": pack(found.top_ids, torch.uint32),
        "top_probability": pack(found.top_probability, torch.float32),
        "rank": pack(found.rank, torch.uint32),
        "probability": pack(found.surprisal.neg().exp(), torch.float32),
        "followed_probability": pack(found.followed_probability, torch.float32),
        "followed_rank": pack(found.followed_rank, torch.uint32),
    }
