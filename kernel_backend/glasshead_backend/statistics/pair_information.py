"""Information of all pairs of places of a target, with what it is tested for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from glasshead_backend.checks import require
from glasshead_backend.statistics.information import beyond, pairs_of
from glasshead_backend.statistics.significance import (
    Tested,
    benjamini_hochberg,
    compare_means,
    compare_taus,
    kendall,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jaxtyping import Bool, Float, Int
    from torch import Tensor

    from glasshead_backend.statistics.significance import Alternative


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PairInformation:
    """Mutual information of pairs of places, by block and layer, and its tests.

    Attributes
    ----------
    layers : tuple of int
    blocks : sequence of str
    positions : tuple of int
        Of the target, ascending.
    pairs : Tensor
        ``[blocks, layers, pairs]`` float64: mutual information of all pairs of positions ``i < j``
        (as ``itertools.combinations`` orders them), in `unit`; NaN where a layer has no such block.
    unit : {"bits", "nats"}
        Of mutual information: bits, or nats for nearest neighbours.
    unclear : mapping
        As :meth:`Trace.unclear_blocks` returns it: blocks that are left out, and why.
    alternative : {"two-sided", "one-sided"}
        Of the z-test between blocks.
    alpha : float
        Level of significance, after Benjamini-Hochberg over the layers.
    trim : float or None
        Standard deviations from the mean beyond which a component is left out; None = none is.
    vectors : mapping
        The activations that were compared, ``[positions, hidden]`` by block and layer, on the CPU;
        empty where they take more than 64 MB.
    """

    layers: tuple[int, ...]
    blocks: Sequence[str]
    positions: tuple[int, ...]
    pairs: Float[Tensor, "block layer pair"]
    unit: str
    unclear: Mapping[str, Mapping[int, str]]
    alternative: Alternative
    alpha: float
    trim: float | None
    vectors: Mapping[tuple[str, int], Float[Tensor, "position hidden"]]

    @property
    def n_pairs(self) -> int:
        """Number of pairs of positions."""
        return self.pairs.shape[-1]

    @property
    def mi(self) -> Float[Tensor, "block layer"]:
        """Mean over the pairs."""
        return self.pairs.mean(dim=-1)

    @cached_property
    def distance(self) -> Int[Tensor, " pair"]:
        """Tokens between the two positions of a pair."""
        places = torch.tensor(self.positions)
        first, second = pairs_of(len(places))
        return places[second] - places[first]

    @cached_property
    def tau(self) -> Tested:
        """Kendall's τ-b between mutual information and distance, with p: ``[blocks, layers]``.

        NaN for a single pair.
        """
        found = kendall(self.pairs.flatten(0, 1), self.distance)
        return Tested(*(one.view(self.pairs.shape[:2]) for one in found))

    @cached_property
    def tau_significant(self) -> Tensor:
        """Whether τ differs from 0, after correction over the layers; ``[blocks, layers]`` bool."""
        return torch.stack([benjamini_hochberg(p) <= self.alpha for p in self.tau.p])

    @cached_property
    def t_test(self) -> Tested | None:
        """MLP against attention, per layer; None when one of them was not measured.

        NaN for a single pair.
        """
        rows = self.attention_and_mlp
        return None if rows is None else compare_means(self.pairs[rows[1]], self.pairs[rows[0]])

    @cached_property
    def z_test(self) -> Tested | None:
        """Attention's τ against the MLP's, per layer; None when one of them was not measured.

        NaN for fewer than 4 pairs.
        """
        rows = self.attention_and_mlp
        if rows is None:
            return None
        tau = self.tau.statistic
        return compare_taus(tau[rows[0]], tau[rows[1]], self.n_pairs, self.alternative)

    @property
    def attention_and_mlp(self) -> tuple[int, int] | None:
        """Their places among the blocks; None when one of them was not measured."""
        names = list(self.blocks)
        both = "attention" in names and "mlp" in names
        return (names.index("attention"), names.index("mlp")) if both else None

    def matrix(self, block: str, layer: int) -> Float[Tensor, "position position"]:
        """Information of all pairs, as a symmetric matrix; NaN on its diagonal.

        Raises
        ------
        ValueError
            For a block or layer that was not measured.
        """
        require(block, self.blocks, "block")
        require(layer, self.layers, "layer")
        at = list(self.blocks).index(block), self.layers.index(layer)
        return self._symmetric(self.pairs[at])

    @property
    def distances(self) -> Float[Tensor, "position position"]:
        """Tokens between all pairs, as a symmetric matrix; NaN on its diagonal."""
        return self._symmetric(self.distance.double())

    def _symmetric(self, values: Float[Tensor, " pair"]) -> Float[Tensor, "position position"]:
        n = len(self.positions)
        first, second = pairs_of(n)
        matrix = torch.full((n, n), torch.nan, dtype=torch.float64)
        matrix[first, second] = values
        matrix[second, first] = values
        return matrix

    def two_places(
        self, block: str, layer: int, pair: tuple[int, int]
    ) -> tuple[Float[Tensor, "two hidden"], Bool[Tensor, " hidden"]]:
        """Activations at two places, float64, and which components the trim leaves out.

        Parameters
        ----------
        block : str
        layer : int
        pair : tuple of int
            Two of :attr:`positions`.

        Raises
        ------
        ValueError
            For what was not measured, and where activations were too many to be kept.
        """
        for position in pair:
            require(position, self.positions, "position")
        if not self.vectors:
            raise ValueError(
                "The activations are not kept: together they take more than 64 MB. Take fewer "
                "places (target=[3, 8]), or trace.activations(layer, block)."
            )
        rows = [self.positions.index(position) for position in pair]
        if (block, layer) not in self.vectors:
            raise ValueError(f"Layer {layer} has no {block!r} block that was measured.")
        both = self.vectors[block, layer][rows].double()
        if self.trim is None:
            return both, torch.zeros(both.shape[1], dtype=torch.bool)
        return both, beyond(both, self.trim).any(dim=0)
