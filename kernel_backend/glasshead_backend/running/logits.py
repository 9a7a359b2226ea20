"""The logits of a run, held as the hidden states that they are made from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from glasshead_backend.running.as_found import autocast_now
from glasshead_backend.running.body import short_unembedding, unembedding_of
from glasshead_backend.running.forward import forward

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jaxtyping import Float
    from torch import Tensor, nn

_BLOCK_VALUES = 1 << 24
"""Most float32 logits in memory at once (64 MB)."""


@dataclass(eq=False)
class NextTokenLogits:
    """The logits of every position, held as hidden states or (where needed) as they are.

    Parameters
    ----------
    hidden : Tensor or None
        ``[positions, hidden]``: what the unembedding was called with.
    unembedding : nn.Module or None
        Maps hidden states to logits.
    logits : Tensor or None
        ``[positions, vocabulary]`` in the model's dtype, for models that change the logits behind
        the unembedding (soft-cap, scale, bias).
    """

    hidden: Float[Tensor, "position hidden"] | None = None
    unembedding: nn.Module | None = None
    logits: Float[Tensor, "position vocabulary"] | None = None
    n_vocabulary: int = field(default=1)

    def __post_init__(self) -> None:
        self._autocast = None if self.hidden is None else autocast_now(self.hidden.device)

    @torch.no_grad()
    def rows(self, start: int, stop: int) -> Float[Tensor, "position vocabulary"]:
        """Logits of some positions in float32."""
        if self.logits is not None:
            return self.logits[start:stop].float()
        assert self.hidden is not None
        assert self.unembedding is not None
        assert self._autocast is not None
        with self._autocast():
            return self.unembedding(self.hidden[start:stop]).float()

    def blocks(
        self, n_positions: int
    ) -> Iterator[tuple[int, int, Float[Tensor, "position vocabulary"]]]:
        """Yield ``(start, stop, logits)`` so that a block stays within 64 MB."""
        size = max(1, _BLOCK_VALUES // self.n_vocabulary)
        for start in range(0, n_positions, size):
            stop = min(start + size, n_positions)
            yield start, stop, self.rows(start, stop)

    def of(self, rows: Sequence[int]) -> Float[Tensor, "position vocabulary"]:
        """Logits of any positions in float32, in their order."""
        index = list(rows)
        chosen = replace(
            self,
            hidden=None if self.hidden is None else self.hidden[index],
            logits=None if self.logits is None else self.logits[index],
        )
        shape = (len(index), self.n_vocabulary)
        found = torch.empty(shape, dtype=torch.float32, device=self.device)
        for start, stop, block in chosen.blocks(len(index)):
            found[start:stop] = block
        return found

    @property
    def device(self) -> torch.device:
        """Where logits are made."""
        return (self.hidden if self.logits is None else self.logits).device  # type: ignore[union-attr]

    @property
    def n_rows(self) -> int:
        """Number of positions."""
        return len(self.hidden if self.logits is None else self.logits)  # type: ignore[arg-type]

    @property
    def needs_model(self) -> bool:
        """Whether logits are made by the model's unembedding when they are asked for."""
        return self.logits is None

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(held.nbytes for held in (self.hidden, self.logits) if held is not None)


def run_for_logits(
    model: Any,
    inputs: dict[str, Tensor],
    scored: Sequence[range],
    *,
    wanted: bool,
    plain_unembedding: bool,
) -> list[NextTokenLogits | None]:
    """Run the model and keep what predictions are made from: hidden states, not logits.

    Parameters
    ----------
    model : PreTrainedModel
    inputs : dict
        Keyword arguments of the model's forward.
    scored : sequence of range
        Of every sequence of the batch, the positions that predict.
    wanted : bool
        Whether the model predicts next tokens at all.
    plain_unembedding : bool
        Whether logits are the unembedding's output, unchanged; if not, they are kept themselves.

    Returns
    -------
    list
        One for every sequence; None for a model that predicts no next token.
    """
    unembedding = unembedding_of(model)
    if not wanted or unembedding is None:
        forward(model, inputs)
        return [None] * len(scored)
    if not plain_unembedding:
        logits = forward(model, inputs).logits
        return [
            NextTokenLogits(logits=logits[i, at.start : at.stop], n_vocabulary=logits.shape[-1])
            for i, at in enumerate(scored)
        ]
    with short_unembedding(unembedding) as kept:
        vocabulary = forward(model, inputs).logits.shape[-1]
    return [
        NextTokenLogits(
            hidden=kept[0][i, at.start : at.stop], unembedding=unembedding, n_vocabulary=vocabulary
        )
        for i, at in enumerate(scored)
    ]
