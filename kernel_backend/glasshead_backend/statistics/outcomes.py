"""Where predictions are right and where they are wrong: along the text, by length, by word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from glasshead_backend.answering import answered, travels
from glasshead_backend.checks import at_least_one
from glasshead_backend.data_frames import ShownAsTable, table
from glasshead_backend.text.words import token_to_word
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Bool, Float, Int
    from torch import Tensor

    from glasshead_backend.trace import Trace

__all__ = ["PredictionOutcomes", "prediction_outcomes"]


@travels
@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PredictionOutcomes(ShownAsTable):
    """Every predicted token: where it is, how long it is, and whether it was predicted right.

    Attributes
    ----------
    tokens : tuple of str
        The predicted tokens that have a prediction.
    words : tuple of str
        The word that each of them belongs to.
    occurrences : Tensor
        ``[predictions]`` int64: which word of the text that is, the same for tokens of one word.
    positions : Tensor
        ``[predictions]`` int64: their places in the text.
    lengths : Tensor
        ``[predictions]`` int64: characters of the decoded token, its leading space among them.
    is_correct : Tensor
        ``[predictions]`` bool: whether the token was the model's first choice.
    surprisal : Tensor
        ``[predictions]`` float64, nats.
    """

    tokens: tuple[str, ...]
    words: tuple[str, ...]
    occurrences: Int[Tensor, " prediction"]
    positions: Int[Tensor, " prediction"]
    lengths: Int[Tensor, " prediction"]
    is_correct: Bool[Tensor, " prediction"]
    surprisal: Float[Tensor, " prediction"]

    def _what(self) -> str:
        n = int(self.is_correct.sum())
        return f"PredictionOutcomes: {n} of {len(self.tokens)} predictions are right"

    @property
    def accuracy(self) -> float:
        """Share of the predictions that are right."""
        return float(self.is_correct.double().mean())

    def to_frame(self) -> pd.DataFrame:
        """Return one row per prediction; surprisal in nats."""
        return table(
            {
                "position": self.positions.numpy(),
                "token": self.tokens,
                "word": self.words,
                "length": self.lengths.numpy(),
                "correct": self.is_correct.numpy(),
                "surprisal": self.surprisal.numpy(),
            }
        )

    def positions_frame(self, parts: int = 20) -> pd.DataFrame:
        """Return the accuracy along the text, cut into stretches of equally many positions.

        Parameters
        ----------
        parts : int
            At most so many; the last one may be shorter.

        Returns
        -------
        pandas.DataFrame
            Columns ``first``, ``last`` (positions), ``n``, ``n_correct``, ``accuracy``.
        """
        start = int(self.positions.min())
        reach = int(self.positions.max()) + 1 - start
        size = -(-reach // min(at_least_one(parts, "parts", "part"), reach))
        part = (self.positions - start) // size
        n = torch.bincount(part)
        right = torch.bincount(part[self.is_correct], minlength=len(n))
        first = start + size * torch.arange(len(n))
        return table(
            {
                "first": first.numpy(),
                "last": (first + size - 1).clamp(max=start + reach - 1).numpy(),
                "n": n.numpy(),
                "n_correct": right.numpy(),
                "accuracy": (right.double() / n).numpy(),
            }
        )

    def lengths_frame(self) -> pd.DataFrame:
        """Return how often tokens of each length are predicted right and wrong.

        Returns
        -------
        pandas.DataFrame
            One row per length from the shortest to the longest: ``length`` (characters),
            ``n_correct``, ``n_incorrect``, and each as a share of its group: ``share_correct``,
            ``share_incorrect``.
        """
        shortest, longest = int(self.lengths.min()), int(self.lengths.max())
        n = longest - shortest + 1
        right, wrong = (
            torch.bincount(self.lengths[group] - shortest, minlength=n)
            for group in (self.is_correct, ~self.is_correct)
        )
        return table(
            {
                "length": np.arange(shortest, longest + 1),
                "n_correct": right.numpy(),
                "n_incorrect": wrong.numpy(),
                "share_correct": (right.double() / right.sum()).numpy(),
                "share_incorrect": (wrong.double() / wrong.sum()).numpy(),
            }
        )

    def words_frame(self) -> pd.DataFrame:
        """Return one row per word as it is written, the most frequent first.

        A word of several tokens is predicted right where all of them are; its surprisal is their
        sum.

        Returns
        -------
        pandas.DataFrame
            Columns ``word``, ``n`` (occurrences), ``n_correct``, ``accuracy``, ``surprisal``
            (nats; the mean over the occurrences).
        """
        of_tokens = self.to_frame().assign(place=self.occurrences.numpy())
        each = of_tokens.groupby("place", sort=True).agg(
            word=("word", "first"), correct=("correct", "all"), surprisal=("surprisal", "sum")
        )
        found = each.groupby("word", sort=False).agg(
            n=("correct", "size"), n_correct=("correct", "sum"), surprisal=("surprisal", "mean")
        )
        found.insert(2, "accuracy", found["n_correct"] / found["n"])
        return found.sort_values("n", ascending=False, kind="stable").reset_index()


@answered
def prediction_outcomes(trace: Trace) -> PredictionOutcomes:
    """Say of every predicted token whether it was predicted right, and how long it is.

    Parameters
    ----------
    trace : Trace

    Returns
    -------
    PredictionOutcomes

    Raises
    ------
    ValueError
        When the model predicts nothing.
    """
    found = trace.predictions()
    if not found.n_scored:
        raise ValueError(found.reason)
    scored = run_of(trace).sides.scored
    place = token_to_word(scored.words, len(scored.tokens))
    positions = (~found.surprisal.isnan()).nonzero()[:, 0]
    tokens = tuple(found.tokens[at].text for at in positions.tolist())
    return PredictionOutcomes(
        tokens=tokens,
        words=tuple(scored.words[at].text for at in place[positions].tolist()),
        occurrences=place[positions],
        positions=positions,
        lengths=torch.tensor([len(token) for token in tokens]),
        is_correct=found.correct[positions] == 1,
        surprisal=found.surprisal[positions].double(),
    )
