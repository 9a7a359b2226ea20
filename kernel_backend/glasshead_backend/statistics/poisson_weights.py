"""Weights of a bootstrap in which each text draws for itself: Poisson numbers of mean 1.

Drawing n of n texts takes knowing them all. A text's number of draws in it is nearly Poisson of
mean 1, and independent numbers of that kind make the same bootstrap (Hanley and MacGibbon 2006):
each is a hash of the seed, the text and the replicate, the same whoever draws it and when.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from glasshead_backend.corpora.sampling import hashed

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS, _BOOTSTRAP = 0, 1
"""First numbers that are hashed: what is drawn of rows has nothing to do with the bootstrap."""

_MOST = 18
"""More draws of one text than that are less probable than 63 bits can tell."""


def _steps() -> NDArray[np.int64]:
    """Where in 63 bits the probability of 0, of at most 1, ... ends, for a mean of 1."""
    at_most, found = 0.0, list[int]()
    for count in range(_MOST):
        at_most += math.exp(-1) / math.factorial(count)
        found.append(min(2**63 - 1, int(at_most * 2.0**63)))
    return np.array(found, dtype=np.int64)


_STEPS = _steps()


def poisson_weights(seed: int, texts: NDArray[Any], n_replicates: int) -> NDArray[np.float64]:
    """Return how often each text is in each replicate of a bootstrap.

    Parameters
    ----------
    seed : int
    texts : array
        Numbers of the texts.
    n_replicates : int

    Returns
    -------
    array
        ``[replicates, texts]``.
    """
    bits = hashed(seed, _BOOTSTRAP, texts[None, :], np.arange(n_replicates)[:, None])
    return np.searchsorted(_STEPS, bits, side="right").astype(np.float64)
