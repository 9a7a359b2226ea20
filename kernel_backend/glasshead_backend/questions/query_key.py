"""What a score is made of: the products of query and key, dimension by dimension, and the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch

from glasshead_backend.answering import answered, travels
from glasshead_backend.capture.score_terms import (
    keys_of,
    query_of,
    score_terms,
    scored_by,
    spread_of_keys,
)
from glasshead_backend.checks import at_least_one, positions, several, stretch, whole
from glasshead_backend.data_frames import ShownAsTable, table
from glasshead_backend.memory import budget_on, require_room
from glasshead_backend.questions.attention import attention_map
from glasshead_backend.running.threads import undisturbed

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from jaxtyping import Bool, Float, Int
    from torch import Tensor

    from glasshead_backend.asking import Kind, Selection
    from glasshead_backend.capture.score_terms import Scored, ScoreTerms, Spread
    from glasshead_backend.maps.attention_map import AttentionMap
    from glasshead_backend.tracing.run import Run


_TIMES = 3
"""Maps of all heads that are there at once while products are looked for in a module."""


@travels
@dataclass(frozen=True, eq=False, repr=False)
class QueryKey(ShownAsTable):
    """What one query token's scores are made of, in some heads of a layer.

    ``products`` sum to ``dot``; behind the soft-cap (``capped``) and with ``bias`` that is
    ``score``, minus infinity for keys that the token may not look at; the softmax over all keys
    makes ``weight`` of it.

    Attributes
    ----------
    kind : str
        Kind of attention.
    layer : int
    position : int
        The query token.
    heads : tuple of int
    keys : range
        The key tokens that are here, of all that there are.
    tokens : tuple of str
        Their texts.
    products : Tensor
        ``[heads, keys, dims]``: ``scaling * query * key``.
    query, key : Tensor
        ``[heads, dims]`` and ``[heads, keys, dims]``, as they enter the dot product: after rotary
        embedding, norms and the like, before they are scaled.
    dot : Tensor
        ``[heads, keys]``: the products' sum.
    capped : Tensor or None
        ``[heads, keys]``: ``softcap * tanh(dot / softcap)``; None without a soft-cap.
    bias : Tensor or None
        ``[heads, keys]``: what is added to that (position bias, ALiBi, a mask of numbers), 0 where
        a key is hidden; None where nothing is.
    bias_words : str
        What the bias is; "" = none.
    hidden : Tensor
        ``[heads, keys]`` bool: keys that the token may not look at.
    score, weight : Tensor
        ``[heads, keys]``: what enters the softmax, and what leaves it, as :meth:`Trace.attention`
        has them (weights of a model in half precision are rounded as the model rounds them).
    sink : Tensor or None
        ``[heads]``: the score of an attention sink, which takes its share of the softmax; None
        where there is none.
    scaling : float
        The factor on the dot product.
    softcap : float or None
    """

    kind: Kind
    layer: int
    position: int
    heads: tuple[int, ...]
    keys: range
    tokens: tuple[str, ...]
    products: Float[Tensor, "head key dim"]
    query: Float[Tensor, "head dim"]
    key: Float[Tensor, "head key dim"]
    dot: Float[Tensor, "head key"]
    capped: Float[Tensor, "head key"] | None
    bias: Float[Tensor, "head key"] | None
    bias_words: str
    hidden: Bool[Tensor, "head key"]
    score: Float[Tensor, "head key"]
    weight: Float[Tensor, "head key"]
    sink: Float[Tensor, " head"] | None
    scaling: float
    softcap: float | None

    def _what(self) -> str:
        heads = f"head{'s' * (len(self.heads) > 1)} {', '.join(map(str, self.heads))}"
        return (
            f"QueryKey of token {self.position} in {self.kind} attention, layer {self.layer}, "
            f"{heads}: {len(self.keys):,} keys, {self.products.shape[-1]} dimensions, scaled by "
            f"{self.scaling:.4g}"
        )

    def to_frame(self) -> pd.DataFrame:
        """Return one row per head and key.

        Returns
        -------
        pandas.DataFrame
            Columns ``head``, ``position`` and ``token`` of the key, ``dot``, ``capped`` and
            ``bias`` where there are such, ``score`` (minus infinity: hidden) and ``weight``.
        """
        terms = {"dot": self.dot, "capped": self.capped, "bias": self.bias}
        terms |= {"score": self.score, "weight": self.weight}
        return _table(self.heads, self.keys, self.tokens, terms)

    def largest(self, k: int = 3) -> pd.DataFrame:
        """Return the dimensions that add or take away most, for each head and key.

        Parameters
        ----------
        k : int
            How many dimensions of each.

        Returns
        -------
        pandas.DataFrame
            Columns ``head``, ``position`` and ``token`` of the key, ``dimension``, ``query``,
            ``key`` and ``product``; of each head and key the largest product in size first.
        """
        n_dims = self.products.shape[-1]
        k = min(at_least_one(k, "k", "dimension of every key"), n_dims)
        dims = self.products.abs().topk(k, dim=-1).indices
        query = self.query[:, None].expand_as(self.products)
        n_heads, n_keys = len(self.heads), len(self.keys)
        heads = torch.tensor(self.heads).repeat_interleave(n_keys * k)
        keys = torch.tensor(self.keys).repeat_interleave(k).repeat(n_heads)
        texts = [token for token in self.tokens for _ in range(k)] * n_heads

        def at(values: Tensor) -> Tensor:
            return values.gather(-1, dims).flatten().cpu()

        return table(
            {
                "head": heads.numpy(),
                "position": keys.numpy(),
                "token": texts,
                "dimension": dims.flatten().cpu().numpy(),
                "query": at(query).numpy(),
                "key": at(self.key).numpy(),
                "product": at(self.products).numpy(),
            }
        )


class Row(NamedTuple):
    """One query token's scores, of some heads and all keys, and what is known of its products.

    Attributes
    ----------
    heads : tuple of int
    terms : ScoreTerms
    score, weight : Tensor
        ``[heads, keys]``
    spread : Spread
        Over the keys that it may look at.
    """

    heads: tuple[int, ...]
    terms: ScoreTerms
    score: Float[Tensor, "head key"]
    weight: Float[Tensor, "head key"]
    spread: Spread

    @property
    def mean_product(self) -> Float[Tensor, "head dim"]:
        """Mean size of a dimension's products with the keys that it may look at."""
        return (self.terms.query * self.terms.scaling).abs() * self.spread.mean

    @property
    def largest_product(self) -> Float[Tensor, "head dim"]:
        """Largest size of a dimension's products with these keys."""
        return (self.terms.query * self.terms.scaling).abs() * self.spread.largest

    @property
    def order(self) -> Int[Tensor, "head dim"]:
        """Dimensions by the mean size of their products, largest first."""
        return self.mean_product.argsort(dim=1, descending=True, stable=True)


@answered
def query_key(
    run: Run, asked: Selection, query: int, keys: tuple[int, int] | None = None
) -> QueryKey:
    """Return what one token's scores are made of; see :meth:`Trace.query_key`."""
    of = attention_map(run, asked)
    row = positions([whole(query, "query")], of.n_rows)[0]
    wanted = stretch(keys, of.n_columns, "keys")
    scored, heads = _scored(run, of), tuple(of.heads)
    _require_room(run, scored, heads, wanted)
    with undisturbed(of.call.device):
        terms = score_terms(scored, heads, row)
        key = keys_of(scored, heads, wanted)
        some = slice(wanted.start, wanted.stop)
        return QueryKey(
            kind=asked.kind,
            layer=int(asked.layer),
            position=row,
            heads=heads,
            keys=wanted,
            tokens=tuple(t.text for t in run.side("key", asked.kind).tokens[some]),
            products=(terms.query * terms.scaling)[:, None] * key,
            query=terms.query,
            key=key,
            dot=terms.dot[:, some],
            capped=None if terms.capped is None else terms.capped[:, some],
            bias=None if terms.bias is None else terms.bias[:, some],
            bias_words=terms.bias_words,
            hidden=terms.hidden[:, some],
            score=of.call.weights(heads, [row], scores=True)[:, 0, some],
            weight=of.call.weights(heads, [row])[:, 0, some],
            sink=terms.sink,
            scaling=terms.scaling,
            softcap=terms.softcap,
        )


def row_of(run: Run, asked: Selection, query: int) -> Row:
    """Return one token's scores with all keys, without the products that make them."""
    of = attention_map(run, asked)
    scored, heads = _scored(run, of), tuple(of.heads)
    row = positions([query], of.n_rows)[0]
    with undisturbed(of.call.device):
        terms = score_terms(scored, heads, row)
        return Row(
            heads=heads,
            terms=terms,
            score=of.call.weights(heads, [row], scores=True)[:, 0],
            weight=of.call.weights(heads, [row])[:, 0],
            spread=spread_of_keys(scored, heads, terms.hidden),
        )


@answered
def scores_table(run: Run, asked: Selection, query: int) -> pd.DataFrame:
    """Return what one token's scores are made of, with all keys; see :meth:`QueryKey.to_frame`."""
    row = row_of(run, asked, query)
    terms = {"dot": row.terms.dot, "capped": row.terms.capped, "bias": row.terms.bias}
    terms |= {"score": row.score, "weight": row.weight}
    tokens = [token.text for token in run.side("key", asked.kind).tokens]
    return _table(row.heads, range(len(tokens)), tokens, terms)


def _table(
    heads: Sequence[int], keys: range, tokens: Sequence[str], terms: dict[str, Tensor | None]
) -> pd.DataFrame:
    """Return a row per head and key, and a column for each of the terms that there are."""
    return table(
        {
            "head": [head for head in heads for _ in keys],
            "position": list(keys) * len(heads),
            "token": list(tokens) * len(heads),
            **{
                name: values.flatten().cpu().numpy()
                for name, values in terms.items()
                if values is not None
            },
        }
    )


def products_with(
    run: Run, asked: Selection, query: int, keys: range | Sequence[int]
) -> tuple[Float[Tensor, "head key dim"], Float[Tensor, "head key dim"]]:
    """Return one token's products with some keys, and the keys' vectors as every head sees them."""
    of = attention_map(run, asked)
    row = positions([query], of.n_rows)[0]
    if not isinstance(keys, range):
        keys = positions(several(keys, "key"), of.n_columns)
    scored, heads = _scored(run, of), tuple(of.heads)
    _require_room(run, scored, heads, keys)
    with undisturbed(of.call.device):
        vectors = keys_of(scored, heads, keys)
        scaled = query_of(scored, heads, row) * scored.call.scaling
        return scaled[:, None] * vectors, vectors


def _scored(run: Run, of: AttentionMap) -> Scored:
    """Return where query and key lie; modules may have to run again for that, whole."""
    require_room(
        _TIMES * of.call.working_bytes,
        budget_on(of.call.device, run.subject.memory_budget),
        f"Finding the query and key of {of.limits.what} in its module",
        ["Trace a shorter text."],
    )
    return scored_by(of.call)


def _require_room(run: Run, scored: Scored, heads: Sequence[int], keys: Sequence[int]) -> None:
    call = scored.call
    of_key = 2 * len(heads) * call.key.shape[-1] * call.dtype.itemsize
    allowed = budget_on(call.device, run.subject.memory_budget)
    fits = max(1, allowed // of_key)
    require_room(
        of_key * len(keys),
        allowed,
        f"The products of {len(heads)} heads with {len(keys):,} keys",
        ["Ask for fewer heads,", f"or for {fits:,} keys at a time: keys=(0, {fits})."],
    )
