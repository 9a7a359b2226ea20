"""Samples of a corpus that do not depend on who works on which part: those of smallest hash."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jaxtyping import Float, Int64
    from numpy.typing import NDArray
    from torch import Tensor
    from typing_extensions import Self


def hashed(seed: int, *numbers: NDArray[Any] | int) -> NDArray[np.int64]:
    """Return 63 random bits for every combination of numbers: the same for the same seed.

    The finalizer of SplitMix64 (Steele, Lea and Flood 2014), once for each number.

    Parameters
    ----------
    seed : int
    *numbers : int or array of int
        Of the text, of the row ...; arrays that broadcast.

    Returns
    -------
    ndarray
        int64, 0 or more.
    """
    with np.errstate(over="ignore"):
        state = _mixed(np.asarray([seed % 2**64], dtype=np.uint64))
        for number in numbers:
            state = _mixed(state + np.asarray(number).astype(np.uint64))
    return (state >> np.uint64(1)).astype(np.int64)


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


@dataclass(frozen=True, eq=False)
class Reservoir:
    """Values of a uniform sample of texts: all of them while they are few.

    A text is in the sample where the hash of its number is among the smallest: what merges in any
    order to the same sample.

    Attributes
    ----------
    ranks : Tensor
        Hash of each text's number, ascending.
    numbers : Tensor
        Of the texts.
    values : Tensor
        Of each text.
    """

    ranks: Int64[Tensor, " text"]
    numbers: Int64[Tensor, " text"]
    values: Float[Tensor, "text ..."]

    @classmethod
    def of(
        cls,
        numbers: Int64[Tensor, " text"],
        values: Float[Tensor, "text ..."],
        *,
        most: int,
        seed: int,
    ) -> Self:
        """Draw at most so many texts."""
        ranks = torch.from_numpy(hashed(seed, numbers.numpy()))
        return cls(*_smallest((ranks, numbers, values), most))

    def merged(self, other: Self, most: int) -> Self:
        """Return a sample of both corpora."""
        together = [
            torch.cat([getattr(self, one.name), getattr(other, one.name)]) for one in fields(self)
        ]
        return type(self)(*_smallest(together, most))

    def in_order(self) -> Float[Tensor, "text ..."]:
        """Return the values in the order of the texts."""
        return self.values[self.numbers.argsort()]

    def to_tensors(self, name: str) -> dict[str, Tensor]:
        """Return it for a checkpoint, under a name."""
        return {f"{name}.{one.name}": getattr(self, one.name) for one in fields(self)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], name: str) -> Self:
        """Return what :meth:`to_tensors` wrote down under a name."""
        return cls(**{one.name: tensors[f"{name}.{one.name}"] for one in fields(cls)})


def _smallest(sample: Sequence[Tensor], most: int) -> tuple[Tensor, Tensor, Tensor]:
    """Keep the entries of smallest rank."""
    ranks, numbers, values = sample
    kept = ranks.argsort(stable=True)[:most]
    return ranks[kept], numbers[kept], values[kept]
