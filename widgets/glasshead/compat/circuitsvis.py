"""CircuitsVis' views of attention (1.43): its own parameters, shown by our views.

``from circuitsvis.attention import attention_patterns`` becomes
``from glasshead.compat.circuitsvis import attention_patterns``. Weights are black on white from 0
to 1, so that limits and colours are taken and not used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from glasshead.fused_attention_matrix import FusedAttentionMatrix
from glasshead.head_finder import HeadFinder
from glasshead_backend import Trace

if TYPE_CHECKING:
    from collections.abc import Sequence


def attention_patterns(tokens: Sequence[str], attention: Any) -> HeadFinder:
    """Show the patterns of several heads.

    Parameters
    ----------
    tokens : sequence of str
    attention : array
        ``[heads, queries, keys]``.

    Raises
    ------
    ValueError
        When lengths do not fit; the message names both.
    """
    return attention_heads(attention, tokens)


def attention_heads(
    attention: Any,
    tokens: Sequence[str],
    attention_head_names: Sequence[str] | None = None,  # noqa: ARG001
    max_value: float | None = None,  # noqa: ARG001
    min_value: float | None = None,  # noqa: ARG001
    negative_color: str | None = None,  # noqa: ARG001
    positive_color: str | None = None,  # noqa: ARG001
    mask_upper_tri: bool | None = None,  # noqa: ARG001  what a row may not see is 0
) -> HeadFinder:
    """Show the patterns of several heads; as :func:`attention_patterns`. Heads keep their numbers.

    Raises
    ------
    ValueError
        When lengths do not fit; the message names both.
    """
    return HeadFinder(Trace.from_attentions([_array(attention)], tokens))


def attention_pattern(
    tokens: Sequence[str],
    attention: Any,
    max_value: float | None = None,  # noqa: ARG001
    min_value: float | None = None,  # noqa: ARG001
    negative_color: str | None = None,  # noqa: ARG001
    show_axis_labels: bool | None = None,  # noqa: ARG001
    positive_color: str | None = None,  # noqa: ARG001
    mask_upper_tri: bool | None = None,  # noqa: ARG001
) -> FusedAttentionMatrix:
    """Show the pattern of one head, ``[queries, keys]``.

    Raises
    ------
    ValueError
        When lengths do not fit; the message names both.
    """
    return FusedAttentionMatrix(Trace.from_attentions([_array(attention)[None]], tokens))


def _array(attention: Any) -> Any:
    """Return weights as an array; CircuitsVis takes lists of lists as well."""
    return np.asarray(attention) if isinstance(attention, (list, tuple)) else attention
