"""Questions about attention: weights of any layer, heads and rows, by tokens or by words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args

import torch
from torch import Tensor

from glasshead_backend.asking import Aggregate, Pool, Precision, Unit
from glasshead_backend.checks import at_least_one, positions, require, run_of, several
from glasshead_backend.maps.attention_map import AttentionMap
from glasshead_backend.maps.units import Units
from glasshead_backend.progress import reporting, steps
from glasshead_backend.table import table
from glasshead_backend.tracing.run import Recorded

if TYPE_CHECKING:
    from collections import abc

    import pandas as pd
    from jaxtyping import Float

    from glasshead_backend.asking import Kind, Side
    from glasshead_backend.capture.call import AttentionCall
    from glasshead_backend.maps.attention_map import Strongest
    from glasshead_backend.maps.pooling import Pooled
    from glasshead_backend.progress import Progress


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
        progress: Progress | None = None,
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
        progress : callable, optional
            As for :meth:`Lens.trace`.

        Returns
        -------
        Tensor
            ``[heads, queries, keys]`` (``[queries, keys]`` with `aggregate`), float32; float64 of a
            model in float64. Rows sum to 1, or to less where the layer has attention sinks; a row
            that may look nowhere is NaN.

        Raises
        ------
        ValueError
            For a layer, head, kind, row or unit that is not there; the message says which are.
        MemoryBudgetError
            When the answer takes more memory than it may; the message says what would fit.
        """
        asked = self.attention_map(
            layer,
            heads,
            kind=kind,
            unit=unit,
            aggregate=aggregate,
            scores=scores,
            precision=precision,
        )
        asked = replace(asked, narrows=("heads", "mean", "rows", "picture"))
        wanted = positions(rows, asked.n_rows)
        with reporting(progress):
            found = asked.whole(wanted)
        return found if aggregate is None else found[0]

    def attention_map(
        self,
        layer: int,
        heads: int | abc.Sequence[int] | None = None,
        *,
        kind: Kind | None = None,
        unit: Unit = "token",
        aggregate: Aggregate | None = None,
        ignore_zeros: bool = False,
        scores: bool = False,
        precision: Precision = "model",
    ) -> AttentionMap:
        """Attention of one layer as a map that is not computed yet, to be read in blocks.

        Parameters
        ----------
        layer, heads, kind, unit, aggregate, scores, precision
            As for :meth:`attention`.
        ignore_zeros : bool
            With ``aggregate="mean"``: average over the heads whose weight is not exactly zero.
        """
        call = self.call(layer, kind)
        require(aggregate, (None, "mean", "max"), "aggregate")
        require(unit, get_args(Unit), "unit")
        require(precision, get_args(Precision), "precision")
        if scores and unit == "word":
            raise ValueError(
                "Scores before the softmax have no meaning summed over words. "
                "Use unit='token' with scores=True."
            )
        return AttentionMap(
            call=call,
            heads=self._heads(call, heads, layer),
            queries=self._units("query", kind, unit),
            keys=self._units("key", kind, unit),
            aggregate=aggregate,
            ignore_zeros=ignore_zeros,
            scores=scores,
            precision=precision,
            what=f"{self._kind(kind)} attention of layer {layer}",
            budget=self.lens.memory_budget,
        )

    def pooled_attention(
        self,
        layer: int,
        heads: int | abc.Sequence[int] | None = None,
        *,
        kind: Kind | None = None,
        unit: Unit = "token",
        aggregate: Aggregate | None = None,
        queries: tuple[int, int] | None = None,
        keys: tuple[int, int] | None = None,
        size: int = 512,
        pool: Pool = "max",
        progress: Progress | None = None,
    ) -> Pooled:
        """A picture of a map, or of a part of it, of at most ``size x size`` pixels.

        However long the text is, no more is ever in memory than some rows and the picture.

        Parameters
        ----------
        layer, heads, kind, unit, aggregate, progress
            As for :meth:`attention`.
        queries, keys : tuple of int, optional
            The part wanted, ``(first, end)`` in units; default all.
        size : int
            Most pixels on an axis.
        pool : {"max", "mean"}
            What a pixel says of the cells that it stands for.

        Returns
        -------
        Pooled
            ``values [heads, rows, columns]`` (one map with `aggregate`), and ``per_pixel``: the
            number of rows and columns in a pixel.
        """
        require(pool, get_args(Pool), "pool")
        size = at_least_one(size, "size", "pixel")
        asked = self.attention_map(layer, heads, kind=kind, unit=unit, aggregate=aggregate)
        rows = run_of(queries, asked.n_rows, "queries")
        columns = run_of(keys, asked.n_columns, "keys")
        with reporting(progress):
            return asked.pooled(rows, columns, size=size, pool=pool)

    def strongest_keys(
        self,
        layer: int,
        k: int = 10,
        heads: int | abc.Sequence[int] | None = None,
        *,
        kind: Kind | None = None,
        rows: abc.Sequence[int] | None = None,
        unit: Unit = "token",
        aggregate: Aggregate | None = None,
        progress: Progress | None = None,
    ) -> Strongest:
        """What every query looks at most, as ``torch.topk`` gives it.

        Parameters
        ----------
        layer, heads, kind, rows, unit, aggregate, progress
            As for :meth:`attention`.
        k : int
            How many keys of every row.

        Returns
        -------
        Strongest
            ``weights`` and ``keys``, ``[heads, queries, k]`` (one map with `aggregate`), strongest
            first; weights of zero fill up rows that see fewer keys.
        """
        k = at_least_one(k, "k", "key of every row")
        asked = self.attention_map(layer, heads, kind=kind, unit=unit, aggregate=aggregate)
        asked = replace(asked, narrows=("heads", "mean", "rows"))
        wanted = positions(rows, asked.n_rows)
        with reporting(progress):
            return asked.strongest(k, wanted)

    def token_attention(
        self,
        position: int,
        *,
        kind: Kind | None = None,
        direction: Literal["from", "to"] = "from",
        unit: Unit = "token",
        progress: Progress | None = None,
    ) -> Float[Tensor, "layer head other"]:
        """Attention of one token (or word) in all layers and heads.

        Parameters
        ----------
        position : int
            The query (direction "from") or the key (direction "to"), counted in units.
        kind, unit, progress
            As for :meth:`attention`.
        direction : {"from", "to"}
            "from": what this token looks at; "to": which tokens look at it.

        Returns
        -------
        Tensor
            ``[layers, heads, keys or queries]``, layers as :meth:`layers` lists them; dtype as for
            :meth:`attention`. A layer with fewer heads than another is padded with NaN.
        """
        require(direction, ("from", "to"), "direction")
        layers = self.layers(kind)
        other: list[Tensor] = []
        with reporting(progress):
            for layer in steps(layers, "computing all layers", len(layers)):
                asked = self.attention_map(layer, kind=kind, unit=unit)
                if direction == "from":
                    other.append(asked.whole(positions([position], asked.n_rows))[:, 0])
                else:
                    other.append(asked.column(positions([position], asked.n_columns)))
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
        aggregate: Aggregate = "mean",
        ignore_zeros: bool = True,
        progress: Progress | None = None,
    ) -> pd.DataFrame:
        """All pairs whose attention, combined over heads, reaches a threshold.

        Parameters
        ----------
        layer : int
            Layer number.
        threshold : float
            Smallest combined weight, 0 to 1.
        kind, heads, unit, aggregate, progress
            As for :meth:`attention`.
        ignore_zeros : bool
            With ``aggregate="mean"``: average over the heads whose weight is not exactly zero.

        Returns
        -------
        pandas.DataFrame
            Columns ``source`` (who looks), ``target`` (at what), ``score``, ``source_position``,
            ``target_position``; sorted by position. Rows of a decoder of an encoder-decoder model
            are named by their input token; a column ``predicted`` has what they predict.
        """
        if not isinstance(threshold, (int, float)) or not 0 <= threshold <= 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError(f"threshold {threshold!r} is out of range: weights lie from 0 to 1.")
        require(aggregate, get_args(Aggregate), "aggregate")
        asked = self.attention_map(
            layer, heads, kind=kind, unit=unit, aggregate=aggregate, ignore_zeros=ignore_zeros
        )
        with reporting(progress):
            found = asked.at_least(threshold)
        kind = self._kind(kind)
        sources = self.sides.labels("query", kind, unit)
        targets = self.sides.labels("key", kind, unit)
        row, column = found.row.tolist(), found.column.tolist()
        pairs = table(
            {
                "source": [sources[i] for i in row],
                "target": [targets[i] for i in column],
                "score": found.weight.cpu().numpy(),
                "source_position": found.row.cpu().numpy(),
                "target_position": found.column.cpu().numpy(),
            }
        )
        predicted = self.sides.predictions(kind, unit)
        if predicted is not None:
            pairs.insert(1, "predicted", [predicted[i] for i in row])
        return pairs

    def _heads(
        self, call: AttentionCall, heads: int | abc.Sequence[int] | None, layer: int
    ) -> abc.Sequence[int]:
        if heads is None:
            return range(call.n_heads)
        chosen = several(heads, "head")
        if not chosen:
            raise ValueError("heads is empty: name at least one, or leave it out for all.")
        for head in chosen:
            if not 0 <= head < call.n_heads:
                raise ValueError(
                    f"head {head} is out of range: layer {layer} of {self.lens.name} has heads "
                    f"0-{call.n_heads - 1}."
                )
        return chosen

    def _units(self, side: Side, kind: Kind | None, unit: Unit) -> Units:
        kind = self._kind(kind)
        n_tokens = len(self.sides.of(side, kind).tokens)
        words = self.sides.unit_of_token(side, kind, "word") if unit == "word" else None
        return Units(n_tokens, words)
