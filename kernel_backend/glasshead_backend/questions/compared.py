"""How differently two runs predicted the same words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from glasshead_backend.answering import answered, travels
from glasshead_backend.data_frames import ShownAsTable, nullable, table
from glasshead_backend.questions.predictions import predictions
from glasshead_backend.text.matching import partners

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Bool, Float, Int
    from torch import Tensor

    from glasshead_backend.questions.predictions import Predictions
    from glasshead_backend.tracing.run import Run


@travels
@dataclass(frozen=True, eq=False, repr=False)
class ComparedPredictions(ShownAsTable):
    """What one run predicted beside what another did.

    Differences are this run's value minus the other's, ``[tokens]`` float32; NaN where a token has
    no partner in the other text, or no prediction in one of the two.

    Attributes
    ----------
    own : Predictions
    other : Predictions
        Of the other run, with its own tokens.
    partner : Tensor
        ``[tokens]`` int64: place of each token in the other text; -1 where it has no partner.
    """

    own: Predictions
    other: Predictions
    partner: Int[Tensor, " token"]

    def __len__(self) -> int:
        return len(self.partner)

    @property
    def is_compared(self) -> Bool[Tensor, " token"]:
        """Which tokens have a difference."""
        return ~self.surprisal.isnan()

    @property
    def surprisal(self) -> Float[Tensor, " token"]:
        """Difference of surprisals, nats; that of log perplexities as well."""
        return self.own.surprisal - self.of_partner(self.other.surprisal)

    @property
    def entropy(self) -> Float[Tensor, " token"]:
        """Difference of entropies, nats."""
        return self.own.entropy - self.of_partner(self.other.entropy)

    @property
    def probability(self) -> Float[Tensor, " token"]:
        """Difference of probabilities."""
        return self.own.probability - self.of_partner(self.other.probability)

    @property
    def log2_rank(self) -> Float[Tensor, " token"]:
        """Difference of ranks in doublings: ``log2(rank / rank of the other)``."""
        return self.own.rank.log2() - self.of_partner(self.other.rank).log2()

    def of_partner(self, values: Float[Tensor, " other"]) -> Float[Tensor, " token"]:
        """Return a measure of the other run at the partner of each token; NaN where there is none.

        Parameters
        ----------
        values : Tensor
            ``[tokens of the other]``, e.g. ``compared.other.rank``.
        """
        if not len(values):
            return torch.full((len(self),), torch.nan)
        return values[self.partner.clamp_min(0)].masked_fill(self.partner < 0, torch.nan)

    def _what(self) -> str:
        n = int(self.is_compared.sum())
        mean = f", mean difference {float(self.surprisal.nanmean()):+.3g} nats" if n else ""
        return f"ComparedPredictions: {n} of {len(self)} tokens compared{mean}"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per token: both surprisals (nats), and all differences."""
        partner = self.partner.double().masked_fill(self.partner < 0, torch.nan)
        return table(
            {
                "token": [token.text for token in self.own.tokens],
                "partner": nullable(partner.numpy(), "Int64"),
                "surprisal": self.own.surprisal.numpy(),
                "surprisal_other": self.of_partner(self.other.surprisal).numpy(),
                "surprisal_difference": self.surprisal.numpy(),
                "entropy_difference": self.entropy.numpy(),
                "probability_difference": self.probability.numpy(),
                "log2_rank_difference": self.log2_rank.numpy(),
            }
        )


@answered
def compare_predictions(run: Run, other: Run) -> ComparedPredictions:
    """Compare what two runs predicted; see :meth:`Trace.compare_predictions`."""
    own, others = predictions(run), predictions(other)
    for found in (own, others):
        if not found.n_scored:
            raise ValueError(f"There are no predictions to compare. {found.reason}")
    ids = [[token.id for token in found.tokens] for found in (own, others)]
    partner = partners(*ids)
    shared = [id_ for id_, place in zip(ids[0], partner, strict=True) if place >= 0]
    if run.subject.spelled(shared) != other.subject.spelled(shared):
        raise ValueError(
            f"{run.subject.name} and {other.subject.name} have different tokenizers: what one of "
            "them predicts is no token of the other. Compare models with one tokenizer."
        )
    if not shared:
        raise ValueError(
            "The two texts have no token in common: there is nothing to compare. Compare models "
            "with one tokenizer, on texts that share words."
        )
    return ComparedPredictions(own, others, torch.tensor(partner))
