"""Attention on demand: whatever one attention block did, asked for by heads and rows.

Every call of an attention block that was recorded answers one question: the exact weights of some
heads and query rows (:class:`AttentionCall`). Everything else, whole maps, columns, fused words, is
built from row blocks of it (:mod:`glasshead_backend.maps.attention_map`), so that no T x T matrix
is needed unless a caller asks for one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from torch import Tensor, nn
    from typing_extensions import Self

    from glasshead_backend.asking import Precision

Path = Literal["capture", "eager", "replay", "unfold", "given"]
"""How weights come about: by our own arithmetic from query and key; by the model's own eager
function from the same; by running the attention module once more; by running it once more with
known values; or they were given as they are."""


def answer_dtype(computed_in: torch.dtype) -> torch.dtype:
    """Return what answers are given in: float64 of a model in float64, else float32.

    Half precision is what a model computes in, not what sums over it should be taken in.
    """
    return torch.float64 if computed_in == torch.float64 else torch.float32


class AttentionCall(ABC):
    """One call of an attention block, able to say its weights for any heads and query rows.

    Attributes
    ----------
    module : nn.Module
        The module that made the call.
    """

    module: nn.Module

    @property
    @abstractmethod
    def path(self) -> Path:
        """How the weights are computed."""

    @property
    @abstractmethod
    def n_heads(self) -> int:
        """Number of query heads."""

    @property
    @abstractmethod
    def n_queries(self) -> int:
        """Number of tokens that look: rows."""

    @property
    @abstractmethod
    def n_keys(self) -> int:
        """Number of tokens that are looked at: columns."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where the weights are computed."""

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype:
        """What the weights are given in: see :func:`answer_dtype`."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes of tensors that this call keeps alive."""

    @property
    def working_bytes(self) -> int:
        """Bytes that computing any row takes for a while, whichever rows are asked for."""
        return 0

    @property
    def computes_all_heads(self) -> bool:
        """Whether rows of all heads are computed for a while, whichever heads are asked for."""
        return False

    @property
    def remainder(self) -> str:
        """What takes the share of attention that a row's weights lack to 1; empty = nothing."""
        return ""

    def weights(
        self,
        heads: Sequence[int],
        rows: Sequence[int],
        *,
        scores: bool = False,
        precision: Precision = "model",
    ) -> Float[Tensor, "head query key"]:
        """Attention weights (or pre-softmax scores) of some heads and query rows.

        Parameters
        ----------
        heads : sequence of int
            Query heads.
        rows : range or sequence of int
            Query rows.
        scores : bool
            Return what enters the softmax instead: masked places are ``-inf``.
        precision : {"model", "float32"}
            "model": as a model in half precision computes them itself; "float32": recomputed in
            float32 from the model's query and key. No difference for a model in float32 or float64.

        Returns
        -------
        Tensor
            ``[heads, rows, keys]`` of :attr:`dtype`. A row that may look nowhere is NaN: undefined.
        """
        seen = self.visible_weights(heads, rows, scores=scores, precision=precision)
        n_hidden = self.n_keys - seen.shape[-1]
        if not n_hidden:
            return seen
        return torch.nn.functional.pad(seen, (0, n_hidden), value=-torch.inf if scores else 0.0)

    @abstractmethod
    def visible_weights(
        self,
        heads: Sequence[int],
        rows: Sequence[int],
        *,
        scores: bool = False,
        precision: Precision = "model",
    ) -> Float[Tensor, "head query visible"]:
        """Weights as :meth:`weights`, without the last keys where they are hidden from all rows."""

    @abstractmethod
    def of_sequence(self, index: int, queries: range, keys: range) -> Self:
        """Return the part of a batched call that belongs to one sequence, without its padding."""
