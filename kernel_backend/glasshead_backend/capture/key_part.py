"""One softmax over more than one sequence of tokens: some of its columns.

T5Gemma-2 takes one softmax over the decoder's own tokens and the encoder's; the columns of each are
a kind of attention of their own. DeepSeek-V4 has, behind the tokens' keys, entries that stand for
whole blocks of tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from glasshead_backend.capture.call import AttentionCall

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from jaxtyping import Float
    from torch import Tensor, nn
    from typing_extensions import Self

    from glasshead_backend.asking import Precision
    from glasshead_backend.capture.call import Path


@dataclass(eq=False)
class KeyPart(AttentionCall):
    """Some columns of a call whose softmax runs over more keys.

    Parameters
    ----------
    call : AttentionCall
        The whole call.
    queries, keys : range
        The rows and columns that are meant.
    others : str
        What the other columns are.
    """

    call: AttentionCall
    queries: range
    keys: range
    others: str = "the tokens of the other sequence"

    @property
    def module(self) -> nn.Module:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The module that made the call."""
        return self.call.module

    @property
    def path(self) -> Path:
        """How the weights are computed."""
        return self.call.path

    @property
    def n_heads(self) -> int:
        """Number of query heads."""
        return self.call.n_heads

    @property
    def n_queries(self) -> int:
        """Number of tokens that look."""
        return len(self.queries)

    @property
    def n_keys(self) -> int:
        """Number of tokens that are looked at."""
        return len(self.keys)

    @property
    def device(self) -> torch.device:
        """Where the weights are computed."""
        return self.call.device

    @property
    def dtype(self) -> torch.dtype:
        """What the weights are given in."""
        return self.call.dtype

    @property
    def nbytes(self) -> int:
        """Bytes held by the whole call, which its parts share."""
        return self.call.nbytes if self.keys.start == 0 else 0

    @property
    def working_bytes(self) -> int:
        """Bytes that computing any row of the whole call takes for a while."""
        return self.call.working_bytes

    @property
    def computes_all_heads(self) -> bool:
        """Whether rows of all heads of the whole call are computed for a while."""
        return self.call.computes_all_heads

    @property
    def remainder(self) -> str:
        """What takes the share that a row's weights lack to 1."""
        inner = self.call.remainder
        return f"{self.others} and {inner}" if inner else self.others

    def visible_weights(
        self,
        heads: Sequence[int],
        rows: Sequence[int],
        *,
        scores: bool = False,
        precision: Precision = "model",
    ) -> Float[Tensor, "head query key"]:
        """Weights or scores of some heads and rows; see the base class."""
        first = self.queries.start
        # A range stays one: its rows are then a view.
        shifted = (
            range(rows.start + first, rows.stop + first)
            if isinstance(rows, range) and rows.step == 1
            else [row + first for row in rows]
        )
        whole = self.call.weights(heads, shifted, scores=scores, precision=precision)
        return whole[..., self.keys.start : self.keys.stop]

    def of_sequence(self, index: int, queries: range, keys: range) -> Self:
        """Return the part of a batched call that belongs to one sequence."""
        whole = self.call.of_sequence(index, range(self.call.n_queries), range(self.call.n_keys))
        start = self.keys.start
        own = range(start + keys.start, start + keys.stop)
        return replace(self, call=whole, queries=queries, keys=own)
