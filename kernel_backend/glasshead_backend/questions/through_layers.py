"""Questions about attention that go beyond the weights of one layer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch

from glasshead_backend.asking import Aggregate, Unit
from glasshead_backend.checks import positions, require, several
from glasshead_backend.maps import rollout as through_layers
from glasshead_backend.maps.units import fuse
from glasshead_backend.memory import budget_on, require_room
from glasshead_backend.progress import reporting, steps
from glasshead_backend.questions.attention import AttentionQuestions
from glasshead_backend.questions.moved import Values, find_values
from glasshead_backend.tracing.room import require_room_to_record

if TYPE_CHECKING:
    from collections import abc

    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.asking import Kind
    from glasshead_backend.maps.attention_map import AttentionMap
    from glasshead_backend.progress import Progress


class LayerQuestions(AttentionQuestions):
    """What a trace can be asked about attention over layers, and about what it moves."""

    def __init__(self, **recorded: Any) -> None:
        super().__init__(**recorded)
        self._values: dict[Kind, dict[int, Values | str]] = {}

    def close(self) -> None:
        """Free what was recorded."""
        super().close()
        self._values = {}

    @property
    def nbytes(self) -> int:
        """Bytes of tensors that this trace keeps alive."""
        values = [one for of_kind in self._values.values() for one in of_kind.values()]
        return super().nbytes + sum(v.value.nbytes for v in values if isinstance(v, Values))

    def mean_attention(
        self,
        layers: abc.Sequence[int] | None = None,
        *,
        kind: Kind | None = None,
        rows: abc.Sequence[int] | None = None,
        unit: Unit = "token",
        aggregate: Aggregate = "mean",
        progress: Progress | None = None,
    ) -> Float[Tensor, "query key"]:
        """Attention averaged over layers; every layer counts the same.

        Parameters
        ----------
        layers : sequence of int, optional
            Default all that have attention of this kind.
        kind, rows, unit, progress
            As for :meth:`attention`.
        aggregate : {"mean", "max"}
            How the heads of each layer are combined before.

        Returns
        -------
        Tensor
            ``[queries, keys]`` float32 (float64 of a model in float64).
        """
        require(aggregate, get_args(Aggregate), "aggregate")
        chosen = self.layers(kind) if layers is None else several(layers, "layer")
        if not chosen:
            raise ValueError("There is no layer to average over: layers is empty.")
        maps = [
            self.attention_map(layer, kind=kind, unit=unit, aggregate=aggregate) for layer in chosen
        ]
        wanted = positions(rows, maps[0].n_rows)
        needed = 2 * maps[0].dtype.itemsize * len(wanted) * maps[0].n_columns
        require_room(
            needed,
            budget_on(maps[0].device, self.lens.memory_budget),
            f"The mean over layers of {len(wanted):,} x {maps[0].n_columns:,} weights",
            ["Ask for fewer rows (rows=)."],
        )
        shape = (len(wanted), maps[0].n_columns)
        total = torch.zeros(shape, dtype=maps[0].dtype, device=maps[0].device)
        with reporting(progress):
            for one in steps(maps, "averaging over layers", len(maps)):
                total += one.whole(wanted)[0].to(total.device)
        return total / len(maps)

    def rollout(
        self,
        *,
        kind: Kind | None = None,
        last_layer: int | None = None,
        rows: abc.Sequence[int] | None = None,
        unit: Unit = "token",
        aggregate: Aggregate = "mean",
        progress: Progress | None = None,
    ) -> Float[Tensor, "query key"]:
        """Attention rollout (Abnar & Zuidema 2020): attention multiplied through the layers.

        With ``Â = (A + I) / 2``, rows normalised, of every layer: ``Â_last ... Â_1 Â_0``. What a
        token of the last layer has gathered from each token of the input, if all that layers do
        were to mix tokens by attention and to keep half of each.

        Parameters
        ----------
        kind : str, optional
            Self-attention of some kind: "self", "encoder" or "decoder".
        last_layer : int, optional
            The layer rolled out from; default the last. Layers without attention pass all on.
        rows : sequence of int, optional
            Tokens of that layer (words with ``unit="word"``); default all.
        unit : {"token", "word"}
            "word": the tokens' rollout, summed over key tokens, averaged over query tokens.
        aggregate : {"mean", "max"}
            How heads are combined.
        progress : callable, optional
            As for :meth:`attention`.

        Returns
        -------
        Tensor
            ``[queries, keys]`` float32 (float64 of a model in float64); each row sums to 1.
        """
        kind = self._self_kind(kind)
        maps = self._self_maps(kind, last_layer, aggregate)
        require(unit, get_args(Unit), "unit")
        queries, keys = self._units("query", kind, unit), self._units("key", kind, unit)
        wanted = positions(rows, len(queries))
        with reporting(progress):
            rolled = through_layers.rollout(maps, queries.tokens(wanted))
        return fuse(rolled[None], wanted, queries, keys)[0]

    def flow(
        self,
        position: int,
        keys: abc.Sequence[int] | None = None,
        *,
        kind: Kind | None = None,
        last_layer: int | None = None,
        aggregate: Aggregate = "mean",
        progress: Progress | None = None,
    ) -> Float[Tensor, " key"]:
        """Attention flow (Abnar & Zuidema 2020): the largest flow from a token to the input.

        The layers are a network whose edges are ``Â`` as for :meth:`rollout`; no edge carries more
        than its weight. One maximum-flow problem for every key: on 30 layers a second for all keys
        of 150 tokens, ten for 300, two minutes for 600. Name `keys` to have fewer.

        Parameters
        ----------
        position : int
            Token of the last layer.
        keys : sequence of int, optional
            Tokens of the input; default all.
        kind, last_layer, aggregate, progress
            As for :meth:`rollout`.

        Returns
        -------
        Tensor
            ``[keys]`` float32 on the CPU, each 0 to 1 (they do not sum to 1; the authors' published
            code divides by their sum).
        """
        maps = self._self_maps(self._self_kind(kind), last_layer, aggregate)
        row = positions([position], maps[0].n_rows)[0]
        wanted = positions(keys, maps[0].n_columns)
        with reporting(progress):
            return through_layers.flow(maps, row, wanted)

    def moved_norms(
        self,
        layer: int,
        heads: int | abc.Sequence[int] | None = None,
        *,
        kind: Kind | None = None,
        rows: abc.Sequence[int] | None = None,
        unit: Unit = "token",
        aggregate: Literal["sum"] | None = None,
        progress: Progress | None = None,
    ) -> Float[Tensor, "*head query key"]:
        """How much each head moves, not how much it looks: ``|| a v W_O ||``.

        The norm of the vector that a head adds to the residual stream of a query for one key: the
        weight ``a`` times the norm of the key's value, projected (Kobayashi et al. 2020), in units
        of that layer's residual stream. A token that is looked at only to look nowhere else mostly
        moves less than its weight suggests. What the model multiplies the block's output with
        counts; where a root-mean-square norm stands between block and stream (Gemma 2, OLMo 2), its
        scale is held at what it was for the query's whole vector, so that the shares of all heads
        sum to what is added. The values come from one more forward pass the first time.

        Parameters
        ----------
        layer, heads, kind, rows, progress
            As for :meth:`attention`.
        unit : {"token", "word"}
            "word": the sum over a word's key tokens, the mean over its query tokens.
        aggregate : {"sum"}, optional
            The norm of the sum of what all these heads move, and no axis of heads.

        Returns
        -------
        Tensor
            ``[heads, queries, keys]`` float32 (``[queries, keys]`` with `aggregate`).

        Raises
        ------
        ValueError
            When a layer's values or projection are not known (modules that compute attention by
            themselves, gated outputs), or when the norm behind them does more than to rescale.
        ModelChangedError
            When the values or the projection are needed of a model that has changed since.
        """
        require(aggregate, (None, "sum"), "aggregate")
        asked = self.attention_map(layer, heads, kind=kind, unit=unit)
        asked = replace(asked, aggregate=aggregate, narrows=("heads", "rows"))
        wanted = positions(rows, asked.n_rows)
        asked.require_room_for(len(wanted))
        values = self._values_of(layer, kind)
        chosen = torch.as_tensor(list(asked.heads), device=values.value.device)

        def gram_of_values() -> Tensor:
            with self._model_again():  # for the projection
                return values.gram()

        gram = self.remembered(("gram", layer, self._kind(kind)), gram_of_values)
        asked = replace(asked, gram=gram[:, chosen][:, :, chosen], row_scale=values.behind.scale)
        with reporting(progress):
            found = asked.whole(wanted)
        return found if aggregate is None else found[0]

    def _self_kind(self, kind: Kind | None) -> Kind:
        """Kind of attention within one text; "encoder" where there are two and none is named."""
        kind = self.kinds[0] if kind is None else self._kind(kind)
        if kind == "cross":
            raise ValueError(
                "Cross attention leads from one text to another: it cannot be followed through the "
                "layers. Take kind='encoder' or kind='decoder'."
            )
        return kind

    def _self_maps(
        self, kind: Kind, last_layer: int | None, aggregate: Aggregate
    ) -> list[AttentionMap]:
        require(aggregate, get_args(Aggregate), "aggregate")
        last = self.layers(kind)[-1] if last_layer is None else last_layer
        self.call(last, kind)  # says which layers there are
        return [
            self.attention_map(layer, kind=kind, aggregate=aggregate)
            for layer in self.layers(kind)
            if layer <= last
        ]

    def _values_of(self, layer: int, kind: Kind | None) -> Values:
        self.call(layer, kind)
        if not self._values:
            with self._model_again() as model:
                require_room_to_record(self.lens, [self.sides], "values")
                values = find_values(model, self._anatomy.structure, self._inputs)
            self._values = values
        values = self._values[self._kind(kind)][layer]
        if isinstance(values, str):
            raise ValueError(values)  # noqa: TRY004  a model's trait, not a caller's type
        return values
