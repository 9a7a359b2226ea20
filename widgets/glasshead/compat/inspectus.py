"""Inspectus' view of attention (0.2): its own parameters, shown by our views.

``import inspectus`` becomes ``from glasshead.compat import inspectus``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython.display import display

from glasshead.attention_lines import AttentionLines
from glasshead.fused_attention_matrix import FusedAttentionMatrix
from glasshead_backend import Trace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ONE_HEAD, _ONE_LAYER = 2, 3


def attention(
    attn: Any,
    query_tokens: Sequence[str],
    key_tokens: Sequence[str] | None = None,
    *,
    chart_types: Sequence[str] | None = None,
    color: str | Mapping[str, str] | None = None,  # noqa: ARG001  heads have their own
    theme: str = "auto",
) -> None:
    """Display attention weights as a matrix, or as lines where only ``line_grid`` is wanted.

    Parameters
    ----------
    attn : array, or sequence of array
        ``[queries, keys]``, ``[heads, queries, keys]``, ``[layers, heads, queries, keys]``; or what
        a transformers model returns.
    query_tokens : sequence of str
    key_tokens : sequence of str, optional
        Default: `query_tokens`.
    chart_types : sequence of str, optional
    color : str or mapping, optional
        Not used: heads have their own colours.
    theme : {"auto", "light", "dark"}

    Raises
    ------
    ValueError
        When lengths do not fit; the message names both.
    """
    n_dims = getattr(attn, "ndim", None)
    weights = (
        attn[None, None] if n_dims == _ONE_HEAD else attn[None] if n_dims == _ONE_LAYER else attn
    )
    if key_tokens is None or list(key_tokens) == list(query_tokens):
        trace = Trace.from_attentions(weights, query_tokens)
    else:
        trace = Trace.from_attentions(None, query_tokens, cross=weights, source_tokens=key_tokens)
    lines = chart_types is not None and list(chart_types) == ["line_grid"]
    display((AttentionLines if lines else FusedAttentionMatrix)(trace, theme=theme))
