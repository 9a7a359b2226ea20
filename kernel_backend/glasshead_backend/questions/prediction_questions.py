"""Questions about predictions: surprisal, perplexity, alternatives."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from glasshead_backend.checks import at_least_one, several, whole
from glasshead_backend.checks import positions as checked_positions
from glasshead_backend.memory import budget_on, require_room
from glasshead_backend.questions.predictions import no_predictions, predictions_of, top_alternatives
from glasshead_backend.table import table
from glasshead_backend.tracing.run import Recorded
from glasshead_backend.tracing.scores import prediction_shift

if TYPE_CHECKING:
    from collections import abc
    from collections.abc import Generator
    from typing import SupportsIndex

    import pandas as pd
    from jaxtyping import Float, Int
    from torch import Tensor

    from glasshead_backend.questions.predictions import Predictions
    from glasshead_backend.running.logits import NextTokenLogits

_FIRST_TOKEN = (
    "The first token has no value: nothing stands before it that the model could predict it from."
)


class PredictionQuestions(Recorded):
    """What a trace can be asked about predictions."""

    def __init__(self, **recorded: Any) -> None:
        super().__init__(**recorded)
        self._predictions: Predictions | None = None
        self._alternatives: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}

    def close(self) -> None:
        """Free what was recorded."""
        super().close()
        self._predictions = None
        self._alternatives = {}

    @property
    def nbytes(self) -> int:
        """Bytes of tensors that this trace keeps alive."""
        made = 0 if self._predictions is None else self._predictions.nbytes
        alternatives = sum(t.nbytes for pair in self._alternatives.values() for t in pair)
        return super().nbytes + made + alternatives

    def predictions(self) -> Predictions:
        """Return surprisal, probability, rank and entropy of every token of the text or target.

        They were computed when the text was traced.
        """
        self._require_open()
        if self._predictions is None:
            tokens = self.sides.scored.tokens
            self._predictions = (
                no_predictions(tokens, self._lacks_predictions())
                if self._scores is None
                else predictions_of(self._scores, tokens, _FIRST_TOKEN)
            )
        return self._predictions

    def _lacks_predictions(self) -> str:
        if self.family == "encoder":
            return (
                f"{self.lens.name} is an encoder: it reads the whole text at once and predicts no "
                "next token, so there is no surprisal or perplexity."
            )
        return (
            f"{self._model_class} has no language-model head. Load the model with "
            "AutoModelForCausalLM or AutoModelForSeq2SeqLM to see its predictions."
        )

    @property
    def perplexity(self) -> float:
        """Perplexity of the whole sequence: ``exp(mean surprisal)``.

        Raises
        ------
        ValueError
            When no token has a prediction (encoders, a text of one token); the message says why.
        """
        return self.predictions().mean_perplexity

    def top_k(self, position: int, k: int = 10) -> pd.DataFrame:
        """Return the k most probable tokens at the place of one token, before it was seen.

        Parameters
        ----------
        position : int
            Position of the predicted token. Negative ones count from the end, so that -1 is what
            the model expected where the last token stands. For the place *after* the last token see
            :meth:`next_token`; its position, the number of tokens, will do here, too.
        k : int
            How many.

        Returns
        -------
        pandas.DataFrame
            Columns ``token``, ``id``, ``probability``; best first.

        Raises
        ------
        ValueError
            Where the model makes no prediction; the message says why.
        ModelChangedError
            When the model has changed since the text was traced.
        """
        predictions = self.predictions()
        n_tokens, shift = len(predictions.tokens), self.prediction_shift
        if self._scores is not None and whole(position, "position") == n_tokens:
            return self.next_token(k)
        position = checked_positions([position], n_tokens)[0]
        if self._logits is None or position < shift:
            raise ValueError(f"There is no prediction at position {position}. {predictions.reason}")
        return self._most_probable(position - shift, k)

    def next_token(self, k: int = 10) -> pd.DataFrame:
        """Return the k most probable tokens after the last one: how the model would go on.

        Parameters
        ----------
        k : int
            How many.

        Returns
        -------
        pandas.DataFrame
            Columns ``token``, ``id``, ``probability``; best first.

        Raises
        ------
        ValueError
            When the model predicts no next token, or was not run on the last one (the target of an
            encoder-decoder model).
        ModelChangedError
            When the model has changed since the text was traced.
        """
        predictions = self.predictions()
        if self._logits is None:
            raise ValueError(f"There is no next token. {predictions.reason}")
        if not self.prediction_shift:
            last = predictions.tokens[-1].text
            raise ValueError(
                f"What would follow the target is not known: the decoder has not read its last "
                f"token, {last!r}, which is what its last row predicts. top_k(-1) has what could "
                "have stood there; to see what follows, trace a target with one token more."
            )
        return self._most_probable(len(predictions.tokens) - 1, k)

    def _most_probable(self, row: int, k: int) -> pd.DataFrame:
        k = at_least_one(k, "k", "token")
        with self._unembedding() as logits:
            block = logits.rows(row, row + 1)[0]
        top = block.softmax(dim=-1).topk(min(k, len(block)))
        ids = top.indices.tolist()
        return table(
            {"token": self.decode(ids), "id": ids, "probability": top.values.cpu().numpy()}
        )

    def logits(
        self, positions: SupportsIndex | abc.Iterable[SupportsIndex] | None = None
    ) -> Float[Tensor, "position vocabulary"]:
        """Return what the model puts out at some positions, before any softmax.

        Parameters
        ----------
        positions : int or sequence of int, optional
            Positions of the text, of an encoder-decoder model of the decoder's inputs; negative
            ones count from the end. Default all. Those of position ``i`` are about token ``i + 1``
            of a text (the last about the token that would follow), and about label ``i`` of an
            encoder-decoder model.

        Returns
        -------
        Tensor
            ``[positions, vocabulary]`` float32, as ``model(...).logits`` has them.

        Raises
        ------
        ValueError
            When the model predicts no next token, or for positions that are not there.
        MemoryBudgetError
            When they take more memory than they may; the message says how many would fit.
        ModelChangedError
            When the model has changed since the text was traced.
        """
        reason = self.predictions().reason
        if self._logits is None:
            raise ValueError(f"There are no logits. {reason}")
        rows = checked_positions(
            positions if positions is None else several(positions, "position"),
            len(self.sequences[-1].tokens),
        )
        row_bytes = torch.float32.itemsize * self._logits.n_vocabulary
        allowed = budget_on(self._logits.device, self.lens.memory_budget)
        require_room(
            len(rows) * row_bytes,
            allowed,
            f"The logits of {len(rows):,} positions x {self._logits.n_vocabulary:,} tokens: that",
            [f"{allowed // row_bytes:,} positions would fit (positions=)."],
        )
        with self._unembedding() as logits:
            return logits.of(rows)

    def top_alternatives(
        self, n_positions: int, k: int
    ) -> tuple[Int[Tensor, "position k"], Float[Tensor, "position k"]] | None:
        """Ids and probabilities of the k most probable tokens, for the first scored positions.

        The first row belongs to the first token that has a prediction. None when there is none.

        Raises
        ------
        ModelChangedError
            When they are not known yet and the model has changed since the text was traced.
        """
        n_scored = len(self.predictions().tokens) - self.prediction_shift
        if self._logits is None or n_scored <= 0:
            return None
        wanted = min(n_positions, n_scored), k
        # They cost an unembedding of every position, and views ask for the same ones again.
        if wanted not in self._alternatives:
            with self._unembedding() as logits:
                self._alternatives[wanted] = top_alternatives(logits, *wanted)
        return self._alternatives[wanted]

    @contextmanager
    def _unembedding(self) -> Generator[NextTokenLogits, None, None]:
        """The logits; where they are made by the model's unembedding, it must be what it was."""
        assert self._logits is not None
        if not self._logits.needs_model:
            yield self._logits
            return
        with self._model_again():
            yield self._logits

    @property
    def prediction_shift(self) -> int:
        """The token that position 0 predicts: the next one, or label 0 in an encoder-decoder."""
        return prediction_shift(self.sides)

    def decode(self, ids: abc.Sequence[int]) -> list[str]:
        """Return the text of single tokens, spelled as :attr:`Token.text` is."""
        return [self.lens.vocabulary.piece(id_).text for id_ in ids]
