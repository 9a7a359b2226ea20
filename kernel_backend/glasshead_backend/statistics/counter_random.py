"""Random numbers by their place: the same for the same seed and place, whoever draws them when.

A number is a hash of where it stands (Salmon et al. 2011, "Parallel random numbers: as easy as 1,
2, 3"), so that workers who know nothing of each other draw what one alone would have drawn. The
hash is the finaliser of SplitMix64 (Steele, Lea and Flood 2014; constants by Stafford), taken once
for every coordinate.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    UInts = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_MASK = (1 << 64) - 1


def hashed(seed: int, *places: NDArray[Any]) -> UInts:
    """Return random 64 bits for every place.

    Parameters
    ----------
    seed : int
    *places : array
        Coordinates, whole numbers from 0 on; arrays that broadcast.
    """
    state = _mixed(np.array([seed & _MASK], dtype=np.uint64))
    for place in places:
        state = _mixed(state ^ _mixed(place.astype(np.uint64) + np.uint64(1)))
    return state


def _mixed(bits: UInts) -> UInts:
    # Arrays of whole numbers wrap round, which is meant.
    bits = bits + _GOLDEN
    bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
    return bits ^ (bits >> np.uint64(31))


def _poisson_steps() -> UInts:
    """Where in 64 bits the probability of 0, of at most 1, ... ends, for a mean of 1."""
    at_most, found = 0.0, list[int]()
    for count in range(18):
        at_most += math.exp(-1) / math.factorial(count)
        found.append(min(_MASK, int(at_most * 2.0**64)))
    return np.array(found, dtype=np.uint64)


_STEPS = _poisson_steps()
ROWS, _BOOTSTRAP = np.zeros(1, dtype=np.int64), np.ones(1, dtype=np.int64)
"""First coordinates: numbers for rows have nothing to do with those for the bootstrap."""


def poisson_weights(seed: int, texts: NDArray[Any], n_replicates: int) -> NDArray[np.float64]:
    """How often each text is in each replicate of a bootstrap: Poisson numbers of mean 1.

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
