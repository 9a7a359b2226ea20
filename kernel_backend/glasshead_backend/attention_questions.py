"""Questions about attention: weights of any layer, heads and rows, by tokens or by words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import pandas as pd
import torch
from torch import Tensor

from glasshead_backend import attention as on_demand
from glasshead_backend.attention import Precision
from glasshead_backend.checks import positions, require
from glasshead_backend.recorded import Recorded
from glasshead_backend.sides import Unit

if TYPE_CHECKING:
    from collections import abc

    from jaxtyping import Float

    from glasshead_backend.attention import AttentionCall
    from glasshead_backend.layers import Kind

Aggregate = Literal["mean", "max"]


class AttentionQuestions(Recorded):
    """What a trace can be asked about attention."""

    def attention(
        self,
        layer: int,
        heads: int | abc.Sequence[int] | None = None,
        *,
        kind: Kind | None = None,
        rows: abc.Sequence[int] | None = None,
        unit: Unit = "token",
        aggregate: Aggregate | None = None,
        scores: bool = False,
        precision: Precision = "model",
    ) -> Float[Tensor, "*head query key"]:
        """Exact attention weights of one layer, as the model's eager implementation has them.

        Parameters
        ----------
        layer : int
            The model's own layer number; see :meth:`layers`.
        heads : int or sequence of int, optional
            Heads wanted; default all.
        kind : str, optional
            One of :attr:`kinds`; may be left out where there is only one. Encoder-decoder models
            default to "cross".
        rows : sequence of int, optional
            Query positions wanted (tokens, or words with ``unit="word"``); default all.
        unit : {"token", "word"}
            "word" fuses: sum over a word's key tokens, mean over its query tokens.
        aggregate : {"mean", "max"}, optional
            Combine the heads and drop their axis.
        scores : bool
            What enters the softmax instead of what leaves it (tokens only).
        precision : {"model", "float32"}
            For models in half precision: weights as the model computes them, or recomputed in
            float32 from its queries and keys (in bfloat16 they differ by about 0.004).

        Returns
        -------
        Tensor
            ``[heads, queries, keys]`` float32 (``[queries, keys]`` with `aggregate`). Rows sum to
            1, or to less where the layer has attention sinks; a row that may look nowhere is NaN.
        """
        call = self.call(layer, kind)
        chosen = self._heads(call, heads, layer)
        require(aggregate, (None, "mean", "max"), "aggregate")
        require(unit, get_args(Unit), "unit")
        require(precision, get_args(Precision), "precision")
        if scores and unit == "word":
            raise ValueError(
                "Scores before the softmax have no meaning summed over words. "
                "Use unit='token' with scores=True."
            )
        with on_demand.single_threaded():
            if unit == "word":
                fused = self._fused(call, chosen, kind, precision)
                result = fused if rows is None else fused[:, positions(rows, fused.shape[1])]
            else:
                n_queries = call.n_queries
                wanted = range(n_queries) if rows is None else positions(rows, n_queries)
                result = self._in_blocks(call, chosen, wanted, scores=scores, precision=precision)
        if aggregate == "mean":
            return result.mean(dim=0)
        return result.amax(dim=0) if aggregate == "max" else result

    def token_attention(
        self, position: int, *, kind: Kind | None = None, direction: Literal["from", "to"] = "from"
    ) -> Float[Tensor, "layer head other"]:
        """Attention of one token in all layers and heads.

        Parameters
        ----------
        position : int
            The query token (direction "from") or the key token (direction "to").
        kind : str, optional
            One of :attr:`kinds`.
        direction : {"from", "to"}
            "from": what this token looks at; "to": which tokens look at it.

        Returns
        -------
        Tensor
            ``[layers, heads, keys or queries]`` float32, layers as :meth:`layers` lists them. A
            layer with fewer heads than another is padded with NaN.
        """
        require(direction, ("from", "to"), "direction")
        other: list[Tensor] = []
        for layer in self.layers(kind):
            call = self.call(layer, kind)
            heads = range(call.n_heads)
            with on_demand.single_threaded():
                if direction == "from":
                    row = positions([position], call.n_queries)
                    other.append(call.weights(heads, row)[:, 0])
                else:
                    column = positions([position], call.n_keys)
                    other.append(on_demand.columns(call, heads, column))
        most = max(weights.shape[0] for weights in other)
        padded = [
            torch.nn.functional.pad(w, (0, 0, 0, most - w.shape[0]), value=torch.nan) for w in other
        ]
        return torch.stack([weights.to(padded[0].device) for weights in padded])

    def notable_pairs(
        self,
        layer: int,
        threshold: float = 0.5,
        *,
        kind: Kind | None = None,
        heads: int | abc.Sequence[int] | None = None,
        unit: Unit = "token",
        ignore_zeros: bool = True,
    ) -> pd.DataFrame:
        """All pairs whose attention, averaged over heads, reaches a threshold.

        Parameters
        ----------
        layer : int
            Layer number.
        threshold : float
            Smallest averaged weight, 0 to 1.
        kind, heads, unit
            As for :meth:`attention`.
        ignore_zeros : bool
            Average over the heads whose weight is not exactly zero.

        Returns
        -------
        pandas.DataFrame
            Columns ``source`` (who looks), ``target`` (at what), ``score``, ``source_position``,
            ``target_position``; sorted by position. Rows of a decoder of an encoder-decoder model
            are named by their input token; a column ``predicted`` has what they predict.
        """
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold {threshold} is out of range: weights lie between 0 and 1.")
        weights = self.attention(layer, heads, kind=kind, unit=unit)
        if ignore_zeros:
            mean = weights.sum(dim=0) / (weights != 0).sum(dim=0).clamp_min(1)
        else:
            mean = weights.mean(dim=0)
        query, key = torch.nonzero(mean >= threshold, as_tuple=True)
        kind = self._kind(kind)
        sources = self.sides.labels("query", kind, unit)
        targets = self.sides.labels("key", kind, unit)
        pairs = pd.DataFrame(
            {
                "source": [sources[i] for i in query.tolist()],
                "target": [targets[i] for i in key.tolist()],
                "score": mean[query, key].cpu().numpy(),
                "source_position": query.cpu().numpy(),
                "target_position": key.cpu().numpy(),
            }
        )
        predicted = self.sides.predictions(kind, unit)
        if predicted is not None:
            pairs.insert(1, "predicted", [predicted[i] for i in query.tolist()])
        return pairs

    def _heads(
        self, call: AttentionCall, heads: int | abc.Sequence[int] | None, layer: int
    ) -> abc.Sequence[int]:
        if heads is None:
            return range(call.n_heads)
        chosen = [heads] if isinstance(heads, int) else list(heads)
        for head in chosen:
            if not 0 <= head < call.n_heads:
                raise ValueError(
                    f"head {head} is out of range: layer {layer} of {self.lens.name} has heads "
                    f"0-{call.n_heads - 1}."
                )
        return chosen

    def _in_blocks(
        self,
        call: AttentionCall,
        heads: abc.Sequence[int],
        rows: abc.Sequence[int],
        *,
        scores: bool,
        precision: Precision,
    ) -> Float[Tensor, "head query key"]:
        size = on_demand.ROW_BLOCK
        nothing = -torch.inf if scores else 0.0
        shape = (len(heads), len(rows), call.n_keys)
        whole = torch.full(shape, nothing, device=call.device)
        for start in range(0, len(rows), size):
            some = rows[start : start + size]
            block = call.visible_weights(heads, some, scores=scores, precision=precision)
            whole[:, start : start + size, : block.shape[-1]] = block
        return whole

    def _fused(
        self, call: AttentionCall, heads: abc.Sequence[int], kind: Kind | None, precision: Precision
    ) -> Float[Tensor, "head query_word key_word"]:
        kind, device = self._kind(kind), call.device
        return on_demand.fuse(
            on_demand.row_blocks(call, heads, precision=precision),
            len(heads),
            self.sides.unit_of_token("query", kind, "word").to(device),
            self.sides.unit_of_token("key", kind, "word").to(device),
        )
