"""How well each token was predicted: computed while a text is recorded, and kept.

In blocks, in float32; nothing of size tokens x vocabulary is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from glasshead_backend.running.logits import NextTokenLogits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float, Int

    from glasshead_backend.text.sequences import Sides

_CACHED_VALUES = 1 << 20
"""Logits scored at once on a CPU: what is made of them stays in its cache."""


def prediction_shift(sides: Sides) -> int:
    """The token that position 0 predicts: the next one, or label 0 in an encoder-decoder."""
    return 1 if sides.decoder is None else 0


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
