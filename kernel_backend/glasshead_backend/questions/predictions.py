"""What a language model predicts: surprisal, perplexity, rank, entropy and the alternatives.

Nothing of size tokens x vocabulary is kept. Every token was scored while the text was recorded
(:mod:`glasshead_backend.tracing.scores`), and the hidden states in front of the unembedding are
kept: logits are made from them once more, in blocks, when somebody asks for alternatives.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from glasshead_backend.answering import answered, answered_once, travels
from glasshead_backend.checks import at_least_one, several, stretch, whole
from glasshead_backend.checks import positions as checked_positions
from glasshead_backend.data_frames import ShownAsTable, nullable, table
from glasshead_backend.memory import budget_on, require_room
from glasshead_backend.text.words import token_to_word
from glasshead_backend.tracing.scores import scores_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence
    from typing import SupportsIndex

    import pandas as pd
    from jaxtyping import Float, Int

    from glasshead_backend.running.logits import NextTokenLogits
    from glasshead_backend.text.tokens import Token
    from glasshead_backend.text.words import Word
    from glasshead_backend.tracing.run import Run

_FIRST_TOKEN = (
    "The first token has no value: nothing stands before it that the model could predict it from."
)
_MASKED = (
    "Pseudo-perplexity: each token was masked and predicted from all others, before and behind it. "
    "Special tokens have no value."
)


@travels
@dataclass(frozen=True, eq=False, repr=False)
class Predictions(ShownAsTable):
    """How well the model predicted every token of a sequence.

    Attributes
    ----------
    tokens : tuple of Token
        The predicted tokens.
    surprisal : Tensor
        ``-log p(token | what comes before)``, nats. It is ``[tokens]`` float32 as all that follow,
        and as they NaN where the model makes no prediction: means are ``tensor.nanmean()``.
    probability : Tensor
        ``exp(-surprisal)``.
    perplexity : Tensor
        ``exp(surprisal)`` of each token.
    entropy : Tensor
        Entropy of the predictive distribution, nats.
    rank : Tensor
        Place of the true token among all, 1 = best; whole numbers.
    correct : Tensor
        Whether the true token is the model's first choice: 0 or 1.
    reason : str
        Why some tokens (or all) have no prediction, in words; empty when all have one.
    """

    tokens: tuple[Token, ...]
    surprisal: Float[Tensor, " token"]
    probability: Float[Tensor, " token"]
    perplexity: Float[Tensor, " token"]
    entropy: Float[Tensor, " token"]
    rank: Float[Tensor, " token"]
    correct: Float[Tensor, " token"]
    reason: str = ""

    @property
    def n_scored(self) -> int:
        """Number of tokens that have a prediction."""
        return int((~self.surprisal.isnan()).sum())

    @property
    def mean_perplexity(self) -> float:
        """Perplexity of the whole sequence: ``exp(mean surprisal)`` over the scored tokens.

        Raises
        ------
        ValueError
            When no token has a prediction; the message says why.
        """
        if not self.n_scored:
            raise ValueError(f"There is no perplexity. {self.reason}")
        return float(self.surprisal.double().nanmean().exp())

    @property
    def nbytes(self) -> int:
        """Bytes of the measures."""
        measures = self.surprisal, self.probability, self.perplexity, self.entropy
        return sum(tensor.nbytes for tensor in (*measures, self.rank, self.correct))

    def _what(self) -> str:
        if not self.n_scored:
            return f"Predictions: none. {self.reason}"
        scored = f"{self.n_scored} of {len(self.tokens)} tokens predicted"
        return f"Predictions: {scored}, perplexity {self.mean_perplexity:.4g}"

    def part(self, start: int, stop: int) -> Predictions:
        """Return the predictions of some tokens, `start` to `stop` (not included).

        Raises
        ------
        ValueError
            When there are no such tokens.
        """
        chosen = stretch((start, stop), len(self.tokens), "tokens")
        own = slice(chosen.start, chosen.stop)
        names = ("surprisal", "probability", "perplexity", "entropy", "rank", "correct")
        measures = {name: getattr(self, name)[own] for name in names}
        return replace(self, tokens=self.tokens[own], **measures)

    def by_word(self, words: Sequence[Word]) -> pd.DataFrame:
        """Return one row per word: the surprisal of a word is the sum over its tokens.

        Parameters
        ----------
        words : sequence of Word
            Words that these tokens make: ``trace.words()``, in an encoder-decoder model
            ``trace.words("query", kind="cross")``.

        Returns
        -------
        pandas.DataFrame
            Columns ``word``, ``start``, ``end``, ``n_tokens``, ``surprisal`` (nats),
            ``probability``, ``perplexity``; NaN where a token of the word has no prediction.

        Raises
        ------
        ValueError
            When the words are not of these tokens.
        """
        word = token_to_word(words, len(self.tokens))
        surprisal = torch.zeros(len(words), dtype=torch.float32).index_add_(0, word, self.surprisal)
        return table(
            {
                "word": [one.text for one in words],
                "start": [one.start for one in words],
                "end": [one.end for one in words],
                "n_tokens": [len(one.tokens) for one in words],
                "surprisal": surprisal.numpy(),
                "probability": surprisal.neg().exp().numpy(),
                "perplexity": surprisal.exp().numpy(),
            }
        )

    def to_frame(self) -> pd.DataFrame:
        """Return one row per token; surprisal and entropy in nats.

        Where there is no prediction, values are missing: pandas' means leave them out.
        """
        return table(
            {
                "token": [token.text for token in self.tokens],
                "id": [token.id for token in self.tokens],
                "surprisal": self.surprisal.numpy(),
                "probability": self.probability.numpy(),
                "perplexity": self.perplexity.numpy(),
                "entropy": self.entropy.numpy(),
                "rank": nullable(self.rank.numpy(), "Int64"),
                "correct": nullable(self.correct.numpy(), "boolean"),
            }
        )


def no_predictions(tokens: Sequence[Token], reason: str) -> Predictions:
    """Return predictions of a model that makes none: NaN everywhere, with the reason."""
    nothing = torch.full((len(tokens),), torch.nan, dtype=torch.float32)
    return Predictions(tuple(tokens), nothing, nothing, nothing, nothing, nothing, nothing, reason)


def predictions_of(
    scores: Float[Tensor, "score token"], tokens: Sequence[Token], reason: str
) -> Predictions:
    """Make predictions of the scores of the last tokens.

    Parameters
    ----------
    scores : Tensor
        As :func:`scores_of` makes them.
    tokens : sequence of Token
        All tokens; in a decoder-only model the first is predicted by nothing.
    reason : str
        Why the tokens before have no prediction.

    Returns
    -------
    Predictions
        On the CPU.
    """
    n_before = len(tokens) - scores.shape[1]
    padded = nn.functional.pad(scores.cpu(), (n_before, 0), value=torch.nan)
    surprisal, entropy, rank, correct = padded.unbind()
    return Predictions(
        tokens=tuple(tokens),
        surprisal=surprisal,
        probability=(-surprisal).exp(),
        perplexity=surprisal.exp(),
        entropy=entropy,
        rank=rank,
        correct=correct,
        reason=reason if n_before else "",
    )


def score(
    logits: NextTokenLogits, tokens: Sequence[Token], first_position: int, reason: str
) -> Predictions:
    """Score every token by the position that predicts it.

    Parameters
    ----------
    logits : NextTokenLogits
        One row per position.
    tokens : sequence of Token
        The true tokens.
    first_position : int
        The token predicted by position 0: 1 for a decoder-only model (its first token is predicted
        by nothing), 0 for an encoder-decoder model (label ``i`` is predicted by row ``i``).
    reason : str
        Why the tokens before `first_position` have no prediction.

    Returns
    -------
    Predictions
        On the CPU.
    """
    ids = [token.id for token in tokens[first_position:]]
    if not ids:
        return no_predictions(tokens, reason)
    return predictions_of(scores_of(logits, ids), tokens, reason)


def top_alternatives(
    logits: NextTokenLogits, n_positions: int, k: int
) -> tuple[Int[Tensor, "position k"], Float[Tensor, "position k"]]:
    """Return ids and probabilities of the k most probable tokens at the first positions.

    Returns
    -------
    ids, probabilities : Tensor
        ``[n_positions, k]`` on the CPU, best first.
    """
    ids, probabilities = [], []
    for _, _, block in logits.blocks(n_positions):
        top = block.softmax(dim=-1).topk(min(k, block.shape[-1]), dim=-1)
        ids.append(top.indices.cpu())
        probabilities.append(top.values.cpu())
    return torch.cat(ids), torch.cat(probabilities)


# ---- asked of a run ------------------------------------------------------------------------------


@answered_once
def predictions(run: Run) -> Predictions:
    """Return how well every token was predicted; see :meth:`Trace.predictions`."""
    known: Predictions | None = run.store.get("predictions")
    if known is not None:
        return known
    tokens = run.sides.scored.tokens
    made = (
        no_predictions(tokens, _lacks_predictions(run))
        if run.scores is None
        else predictions_of(run.scores, tokens, _FIRST_TOKEN)
    )
    if run.masked:
        made = replace(made, reason=_MASKED)
    return run.store.keep("predictions", made)


def _lacks_predictions(run: Run) -> str:
    if run.given:
        return (
            f"{run.subject.name}: this trace is of arrays that were given, and what the model "
            "predicted is not among them."
        )
    if run.anatomy.family == "encoder":
        return (
            f"{run.subject.name} is an encoder: it reads the whole text at once and predicts no "
            "next token, so there is no surprisal or perplexity. Of a model that fills masks "
            "lens.score(text) has the pseudo-perplexity."
        )
    return (
        f"{run.model_class} has no language-model head. Load the model with "
        "AutoModelForCausalLM or AutoModelForSeq2SeqLM to see its predictions."
    )


@answered
def predicting_row(run: Run, position: int, *, after_last: bool = False) -> int:
    """Return the row that predicts the token at a position; negative ones count from the end.

    Parameters
    ----------
    run : Run
    position : int
    after_last : bool
        Whether the place after the last token will do, too.

    Raises
    ------
    ValueError
        Where nothing predicts; the message says why.
    """
    n_tokens, shift = len(predictions(run).tokens), run.shift
    if after_last and run.scores is not None and whole(position, "position") == n_tokens:
        return _row_after_last(run)
    position = checked_positions([position], n_tokens)[0]
    nothing = f"There is no prediction at position {position}."
    _logits_kept(run, nothing)
    if position < shift:
        raise ValueError(f"{nothing} {predictions(run).reason}")
    return position - shift


@answered
def top_k(run: Run, position: int, k: int) -> pd.DataFrame:
    """Return the most probable tokens at one place; see :meth:`Trace.top_k`."""
    return _most_probable(run, predicting_row(run, position, after_last=True), k)


def _logits_kept(run: Run, nothing: str) -> NextTokenLogits:
    """Return the logits of a run; where there are none, say why, behind `nothing`."""
    if run.logits is not None:
        return run.logits
    if run.scores is None:
        raise ValueError(f"{nothing} {predictions(run).reason}")
    raise ValueError(
        f"The logits of this text were not kept: {run.subject.name} changes them behind its "
        "unembedding, so all of them would have to be held. Score a shorter text, or allow more "
        "with lens.memory_budget."
    )


@answered
def next_token(run: Run, k: int) -> pd.DataFrame:
    """Return the most probable tokens after the last one; see :meth:`Trace.next_token`."""
    return _most_probable(run, _row_after_last(run), k)


def _row_after_last(run: Run) -> int:
    _logits_kept(run, "There is no next token.")
    found = predictions(run)
    if run.masked:
        raise ValueError(
            f"There is no next token: {run.subject.name} is an encoder. top_k(position) has what "
            "it expects at a place of the text."
        )
    if not run.shift:
        last = found.tokens[-1].text
        raise ValueError(
            f"What would follow the target is not known: the decoder has not read its last "
            f"token, {last!r}, which is what its last row predicts. top_k(-1) has what could "
            "have stood there; to see what follows, trace a target with one token more."
        )
    return len(found.tokens) - 1


def logits_row(run: Run, row: int) -> Float[Tensor, " vocabulary"]:
    """Return the logits of one row in float32, on the model's device."""
    with _logits_of(run) as held:
        return held.rows(row, row + 1)[0]


def _most_probable(run: Run, row: int, k: int) -> pd.DataFrame:
    k = at_least_one(k, "k", "token")
    block = logits_row(run, row)
    top = block.softmax(dim=-1).topk(min(k, len(block)))
    ids = top.indices.tolist()
    return table(
        {"token": run.subject.spelled(ids), "id": ids, "probability": top.values.cpu().numpy()}
    )


@answered
def logits(
    run: Run, positions: SupportsIndex | Iterable[SupportsIndex] | None = None
) -> Float[Tensor, "position vocabulary"]:
    """Return what the model puts out at some positions; see :meth:`Trace.logits`."""
    kept = _logits_kept(run, "There are no logits.")
    rows = checked_positions(
        positions if positions is None else several(positions, "position"),
        len(run.sides.all[-1].tokens),
    )
    row_bytes = torch.float32.itemsize * kept.n_vocabulary
    allowed = budget_on(kept.device, run.subject.memory_budget)
    require_room(
        len(rows) * row_bytes,
        allowed,
        f"The logits of {len(rows):,} positions x {kept.n_vocabulary:,} tokens: that",
        [f"{allowed // row_bytes:,} positions would fit (positions=)."],
    )
    with _logits_of(run) as held:
        return held.of(rows)


def first_alternatives(
    run: Run, n_positions: int, k: int
) -> tuple[Int[Tensor, "position k"], Float[Tensor, "position k"]] | None:
    """Ids and probabilities of the k most probable tokens, for the first scored positions.

    The first row belongs to the first token that has a prediction. None when there is none.

    Raises
    ------
    ModelChangedError
        When they are not known yet and the model has changed since the text was traced.
    """
    n_scored = len(predictions(run).tokens) - run.shift
    if run.logits is None or n_scored <= 0:
        return None
    wanted = min(n_positions, n_scored), k
    # They cost an unembedding of every position, and views ask for the same ones again.
    known: tuple[Tensor, Tensor] | None = run.store.get(("alternatives", *wanted))
    if known is not None:
        return known
    with _logits_of(run) as held:
        return run.store.keep(("alternatives", *wanted), top_alternatives(held, *wanted))


@contextmanager
def _logits_of(run: Run) -> Generator[NextTokenLogits, None, None]:
    """The logits; where they are made by the model's unembedding, it must be what it was."""
    assert run.logits is not None
    if not run.logits.needs_model:
        yield run.logits
        return
    with run.model_again():
        yield run.logits
