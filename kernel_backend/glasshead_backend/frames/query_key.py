"""What one token's scores are made of, as a view draws it: a row of products for every key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from glasshead_backend.answering import answered
from glasshead_backend.frames.pack import index_dtype, pack
from glasshead_backend.questions.query_key import products_with, row_of
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.asking import Selection
    from glasshead_backend.capture.call import AttentionCall
    from glasshead_backend.frames.pack import Packed
    from glasshead_backend.trace import Trace

MOST_KEYS = 256
"""Keys whose products travel at once."""

_FEWEST_KEYS = 16
_BYTES = 4_000_000
"""Products and key vectors of a frame, unless there would be very few keys."""


@answered
def query_key_frame(trace: Trace, asked: Selection, query: int) -> dict[str, Any]:
    """Make the frame of QueryKeyView.

    Parameters
    ----------
    trace : Trace
    asked : Selection
        Kind, layer and heads; no heads = all of the layer.
    query : int
        The token that looks.

    Returns
    -------
    dict
        ``heads`` drawn; ``n_keys``, ``dimensions``, ``scaling``, ``softcap``; ``order``
        ``[heads, dims]``, dimensions by the mean size of their products with the keys that may be
        looked at, largest first; ``query_vector`` ``[heads, dims]``; ``dot``, ``capped``, ``bias``,
        ``score`` (-inf: hidden) and ``weight`` (NaN: the row may look nowhere) ``[heads, keys]``;
        ``bias_words``; ``sink`` ``[heads]``; ``bound`` ``[heads]``, the largest product in size;
        ``products`` and ``keys_vectors`` ``[heads, stop - start, dims]`` of the stretch of at most
        256 keys that has most weight; ``note``.
    """
    run = run_of(trace)
    row = row_of(run, asked, query)
    terms = row.terms
    n_keys, n_dims = terms.dot.shape[1], terms.query.shape[1]
    window = _window(row.weight, len(row.heads) * n_dims)
    products, vectors = products_with(run, asked, query, window)
    blind = "This token may look nowhere. " if row.weight.isnan().any() else ""
    return {
        "kind": "query_key",
        "key": _about(asked, query),
        "heads": list(row.heads),
        "n_keys": n_keys,
        "dimensions": n_dims,
        "scaling": terms.scaling,
        "softcap": terms.softcap,
        "order": pack(row.order, index_dtype(n_dims)),
        "query_vector": _numbers(terms.query),
        "dot": _numbers(terms.dot),
        "capped": None if terms.capped is None else _numbers(terms.capped),
        "bias": None if terms.bias is None else _numbers(terms.bias),
        "bias_words": terms.bias_words,
        "score": _numbers(row.score),
        "weight": _numbers(row.weight),
        "sink": None if terms.sink is None else _numbers(terms.sink),
        "bound": _numbers(row.largest_product.amax(dim=1)),
        "start": window.start,
        "stop": window.stop,
        "products": _numbers(products),
        "keys_vectors": _numbers(vectors),
        "note": blind + note_of(run.call(asked.layer, asked.kind)),
    }


@answered
def products_of(
    trace: Trace, asked: Selection, query: int, keys: range | Sequence[int]
) -> tuple[dict[str, Any], dict[str, Packed]]:
    """Return the products with some keys, and the keys' vectors: the answer to a question.

    Raises
    ------
    ValueError
        For more keys than travel at once, and for keys that are not there.
    """
    if len(keys) > MOST_KEYS:
        raise ValueError(f"{len(keys):,} keys are too many at once: ask for {MOST_KEYS} at most.")
    products, vectors = products_with(run_of(trace), asked, query, keys)
    return _about(asked, query), {"products": _numbers(products), "key_vectors": _numbers(vectors)}


def _about(asked: Selection, query: int) -> dict[str, Any]:
    """Say what a frame or an answer is of."""
    heads = list(asked.heads)
    return {"kind": asked.kind, "layer": asked.layer, "heads": heads, "query": query}


def _numbers(values: Tensor) -> Packed:
    return pack(values, torch.float32)


def _window(weight: Float[Tensor, "head key"], per_key: int) -> range:
    """Return the stretch of keys that has most weight, as long as may travel with a frame."""
    n_keys = weight.shape[1]
    fits = _BYTES // (2 * 4 * per_key)
    length = min(n_keys, MOST_KEYS, max(_FEWEST_KEYS, fits))
    whole = weight.nan_to_num(0.0).cpu().double().sum(dim=0).cumsum(dim=0)
    before = torch.nn.functional.pad(whole, (1, 0))
    start = int((before[length:] - before[:-length]).argmax())
    return range(start, start + length)


def note_of(call: AttentionCall) -> str:
    """Say what of a layer's numbers is not as one would think; "" = nothing."""
    said: list[str] = []
    if rest := call.remainder:
        said.append(f"The weights sum to less than 1: {rest} take the rest.")
    if call.computes_all_heads:
        said.append(
            "Weights are rounded as the model rounds them; scores and products are exact for its "
            "queries and keys."
        )
    return " ".join(said)
