"""How much the sizes of a block's output differ between right and wrong predictions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from glasshead_backend.statistics.permutation import p_values
from glasshead_backend.statistics.significance import benjamini_hochberg

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from torch import Tensor

    from glasshead_backend.statistics.permutation import Relabelling

Which = Literal["jsd", "notebook"]
"""A divergence: Jensen-Shannon's, or the notebook's."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class GroupDifferences:
    """Log-norms of two groups of positions in every layer, their divergence and its null.

    Tensors are on the CPU.

    Attributes
    ----------
    layers : tuple of int
    block : str
        Whose output it is.
    log_norms : Tensor
        ``[layers, positions]`` float64: natural logarithm of the L2 norm of the block's output, at
        the positions whose next token is known.
    is_correct : Tensor
        ``[positions]`` bool: whether the model's first choice there is the next token.
    edges : Tensor
        ``[layers, bins + 1]``.
    correct, incorrect : Tensor
        ``[layers, bins]`` int64: counts of the two groups.
    jsd : Tensor
        ``[layers]`` float64: their Jensen-Shannon divergence, nats.
    divergence : {"jsd", "notebook"}
        Which one is tested.
    observed : Tensor
        ``[layers]`` float64: the divergence that is tested, nats: `jsd`, or the notebook's.
    null : Tensor
        ``[permutations, layers]`` float64: what `observed` would be with the labels shuffled, or
        shifted.
    relabelling : {"shuffle", "shift"}
        Which of the two: what `null` is of the metric.
    alpha : float
        Level of significance, after Benjamini-Hochberg over the layers.
    """

    layers: tuple[int, ...]
    block: str
    log_norms: Float[Tensor, "layer position"]
    is_correct: Bool[Tensor, " position"]
    edges: Float[Tensor, "layer edge"]
    correct: Int[Tensor, "layer bin"]
    incorrect: Int[Tensor, "layer bin"]
    jsd: Float[Tensor, " layer"]
    divergence: Which
    observed: Float[Tensor, " layer"]
    null: Float[Tensor, "permutation layer"]
    relabelling: Relabelling
    alpha: float

    @property
    def n_correct(self) -> int:
        """Positions where the next token is predicted right."""
        return int(self.is_correct.sum())

    @property
    def n_incorrect(self) -> int:
        """Positions where it is not."""
        return len(self.is_correct) - self.n_correct

    @cached_property
    def p(self) -> Float[Tensor, " layer"]:
        """``(1 + #{null >= observed}) / (1 + permutations)``."""
        return p_values(self.observed, self.null)

    @cached_property
    def p_adjusted(self) -> Float[Tensor, " layer"]:
        """After Benjamini-Hochberg over the layers."""
        return benjamini_hochberg(self.p)

    @property
    def significant(self) -> Bool[Tensor, " layer"]:
        """Whether the adjusted p is at most alpha."""
        return self.p_adjusted <= self.alpha

    @property
    def mean_correct(self) -> Float[Tensor, " layer"]:
        """Mean log-norm where the prediction is right."""
        return self.log_norms[:, self.is_correct].mean(dim=-1)

    @property
    def mean_incorrect(self) -> Float[Tensor, " layer"]:
        """Mean log-norm where it is wrong."""
        return self.log_norms[:, ~self.is_correct].mean(dim=-1)
