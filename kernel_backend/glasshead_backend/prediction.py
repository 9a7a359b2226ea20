"""What a language model predicts: surprisal, perplexity, rank, entropy and the alternatives.

Nothing of size tokens x vocabulary is kept. While a text is recorded every token is scored, in
blocks, in float32, and the hidden states in front of the unembedding are kept: logits are made from
them once more, in blocks, when somebody asks for alternatives.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from glasshead_backend.as_found import autocast_now
from glasshead_backend.table import nullable, table
from glasshead_backend.words import token_to_word

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from jaxtyping import Float, Int

    from glasshead_backend.sides import Sides
    from glasshead_backend.tokens import Token
    from glasshead_backend.words import Word

_BLOCK_VALUES = 1 << 24
"""Most float32 logits in memory at once (64 MB)."""

_CACHED_VALUES = 1 << 20
"""Logits scored at once on a CPU: what is made of them stays in its cache."""


@dataclass(frozen=True)
class Predictions:
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


@dataclass
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
    def needs_model(self) -> bool:
        """Whether logits are made by the model's unembedding when they are asked for."""
        return self.logits is None

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(held.nbytes for held in (self.hidden, self.logits) if held is not None)


def prediction_shift(sides: Sides) -> int:
    """The token that position 0 predicts: the next one, or label 0 in an encoder-decoder."""
    return 1 if sides.decoder is None else 0


def no_predictions(tokens: Sequence[Token], reason: str) -> Predictions:
    """Return predictions of a model that makes none: NaN everywhere, with the reason."""
    nothing = torch.full((len(tokens),), torch.nan, dtype=torch.float32)
    return Predictions(tuple(tokens), nothing, nothing, nothing, nothing, nothing, nothing, reason)


@torch.no_grad()
def scores_of(logits: NextTokenLogits, ids: Sequence[int]) -> Float[Tensor, "score token"]:
    """Score tokens by the positions that predict them.

    Parameters
    ----------
    logits : NextTokenLogits
    ids : sequence of int
        The true tokens: the first is predicted by position 0, and so on.

    Returns
    -------
    Tensor
        ``[4, tokens]`` float32 on the model's device: surprisal and entropy (nats), rank, and 1
        where the token is the first choice.
    """
    found = [torch.empty(4, 0)]
    for start, stop, block in logits.blocks(len(ids)):
        targets = torch.tensor(ids[start:stop], device=block.device)
        size = max(1, _CACHED_VALUES // block.shape[-1]) if block.device.type == "cpu" else stop
        with torch.autocast(block.device.type, enabled=False):
            found += map(_scores, block.split(size), targets.split(size))
    return torch.cat(found[1:] or found, dim=1)


def scores_together(
    many: Sequence[NextTokenLogits], ids: Sequence[Sequence[int]]
) -> list[Float[Tensor, "score token"]]:
    """Score the tokens of several texts as :func:`scores_of` does, by one unembedding."""
    if any(not logits.needs_model for logits in many):
        return [scores_of(logits, own) for logits, own in zip(many, ids, strict=True)]
    parts = [logits.hidden[: len(own)] for logits, own in zip(many, ids, strict=True)]  # type: ignore[index]
    first = many[0]
    joined = NextTokenLogits(torch.cat(parts), first.unembedding, None, first.n_vocabulary)
    scores = scores_of(joined, [id_ for own in ids for id_ in own])
    return list(scores.split([len(own) for own in ids], dim=1))


def _scores(
    logits: Float[Tensor, "token vocabulary"], targets: Int[Tensor, " token"]
) -> Float[Tensor, "score token"]:
    best = logits.max(dim=-1, keepdim=True)
    true = logits.gather(1, targets[:, None])
    # Bytes are summed many times faster than truth values.
    n_better = (logits > true).view(torch.uint8).sum(dim=-1, dtype=torch.int32)
    below = logits - best.values
    share = below.exp()
    total = share.sum(dim=-1)
    # A token that is ruled out (-inf) adds nothing: 0 times infinity is left out.
    mean_below = below.mul_(share).nansum(dim=-1) / total
    surprisal = total.log() - (true - best.values)[:, 0]
    rank, correct = (1 + n_better).float(), (best.indices[:, 0] == targets).float()
    found = torch.stack([surprisal, total.log() - mean_below, rank, correct])
    # Of logits that are no numbers nothing can be said.
    return found.masked_fill_(surprisal.isnan(), torch.nan)


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
