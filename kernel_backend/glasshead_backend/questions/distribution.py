"""The whole distribution that a token was drawn from, and what sampling would keep of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from glasshead_backend.answering import answered, travels
from glasshead_backend.checks import at_least_one
from glasshead_backend.data_frames import ShownAsTable, table
from glasshead_backend.questions.predictions import logits_row, predicting_row, predictions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from jaxtyping import Bool, Float, Int
    from torch import Tensor

    from glasshead_backend.text.tokens import Token
    from glasshead_backend.tracing.run import Run


@travels
@dataclass(frozen=True, eq=False, repr=False)
class Distribution(ShownAsTable):
    """The softmax over the vocabulary at one place.

    Attributes
    ----------
    position : int
        Of the predicted token.
    token : Token or None
        The token that came there; None after the last one.
    temperature : float
        What the logits were divided by; 1 = the model's own distribution.
    top_k : int or None
        Sampling keeps so many of the most probable tokens; None = all.
    top_p : float
        Sampling keeps the fewest tokens with so much of what `top_k` leaves; 1 = all.
    probability : Tensor
        ``[vocabulary]`` float32, by token id, before anything is cut off.
    order : Tensor
        ``[vocabulary]`` int64: token ids, most probable first; of equals the first id first.
    kept : Tensor
        ``[vocabulary]`` bool, by token id: what sampling would draw from.
    words : callable
        Spells token ids.
    """

    position: int
    token: Token | None
    temperature: float
    top_k: int | None
    top_p: float
    probability: Float[Tensor, " vocabulary"]
    order: Int[Tensor, " vocabulary"]
    kept: Bool[Tensor, " vocabulary"]
    words: Callable[[Sequence[int]], list[str]]

    @property
    def nbytes(self) -> int:
        """Bytes of its tensors."""
        return self.probability.nbytes + self.order.nbytes + self.kept.nbytes

    @property
    def entropy(self) -> float:
        """Entropy at this temperature, nats."""
        return float(torch.special.entr(self.probability.double()).sum())

    @property
    def n_kept(self) -> int:
        """Number of tokens that sampling would draw from."""
        return int(self.kept.sum())

    @property
    def kept_mass(self) -> float:
        """Probability of those together."""
        return float(self.probability.double()[self.kept].sum())

    @property
    def rank(self) -> int | None:
        """Place of the token that came, 1 = best; equals share one."""
        if self.token is None:
            return None
        return 1 + int((self.probability > self.probability[self.token.id]).sum())

    def mass(self, k: int) -> float:
        """Return the probability of the k most probable tokens together."""
        k = at_least_one(k, "k", "token")
        return float(self.probability.double()[self.order[:k]].sum())

    def _what(self) -> str:
        came = "" if self.token is None else f" where {self.token.text!r} came"
        return (
            f"Distribution at position {self.position}{came}: {self.n_kept:,} of "
            f"{len(self.probability):,} tokens kept, {self.kept_mass:.1%} of the probability"
        )

    def to_frame(self, n: int | None = None) -> pd.DataFrame:
        """Return one row per token, most probable first.

        Parameters
        ----------
        n : int, optional
            How many; default all.

        Returns
        -------
        pandas.DataFrame
            Columns ``token``, ``id``, ``probability``, ``kept`` and ``sampled``, the probability of
            being drawn once the rest is cut off.
        """
        ids = self.order if n is None else self.order[: at_least_one(n, "n", "token")]
        probability, kept = self.probability[ids], self.kept[ids]
        sampled = torch.where(kept, probability.double() / self.kept_mass, 0.0)
        return table(
            {
                "token": self.words(ids.tolist()),
                "id": ids.numpy(),
                "probability": probability.numpy(),
                "kept": kept.numpy(),
                "sampled": sampled.numpy(),
            }
        )


@answered
def distribution(
    run: Run,
    position: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
) -> Distribution:
    """Return the distribution that a token was drawn from; see :meth:`Trace.distribution`."""
    if not 0 < temperature < float("inf"):
        raise ValueError(
            f"temperature {temperature!r} is not above 0: 1 is the model's own distribution, and "
            "small ones come near to always taking the first choice."
        )
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p {top_p!r} is not above 0 and up to 1: 1 keeps all tokens.")
    if top_k is not None:
        top_k = at_least_one(top_k, "top_k", "token")
    tokens = predictions(run).tokens
    row = predicting_row(run, position, after_last=True)
    position = position + len(tokens) if position < 0 else int(position)
    logits = run.store.remember(("logits", row), lambda: logits_row(run, row).cpu())
    probability = (logits / temperature).softmax(dim=-1)
    order = probability.argsort(descending=True, stable=True)
    return Distribution(
        position=position,
        token=tokens[position] if position < len(tokens) else None,
        temperature=float(temperature),
        top_k=top_k,
        top_p=float(top_p),
        probability=probability,
        order=order,
        kept=_kept(probability, order, top_k, top_p),
        words=run.subject.spelled,
    )


def _kept(
    probability: Float[Tensor, " vocabulary"],
    order: Int[Tensor, " vocabulary"],
    top_k: int | None,
    top_p: float,
) -> Bool[Tensor, " vocabulary"]:
    """Which tokens sampling draws from: as ``model.generate`` does, first `top_k`, then `top_p`."""
    kept = torch.ones_like(probability, dtype=torch.bool)
    if top_k is not None:
        # Equals of the last one kept are kept, too.
        kept = probability >= probability[order[min(top_k, len(order)) - 1]]
    if top_p < 1:
        left = torch.where(kept, probability.double(), 0.0)[order]
        before = left.cumsum(dim=0) - left
        nucleus = torch.zeros_like(kept)
        nucleus[order] = before < top_p * left.sum()
        kept = kept & nucleus
    return kept
