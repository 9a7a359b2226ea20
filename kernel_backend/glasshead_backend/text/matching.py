"""Which tokens of two texts are the same stretch of text."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def partners(ids: Sequence[int], others: Sequence[int]) -> list[int]:
    """Find the partner of each token: the same token, in a stretch that both texts have in common.

    Parameters
    ----------
    ids, others : sequence of int
        Token ids of two texts, by one tokenizer.

    Returns
    -------
    list of int
        For each of `ids` a place in `others`, ascending; -1 where the other text has no partner.
    """
    found = [-1] * len(ids)
    for i, j, size in SequenceMatcher(None, ids, others).get_matching_blocks():
        found[i : i + size] = range(j, j + size)
    return found
