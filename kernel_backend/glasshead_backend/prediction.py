"""What a language model predicts: surprisal, perplexity, rank, entropy and the alternatives.

Nothing of size tokens x vocabulary is kept: the hidden states in front of the unembedding are, and
logits are made from them in blocks, in float32, when somebody asks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd
import torch
from torch import Tensor, nn

from glasshead_backend.as_found import autocast_now
from glasshead_backend.words import token_to_word

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jaxtyping import Float, Int

    from glasshead_backend.tokens import Token
    from glasshead_backend.words import Word

_BLOCK_VALUES = 1 << 24
"""Most float32 logits in memory at once (64 MB)."""


@dataclass(frozen=True)
class Predictions:
    """How well the model predicted every token of a sequence.

    Attributes
    ----------
    tokens : tuple of Token
        The predicted tokens.
    surprisal : Tensor
        ``-log p(token | what comes before)``, nats, ``[tokens]`` float32; NaN where the model makes
        no prediction.
    probability : Tensor
        ``exp(-surprisal)``.
    perplexity : Tensor
        ``exp(surprisal)`` of each token.
    entropy : Tensor
        Entropy of the predictive distribution, nats.
    rank : Tensor
        Place of the true token among all, 1 = best; int64, -1 where there is no prediction.
    correct : Tensor
        Whether the true token is the model's first choice: int8 0 or 1, -1 for no prediction.
    reason : str
        Why some tokens (or all) have no prediction, in words; empty when all have one.
    """

    tokens: tuple[Token, ...]
    surprisal: Float[Tensor, " token"]
    probability: Float[Tensor, " token"]
    perplexity: Float[Tensor, " token"]
    entropy: Float[Tensor, " token"]
    rank: Int[Tensor, " token"]
    correct: Int[Tensor, " token"]
    reason: str = ""

    @property
    def n_scored(self) -> int:
        """Number of tokens that have a prediction."""
        return int((self.rank > 0).sum())

    @property
    def mean_perplexity(self) -> float:
        """Perplexity of the whole sequence: ``exp(mean surprisal)`` over the scored tokens."""
        scored = self.rank > 0
        return float(self.surprisal[scored].double().mean().exp())

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
        return pd.DataFrame(
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
        """Return one row per token; surprisal and entropy in nats."""
        return pd.DataFrame(
            {
                "token": [token.text for token in self.tokens],
                "id": [token.id for token in self.tokens],
                "surprisal": self.surprisal.numpy(),
                "probability": self.probability.numpy(),
                "perplexity": self.perplexity.numpy(),
                "entropy": self.entropy.numpy(),
                "rank": self.rank.numpy(),
                "correct": self.correct.numpy(),
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

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(held.nbytes for held in (self.hidden, self.logits) if held is not None)


def no_predictions(tokens: Sequence[Token], reason: str) -> Predictions:
    """Return predictions of a model that makes none: NaN and -1 everywhere, with the reason."""
    nothing = torch.full((len(tokens),), torch.nan, dtype=torch.float32)
    none = torch.full((len(tokens),), -1)
    return Predictions(
        tuple(tokens), nothing, nothing, nothing, nothing, none, none.to(torch.int8), reason
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
    n_tokens, n_scored = len(tokens), len(tokens) - first_position
    if n_scored <= 0:
        return no_predictions(tokens, reason)
    columns: dict[str, list[Tensor]] = {"surprisal": [], "entropy": [], "rank": [], "correct": []}
    targets = torch.tensor([token.id for token in tokens[first_position:]])
    for start, stop, block in logits.blocks(n_scored):
        target = targets[start:stop, None].to(block.device)
        log_probability = block.log_softmax(dim=-1)
        true_logit = block.gather(1, target)
        columns["surprisal"].append(-log_probability.gather(1, target)[:, 0])
        columns["entropy"].append(-(log_probability.exp() * log_probability).nansum(dim=-1))
        columns["rank"].append(1 + (block > true_logit).sum(dim=-1))
        columns["correct"].append(block.argmax(dim=-1) == target[:, 0])
    surprisal = torch.full((n_tokens,), torch.nan, dtype=torch.float32)
    entropy = surprisal.clone()
    rank = torch.full((n_tokens,), -1)
    correct = rank.to(torch.int8)
    surprisal[first_position:] = torch.cat(columns["surprisal"]).cpu()
    entropy[first_position:] = torch.cat(columns["entropy"]).cpu()
    rank[first_position:] = torch.cat(columns["rank"]).cpu()
    correct[first_position:] = torch.cat(columns["correct"]).cpu().to(torch.int8)
    return Predictions(
        tokens=tuple(tokens),
        surprisal=surprisal,
        probability=(-surprisal).exp(),
        perplexity=surprisal.exp(),
        entropy=entropy,
        rank=rank,
        correct=correct,
        reason=reason if first_position else "",
    )


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
