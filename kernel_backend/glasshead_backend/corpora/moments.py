"""Means and variances as sums that merge."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jaxtyping import Float, Int64
    from torch import Tensor
    from typing_extensions import Self


@dataclass(frozen=True, eq=False)
class Moments:
    """Count, mean and sum of squared deviations in every cell; NaN is no value.

    Merged by Chan, Golub and LeVeque (1979), which loses nothing where a mean is far from 0: with
    ``d = mean_b - mean_a``, the mean is ``mean_a + d n_b / n`` and the sum of squares
    ``squares_a + squares_b + d² n_a n_b / n``.

    Attributes
    ----------
    n : Tensor
        Finite values.
    mean, squares : Tensor
        Of the finite values, float64; 0 where there is none.
    plus, minus : Tensor
        How many values are infinite, and minus infinite.
    """

    n: Int64[Tensor, "*cell"]
    mean: Float[Tensor, "*cell"]
    squares: Float[Tensor, "*cell"]
    plus: Int64[Tensor, "*cell"]
    minus: Int64[Tensor, "*cell"]

    @classmethod
    def of(cls, values: Float[Tensor, "sample ..."]) -> Self:
        """Sum over samples."""
        values = values.double()
        finite = values.isfinite()
        n = finite.sum(dim=0)
        mean = torch.where(finite, values, 0.0).sum(dim=0) / n.clamp(min=1)
        squares = torch.where(finite, values - mean, 0.0).square().sum(dim=0)
        return cls(n, mean, squares, values.isposinf().sum(dim=0), values.isneginf().sum(dim=0))

    def merged(self, other: Self) -> Self:
        """Return the sums of both."""
        n = self.n + other.n
        share = other.n / n.clamp(min=1).double()
        step = other.mean - self.mean
        return type(self)(
            n,
            self.mean + step * share,
            self.squares + other.squares + step.square() * self.n * share,
            self.plus + other.plus,
            self.minus + other.minus,
        )

    @property
    def n_values(self) -> Int64[Tensor, "*cell"]:
        """How many values there are, infinite ones included."""
        return self.n + self.plus + self.minus

    @property
    def infinite(self) -> Int64[Tensor, "*cell"]:
        """How many values are infinite."""
        return self.plus + self.minus

    def means(self) -> Float[Tensor, "*cell"]:
        """Return the mean of all values: infinite where one is, NaN where there is none."""
        ends = torch.where(self.plus > 0, torch.inf, 0.0) - torch.where(
            self.minus > 0, torch.inf, 0.0
        )
        return torch.where(self.n_values > 0, self.mean + ends, torch.nan)

    def sums_of_squares(self) -> Float[Tensor, "*cell"]:
        """Return the squared deviations from the mean; NaN where a value is infinite."""
        return torch.where(self.infinite > 0, torch.nan, self.squares)

    def spread(self, shape: Sequence[int], places: Sequence[Tensor]) -> Self:
        """Return the cells at other places of a larger array, whose other cells have no value.

        Parameters
        ----------
        shape : sequence of int
            Of the larger array.
        places : sequence of Tensor
            Of each axis, where its entries lie there.
        """
        at = torch.meshgrid(*places, indexing="ij")
        larger = {name: one.new_zeros(tuple(shape)) for name, one in self._tensors().items()}
        for name, one in self._tensors().items():
            larger[name][at] = one
        return type(self)(**larger)

    def _tensors(self) -> dict[str, Tensor]:
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def to_tensors(self, name: str) -> dict[str, Tensor]:
        """Return the sums for a checkpoint, under a name."""
        return {f"{name}.{own}": one for own, one in self._tensors().items()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], name: str) -> Self:
        """Return what :meth:`to_tensors` wrote down under a name."""
        return cls(**{one.name: tensors[f"{name}.{one.name}"] for one in fields(cls)})
