"""Questions about predictions: surprisal, perplexity, alternatives."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from glasshead_backend.checks import positions
from glasshead_backend.prediction import no_predictions, score, top_alternatives
from glasshead_backend.recorded import Recorded

if TYPE_CHECKING:
    from collections import abc

    from jaxtyping import Float, Int
    from torch import Tensor

    from glasshead_backend.prediction import Predictions

_FIRST_TOKEN = (
    "The first token has no value: nothing stands before it that the model could predict it from."
)


class PredictionQuestions(Recorded):
    """What a trace can be asked about predictions."""

    def __init__(self, **recorded: Any) -> None:
        super().__init__(**recorded)
        self._alternatives: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}

    def close(self) -> None:
        """Free what was recorded."""
        super().close()
        self._alternatives = {}

    def predictions(self) -> Predictions:
        """Return surprisal, probability, rank and entropy of every token of the text or target."""
        self._require_open()
        return self._predictions

    @cached_property
    def _predictions(self) -> Predictions:
        tokens = self.sides.scored.tokens
        if self._logits is None:
            reason = (
                f"{self.lens.name} is an encoder: it reads the whole text at once and predicts no "
                "next token, so there is no surprisal or perplexity."
                if self.family == "encoder"
                else f"{type(self.lens.model).__name__} has no language-model head. Load the model "
                "with AutoModelForCausalLM or AutoModelForSeq2SeqLM to see its predictions."
            )
            return no_predictions(tokens, reason)
        return score(self._logits, tokens, self.prediction_shift, _FIRST_TOKEN)

    @property
    def perplexity(self) -> float:
        """Perplexity of the whole sequence: ``exp(mean surprisal)``; NaN when nothing is scored."""
        return self.predictions().mean_perplexity

    def top_k(self, position: int, k: int = 10) -> pd.DataFrame:
        """Return the k most probable tokens at the place of one token, before it was seen.

        Parameters
        ----------
        position : int
            Position of the predicted token.
        k : int
            How many.

        Returns
        -------
        pandas.DataFrame
            Columns ``token``, ``id``, ``probability``; best first.
        """
        predictions = self.predictions()
        position = positions([position], len(predictions.tokens))[0]
        if self._logits is None or position < self.prediction_shift:
            raise ValueError(f"There is no prediction at position {position}. {predictions.reason}")
        row = position - self.prediction_shift
        top = self._logits.rows(row, row + 1)[0].softmax(dim=-1).topk(max(1, k))
        ids = top.indices.tolist()
        return pd.DataFrame(
            {"token": self.decode(ids), "id": ids, "probability": top.values.cpu().numpy()}
        )

    def top_alternatives(
        self, n_positions: int, k: int
    ) -> tuple[Int[Tensor, "position k"], Float[Tensor, "position k"]] | None:
        """Ids and probabilities of the k most probable tokens, for the first scored positions.

        The first row belongs to the first token that has a prediction. None when there is none.
        """
        n_scored = len(self.predictions().tokens) - self.prediction_shift
        if self._logits is None or n_scored <= 0:
            return None
        wanted = min(n_positions, n_scored), k
        # They cost an unembedding of every position, and views ask for the same ones again.
        if wanted not in self._alternatives:
            self._alternatives[wanted] = top_alternatives(self._logits, *wanted)
        return self._alternatives[wanted]

    @property
    def prediction_shift(self) -> int:
        """The token that position 0 predicts: the next one, or label 0 in an encoder-decoder."""
        return 1 if self.sides.decoder is None else 0

    def decode(self, ids: abc.Sequence[int]) -> list[str]:
        """Return the text of single tokens, spelled as :attr:`Token.text` is."""
        return [self.lens.vocabulary.piece(id_).text for id_ in ids]
