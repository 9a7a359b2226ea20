"""How a text was predicted here beside how it was predicted elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from glasshead_backend.answering import answered
from glasshead_backend.frames.pack import pack

if TYPE_CHECKING:
    from glasshead_backend.trace import Trace


@answered
def compared_frame(trace: Trace, other: Trace, names: tuple[str, str]) -> dict[str, Any]:
    """Make the part of a strip's frame that compares it with another trace.

    Parameters
    ----------
    trace, other : Trace
    names : tuple of str
        What the two are called.

    Returns
    -------
    dict
        Differences, this trace's values minus the other's (nats; NaN = none; ranks in doublings),
        the other's own values, and 1 for each token that has a partner.
    """
    found = trace.compare_predictions(other)
    rank = found.of_partner(found.other.rank).nan_to_num(-1.0)
    return {
        "names": list(names),
        "n_compared": int(found.is_compared.sum()),
        "partner": pack((found.partner >= 0), torch.uint8),
        "difference": {
            "surprisal": pack(found.surprisal, torch.float32),
            "probability": pack(found.probability, torch.float32),
            "rank": pack(found.log2_rank, torch.float32),
            "entropy": pack(found.entropy, torch.float32),
        },
        "other": {
            "surprisal": pack(found.of_partner(found.other.surprisal), torch.float32),
            "probability": pack(found.of_partner(found.other.probability), torch.float32),
            "rank": pack(rank, torch.int32),
            "entropy": pack(found.of_partner(found.other.entropy), torch.float32),
        },
    }
